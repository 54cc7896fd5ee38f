//! Which blobs something names: messages whose bytes lie there, and deliveries with files beside them; and
//! those that nothing names any more, in the folder or (PostgreSQL) in their table.

use std::time::Duration;

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};

use crate::store::StoreError;
use crate::store::blob::{self, BlobError, Folder};
use crate::store::sql::Database;
use crate::store::sql::speak::{Dialect, On, Pool, query};

/// Hashes in one statement; a shorter list repeats its last one.
const AT_A_TIME: usize = 64;

/// A SHA-256 by its name.
pub(super) fn hash(name: &str) -> Option<[u8; 32]> {
    let bytes = HEXLOWER_PERMISSIVE.decode(name.as_bytes()).ok()?;
    bytes.try_into().ok()
}

fn hashes(rows: Vec<Vec<u8>>) -> Vec<[u8; 32]> {
    rows.into_iter()
        .filter_map(|bytes| bytes.try_into().ok())
        .collect()
}

/// See [`crate::store::keeper::Keeper::named`].
pub(super) async fn named(reads: &Pool, blobs: &[[u8; 32]]) -> Result<Vec<[u8; 32]>, StoreError> {
    let places: Vec<String> = (1..=AT_A_TIME).map(|place| format!("?{place}")).collect();
    let places = places.join(",");
    let text = format!(
        "SELECT body_hash FROM message WHERE body IS NULL AND pruned_at IS NULL AND body_hash IN ({places}) \
         UNION SELECT sha256 FROM attachment WHERE sha256 IN ({places})"
    );
    let mut named = Vec::new();
    for some in blobs.chunks(AT_A_TIME) {
        let mut asked = query(text.clone());
        for place in 0..AT_A_TIME {
            let blob = some.get(place).or(some.last());
            asked = asked.bind(blob.map(|blob| blob.to_vec()));
        }
        named.extend(hashes(asked.column(reads).await?));
    }
    Ok(named)
}

/// ?1 after this hash, ?2 limit.
pub(super) const NEXT: &str = "SELECT h FROM (\
     SELECT h FROM (SELECT body_hash AS h FROM message WHERE body IS NULL AND pruned_at IS NULL AND body_hash > ?1 ORDER BY body_hash LIMIT ?2) AS m \
     UNION SELECT h FROM (SELECT sha256 AS h FROM attachment WHERE sha256 > ?1 ORDER BY sha256 LIMIT ?2) AS a\
     ) AS named ORDER BY h LIMIT ?2";

/// See [`crate::store::keeper::Keeper::named_after`].
pub(super) async fn named_after<'c>(
    reads: impl Into<On<'c>>,
    after: Option<[u8; 32]>,
    limit: u32,
) -> Result<Vec<[u8; 32]>, StoreError> {
    let after = after.map_or_else(Vec::new, |after| after.to_vec());
    let rows = query(NEXT).bind(after).bind(limit).column(reads).await?;
    Ok(hashes(rows))
}

/// ?1 first byte, ?2 age: blobs of the table that nothing names. Storing again makes a blob young.
const UNNAMED: &str = "SELECT b.hash FROM blob AS b WHERE get_byte(b.hash, 0) = ?1 AND b.at < now_us() - ?2 \
     AND NOT EXISTS (SELECT 1 FROM message AS m WHERE m.body IS NULL AND m.pruned_at IS NULL AND m.body_hash = b.hash) \
     AND NOT EXISTS (SELECT 1 FROM attachment AS a WHERE a.sha256 = b.hash)";

fn micros_of(age: Duration) -> i64 {
    i64::try_from(age.as_micros()).unwrap_or(i64::MAX)
}

/// Blobs of one shard that were stored `age` ago or earlier and that nothing names.
pub(super) async fn unnamed(
    ledger: &Database,
    shard: u8,
    age: Duration,
) -> Result<Vec<[u8; 32]>, StoreError> {
    let folder = Folder::new(&ledger.folder);
    let old = tokio::task::spawn_blocking(move || folder.older_than(shard, blob::now(), age));
    let old = old
        .await
        .map_err(|error| StoreError::Broken(Box::new(error)))??;
    let old: Vec<[u8; 32]> = old.iter().filter_map(|name| hash(name)).collect();
    let named = named(&ledger.reads, &old).await?;
    let mut unnamed: Vec<[u8; 32]> = old
        .into_iter()
        .filter(|hash| !named.contains(hash))
        .collect();
    if ledger.reads.dialect() == Dialect::Postgres {
        let rows = query(UNNAMED)
            .bind(i64::from(shard))
            .bind(micros_of(age))
            .column(&ledger.reads)
            .await?;
        unnamed.extend(hashes(rows));
    }
    Ok(unnamed)
}

/// See [`crate::store::keeper::Keeper::collect`].
pub(super) async fn collect(
    ledger: &Database,
    shard: u8,
    age: Duration,
    remove: bool,
) -> Result<u64, StoreError> {
    let unnamed = unnamed(ledger, shard, age).await?;
    if !remove || unnamed.is_empty() {
        return Ok(unnamed.len() as u64);
    }
    let folder = Folder::new(&ledger.folder);
    let gone = tokio::task::spawn_blocking(move || {
        let mut gone = 0;
        for hash in &unnamed {
            gone += u64::from(folder.remove(&HEXLOWER.encode(hash), blob::now(), age)?);
        }
        Ok::<_, BlobError>(gone)
    });
    let mut gone = gone
        .await
        .map_err(|error| StoreError::Broken(Box::new(error)))??;
    if ledger.reads.dialect() == Dialect::Postgres {
        let text =
            format!("DELETE FROM blob WHERE hash IN ({UNNAMED} LIMIT 50) AND at < now_us() - ?2");
        let slice = ledger
            .tidy(move |tx| {
                Box::pin(async move {
                    let delete = query(text).bind(i64::from(shard)).bind(micros_of(age));
                    Ok(delete.execute(tx).await?)
                })
            })
            .await?;
        gone += slice.removed;
    }
    Ok(gone)
}
