//! Rows about people: enrolment, consent, channels, reviews.

use jiff::Timestamp;
use renkei_core::{
    ChannelId, ChannelKind, ChannelStatus, Code, FacilityId, Facts, LocalId, Member, PatientHeader,
    PeerRef, PersonId, RecordId, SinkName,
};
use serde::{Deserialize, Serialize};

/// The columns of one consent form that decide what it covers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsentForm {
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
}

/// One row of the consent import, every column as text. Lists are separated by `|`. Patient data.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConsentRow {
    /// Ten-digit number of the facility whose patient it is.
    pub facility: String,
    /// The patient's number there.
    pub local_id: String,
    /// Kana on the form, any width, with or without a space.
    pub kana: String,
    /// Birth date on the form, `YYYY-MM-DD`.
    pub birth_date: String,
    /// The form.
    pub form_id: String,
    /// Its version.
    pub form_version: String,
    /// `YYYY-MM-DD`.
    pub signed_on: String,
    /// `本人` or `代理人`.
    pub signer: String,
    /// The proxy's relation to the patient.
    pub relation: String,
    /// Facility numbers that disclose; empty = the record's own.
    pub disclosers: String,
    /// `sink:…`, `facility:…`, `class:…`, `district:…`.
    pub recipients: String,
    /// Item class codes, or `*`.
    pub items: String,
    /// Purpose, in the form's words.
    pub purpose: String,
    /// First day; empty = from the beginning.
    pub valid_from: String,
    /// Last day; empty = open.
    pub valid_until: String,
    /// Withdrawn on; empty = not.
    pub withdrawn_on: String,
}

/// One row of the channel import, every column as text. Patient data.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ChannelRow {
    /// Ten-digit number of the facility whose patient it is.
    pub facility: String,
    /// The patient's number there.
    pub local_id: String,
    /// The sink.
    pub sink: String,
    /// What the peer calls the group, room or patient.
    pub peer_ref: String,
    /// `professional`, `direct`, `family`, `free`.
    pub kind: String,
    /// The office that hosts it; empty = not known.
    pub host_facility: String,
    /// Kana of the group's patient header.
    pub kana: String,
    /// Birth date of the header, `YYYY-MM-DD`.
    pub birth_date: String,
    /// `male`, `female`, `other`, `unknown`.
    pub sex: String,
    /// Declared readers for sinks that cannot tell, `|`-separated profession codes, each optionally
    /// `profession@facility`.
    pub professions: String,
    /// `proposed` or `confirmed`; empty = proposed.
    pub status: String,
    /// Who confirmed it.
    pub confirmed_by: String,
}

impl std::fmt::Debug for ConsentRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ConsentRow({} {})", self.form_id, self.form_version)
    }
}

impl std::fmt::Debug for ChannelRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ChannelRow({} {})", self.sink, self.kind)
    }
}

/// What an import did, or would do, with one row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RowResult {
    /// The row, from 1, header not counted.
    pub row: usize,
    /// What became of it.
    pub outcome: RowOutcome,
    /// The rule, for refused rows.
    pub code: Option<Code>,
    /// Why, without patient data; empty when there is nothing to say.
    pub why: String,
}

/// What became of an imported row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RowOutcome {
    /// New.
    Added,
    /// Known, and changed.
    Updated,
    /// Known, and the same.
    Unchanged,
    /// A consent that is withdrawn from now on.
    Withdrawn,
    /// Kept; the hub has not seen this patient yet.
    WaitingForPatient,
    /// Not taken.
    Refused,
}

/// Which persons to list.
#[derive(Debug, Clone, Default)]
pub struct PersonFilter {
    /// Only records of this facility.
    pub facility: Option<FacilityId>,
    /// Only this number.
    pub local_id: Option<LocalId>,
    /// Only this kana, any width; the beginning is enough.
    pub kana: Option<String>,
    /// At most so many records; 0 = 100.
    pub limit: u32,
}

/// A person with their records. Patient data.
#[derive(Debug, Clone, Serialize)]
pub struct PersonLine {
    /// The person; `None` = a reviewer has to decide.
    pub person: Option<PersonId>,
    /// One per facility.
    pub records: Vec<RecordLine>,
}

/// One record. Patient data.
#[derive(Debug, Clone, Serialize)]
pub struct RecordLine {
    /// Its row.
    pub record: RecordId,
    /// The facility.
    pub facility: FacilityId,
    /// The number there.
    pub local_id: LocalId,
    /// The person it is linked to.
    pub person: Option<PersonId>,
    /// What tells people apart.
    pub facts: Facts,
    /// A reviewer rejected it.
    pub rejected: bool,
    /// Whether the intake gate admits it.
    pub enrolled: bool,
    /// Consent forms that are not withdrawn.
    pub consents: u32,
    /// Confirmed channels.
    pub channels: u32,
}

/// A record that waits for a reviewer. Patient data.
#[derive(Debug, Clone, Serialize)]
pub struct ReviewLine {
    /// The record.
    pub record: RecordLine,
    /// Why.
    pub code: String,
    /// Since when.
    pub opened_at: Timestamp,
    /// Messages parked under it.
    pub parked: u32,
    /// The persons it may be.
    pub candidates: Vec<PersonLine>,
}

/// A reviewer's decision about a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// It is this person.
    Join(PersonId),
    /// It is nobody the hub knows.
    NewPerson,
    /// It is not to be used.
    Reject,
}

/// Which channels to list.
#[derive(Debug, Clone, Default)]
pub struct ChannelFilter {
    /// Only this sink.
    pub sink: Option<SinkName>,
    /// Only this state.
    pub status: Option<ChannelStatus>,
    /// Only this facility's patients.
    pub facility: Option<FacilityId>,
    /// Only this number.
    pub local_id: Option<LocalId>,
    /// Only this channel.
    pub id: Option<ChannelId>,
}

/// One channel. Patient data.
#[derive(Debug, Clone, Serialize)]
pub struct ChannelLine {
    /// Its row.
    pub id: ChannelId,
    /// The facility whose patient it is.
    pub facility: FacilityId,
    /// The number there.
    pub local_id: LocalId,
    /// The person, when known.
    pub person: Option<PersonId>,
    /// The sink.
    pub sink: SinkName,
    /// What the peer calls it.
    pub peer_ref: PeerRef,
    /// What kind of timeline.
    pub kind: ChannelKind,
    /// Whether it may be used.
    pub status: ChannelStatus,
    /// Why it is broken.
    pub status_code: Option<String>,
    /// The office that hosts it.
    pub host_facility: Option<String>,
    /// The patient it is about.
    pub header: PatientHeader,
    /// Who can read it.
    pub members: Vec<Member>,
    /// Who confirmed it.
    pub confirmed_by: Option<String>,
    /// Last changed.
    pub updated_at: Timestamp,
}

/// What became of one group of a sink's own list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Proposal {
    /// What the peer calls it.
    pub peer_ref: PeerRef,
    /// What became of it.
    pub outcome: Proposed,
    /// The channel, when there is one.
    pub channel: Option<ChannelId>,
}

/// What became of a group of a sink's own list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proposed {
    /// A new proposal.
    New,
    /// Linked to this person before, in whatever state.
    Known,
    /// Nobody has this kana, birth date and sex.
    Nobody,
    /// Several persons have them.
    Several,
    /// The group is linked to another person already.
    Shared,
    /// Archived, a family or free group, or its header is incomplete.
    Unfit,
}
