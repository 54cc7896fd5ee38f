//! Stop 5, record: resource versions, tombstones, lineage and Provenance.
//!
//! Called by `pipeline::process` with a draft whose subject is known. Applies the rules of lateness,
//! authority and completeness; writes a version only when the body changes. Clinical content is the
//! JSON text the mapping made; only status changes of withdrawals and merged Encounters are edited.

pub mod body;
pub mod provenance;
pub mod raw;
pub mod stay;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::sync::Arc;

use jiff::Timestamp;
use renkei_core::draft::STAY_TOKEN;
use renkei_core::{
    Authority, Carry, Code, Draft, DraftResource, Finding, Message, RecordId, ResourceKey,
    ResourceType, Severity, Strength, Withdrawal,
};
use sha2::{Digest, Sha256};

use crate::world::{Sighting, Stored, World};

/// What recording a draft changed.
#[derive(Debug, Default)]
pub struct Changes {
    /// Logical ids of resources that got a new version now.
    pub versions: Vec<String>,
    /// The logical id of the stay the message spoke of.
    pub stay: Option<String>,
    /// Oddities found while recording.
    pub findings: Vec<Finding>,
}

/// Records a draft under `record`.
pub fn apply(
    world: &mut World,
    message: &Message,
    draft: &Draft,
    record: Option<RecordId>,
) -> Changes {
    let mut changes = Changes::default();
    if let (Some(hint), Some(record)) = (&draft.stay, record) {
        changes.stay = stay::find(world, message, hint, record, &mut changes.findings);
    }
    for resource in &draft.resources {
        write(world, message, resource, record, &mut changes);
    }
    for withdrawal in &draft.withdrawals {
        withdraw(world, message, withdrawal, record, &mut changes);
    }
    if let Some(record) = record
        && !draft.complete_scopes.is_empty()
    {
        let named: Vec<String> = draft
            .resources
            .iter()
            .map(|resource| logical_id(&resource.key, &changes))
            .collect();
        for scope in &draft.complete_scopes {
            withdraw_absent(world, message, record, scope, &named, &mut changes);
        }
    }
    provenance::write(world, message, record, &changes.versions);
    changes
}

/// The logical id under a key, the stay resolved.
pub fn logical_id(key: &ResourceKey, changes: &Changes) -> String {
    match (&changes.stay, key.is_unresolved_stay()) {
        (Some(stay), true) => stay.clone(),
        _ => key.logical_id(),
    }
}

fn write(
    world: &mut World,
    message: &Message,
    resource: &DraftResource,
    record: Option<RecordId>,
    changes: &mut Changes,
) {
    let id = logical_id(&resource.key, changes);
    let mut body = resource.body.expose().clone();
    if let Some(stay) = &changes.stay
        && body.contains(STAY_TOKEN)
    {
        body = body.replace(STAY_TOKEN, stay);
    }
    let current = world.resources.get(&id).cloned();
    if current.is_none() && is_dropped_meanwhile(world, resource, record) {
        let finding = Finding::new(Code::REC_LATE, Severity::Info, resource.key.kind.as_str());
        changes.findings.push(finding);
        return;
    }
    if let Some(current) = &current {
        let refusal = if resource.authority < current.authority && !current.withdrawn {
            Some(None)
        } else if order(
            current,
            resource.source_time,
            resource.storage_order,
            resource.scope.as_deref(),
        ) == Ordering::Greater
        {
            Some(Some(Code::REC_LATE))
        } else if resource.strength < current.strength && !current.withdrawn {
            Some(Some(Code::REC_PRELIMINARY))
        } else {
            None
        };
        if let Some(code) = refusal {
            changes.findings.extend(
                code.map(|code| Finding::new(code, Severity::Info, resource.key.kind.as_str())),
            );
            sight(world, message, current, code == Some(Code::REC_LATE));
            return;
        }
        if let Carry::Merge { clear } = &resource.carry
            && current.version > 0
            && !current.withdrawn
        {
            body = body::carried_over(&current.body, &body, clear).unwrap_or(body);
            let reopens = clear.iter().any(|path| path == "period.end");
            if resource.key.kind == ResourceType::Encounter && !reopens {
                body = body::kept_finished(&current.body, body);
            }
        }
    }
    put(
        world,
        message,
        &resource.key,
        id,
        current,
        NewBody {
            body,
            withdrawn: false,
            source_time: resource.source_time,
            storage_order: resource.storage_order,
            authority: resource.authority,
            strength: resource.strength,
            scope: resource.scope.clone(),
            record,
        },
        changes,
    );
}

/// Whether a newer file of the same storage key is already recorded, which no longer names this: an
/// older file that comes later must not bring it back.
fn is_dropped_meanwhile(world: &World, resource: &DraftResource, record: Option<RecordId>) -> bool {
    let (Some(record), Some(scope)) = (record, &resource.scope) else {
        return false;
    };
    let members = world.scopes.get(&(record, scope.clone()));
    resource.storage_order != 0
        && members
            .into_iter()
            .flatten()
            .filter_map(|id| world.resources.get(id))
            .any(|member| member.storage_order > resource.storage_order)
}

fn withdraw(
    world: &mut World,
    message: &Message,
    withdrawal: &Withdrawal,
    record: Option<RecordId>,
    changes: &mut Changes,
) {
    if withdrawal.key.is_unresolved_stay() && changes.stay.is_none() {
        return;
    }
    let id = logical_id(&withdrawal.key, changes);
    let current = world.resources.get(&id).cloned();
    let mut body = String::new();
    match &current {
        Some(current)
            if order(
                current,
                withdrawal.source_time,
                withdrawal.storage_order,
                withdrawal.scope.as_deref(),
            ) == Ordering::Greater =>
        {
            sight(world, message, current, true);
            return;
        }
        Some(current) if current.withdrawn => {
            sight(world, message, current, false);
            return;
        }
        Some(current) => {
            body =
                body::withdrawn(current.kind, withdrawal.reason, &current.body).unwrap_or_default()
        }
        None => changes.findings.push(Finding::new(
            Code::REC_CANCEL_FIRST,
            Severity::Info,
            withdrawal.key.kind.as_str(),
        )),
    }
    put(
        world,
        message,
        &withdrawal.key,
        id,
        current,
        NewBody {
            body,
            withdrawn: true,
            source_time: withdrawal.source_time,
            storage_order: withdrawal.storage_order,
            authority: Authority::Primary,
            strength: Strength::Final,
            scope: withdrawal.scope.clone(),
            record,
        },
        changes,
    );
}

/// What a complete list no longer names is taken back, unless it is newer than the list.
fn withdraw_absent(
    world: &mut World,
    message: &Message,
    record: RecordId,
    scope: &renkei_core::CompleteScope,
    named: &[String],
    changes: &mut Changes,
) {
    let members = world
        .scopes
        .get(&(record, scope.scope.clone()))
        .cloned()
        .unwrap_or_default();
    for id in members.iter().filter(|id| !named.contains(id)) {
        let Some(current) = world.resources.get(id).cloned() else {
            continue;
        };
        if current.withdrawn || current.source_time > scope.as_of {
            continue;
        }
        let body = body::withdrawn(current.kind, scope.reason, &current.body).unwrap_or_default();
        let next = Stored {
            version: current.version + 1,
            hash: Sha256::digest(body.as_bytes()).into(),
            body: Arc::from(body),
            source_time: scope.as_of,
            withdrawn: true,
            ..current
        };
        changes.versions.push(id.clone());
        sight(world, message, &next, false);
        world.put_version(Some(message.id), "", next);
    }
}

struct NewBody {
    body: String,
    withdrawn: bool,
    source_time: Timestamp,
    storage_order: u64,
    authority: Authority,
    strength: Strength,
    scope: Option<String>,
    record: Option<RecordId>,
}

fn put(
    world: &mut World,
    message: &Message,
    key: &ResourceKey,
    id: String,
    current: Option<Stored>,
    new: NewBody,
    changes: &mut Changes,
) {
    let hash: [u8; 32] = Sha256::digest(new.body.as_bytes()).into();
    if let Some(current) = &current
        && current.hash == hash
        && current.withdrawn == new.withdrawn
    {
        sight(world, message, current, false);
        return;
    }
    let row = match &current {
        Some(current) => current.row,
        None => {
            let row = world.ids.resource;
            world.ids.resource += 1;
            row
        }
    };
    let tombstone = new.body.is_empty();
    let version = current.as_ref().map_or(0, |current| current.version) + u32::from(!tombstone);
    let stored = Stored {
        row,
        record: new
            .record
            .or(current.as_ref().and_then(|current| current.record)),
        kind: key.kind,
        logical_id: id.clone(),
        scope: new
            .scope
            .or_else(|| current.as_ref().and_then(|current| current.scope.clone())),
        version,
        body: Arc::from(new.body),
        hash,
        source_time: new.source_time,
        storage_order: new.storage_order,
        authority: new.authority,
        strength: new.strength,
        withdrawn: new.withdrawn,
    };
    sight(world, message, &stored, false);
    let natural = if key.is_unresolved_stay() {
        ""
    } else {
        key.key.as_str()
    };
    world.put_version(Some(message.id), natural, stored);
    if !tombstone {
        changes.versions.push(id);
    }
}

/// How the recorded state stands to an incoming one. The storage's own time orders within one
/// storage key only; equal is not late: the later message wins.
fn order(current: &Stored, time: Timestamp, storage_order: u64, scope: Option<&str>) -> Ordering {
    let same_key =
        storage_order != 0 && current.storage_order != 0 && current.scope.as_deref() == scope;
    if same_key && current.storage_order != storage_order {
        return current.storage_order.cmp(&storage_order);
    }
    current.source_time.cmp(&time)
}

fn sight(world: &mut World, message: &Message, stored: &Stored, late: bool) {
    world.effects.sightings.push(Sighting {
        message: message.id,
        resource: stored.row,
        version: stored.version,
        late,
    });
}
