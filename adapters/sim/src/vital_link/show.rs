//! Rooms and changes as `vital_link` shows them.

use serde_json::{Value, json};

use super::{change_type, id_name};
use crate::seed::{Member, Team};
use crate::state::{Entry, Happening, State, What};

pub(super) fn room(team: &Team) -> Value {
    json!({
        "room_id": team.id,
        "kind": team.kind,
        "status": team.status,
        "host_facility_id": team.host_facility_id,
        "updated_at": team.updated_at,
        "patient_id": team.patient_id,
        "patient": team.patient,
        "members": team.members.iter().map(member).collect::<Vec<_>>(),
    })
}

/// One profession only: the first.
fn member(member: &Member) -> Value {
    json!({
        "user_ref": member.user_ref, "display": member.display, "facility_id": member.facility_id,
        "profession": member.professions.first().map_or("other-unset", String::as_str),
    })
}

/// Type and data of one change, as `client_id` sees it.
pub(super) fn change(
    state: &State,
    happening: &Happening,
    client_id: &str,
) -> Option<(&'static str, Value)> {
    let (kind, data) = match &happening.what {
        What::Written(place) => {
            let written = state.entries.get(*place)?;
            (Some(written.kind), entry(state, written, client_id))
        }
        What::Read(place, reader) | What::Acked(place, reader) => {
            let seen = state.entries.get(*place)?;
            let mut data = member(reader);
            data[id_name(seen.kind)] = json!(seen.id);
            data["uid"] = seen.uid_for(client_id);
            data["at"] = json!(happening.at.to_string());
            (Some(seen.kind), data)
        }
        What::Measured(place) => {
            let vital = state.vitals.get(*place)?;
            let mut data = vital.item.clone();
            data["origin"] = json!(if vital.client_id.is_some() {
                "api"
            } else {
                "person"
            });
            (None, data)
        }
        What::MemberAdded(person) | What::MemberRemoved(person) => (None, member(person)),
        What::Archived => (None, json!({})),
        What::PatientChanged(header) => (None, json!(header)),
    };
    Some((change_type(&happening.what, kind), data))
}

fn entry(state: &State, entry: &Entry, client_id: &str) -> Value {
    let mut shown = entry.request.clone();
    if entry.client_id.is_none() {
        let user_ref = entry.request["author"]["user_ref"]
            .as_str()
            .unwrap_or_default();
        let team = state.teams.get(&entry.team_id);
        if let Some(writer) = team.and_then(|team| {
            team.members
                .iter()
                .find(|member| member.user_ref == user_ref)
        }) {
            shown["author"] = member(writer);
        }
    }
    if entry.withdrawn_at.is_some() {
        for field in ["title", "body"] {
            if shown.get(field).is_some() {
                shown[field] = json!("");
            }
        }
        shown["documents"] = json!([]);
    }
    if let Some(file) = entry
        .files
        .first()
        .and_then(|place| state.files.get(*place))
    {
        shown["file_name"] = json!(file.file_name);
        shown["sha256"] = json!(file.sha256);
        shown["bytes"] = json!(file.bytes.len());
        shown["media_type"] = json!(file.media_type);
    }
    shown["uid"] = entry.uid_for(client_id);
    shown[id_name(entry.kind)] = json!(entry.id);
    shown["accepted_at"] = json!(entry.accepted_at.to_string());
    shown["origin"] = json!(entry.origin());
    shown["replaced_by"] = json!(entry.replaced_by);
    shown
}
