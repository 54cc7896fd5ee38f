//! What peers said about our deliveries: confirmations and refusals of what was handed over, and 了解.
//!
//! A receipt names our delivery, or the peer's post at its sink. A peer may answer before the courier has
//! written down what the peer calls the post: such a receipt is kept and met when that is known.

use std::collections::{BTreeMap, BTreeSet};

use renkei_core::{Code, PeerReceipt, PeerRef, ReceiptKind};

use super::rows::Shape;
use super::speak::{Conn, Dialect, query};
use super::{json, micros, parsed};
use crate::store::StoreError;
use crate::world::Finish;

/// How long a receipt of a post nobody knows is kept, in microseconds: a week. Groups hold posts that
/// are not ours.
const KEPT: i64 = 7 * 24 * 3_600 * 1_000_000;

const SEEN: Shape = Shape {
    head: "INSERT INTO seen (delivery, reader, professions, at) VALUES ",
    columns: 4,
    tail: " ON CONFLICT DO NOTHING",
};
const EARLY: Shape = Shape {
    head: "INSERT INTO early_receipt (post, receipt, at) VALUES ",
    columns: 3,
    tail: "",
};

/// ?1 tuples of place, sink, delivery, post. Of the peer's post, its first delivery.
pub(super) const RECEIPTS_OF: &str = "SELECT CAST(k.value ->> 0 AS BIGINT), coalesce(\
     (SELECT d.id FROM delivery AS d WHERE d.id = k.value ->> 2 AND d.sink = k.value ->> 1), \
     (SELECT p.id FROM delivery AS p WHERE k.value ->> 2 IS NULL AND p.sink = k.value ->> 1 AND p.peer_ref = k.value ->> 3 AND p.peer_ref IS NOT NULL \
     ORDER BY p.seq LIMIT 1)) FROM tuples(?1) AS k";
/// Receipts that came before their post was known.
pub(super) const EARLY_OF: &str =
    "DELETE FROM early_receipt WHERE post IN (SELECT value FROM texts(?1)) RETURNING id, receipt";
/// ?1 tuples of delivery, state, code.
pub(super) const REFUSED: &str = "UPDATE delivery SET state = f.value ->> 1, code = f.value ->> 2, due_at = NULL \
     FROM tuples(?1) AS f WHERE delivery.id = f.value ->> 0 AND delivery.state IN ('sent', 'pending')";
/// ?1 tuples of delivery, time. Also settles what was held because nobody knew whether it had arrived.
pub(super) const ACCEPTED: &str = "UPDATE delivery SET state = 'delivered', code = NULL, due_at = NULL, told_at = CAST(f.value ->> 1 AS BIGINT) \
     FROM tuples(?1) AS f WHERE delivery.id = f.value ->> 0 AND (delivery.state IN ('sent', 'pending') OR (delivery.state = 'held' AND delivery.code IN (?2, ?3)))";

/// Applies receipts; those of a post that is not known yet are kept. A handful of statements, however
/// many there are.
pub(super) async fn apply(tx: &mut Conn, receipts: &[&PeerReceipt]) -> Result<(), StoreError> {
    if receipts.is_empty() {
        return Ok(());
    }
    one_after_the_other(tx, receipts.iter().filter_map(|said| said.post.as_ref())).await?;
    let found = deliveries(tx, receipts).await?;
    let mut said = Said::default();
    let mut unknown = Vec::new();
    for (place, receipt) in receipts.iter().enumerate() {
        match found.get(&place) {
            Some(id) => said.hear(id, receipt)?,
            None => unknown.extend(early(receipt)?),
        }
    }
    said.write(tx).await?;
    keep(tx, &unknown).await
}

/// On a server a peer's word about a post and what the courier learned of the same post may be written at
/// the same time, by two hubs or by one: each would miss the other. So whoever writes about a post waits
/// until the other has committed. On a file there is one writer.
pub(super) async fn one_after_the_other<'p>(
    tx: &mut Conn,
    posts: impl Iterator<Item = &'p PeerRef>,
) -> Result<(), StoreError> {
    if tx.dialect() == Dialect::Sqlite {
        return Ok(());
    }
    let posts: BTreeSet<&str> = posts.map(PeerRef::as_str).collect();
    if !posts.is_empty() {
        query("SELECT pg_advisory_xact_lock(hashtextextended(t.value, 7403)) FROM (SELECT value FROM texts(?1) ORDER BY value) AS t")
            .bind(json(&posts)?)
            .fetch_all(tx)
            .await?;
    }
    Ok(())
}

/// Which delivery each receipt is about, by its place.
async fn deliveries(
    tx: &mut Conn,
    receipts: &[&PeerReceipt],
) -> Result<BTreeMap<usize, String>, StoreError> {
    let asked: Vec<_> = receipts
        .iter()
        .enumerate()
        .map(|(place, receipt)| {
            let delivery = receipt.delivery.as_ref().map(|id| id.as_str());
            let post = receipt.post.as_ref().map(|post| post.as_str());
            (place, receipt.sink.as_str(), delivery, post)
        })
        .collect();
    let rows = query(RECEIPTS_OF)
        .bind(json(&asked)?)
        .fetch_all(&mut *tx)
        .await?;
    let known = rows.iter().filter_map(|row| {
        let place = usize::try_from(row.get::<i64>(0)).ok()?;
        Some((place, row.get::<Option<String>>(1)?))
    });
    Ok(known.collect())
}

/// What a group of receipts changes, in the order they were said.
///
/// A refusal after an acceptance changes nothing, nor does a second word of a kind; an acceptance after a
/// refusal may, where the refusal found nothing to change. So it is enough to write, of each delivery, its
/// first refusal when nothing was accepted before it, and then its first acceptance.
#[derive(Default)]
struct Said {
    refused: BTreeMap<String, Code>,
    accepted: BTreeMap<String, i64>,
    seen: Vec<(String, String, String, i64)>,
}

impl Said {
    fn hear(&mut self, id: &str, receipt: &PeerReceipt) -> Result<(), StoreError> {
        let at = micros(receipt.at);
        match &receipt.kind {
            ReceiptKind::Accepted => {
                self.accepted.entry(id.to_owned()).or_insert(at);
            }
            ReceiptKind::Refused { code } if !self.accepted.contains_key(id) => {
                self.refused.entry(id.to_owned()).or_insert(*code);
            }
            ReceiptKind::Refused { .. } => {}
            ReceiptKind::Seen => {
                let by = receipt.by.clone().unwrap_or_default();
                let professions = json(&receipt.professions)?;
                self.seen.push((id.to_owned(), by, professions, at));
            }
        }
        Ok(())
    }

    async fn write(self, tx: &mut Conn) -> Result<(), StoreError> {
        if !self.refused.is_empty() {
            let rows: Vec<_> = self
                .refused
                .iter()
                .map(|(id, code)| {
                    let is_final = *code == Code::DLV_REJECTED;
                    (id, if is_final { "dead" } else { "held" }, code.as_str())
                })
                .collect();
            query(REFUSED).bind(json(&rows)?).execute(&mut *tx).await?;
        }
        if !self.accepted.is_empty() {
            query(ACCEPTED)
                .bind(json(&self.accepted.iter().collect::<Vec<_>>())?)
                .bind(Code::DLV_UNKNOWN_OUTCOME.as_str())
                .bind(Code::DLV_RESTORED.as_str())
                .execute(&mut *tx)
                .await?;
        }
        SEEN.execute(tx, &self.seen, |query, (id, by, professions, at)| {
            Ok(query
                .bind(id.clone())
                .bind(by.clone())
                .bind(professions.clone())
                .bind(*at))
        })
        .await?;
        Ok(())
    }
}

/// Meets receipts that came before the courier had written down what the peer calls these posts.
pub(super) async fn meet(tx: &mut Conn, group: &[&Finish]) -> Result<(), StoreError> {
    let posts: Vec<&str> = group
        .iter()
        .filter_map(|finish| finish.peer_ref.as_ref())
        .map(|post| post.as_str())
        .collect();
    if posts.is_empty() {
        return Ok(());
    }
    let rows = query(EARLY_OF)
        .bind(json(&posts)?)
        .fetch_all(&mut *tx)
        .await?;
    let early = rows
        .iter()
        .map(|row| Ok((row.get::<i64>(0), parsed::<PeerReceipt>(row.get(1))?)))
        .collect::<Result<BTreeMap<_, _>, StoreError>>()?;
    apply(tx, &early.values().collect::<Vec<_>>()).await
}

/// A receipt to keep: the post it names, itself, when it was said. One that names a delivery of ours that
/// does not exist is nobody's.
type Early = (String, String, i64);

fn early(receipt: &PeerReceipt) -> Result<Option<Early>, StoreError> {
    let (Some(post), None) = (&receipt.post, &receipt.delivery) else {
        return Ok(None);
    };
    let kept = (post.as_str().to_owned(), json(receipt)?, micros(receipt.at));
    Ok(Some(kept))
}

async fn keep(tx: &mut Conn, receipts: &[Early]) -> Result<(), StoreError> {
    let Some(newest) = receipts.iter().map(|(_, _, at)| *at).max() else {
        return Ok(());
    };
    query("DELETE FROM early_receipt WHERE at < ?1")
        .bind(newest - KEPT)
        .execute(&mut *tx)
        .await?;
    EARLY
        .execute(tx, receipts, |query, (post, receipt, at)| {
            Ok(query.bind(post.clone()).bind(receipt.clone()).bind(*at))
        })
        .await?;
    Ok(())
}
