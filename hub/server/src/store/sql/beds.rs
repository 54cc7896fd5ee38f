//! See [`crate::store::beds::Beds`].

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use jiff::Timestamp;
use renkei_core::{BedStatus, MessageId, SourceName};

use super::rows::{Filling, Shape};
use super::speak::{Conn, Line, Pool, query};
use super::writer::Priority;
use super::{Database, instant, json, micros, parsed};
use crate::beds::{Bedside, Kept, Known, Ward};
use crate::store::StoreError;
use crate::store::beds::{BedPost, Beds, HistoryOf, Stays};
use crate::world::{Effects, World};

/// Of two writers of one ward the one with the newer row is right, whoever comes last.
const WARDS: Shape = Shape {
    head: "INSERT INTO bed (hospital, ward, updated_at, valid_until, received_at, source, message, body) VALUES ",
    columns: 8,
    tail: " ON CONFLICT (hospital, ward) DO UPDATE SET updated_at = excluded.updated_at, valid_until = excluded.valid_until, \
           received_at = excluded.received_at, source = excluded.source, message = excluded.message, body = excluded.body \
           WHERE excluded.updated_at > bed.updated_at",
};
const HISTORY: Shape = Shape {
    head: "INSERT INTO bed_history (hospital, ward, updated_at, valid_until, received_at, source, message, body, late) VALUES ",
    columns: 9,
    tail: " ON CONFLICT DO NOTHING",
};
const STAYS: Shape = Shape {
    head: "INSERT INTO bed_stay (stay, hospital, ward, place) VALUES ",
    columns: 4,
    tail: " ON CONFLICT (stay) DO UPDATE SET hospital = excluded.hospital, ward = excluded.ward, place = excluded.place",
};
/// What was said last of a bed counts; of two at the same time the one that came last.
const STATES: Shape = Shape {
    head: "INSERT INTO bed_state (hospital, place, ward, status, at) VALUES ",
    columns: 5,
    tail: " ON CONFLICT (hospital, place) DO UPDATE SET ward = excluded.ward, status = excluded.status, at = excluded.at \
           WHERE excluded.at >= bed_state.at",
};
const HEARD: Shape = Shape {
    head: "INSERT INTO bed_heard (hospital, at) VALUES ",
    columns: 2,
    tail: " ON CONFLICT (hospital) DO UPDATE SET at = greatest(bed_heard.at, excluded.at)",
};
const COLUMNS: &str = "b.updated_at, b.valid_until, b.received_at, b.source, b.message, b.body";

fn known(row: &Line) -> Result<Known, StoreError> {
    Ok(Known {
        valid_until: instant(row.get(1)),
        received_at: instant(row.get(2)),
        source: SourceName::new(row.get::<String>(3)),
        message: row.get::<Option<i64>>(4).map(MessageId),
        bed: parsed(row.get(5))?,
    })
}

fn filled(filling: Filling, known: &Known) -> Result<Filling, StoreError> {
    Ok(filling
        .bind(&known.bed.hospital_code)
        .bind(&known.bed.ward_code)
        .bind(micros(known.bed.updated_at))
        .bind(micros(known.valid_until))
        .bind(micros(known.received_at))
        .bind(known.source.as_str())
        .bind(known.message.map(|message| message.0))
        .bind(json(&known.bed)?))
}

/// The wards a batch speaks of.
pub(super) async fn load(
    reads: &Pool,
    wards: &BTreeSet<Ward>,
    world: &mut World,
) -> Result<(), StoreError> {
    let keys: Vec<(&str, &str)> = wards
        .iter()
        .map(|ward| (&*ward.hospital, &*ward.code))
        .collect();
    let rows = query(format!(
        "SELECT {COLUMNS} FROM tuples(?1) AS k CROSS JOIN bed AS b ON b.hospital = k.value ->> 0 AND b.ward = k.value ->> 1"
    ));
    for row in rows.bind(json(&keys)?).fetch_all(reads).await? {
        let known = known(&row)?;
        world.beds.insert(Ward::of(&known.bed), known);
    }
    Ok(())
}

/// Writes what a batch says about beds. Nothing is said where there is nothing.
pub(super) async fn apply(tx: &mut Conn, effects: &Effects) -> Result<(), StoreError> {
    write(tx, &effects.beds).await?;
    stays(tx, effects).await?;
    let states: Vec<_> = effects.bed_states.iter().collect();
    STATES
        .execute(tx, &states, |filling, ((hospital, place), state)| {
            Ok(filling
                .bind(hospital)
                .bind(place)
                .bind(&state.ward)
                .bind(state.status.code())
                .bind(micros(state.at)))
        })
        .await?;
    let heard: Vec<(&String, &Timestamp)> = effects.heard.iter().collect();
    HEARD
        .execute(tx, &heard, |filling, (hospital, at)| {
            Ok(filling.bind(*hospital).bind(micros(**at)))
        })
        .await?;
    Ok(())
}

async fn stays(tx: &mut Conn, effects: &Effects) -> Result<(), StoreError> {
    if effects.stays.is_empty() {
        return Ok(());
    }
    // Whoever lay in a bed has overtaken what was said of it before.
    let noted = effects.stays.iter();
    let noted: Vec<(&String, i64)> = noted
        .map(|(stay, noted)| (stay, micros(noted.at)))
        .collect();
    query(
        "DELETE FROM bed_state WHERE (hospital, place) IN (SELECT s.hospital, s.place FROM tuples(?1) AS k \
         CROSS JOIN bed_stay AS b ON b.stay = k.value ->> 0 \
         CROSS JOIN bed_state AS s ON s.hospital = b.hospital AND s.place = b.place \
         WHERE s.at < CAST(k.value ->> 1 AS BIGINT))",
    )
    .bind(json(&noted)?)
    .execute(&mut *tx)
    .await?;
    let open: Vec<(&String, &Bedside)> = effects
        .stays
        .iter()
        .filter_map(|(stay, noted)| Some((stay, noted.lies.as_ref()?)))
        .collect();
    STAYS
        .execute(tx, &open, |filling, (stay, lies)| {
            Ok(filling
                .bind(*stay)
                .bind(&lies.ward.hospital)
                .bind(&lies.ward.code)
                .bind(&lies.place))
        })
        .await?;
    let ended = effects
        .stays
        .iter()
        .filter(|(_, noted)| noted.lies.is_none());
    let ended: Vec<&String> = ended.map(|(stay, _)| stay).collect();
    if !ended.is_empty() {
        query("DELETE FROM bed_stay WHERE stay IN (SELECT value FROM texts(?1))")
            .bind(json(&ended)?)
            .execute(&mut *tx)
            .await?;
    }
    Ok(())
}

async fn write(tx: &mut Conn, rows: &[Kept]) -> Result<(), StoreError> {
    // One row may be written once in a statement, and everybody takes the rows in the same order.
    let mut newest: BTreeMap<Ward, &Known> = BTreeMap::new();
    for kept in rows.iter().filter(|kept| !kept.late) {
        newest.insert(Ward::of(&kept.known.bed), &kept.known);
    }
    let newest: Vec<&Known> = newest.into_values().collect();
    WARDS
        .execute(tx, &newest, |filling, known| filled(filling, known))
        .await?;
    let mut rows: Vec<&Kept> = rows.iter().collect();
    rows.sort_by_cached_key(|kept| (Ward::of(&kept.known.bed), kept.known.bed.updated_at));
    HISTORY
        .execute(tx, &rows, |filling, kept| {
            Ok(filled(filling, &kept.known)?.bind(kept.late))
        })
        .await?;
    Ok(())
}

#[async_trait]
impl Beds for Database {
    async fn wards(&self) -> Result<Vec<Known>, StoreError> {
        let rows = query(format!(
            "SELECT {COLUMNS} FROM bed AS b ORDER BY b.hospital, b.ward"
        ))
        .fetch_all(&self.reads)
        .await?;
        rows.iter().map(known).collect()
    }

    async fn ward_history(&self, of: &HistoryOf) -> Result<Vec<Kept>, StoreError> {
        let ward = if of.ward.is_some() {
            "b.ward = ?4"
        } else {
            "TRUE"
        };
        let mut rows = query(format!(
            "SELECT {COLUMNS}, b.late FROM bed_history AS b WHERE b.hospital = ?1 AND b.updated_at >= ?2 AND {ward} \
             ORDER BY b.updated_at DESC, b.ward LIMIT ?3"
        ))
        .bind(&of.hospital)
        .bind(micros(of.since))
        .bind(of.limit);
        if let Some(ward) = &of.ward {
            rows = rows.bind(ward);
        }
        let rows = rows.fetch_all(&self.reads).await?;
        let kept = |row: &Line| {
            Ok(Kept {
                known: known(row)?,
                late: row.get(6),
            })
        };
        rows.iter().map(kept).collect()
    }

    async fn stays(&self, hospital: &str) -> Result<Stays, StoreError> {
        let heard = query("SELECT at FROM bed_heard WHERE hospital = ?1")
            .bind(hospital)
            .fetch_optional(&self.reads)
            .await?;
        let rows = query("SELECT ward, count(*) FROM bed_stay WHERE hospital = ?1 GROUP BY ward")
            .bind(hospital)
            .fetch_all(&self.reads)
            .await?;
        let said = query(
            "SELECT s.ward, s.status, count(*) FROM bed_state AS s WHERE s.hospital = ?1 AND s.status <> 'U' \
             AND NOT EXISTS (SELECT 1 FROM bed_stay AS b WHERE b.hospital = s.hospital AND b.ward = s.ward AND b.place = s.place) \
             GROUP BY s.ward, s.status",
        )
        .bind(hospital)
        .fetch_all(&self.reads)
        .await?;
        let of_ward = |row: &Line| {
            let status = BedStatus::find(&row.get::<String>(1))?;
            Some(((row.get(0), status), row.get(2)))
        };
        Ok(Stays {
            heard: heard.map(|row| instant(row.get(0))),
            by_ward: rows.iter().map(|row| (row.get(0), row.get(1))).collect(),
            said: said.iter().filter_map(of_ward).collect(),
        })
    }

    async fn put_counted(&self, rows: Vec<Known>) -> Result<(), StoreError> {
        let rows = rows.into_iter();
        let rows: Vec<Kept> = rows.map(|known| Kept { known, late: false }).collect();
        self.writer
            .write(Priority::Finish, move |tx| {
                Box::pin(async move { write(tx, &rows).await })
            })
            .await
    }

    async fn forget_beds(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let rows = query("SELECT hospital, ward, updated_at FROM bed_history WHERE received_at < ?1 ORDER BY received_at LIMIT ?2")
            .bind(micros(before))
            .bind(limit)
            .fetch_all(&self.reads)
            .await?;
        let old: Vec<(String, String, i64)> = rows
            .iter()
            .map(|row| (row.get(0), row.get(1), row.get(2)))
            .collect();
        if old.is_empty() {
            return Ok(0);
        }
        let old = json(&old)?;
        self.writer
            .write(Priority::Keep, move |tx| {
                Box::pin(async move {
                    let forget = query(
                        "DELETE FROM bed_history WHERE EXISTS (SELECT 1 FROM tuples(?1) AS k WHERE k.value ->> 0 = bed_history.hospital \
                         AND k.value ->> 1 = bed_history.ward AND CAST(k.value ->> 2 AS BIGINT) = bed_history.updated_at)",
                    );
                    Ok(forget.bind(old).execute(&mut *tx).await?)
                })
            })
            .await
    }

    async fn bed_post(&self, subscriber: &str) -> Result<Option<BedPost>, StoreError> {
        let row = query(
            "SELECT number, seen, body, made_at, taken_at FROM bed_post WHERE subscriber = ?1",
        )
        .bind(subscriber)
        .fetch_optional(&self.reads)
        .await?;
        Ok(row.map(|row| BedPost {
            subscriber: subscriber.to_owned(),
            number: row.get(0),
            seen: row.get(1),
            body: row.get(2),
            made_at: instant(row.get(3)),
            taken_at: row.get::<Option<i64>>(4).map(instant),
        }))
    }

    async fn put_bed_post(&self, post: &BedPost) -> Result<bool, StoreError> {
        let put = query(
            "INSERT INTO bed_post (subscriber, number, seen, body, made_at, taken_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
             ON CONFLICT (subscriber) DO UPDATE SET number = excluded.number, seen = excluded.seen, body = excluded.body, \
             made_at = excluded.made_at, taken_at = excluded.taken_at WHERE bed_post.number < excluded.number",
        )
        .bind(&post.subscriber)
        .bind(post.number)
        .bind(&post.seen)
        .bind(&post.body)
        .bind(micros(post.made_at))
        .bind(post.taken_at.map(micros));
        self.writer
            .write(Priority::Finish, move |tx| {
                Box::pin(async move { Ok(put.clone().execute(&mut *tx).await? > 0) })
            })
            .await
    }

    async fn bed_post_taken(&self, post: &BedPost, at: Timestamp) -> Result<(), StoreError> {
        let taken =
            query("UPDATE bed_post SET taken_at = ?3 WHERE subscriber = ?1 AND number = ?2")
                .bind(&post.subscriber)
                .bind(post.number)
                .bind(micros(at));
        self.writer
            .write(Priority::Finish, move |tx| {
                Box::pin(async move {
                    taken.clone().execute(&mut *tx).await?;
                    Ok(())
                })
            })
            .await
    }
}
