//! The closed list of codes an operator may see. Each has a page `ops/errors/<CODE>.md`, Japanese
//! first, then English: meaning, likely cause, what to do. A test fails when a page is missing.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One stable code, such as `RNK-MAP-003`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code {
    name: &'static str,
    title: &'static str,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $ident:ident = $name:literal, $title:literal;)*) => {
        impl Code {
            $(#[doc = $title] pub const $ident: Self = Self { name: $name, title: $title };)*
            /// Every code there is, in the order of this file.
            pub const ALL: &'static [Self] = &[$(Self::$ident),*];
        }
    };
}

codes! {
    // CHR: bytes to text
    CHARSET_MISMATCH = "RNK-CHR-001", "the bytes are not in the character set the message declares";
    CHARSET_UNDECODABLE = "RNK-CHR-002", "bytes that no accepted character set explains";
    CHARSET_GAIJI = "RNK-CHR-003", "a character outside the standard set, or its substitute mark, stands in the text";
    CHARSET_HALF_KANA = "RNK-CHR-004", "half-width kana was widened";
    CHARSET_VENDOR_CHARACTER = "RNK-CHR-005", "a vendor character (NEC row 13, IBM extension) stands in the text";
    CHARSET_UNTERMINATED = "RNK-CHR-006", "a kanji run did not return to ASCII before the end of its segment";
    CHARSET_GAIJI_IN_NAME = "RNK-CHR-007", "a character of the patient's name could not be read; a person must decide";
    // HL7: text to segments
    HL7_NO_MSH = "RNK-HL7-001", "the message does not start with a readable MSH segment";
    HL7_UNKNOWN_TYPE = "RNK-HL7-002", "this message type is recorded but not read";
    HL7_TYPE_MISMATCH = "RNK-HL7-003", "MSH-9 and the data-type folder name different things; the folder was followed";
    HL7_SEGMENT_MISSING = "RNK-HL7-004", "a segment this message type needs is missing";
    HL7_SEGMENT_UNKNOWN = "RNK-HL7-005", "a segment of an unknown name was kept but not read";
    HL7_ENCODING_CHARACTERS = "RNK-HL7-006", "MSH-2 holds unusual encoding characters";
    HL7_BATCH_COUNT = "RNK-HL7-007", "the batch trailer counts other messages than were found";
    HL7_FRAME_TRUNCATED = "RNK-HL7-008", "the connection ended inside a frame";
    HL7_FRAME_TOO_LARGE = "RNK-HL7-009", "the frame is larger than the limit";
    HL7_MERGE_PARKED = "RNK-HL7-010", "a merge or move of identity waits for a person";
    HL7_ACK_WITHOUT_CONTROL_ID = "RNK-HL7-011", "the message has no control id (MSH-10)";
    // MAP: segments to FHIR
    MAP_NOT_THIS_FORMAT = "RNK-MAP-001", "the bytes are not in the format this mapping reads";
    MAP_NO_PATIENT = "RNK-MAP-002", "no patient number (PID-3)";
    MAP_BAD_DATE = "RNK-MAP-003", "a date or time that cannot be read; the field was left out";
    MAP_ERA_DATE = "RNK-MAP-004", "a Japanese-era date where HL7 wants the Gregorian calendar; the field was left out";
    MAP_FUTURE_DATE = "RNK-MAP-005", "a time more than a day in the future; the time of receipt was used";
    MAP_BAD_NUMBER = "RNK-MAP-006", "a value of numeric type that is not a number; it was kept as text";
    MAP_UNKNOWN_CODE = "RNK-MAP-007", "a code that is not in its table; its text was kept";
    MAP_LOCAL_CODE = "RNK-MAP-008", "a local code without a standard one beside it";
    MAP_UNKNOWN_UNIT = "RNK-MAP-009", "a unit with no UCUM form; its text was kept";
    MAP_NO_CODE = "RNK-MAP-010", "an entry with neither code nor text was left out";
    MAP_NAME_FORM = "RNK-MAP-011", "a name in an unusual form was read by its script";
    MAP_NAME_MISSING = "RNK-MAP-012", "no name (PID-5)";
    MAP_OUTPATIENT_A01 = "RNK-MAP-013", "an admission message for an outpatient was read as a visit";
    MAP_PATIENT_MISMATCH = "RNK-MAP-014", "the patient number in the message differs from the one in the storage path";
    MAP_NO_TIME = "RNK-MAP-015", "no time of the event; the best other time in the message was used";
    MAP_RANGE_AS_TEXT = "RNK-MAP-016", "a reference range that cannot be parsed was kept as text";
    MAP_STATUS_UNKNOWN = "RNK-MAP-017", "a result status that is not in HL7 table 0085";
    MAP_NO_PLANNED_DATE = "RNK-MAP-018", "a planned event without its date";
    MAP_DOSE_NULL = "RNK-MAP-019", "the dose is marked as not expressible";
    MAP_CODE_MISPLACED = "RNK-MAP-020", "code and text stand in each other's place";
    MAP_ROW_INCOMPLETE = "RNK-MAP-021", "a row without a value was recorded without one";
    MAP_PATH_UNEXPECTED = "RNK-MAP-022", "a storage path of an unexpected form";
    MAP_IDENTIFIER_MISSING = "RNK-MAP-023", "an order without an order number; its place in the message was used";
    MAP_ATTACHMENT = "RNK-MAP-024", "bytes inside a result were left in the message; its row was recorded without them";
    // MAP 1xx: local mappings. 101 to 119 stand in the mapping, 120 and up in what it reads
    MAP_YAML = "RNK-MAP-101", "the mapping is not YAML, or uses what a mapping may not hold";
    MAP_KEY = "RNK-MAP-102", "a key of the mapping that does not exist, is missing, or holds the wrong form";
    MAP_SYNTAX = "RNK-MAP-103", "an expression that cannot be read";
    MAP_FUNCTION = "RNK-MAP-104", "a function that does not exist";
    MAP_ARGUMENTS = "RNK-MAP-105", "a function with too many, too few or wrong arguments";
    MAP_KIND = "RNK-MAP-106", "a value of the wrong kind for its place";
    MAP_TABLE = "RNK-MAP-107", "a table, or a column of it, that does not exist or cannot be read";
    MAP_ELEMENT = "RNK-MAP-108", "an element or resource that FHIR R4 does not have";
    MAP_FIELD = "RNK-MAP-109", "a field the source does not have";
    MAP_EXTENDS = "RNK-MAP-110", "a mapping that extends an unknown one, or in a circle itself";
    MAP_LIMIT = "RNK-MAP-111", "a mapping, table, input or result larger than its limit";
    MAP_TEST = "RNK-MAP-112", "a test beside the mapping that does not hold";
    MAP_NOT_TAKEN_OVER = "RNK-MAP-113", "a changed mapping was not taken over; the earlier version goes on";
    MAP_ROW_SHAPE = "RNK-MAP-120", "a row of another shape than the layout; it was not read";
    MAP_COLUMN_MISSING = "RNK-MAP-121", "the file lacks a column the mapping names";
    MAP_REQUIRED_EMPTY = "RNK-MAP-122", "a required value is not there; what needs it was left out";
    MAP_JOIN_MISSING = "RNK-MAP-123", "a result whose order is not there; it was not read";
    MAP_SEVERAL_SUBJECTS = "RNK-MAP-124", "one message about several patients; it must be split first";
    MAP_VALUE_REFUSED = "RNK-MAP-125", "a value that is not what its function reads; it was left out";
    MAP_LOW_CONFIDENCE = "RNK-MAP-126", "a field that was read with too little confidence; it was left out";
    MAP_DUPLICATE = "RNK-MAP-127", "two rows about the same thing; the later one counts";
    // DOC: documents
    DOC_UNKNOWN_KIND = "RNK-DOC-001", "a document of an unknown kind was kept as another document";
    DOC_NO_SIDECAR = "RNK-DOC-002", "a document without its row in the sidecar file";
    DOC_SIDECAR_ROW = "RNK-DOC-003", "a row of the sidecar file that cannot be used";
    DOC_TOO_LARGE = "RNK-DOC-004", "a document larger than the limit";
    DOC_BAD_XML = "RNK-DOC-005", "a CDA document that is not well-formed; it was kept untouched";
    // IDN: whose is it
    IDN_AMBIGUOUS = "RNK-IDN-001", "this patient may be one the hub already knows; a person must decide";
    IDN_NOT_ENROLLED = "RNK-IDN-002", "the patient is not enrolled at this source";
    IDN_REJECTED = "RNK-IDN-003", "a person rejected this record";
    // REC: recording
    REC_LATE = "RNK-REC-001", "older than what is recorded; kept in the lineage, no new version";
    REC_CANCEL_FIRST = "RNK-REC-002", "a cancel arrived before what it cancels; it will hold off a late original";
    REC_STAY_PROVISIONAL = "RNK-REC-003", "no stay fits this event; a provisional one was opened";
    REC_STAY_SEVERAL = "RNK-REC-004", "several stays fit this event; the latest open one was taken";
    REC_PRELIMINARY = "RNK-REC-005", "a preliminary result did not replace a final one";
    REC_CONTROL_ID_REUSED = "RNK-REC-006", "a control id was used again with other bytes; both messages are kept";
    // RTE: may it go
    RTE_NO_CHANNEL = "RNK-RTE-001", "no channel is linked for this person";
    RTE_NO_CONSENT = "RNK-RTE-002", "no consent covers this";
    RTE_NEVER_AUTOMATIC = "RNK-RTE-003", "this is never sent without a named person's release";
    RTE_CHANNEL_NOT_CONFIRMED = "RNK-RTE-004", "the channel is proposed but not confirmed";
    RTE_NOT_LIVE = "RNK-RTE-005", "the event is older than this source and sink went live";
    RTE_STALE = "RNK-RTE-006", "the event is too old to be sent by itself";
    RTE_NOTHING_ALLOWED = "RNK-RTE-007", "the readers of this channel may see nothing of this";
    RTE_SHADOW = "RNK-RTE-008", "the sink is in shadow mode: rendered, stored, not sent";
    RTE_BUDGET = "RNK-RTE-009", "the group's posts of the day are used up";
    RTE_BACKFILL = "RNK-RTE-010", "found by a first walk, a replay or an import: waits for a named operator";
    RTE_FAMILY_CHANNEL = "RNK-RTE-011", "a timeline that family or a free group reads";
    RTE_ASSISTED = "RNK-RTE-012", "a person hands this over and marks it done";
    RTE_NO_AGREEMENT = "RNK-RTE-013", "the sink has no agreement reference and may not go live";
    RTE_CONSENT_MISMATCH = "RNK-RTE-014", "the consent form names another kana or birth date than the record";
    RTE_TEST_PATIENT = "RNK-RTE-015", "a test patient never reaches a live sink";
    // DLV: handing over
    DLV_HEADER_DIFFERS = "RNK-DLV-001", "the group's patient header is another person's";
    DLV_CHANNEL_ARCHIVED = "RNK-DLV-002", "the group is archived or gone";
    DLV_NOT_MEMBER = "RNK-DLV-003", "the peer says we are not a member, or it has no consent";
    DLV_REJECTED = "RNK-DLV-004", "the peer refused the content";
    DLV_EXPIRED = "RNK-DLV-005", "not accepted by the peer within its life";
    DLV_UNKNOWN_OUTCOME = "RNK-DLV-006", "sent without an answer to a sink that cannot recognise a repeat";
    DLV_KEY_REUSED = "RNK-DLV-007", "the peer knows this key with another content";
    DLV_SUPERSEDED = "RNK-DLV-008", "replaced by a newer version before it was sent";
    DLV_CHANNEL_SHARED = "RNK-DLV-009", "one group is linked to two persons";
    DLV_RECALLED = "RNK-DLV-010", "withdrawn by an operator";
    DLV_SINK_UNAVAILABLE = "RNK-DLV-011", "the peer does not answer; the sink is paused";
    DLV_CREDENTIALS = "RNK-DLV-012", "the peer does not accept our credentials";
    DLV_FRAME = "RNK-DLV-013", "the post cannot be put into the peer's form";
    DLV_RESTORED = "RNK-DLV-014", "restored from a backup: it may have been told already; a person must say";
    // INB: intake
    INB_UNKNOWN_SENDER = "RNK-INB-001", "no facility is configured for this sender";
    INB_FULL = "RNK-INB-002", "no room: the disk or the queue is full; the sender shall try again";
    INB_POISON = "RNK-INB-003", "processing ended the process three times; the message was set aside";
    INB_PANIC = "RNK-INB-004", "processing this message failed inside the hub";
    INB_REFUSED_BY_STORE = "RNK-INB-005", "the database refused the effects of this message";
    INB_BLOB_MISSING = "RNK-INB-006", "the stored bytes of this message are missing or damaged";
    INB_BODY_REMOVED = "RNK-INB-007", "the bytes of this message were removed by policy; it cannot be processed again";
    // LDG: the ledger as a whole
    LDG_NOT_WHOLE = "RNK-LDG-001", "something in the ledger is not as it must be";
    LDG_BACKUP_DAMAGED = "RNK-LDG-002", "the backup is damaged or not complete";
    LDG_NOT_EMPTY = "RNK-LDG-003", "the place to restore to is not empty";
    LDG_SERVER = "RNK-LDG-004", "a ledger on PostgreSQL is backed up by the tools of its server";
    // CFG: configuration and command line
    CFG_INVALID = "RNK-CFG-001", "the configuration cannot be used";
    CFG_EXPOSED = "RNK-CFG-002", "a listener beyond loopback without TLS and client certificates";
    CFG_NO_FONT = "RNK-CFG-003", "no Japanese font for the PDF";
    CFG_LOCKED = "RNK-CFG-004", "another hub holds this database";
    CFG_SCHEMA_NEWER = "RNK-CFG-005", "the database was written by a newer renkei";
    CFG_FORGETFUL = "RNK-CFG-007", "the database server does not promise to keep what it has committed";
    CFG_NO_ENTRY = "RNK-CFG-008", "the database server does not let the hub in, or not do its work";
    CFG_CSV_ROW = "RNK-CFG-006", "a row of an imported CSV file was refused";
    // BED: bed availability
    BED_IMPOSSIBLE = "RNK-BED-001", "counts or times of a ward that cannot be; the row was refused, what was known before stands";
    BED_FUTURE = "RNK-BED-002", "a row about a ward from the future; it was refused, what was known before stands";
    BED_LATE = "RNK-BED-003", "a row about a ward that is older than what is known; it is kept in the history only";
    BED_CONFLICT = "RNK-BED-004", "another content for a ward and time that is known; the first stands";
    BED_NOT_THEIRS = "RNK-BED-005", "a row about a hospital this source does not speak for; it was refused";
    BED_VALIDITY = "RNK-BED-006", "counts that shall be believed for longer than the limit; the limit counts";
    BED_CONDITION = "RNK-BED-007", "a condition of acceptance that is not in the list; it is shown, no search finds it";
    BED_NOT_COUNTED = "RNK-BED-008", "a status of beds of a hospital whose wards are not counted from its stays; nothing is made of it";
    // OPS: alarms the hub raises about itself
    OPS_WAITING = "RNK-OPS-001", "messages wait longer than they should before they are processed";
    OPS_PENDING = "RNK-OPS-002", "deliveries to a sink wait longer than they should";
    OPS_PARKED = "RNK-OPS-003", "parked messages wait for a person";
    OPS_DEAD = "RNK-OPS-004", "deliveries ended without reaching their readers";
    OPS_SPACE = "RNK-OPS-005", "the disk of the ledger is nearly full";
    OPS_SINK_PAUSED = "RNK-OPS-006", "a sink has been paused for long because its peer does not answer";
}

impl Code {
    /// The code as printed, `RNK-MAP-003`.
    pub const fn as_str(&self) -> &'static str {
        self.name
    }
    /// What it means, one English sentence without patient data.
    pub const fn title(&self) -> &'static str {
        self.title
    }
    /// Finds a code by its printed form.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.name == name)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name)
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::find(&name).ok_or_else(|| serde::de::Error::custom("unknown code"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_well_formed() {
        let mut seen = std::collections::HashSet::new();
        for code in Code::ALL {
            assert!(seen.insert(code.as_str()), "{code} twice");
            let parts: Vec<_> = code.as_str().split('-').collect();
            assert!(
                matches!(parts.as_slice(), ["RNK", area, number] if area.len() == 3 && number.len() == 3)
            );
            assert_eq!(Code::find(code.as_str()), Some(*code));
        }
    }
}
