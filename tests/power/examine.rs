//! Opens what a power loss has left with the hub's own code, and says what is wrong with it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use renkei::store::Store as _;
use renkei::store::sql::{Access, Database};
use sha2::{Digest, Sha256};
use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{AssertSqlSafe, Connection, Row, SqliteConnection};

/// What was promised to anybody before the power went.
#[derive(Default)]
pub(crate) struct Promised {
    /// Control ids that were acknowledged.
    pub(crate) acknowledged: HashSet<String>,
    /// Ids of deliveries that a peer may have heard of.
    pub(crate) told: HashSet<String>,
    /// Ids that a peer hears of later. (A peer may also be told under the id of an earlier delivery,
    /// which is being corrected.)
    pub(crate) will_be_told: HashSet<String>,
}

/// What the ledger of one power loss holds.
pub(crate) struct Ledger {
    /// The hash of each message's body, by control id.
    messages: HashMap<String, HashSet<String>>,
    /// The state of each delivery, by id.
    deliveries: HashMap<String, String>,
}

/// Stored bytes that were found to be right before, by hash: hashing them anew each time would take longer
/// than everything else.
#[derive(Default)]
pub(crate) struct Known(HashMap<String, Vec<u8>>);

impl Known {
    /// Whether stored bytes are those of a hash, once unpacked.
    fn is_right(
        &mut self,
        hash: &str,
        stored: Vec<u8>,
        unpack: impl Fn(&[u8]) -> Option<Vec<u8>>,
    ) -> bool {
        if self.0.get(hash).is_some_and(|known| *known == stored) {
            return true;
        }
        let right = unpack(&stored).is_some_and(|plain| hash_of(&plain) == hash);
        if right {
            self.0.insert(hash.to_owned(), stored);
        }
        right
    }

    fn has_blob(&mut self, folder: &Path, hash: &str) -> bool {
        let path = folder.join("blobs").join(&hash[..2]).join(hash);
        let same = |bytes: &[u8]| Some(bytes.to_vec());
        std::fs::read(path).is_ok_and(|stored| self.is_right(hash, stored, same))
    }
}

impl Ledger {
    /// What of the promises it does not keep; `bytes` are the hashes of what each control id stood for.
    pub(crate) fn broken(
        &self,
        promised: &Promised,
        bytes: &HashMap<String, String>,
    ) -> Vec<String> {
        let mut wrongs = Vec::new();
        for control in &promised.acknowledged {
            let kept = self.messages.get(control);
            if !kept.is_some_and(|kept| kept.contains(&bytes[control])) {
                wrongs.push(format!("{control} was acknowledged and is not there"));
            }
        }
        for id in &promised.told {
            if !self.deliveries.contains_key(id) {
                wrongs.push(format!("the peer knows {id}, the ledger does not"));
            }
        }
        for (id, state) in &self.deliveries {
            if state == "delivered" && promised.will_be_told.contains(id) {
                wrongs.push(format!("{id} counts as delivered and was never sent"));
            }
        }
        wrongs
    }
}

/// Opens the ledger in `folder` as the hub would, and says what is wrong with it in itself.
pub(crate) async fn examine(folder: &Path, known: &mut Known) -> (Option<Ledger>, Vec<String>) {
    let mut wrongs = Vec::new();
    match read(folder, known, &mut wrongs).await {
        Ok(ledger) => (Some(ledger), wrongs),
        Err(error) => {
            wrongs.push(format!("it does not open: {error:#}"));
            (None, wrongs)
        }
    }
}

async fn read(
    folder: &Path,
    known: &mut Known,
    wrongs: &mut Vec<String>,
) -> anyhow::Result<Ledger> {
    let store = Database::open(folder, Access::Hub).await?;
    for waiting in store.waiting(usize::MAX >> 1).await? {
        if let Some(code) = waiting.damaged {
            wrongs.push(format!("message {}: {code}", waiting.message.id));
        }
    }
    let mut files = Files::open(folder).await?;
    files.check(wrongs).await?;
    let mut messages: HashMap<String, HashSet<String>> = HashMap::new();
    let mut positions = HashSet::new();
    let stored =
        "SELECT position, control, lower(hex(body_hash)), coalesce(body, x'') FROM message";
    for row in files.rows("message", stored).await? {
        let (control, hash, body): (String, String, Vec<u8>) = (row.get(1), row.get(2), row.get(3));
        let there = if body.is_empty() {
            known.has_blob(folder, &hash)
        } else {
            known.is_right(&hash, body, |body| {
                renkei::store::unpack(body).map(|body| body.to_vec())
            })
        };
        if !there {
            wrongs.push(format!("{control}: its bytes are not what was stored"));
        }
        positions.insert(row.get::<i64, _>(0));
        messages.entry(control).or_default().insert(hash);
    }
    let waiting = files.numbers("waiting", "SELECT position FROM waiting");
    let waiting = waiting.await?;
    let ended = files.numbers("outcome", "SELECT position FROM outcome");
    let ended = ended.await?;
    for position in &positions {
        if waiting.contains(position) == ended.contains(position) {
            let ended = ended.contains(position);
            wrongs.push(format!("message {position}: waiting and ended are {ended}"));
        }
    }
    let mut deliveries = HashMap::new();
    let planned = "SELECT id, state, payload FROM delivery";
    for row in files.rows("delivery", planned).await? {
        let payload: Option<String> = row.get(2);
        for hash in attachments(payload.as_deref().unwrap_or("{}")) {
            if !known.has_blob(folder, &hash) {
                let id: String = row.get(0);
                wrongs.push(format!("delivery {id}: an attachment is not there"));
            }
        }
        deliveries.insert(row.get(0), row.get(1));
    }
    Ok(Ledger {
        messages,
        deliveries,
    })
}

/// The hash of bytes, as the ledger spells it.
pub(crate) fn hash_of(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(bytes))
}

fn attachments(payload: &str) -> Vec<String> {
    let payload: serde_json::Value = serde_json::from_str(payload).unwrap_or_default();
    let list = payload["attachments"].as_array().cloned();
    list.unwrap_or_default()
        .iter()
        .filter_map(|entry| entry["sha256"].as_str().map(str::to_owned))
        .collect()
}

/// The database files of a ledger, whatever is kept in which.
struct Files {
    all: Vec<SqliteConnection>,
    /// Which of them has a table.
    tables: BTreeMap<String, usize>,
}

impl Files {
    async fn open(folder: &Path) -> anyhow::Result<Self> {
        let mut files = Self {
            all: Vec::new(),
            tables: BTreeMap::new(),
        };
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "db") {
                continue;
            }
            let options = SqliteConnectOptions::new().filename(path);
            let mut file = SqliteConnection::connect_with(&options).await?;
            let names = "SELECT name FROM sqlite_master WHERE type = 'table'";
            for row in sqlx::query(names).fetch_all(&mut file).await? {
                files.tables.insert(row.get(0), files.all.len());
            }
            files.all.push(file);
        }
        Ok(files)
    }

    async fn check(&mut self, wrongs: &mut Vec<String>) -> anyhow::Result<()> {
        for file in &mut self.all {
            for row in sqlx::query("PRAGMA integrity_check")
                .fetch_all(&mut *file)
                .await?
            {
                let said: String = row.get(0);
                if said != "ok" {
                    wrongs.push(said);
                }
            }
            let dangling = sqlx::query("PRAGMA foreign_key_check").fetch_all(&mut *file);
            if !dangling.await?.is_empty() {
                wrongs.push("rows refer to what is not there".to_owned());
            }
        }
        Ok(())
    }

    async fn rows(&mut self, table: &str, sql: &'static str) -> anyhow::Result<Vec<SqliteRow>> {
        let place = self.tables.get(table).copied();
        let place = place.ok_or_else(|| anyhow::anyhow!("there is no table {table}"))?;
        Ok(sqlx::query(AssertSqlSafe(sql))
            .fetch_all(&mut self.all[place])
            .await?)
    }

    async fn numbers(&mut self, table: &str, sql: &'static str) -> anyhow::Result<HashSet<i64>> {
        let rows = self.rows(table, sql).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }
}
