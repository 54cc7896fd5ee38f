//! Legal holds: facts of operators, one standing at most per patient number.

use renkei_core::{FacilityId, LocalId};

use super::chain;
use crate::store::StoreError;
use crate::store::keeper::HoldLine;
use crate::store::operator::{By, OperateError};
use crate::store::sql::speak::{Conn, Pool, query};
use crate::store::sql::{instant, micros};

/// See [`crate::store::keeper::Keeper::hold`].
pub(super) async fn set(
    tx: &mut Conn,
    facility: &FacilityId,
    local_id: &LocalId,
    by: &By,
) -> Result<bool, OperateError> {
    let id = query(
        "INSERT INTO hold (facility, local_id, reason, actor, at) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING RETURNING id",
    )
    .bind(facility.as_str())
    .bind(local_id.expose().to_owned())
    .bind(&by.reason)
    .bind(&by.actor)
    .bind(micros(by.at))
    .fetch_optional(&mut *tx)
    .await?;
    let Some(id) = id.map(|row| row.get::<i64>(0)) else {
        return Ok(false);
    };
    chain::line(tx, by, "hold.set", &format!("hold {id}")).await?;
    Ok(true)
}

/// See [`crate::store::keeper::Keeper::release_hold`].
pub(super) async fn release(
    tx: &mut Conn,
    facility: &FacilityId,
    local_id: &LocalId,
    by: &By,
) -> Result<bool, OperateError> {
    let id = query(
        "UPDATE hold SET released_at = ?3, released_by = ?4 WHERE facility = ?1 AND local_id = ?2 AND released_at IS NULL RETURNING id",
    )
    .bind(facility.as_str())
    .bind(local_id.expose().to_owned())
    .bind(micros(by.at))
    .bind(&by.actor)
    .fetch_optional(&mut *tx)
    .await?;
    let Some(id) = id.map(|row| row.get::<i64>(0)) else {
        return Ok(false);
    };
    chain::line(tx, by, "hold.release", &format!("hold {id}")).await?;
    Ok(true)
}

/// See [`crate::store::keeper::Keeper::list_holds`].
pub(super) async fn list(reads: &Pool) -> Result<Vec<HoldLine>, StoreError> {
    let rows = query("SELECT facility, local_id, reason, actor, at, released_at, released_by FROM hold ORDER BY id DESC")
        .fetch_all(reads)
        .await?;
    rows.iter()
        .map(|row| {
            Ok(HoldLine {
                facility: FacilityId::new(row.get::<&str>(0))
                    .map_err(|error| StoreError::Broken(Box::new(error)))?,
                local_id: row.get(1),
                reason: row.get(2),
                actor: row.get(3),
                at: instant(row.get(4)),
                released_at: row.get::<Option<i64>>(5).map(instant),
                released_by: row.get(6),
            })
        })
        .collect()
}
