//! The mappings in Rust over any bytes.

use renkei_core::{Message, MessageId, Meta, SourceName};

use super::local::{draft_holds, options};

/// Folders of an SS-MIX2 storage; they decide how a message in them is read.
const DATA_TYPES: [&str; 12] = [
    "ADT-00", "ADT-12", "ADT-22", "ADT-42", "ADT-52", "ADT-61", "PPR-01", "OMP-01", "OMP-02",
    "OML-01", "OML-11", "OMG-13",
];

/// Reads a message as the first byte says: `hl7v2`, `document`, `peer`, or `ssmix2` from one of its folders.
/// Refused, or a draft whose resources are what their keys say; the same twice.
pub(crate) fn message(data: &[u8]) {
    let Some((&way, body)) = data.split_first() else {
        return;
    };
    let (name, data_type) = match usize::from(way) % (3 + DATA_TYPES.len()) {
        0 => ("hl7v2", None),
        1 => ("document", None),
        2 => ("peer", None),
        folder => ("ssmix2", Some(DATA_TYPES[folder - 3])),
    };
    let mapper = renkei_mappings::build(name, options()).expect("a name of the list");
    let message = Message {
        id: MessageId(1),
        source: SourceName::new("fuzz"),
        facility: options().facility,
        body: body.to_vec().into(),
        meta: Meta {
            data_type: data_type.map(str::to_owned),
            ..Meta::default()
        },
        received_at: "2025-03-01T00:00:00Z".parse().expect("a time"),
    };
    let first = mapper.map(&message);
    if let Ok(draft) = &first {
        draft_holds(draft);
    }
    let again = mapper.map(&message);
    assert_eq!(format!("{first:?}"), format!("{again:?}"));
}

/// The messages and documents of `fixtures/`, each in every way that may suit it.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for file in super::fixtures() {
        let ways: &[u8] = match file.extension().and_then(|end| end.to_str()) {
            Some("hl7") => &[0, 3, 5, 7, 9, 10, 13],
            Some("xml" | "pdf") => &[1, 3],
            Some("json") => &[2],
            _ => &[],
        };
        let body = std::fs::read(&file).expect("a fixture");
        seeds.extend(ways.iter().map(|way| [&[*way][..], &body].concat()));
    }
    seeds
}
