//! Vital signs: an array in, a status per item out.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{VitalLink, writes};
use crate::hash::fingerprint;
use crate::refusal::Refusal;
use crate::request::{Call, Reply};
use crate::seed::{Client, GroupKind, Team};
use crate::state::{State, Vital, What};

/// Code, UCUM unit, and the span outside which a value is a slip of the instrument or the keyboard.
const CODES: [(&str, &str, f64, f64); 8] = [
    ("BT", "Cel", 20.0, 45.0),
    ("PR", "/min", 0.0, 300.0),
    ("SBP", "mm[Hg]", 0.0, 350.0),
    ("DBP", "mm[Hg]", 0.0, 250.0),
    ("SPO2", "%", 0.0, 100.0),
    ("RR", "/min", 0.0, 100.0),
    ("WT", "kg", 0.2, 400.0),
    ("BG", "mg/dL", 0.0, 2000.0),
];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewVital {
    uid: String,
    code: String,
    value: f64,
    unit: String,
    measured_at: String,
    #[serde(rename = "device_serial")]
    _device_serial: Option<String>,
    #[serde(rename = "entered_by")]
    _entered_by: Option<String>,
}

/// Gives the item back when it is within the contract, else the code of what is wrong.
pub(super) fn check(item: &Value) -> Result<Value, &'static str> {
    let vital = NewVital::deserialize(item).map_err(|_| "bad_value")?;
    let (_, unit, low, high) = CODES
        .iter()
        .find(|(code, ..)| *code == vital.code)
        .ok_or("unknown_code")?;
    if *unit != vital.unit {
        return Err("wrong_unit");
    }
    if !(*low..=*high).contains(&vital.value) {
        return Err("out_of_range");
    }
    if !writes::is_uid(&vital.uid) || vital.measured_at.parse::<jiff::Timestamp>().is_err() {
        return Err("bad_value");
    }
    Ok(item.clone())
}

/// Stores a checked vital and tells the room; gives its uid.
pub(super) fn keep(state: &mut State, vital: Vital) -> String {
    let uid = vital.item["uid"].as_str().unwrap_or_default().to_owned();
    let (team_id, place) = (vital.team_id.clone(), state.vitals.len());
    state.counts.vitals += 1;
    state.counts.effects += 1;
    state.vitals.push(vital);
    state.note(&team_id, What::Measured(place));
    uid
}

impl VitalLink {
    pub(super) fn take_vitals(&mut self, call: &Call, patient_id: &str) -> Result<Reply, Refusal> {
        let client = self.state.admit(call, "vitals.write")?;
        let Value::Array(items) = call.json()? else {
            return Err(Refusal::bad_request("send an array"));
        };
        if !(1..=100).contains(&items.len()) {
            return Err(Refusal::new(422, "too_many_items", "1 to 100 items"));
        }
        let team = self.room_of_patient(&client, patient_id)?;
        let (team_id, patient) = (team.id.clone(), team.patient.clone());
        let mut answers = Vec::with_capacity(items.len());
        for item in items {
            let (status, code) = match check(item) {
                Err(code) => (422, Some(code)),
                Ok(item) => {
                    let uid = item["uid"].as_str().unwrap_or_default().to_owned();
                    let content = fingerprint(&json!(["vital", patient_id, item]));
                    match self.state.replay(&client, &uid, &content, "uid_conflict") {
                        Err(refusal) => (refusal.status, Some(refusal.code)),
                        Ok(Some(_)) => (200, None),
                        Ok(None) => {
                            let client_id = Some(client.id.clone());
                            let vital = Vital {
                                client_id,
                                team_id: team_id.clone(),
                                patient: patient.clone(),
                                item,
                            };
                            keep(&mut self.state, vital);
                            self.state.settle(&client, &uid, content, &Value::Null);
                            (201, None)
                        }
                    }
                }
            };
            let mut answer =
                json!({"uid": item.get("uid").unwrap_or(&Value::Null), "status": status});
            if let Some(code) = code {
                answer["code"] = json!(code);
            }
            answers.push(answer);
        }
        Ok(Reply::json(207, json!({ "items": answers })))
    }

    /// The room vitals of this patient go to: an active one with the client's facility and consent.
    fn room_of_patient(&self, client: &Client, patient_id: &str) -> Result<&Team, Refusal> {
        let rooms = || {
            self.state
                .teams
                .values()
                .filter(|team| team.patient_id == patient_id && team.kind != GroupKind::Free)
        };
        if rooms().next().is_none() {
            return Err(Refusal::not_found("patient"));
        }
        let mut own = rooms()
            .filter(|team| team.includes(&client.facility_id))
            .peekable();
        if own.peek().is_none() {
            return Err(Refusal::new(
                403,
                "not_a_member",
                "the client's facility is in no room of this patient",
            ));
        }
        let mut consented = own.filter(|team| team.consent).peekable();
        if consented.peek().is_none() {
            return Err(Refusal::new(
                403,
                "no_consent",
                "the patient's consent is missing or withdrawn",
            ));
        }
        let active = consented.find(|team| !team.is_archived());
        active
            .ok_or_else(|| Refusal::new(410, "archived", "every room of this patient is archived"))
    }
}
