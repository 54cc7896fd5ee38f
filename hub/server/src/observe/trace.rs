//! Spans around the groups of the walk, for developers: accept, process, settle, deliver, finish. They
//! are only made when a collector is configured (`[observe] otlp`, feature `otel`), and never written to
//! the log. Attributes are counts, configured names, positions in the inbox and delivery ids: nothing of
//! a patient.

use renkei_core::{DeliveryId, MessageId, SinkName};
use tracing::{Span, info_span};

/// By which the log tells these spans from what it is meant to write.
pub(crate) const TARGET: &str = "renkei::span";

/// Stop 2: a group is committed.
pub(crate) fn accept(messages: usize) -> Span {
    info_span!(target: TARGET, "accept group", messages)
}

/// Stops 3 to 6: a batch is mapped, decided and applied.
pub(crate) fn process(messages: usize, first: Option<MessageId>) -> Span {
    let first_position = first.map(|position| position.0);
    info_span!(target: TARGET, "process batch", messages, first_position)
}

/// Stops 6 to 8: due notices are framed and written.
pub(crate) fn settle(notices: usize, deliveries: usize) -> Span {
    info_span!(target: TARGET, "settle", notices, deliveries)
}

/// Stop 9: a group is looked at, sent and finished.
pub(crate) fn deliver(sink: &SinkName, deliveries: &[DeliveryId]) -> Span {
    let first_delivery = deliveries.first().map(DeliveryId::as_str);
    info_span!(target: TARGET, "deliver group", %sink, deliveries = deliveries.len(), first_delivery)
}

/// Stop 9: what became of a group is written.
pub(crate) fn finish(deliveries: usize) -> Span {
    info_span!(target: TARGET, "finish", deliveries)
}
