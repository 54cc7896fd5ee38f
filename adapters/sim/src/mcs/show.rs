//! Groups, posts and acks as `sns-gateway/1` shows them.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::seed::{Member, Team};
use crate::state::{Entry, State};

pub(super) fn group(team: &Team, members: bool) -> Value {
    json!({
        "group_id": team.id,
        "kind": team.kind,
        "status": team.status,
        "host_facility_id": team.host_facility_id,
        "url": format!("https://mcs.invalid/groups/{}", team.id),
        "updated_at": team.updated_at,
        "patient": team.patient,
        "members": if members { team.members.as_slice() } else { &[] },
    })
}

/// A post as `reader` (a client) sees it; withdrawn ones are empty shells.
pub(super) fn post(state: &State, entry: &Entry, reader: &str) -> Value {
    let mut shown = entry.request.clone();
    let withdrawn = entry.withdrawn_at.is_some();
    let files = entry
        .files
        .iter()
        .filter_map(|place| state.files.get(*place))
        .map(|file| {
            json!({
                "attachment_id": file.id, "file_name": file.file_name, "sha256": file.sha256,
                "bytes": file.bytes.len(), "media_type": file.media_type,
            })
        });
    shown["attachments"] = if withdrawn {
        json!([])
    } else {
        files.collect()
    };
    if withdrawn {
        shown["headline"] = json!("");
        shown["text"] = json!("");
    }
    if shown.get("reply_to").is_none() {
        shown["reply_to"] = Value::Null;
    }
    if entry.client_id.is_none() {
        complete_author(state, entry, &mut shown);
    }
    shown["client_ref"] = client_ref(entry, reader);
    shown["post_id"] = json!(entry.id);
    shown["group_id"] = json!(entry.team_id);
    shown["accepted_at"] = json!(entry.accepted_at.to_string());
    shown["url"] = json!(url(&entry.id));
    shown["origin"] = json!(entry.origin());
    shown["withdrawn"] = json!(withdrawn);
    shown["corrections"] = json!(entry.corrections);
    shown
}

/// A person's post names its writer as the member is known now.
fn complete_author(state: &State, entry: &Entry, shown: &mut Value) {
    let user_ref = entry.request["author"]["user_ref"]
        .as_str()
        .unwrap_or_default();
    let team = state.teams.get(&entry.team_id);
    let member = team.and_then(|team| {
        team.members
            .iter()
            .find(|member| member.user_ref == user_ref)
    });
    if let Some(member) = member {
        shown["author"] = json!({
            "facility_id": member.facility_id, "user_ref": member.user_ref, "display": member.display,
            "profession": member.professions.first().map_or("other-unset", String::as_str),
        });
    }
}

pub(super) fn url(post_id: &str) -> String {
    format!("https://mcs.invalid/posts/{post_id}")
}

pub(super) fn ack(entry: &Entry, member: &Member, at: Timestamp, reader: &str) -> Value {
    json!({
        "ack_id": format!("{}.{}", entry.id, member.user_ref), "post_id": entry.id, "group_id": entry.team_id,
        "client_ref": client_ref(entry, reader), "user_ref": member.user_ref, "display": member.display,
        "facility_id": member.facility_id, "professions": member.professions, "acked_at": at.to_string(),
    })
}

/// Everyone who has read the post so far.
pub(super) fn readers(entry: &Entry) -> Value {
    let readers = entry.seen_by.iter().map(|seen| {
        json!({
            "user_ref": seen.member.user_ref, "display": seen.member.display, "facility_id": seen.member.facility_id,
            "professions": seen.member.professions, "read_at": seen.read_at.to_string(),
        })
    });
    readers.collect()
}

fn client_ref(entry: &Entry, reader: &str) -> Value {
    if entry.client_id.as_deref() == Some(reader) {
        entry.request["client_ref"].clone()
    } else {
        Value::Null
    }
}
