//! What a mapping makes of one message: FHIR bodies under natural keys, and what to do with them.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    BedRow, BedState, Code, FacilityId, Finding, Item, LocalId, PeerReceipt, Sensitive, id::hash_id,
};

/// The result of a mapping. Deterministic: same bytes, same mapper id, same draft.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Draft {
    /// Whose message it is; `None` = nobody is meant.
    pub subject: Option<Subject>,
    /// Resources to record.
    pub resources: Vec<DraftResource>,
    /// Resources to take back.
    pub withdrawals: Vec<Withdrawal>,
    /// The inpatient stay this message speaks about, for `record` to find.
    pub stay: Option<StayHint>,
    /// Things to tell, or not.
    pub items: Vec<Item>,
    /// Scopes this message lists completely: what is recorded in them and absent here is withdrawn.
    pub complete_scopes: Vec<CompleteScope>,
    /// What a peer says became of our deliveries.
    pub receipts: Vec<PeerReceipt>,
    /// Rows of a bed feed: for the bed board, about nobody.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub beds: Vec<BedRow>,
    /// What the message says of single beds: for counting wards from stays.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bed_states: Vec<BedState>,
    /// Oddities.
    pub findings: Vec<Finding>,
    /// Places that held data and were not read (`ZXX[1]`, `PV1-39`). Never changes the outcome.
    pub unread: Vec<String>,
    /// Park the message for a person.
    pub hold: Option<Code>,
}

/// Whose message it is, with what the message itself says to tell people apart.
#[derive(Debug, Clone, Serialize)]
pub struct Subject {
    /// The facility whose number it is.
    pub facility: FacilityId,
    /// The patient's number there.
    pub local_id: LocalId,
    /// What helps to recognise the person.
    pub facts: Facts,
    /// The strength of these facts: an order's snapshot does not overwrite what ADT said.
    pub authority: Authority,
}

/// Facts for joining records to a person. Empty = not sent. All are patient data.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// Full-width katakana search form, family and given joined without space.
    pub kana: String,
    /// Family name in katakana, as posts show it.
    pub family_kana: String,
    /// Kanji name as sent, for a reviewer's eye only: never decides.
    pub kanji: String,
    /// `YYYY-MM-DD`.
    pub birth_date: String,
    /// `male`, `female`, `other`, `unknown`.
    pub sex: String,
    /// Digits only.
    pub phones: Vec<String>,
    /// Postal code (seven digits) and 番地 as one comparable string each.
    pub addresses: Vec<String>,
    /// Personal insurance keys, each already complete enough to be personal, prefixed by its kind:
    /// `late-elderly:39…:number`, `member:insurer:symbol:number:branch`, `care:insurer:number`.
    pub insurance: Vec<String>,
}

impl fmt::Debug for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

macro_rules! resource_types {
    ($($name:ident)*) => {
        /// The FHIR resource types renkei records.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum ResourceType { $(#[doc = stringify!($name)] $name,)* }
        impl ResourceType {
            /// Every type.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];
            /// The FHIR name.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }
            /// Finds a type by its FHIR name.
            pub fn find(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|kind| kind.as_str() == name)
            }
        }
    };
}

resource_types! {
    Patient Encounter Condition AllergyIntolerance MedicationRequest MedicationAdministration Observation
    DiagnosticReport Specimen DocumentReference Coverage Organization Practitioner Location
    ServiceRequest Immunization Procedure Communication Provenance
}

/// The natural key of a resource within its facility. The logical id is derived from it, so the same
/// thing said twice is the same resource.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ResourceKey {
    /// The FHIR type.
    pub kind: ResourceType,
    /// The facility the key belongs to.
    pub facility: FacilityId,
    /// The key, parts joined by `|`. Holds the local id: patient data.
    pub key: String,
}

/// Stands where the id of the inpatient stay goes, until `record` has found the stay. The mapper
/// writes it as `id` of the Encounter and in references (`Encounter/~stay~`).
pub const STAY_TOKEN: &str = "~stay~";

impl ResourceKey {
    /// A key from its parts.
    pub fn new(kind: ResourceType, facility: &FacilityId, parts: &[&str]) -> Self {
        Self {
            kind,
            facility: facility.clone(),
            key: parts.join("|"),
        }
    }
    /// The key of the stay a [`StayHint`] speaks of, before `record` has resolved it.
    pub fn unresolved_stay(facility: &FacilityId) -> Self {
        Self {
            kind: ResourceType::Encounter,
            facility: facility.clone(),
            key: STAY_TOKEN.to_owned(),
        }
    }
    /// Whether this is [`ResourceKey::unresolved_stay`].
    pub fn is_unresolved_stay(&self) -> bool {
        self.kind == ResourceType::Encounter && self.key == STAY_TOKEN
    }
    /// The FHIR logical id: base32(sha256(facility | type | key)), 26 characters.
    pub fn logical_id(&self) -> String {
        if self.is_unresolved_stay() {
            return STAY_TOKEN.to_owned();
        }
        hash_id(&[self.facility.as_str(), self.kind.as_str(), &self.key])
    }
    /// `Type/id`.
    pub fn reference(&self) -> String {
        [self.kind.as_str(), "/", &self.logical_id()].concat()
    }
}

impl fmt::Debug for ResourceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.reference())
    }
}

/// Who says it. Higher beats lower whatever the time; equal is decided by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Authority {
    /// A patient block inside an order or result, an allergy summary inside ADT-00.
    Snapshot,
    /// The message whose purpose it is to say this.
    Primary,
}

/// How settled a result is. Lower never overwrites higher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Strength {
    /// OBX-11 P, I, R, S.
    Preliminary,
    /// Final, corrected, or not a result at all.
    Final,
}

/// How a new body meets the recorded one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Carry {
    /// The new body replaces the recorded one.
    Replace,
    /// Elements the new body lacks are carried over from the recorded one (objects merged, arrays
    /// replaced), except the named paths (`period.end`), which are dropped. For Encounters and for
    /// Patients told by an ADT that carries only the PID.
    Merge {
        /// Paths to drop from the recorded body, dot-separated.
        clear: Vec<String>,
    },
}

/// One resource to record.
#[derive(Debug, Clone, Serialize)]
pub struct DraftResource {
    /// Its natural key.
    pub key: ResourceKey,
    /// FHIR JSON text with `id` and all references set.
    pub body: Sensitive<String>,
    /// When the source says it became true or was written (EVN-2, else MSH-7, else better).
    pub source_time: Timestamp,
    /// The storage file's 17-digit time as a number; orders only within one [`DraftResource::scope`].
    pub storage_order: u64,
    /// Who says it.
    pub authority: Authority,
    /// How settled it is.
    pub strength: Strength,
    /// How it meets the recorded body.
    pub carry: Carry,
    /// The scope it belongs to for completeness: `order:<type>:<number>`, `problems`, `allergies`.
    pub scope: Option<String>,
}

/// A scope this message lists completely.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CompleteScope {
    /// The scope within the subject's record.
    pub scope: String,
    /// Only what is not newer than this may be withdrawn by its absence.
    pub as_of: Timestamp,
    /// What the absent become.
    pub reason: WithdrawReason,
}

/// Why something is taken back; decides the FHIR status it gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum WithdrawReason {
    /// The sender says it was cancelled or stopped (ORC-1 CA, DC; A11; A27).
    Cancelled,
    /// The sender deleted it (storage flag 0, PRB-1 DE, OBX-11 D or W, A23).
    EnteredInError,
    /// A newer complete list no longer has it.
    Superseded,
}

/// One resource to take back. Also kept when the resource is not known yet: a cancel that arrives
/// first holds off a late original.
#[derive(Debug, Clone, Serialize)]
pub struct Withdrawal {
    /// What to take back.
    pub key: ResourceKey,
    /// Why.
    pub reason: WithdrawReason,
    /// When the source says so.
    pub source_time: Timestamp,
    /// As in [`DraftResource::storage_order`].
    pub storage_order: u64,
    /// The scope the resource belongs to.
    pub scope: Option<String>,
}

/// What an ADT message says about the inpatient stay it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StayHint {
    /// PV1-19, when sent.
    pub visit_number: Option<String>,
    /// PV1-44 (or PV2-8 for a planned admission) to the minute, `YYYY-MM-DDTHH:MM`, or a date.
    pub admitted_at: Option<String>,
    /// When the event happened, for choosing among stays.
    pub occurred_at: Timestamp,
    /// What the message does to the stay.
    pub event: StayEvent,
}

/// What an ADT message does to a stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum StayEvent {
    /// A14.
    Planned,
    /// A01.
    Admitted,
    /// A03.
    Discharged,
    /// Everything within a stay: A02, A12, A13, A15, A16, A21, A22, A25, A26, A52–A55.
    During,
    /// A11, A27: the stay is taken back.
    Cancelled,
}

impl Draft {
    /// The draft's own count of resources per FHIR type.
    pub fn counts(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for resource in &self.resources {
            *counts.entry(resource.key.kind.as_str()).or_default() += 1;
        }
        counts
    }
}
