//! Who exists at a simulated peer before anything happens: one shape for all simulators.

use serde::{Deserialize, Serialize};

use crate::hospital::Person;

/// Clients, facilities and teams a simulator starts with (`CONTRACT.md` §6).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Seed {
    /// Drop everything known before loading; only meant for `POST /_sim/seed`.
    pub replace: bool,
    /// Systems that may ask for a token.
    pub clients: Vec<Client>,
    /// Facilities of the directory.
    pub facilities: Vec<Facility>,
    /// Patient groups, rooms or W1 patients.
    pub teams: Vec<Team>,
}

impl Seed {
    /// The small district of the demo: one client `renkei` acting for hospital 1311234567, two enrolled people.
    ///
    /// # Errors
    /// Never in a released build: the embedded text is read by a test.
    pub fn demo() -> Result<Self, serde_json::Error> {
        serde_json::from_str(include_str!("../seeds/demo.json"))
    }
}

/// A system that sends to the peer on behalf of one facility.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// OAuth2 client id.
    pub id: String,
    /// OAuth2 client secret; simulators know no real ones.
    pub secret: String,
    /// Facility the client acts for.
    pub facility_id: String,
    /// Scopes it may ask for; absent = every scope of the peer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    /// Whether the agreement with the peer's operator is signed.
    #[serde(default = "yes")]
    pub agreement: bool,
    /// Where events go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Webhook>,
}

/// Where a client wants its events.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Plain `http://` on loopback.
    pub url: String,
    /// Key of the HMAC.
    pub secret: String,
}

/// An office, clinic or hospital in the peer's directory.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facility {
    /// Ten-digit facility number, or the peer's own id.
    pub facility_id: String,
    /// Name as shown.
    pub name: String,
    /// Kind of facility, for example `hospital`.
    #[serde(rename = "type")]
    pub facility_type: String,
    /// `user_ref` of its administrator.
    #[serde(default)]
    pub admin: Option<String>,
    /// Set by the simulator.
    #[serde(default)]
    pub updated_at: String,
}

/// A patient group, a room, or the team behind a W1 patient.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Team {
    /// `group_id` or `room_id`.
    pub id: String,
    /// Who reads here.
    #[serde(default)]
    pub kind: GroupKind,
    /// Archived teams take no posts.
    #[serde(default)]
    pub status: GroupStatus,
    /// Facility that made the team and owns its patient number (連携ホスト).
    pub host_facility_id: String,
    /// The peer's own id of the patient; vital_link only, default `pt-<id>`.
    #[serde(default)]
    pub patient_id: String,
    /// Whether the patient's consent is on file.
    #[serde(default = "yes")]
    pub consent: bool,
    /// Header shown above the timeline; a free group has none.
    pub patient: Option<PatientHeader>,
    /// Everyone who can read the timeline.
    #[serde(default)]
    pub members: Vec<Member>,
    /// Set by the simulator.
    #[serde(default)]
    pub updated_at: String,
}

/// Who reads in a team.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupKind {
    /// Medical and care staff.
    #[default]
    Professional,
    /// Staff with the patient or the family.
    Family,
    /// About no patient (自由グループ).
    Free,
    /// One to one, about one patient.
    Direct,
}

/// Whether a team is still in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupStatus {
    /// Takes posts.
    #[default]
    Active,
    /// Read only.
    Archived,
}

/// The patient as the peer shows him or her.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PatientHeader {
    /// Patient number at the host facility.
    pub local_id: String,
    /// Full-width katakana, family and given name with one ASCII space.
    pub kana: String,
    /// `YYYY-MM-DD`.
    pub birth_date: String,
    /// `male`, `female`, `other` or `unknown`.
    pub sex: String,
    /// Kanji name.
    pub name: String,
}

impl PatientHeader {
    /// The header above the groups of one of the hospital's patients.
    #[must_use]
    pub fn of(person: &Person) -> Self {
        Self {
            local_id: person.local_id.clone(),
            kana: person.kana(),
            birth_date: person.birth.to_string(),
            sex: person.sex.word().to_owned(),
            name: format!("{} {}", person.family, person.given),
        }
    }
}

/// A person (or a facility's system account) in a team.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// The peer's id of the person.
    pub user_ref: String,
    /// Name as shown.
    pub display: String,
    /// Facility the person works for.
    pub facility_id: String,
    /// Codes such as `nurse`; several are possible, none means unknown.
    #[serde(default)]
    pub professions: Vec<String>,
}

fn yes() -> bool {
    true
}
