//! What sinks send back ([`PeerEvent`] as JSON, written by the adapters) to receipts.

use renkei_core::peer::News;
use renkei_core::{
    Code, Draft, Finding, MapError, Mapper, MapperId, Message, PeerEvent, PeerReceipt, Severity,
};

use crate::Options;

/// Grows when the output of this mapping changes.
const VERSION: u32 = 1;

/// The mapping `peer`.
#[derive(Debug)]
pub struct Peer {
    id: MapperId,
}

impl Peer {
    /// A mapper over one source.
    pub fn new(options: &Options) -> Self {
        let id = MapperId {
            name: "peer",
            version: VERSION,
            config: options.hash(),
        };
        Self { id }
    }
}

impl Mapper for Peer {
    fn id(&self) -> MapperId {
        self.id.clone()
    }

    fn map(&self, message: &Message) -> Result<Draft, MapError> {
        let event: PeerEvent = serde_json::from_slice(&message.body).map_err(|error| MapError {
            code: Code::MAP_NOT_THIS_FORMAT,
            at: format!("line {} column {}", error.line(), error.column()),
        })?;
        let mut draft = Draft::default();
        match event.news {
            News::Receipt {
                delivery,
                post,
                kind,
                by,
                professions,
            } => draft.receipts.push(PeerReceipt {
                sink: event.sink,
                delivery,
                post,
                kind,
                by,
                professions,
                at: event.at,
            }),
            News::Other { name } => {
                draft
                    .findings
                    .push(Finding::new(Code::HL7_UNKNOWN_TYPE, Severity::Info, "news"));
                draft.unread.push(name);
            }
        }
        Ok(draft)
    }
}

#[cfg(test)]
mod tests {
    use renkei_core::{DeliveryId, FacilityId, MessageId, ReceiptKind, SinkName, SourceName};

    use super::*;

    fn map(body: &str) -> Result<Draft, MapError> {
        let facility = FacilityId::new("1312345670").unwrap();
        let message = Message {
            id: MessageId(1),
            source: SourceName::new("mcs"),
            facility: facility.clone(),
            body: body.to_owned().into(),
            meta: renkei_core::Meta::default(),
            received_at: "2025-02-01T00:00:00Z".parse().unwrap(),
        };
        Peer::new(&Options::new(facility)).map(&message)
    }

    #[test]
    fn a_receipt_names_its_delivery() {
        let event = PeerEvent {
            sink: SinkName::new("mcs"),
            news: News::Receipt {
                delivery: Some(DeliveryId::known("abc")),
                post: None,
                kind: ReceiptKind::Seen,
                by: Some("u1".to_owned()),
                professions: Vec::new(),
            },
            at: "2025-01-31T03:00:00Z".parse().unwrap(),
            raw: String::new(),
        };
        let draft = map(&serde_json::to_string(&event).unwrap()).unwrap();
        assert_eq!(draft.receipts.len(), 1);
        assert_eq!(
            (draft.receipts[0].kind.clone(), draft.receipts[0].at),
            (ReceiptKind::Seen, event.at)
        );
        assert_eq!(draft.receipts[0].delivery, Some(DeliveryId::known("abc")));
    }

    #[test]
    fn other_news_are_kept_unread_and_other_bytes_refused() {
        let other = r#"{"sink":"mcs","news":{"other":{"name":"member.joined"}},"at":"2025-01-31T03:00:00Z","raw":""}"#;
        let draft = map(other).unwrap();
        assert!(draft.receipts.is_empty());
        assert_eq!(draft.unread, ["member.joined"]);
        assert_eq!(map("{}").unwrap_err().code, Code::MAP_NOT_THIS_FORMAT);
    }
}
