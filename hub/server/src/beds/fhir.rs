//! The board as FHIR: a Location per ward, and a MeasureReport with its counts as long as they are fresh.
//!
//! A stale ward has its Location and no counts, so no reader can take an old number for a free bed. Made when
//! asked for; nothing of it is recorded as a resource.

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use renkei_core::bed::CLOSED;
use renkei_core::id::hash_id;
use renkei_fhir::emit::{
    Bundle, BundleEntry, CodeableConcept, Coding, ContactPoint, Identifier, Location, MeasureGroup,
    MeasurePopulation, MeasureReport, Meta, Period, Reference,
};
use renkei_fhir::jp_core::{identifier, profile};

use super::Known;

const PHYSICAL_TYPE: &str = "http://terminology.hl7.org/CodeSystem/location-physical-type";
const BED_STATUS: &str = "http://terminology.hl7.org/CodeSystem/v2-0116";
/// Names of our own: `.invalid` never resolves.
const MEASURE: &str = "http://renkei.invalid/fhir/Measure/beds";
const COUNTS: &str = "http://renkei.invalid/fhir/CodeSystem/bed-count";

/// `2025-01-31T09:00:00+09:00`
fn fhir_time(at: Timestamp) -> String {
    let japan = TimeZone::fixed(Offset::constant(9));
    at.to_zoned(japan)
        .strftime("%Y-%m-%dT%H:%M:%S%:z")
        .to_string()
}

fn concept(
    system: &'static str,
    code: &'static str,
    text: &'static str,
) -> CodeableConcept<'static> {
    CodeableConcept {
        coding: vec![Coding {
            system: system.into(),
            code: code.into(),
            ..Coding::default()
        }],
        text: text.into(),
        ..CodeableConcept::default()
    }
}

fn hospital(known: &Known) -> Reference<'_> {
    let number = Identifier {
        system: identifier::MEDICAL_INSTITUTION.into(),
        value: (&*known.bed.hospital_code).into(),
        ..Identifier::default()
    };
    Reference::to_identified("Organization", number, &*known.bed.hospital_name)
}

fn location<'a>(known: &'a Known, id: &'a str) -> Location<'a> {
    let bed = &known.bed;
    let words = [&*bed.function, &bed.bed_type].into_iter();
    let words = words.filter(|word| !word.is_empty());
    Location {
        id: id.into(),
        meta: Meta {
            profile: vec![profile::LOCATION.into()],
            ..Meta::default()
        },
        identifier: vec![Identifier {
            system: identifier::local(&bed.hospital_code, "location").into(),
            value: (&*bed.ward_code).into(),
            ..Identifier::default()
        }],
        status: "active".into(),
        operational_status: if bed.function == CLOSED {
            Coding {
                system: BED_STATUS.into(),
                code: "C".into(),
                ..Coding::default()
            }
        } else {
            Coding::default()
        },
        name: match &*bed.ward_name {
            "" => (&*bed.ward_code).into(),
            name => name.into(),
        },
        mode: "instance".into(),
        r#type: words
            .map(|word| CodeableConcept {
                text: word.into(),
                ..CodeableConcept::default()
            })
            .collect(),
        telecom: vec![ContactPoint {
            system: if bed.contact.is_empty() { "" } else { "other" }.into(),
            value: (&*bed.contact).into(),
            ..ContactPoint::default()
        }],
        physical_type: concept(PHYSICAL_TYPE, "wa", "病棟"),
        managing_organization: hospital(known),
    }
}

fn report<'a>(known: &'a Known, id: &'a str, ward: &str) -> MeasureReport<'a> {
    let bed = &known.bed;
    let counts = [
        ("licensed", "許可病床", bed.licensed),
        ("staffed", "稼働病床", bed.staffed),
        ("occupied", "入院中", bed.occupied),
        ("available", "空床", bed.free(None)),
        ("available-any", "空床（男女どちらも）", bed.available_any),
        ("available-male", "空床（男性）", bed.available_m),
        ("available-female", "空床（女性）", bed.available_f),
        ("available-private", "空床（個室）", bed.private_available),
    ];
    let counts = counts.into_iter().filter_map(|(code, text, count)| {
        Some(MeasurePopulation {
            code: concept(COUNTS, code, text),
            count: Some(u32::try_from(count?).ok()?),
        })
    });
    MeasureReport {
        id: id.into(),
        status: "complete".into(),
        r#type: "summary".into(),
        measure: MEASURE.into(),
        subject: Reference::to(format!("Location/{ward}")),
        date: fhir_time(bed.updated_at).into(),
        reporter: hospital(known),
        period: Period {
            start: fhir_time(bed.updated_at).into(),
            end: fhir_time(known.valid_until.max(bed.updated_at)).into(),
        },
        group: vec![MeasureGroup {
            code: concept(COUNTS, "beds", "病床"),
            population: counts.collect(),
        }],
        ..MeasureReport::default()
    }
}

/// The board as a Bundle of type `collection`, FHIR R4 JSON.
pub fn bundle(board: &[&Known], now: Timestamp) -> String {
    let mut entry = Vec::new();
    for known in board {
        let ward = [
            known.bed.hospital_code.as_str(),
            "",
            known.bed.ward_code.as_str(),
        ];
        let id = |kind: &'static str| hash_id(&[ward[0], kind, ward[2]]);
        let (place, counted) = (id("Location"), id("MeasureReport"));
        let mut add = |reference: String, resource| {
            entry.push(BundleEntry {
                full_url: format!("http://renkei.invalid/fhir/{reference}").into(),
                resource: Some(resource),
            });
        };
        add(
            format!("Location/{place}"),
            location(known, &place).to_raw(),
        );
        if now <= known.valid_until {
            let report = report(known, &counted, &place).to_raw();
            add(format!("MeasureReport/{counted}"), report);
        }
    }
    Bundle {
        r#type: "collection".into(),
        timestamp: fhir_time(now).into(),
        entry,
        ..Bundle::default()
    }
    .to_json()
}

#[cfg(test)]
mod tests {
    use renkei_core::{Bed, SourceName};

    use super::*;

    #[test]
    fn a_stale_ward_has_no_counts() {
        let bed = Bed {
            hospital_code: "1319999999".to_owned(),
            ward_code: "3E".to_owned(),
            function: "回復期".to_owned(),
            available_any: Some(1),
            available_m: Some(2),
            updated_at: "2025-01-31T00:00:00Z".parse().unwrap(),
            ..Bed::default()
        };
        let known = Known {
            valid_until: "2025-01-31T02:00:00Z".parse().unwrap(),
            received_at: bed.updated_at,
            source: SourceName::new("beds"),
            message: None,
            bed,
        };
        let at = |time: &str| -> serde_json::Value {
            let text = bundle(&[&known], time.parse().unwrap());
            serde_json::from_str(&text).unwrap()
        };
        let fresh = at("2025-01-31T02:00:00Z");
        let report = &fresh["entry"][1]["resource"];
        assert_eq!(report["resourceType"], "MeasureReport");
        assert_eq!(report["period"]["end"], "2025-01-31T11:00:00+09:00");
        let counts = report["group"][0]["population"].as_array().unwrap();
        let counts: Vec<_> = counts
            .iter()
            .map(|count| {
                (
                    count["code"]["coding"][0]["code"].as_str().unwrap(),
                    &count["count"],
                )
            })
            .map(|(code, count)| format!("{code} {count}"))
            .collect();
        assert_eq!(
            counts,
            ["available 3", "available-any 1", "available-male 2"]
        );
        let place = &fresh["entry"][0]["resource"];
        assert_eq!(
            report["subject"]["reference"],
            format!("Location/{}", place["id"].as_str().unwrap())
        );
        let stale = at("2025-01-31T02:00:01Z");
        assert_eq!(stale["entry"].as_array().unwrap().len(), 1);
        assert_eq!(stale["entry"][0]["resource"]["resourceType"], "Location");
    }
}
