//! A ledger that was made from a backup. The hub it was taken from may have gone on telling people; so
//! nothing that this one would tell goes out by itself (rules: restore posts nothing by itself).

use renkei_core::Code;

use super::chain;
use crate::store::StoreError;
use crate::store::keeper::{Restored, Stopped};
use crate::store::sql::micros;
use crate::store::sql::speak::{Conn, Dialect, query};

/// More notices than a hub can have opened between a backup and its loss.
const NOTICES_BETWEEN: i64 = 1_000_000_000;

/// See [`crate::store::keeper::Keeper::restored`].
pub(super) async fn restored(tx: &mut Conn, how: &Restored) -> Result<Stopped, StoreError> {
    let mut stopped = Stopped::default();
    query(
        "INSERT INTO restored (taken_at, at, actor, notices_above) \
         SELECT ?1, ?2, ?3, (SELECT coalesce(max(id), 0) FROM notice) + ?4",
    )
    .bind(micros(how.taken_at))
    .bind(micros(how.by.at))
    .bind(&how.by.actor)
    .bind(NOTICES_BETWEEN)
    .execute(&mut *tx)
    .await?;
    if tx.dialect() == Dialect::Postgres {
        query("SELECT setval('notice_id', greatest(nextval('notice_id'), (SELECT max(notices_above) FROM restored)))")
            .execute(&mut *tx)
            .await?;
    }
    if !how.nothing_told_since {
        stopped.deliveries = query(
            "UPDATE delivery SET state = 'held', code = ?1, due_at = NULL, released_by = NULL WHERE state IN ('pending', 'sent')",
        )
        .bind(Code::DLV_RESTORED.as_str())
        .execute(&mut *tx)
        .await?;
        stopped.notices = query(
            "UPDATE notice SET backfill = TRUE WHERE due_at IS NOT NULL OR id IN (SELECT notice FROM reroute)",
        )
        .execute(&mut *tx)
        .await?;
        stopped.messages = query("UPDATE waiting SET replay = TRUE")
            .execute(&mut *tx)
            .await?;
    }
    // What its hub was in the middle of counts as tried, as after any unclean end.
    query("UPDATE run SET ended_at = NULL WHERE id = (SELECT max(id) FROM run)")
        .execute(&mut *tx)
        .await?;
    let target = format!(
        "backup of {}; held: {} deliveries, {} notices, {} messages",
        how.taken_at, stopped.deliveries, stopped.notices, stopped.messages
    );
    let act = if how.nothing_told_since {
        "restore.same-hub"
    } else {
        "restore"
    };
    chain::line(tx, &how.by, act, &target).await?;
    Ok(stopped)
}
