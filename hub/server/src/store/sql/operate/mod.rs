//! The operator's verbs on SQLite. Every change is one short transaction on the writer, with its audit
//! line inside; lists come from the read pool.

pub(super) mod audit;
mod channels;
mod consents;
mod deliveries;
mod messages;
mod people;
mod recall;
mod report;
mod reviews;
mod trace;

use async_trait::async_trait;
use jiff::Timestamp;
use renkei_core::{
    ChannelId, ChannelView, DeliveryId, FacilityId, LocalId, MessageId, PersonId, RecordId,
    SinkName,
};

use super::writer::{Body, Priority};
use super::{Database, micros};
use crate::config::SinkMode;
use crate::store::operator::{
    AuditCheck, By, ChannelFilter, ChannelLine, ChannelRow, ConsentRow, Decision, DeliveryDetail,
    DeliveryFilter, DeliveryLine, DeskLine, EventRow, Import, LedgerCounts, MessageDetail,
    MessageFilter, MessageLine, OperateError, Operator, PersonFilter, PersonLine, Proposal,
    Recalled, Render, ReviewLine, RowResult, Selection, SinkOverride, Status, Trace,
};
use crate::store::sql::speak::{Conn, query};

/// Rows of an import written in one transaction.
const IMPORT_CHUNK: usize = 200;

impl Database {
    /// One operator's transaction.
    pub(super) async fn operate<T, F>(&self, body: F) -> Result<T, OperateError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut Conn) -> Body<'c, T, OperateError> + Send + 'static,
    {
        self.writer.write(Priority::Finish, body).await
    }
}

/// The limit of a list: 0 asks for the usual hundred.
fn at_most(limit: u32) -> i64 {
    if limit == 0 { 100 } else { i64::from(limit) }
}

/// The limit of an act: 0 means all.
fn everything_or(limit: u32) -> i64 {
    if limit == 0 {
        i64::MAX
    } else {
        i64::from(limit)
    }
}

/// The person of the records that no person is known for but a reviewer wants one: a number that the
/// engine's own numbering, which counts up from 1, cannot take meanwhile.
fn person_of_record(record: RecordId) -> PersonId {
    PersonId(-record.0)
}

#[async_trait]
impl Operator for Database {
    async fn enrol(
        &self,
        patients: &[(FacilityId, LocalId)],
        by: &By,
    ) -> Result<u64, OperateError> {
        let (patients, by) = (patients.to_vec(), by.clone());
        self.operate(move |tx| Box::pin(async move { people::enrol(tx, &patients, &by).await }))
            .await
    }

    async fn unenrol(
        &self,
        patients: &[(FacilityId, LocalId)],
        by: &By,
    ) -> Result<u64, OperateError> {
        let (patients, by) = (patients.to_vec(), by.clone());
        self.operate(move |tx| Box::pin(async move { people::unenrol(tx, &patients, &by).await }))
            .await
    }

    async fn import_consents(
        &self,
        rows: &[ConsentRow],
        by: &By,
        how: Import,
    ) -> Result<Vec<RowResult>, OperateError> {
        let mut results = Vec::with_capacity(rows.len());
        for chunk in rows.chunks(IMPORT_CHUNK) {
            let (chunk, by, first) = (chunk.to_vec(), by.clone(), results.len() + 1);
            let done = self.operate(move |tx| {
                Box::pin(async move { consents::import(tx, &chunk, first, &by, how).await })
            });
            results.extend(done.await?);
        }
        Ok(results)
    }

    async fn import_channels(
        &self,
        rows: &[ChannelRow],
        by: &By,
        how: Import,
    ) -> Result<Vec<RowResult>, OperateError> {
        let mut results = Vec::with_capacity(rows.len());
        for chunk in rows.chunks(IMPORT_CHUNK) {
            let (chunk, by, first) = (chunk.to_vec(), by.clone(), results.len() + 1);
            let done = self.operate(move |tx| {
                Box::pin(async move { channels::import(tx, &chunk, first, &by, how).await })
            });
            results.extend(done.await?);
        }
        Ok(results)
    }

    async fn propose(
        &self,
        sink: &SinkName,
        views: &[ChannelView],
        by: &By,
    ) -> Result<Vec<Proposal>, OperateError> {
        let (sink, views, by) = (sink.clone(), views.to_vec(), by.clone());
        self.operate(move |tx| {
            Box::pin(async move { channels::propose(tx, &sink, &views, &by).await })
        })
        .await
    }

    async fn confirm_channel(&self, channel: ChannelId, by: &By) -> Result<(), OperateError> {
        let by = by.clone();
        self.operate(move |tx| Box::pin(async move { channels::confirm(tx, channel, &by).await }))
            .await
    }

    async fn break_channel(&self, channel: ChannelId, by: &By) -> Result<(), OperateError> {
        let by = by.clone();
        self.operate(move |tx| Box::pin(async move { channels::break_off(tx, channel, &by).await }))
            .await
    }

    async fn list_channels(
        &self,
        filter: &ChannelFilter,
    ) -> Result<Vec<ChannelLine>, OperateError> {
        Ok(channels::list(&self.reads, filter).await?)
    }

    async fn people(&self, filter: &PersonFilter) -> Result<Vec<PersonLine>, OperateError> {
        Ok(people::list(&self.reads, filter).await?)
    }

    async fn reviews(&self) -> Result<Vec<ReviewLine>, OperateError> {
        Ok(reviews::open(&self.reads).await?)
    }

    async fn decide_review(
        &self,
        record: RecordId,
        decision: Decision,
        by: &By,
    ) -> Result<u64, OperateError> {
        let by = by.clone();
        self.operate(move |tx| {
            Box::pin(async move { reviews::decide(tx, record, decision, &by).await })
        })
        .await
    }

    async fn relink(
        &self,
        record: RecordId,
        person: Option<PersonId>,
        by: &By,
    ) -> Result<PersonId, OperateError> {
        let by = by.clone();
        self.operate(move |tx| {
            Box::pin(async move { reviews::relink(tx, record, person, &by).await })
        })
        .await
    }

    async fn messages(&self, filter: &MessageFilter) -> Result<Vec<MessageLine>, OperateError> {
        Ok(messages::list(&self.reads, filter).await?)
    }

    async fn message(&self, id: MessageId) -> Result<Option<MessageDetail>, OperateError> {
        Ok(messages::details(&self.reads, &[id.0]).await?.pop())
    }

    async fn replay(
        &self,
        which: &Selection<MessageId, MessageFilter>,
        release: bool,
        by: &By,
    ) -> Result<u64, OperateError> {
        let (which, by) = (which.clone(), by.clone());
        self.operate(move |tx| {
            Box::pin(async move { messages::replay(tx, &which, release, &by).await })
        })
        .await
    }

    async fn deliveries(&self, filter: &DeliveryFilter) -> Result<Vec<DeliveryLine>, OperateError> {
        Ok(deliveries::list(&self.reads, filter).await?)
    }

    async fn delivery(&self, id: &DeliveryId) -> Result<Option<DeliveryDetail>, OperateError> {
        Ok(deliveries::detail(&self.reads, id).await?)
    }

    async fn release(
        &self,
        which: &Selection<DeliveryId, DeliveryFilter>,
        by: &By,
    ) -> Result<u64, OperateError> {
        let (which, by) = (which.clone(), by.clone());
        self.operate(move |tx| Box::pin(async move { deliveries::release(tx, &which, &by).await }))
            .await
    }

    async fn retry(
        &self,
        which: &Selection<DeliveryId, DeliveryFilter>,
        by: &By,
    ) -> Result<u64, OperateError> {
        let (which, by) = (which.clone(), by.clone());
        self.operate(move |tx| Box::pin(async move { deliveries::retry(tx, &which, &by).await }))
            .await
    }

    async fn desk(&self) -> Result<Vec<DeskLine>, OperateError> {
        Ok(deliveries::desk(&self.reads).await?)
    }

    async fn desk_done(&self, id: &DeliveryId, by: &By) -> Result<(), OperateError> {
        let (id, by) = (id.clone(), by.clone());
        self.operate(move |tx| Box::pin(async move { deliveries::desk_done(tx, &id, &by).await }))
            .await
    }

    async fn sink_override(
        &self,
        sink: &SinkName,
        mode: Option<SinkMode>,
        paused: Option<bool>,
        by: &By,
    ) -> Result<(), OperateError> {
        let (sink, by) = (sink.clone(), by.clone());
        self.operate(move |tx| {
            Box::pin(async move { report::set_sink(tx, &sink, mode, paused, &by).await })
        })
        .await
    }

    async fn sink_overrides(&self) -> Result<Vec<SinkOverride>, OperateError> {
        Ok(report::sinks(&self.reads).await?)
    }

    async fn recall(
        &self,
        id: &DeliveryId,
        by: &By,
        render: Render,
    ) -> Result<Recalled, OperateError> {
        let (id, by) = (id.clone(), by.clone());
        self.operate(move |tx| Box::pin(async move { recall::recall(tx, &id, &by, &render).await }))
            .await
    }

    async fn trace(&self, term: &str) -> Result<Trace, OperateError> {
        Ok(trace::trace(&self.reads, term).await?)
    }

    async fn status(&self, now: Timestamp) -> Result<Status, OperateError> {
        Ok(report::status(&self.reads, now).await?)
    }

    async fn ledger_counts(&self) -> Result<LedgerCounts, OperateError> {
        Ok(report::counts(&self.reads).await?)
    }

    async fn event_rows(&self) -> Result<Vec<EventRow>, OperateError> {
        Ok(report::events(&self.reads).await?)
    }

    async fn check_audit(&self) -> Result<AuditCheck, OperateError> {
        Ok(audit::check(&self.reads).await?)
    }
}

/// Lets the notices of a record be routed again: those of the last 30 days that have something unsent.
async fn reroute_unsent(
    tx: &mut Conn,
    record: RecordId,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let since = now.checked_sub(crate::compose::FOLLOWED).map_or(0, micros);
    query(
        "INSERT INTO reroute (notice) SELECT n.id FROM notice AS n WHERE n.record = ?1 AND n.occurred_at >= ?2 \
         AND EXISTS (SELECT 1 FROM delivery AS d WHERE d.notice = n.id AND d.state IN ('pending', 'held'))",
    )
    .bind(record.0)
    .bind(since)
    .execute(tx)
    .await?;
    Ok(())
}
