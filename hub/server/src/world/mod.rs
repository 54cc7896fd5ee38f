//! What a batch needs to know, and what it changes: [`World`] is loaded by the store, overlaid by the
//! pure stops, and its [`Effects`] are applied by the store in one transaction.
//!
//! Nothing here does I/O. Row ids of new rows come from [`Ids`], blocks the store has reserved.

mod alike;
mod delivery;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use renkei_core::{
    Authority, BedState, Channel, ChannelId, Code, DeliveryId, DraftResource, FacilityId, Facts,
    Finding, LocalId, MessageId, NoticeContent, NoticeId, NoticeKind, PeerReceipt, PersonId,
    RecordId, ResourceType, Sensitive, SourceName, Strength, Urgency,
};
use serde::{Deserialize, Serialize};

use alike::Alike;
pub use delivery::{ChannelChange, DeliveryState, Due, EarlierDelivery, Finish, PlannedDelivery};

use crate::beds::{Kept, Known, NotedStay, Ward};
use crate::config::Setup;

/// One patient as one facility knows them.
#[derive(Debug, Clone)]
pub struct Record {
    /// Its row.
    pub id: RecordId,
    /// The facility.
    pub facility: FacilityId,
    /// The number there.
    pub local_id: LocalId,
    /// The person it is linked to; `None` while a reviewer has to decide.
    pub person: Option<PersonId>,
    /// What is known to tell people apart.
    pub facts: Facts,
    /// Who said the facts.
    pub authority: Authority,
    /// A person decided that this record is not to be used.
    pub rejected: bool,
}

/// One recorded resource with its current version.
#[derive(Debug, Clone)]
pub struct Stored {
    /// Its row.
    pub row: i64,
    /// Whose it is; `None` for what belongs to nobody.
    pub record: Option<RecordId>,
    /// FHIR type.
    pub kind: ResourceType,
    /// FHIR logical id.
    pub logical_id: String,
    /// Completeness scope within the record.
    pub scope: Option<String>,
    /// Version of the current body, from 1; 0 = only a tombstone that holds off a late original.
    pub version: u32,
    /// FHIR JSON text; empty for a tombstone.
    pub body: Arc<str>,
    /// SHA-256 of the body.
    pub hash: [u8; 32],
    /// As [`DraftResource::source_time`].
    pub source_time: Timestamp,
    /// As [`DraftResource::storage_order`].
    pub storage_order: u64,
    /// Who said it.
    pub authority: Authority,
    /// How settled it is.
    pub strength: Strength,
    /// Taken back.
    pub withdrawn: bool,
}

/// A notice and where it stands.
#[derive(Debug, Clone)]
pub struct Notice {
    /// Its row.
    pub id: NoticeId,
    /// Whom it is about.
    pub person: PersonId,
    /// The record that speaks: a notice discloses what one facility said.
    pub record: RecordId,
    /// The source its first part came from.
    pub source: SourceName,
    /// Its kind.
    pub kind: NoticeKind,
    /// What makes it the same event: the logical id of the stay, document or alarm.
    pub event_key: String,
    /// The logical id of the resource it is about.
    pub focus: String,
    /// How soon people must know.
    pub urgency: Urgency,
    /// When the event happened.
    pub occurred_at: Timestamp,
    /// The event was taken back.
    pub cancelled: bool,
    /// Never told without a named person's release.
    pub never_automatic: Option<Code>,
    /// Came from a first walk, a replay or an import.
    pub backfill: bool,
    /// First and last part by our clock.
    pub first_part_at: Timestamp,
    /// Last part by our clock.
    pub last_part_at: Timestamp,
    /// When to settle; `None` = nothing to do.
    pub due_at: Option<Timestamp>,
    /// Route the current version again, because members or a consent changed: the newest request seen.
    /// Requests are rows of their own, so that one that comes meanwhile is not lost.
    pub reroute: Option<i64>,
    /// Current version, 0 = not minted yet.
    pub version: u32,
    /// Content of the current version.
    pub content: Option<Arc<NoticeContent>>,
    /// Logical ids of what the current version tells.
    pub told: Vec<String>,
    /// Logical ids of documents and orders that belong to this event.
    pub parts: Vec<String>,
}

/// A consent of one record.
#[derive(Debug, Clone)]
pub struct Consent {
    /// The form, for the decision's reason.
    pub form_id: String,
    /// Kana on the form, search form.
    pub kana: String,
    /// Birth date on the form.
    pub birth_date: String,
    /// Who discloses: facility numbers; empty = the record's own facility.
    pub disclosers: Vec<String>,
    /// Who may receive: `sink:…`, `facility:…`, `class:…`, `district:…`.
    pub recipients: Vec<String>,
    /// Item class codes, or `*` for all but the restricted.
    pub items: Vec<String>,
    /// First day, `YYYY-MM-DD`.
    pub valid_from: String,
    /// Last day; empty = open.
    pub valid_until: String,
    /// Withdrawn on; empty = not.
    pub withdrawn_on: String,
}

/// Blocks of row ids reserved for this batch.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ids {
    /// Next person.
    pub person: i64,
    /// Next record.
    pub record: i64,
    /// Next resource.
    pub resource: i64,
    /// Next notice.
    pub notice: i64,
}

/// Everything the pure stops may know.
#[derive(Debug)]
pub struct World {
    /// The time of this batch.
    pub now: Timestamp,
    /// The configuration.
    pub setup: Arc<Setup>,
    /// Records of the batch's subjects and of candidates for joining, by row; written by
    /// [`World::know`] and [`World::put_record`].
    pub records: HashMap<RecordId, Record>,
    alike: Alike,
    /// Which of them belong to a subject.
    pub by_local: HashMap<(FacilityId, LocalId), RecordId>,
    /// Resources by logical id: those the drafts name, the members of complete scopes, all inpatient
    /// Encounters of the batch's records, and (for settling) the whole chart.
    pub resources: HashMap<String, Stored>,
    /// Logical ids of the inpatient Encounters per record.
    pub stays: HashMap<RecordId, Vec<String>>,
    /// Logical ids per (record, scope).
    pub scopes: HashMap<(RecordId, String), Vec<String>>,
    /// Notices of the batch's records.
    pub notices: HashMap<NoticeId, Notice>,
    /// Channels per person (settling only).
    pub channels: HashMap<PersonId, Vec<Channel>>,
    /// Consents per record (settling only).
    pub consents: HashMap<RecordId, Vec<Consent>>,
    /// Deliveries made for the notices (settling only).
    pub deliveries: HashMap<NoticeId, Vec<EarlierDelivery>>,
    /// Posts per channel since midnight in Japan, u0 aside (settling only).
    pub posts_today: HashMap<ChannelId, u32>,
    /// Chart of each record: logical ids of its current resources (settling only).
    pub charts: HashMap<RecordId, Vec<String>>,
    /// What is known of the wards the batch speaks of.
    pub beds: HashMap<Ward, Known>,
    /// Reserved ids.
    pub ids: Ids,
    /// What has changed so far.
    pub effects: Effects,
}

/// What a batch changes. Applied in one transaction by the store, about one multi-row statement per
/// field.
#[derive(Debug, Default)]
pub struct Effects {
    /// New persons.
    pub persons: Vec<PersonId>,
    /// Records to insert or update, by row.
    pub records: BTreeMap<RecordId, Record>,
    /// Reviews to open: one per record.
    pub reviews: Vec<Review>,
    /// New versions of resources, in order.
    pub versions: Vec<NewVersion>,
    /// Which message was seen in which resource version, and whether it came late.
    pub sightings: Vec<Sighting>,
    /// Notices to insert or update, by row.
    pub notices: BTreeMap<NoticeId, Notice>,
    /// Notice versions minted.
    pub minted: Vec<Minted>,
    /// Decisions of the policy, one per (notice version, channel), or one summary row.
    pub decisions: Vec<Decision>,
    /// Deliveries planned.
    pub deliveries: Vec<PlannedDelivery>,
    /// Deliveries that shall not be sent any more, with the reason.
    pub superseded: Vec<(DeliveryId, Code)>,
    /// Deliveries that were superseded and are wanted again, pending or held with a code.
    pub revived: Vec<(DeliveryId, Option<Code>)>,
    /// What peers said about our deliveries.
    pub receipts: Vec<(MessageId, PeerReceipt)>,
    /// Rows about wards to keep, in order.
    pub beds: Vec<Kept>,
    /// Stays of hospitals whose wards are counted, by logical id.
    pub stays: BTreeMap<String, NotedStay>,
    /// What was said of single beds there, by hospital and place.
    pub bed_states: BTreeMap<(String, String), BedState>,
    /// Hospitals whose wards are counted, and when their source was last heard.
    pub heard: BTreeMap<String, Timestamp>,
    /// How each message ended.
    pub outcomes: Vec<(MessageId, MessageOutcome)>,
    /// The revision of every record this was decided over; `None` = it was not decided over anything
    /// loaded.
    pub seen: Option<HashMap<RecordId, i64>>,
}

/// A record that a person must look at.
#[derive(Debug, Clone)]
pub struct Review {
    /// The record in question.
    pub record: RecordId,
    /// Why.
    pub code: Code,
    /// The persons it may be.
    pub candidates: Vec<PersonId>,
}

/// One version to write.
#[derive(Debug, Clone)]
pub struct NewVersion {
    /// The message that caused it; `None` = an operator's fact.
    pub message: Option<MessageId>,
    /// The whole new current state.
    pub stored: Stored,
    /// The natural key, kept for tracing; patient data.
    pub key: Sensitive<String>,
    /// When it was written.
    pub recorded_at: Timestamp,
}

/// One message seen in one resource.
#[derive(Debug, Clone, Copy)]
pub struct Sighting {
    /// The message.
    pub message: MessageId,
    /// The resource's row.
    pub resource: i64,
    /// The version it was seen in.
    pub version: u32,
    /// It came late and changed nothing.
    pub late: bool,
}

/// A notice version.
#[derive(Debug, Clone)]
pub struct Minted {
    /// The notice.
    pub notice: NoticeId,
    /// Its version, from 1.
    pub version: u32,
    /// What it says.
    pub content: Arc<NoticeContent>,
    /// When.
    pub at: Timestamp,
}

/// One answer of the policy.
#[derive(Debug, Clone)]
pub struct Decision {
    /// The notice.
    pub notice: NoticeId,
    /// Its version.
    pub version: u32,
    /// The channel; `None` = the one summary row of a notice that goes nowhere.
    pub channel: Option<ChannelId>,
    /// The answer.
    pub verdict: Verdict,
    /// The rule that decided, for hold and deny.
    pub code: Option<Code>,
    /// The ground, in words without patient data: form id, matrix row, rule.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

/// The policy's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// May go.
    Permit,
    /// Waits for a named person.
    Hold,
    /// Does not go.
    Deny,
}

impl Verdict {
    /// The code as stored.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Permit => "permit",
            Self::Hold => "hold",
            Self::Deny => "deny",
        }
    }
}

/// How a message ended, with everything the console shows about it.
#[derive(Debug, Clone)]
pub struct MessageOutcome {
    /// Processed, parked or failed.
    pub state: MessageState,
    /// Why it is parked or failed.
    pub code: Option<Code>,
    /// The record it is about, when known: a reviewer's decision releases what is parked under it.
    pub record: Option<RecordId>,
    /// Which mapping read it.
    pub mapper: String,
    /// Oddities.
    pub findings: Vec<Finding>,
    /// Places with data that was not read.
    pub unread: Vec<String>,
    /// When.
    pub at: Timestamp,
}

/// Where a message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MessageState {
    /// Waits in its lane.
    Received,
    /// All effects are committed.
    Processed,
    /// Waits for a person.
    Parked,
    /// Will not be processed as it is.
    Failed,
}

impl MessageState {
    /// The code as stored.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Processed => "processed",
            Self::Parked => "parked",
            Self::Failed => "failed",
        }
    }
    /// Finds a state by its code.
    pub fn find(code: &str) -> Option<Self> {
        [Self::Received, Self::Processed, Self::Parked, Self::Failed]
            .into_iter()
            .find(|state| state.code() == code)
    }
}

impl World {
    /// An empty world at an instant: what `renkei map` uses, and what the store fills.
    pub fn empty(now: Timestamp, setup: Arc<Setup>) -> Self {
        Self {
            now,
            setup,
            records: HashMap::new(),
            alike: Alike::default(),
            by_local: HashMap::new(),
            resources: HashMap::new(),
            stays: HashMap::new(),
            scopes: HashMap::new(),
            notices: HashMap::new(),
            channels: HashMap::new(),
            consents: HashMap::new(),
            deliveries: HashMap::new(),
            posts_today: HashMap::new(),
            charts: HashMap::new(),
            beds: HashMap::new(),
            ids: Ids {
                person: 1,
                record: 1,
                resource: 1,
                notice: 1,
            },
            effects: Effects {
                seen: Some(HashMap::new()),
                ..Effects::default()
            },
        }
    }

    /// Notes the revision a record was loaded in.
    pub fn saw(&mut self, record: RecordId, revision: i64) {
        let seen = self.effects.seen.get_or_insert_default();
        seen.entry(record).or_insert(revision);
    }

    /// Overlays a record, so that the next message sees it.
    pub fn put_record(&mut self, record: Record) {
        self.by_local.insert(
            (record.facility.clone(), record.local_id.clone()),
            record.id,
        );
        self.effects.records.insert(record.id, record.clone());
        self.alike.note(&record);
        self.records.insert(record.id, record);
    }

    /// Takes in a record as the ledger has it; one that is here already stays as it is.
    pub fn know(&mut self, record: Record) {
        self.alike.note(&record);
        self.records.entry(record.id).or_insert(record);
    }

    /// The records that share with these facts what [`crate::identify::compare`] asks of anybody alike.
    pub fn alike(&self, facts: &Facts) -> impl Iterator<Item = &Record> {
        let ids = self.alike.find(facts).into_iter();
        ids.filter_map(|id| self.records.get(&id))
    }

    /// Overlays a notice.
    pub fn put_notice(&mut self, notice: Notice) {
        self.effects.notices.insert(notice.id, notice.clone());
        self.notices.insert(notice.id, notice);
    }

    /// Overlays a resource version.
    pub fn put_version(&mut self, message: Option<MessageId>, key: &str, stored: Stored) {
        if let Some(record) = stored.record {
            if stored.kind == ResourceType::Encounter {
                let stays = self.stays.entry(record).or_default();
                if !stays.contains(&stored.logical_id) {
                    stays.push(stored.logical_id.clone());
                }
            }
            if let Some(scope) = &stored.scope {
                let members = self.scopes.entry((record, scope.clone())).or_default();
                if !members.contains(&stored.logical_id) {
                    members.push(stored.logical_id.clone());
                }
            }
        }
        self.effects.versions.push(NewVersion {
            message,
            stored: stored.clone(),
            key: Sensitive::new(key.to_owned()),
            recorded_at: self.now,
        });
        self.resources.insert(stored.logical_id.clone(), stored);
    }
}

fn count(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

/// What a batch of drafts asks the store to load.
#[derive(Debug, Default)]
pub struct Keys {
    /// Subjects of the drafts.
    pub subjects: Vec<(FacilityId, LocalId)>,
    /// Facts of subjects, for candidates: birth date, sex, kana and insurance.
    pub facts: Vec<Facts>,
    /// Logical ids of resources and withdrawals.
    pub resources: Vec<String>,
    /// Complete scopes per subject.
    pub scopes: Vec<((FacilityId, LocalId), String)>,
    /// Wards the drafts speak of.
    pub beds: BTreeSet<Ward>,
    /// How many rows of each kind the batch may make at most.
    pub room: Ids,
}

impl Keys {
    /// Collects what one draft needs.
    pub fn add(&mut self, draft: &renkei_core::Draft) {
        self.beds
            .extend(draft.beds.iter().map(|row| Ward::of(&row.bed)));
        let Some(subject) = &draft.subject else {
            return;
        };
        let local = (subject.facility.clone(), subject.local_id.clone());
        let written = draft.resources.len() + draft.withdrawals.len();
        self.room.person += 1;
        self.room.record += 1;
        // One for the Provenance.
        self.room.resource += count(written + 1);
        self.room.notice += count(draft.items.len());
        self.subjects.push(local.clone());
        self.facts.push(subject.facts.clone());
        let named = draft
            .resources
            .iter()
            .map(|resource: &DraftResource| &resource.key);
        let withdrawn = draft.withdrawals.iter().map(|withdrawal| &withdrawal.key);
        self.resources.extend(
            named
                .chain(withdrawn)
                .filter(|key| !key.is_unresolved_stay())
                .map(|key| key.logical_id()),
        );
        let stored = draft
            .resources
            .iter()
            .filter(|resource| resource.storage_order != 0);
        self.scopes
            .extend(stored.filter_map(|resource| Some((local.clone(), resource.scope.clone()?))));
        self.scopes.extend(
            draft
                .complete_scopes
                .iter()
                .map(|scope| (local.clone(), scope.scope.clone())),
        );
    }
}
