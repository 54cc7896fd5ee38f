//! One OBX to one Observation (JP Core 1.2.0 `JP_Observation_LabResult`, `JP_Observation_Microbiology`).

use std::borrow::Cow;

use jiff::Timestamp;
use renkei_core::{Carry, Code, Finding, Severity, Strength};
use renkei_fhir::Decimal;
use renkei_fhir::emit::{
    Annotation, CodeableConcept, Coding, Contained, Effective, Meta, Observation, ObservationValue,
    Period, Quantity, RawJson, Reference, ReferenceRange, Text,
};
use renkei_fhir::jp_core::{Usage, profile, system};
use renkei_fhir::ucum;

use super::coded::{Unit, printable};
use super::value::{self, Grade, Reading};
use super::{Group, Keyed, Kind, Row, Shared, State, range, specimen};
use crate::context::Context;
use crate::moment::Moment;
use crate::reader::{Seg, trimmed};

/// What became of a row.
pub(crate) enum Effect {
    /// Its Observation is the last resource of the draft.
    Recorded(State),
    /// OBX-11 D or W: it is to be taken back.
    Withdrawn,
}

/// When something was taken or measured.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Taken<'m> {
    /// FHIR `dateTime`.
    pub(crate) start: Text<'m>,
    /// The end of the time it took, empty when that is its beginning.
    end: Text<'m>,
    /// The instant of the beginning.
    pub(crate) at: Timestamp,
    /// The field it was read from, as sent: the same text is the same time.
    sent: &'m str,
}

impl<'m> Taken<'m> {
    /// `effective[x]`, for as long as this is kept.
    pub(crate) fn effective(&self) -> Effective<'_> {
        let start = Cow::Borrowed(self.start.as_ref());
        let end = Cow::Borrowed(self.end.as_ref());
        Taken {
            start,
            end,
            ..*self
        }
        .into_effective()
    }

    /// `effective[x]`.
    pub(crate) fn into_effective(self) -> Effective<'m> {
        let Self { start, end, .. } = self;
        if end.is_empty() {
            Effective::DateTime(start)
        } else {
            Effective::Period(Period { start, end })
        }
    }
}

/// The time of a group: OBR-7 (to OBR-8), else SPM-17, else OBR-22 or ORC-9 or that of the message.
pub(crate) fn effective_of<'m>(context: &mut Context<'m>, group: &Group<'m>) -> Taken<'m> {
    let requested = group.obr.map(|obr| (obr, 7, Some((obr, 8))));
    let collected = group.specimen.map(|spm| (spm, 17, None));
    let reported = group.obr.map(|obr| (obr, 22, None));
    let entered = group.orc.map(|orc| (orc, 9, None));
    for (segment, field, end) in [requested, collected, reported, entered]
        .into_iter()
        .flatten()
    {
        let moment = context.moment(segment, field);
        let Some((moment, at)) = moment.and_then(|moment| Some((moment, moment.instant()?))) else {
            continue;
        };
        let start = moment.fhir();
        let end = end
            .and_then(|(segment, field)| context.moment(segment, field))
            .filter(|end| end.instant() > Some(at));
        let end = end.map(Moment::fhir).unwrap_or_default();
        return Taken {
            start: start.into(),
            end: end.into(),
            at,
            sent: segment.field(field).raw(),
        };
    }
    let start = crate::moment::fhir_instant(context.source_time, context.options.zone);
    Taken {
        start: start.into(),
        end: Text::default(),
        at: context.source_time,
        sent: "",
    }
}

/// Whether a group says when its specimens were taken.
fn has_clinical_time(group: &Group<'_>) -> bool {
    let is_sent = |segment: Option<Seg<'_>>, field| {
        segment.is_some_and(|segment| !segment.text(field).is_empty())
    };
    is_sent(group.obr, 7) || is_sent(group.specimen, 17)
}

/// OBX-14, else the time of the group.
pub(crate) fn taken<'m>(
    context: &mut Context<'m>,
    group: &Group<'m>,
    obx: Seg<'m>,
    of_group: &Taken<'m>,
) -> Taken<'m> {
    if obx.field(14).raw() == of_group.sent && of_group.end.is_empty() && !of_group.sent.is_empty()
    {
        return of_group.clone();
    }
    let own = context
        .moment(obx, 14)
        .and_then(|moment: Moment| Some((moment, moment.instant()?)));
    match own {
        Some((moment, at)) => Taken {
            start: moment.fhir().into(),
            end: Text::default(),
            at,
            sent: obx.field(14).raw(),
        },
        None => {
            if !has_clinical_time(group) {
                context.note(Code::MAP_NO_TIME, obx.at(14));
            }
            of_group.clone()
        }
    }
}

/// What all rows of a group share.
pub(crate) struct OfGroup<'m> {
    taken: Taken<'m>,
    /// Printed once for all rows; where the group does not say what was examined, once for each material
    /// (JLAC10 digits) the rows name.
    specimens: Vec<(String, RawJson<'static>)>,
    is_said: bool,
}

impl<'m> OfGroup<'m> {
    /// Reads time and specimen of a group.
    pub(crate) fn read(
        context: &mut Context<'m>,
        shared: &Shared,
        group: &Group<'m>,
        rows: &[Keyed<'m>],
    ) -> Self {
        let taken = effective_of(context, group);
        let mut specimen = specimen::of_group(context, group.specimen);
        specimen.subject = Reference::to(Cow::Borrowed(shared.subject.as_str()));
        let is_said = !specimen.r#type.coding.is_empty() || !specimen.r#type.text.is_empty();
        let mut specimens: Vec<(String, RawJson<'static>)> = Vec::new();
        for keyed in rows {
            let material = specimen::material_digits(&keyed.row);
            if specimens
                .iter()
                .any(|(known, _)| is_said || known == material)
            {
                continue;
            }
            if !is_said {
                specimen.r#type = specimen::material(material);
            }
            specimens.push((material.to_owned(), specimen.to_raw()));
        }
        Self {
            taken,
            specimens,
            is_said,
        }
    }

    /// The specimen of one row.
    fn specimen(&self, row: &Row<'_>) -> Vec<Contained<'_>> {
        let material = specimen::material_digits(row);
        let mut of_row = self.specimens.iter();
        let found = of_row.find(|(known, _)| self.is_said || known == material);
        let printed = found.map(|(_, printed)| Contained::Printed(printed.borrowed()));
        printed.into_iter().collect()
    }
}

/// Writes one row.
pub(crate) fn observe<'m>(
    context: &mut Context<'m>,
    shared: &Shared,
    group: &Group<'m>,
    keyed: &mut Keyed<'m>,
    of_group: &OfGroup<'m>,
    members: Vec<Reference<'static>>,
) -> Effect {
    let obx = keyed.row.obx;
    if keyed.row.is_taken_back() {
        super::mark_taken_back(&keyed.row);
        return Effect::Withdrawn;
    }
    let taken = taken(context, group, obx, &of_group.taken);
    let measured = Measured::read(context, obx);
    let (profile, category) = shape(keyed.row.kind);
    let subject = || Reference::to(Cow::Borrowed(shared.subject.as_str()));
    let mut observation = Observation {
        id: keyed.id.as_str().into(),
        meta: Meta::of_profile(profile),
        status: measured.status.into(),
        category,
        subject: subject(),
        effective: Some(taken.effective()),
        note: notes(&keyed.row),
        has_member: members,
        ..Observation::default()
    };
    if keyed.row.kind != Kind::Physiology {
        observation.contained = of_group.specimen(&keyed.row);
        observation.specimen = Reference::to_contained(specimen::ID);
    }
    let method = obx.field(17);
    if method.has_value() {
        observation.method = context.coded(obx, 17, method.repetition(1), Usage::Any);
    }
    observation.code = std::mem::take(&mut keyed.row.code);
    observation.value = measured.value;
    observation.data_absent_reason = measured.absent;
    observation.interpretation = measured.interpretation;
    observation.reference_range = measured.range;
    let body = observation.to_json();
    let resource = context.record(keyed.key.clone(), body);
    resource.strength = measured.strength;
    if measured.keeps_value {
        resource.carry = Carry::Merge { clear: Vec::new() };
    }
    Effect::Recorded(State {
        status: measured.status,
        strength: measured.strength,
        is_critical: measured.is_critical,
        occurred_at: taken.at,
    })
}

/// Profile and categories of an Observation (JP Core 1.2.0).
fn shape(kind: Kind) -> (&'static str, Vec<CodeableConcept<'static>>) {
    let category = |uri: &'static str, code: &'static str| {
        CodeableConcept::of_coding(Coding::new(uri, code, ""))
    };
    let laboratory = category(system::OBSERVATION_CATEGORY, "laboratory");
    match kind {
        Kind::Laboratory | Kind::Infection => (profile::OBSERVATION_LAB, vec![laboratory]),
        Kind::Microbiology => (
            profile::OBSERVATION_MICROBIOLOGY,
            vec![laboratory, category(system::LOINC, "18725-2")],
        ),
        Kind::Physiology => (
            profile::OBSERVATION_COMMON,
            vec![category(system::OBSERVATION_CATEGORY, "procedure")],
        ),
        Kind::VitalSign => (
            profile::OBSERVATION_VITAL_SIGNS,
            vec![category(system::OBSERVATION_CATEGORY, "vital-signs")],
        ),
    }
}

/// The remarks of the laboratory on one row.
pub(crate) fn notes<'m>(row: &Row<'m>) -> Vec<Annotation<'m>> {
    let text = |note: &Seg<'m>| Annotation::of_text(printable(note.field(3).full_text()));
    row.notes.iter().map(text).collect()
}

/// What a row says apart from its item, time and specimen.
pub(crate) struct Measured<'m> {
    /// FHIR R4 `observation-status`.
    pub(crate) status: &'static str,
    pub(crate) strength: Strength,
    pub(crate) value: Option<ObservationValue<'m>>,
    pub(crate) absent: CodeableConcept<'m>,
    pub(crate) interpretation: Vec<CodeableConcept<'m>>,
    pub(crate) range: Vec<ReferenceRange<'m>>,
    pub(crate) is_critical: bool,
    /// OBX-11 U: the value is the one sent before.
    keeps_value: bool,
}

impl<'m> Measured<'m> {
    /// Reads OBX-2, 5, 6, 7, 8 and 11.
    pub(crate) fn read(context: &mut Context<'m>, obx: Seg<'m>) -> Self {
        let code = obx.text(11);
        let (status, strength) = status(context, obx, &code);
        let unit = context.unit(obx, 6);
        let value = value_of(context, obx, unit.as_ref());
        let keeps_value = code == "U" && value.is_none();
        let absent = match &value {
            Some(_) => CodeableConcept::default(),
            None if keeps_value => CodeableConcept::default(),
            None => absent_reason(context, obx, status),
        };
        let (interpretation, is_critical) = interpretation(context, obx);
        let range = reference_range(context, obx, unit.as_ref());
        Self {
            status,
            strength,
            value,
            absent,
            interpretation,
            range,
            is_critical,
            keeps_value,
        }
    }
}

/// OBX-11 (HL7 table 0085).
fn status<'m>(context: &mut Context<'m>, obx: Seg<'m>, code: &str) -> (&'static str, Strength) {
    match code {
        "F" | "U" | "V" => ("final", Strength::Final),
        "C" => ("corrected", Strength::Final),
        "A" | "B" => ("amended", Strength::Final),
        "P" | "R" | "S" => ("preliminary", Strength::Preliminary),
        "I" | "O" => ("registered", Strength::Preliminary),
        "X" | "N" => ("cancelled", Strength::Final),
        "D" | "W" => ("entered-in-error", Strength::Final),
        _ => {
            let finding = Finding::new(Code::MAP_STATUS_UNKNOWN, Severity::Warning, obx.at(11));
            context.find(finding.with_value(code));
            ("unknown", Strength::Preliminary)
        }
    }
}

/// OBX-5 by OBX-2; `None` when there is no value.
fn value_of<'m>(
    context: &mut Context<'m>,
    obx: Seg<'m>,
    unit: Option<&Unit<'m>>,
) -> Option<ObservationValue<'m>> {
    let field = obx.field(5);
    let kind = obx.text(2);
    if !field.has_value() {
        return None;
    }
    match kind.as_ref() {
        "NM" => number(context, obx, unit),
        "SN" => {
            let joined: String = field
                .repetition(1)
                .components()
                .map(|part| part.text())
                .collect();
            from_reading(value::read(&joined).into_owned(), unit)
        }
        "CWE" | "CE" | "CNE" | "CF" | "IS" | "ID" => coded_value(context, obx),
        "DT" | "TS" | "DTM" => {
            let moment = context.moment(obx, 5);
            moment.map(|moment| ObservationValue::String(moment.fhir().into()))
        }
        "ED" | "RP" => None,
        "TX" | "FT" => {
            let lines: Vec<Text<'m>> = field.repetitions().map(|line| line.full_text()).collect();
            let text = if lines.len() == 1 {
                field.full_text()
            } else {
                Cow::Owned(lines.join("\n"))
            };
            text_value(text)
        }
        _ => match field.full_text() {
            Cow::Borrowed(text) => from_reading(value::read(text), unit),
            Cow::Owned(text) => from_reading(value::read(&text).into_owned(), unit),
        },
    }
}

fn number<'m>(
    context: &mut Context<'m>,
    obx: Seg<'m>,
    unit: Option<&Unit<'m>>,
) -> Option<ObservationValue<'m>> {
    let reading = match obx.field(5).full_text() {
        Cow::Borrowed(text) => value::read(text),
        Cow::Owned(text) => value::read(&text).into_owned(),
    };
    let is_plain = matches!(
        reading,
        Reading::Number { comparator: "", .. } | Reading::Nothing
    );
    if !is_plain {
        let finding = Finding::new(Code::MAP_BAD_NUMBER, Severity::Info, obx.at(5));
        context.find(finding.with_value(obx.field(5).full_text()));
    }
    from_reading(reading, unit)
}

fn from_reading<'m>(reading: Reading<'m>, unit: Option<&Unit<'m>>) -> Option<ObservationValue<'m>> {
    match reading {
        Reading::Nothing => None,
        Reading::Number { comparator, number } => Some(ObservationValue::Quantity(Quantity {
            comparator: comparator.into(),
            ..quantity(number, unit)
        })),
        Reading::Grade(grade, spelled) => {
            // 陽性, 陰性 and 判定保留 of CLINS 1.10.0; a trace or a degree has no code there.
            let code = match grade {
                Grade::Positive => Some(("1", "陽性")),
                Grade::Negative => Some(("2", "陰性")),
                Grade::Undecided if spelled.contains("保留") => Some(("3", "判定保留")),
                Grade::Undecided | Grade::Degree => None,
            };
            let coding = code.map(|(code, display)| Coding::new(POSITIVE_NEGATIVE, code, display));
            Some(ObservationValue::CodeableConcept(CodeableConcept {
                coding: coding.into_iter().collect(),
                text: spelled,
                ..CodeableConcept::default()
            }))
        }
        Reading::Text(text) => text_value(text),
    }
}

/// Code system of 陽性, 陰性 and 判定保留 (JP-CLINS 1.10.0 `JP_PosNegHold_CS`).
pub(crate) const POSITIVE_NEGATIVE: &str =
    "http://jpfhir.jp/fhir/LaboResult/CodeSystem/JP_PosNegHold_CS";

fn text_value(text: Text<'_>) -> Option<ObservationValue<'_>> {
    let text = printable(text);
    (!text.is_empty()).then_some(ObservationValue::String(text))
}

/// All repetitions of a coded value as one concept.
fn coded_value<'m>(context: &mut Context<'m>, obx: Seg<'m>) -> Option<ObservationValue<'m>> {
    let mut whole = CodeableConcept::default();
    for repetition in obx.field(5).repetitions() {
        let concept = context.coded(obx, 5, repetition, Usage::Organism);
        whole.coding.extend(concept.coding);
        whole.text = match (whole.text.is_empty(), concept.text.is_empty()) {
            (true, _) => concept.text,
            (false, true) => whole.text,
            (false, false) => Cow::Owned(format!("{}、{}", whole.text, concept.text)),
        };
    }
    (whole != CodeableConcept::default()).then_some(ObservationValue::CodeableConcept(whole))
}

/// A quantity; without UCUM code the unit is text only.
pub(crate) fn quantity<'m>(number: Decimal<'m>, unit: Option<&Unit<'m>>) -> Quantity<'m> {
    let mut quantity = Quantity {
        value: Some(number),
        ..Quantity::default()
    };
    if let Some(unit) = unit {
        quantity.unit = unit.text.clone();
        quantity.code = unit.code.clone();
        if !unit.code.is_empty() {
            quantity.system = ucum::SYSTEM.into();
        }
    }
    quantity
}

/// Why a row has no value, with a finding unless its status says it.
fn absent_reason<'m>(context: &mut Context<'m>, obx: Seg<'m>, status: &str) -> CodeableConcept<'m> {
    let is_attached = matches!(obx.text(2).as_ref(), "ED" | "RP") && obx.field(5).has_value();
    let code = match status {
        _ if is_attached => "unsupported",
        "cancelled" => "not-performed",
        "registered" => "temp-unknown",
        _ => "unknown",
    };
    if is_attached {
        context.note(Code::MAP_ATTACHMENT, obx.at(5));
    } else if code == "unknown" {
        context.note(Code::MAP_ROW_INCOMPLETE, obx.at(5));
    }
    CodeableConcept::of_coding(Coding::new(system::DATA_ABSENT_REASON, code, ""))
}

/// Codes of FHIR R4 `v3-ObservationInterpretation` that laboratories send in OBX-8.
pub(crate) const INTERPRETATIONS: &[&str] = &[
    "L", "H", "LL", "HH", "N", "A", "AA", "<", ">", "U", "D", "B", "W", "S", "R", "I", "MS", "VS",
    "IND", "NEG", "POS", "DET", "ND", "NR", "RR", "WR", "SDD", "NS", "HX", "LX", "HU", "LU",
];

/// OBX-8, and whether one of its flags is the laboratory's own alarm.
fn interpretation<'m>(context: &mut Context<'m>, obx: Seg<'m>) -> (Vec<CodeableConcept<'m>>, bool) {
    let field = obx.field(8);
    if !field.has_value() {
        return (Vec::new(), false);
    }
    let mut is_critical = false;
    let mut concepts = Vec::new();
    for repetition in field.repetitions() {
        let sent = trimmed(repetition.text());
        if sent.is_empty() {
            continue;
        }
        let folded = value::fold(&sent);
        let known = INTERPRETATIONS
            .iter()
            .find(|code| code.eq_ignore_ascii_case(&folded));
        is_critical |= matches!(known, Some(&("HH" | "LL" | "AA")));
        concepts.push(match known {
            Some(code) => {
                CodeableConcept::of_coding(Coding::new(system::INTERPRETATION, *code, ""))
            }
            None => {
                let finding = Finding::new(Code::MAP_UNKNOWN_CODE, Severity::Info, obx.at(8));
                context.find(finding.with_value(sent.as_ref()));
                CodeableConcept::of_text(sent)
            }
        });
    }
    (concepts, is_critical)
}

/// OBX-7, in the unit of the value.
fn reference_range<'m>(
    context: &mut Context<'m>,
    obx: Seg<'m>,
    unit: Option<&Unit<'m>>,
) -> Vec<ReferenceRange<'m>> {
    let text = obx.field(7).full_text();
    let owned;
    let (range, text) = match text {
        Cow::Borrowed(text) => (range::read(text), Cow::Borrowed(text.trim())),
        Cow::Owned(text) => {
            owned = text;
            let range = range::read(&owned).map(range::Range::into_owned);
            (range, Cow::Owned(owned.trim().to_owned()))
        }
    };
    let Some(range) = range else {
        return Vec::new();
    };
    if range.is_words {
        context.note(Code::MAP_RANGE_AS_TEXT, obx.at(7));
    }
    let end = |end: Option<Decimal<'m>>| end.map(|end| quantity(end, unit)).unwrap_or_default();
    vec![ReferenceRange {
        low: end(range.low),
        high: end(range.high),
        text: printable(text),
        ..ReferenceRange::default()
    }]
}
