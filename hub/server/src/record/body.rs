//! The two edits the hub makes on recorded FHIR text: carrying elements over into a newer Encounter or
//! Patient, and the status of what is taken back.

use renkei_core::ResourceType;
use renkei_core::draft::WithdrawReason;

use super::raw::RawObject;

/// The new body with the elements it lacks taken from the recorded one: objects merged, arrays and
/// values replaced, the paths in `clear` dropped first. `None` when either text is not an object.
pub fn carried_over(recorded: &str, new: &str, clear: &[String]) -> Option<String> {
    let mut old = RawObject::parse(recorded)?;
    let mut new = RawObject::parse(new)?;
    for path in clear {
        drop_path(&mut old, path);
    }
    fill(&mut new, &old);
    new.text()
}

/// A message about something within a stay (a plan, a move, a change of doctor) does not reopen a stay
/// that has ended: the status stays `finished`.
pub fn kept_finished(recorded: &str, body: String) -> String {
    let ended =
        RawObject::parse(recorded).is_some_and(|stay| stay.get("status") == Some("\"finished\""));
    match RawObject::parse(&body) {
        Some(mut stay) if ended && stay.get("status") == Some("\"in-progress\"") => {
            stay.set("status", "\"finished\"".to_owned());
            stay.text().unwrap_or(body)
        }
        _ => body,
    }
}

fn drop_path(object: &mut RawObject, path: &str) {
    let Some((first, rest)) = path.split_once('.') else {
        object.remove(path);
        return;
    };
    let Some(mut inner) = object.get(first).and_then(RawObject::parse) else {
        return;
    };
    drop_path(&mut inner, rest);
    if inner.is_empty() {
        object.remove(first);
    } else if let Some(text) = inner.text() {
        object.set(first, text);
    }
}

fn fill(new: &mut RawObject, old: &RawObject) {
    for name in old.names() {
        let Some(value) = old.get(name) else { continue };
        match new.get(name) {
            None => new.set(name, value.to_owned()),
            Some(present) => {
                let (Some(mut inner), Some(outer)) =
                    (RawObject::parse(present), RawObject::parse(value))
                else {
                    continue;
                };
                fill(&mut inner, &outer);
                if let Some(text) = inner.text() {
                    new.set(name, text);
                }
            }
        }
    }
}

/// The body with the status that says it was taken back (rules per type: Observation, DiagnosticReport
/// and Immunization `entered-in-error`; MedicationRequest `cancelled`, `stopped` or `entered-in-error`;
/// Encounter `cancelled`; Condition and AllergyIntolerance verificationStatus `entered-in-error` without
/// clinicalStatus, FHIR R4 con-5 and ait-2; Patient `active = false`). `None` for what cannot be taken
/// back or is not an object.
pub fn withdrawn(kind: ResourceType, reason: WithdrawReason, body: &str) -> Option<String> {
    let mut object = RawObject::parse(body)?;
    let (element, text) = match (kind, reason) {
        (ResourceType::Provenance, _) => return None,
        (ResourceType::Encounter | ResourceType::Coverage, _) => ("status", "\"cancelled\""),
        (ResourceType::MedicationRequest, WithdrawReason::Cancelled) => ("status", "\"cancelled\""),
        (ResourceType::MedicationRequest, WithdrawReason::Superseded) => ("status", "\"stopped\""),
        (ResourceType::ServiceRequest, WithdrawReason::Cancelled | WithdrawReason::Superseded) => {
            ("status", "\"revoked\"")
        }
        (ResourceType::Location, _) => ("status", "\"inactive\""),
        (ResourceType::Patient | ResourceType::Organization | ResourceType::Practitioner, _) => {
            ("active", "false")
        }
        (ResourceType::Condition | ResourceType::AllergyIntolerance, _) => {
            object.remove("clinicalStatus");
            ("verificationStatus", verification(kind))
        }
        (
            ResourceType::MedicationRequest
            | ResourceType::ServiceRequest
            | ResourceType::Specimen
            | ResourceType::Observation
            | ResourceType::DiagnosticReport
            | ResourceType::DocumentReference
            | ResourceType::MedicationAdministration
            | ResourceType::Immunization
            | ResourceType::Procedure
            | ResourceType::Communication,
            _,
        ) => ("status", "\"entered-in-error\""),
    };
    object.set(element, text.to_owned());
    object.text()
}

const fn verification(kind: ResourceType) -> &'static str {
    match kind {
        ResourceType::Condition => {
            r#"{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/condition-ver-status","code":"entered-in-error"}]}"#
        }
        _ => {
            r#"{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/allergyintolerance-verification","code":"entered-in-error"}]}"#
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_discharge_keeps_the_admission_and_its_cancel_drops_the_end() {
        let admitted = r#"{"resourceType":"Encounter","id":"e","status":"in-progress","period":{"start":"2025-01-10T10:00:00+09:00"}}"#;
        let discharged = r#"{"resourceType":"Encounter","id":"e","status":"finished","period":{"end":"2025-01-31T11:00:00+09:00"},"hospitalization":{"dischargeDisposition":{"text":"自宅"}}}"#;
        let merged = carried_over(admitted, discharged, &[]).unwrap();
        assert!(
            merged.contains("2025-01-10T10:00:00+09:00")
                && merged.contains("2025-01-31T11:00:00+09:00")
        );
        let undone = r#"{"resourceType":"Encounter","id":"e","status":"in-progress"}"#;
        let back = carried_over(
            &merged,
            undone,
            &[
                "period.end".into(),
                "hospitalization.dischargeDisposition".into(),
            ],
        )
        .unwrap();
        assert!(
            back.contains("2025-01-10")
                && !back.contains("2025-01-31")
                && !back.contains("hospitalization")
        );
    }

    #[test]
    fn a_withdrawn_condition_has_no_clinical_status() {
        let body = r#"{"resourceType":"Condition","id":"c","clinicalStatus":{"coding":[]},"verificationStatus":{"coding":[]}}"#;
        let gone = withdrawn(
            ResourceType::Condition,
            WithdrawReason::EnteredInError,
            body,
        )
        .unwrap();
        assert!(!gone.contains("clinicalStatus") && gone.contains("entered-in-error"));
    }

    #[test]
    fn decimals_keep_their_spelling_when_a_status_changes() {
        let body = r#"{"resourceType":"Observation","id":"o","status":"final","valueQuantity":{"value":6.80}}"#;
        let gone = withdrawn(
            ResourceType::Observation,
            WithdrawReason::EnteredInError,
            body,
        )
        .unwrap();
        assert!(gone.contains("6.80"), "{gone}");
    }
}
