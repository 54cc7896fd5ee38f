//! Accepting a group of messages in one transaction.

use std::collections::HashMap;

use renkei_core::{MessageId, Meta, Receipt};
use sha2::{Digest, Sha256};

use super::lanes::Lanes;
use super::rows::Shape;
use super::speak::{Conn, Dialect, query};
use super::{json, micros};
use crate::store::{Prepared, StoreError, StoredBody};

const MESSAGES: Shape = Shape {
    head: "INSERT INTO message (position, source, facility, control, control_hash, body_hash, lane, meta, body, received_at, reused) VALUES ",
    columns: 11,
    tail: " ON CONFLICT DO NOTHING",
};
/// In one statement, whatever the size of the group: each crosses to the driver's thread and back.
const WAITING: &str = "INSERT INTO waiting (position, lane) SELECT m.position, m.lane FROM ints(?1) AS k CROSS JOIN message AS m ON m.position = k.value \
     WHERE NOT EXISTS (SELECT 1 FROM outcome AS o WHERE o.position = m.position)";
const REFUSED: Shape = Shape {
    head: "INSERT INTO outcome (position, state, code, mapper, findings, unread, at) VALUES ",
    columns: 7,
    tail: "",
};

/// Repeats of the group's control ids, ?1.
pub(super) const LOOKUP: &str = "SELECT source, control_hash, body_hash, position FROM message WHERE control_hash IN (SELECT value FROM ints(?1))";

/// And the next position: the file has one writer.
pub(super) const LOOKUP_AND_NEXT: &str = "SELECT source, control_hash, body_hash, position FROM message WHERE control_hash IN (SELECT value FROM ints(?1)) \
     UNION ALL SELECT NULL, NULL, NULL, coalesce(max(position), 0) + 1 FROM message";

/// Body hashes and positions of earlier messages, by source and hash of the control id.
type Known = HashMap<(String, i64), Vec<([u8; 32], i64)>>;

struct Numbered<'a> {
    position: i64,
    lane: i64,
    control_hash: i64,
    reused: bool,
    prepared: &'a Prepared,
}

/// See [`crate::store::Store::accept`].
pub(super) async fn accept(
    tx: &mut Conn,
    lanes: &Lanes,
    group: &[Prepared],
) -> Result<Vec<Receipt>, StoreError> {
    let hashes: Vec<i64> = group
        .iter()
        .map(|prepared| control_hash(&prepared.message.dedup_key))
        .collect();
    let (mut known, mut positions) = known(tx, &hashes).await?;
    let mut receipts = Vec::with_capacity(group.len());
    let mut new = Vec::with_capacity(group.len());
    for (prepared, control_hash) in group.iter().zip(hashes) {
        let same_key = known
            .entry((prepared.message.source.as_str().to_owned(), control_hash))
            .or_default();
        if let Some((_, earlier)) = same_key.iter().find(|(body, _)| *body == prepared.sha256) {
            receipts.push(Receipt::Duplicate(MessageId(*earlier)));
            continue;
        }
        let position = positions
            .next()
            .ok_or_else(|| StoreError::Broken("fewer positions than messages".into()))?;
        let lane = match tx.dialect() {
            Dialect::Sqlite => prepared.lane,
            Dialect::Postgres => {
                let source = prepared.message.source.as_str();
                lanes.lane(source, prepared.lane)?
            }
        };
        new.push(Numbered {
            position,
            lane,
            control_hash,
            reused: !same_key.is_empty(),
            prepared,
        });
        same_key.push((prepared.sha256, position));
        receipts.push(Receipt::Stored(MessageId(position)));
    }
    insert(tx, &new).await?;
    Ok(receipts)
}

/// What is known of the group's control ids, and positions for its messages. On a server a sequence hands
/// them out, and what another hub commits meanwhile may lie between them.
async fn known(
    tx: &mut Conn,
    hashes: &[i64],
) -> Result<(Known, Box<dyn Iterator<Item = i64> + Send>), StoreError> {
    let (text, mut positions): (_, Box<dyn Iterator<Item = i64> + Send>) = match tx.dialect() {
        Dialect::Sqlite => (LOOKUP_AND_NEXT, Box::new(std::iter::empty())),
        Dialect::Postgres => {
            let next = query(
                "SELECT nextval(pg_get_serial_sequence('message', 'position')) FROM generate_series(1, ?1)",
            )
            .bind(i64::try_from(hashes.len()).unwrap_or(i64::MAX))
            .column(&mut *tx)
            .await?;
            (LOOKUP, Box::new(next.into_iter()))
        }
    };
    let mut known = Known::new();
    let rows = query(text).bind(json(&hashes)?).fetch_all(&mut *tx).await?;
    for row in rows {
        let Some(source) = row.get::<Option<String>>(0) else {
            positions = Box::new(row.get::<i64>(3)..);
            continue;
        };
        let body: [u8; 32] = row.get::<Vec<u8>>(2).try_into().unwrap_or([0; 32]);
        known
            .entry((source, row.get(1)))
            .or_default()
            .push((body, row.get(3)));
    }
    Ok((known, positions))
}

async fn insert(tx: &mut Conn, new: &[Numbered<'_>]) -> Result<(), StoreError> {
    let mut rows: Vec<&Numbered<'_>> = new.iter().collect();
    if tx.dialect() == Dialect::Postgres {
        // Two hubs that are told the same in another order must not wait for each other.
        rows.sort_by_key(|row| {
            let source = row.prepared.message.source.as_str();
            (source, row.control_hash, row.prepared.sha256)
        });
    }
    let inserted = MESSAGES
        .execute(tx, &rows, |query, row| {
            let message = &row.prepared.message;
            let body = match &row.prepared.body {
                StoredBody::Inline(bytes) => Some(bytes.clone()),
                StoredBody::Blob => None,
            };
            Ok(query
                .bind(row.position)
                .bind(message.source.as_str().to_owned())
                .bind(message.facility.as_str().to_owned())
                .bind(message.dedup_key.clone())
                .bind(row.control_hash)
                .bind(row.prepared.sha256.to_vec())
                .bind(row.lane)
                .bind(meta_text(&message.meta)?)
                .bind(body)
                .bind(micros(row.prepared.received_at))
                .bind(row.reused))
        })
        .await?;
    if inserted < new.len() as u64 {
        // Another hub has just committed the same bytes: looked for again, they are a repeat.
        return Err(StoreError::Conflict("the same message by two hubs".into()));
    }
    let refused: Vec<&Numbered<'_>> = new
        .iter()
        .filter(|row| row.prepared.message.refused.is_some())
        .collect();
    REFUSED
        .execute(tx, &refused, |query, row| {
            let code = row.prepared.message.refused.map(|code| code.as_str());
            Ok(query
                .bind(row.position)
                .bind("failed")
                .bind(code)
                .bind("")
                .bind("[]")
                .bind("[]")
                .bind(micros(row.prepared.received_at)))
        })
        .await?;
    if !new.is_empty() {
        let positions: Vec<i64> = new.iter().map(|row| row.position).collect();
        query(WAITING)
            .bind(json(&positions)?)
            .execute(&mut *tx)
            .await?;
    }
    let barriers: Vec<i64> = new
        .iter()
        .filter(|row| row.prepared.message.barrier && row.prepared.message.refused.is_none())
        .map(|row| row.position)
        .collect();
    if !barriers.is_empty() && tx.dialect() == Dialect::Postgres {
        query("INSERT INTO barrier (position, source) SELECT m.position, m.source FROM ints(?1) AS k JOIN message AS m ON m.position = k.value")
            .bind(json(&barriers)?)
            .execute(tx)
            .await?;
    }
    Ok(())
}

fn meta_text(meta: &Meta) -> Result<String, StoreError> {
    if *meta == Meta::default() {
        Ok("{}".to_owned())
    } else {
        json(meta)
    }
}

/// Characters at the end of a control id that change from message to message when a sender counts.
const COUNTED: usize = 3;
/// Bits for what stands before them.
const LEADING_BITS: u32 = 24;

/// 63 bits of a control id or path: a narrow index finds repeats, and a trace finds its message; source and
/// the bodies' hash decide.
///
/// The leading bits are those of the id without its last characters, so that the ids of a sender that
/// counts lie side by side: an index in random order writes a page per message.
pub(super) fn control_hash(control: &str) -> i64 {
    let counted = control.char_indices().rev().nth(COUNTED - 1);
    let leading = hash(counted.map_or("", |(at, _)| &control[..at]));
    let own = hash(control);
    let mask = u64::MAX >> LEADING_BITS;
    ((leading & !mask) | (own & mask)).cast_signed() & i64::MAX
}

fn hash(text: &str) -> u64 {
    let digest = Sha256::digest(text.as_bytes());
    let mut bytes = [0_u8; 8];
    bytes.copy_from_slice(&digest[..8]);
    u64::from_be_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_a_sender_that_counts_lie_side_by_side_and_differ() {
        let hashes: Vec<i64> = (0..1000)
            .map(|number| control_hash(&format!("SIM0000042{number:03}")))
            .collect();
        let distinct: std::collections::HashSet<_> = hashes.iter().collect();
        assert_eq!(distinct.len(), 1000);
        assert!(
            hashes
                .iter()
                .all(|hash| hash >> 40 == hashes[0] >> 40 && *hash >= 0)
        );
        assert_ne!(control_hash("SIM0000043000") >> 40, hashes[0] >> 40);
        assert_ne!(control_hash(""), control_hash("\u{3042}"));
    }
}
