//! `/_sim/*`: look inside, seed, make things fail, make people act. No token is asked.

use axum::http::Method;
use data_encoding::BASE64;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::http::Peer;
use crate::refusal::Refusal;
use crate::request::{Call, Reply, shape};
use crate::seed::{GroupStatus, Member, PatientHeader, Seed, Team};
use crate::state::{Entry, EntryKind, Faults, State, What};

/// People (and secretariats) at work.
#[derive(Debug, Deserialize)]
#[serde(tag = "act", rename_all = "snake_case", deny_unknown_fields)]
enum Act {
    Ack {
        entry_id: String,
        user_ref: String,
    },
    Read {
        entry_id: String,
        user_ref: String,
    },
    Invite {
        team_id: String,
        member: Member,
    },
    Remove {
        team_id: String,
        user_ref: String,
    },
    Archive {
        team_id: String,
    },
    SetConsent {
        team_id: String,
        consent: bool,
    },
    SetPatient {
        team_id: String,
        patient: PatientHeader,
    },
    Write {
        team_id: String,
        user_ref: String,
        headline: String,
        text: String,
        reply_to: Option<String>,
    },
    Measure {
        team_id: String,
        user_ref: String,
        vital: Value,
    },
}

/// Answers one call to a test door.
pub(crate) fn open<P: Peer>(peer: &mut P, call: &Call) -> Result<Reply, Refusal> {
    match (call.method.clone(), call.path.as_str()) {
        (Method::GET, "/_sim/state") => {
            let bodies = call
                .query
                .get("bodies")
                .is_none_or(|value| value != "false");
            Ok(Reply::json(200, dump(peer.state(), bodies)))
        }
        (Method::GET, "/_sim/counts") => Ok(Reply::json(200, json!(peer.state().counts))),
        (Method::POST, "/_sim/seed") => {
            peer.state().load(shape::<Seed>(call.json()?)?);
            Ok(Reply::json(200, json!({})))
        }
        (Method::POST, "/_sim/faults") => {
            peer.state().faults = shape::<Faults>(call.json()?)?;
            Ok(Reply::json(200, json!({})))
        }
        (Method::POST, "/_sim/act") => {
            let id = perform(peer, shape::<Act>(call.json()?)?)?;
            Ok(Reply::json(200, json!({ "id": id })))
        }
        _ => Err(Refusal::not_found("door")),
    }
}

fn perform<P: Peer>(peer: &mut P, act: Act) -> Result<Option<String>, Refusal> {
    match act {
        Act::Ack { entry_id, user_ref } => {
            return peer.state().see(&entry_id, &user_ref, true).map(Some);
        }
        Act::Read { entry_id, user_ref } => {
            return peer.state().see(&entry_id, &user_ref, false).map(Some);
        }
        Act::Measure {
            team_id,
            user_ref,
            vital,
        } => return peer.measure(&team_id, &user_ref, &vital).map(Some),
        Act::Write {
            team_id,
            user_ref,
            headline,
            text,
            reply_to,
        } => {
            member_of(peer.state(), &team_id, &user_ref)?;
            let (request, prefix) = peer.written(&user_ref, &headline, &text, reply_to.as_deref());
            let state = peer.state();
            let (id, now) = (state.issue(prefix), state.now());
            return Ok(Some(state.write(Entry::new(
                id,
                EntryKind::Message,
                &team_id,
                now,
                request,
            ))));
        }
        Act::Invite { team_id, member } => {
            let members = &mut touch(peer.state(), &team_id)?.members;
            members.retain(|known| known.user_ref != member.user_ref);
            members.push(member.clone());
            peer.state().note(&team_id, What::MemberAdded(member));
        }
        Act::Remove { team_id, user_ref } => {
            let member = member_of(peer.state(), &team_id, &user_ref)?;
            touch(peer.state(), &team_id)?
                .members
                .retain(|known| known.user_ref != user_ref);
            peer.state().note(&team_id, What::MemberRemoved(member));
        }
        Act::Archive { team_id } => {
            touch(peer.state(), &team_id)?.status = GroupStatus::Archived;
            peer.state().note(&team_id, What::Archived);
        }
        Act::SetConsent { team_id, consent } => touch(peer.state(), &team_id)?.consent = consent,
        Act::SetPatient { team_id, patient } => {
            touch(peer.state(), &team_id)?.patient = Some(patient.clone());
            peer.state().note(&team_id, What::PatientChanged(patient));
        }
    }
    Ok(None)
}

/// A team about to change: its time of change is set.
fn touch<'a>(state: &'a mut State, team_id: &str) -> Result<&'a mut Team, Refusal> {
    let now = state.now().to_string();
    let team = state
        .teams
        .get_mut(team_id)
        .ok_or_else(|| Refusal::not_found("team"))?;
    team.updated_at = now;
    Ok(team)
}

/// A member by team and `user_ref`.
pub(crate) fn member_of(state: &State, team_id: &str, user_ref: &str) -> Result<Member, Refusal> {
    let team = state
        .teams
        .get(team_id)
        .ok_or_else(|| Refusal::not_found("team"))?;
    let member = team
        .members
        .iter()
        .find(|member| member.user_ref == user_ref);
    member.cloned().ok_or_else(|| Refusal::not_found("member"))
}

fn dump(state: &State, bodies: bool) -> Value {
    let entries = |kind: EntryKind| -> Vec<Value> {
        state
            .entries
            .iter()
            .filter(|entry| entry.kind == kind)
            .map(|entry| show_entry(state, entry, bodies))
            .collect()
    };
    let files = state.files.iter().map(|file| {
        json!({
            "file_id": file.id, "client_id": file.client_id, "file_name": file.file_name,
            "media_type": file.media_type, "sha256": file.sha256, "bytes": file.bytes.len(),
            "base64": bodies.then(|| BASE64.encode(&file.bytes)),
        })
    });
    let vitals = state.vitals.iter().map(|vital| {
        json!({"client_id": vital.client_id, "team_id": vital.team_id, "patient": vital.patient, "item": vital.item})
    });
    let acks = state.entries.iter().flat_map(|entry| {
        entry.seen_by.iter().filter_map(|seen| {
            let at = seen.acked_at?;
            Some(json!({"entry_id": entry.id, "key": entry.key, "user_ref": seen.member.user_ref, "acked_at": at.to_string()}))
        })
    });
    let mut keys: Vec<_> = state.keys.iter().collect();
    keys.sort_by_key(|(key, _)| *key);
    let keys = keys.into_iter().map(|((client_id, key), record)| {
        json!({"client_id": client_id, "key": key, "requests": record.requests, "effects": record.effects})
    });
    json!({
        "name": state.name,
        "now": state.now().to_string(),
        "counts": state.counts,
        "teams": state.teams.values().collect::<Vec<_>>(),
        "posts": entries(EntryKind::Message),
        "documents": entries(EntryKind::Document),
        "files": files.collect::<Vec<_>>(),
        "vitals": vitals.collect::<Vec<_>>(),
        "acks": acks.collect::<Vec<_>>(),
        "keys": keys.collect::<Vec<_>>(),
        "webhooks": state.webhooks,
        "rejected": state.rejected,
        "faults": state.faults,
    })
}

fn show_entry(state: &State, entry: &Entry, bodies: bool) -> Value {
    let files: Vec<&str> = entry
        .files
        .iter()
        .filter_map(|place| state.files.get(*place))
        .map(|file| file.id.as_str())
        .collect();
    let seen_by = entry.seen_by.iter().map(|seen| {
        json!({
            "user_ref": seen.member.user_ref, "read_at": seen.read_at.to_string(),
            "acked_at": seen.acked_at.map(|at| at.to_string()),
        })
    });
    json!({
        "entry_id": entry.id, "team_id": entry.team_id, "team_kind": entry.team_kind,
        "client_id": entry.client_id, "key": entry.key, "accepted_at": entry.accepted_at.to_string(),
        "origin": entry.origin(), "request": bodies.then_some(&entry.request), "patient": entry.patient,
        "readable_by": entry.readable_by, "corrections": entry.corrections,
        "withdrawn": entry.withdrawn_at.is_some(), "replaced_by": entry.replaced_by, "files": files,
        "seen_by": seen_by.collect::<Vec<_>>(),
    })
}
