//! Documents and long messages in the database: several hubs read them, so they do not lie in a folder
//! of one of them. Used on PostgreSQL only.

use std::collections::HashMap;

use async_trait::async_trait;
use bytes::Bytes;
use data_encoding::HEXLOWER;
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::speak::{Pool, query};
use super::writer::Priority;
use super::{Database, json, micros};
use crate::store::StoreError;
use crate::store::blob::{BlobError, Blobs};

impl From<StoreError> for BlobError {
    fn from(error: StoreError) -> Self {
        Self::Ledger(Box::new(error))
    }
}

#[async_trait]
impl Blobs for Database {
    async fn put(&self, bytes: Bytes) -> Result<String, BlobError> {
        let hash = Sha256::digest(&bytes).to_vec();
        let name = HEXLOWER.encode(&hash);
        self.writer
            .write(Priority::Accept, move |tx| {
                Box::pin(async move {
                    query("INSERT INTO blob (hash, bytes, at) VALUES (?1, ?2, ?3) ON CONFLICT (hash) DO UPDATE SET at = excluded.at")
                        .bind(hash)
                        .bind(bytes.to_vec())
                        .bind(micros(Timestamp::now()))
                        .execute(tx)
                        .await?;
                    Ok::<_, StoreError>(())
                })
            })
            .await?;
        Ok(name)
    }

    async fn get(&self, sha256: &str) -> Result<Bytes, BlobError> {
        let mut found = read(&self.reads, &[sha256.to_owned()]).await?;
        let bytes = found.remove(sha256).ok_or(BlobError::Missing)?;
        if HEXLOWER.encode(&Sha256::digest(&bytes)) == sha256 {
            Ok(bytes)
        } else {
            Err(BlobError::Damaged)
        }
    }
}

/// The bytes of several blobs by name; what is not there is not in the answer.
pub(super) async fn read(
    reads: &Pool,
    names: &[String],
) -> Result<HashMap<String, Bytes>, StoreError> {
    if names.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = query(
        "SELECT k.value, b.bytes FROM texts(?1) AS k JOIN blob AS b ON b.hash = decode(k.value, 'hex')",
    )
    .bind(json(&names)?)
    .fetch_all(reads)
    .await?;
    Ok(rows
        .iter()
        .map(|row| (row.get(0), Bytes::from(row.get::<Vec<u8>>(1))))
        .collect())
}
