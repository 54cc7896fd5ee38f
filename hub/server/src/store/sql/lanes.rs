//! Several hubs on one PostgreSQL: who works on what. Messages of a source run in lanes by their ordering
//! key, notices and deliveries in lanes by person, a source that only one hub may run is a lane of its own.
//! Every hub takes its fair share, renews it, and takes over what a silent hub held.
//!
//! A lease keeps two hubs from doing the same work; it is not what keeps the ledger right. A batch that
//! another hub has processed or a record that has changed is found in the transaction itself
//! ([`fence`], [`guard`]). A file has one hub: there everything here is held at once.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::RwLock;
use std::time::{Duration, Instant};

use renkei_core::{DeliveryId, RecordId, SourceName};

use super::json;
use super::micros;
use super::speak::{Conn, Pool, query};
use crate::store::{Held, StoreError, Wants};
use crate::world::{Effects, Ids};

/// How long a lease holds without being renewed. A hub that stands still this long loses its lanes.
const LEASE: Duration = Duration::from_secs(10);
/// What is taken off it where the hub itself asks: it stops before another may start.
const MARGIN: Duration = Duration::from_secs(2);
/// Lanes of one source: hubs that can work on it at once.
const SOURCE_LANES: i64 = 8;

/// What this hub knows of its lanes between two leases.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    /// The lanes of each source, by number.
    of_source: RwLock<HashMap<String, Vec<i64>>>,
    /// Until when the leases hold; `None` = a file, for ever.
    until: RwLock<Option<Instant>>,
    /// This hub, on a server.
    pub(super) hub: Option<i64>,
}

impl Lanes {
    /// Those of a hub that has just signed in.
    pub(super) fn of(hub: Option<i64>) -> Self {
        Self {
            hub,
            ..Self::default()
        }
    }

    /// Whether the leases still hold by this machine's own stopwatch.
    pub(super) fn hold(&self) -> bool {
        let until = match self.until.read() {
            Ok(until) => *until,
            Err(poisoned) => *poisoned.into_inner(),
        };
        until.is_none_or(|until| Instant::now() < until)
    }

    fn renewed(&self, since: Instant) {
        let until = Some(since + LEASE.saturating_sub(MARGIN));
        match self.until.write() {
            Ok(mut known) => *known = until,
            Err(poisoned) => *poisoned.into_inner() = until,
        }
    }

    fn known(&self, source: &str) -> Option<Vec<i64>> {
        match self.of_source.read() {
            Ok(known) => known.get(source).cloned(),
            Err(poisoned) => poisoned.into_inner().get(source).cloned(),
        }
    }

    fn learn(&self, source: String, lanes: Vec<i64>) {
        match self.of_source.write() {
            Ok(mut known) => known.insert(source, lanes),
            Err(poisoned) => poisoned.into_inner().insert(source, lanes),
        };
    }

    /// The lane of a message: the hash of source and ordering key chooses among its source's lanes. Lanes
    /// of a new source are made, and held by the hub that made them until shares are worked out again.
    pub(super) async fn lane(
        &self,
        tx: &mut Conn,
        source: &str,
        hash: i64,
    ) -> Result<i64, StoreError> {
        let lanes = match self.known(source) {
            Some(lanes) => lanes,
            None => {
                make(tx, "source", source, SOURCE_LANES, self.hub).await?;
                let lanes: Vec<i64> = query(
                    "SELECT id FROM lane WHERE kind = 'source' AND name = ?1 ORDER BY number",
                )
                .bind(source.to_owned())
                .column(tx)
                .await?;
                self.learn(source.to_owned(), lanes.clone());
                lanes
            }
        };
        let count = i64::try_from(lanes.len()).unwrap_or(1).max(1);
        let number = usize::try_from(hash.rem_euclid(count)).unwrap_or(0);
        lanes
            .get(number)
            .copied()
            .ok_or_else(|| StoreError::Broken("a source without lanes".into()))
    }
}

async fn make(
    tx: &mut Conn,
    kind: &str,
    name: &str,
    count: i64,
    holder: Option<i64>,
) -> Result<(), StoreError> {
    query(
        "INSERT INTO lane (kind, name, number, holder, until) SELECT ?1, ?2, number, ?4, CASE WHEN ?4 IS NULL THEN 0 ELSE now_us() + ?5 END \
         FROM generate_series(0, ?3 - 1) AS number ON CONFLICT (kind, name, number) DO NOTHING",
    )
    .bind(kind.to_owned())
    .bind(name.to_owned())
    .bind(count)
    .bind(holder)
    .bind(lease_micros())
    .execute(tx)
    .await?;
    Ok(())
}

fn lease_micros() -> i64 {
    i64::try_from(LEASE.as_micros()).unwrap_or(i64::MAX)
}

/// Signs a hub in: a number for this start.
pub(super) async fn sign_in(conn: &mut Conn, name: &str) -> Result<i64, StoreError> {
    let row = query(
        "INSERT INTO hub (name, started_at, seen_at) VALUES (?1, now_us(), now_us()) RETURNING id",
    )
    .bind(name.to_owned())
    .fetch_one(conn)
    .await?;
    Ok(row.get(0))
}

/// Signs a hub out and lets its lanes go.
pub(super) async fn sign_out(tx: &mut Conn, hub: i64) -> Result<(), StoreError> {
    query("UPDATE lane SET holder = NULL, until = 0 WHERE holder = ?1")
        .bind(hub)
        .execute(&mut *tx)
        .await?;
    query("UPDATE hub SET ended_at = now_us() WHERE id = ?1")
        .bind(hub)
        .execute(tx)
        .await?;
    Ok(())
}

/// Renews this hub's leases and moves towards its fair share. See [`crate::store::Store::lease`].
pub(super) async fn lease(
    tx: &mut Conn,
    lanes: &Lanes,
    hub: i64,
    wants: &Wants,
) -> Result<Held, StoreError> {
    let asked = Instant::now();
    let seen = query("UPDATE hub SET seen_at = now_us(), ended_at = NULL WHERE id = ?1")
        .bind(hub)
        .execute(&mut *tx)
        .await?;
    if seen == 0 {
        return Err(StoreError::Broken("this hub is not signed in".into()));
    }
    for source in &wants.sources {
        if lanes.known(source.as_str()).is_none() {
            lanes.lane(&mut *tx, source.as_str(), 0).await?;
        }
    }
    for task in &wants.tasks {
        make(&mut *tx, "task", task.as_str(), 1, None).await?;
    }
    query("UPDATE lane SET until = now_us() + ?2 WHERE holder = ?1")
        .bind(hub)
        .bind(lease_micros())
        .execute(&mut *tx)
        .await?;
    let mut taken_over = false;
    for kind in ["source", "person", "task"] {
        taken_over |= share(&mut *tx, hub, kind, wants).await?;
    }
    let tasks = query("SELECT name FROM lane WHERE kind = 'task' AND holder = ?1")
        .bind(hub)
        .column::<String>(tx)
        .await?;
    lanes.renewed(asked);
    Ok(Held {
        tasks: tasks.into_iter().map(SourceName::new).collect(),
        taken_over,
    })
}

/// Whether the start of this folder's hub before ?1 ended cleanly.
pub(super) const BEFORE: &str = "SELECT h.ended_at IS NOT NULL FROM hub AS h WHERE (h.id < ?1 OR (h.id = ?1 AND h.ended_at IS NOT NULL)) AND h.name = (SELECT name FROM hub WHERE id = ?1) ORDER BY h.id DESC LIMIT 1";
/// One row: how many hubs live, how many lanes of a kind there are, how many this hub holds.
const STANDING: &str = "SELECT (SELECT count(DISTINCT name) FROM hub WHERE ended_at IS NULL AND seen_at > now_us() - ?3), count(*), \
     count(*) FILTER (WHERE holder = ?1) FROM lane WHERE kind = ?2";
/// Lanes nobody holds, whose lease has run out, or that an earlier process of this folder held. The tasks
/// are only those this hub has.
const CLAIM: &str = "UPDATE lane AS l SET holder = ?1, until = now_us() + ?4 \
     FROM (SELECT c.id, c.holder AS before FROM lane AS c WHERE c.kind = ?2 AND (c.kind <> 'task' OR c.name IN (SELECT value FROM texts(?5))) \
       AND (c.holder IS NULL OR c.until < now_us() OR (c.holder <> ?1 AND c.holder IN \
         (SELECT h.id FROM hub AS h WHERE h.name = (SELECT name FROM hub WHERE id = ?1)))) \
       ORDER BY c.id LIMIT ?3 FOR UPDATE SKIP LOCKED) AS free \
     WHERE l.id = free.id RETURNING l.id, l.number, free.before IS NOT NULL";
const RELEASE: &str = "UPDATE lane SET holder = NULL, until = 0 WHERE id IN \
     (SELECT id FROM lane WHERE kind = ?2 AND holder = ?1 ORDER BY id DESC LIMIT ?3)";

/// Takes or lets go lanes of a kind. Whether something was taken over from a hub that fell silent.
async fn share(
    tx: &mut Conn,
    hub: i64,
    kind: &'static str,
    wants: &Wants,
) -> Result<bool, StoreError> {
    let row = query(STANDING)
        .bind(hub)
        .bind(kind)
        .bind(lease_micros())
        .fetch_one(&mut *tx)
        .await?;
    let (hubs, all, held): (i64, i64, i64) = (row.get(0), row.get(1), row.get(2));
    let hubs = hubs.max(1);
    let fair = all / hubs + i64::from(all % hubs != 0);
    if held > fair {
        query(RELEASE)
            .bind(hub)
            .bind(kind)
            .bind(held - fair)
            .execute(tx)
            .await?;
        return Ok(false);
    }
    if held == fair {
        return Ok(false);
    }
    let claimed = query(CLAIM)
        .bind(hub)
        .bind(kind)
        .bind(fair - held)
        .bind(lease_micros())
        .bind(json(
            &wants
                .tasks
                .iter()
                .map(SourceName::as_str)
                .collect::<Vec<_>>(),
        )?)
        .fetch_all(&mut *tx)
        .await?;
    if kind == "person" && !claimed.is_empty() {
        let numbers: Vec<i64> = claimed.iter().map(|row| row.get(1)).collect();
        may_have_been_sent(&mut *tx, micros(wants.now), &json(&numbers)?).await?;
    }
    Ok(kind == "source" && claimed.iter().any(|row| row.get(2)))
}

/// What was due in lanes that were another hub's may be on its way: it is sent again under its id and
/// corrected, never silently replaced.
async fn may_have_been_sent(tx: &mut Conn, now: i64, numbers: &str) -> Result<(), StoreError> {
    query(
        "UPDATE delivery SET attempts = 1 WHERE state = 'pending' AND attempts = 0 AND due_at <= ?1 \
         AND person_lane(person) IN (SELECT value FROM ints(?2))",
    )
    .bind(now)
    .bind(numbers)
    .execute(tx)
    .await?;
    Ok(())
}

/// Refuses a batch that another hub has processed meanwhile.
pub(super) fn fence(removed: u64, ended: usize) -> Result<(), StoreError> {
    if removed == ended as u64 {
        Ok(())
    } else {
        Err(StoreError::Fenced)
    }
}

/// Refuses outcomes of deliveries whose lane is not this hub's any more.
pub(super) async fn fence_deliveries(tx: &mut Conn, ids: &[&DeliveryId]) -> Result<(), StoreError> {
    let row = query(
        "WITH held AS (SELECT l.id FROM delivery AS d JOIN lane AS l ON l.kind = 'person' AND l.number = person_lane(d.person) \
         WHERE d.id IN (SELECT value FROM texts(?1)) AND (this_hub() IS NULL OR l.holder = this_hub()) FOR SHARE OF l) SELECT count(*) FROM held",
    )
    .bind(json(&ids)?)
    .fetch_one(tx)
    .await?;
    fence(row.count(0), ids.iter().collect::<BTreeSet<_>>().len())
}

/// Every record the effects touch, in the order of their ids, with the revision they were decided over.
/// A record that has changed since is somebody else's work: decide again.
pub(super) async fn guard(tx: &mut Conn, effects: &Effects) -> Result<(), StoreError> {
    let Some(known) = &effects.seen else {
        return Ok(());
    };
    let touched: BTreeSet<RecordId> = effects
        .records
        .keys()
        .copied()
        .chain(
            effects
                .versions
                .iter()
                .filter_map(|version| version.stored.record),
        )
        .chain(effects.notices.values().map(|notice| notice.record))
        .collect();
    let seen: BTreeMap<i64, i64> = touched
        .iter()
        .filter_map(|record| Some((record.0, *known.get(record)?)))
        .collect();
    newcomers(tx, effects, known).await?;
    if seen.is_empty() {
        return Ok(());
    }
    let pairs: Vec<(i64, i64)> = seen.into_iter().collect();
    let kept = query(
        "WITH locked AS (SELECT r.id, r.revision FROM record AS r WHERE r.id IN (SELECT CAST(value ->> 0 AS BIGINT) FROM tuples(?1)) \
         ORDER BY r.id FOR UPDATE) \
         UPDATE record AS r SET revision = r.revision + 1 FROM locked JOIN tuples(?1) AS t ON CAST(t.value ->> 0 AS BIGINT) = locked.id \
         WHERE r.id = locked.id AND locked.revision = CAST(t.value ->> 1 AS BIGINT)",
    )
    .bind(json(&pairs)?)
    .execute(tx)
    .await?;
    if kept == pairs.len() as u64 {
        Ok(())
    } else {
        Err(StoreError::Conflict("a record has changed".into()))
    }
}

/// A newcomer may be somebody another hub is writing down at this moment: whoever shares a birth date, a
/// reading or an insurance number goes through here one after the other, and is looked for again.
async fn newcomers(
    tx: &mut Conn,
    effects: &Effects,
    known: &HashMap<RecordId, i64>,
) -> Result<(), StoreError> {
    let new: Vec<_> = effects
        .records
        .values()
        .filter(|record| !known.contains_key(&record.id))
        .collect();
    if new.is_empty() {
        return Ok(());
    }
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let births: BTreeSet<String> = new
        .iter()
        .filter_map(|record| given(&record.facts.birth_date))
        .collect();
    let kana: BTreeSet<String> = new
        .iter()
        .filter_map(|record| given(&record.facts.kana))
        .collect();
    let insured: BTreeSet<String> = new
        .iter()
        .flat_map(|record| record.facts.insurance.iter().cloned())
        .collect();
    let turns: BTreeSet<String> = (births.iter().map(|text| format!("b{text}")))
        .chain(kana.iter().map(|text| format!("k{text}")))
        .chain(insured.iter().map(|text| format!("i{text}")))
        .collect();
    query("SELECT pg_advisory_xact_lock(hashtextextended(t.value, 7401)) FROM (SELECT value FROM texts(?1) ORDER BY value) AS t")
        .bind(json(&turns)?)
        .fetch_all(&mut *tx)
        .await?;
    let like: Vec<i64> = query(super::load::like_newcomers())
        .bind(json(&births)?)
        .bind(json(&kana)?)
        .bind(json(&insured)?)
        .column(tx)
        .await?;
    if like.iter().all(|id| known.contains_key(&RecordId(*id))) {
        Ok(())
    } else {
        Err(StoreError::Conflict(
            "somebody alike has come meanwhile".into(),
        ))
    }
}

/// Row ids for what a batch may make, in blocks that follow on.
pub(super) async fn reserve(reads: &Pool, room: Ids) -> Result<Ids, StoreError> {
    let row = query(
        "WITH alone AS MATERIALIZED (SELECT pg_advisory_xact_lock(7402)) \
         SELECT setval('person_id', nextval('person_id') + ?1) - ?1, setval('record_id', nextval('record_id') + ?2) - ?2, \
         setval('resource_id', nextval('resource_id') + ?3) - ?3, setval('notice_id', nextval('notice_id') + ?4) - ?4 FROM alone",
    )
    .bind(room.person)
    .bind(room.record)
    .bind(room.resource)
    .bind(room.notice)
    .fetch_one(reads)
    .await?;
    Ok(Ids {
        person: row.get(0),
        record: row.get(1),
        resource: row.get(2),
        notice: row.get(3),
    })
}
