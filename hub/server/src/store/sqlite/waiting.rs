//! The oldest waiting messages with their bytes.

use std::path::Path;

use bytes::Bytes;
use data_encoding::HEXLOWER;
use renkei_core::{Code, FacilityId, Message, MessageId, SourceName, limits};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqlitePool};

use super::{instant, parsed};
use crate::store::blob::Folder;
use crate::store::{StoreError, Waiting};

/// Bytes of bodies in one batch (the message that passes it is still taken).
const BATCH_BYTES: usize = 16 * 1024 * 1024;

/// See [`crate::store::Store::waiting`].
pub(super) async fn waiting(
    reads: &SqlitePool,
    limit: usize,
    folder: &Path,
) -> Result<Vec<Waiting>, StoreError> {
    let rows = sqlx::query(
        "SELECT m.position, m.source, m.facility, m.meta, m.body, m.body_hash, m.received_at, w.attempts, w.replay, m.reused \
         FROM waiting AS w JOIN message AS m ON m.position = w.position ORDER BY w.position LIMIT ?1",
    )
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .fetch_all(reads)
    .await?;
    let blobs = Folder::new(folder);
    let read = tokio::task::spawn_blocking(move || some(&rows, &blobs)).await;
    read.map_err(|error| StoreError::Broken(Box::new(error)))?
}

/// As many as fit into a batch's memory, at least one.
fn some(rows: &[SqliteRow], blobs: &Folder) -> Result<Vec<Waiting>, StoreError> {
    let (mut taken, mut bytes) = (Vec::new(), 0);
    for row in rows {
        let waiting = one(row, blobs)?;
        bytes += waiting.message.body.len();
        taken.push(waiting);
        if bytes >= BATCH_BYTES {
            break;
        }
    }
    Ok(taken)
}

fn one(row: &SqliteRow, blobs: &Folder) -> Result<Waiting, StoreError> {
    let body = match row.get::<Option<&[u8]>, _>(4) {
        Some(packed) => unpack(packed),
        None => blobs.read(&HEXLOWER.encode(row.get::<&[u8], _>(5))).ok(),
    };
    let facility = FacilityId::new(row.get::<&str, _>(2))
        .map_err(|error| StoreError::Broken(Box::new(error)))?;
    Ok(Waiting {
        damaged: body.is_none().then_some(Code::INB_BLOB_MISSING),
        message: Message {
            id: MessageId(row.get(0)),
            source: SourceName::new(row.get::<&str, _>(1)),
            facility,
            body: body.unwrap_or_default(),
            meta: parsed(row.get::<&str, _>(3))?,
            received_at: instant(row.get(6)),
        },
        attempts: row.get(7),
        replay: row.get(8),
        control_id_reused: row.get(9),
    })
}

/// Takes a stored body apart: a leading 0 byte means as it is, anything else is zstd.
fn unpack(packed: &[u8]) -> Option<Bytes> {
    match packed.split_first() {
        Some((0, plain)) => Some(Bytes::copy_from_slice(plain)),
        Some((1, squeezed)) => {
            zstd::bulk::decompress(squeezed, limits::FRAME_BYTES + limits::KEPT_OF_GIANT)
                .ok()
                .map(Bytes::from)
        }
        _ => None,
    }
}

/// Makes a stored body: zstd level 1 when that is shorter.
pub fn pack(body: &[u8]) -> Vec<u8> {
    let squeezed = zstd::bulk::compress(body, 1)
        .ok()
        .filter(|squeezed| squeezed.len() < body.len());
    let (mark, bytes) = match &squeezed {
        Some(squeezed) => (1, squeezed.as_slice()),
        None => (0, body),
    };
    let mut packed = Vec::with_capacity(bytes.len() + 1);
    packed.push(mark);
    packed.extend_from_slice(bytes);
    packed
}
