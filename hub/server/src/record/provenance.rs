//! One Provenance per message, with version-specific targets, written only when versions were written.

use std::sync::Arc;

use renkei_core::{Authority, Message, RecordId, ResourceKey, ResourceType, Strength};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::world::{Stored, World};

/// Writes the Provenance of `message` over the versions it caused (FHIR R4 Provenance.target, `Type/id/_history/n`).
pub fn write(world: &mut World, message: &Message, record: Option<RecordId>, versions: &[String]) {
    if versions.is_empty() {
        return;
    }
    let targets: Vec<_> = versions
        .iter()
        .filter_map(|id| world.resources.get(id))
        .map(|stored| json!({ "reference": format!("{}/{}/_history/{}", stored.kind.as_str(), stored.logical_id, stored.version) }))
        .collect();
    let id = ResourceKey::new(
        ResourceType::Provenance,
        &message.facility,
        &[
            message.source.as_str(),
            &message.id.to_string(),
            &targets.len().to_string(),
            &world.now.to_string(),
        ],
    )
    .logical_id();
    let digest = data_encoding::HEXLOWER.encode(&Sha256::digest(&message.body));
    let body = json!({
        "resourceType": "Provenance",
        "id": id,
        "target": targets,
        "recorded": world.now.to_string(),
        "agent": [{
            "type": { "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/provenance-participant-type", "code": "assembler" }] },
            "who": { "identifier": { "system": "http://jpfhir.jp/fhir/core/IdSystem/insurance-medical-institution-no", "value": message.facility.as_str() } }
        }],
        "entity": [{
            "role": "source",
            "what": { "identifier": { "system": "urn:renkei:message:sha256", "value": digest } }
        }]
    })
    .to_string();
    let row = world.ids.resource;
    world.ids.resource += 1;
    world.put_version(
        Some(message.id),
        "",
        Stored {
            row,
            record,
            kind: ResourceType::Provenance,
            logical_id: id,
            scope: None,
            version: 1,
            hash: Sha256::digest(body.as_bytes()).into(),
            body: Arc::from(body),
            source_time: message.received_at,
            storage_order: 0,
            authority: Authority::Primary,
            strength: Strength::Final,
            withdrawn: false,
        },
    );
}
