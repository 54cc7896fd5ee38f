//! What peers said about our deliveries: confirmations and refusals of what was handed over, and 了解.
//!
//! A receipt names our delivery, or the peer's post at its sink. A peer may answer before the courier has
//! written down what the peer calls the post: such a receipt is kept and met when that is known.

use renkei_core::{Code, PeerReceipt, ReceiptKind};

use super::rows::Shape;
use super::speak::{Conn, query};
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

/// Of the peer's post, its first delivery.
pub(super) const RECEIPT_OF: &str = "SELECT id FROM (SELECT id, seq, sink FROM delivery WHERE id = ?2 \
     UNION ALL SELECT id, seq, sink FROM delivery WHERE sink = ?1 AND peer_ref = ?3 AND peer_ref IS NOT NULL AND ?2 IS NULL) AS found \
     WHERE sink = ?1 ORDER BY seq LIMIT 1";
/// Receipts that came before their post was known.
pub(super) const EARLY_OF: &str =
    "DELETE FROM early_receipt WHERE post IN (SELECT value FROM texts(?1)) RETURNING receipt";

/// Applies receipts; those of a post that is not known yet are kept.
pub(super) async fn apply(tx: &mut Conn, receipts: &[&PeerReceipt]) -> Result<(), StoreError> {
    let mut seen = Vec::new();
    for receipt in receipts {
        let found = query(RECEIPT_OF)
            .bind(receipt.sink.as_str().to_owned())
            .bind(receipt.delivery.as_ref().map(|id| id.as_str().to_owned()))
            .bind(receipt.post.as_ref().map(|post| post.as_str().to_owned()))
            .fetch_optional(&mut *tx)
            .await?;
        let Some(id) = found.map(|row| row.get::<String>(0)) else {
            keep(tx, receipt).await?;
            continue;
        };
        let at = micros(receipt.at);
        match &receipt.kind {
            ReceiptKind::Accepted => accepted(tx, id, at).await?,
            ReceiptKind::Refused { code } => refused(tx, id, *code).await?,
            ReceiptKind::Seen => {
                let by = receipt.by.clone().unwrap_or_default();
                seen.push((id, by, json(&receipt.professions)?, at));
            }
        }
    }
    SEEN.execute(tx, &seen, |query, (id, by, professions, at)| {
        Ok(query
            .bind(id.clone())
            .bind(by.clone())
            .bind(professions.clone())
            .bind(*at))
    })
    .await?;
    Ok(())
}

/// Meets receipts that came before the courier had written down what the peer calls these posts.
pub(super) async fn meet(tx: &mut Conn, group: &[Finish]) -> Result<(), StoreError> {
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
        .map(|row| parsed::<PeerReceipt>(row.get(0)))
        .collect::<Result<Vec<_>, _>>()?;
    apply(tx, &early.iter().collect::<Vec<_>>()).await
}

async fn keep(tx: &mut Conn, receipt: &PeerReceipt) -> Result<(), StoreError> {
    let (Some(post), None) = (&receipt.post, &receipt.delivery) else {
        return Ok(());
    };
    let at = micros(receipt.at);
    query("DELETE FROM early_receipt WHERE at < ?1")
        .bind(at - KEPT)
        .execute(&mut *tx)
        .await?;
    query("INSERT INTO early_receipt (post, receipt, at) VALUES (?1, ?2, ?3)")
        .bind(post.as_str().to_owned())
        .bind(json(receipt)?)
        .bind(at)
        .execute(&mut *tx)
        .await?;
    Ok(())
}

/// Also settles what was held because nobody knew whether it had arrived.
async fn accepted(tx: &mut Conn, id: String, at: i64) -> Result<(), StoreError> {
    query(
        "UPDATE delivery SET state = 'delivered', code = NULL, due_at = NULL, told_at = ?2 \
         WHERE id = ?1 AND (state IN ('sent', 'pending') OR (state = 'held' AND code = ?3))",
    )
    .bind(id)
    .bind(at)
    .bind(Code::DLV_UNKNOWN_OUTCOME.as_str())
    .execute(&mut *tx)
    .await?;
    Ok(())
}

async fn refused(tx: &mut Conn, id: String, code: Code) -> Result<(), StoreError> {
    let state = if code == Code::DLV_REJECTED {
        "dead"
    } else {
        "held"
    };
    query("UPDATE delivery SET state = ?2, code = ?3, due_at = NULL WHERE id = ?1 AND state IN ('sent', 'pending')")
        .bind(id)
        .bind(state)
        .bind(code.as_str())
        .execute(&mut *tx)
        .await?;
    Ok(())
}
