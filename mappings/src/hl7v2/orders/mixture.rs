//! What an injection consists of: RXC (or RXE-2 where there is none) to a contained Medication
//! (JP Core 1.2.0 `JP_Medication`).

use renkei_core::Code;
use renkei_fhir::Decimal;
use renkei_fhir::emit::{
    Annotation, CodeableConcept, Coding, Contained, Extension, ExtensionValue, Medication,
    MedicationChoice, MedicationIngredient, MedicationRequest, Meta, Quantity, Ratio, Reference,
};
use renkei_fhir::jp_core::{Usage, extension, profile, system};

use super::Prescribed;
use super::amount::{self, Amount, UnitParts};
use crate::context::Context;
use crate::reader::Seg;

/// The id of the contained medication.
const ID: &str = "mixture";

/// Whether this is an injection: it has components, or RXE-2 names a kind of injection instead of a drug
/// (JAHIS table JHSI0002, or its local twin).
pub(super) fn is_injection(prescribed: &Prescribed<'_>) -> bool {
    let system = prescribed.rxe.field(2).component(3).raw().trim();
    !prescribed.components.is_empty() || matches!(system, "JHSI0002" | "99I02")
}

/// Fills the contained medication; the kind of injection becomes a category.
pub(super) fn fill<'m>(
    context: &mut Context<'m>,
    prescribed: &Prescribed<'m>,
    request: &mut MedicationRequest<'m>,
) {
    let rxe = prescribed.rxe;
    let mut ingredients = Vec::new();
    if prescribed.components.is_empty() {
        let drug = context.coded(rxe, 2, rxe.field(2).repetition(1), Usage::Any);
        ingredients.push(ingredient(
            context,
            request,
            drug,
            rxe,
            3,
            UnitParts::of_field(rxe, 5),
            1,
        ));
    } else {
        let kind = context.coded(rxe, 2, rxe.field(2).repetition(1), Usage::Any);
        if kind != CodeableConcept::default() {
            request.category.push(kind);
        }
    }
    for (rxc, number) in prescribed.components.iter().zip(1..) {
        rxc.mark(&[1]);
        let drug = context.coded(*rxc, 2, rxc.field(2).repetition(1), Usage::Any);
        if drug == CodeableConcept::default() {
            context.warn(Code::MAP_NO_CODE, rxc.at(2));
            continue;
        }
        ingredients.push(ingredient(
            context,
            request,
            drug,
            *rxc,
            3,
            UnitParts::of_field(*rxc, 4),
            number,
        ));
    }
    let medication = Medication {
        id: ID.into(),
        meta: Meta::of_profile(profile::MEDICATION),
        status: "active".into(),
        ingredient: ingredients,
        ..Medication::default()
    };
    request
        .contained
        .push(Contained::Medication(Box::new(medication)));
    request.medication = Some(MedicationChoice::Reference(Reference::to_contained(ID)));
}

/// One drug of the mixture, its amount per administration (denominator 1 回).
fn ingredient<'m>(
    context: &mut Context<'m>,
    request: &mut MedicationRequest<'m>,
    drug: CodeableConcept<'m>,
    segment: Seg<'m>,
    field: usize,
    unit: UnitParts<'m>,
    number: i32,
) -> MedicationIngredient<'m> {
    let amount = amount::read(
        context,
        segment,
        field,
        segment.field(field).component(1),
        unit,
    );
    let name = drug.text.clone();
    let strength = match amount {
        Amount::Known(numerator) => {
            let kind =
                CodeableConcept::of_coding(Coding::new(system::STRENGTH_TYPE, "1", "製剤量"));
            Ratio {
                extension: vec![Extension::new(
                    extension::STRENGTH_TYPE,
                    ExtensionValue::CodeableConcept(kind),
                )],
                numerator,
                denominator: per_administration(),
            }
        }
        other => {
            match other {
                Amount::Null => context.note(Code::MAP_DOSE_NULL, segment.at(field)),
                Amount::Words(words) => request
                    .note
                    .push(Annotation::of_text(format!("{name} {words}"))),
                Amount::Absent | Amount::Known(_) => {
                    context.note(Code::MAP_ROW_INCOMPLETE, segment.at(field))
                }
            }
            let reason = ExtensionValue::Code("unknown".into());
            Ratio {
                extension: vec![Extension::new(extension::DATA_ABSENT_REASON, reason)],
                ..Ratio::default()
            }
        }
    };
    MedicationIngredient {
        extension: vec![Extension::new(
            extension::INGREDIENT_DRUG_NO,
            ExtensionValue::Integer(number),
        )],
        item_codeable_concept: drug,
        strength,
        ..MedicationIngredient::default()
    }
}

fn per_administration() -> Quantity<'static> {
    let (unit, code) = system::UNIT_TIME;
    Quantity {
        value: Some(Decimal::from(1)),
        unit: unit.into(),
        system: system::DRUG_UNIT.into(),
        code: code.into(),
        ..Quantity::default()
    }
}
