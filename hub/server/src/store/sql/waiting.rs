//! The oldest waiting messages with their bytes.

use std::collections::HashMap;
use std::path::Path;

use bytes::Bytes;
use data_encoding::HEXLOWER;
use renkei_core::{Code, FacilityId, Message, MessageId, SourceName};

use super::speak::{Dialect, Line, Pool, query};
use super::{blobs, instant, parsed};
use crate::store::blob::Folder;
use crate::store::packed::unpack;
use crate::store::{StoreError, Waiting};

/// ?1 limit.
pub(super) const OLDEST: &str = "SELECT m.position, m.source, m.facility, m.meta, m.body, m.body_hash, m.received_at, w.attempts, w.replay, m.reused, m.pruned_at IS NOT NULL \
     FROM waiting AS w JOIN message AS m ON m.position = w.position ORDER BY w.position LIMIT ?1";
/// ?1 limit: those of this hub's lanes, the first of each lane: what waits in the lanes of others is not
/// read. A barrier waits until everything earlier of its source is done, everything later waits for the
/// barrier; so what may be processed of a lane is always its beginning. With one hub the order of
/// positions is enough.
const OLDEST_OF_MINE: &str = "SELECT m.position, m.source, m.facility, m.meta, m.body, m.body_hash, m.received_at, w.attempts, w.replay, m.reused, m.pruned_at IS NOT NULL \
     FROM lane AS l, LATERAL (SELECT o.position, o.attempts, o.replay FROM waiting AS o WHERE o.lane = l.id ORDER BY o.position LIMIT ?1) AS w \
     JOIN message AS m ON m.position = w.position WHERE l.kind = 'source' AND l.holder = this_hub() AND l.until > now_us() \
     AND NOT EXISTS (SELECT 1 FROM barrier AS b WHERE b.source = m.source AND b.position < w.position) \
     AND (NOT EXISTS (SELECT 1 FROM barrier AS b WHERE b.position = w.position) OR NOT EXISTS \
       (SELECT 1 FROM waiting AS e JOIN message AS em ON em.position = e.position WHERE em.source = m.source AND e.position < w.position)) \
     ORDER BY w.position LIMIT ?1";

/// Bytes of bodies in one batch (the message that passes it is still taken).
const BATCH_BYTES: usize = 16 * 1024 * 1024;

/// See [`crate::store::Store::waiting`].
pub(super) async fn waiting(
    reads: &Pool,
    hub: Option<i64>,
    limit: usize,
    folder: &Path,
) -> Result<Vec<Waiting>, StoreError> {
    let text = match hub {
        None => OLDEST,
        Some(_) => OLDEST_OF_MINE,
    };
    let rows = query(text)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(reads)
        .await?;
    let lie_apart: Vec<String> = rows
        .iter()
        .filter(|row| reads.dialect() == Dialect::Postgres && row.get::<Option<&[u8]>>(4).is_none())
        .map(|row| HEXLOWER.encode(row.get::<&[u8]>(5)))
        .collect();
    let blobs = Apart {
        read: blobs::read(reads, &lie_apart).await?,
        folder: Folder::new(folder),
    };
    let read = tokio::task::spawn_blocking(move || some(&rows, &blobs)).await;
    read.map_err(|error| StoreError::Broken(Box::new(error)))?
}

/// Bodies that do not lie in their row: those read from the database, and the folder for the others.
struct Apart {
    read: HashMap<String, Bytes>,
    folder: Folder,
}

impl Apart {
    /// `None` = it cannot be had any more. What can be had later is an error that passes.
    fn body(&self, name: &str) -> Result<Option<Bytes>, StoreError> {
        if let Some(read) = self.read.get(name) {
            return Ok(Some(read.clone()));
        }
        match self.folder.read(name) {
            Err(error) if error.is_passing() => Err(StoreError::Full(Box::new(error))),
            read => Ok(read.ok()),
        }
    }
}

/// As many as fit into a batch's memory, at least one.
fn some(rows: &[Line], apart: &Apart) -> Result<Vec<Waiting>, StoreError> {
    let (mut taken, mut bytes) = (Vec::new(), 0);
    for row in rows {
        let waiting = one(row, apart)?;
        bytes += waiting.message.body.len();
        taken.push(waiting);
        if bytes >= BATCH_BYTES {
            break;
        }
    }
    Ok(taken)
}

fn one(row: &Line, apart: &Apart) -> Result<Waiting, StoreError> {
    let removed: bool = row.get(10);
    let code = if removed {
        Code::INB_BODY_REMOVED
    } else {
        Code::INB_BLOB_MISSING
    };
    let body = match row.get::<Option<&[u8]>>(4) {
        Some(packed) => unpack(packed),
        None if removed => None,
        None => apart.body(&HEXLOWER.encode(row.get::<&[u8]>(5)))?,
    };
    let facility =
        FacilityId::new(row.get::<&str>(2)).map_err(|error| StoreError::Broken(Box::new(error)))?;
    Ok(Waiting {
        damaged: body.is_none().then_some(code),
        message: Message {
            id: MessageId(row.get(0)),
            source: SourceName::new(row.get::<&str>(1)),
            facility,
            body: body.unwrap_or_default(),
            meta: parsed(row.get::<&str>(3))?,
            received_at: instant(row.get(6)),
        },
        attempts: row.get(7),
        replay: row.get(8),
        control_id_reused: row.get(9),
    })
}
