//! PID, NK1 and DB1 to Patient (JP Core 1.2.0 `JP_Patient`), and the facts by which people are recognised.

use std::borrow::Cow;

use renkei_core::{Authority, Carry, Code, Facts, LocalId, Subject};
use renkei_fhir::emit::{
    Address, CodeableConcept, ContactPoint, Extension, ExtensionValue, HumanName, Identifier, Meta,
    Patient, PatientContact, Reference, Text,
};
use renkei_fhir::jp_core::{identifier, profile};
use renkei_hl7v2::{Field, Repetition, kana};
use unicode_normalization::UnicodeNormalization;

use super::name::{self, Representation};
use crate::context::{Context, without_wide_space};
use crate::moment::Precision;
use crate::reader::{Reader, Seg, trimmed};

/// What kind of message tells about the patient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Telling {
    /// The message about the person (A08, A28, A31): all of it.
    Whole,
    /// A message about a stay that carries the PID.
    Part,
    /// The patient block inside an order, result or list.
    Snapshot,
}

/// Reads the patient of the message: the draft's subject and its Patient resource.
pub(crate) fn read<'m>(reader: Reader<'m>, context: &mut Context<'m>, telling: Telling) {
    let Some(pid) = reader.first("PID") else {
        set_subject(context, Facts::default(), Authority::Snapshot);
        return;
    };
    let mut facts = Facts::default();
    let (names, telecom, address) = (
        names(pid, context, &mut facts),
        telecom(pid, &mut facts),
        address(pid, &mut facts),
    );
    let gender = gender(pid, context);
    gender.clone_into(&mut facts.sex);
    let birth_date = birth_date(pid, context);
    birth_date.clone_into(&mut facts.birth_date);
    if telling != Telling::Snapshot {
        // PID-33 says when the record was changed; EVN-2 and the storage time order messages better.
        pid.mark(&[33]);
    }
    let key = context.patient_key().clone();
    let patient = Patient {
        id: key.logical_id().into(),
        meta: Meta::of_profile(profile::PATIENT),
        extension: disabilities(reader),
        identifier: vec![Identifier::new(
            identifier::patient(context.options.facility.as_str()),
            context.local_id.clone(),
        )],
        active: Some(true),
        name: names,
        telecom,
        gender: gender.into(),
        birth_date: birth_date.into(),
        address,
        contact: contacts(reader, context),
        managing_organization: managing_organization(context),
        ..Patient::default()
    };
    let body = patient.to_json();
    let entry = context.record(key, body);
    let authority = if telling == Telling::Snapshot {
        Authority::Snapshot
    } else {
        Authority::Primary
    };
    entry.authority = authority;
    if telling != Telling::Whole {
        entry.carry = Carry::Merge { clear: nulls(pid) };
    }
    set_subject(context, facts, authority);
}

fn set_subject(context: &mut Context<'_>, facts: Facts, authority: Authority) {
    context.draft.subject = Some(Subject {
        facility: context.options.facility.clone(),
        local_id: LocalId::new(&context.local_id),
        facts,
        authority,
    });
}

/// The elements the sender deletes with `""`.
fn nulls(pid: Seg<'_>) -> Vec<String> {
    let elements = [
        (5, "name"),
        (7, "birthDate"),
        (8, "gender"),
        (11, "address"),
    ];
    let mut clear: Vec<String> = elements
        .into_iter()
        .filter(|&(number, _)| pid.field(number).is_null())
        .map(|(_, element)| element.to_owned())
        .collect();
    if pid.field(13).is_null() && !pid.field(14).has_value() {
        clear.push("telecom".to_owned());
    }
    clear
}

fn names<'m>(pid: Seg<'m>, context: &mut Context<'m>, facts: &mut Facts) -> Vec<HumanName<'m>> {
    let mut names = Vec::new();
    for (repetition, number) in pid.field(5).repetitions().zip(1..) {
        let Some(read) = name::xpn(repetition) else {
            continue;
        };
        if read.is_unusual {
            let at = if number == 1 {
                pid.at(5)
            } else {
                format!("{}({number})", pid.at(5))
            };
            context.warn(Code::MAP_NAME_FORM, at);
        }
        match read.representation {
            Representation::Phonetic if facts.kana.is_empty() => {
                facts.kana = kana::search_key(&format!("{}{}", read.family, read.given));
                facts.family_kana = name::katakana(&read.family);
            }
            Representation::Ideographic if facts.kanji.is_empty() => {
                facts.kanji = read.text().into_owned()
            }
            _ => {}
        }
        names.push(read.into_fhir());
    }
    if names.is_empty() {
        context.warn(Code::MAP_NAME_MISSING, pid.at(5));
    }
    names
}

fn gender(pid: Seg<'_>, context: &mut Context<'_>) -> &'static str {
    match pid.text(8).as_ref() {
        "M" => "male",
        "F" => "female",
        "O" | "A" | "N" => "other",
        "U" => "unknown",
        "" => "",
        _ => {
            context.warn(Code::MAP_UNKNOWN_CODE, pid.at(8));
            "unknown"
        }
    }
}

fn birth_date<'m>(pid: Seg<'m>, context: &mut Context<'m>) -> String {
    match context.moment(pid, 7) {
        Some(moment) if moment.precision() >= Precision::Day => moment.date(),
        Some(moment) => moment.fhir(),
        None => String::new(),
    }
}

fn telecom<'m>(pid: Seg<'m>, facts: &mut Facts) -> Vec<ContactPoint<'m>> {
    let mut points = telecom_of(pid.field(13), "home");
    points.extend(telecom_of(pid.field(14), "work"));
    for point in &points {
        let digits: String = point.value.nfkc().filter(char::is_ascii_digit).collect();
        if point.system == "phone" && digits.len() >= 9 && !facts.phones.contains(&digits) {
            facts.phones.push(digits);
        }
    }
    points
}

/// Phones, faxes and mail addresses (XTN): the number stands in component 12, sometimes in 1.
fn telecom_of<'m>(field: Field<'m>, usual: &'static str) -> Vec<ContactPoint<'m>> {
    let mut points = Vec::new();
    for phone in field.repetitions() {
        let number = [12, 1, 4]
            .into_iter()
            .map(|part| trimmed(phone.component(part).text()))
            .find(|text| !text.is_empty());
        let Some(number) = number else {
            continue;
        };
        let (code, equipment) = (phone.component(2).raw(), phone.component(3).raw());
        let system = match equipment {
            "FX" => "fax",
            "Internet" | "X.400" => "email",
            _ if code == "NET" || number.contains('@') => "email",
            _ => "phone",
        };
        let r#use = match code {
            _ if equipment == "CP" => "mobile",
            "PRN" => "home",
            "WPN" => "work",
            "PRS" => "mobile",
            "" => usual,
            _ => "",
        };
        points.push(ContactPoint {
            system: system.into(),
            value: number,
            r#use: r#use.into(),
            ..ContactPoint::default()
        });
    }
    points
}

fn address<'m>(pid: Seg<'m>, facts: &mut Facts) -> Vec<Address<'m>> {
    let addresses: Vec<_> = pid.field(11).repetitions().filter_map(address_of).collect();
    for address in &addresses {
        if let Some(key) = address_key(&address.postal_code, &address.text) {
            facts.addresses.push(key);
        }
    }
    addresses
}

/// An address (XAD): usually one text in component 8; some senders fill 1 to 4 instead.
pub(super) fn address_of(sent: Repetition<'_>) -> Option<Address<'_>> {
    let part = |number: usize| trimmed(sent.component(number).text());
    let mut text = without_wide_space(part(8));
    if text.is_empty() {
        text = Cow::Owned([part(4), part(3), part(1), part(2)].concat());
    }
    let postal_code = part(5);
    if text.is_empty() && postal_code.is_empty() {
        return None;
    }
    let r#use = match part(7).as_ref() {
        "H" => "home",
        "B" | "O" => "work",
        "C" => "temp",
        _ => "",
    };
    let country = match part(6) {
        japan if japan == "JPN" => "JP".into(),
        other => other,
    };
    Some(Address {
        r#use: r#use.into(),
        text,
        postal_code,
        country,
        ..Address::default()
    })
}

/// Seven digits of postal code and the 番地, `1660004|99-1-2`; `None` when either is missing.
fn address_key(postal_code: &str, text: &str) -> Option<String> {
    let postal: String = postal_code.nfkc().filter(char::is_ascii_digit).collect();
    let text: String = text.nfkc().collect();
    let mut rest = &text[text.find(|letter: char| letter.is_ascii_digit())?..];
    let mut numbers = Vec::new();
    loop {
        let end = rest
            .find(|letter: char| !letter.is_ascii_digit())
            .unwrap_or(rest.len());
        numbers.push(rest[..end].trim_start_matches('0'));
        rest = &rest[end..];
        let links = [
            "丁目", "番地", "番", "号", "の", "ノ", "-", "ー", "\u{2010}", "\u{2212}", "\u{2015}",
        ];
        while let Some(after) = links.iter().find_map(|link| rest.strip_prefix(link)) {
            rest = after;
        }
        if !rest.starts_with(|letter: char| letter.is_ascii_digit()) {
            break;
        }
    }
    (postal.len() == 7).then(|| format!("{postal}|{}", numbers.join("-")))
}

/// DB1: only a disability that is there can be said; `N` is read and says nothing.
fn disabilities<'m>(reader: Reader<'m>) -> Vec<Extension<'m>> {
    let mut extensions = Vec::new();
    for db1 in reader.all("DB1") {
        let kind = db1.text(2);
        if db1.text(4) == "Y" && (kind == "PT" || kind.is_empty()) {
            let words = CodeableConcept::of_text("障害あり");
            let url = "http://hl7.org/fhir/StructureDefinition/patient-disability";
            extensions.push(Extension::new(url, ExtensionValue::CodeableConcept(words)));
        }
    }
    extensions
}

fn contacts<'m>(reader: Reader<'m>, context: &mut Context<'m>) -> Vec<PatientContact<'m>> {
    let mut contacts = Vec::new();
    for nk1 in reader.all("NK1") {
        let mut names: Vec<_> = nk1.field(2).repetitions().filter_map(name::xpn).collect();
        names.sort_by_key(|name| name.representation != Representation::Ideographic);
        let mut telecom = telecom_of(nk1.field(5), "home");
        telecom.extend(telecom_of(nk1.field(6), "work"));
        let organization = trimmed(nk1.field(13).text());
        let relationship = context.concept(nk1, 3);
        let contact = PatientContact {
            relationship: vec![relationship],
            name: names
                .into_iter()
                .next()
                .map(name::Name::into_fhir)
                .unwrap_or_default(),
            telecom,
            address: address_of(nk1.field(4).repetition(1)).unwrap_or_default(),
            organization: Reference {
                display: organization,
                ..Reference::default()
            },
            ..PatientContact::default()
        };
        use renkei_fhir::emit::Element as _;
        let says_who = !(contact.name.is_absent()
            && contact.telecom.is_absent()
            && contact.address.is_absent()
            && contact.organization.is_absent());
        if says_who {
            contacts.push(contact);
        } else {
            // FHIR R4 pat-1: a contact needs at least one of these.
            context.note(Code::MAP_ROW_INCOMPLETE, nk1.place());
        }
    }
    contacts
}

fn managing_organization(context: &Context<'_>) -> Reference<'static> {
    let number = Identifier::new(
        identifier::MEDICAL_INSTITUTION,
        context.options.facility.as_str().to_owned(),
    );
    Reference::to_identified("Organization", number, Text::default())
}
