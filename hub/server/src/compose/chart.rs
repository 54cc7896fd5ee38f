//! A record's current resources, read for one notice: what it may name of prescriptions, allergies,
//! diagnoses, results and documents.

use jiff::{SignedDuration, Timestamp};
use renkei_core::notice::{Allergies, Comparison, Document, Drug, LabRow, Medication, Problem};
use renkei_core::{ItemClass, RecordId, ResourceType, clock};
use renkei_fhir::view::{
    AllergyView, ConditionView, DocumentReferenceView, MedicationRequestView, ObservationView,
};
use renkei_mappings::hl7v2::restricted;

use crate::world::{Notice, Stored, World};

/// Diagnoses a notice names at most.
const PROBLEMS: usize = 5;
/// Flagged laboratory rows a notice names at most.
const LAB_ROWS: usize = 10;
/// How long before the admission a prescription counts as what the patient took.
const BEFORE_ADMISSION: SignedDuration = SignedDuration::from_hours(90 * 24);
/// How long after the discharge a discharge prescription may still be written.
const AFTER_DISCHARGE: SignedDuration = SignedDuration::from_hours(3 * 24);

/// The record's current resources, read for one notice.
pub(super) struct Chart<'a> {
    pub(super) world: &'a World,
    pub(super) notice: &'a Notice,
    pub(super) record: RecordId,
}

/// From admission to discharge.
#[derive(Clone, Copy)]
pub(super) struct Span {
    pub(super) start: Option<Timestamp>,
    pub(super) end: Timestamp,
}

impl<'a> Chart<'a> {
    fn of(&self, kind: ResourceType) -> impl Iterator<Item = &'a Stored> + use<'a> {
        let world = self.world;
        world
            .charts
            .get(&self.record)
            .into_iter()
            .flatten()
            .filter_map(|id| world.resources.get(id))
            .filter(move |stored| {
                stored.kind == kind && !stored.withdrawn && !stored.body.is_empty()
            })
    }

    /// After the first telling only what was told may change the content; before it, everything counts.
    fn may_tell(&self, stored: &Stored) -> bool {
        self.notice.version == 0 || self.notice.told.contains(&stored.logical_id)
    }

    pub(super) fn allergies(&self, told: &mut Vec<String>) -> Allergies {
        let mut known = Vec::new();
        let mut stated_none = false;
        for stored in self
            .of(ResourceType::AllergyIntolerance)
            .filter(|stored| self.may_tell(stored))
        {
            let Ok(view) = AllergyView::parse(&stored.body) else {
                continue;
            };
            let name = view.code.words();
            if !view.stands() || view.clinical_status.has_code("inactive") || name.is_empty() {
                continue;
            }
            told.push(stored.logical_id.clone());
            if view.code.has_code("716186003") {
                stated_none = true;
            } else if !known.iter().any(|other| other == name) {
                known.push(name.to_owned());
            }
        }
        match (known.is_empty(), stated_none) {
            (false, _) => Allergies::Known(known),
            (true, true) => Allergies::StatedNone,
            (true, false) => Allergies::Unknown,
        }
    }

    /// Suspected, ended, withdrawn and restricted diagnoses never; the main one first.
    pub(super) fn problems(&self, told: &mut Vec<String>) -> Vec<Problem> {
        let mut found: Vec<(Problem, String, &Stored)> = Vec::new();
        for stored in self
            .of(ResourceType::Condition)
            .filter(|stored| self.may_tell(stored))
        {
            let Ok(view) = ConditionView::parse(&stored.body) else {
                continue;
            };
            let settled = !matches!(
                view.verification(),
                "provisional" | "differential" | "refuted" | "entered-in-error" | "unconfirmed"
            );
            let ended = matches!(view.clinical(), "inactive" | "remission" | "resolved")
                || !view.abatement_date_time.is_empty();
            let name = view.code.words();
            if !settled
                || ended
                || name.is_empty()
                || found.iter().any(|(other, ..)| other.name == name)
            {
                continue;
            }
            let coded = view
                .code
                .coding
                .iter()
                .find_map(|coding| restricted::of_code(&coding.system, &coding.code));
            if coded.or_else(|| restricted::of_name(name)).is_some() {
                continue;
            }
            let recorded = view.recorded_date.as_str().to_owned();
            found.push((
                Problem {
                    name: name.to_owned(),
                    main: view.is_main(),
                },
                recorded,
                stored,
            ));
        }
        found.sort_by(|one, other| {
            other
                .0
                .main
                .cmp(&one.0.main)
                .then_with(|| other.1.cmp(&one.1))
                .then_with(|| one.0.name.cmp(&other.0.name))
        });
        found.truncate(PROBLEMS);
        told.extend(found.iter().map(|(.., stored)| stored.logical_id.clone()));
        found.into_iter().map(|(problem, ..)| problem).collect()
    }

    /// The discharge prescription of this stay, compared with what this facility prescribed before the
    /// admission.
    pub(super) fn discharge_prescription(
        &self,
        stay: Span,
        told: &mut Vec<String>,
    ) -> Option<Medication> {
        let mut lines: Vec<(String, u32, u32, Drug, &Stored)> = Vec::new();
        let mut before: Vec<(Timestamp, Drug)> = Vec::new();
        for stored in self.of(ResourceType::MedicationRequest) {
            let Ok(view) = MedicationRequestView::parse(&stored.body) else {
                continue;
            };
            let Some(written) = instant(&view.authored_on) else {
                continue;
            };
            if !matches!(view.status.as_str(), "active" | "completed" | "on-hold") {
                continue;
            }
            let within = stay.start.is_none_or(|start| written >= start)
                && written <= add(stay.end, AFTER_DISCHARGE);
            if view.has_category("DCG") && within {
                let number = |text: &str| text.parse().unwrap_or(u32::MAX);
                lines.push((
                    view.order_number().to_owned(),
                    number(view.rp_number()),
                    number(view.order_in_rp()),
                    drug(&view),
                    stored,
                ));
            } else if let Some(start) = stay.start
                && !view.has_category("DCG")
                && written < start
                && written >= add(start, -BEFORE_ADMISSION)
            {
                before.push((written, drug(&view)));
            }
        }
        if lines.is_empty() {
            return None;
        }
        lines.sort_by(|one, other| {
            (&one.0, one.1, one.2, &one.3.name).cmp(&(&other.0, other.1, other.2, &other.3.name))
        });
        told.extend(lines.iter().map(|(.., stored)| stored.logical_id.clone()));
        let drugs: Vec<Drug> = lines.into_iter().map(|(.., drug, _)| drug).collect();
        let comparison = compare(&last_list(before), &drugs);
        Some(Medication {
            drugs,
            label: "退院処方".to_owned(),
            comparison,
        })
    }

    /// The newest row per item of this stay, where the laboratory itself set a flag.
    pub(super) fn flagged_results(&self, stay: Span, told: &mut Vec<String>) -> Vec<LabRow> {
        let mut rows: Vec<(Timestamp, LabRow, bool, &Stored)> = Vec::new();
        for stored in self.of(ResourceType::Observation) {
            let Ok(view) = ObservationView::parse(&stored.body) else {
                continue;
            };
            let Some(at) = instant(view.effective()) else {
                continue;
            };
            if view.kind() != "laboratory"
                || matches!(
                    view.status.as_str(),
                    "entered-in-error" | "cancelled" | "registered"
                )
                || at > stay.end
            {
                continue;
            }
            let flag = view
                .flags()
                .map(flag_word)
                .find(|word| !word.is_empty())
                .unwrap_or("");
            let quantity = &view.value_quantity;
            let (value, unit) = if quantity.is_empty() {
                (view.value(), String::new())
            } else {
                (
                    format!(
                        "{}{}",
                        quantity.comparator.as_str(),
                        quantity.value.as_str()
                    ),
                    quantity.unit.as_str().to_owned(),
                )
            };
            let row = LabRow {
                name: view.code.words().to_owned(),
                value,
                unit,
                flag: flag.to_owned(),
                range: view.range(),
                date: clock::in_japan(at).date().to_string(),
                previous: None,
            };
            rows.push((at, row, infectious(stored), stored));
        }
        rows.sort_by(|one, other| {
            other
                .0
                .cmp(&one.0)
                .then_with(|| one.1.name.cmp(&other.1.name))
        });
        let mut shown: Vec<LabRow> = Vec::new();
        let mut seen: Vec<String> = Vec::new();
        for index in 0..rows.len() {
            let Some((at, row, restricted, stored)) = rows.get(index) else {
                continue;
            };
            // A later result takes no place of one that was told.
            if seen.contains(&row.name) || !self.may_tell(stored) {
                continue;
            }
            seen.push(row.name.clone());
            let in_stay = stay.start.is_none_or(|start| *at >= start);
            if row.flag.is_empty() || !in_stay || *restricted || shown.len() >= LAB_ROWS {
                continue;
            }
            let previous = rows
                .iter()
                .skip(index + 1)
                .find(|(_, older, ..)| older.name == row.name);
            let mut row = row.clone();
            if let Some((_, older, _, stored)) = previous {
                row.previous = Some(format!("{}（{}）", older.value, short_day(&older.date)));
                told.push(stored.logical_id.clone());
            }
            told.push(stored.logical_id.clone());
            shown.push(row);
        }
        shown
    }

    pub(super) fn documents(&self, told: &mut Vec<String>) -> Vec<Document> {
        let mut documents: Vec<(Document, &str)> = Vec::new();
        for stored in self
            .of(ResourceType::DocumentReference)
            .filter(|stored| self.notice.parts.contains(&stored.logical_id))
        {
            let Ok(view) = DocumentReferenceView::parse(&stored.body) else {
                continue;
            };
            let Some(attachment) = view.attachment() else {
                continue;
            };
            documents.push((
                Document {
                    class: document_class(&view),
                    title: view.title().to_owned(),
                    date: view.date.get(..10).unwrap_or("").to_owned(),
                    media_type: attachment.content_type.as_str().to_owned(),
                    sha256: attachment.url.rsplit(':').next().unwrap_or("").to_owned(),
                    size: u64::from(attachment.size.to_u32().unwrap_or(0)),
                },
                stored.logical_id.as_str(),
            ));
        }
        documents.sort_by(|one, other| one.1.cmp(other.1));
        without_machine_forms(&mut documents);
        told.extend(documents.iter().map(|(_, id)| (*id).to_owned()));
        documents
            .into_iter()
            .map(|(document, _)| document)
            .collect()
    }
}

/// A CDA and the PDF beside it are one document to a reader: the PDF.
fn without_machine_forms(documents: &mut Vec<(Document, &str)>) {
    let is_xml = |document: &Document| document.media_type.ends_with("xml");
    let readable: Vec<Document> = documents
        .iter()
        .map(|(document, _)| document.clone())
        .filter(|document| !is_xml(document))
        .collect();
    documents.retain(|(document, _)| {
        let same = |other: &Document| {
            (other.class, &other.title, &other.date)
                == (document.class, &document.title, &document.date)
        };
        !is_xml(document) || !readable.iter().any(same)
    });
}

fn drug(view: &MedicationRequestView<'_>) -> Drug {
    let dose = view
        .dosage_instruction
        .iter()
        .flat_map(|dosage| &dosage.dose_and_rate)
        .map(|dose| dose.dose_quantity.words());
    let days = view.days();
    Drug {
        name: view.drugs().join("＋"),
        dose: dose
            .into_iter()
            .find(|words| !words.is_empty())
            .unwrap_or_default()
            .replace(' ', ""),
        usage: view.usage().to_owned(),
        duration: if days.is_empty() {
            String::new()
        } else {
            format!("{}日分", days.as_str())
        },
    }
}

/// The newest list before the admission: what was written within a day of the last prescription.
fn last_list(mut before: Vec<(Timestamp, Drug)>) -> Vec<Drug> {
    before.sort_by_key(|(written, _)| std::cmp::Reverse(*written));
    let Some(newest) = before.first().map(|(written, _)| *written) else {
        return Vec::new();
    };
    before
        .into_iter()
        .filter(|(written, _)| newest.duration_since(*written) <= SignedDuration::from_hours(24))
        .map(|(_, drug)| drug)
        .collect()
}

fn compare(before: &[Drug], now: &[Drug]) -> Comparison {
    if before.is_empty() {
        return Comparison::None;
    }
    let names = |drugs: Vec<&Drug>| drugs.into_iter().map(|drug| drug.name.clone()).collect();
    let same =
        |drug: &Drug, list: &[Drug]| list.iter().find(|other| other.name == drug.name).cloned();
    Comparison::With {
        added: names(
            now.iter()
                .filter(|drug| same(drug, before).is_none())
                .collect(),
        ),
        stopped: names(
            before
                .iter()
                .filter(|drug| same(drug, now).is_none())
                .collect(),
        ),
        changed: names(
            now.iter()
                .filter(|drug| {
                    same(drug, before)
                        .is_some_and(|old| old.dose != drug.dose || old.usage != drug.usage)
                })
                .collect(),
        ),
    }
}

/// The laboratory's own flag in words; empty for what is no deviation.
fn flag_word(code: &str) -> &'static str {
    match code {
        "H" | ">" | "HU" => "高値",
        "HH" => "高値（パニック値）",
        "L" | "<" | "LU" => "低値",
        "LL" => "低値（パニック値）",
        "A" | "POS" | "R" => "異常",
        "AA" => "異常（パニック値）",
        _ => "",
    }
}

/// Results of infection tests are restricted: never a line of a notice. The mapping marks them in the
/// scope of their own item; here the JLAC10 analyte class 5F decides (JLAC10 5F: 感染症免疫学的検査).
fn infectious(stored: &Stored) -> bool {
    ObservationView::parse(&stored.body).is_ok_and(|view| {
        view.code
            .coding
            .iter()
            .any(|coding| coding.code.starts_with("5F"))
    })
}

fn document_class(view: &DocumentReferenceView<'_>) -> ItemClass {
    let has = |code: &str| view.r#type.has_code(code);
    if has("18842-5") {
        ItemClass::DischargeSummary
    } else if has("57133-1") {
        ItemClass::Referral
    } else if has("11506-3") || has("34108-1") || has("34112-3") {
        ItemClass::VisitNote
    } else {
        view.category
            .iter()
            .flat_map(|category| &category.coding)
            .find_map(|coding| ItemClass::find(&coding.code))
            .unwrap_or(ItemClass::OtherDocument)
    }
}

/// A FHIR date or dateTime as an instant; a date begins at midnight in Japan.
pub(crate) fn instant(text: &str) -> Option<Timestamp> {
    match text.len() {
        0 => None,
        10 => format!("{text}T00:00:00+09:00").parse().ok(),
        _ => text.parse().ok(),
    }
}

fn add(at: Timestamp, span: SignedDuration) -> Timestamp {
    at.checked_add(span).unwrap_or(at)
}

fn short_day(date: &str) -> String {
    let mut parts = date
        .split('-')
        .skip(1)
        .map(|part| part.trim_start_matches('0'));
    format!(
        "{}/{}",
        parts.next().unwrap_or(""),
        parts.next().unwrap_or("")
    )
}
