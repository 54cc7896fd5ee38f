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

use renkei_core::{DeliveryId, PersonId, RecordId, SourceName};

use super::alike::Shared;
use super::speak::{Conn, Pool, query};
use super::{json, micros, parsed};
use crate::store::{Held, StoreError, Wants};
use crate::world::{Effects, Ids};

/// How long a lease holds without being renewed. A hub that stands still this long loses its lanes.
const LEASE: Duration = Duration::from_secs(10);
/// What is taken off it where the hub itself asks: it stops before another may start.
const MARGIN: Duration = Duration::from_secs(2);
/// Lanes of one source: hubs that can work on it at once.
const SOURCE_LANES: i64 = 8;
/// Lanes of people, as the schema has them (`person_lane`).
const PERSON_LANES: u64 = 16;
/// How far the clocks of two hubs may be apart, in microseconds.
const CLOCKS_APART: i64 = 60 * 1_000_000;

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

    /// Which of these this hub has not met.
    pub(super) fn unknown<'s>(
        &self,
        sources: impl Iterator<Item = &'s SourceName>,
    ) -> BTreeSet<String> {
        sources
            .map(SourceName::as_str)
            .filter(|source| self.known(source).is_none())
            .map(str::to_owned)
            .collect()
    }

    /// Keeps the lanes of sources that have been committed.
    pub(super) fn learn(&self, of_source: HashMap<String, Vec<i64>>) {
        match self.of_source.write() {
            Ok(mut known) => known.extend(of_source),
            Err(poisoned) => poisoned.into_inner().extend(of_source),
        }
    }

    /// The lane of a message: the hash of source and ordering key chooses among its source's lanes.
    pub(super) fn lane(&self, source: &str, hash: i64) -> Result<i64, StoreError> {
        let lanes = self.known(source).unwrap_or_default();
        let count = i64::try_from(lanes.len()).unwrap_or(1).max(1);
        let number = usize::try_from(hash.rem_euclid(count)).unwrap_or(0);
        lanes
            .get(number)
            .copied()
            .ok_or_else(|| StoreError::Broken("a source without lanes".into()))
    }
}

/// Makes the lanes of sources where there are none, and reads them. Nobody holds new ones yet.
pub(super) async fn of_sources(
    tx: &mut Conn,
    sources: BTreeSet<String>,
) -> Result<HashMap<String, Vec<i64>>, StoreError> {
    let mut of_source = HashMap::new();
    for source in sources {
        make(tx, "source", &source, SOURCE_LANES).await?;
        let lanes =
            query("SELECT id FROM lane WHERE kind = 'source' AND name = ?1 ORDER BY number")
                .bind(source.clone())
                .column(&mut *tx)
                .await?;
        of_source.insert(source, lanes);
    }
    Ok(of_source)
}

async fn make(tx: &mut Conn, kind: &str, name: &str, count: i64) -> Result<(), StoreError> {
    query(
        "INSERT INTO lane (kind, name, number) SELECT ?1, ?2, number FROM generate_series(0, ?3 - 1) AS number \
         ON CONFLICT (kind, name, number) DO NOTHING",
    )
    .bind(kind.to_owned())
    .bind(name.to_owned())
    .bind(count)
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
    for task in &wants.tasks {
        make(&mut *tx, "task", task.as_str(), 1).await?;
    }
    let named = |kind: &'static str| move |name: &SourceName| format!("{kind}:{name}");
    let wanted: Vec<String> = (wants.sources.iter().map(named("source")))
        .chain(wants.tasks.iter().map(named("task")))
        .collect();
    let seen =
        query("UPDATE hub SET seen_at = now_us(), ended_at = NULL, wants = ?2 WHERE id = ?1")
            .bind(hub)
            .bind(json(&wanted)?)
            .execute(&mut *tx)
            .await?;
    if seen == 0 {
        return Err(StoreError::Broken("this hub is not signed in".into()));
    }
    query("UPDATE lane SET until = now_us() + ?2 WHERE holder = ?1")
        .bind(hub)
        .bind(lease_micros())
        .execute(&mut *tx)
        .await?;
    let taken_over = share(&mut *tx, hub, wants).await?;
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
/// The hubs that live and what they want, the last start of each folder.
const LIVING: &str = "SELECT DISTINCT ON (name) id, wants FROM hub WHERE ended_at IS NULL AND seen_at > now_us() - ?1 ORDER BY name, id DESC";
/// All lanes: whether they are held by ?1, by nobody (any more), or by an earlier process of its folder.
const LANES: &str = "SELECT l.id, l.kind, l.name, coalesce(l.holder = ?1, FALSE), l.holder IS NULL OR l.until < now_us(), \
     coalesce(l.holder IN (SELECT h.id FROM hub AS h WHERE h.id < ?1 AND h.name = (SELECT name FROM hub WHERE id = ?1)), FALSE) \
     FROM lane AS l ORDER BY l.id";
/// Those of ?2 that are still free. One whose holder has just written by it is left to the next time.
const CLAIM: &str = "UPDATE lane AS l SET holder = ?1, until = now_us() + ?3 \
     FROM (SELECT c.id, c.holder AS before, c.until FROM lane AS c WHERE c.id IN (SELECT value FROM ints(?2)) \
       AND (c.holder IS NULL OR c.until < now_us() OR c.holder IN \
         (SELECT h.id FROM hub AS h WHERE h.id < ?1 AND h.name = (SELECT name FROM hub WHERE id = ?1))) \
       ORDER BY c.id FOR UPDATE SKIP LOCKED) AS free \
     WHERE l.id = free.id RETURNING l.kind, l.number, free.before IS NOT NULL, free.until > 0";
/// The time of the lease stays: until then what was under way by this hub may still be.
const RELEASE: &str = "UPDATE lane SET holder = NULL WHERE id IN \
     (SELECT id FROM lane WHERE id IN (SELECT value FROM ints(?2)) AND holder = ?1 ORDER BY id FOR UPDATE SKIP LOCKED)";

/// Takes or lets go lanes. Whether messages were taken over from a hub that fell silent.
async fn share(tx: &mut Conn, hub: i64, wants: &Wants) -> Result<bool, StoreError> {
    let living = query(LIVING)
        .bind(lease_micros())
        .fetch_all(&mut *tx)
        .await?;
    let living = living
        .iter()
        .map(|row| Ok((row.get(0), parsed(row.get(1))?)))
        .collect::<Result<Vec<(i64, BTreeSet<String>)>, StoreError>>()?;
    let lanes = query(LANES).bind(hub).fetch_all(&mut *tx).await?;
    let lanes: Vec<Lane> = lanes
        .iter()
        .map(|row| Lane {
            id: row.get(0),
            kind: row.get(1),
            name: row.get(2),
            own: row.get(3),
            free: row.get(4),
            left: row.get(5),
        })
        .collect();
    let moves = fair(hub, &living, &lanes);
    if !moves.release.is_empty() {
        query(RELEASE)
            .bind(hub)
            .bind(json(&moves.release)?)
            .execute(&mut *tx)
            .await?;
    }
    if moves.claim.is_empty() {
        return Ok(false);
    }
    let claimed = query(CLAIM)
        .bind(hub)
        .bind(json(&moves.claim)?)
        .bind(lease_micros())
        .fetch_all(&mut *tx)
        .await?;
    let of_people: Vec<i64> = claimed
        .iter()
        .filter(|row| row.get::<&str>(0) == "person" && row.get(3))
        .map(|row| row.get(1))
        .collect();
    if !of_people.is_empty() {
        may_have_been_sent(&mut *tx, micros(wants.now), &json(&of_people)?).await?;
    }
    Ok(claimed
        .iter()
        .any(|row| row.get::<&str>(0) == "source" && row.get(2)))
}

/// A lane as a hub sees it.
#[derive(Debug)]
struct Lane {
    id: i64,
    kind: String,
    name: String,
    own: bool,
    free: bool,
    /// Left behind by an earlier process of the hub's folder: it is known to be over.
    left: bool,
}

/// What a hub takes and lets go.
#[derive(Debug, Default, PartialEq, Eq)]
struct Moves {
    claim: Vec<i64>,
    release: Vec<i64>,
}

/// The fair share: the lanes of a source, those of people, and the tasks the same hubs can do are divided
/// among the hubs that want them. A hub that does not know a source would fail its messages.
fn fair(hub: i64, living: &[(i64, BTreeSet<String>)], lanes: &[Lane]) -> Moves {
    let mut moves = Moves::default();
    let mut groups: BTreeMap<(&str, &str, Vec<i64>), Vec<&Lane>> = BTreeMap::new();
    for lane in lanes {
        let wanted = format!("{}:{}", lane.kind, lane.name);
        let team: Vec<i64> = living
            .iter()
            .filter(|(_, wants)| lane.kind == "person" || wants.contains(&wanted))
            .map(|(id, _)| *id)
            .collect();
        if team.contains(&hub) {
            let name = if lane.kind == "task" { "" } else { &lane.name };
            let group = groups.entry((&lane.kind, name, team)).or_default();
            group.push(lane);
        } else if lane.own {
            moves.release.push(lane.id);
        }
    }
    for ((_, _, team), group) in groups {
        let fair = group.len().div_ceil(team.len());
        let (own, others): (Vec<&Lane>, Vec<&Lane>) = group.into_iter().partition(|lane| lane.own);
        moves
            .release
            .extend(own.iter().skip(fair).map(|lane| lane.id));
        // What was left behind is taken whole, and let go again if it is too much: nobody else may yet.
        let (left, others): (Vec<&Lane>, Vec<&Lane>) =
            others.into_iter().partition(|lane| lane.left);
        let short = fair.saturating_sub(own.len() + left.len());
        let free = others.iter().filter(|lane| lane.free).take(short);
        moves.claim.extend(left.iter().map(|lane| lane.id));
        moves.claim.extend(free.map(|lane| lane.id));
    }
    moves
}

/// What was due in lanes that another process of a hub had may be on its way: it is sent again under its
/// id and corrected, never silently replaced. Its clock may have been ahead of this one's.
async fn may_have_been_sent(tx: &mut Conn, now: i64, numbers: &str) -> Result<(), StoreError> {
    query(
        "UPDATE delivery SET attempts = 1 WHERE state = 'pending' AND attempts = 0 AND due_at <= ?1 \
         AND person_lane(person) IN (SELECT value FROM ints(?2))",
    )
    .bind(now.saturating_add(CLOCKS_APART))
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

/// Which of these deliveries are in lanes of this hub. They stay its own until the transaction ends.
pub(super) async fn still_mine(
    tx: &mut Conn,
    ids: &[&DeliveryId],
) -> Result<BTreeSet<String>, StoreError> {
    let mine = query(
        "SELECT d.id FROM delivery AS d JOIN lane AS l ON l.kind = 'person' AND l.number = person_lane(d.person) \
         WHERE d.id IN (SELECT value FROM texts(?1)) AND (this_hub() IS NULL OR l.holder = this_hub()) FOR KEY SHARE OF l",
    )
    .bind(json(&ids)?)
    .column(tx)
    .await?;
    Ok(mine.into_iter().collect())
}

/// Refuses what was decided for people whose lane is not this hub's any more: what it would take back may
/// be on its way from another hub.
pub(super) async fn fence_people(
    tx: &mut Conn,
    people: impl Iterator<Item = PersonId>,
) -> Result<(), StoreError> {
    let numbers: BTreeSet<u64> = people
        .map(|person| person.0.unsigned_abs() % PERSON_LANES)
        .collect();
    let mine: Vec<i64> = query(
        "SELECT l.id FROM lane AS l WHERE l.kind = 'person' AND l.number IN (SELECT value FROM ints(?1)) \
         AND (this_hub() IS NULL OR l.holder = this_hub()) FOR KEY SHARE OF l",
    )
    .bind(json(&numbers)?)
    .column(tx)
    .await?;
    fence(mine.len() as u64, numbers.len())
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
    let shared = Shared::of(new.iter().map(|record| &record.facts));
    let locals = new
        .iter()
        .map(|record| format!("l{}|{}", record.facility, record.local_id.expose()));
    let turns: BTreeSet<String> = locals
        .chain(shared.births.iter().map(|text| format!("b{text}")))
        .chain(shared.called.iter().map(|(kana, _)| format!("k{kana}")))
        .chain(shared.insured.iter().map(|text| format!("i{text}")))
        .collect();
    query("SELECT pg_advisory_xact_lock(hashtextextended(t.value, 7401)) FROM (SELECT value FROM texts(?1) ORDER BY value) AS t")
        .bind(json(&turns)?)
        .fetch_all(&mut *tx)
        .await?;
    let like: Vec<i64> = shared.ids()?.column(tx).await?;
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
