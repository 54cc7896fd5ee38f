//! Prescriptions: MedicationRequest with its dosage, and the contained Medication of an injection.

use super::{
    Annotation, CodeableConcept, Contained, Extension, Identifier, Meta, Period,
    PrimitiveExtension, Quantity, Range, Ratio, Reference, Text, choice, element, resource,
};
use crate::Decimal;

resource! {
    /// One prescribed drug (`JP_MedicationRequest`) or one injection (`JP_MedicationRequest_Injection`).
    ///
    /// JP Core 1.2.0: a prescription needs the identifiers of Rp and of the place in the Rp, an injection only the
    /// former; `authored_on` is mandatory.
    MedicationRequest {
        id: Text<'a>,
        meta: Meta<'a>,
        contained: Vec<Contained<'a>>,
        extension: Vec<Extension<'a>>,
        identifier: Vec<Identifier<'a>>,
        status: Text<'a>,
        status_reason: CodeableConcept<'a>,
        intent: Text<'a>,
        category: Vec<CodeableConcept<'a>>,
        priority: Text<'a>,
        reported_boolean: Option<bool>,
        medication: Option<MedicationChoice<'a>>,
        subject: Reference<'a>,
        encounter: Reference<'a>,
        supporting_information: Vec<Reference<'a>>,
        authored_on: Text<'a>,
        /// Why `authored_on` is missing.
        authored_on_absent "_authoredOn": PrimitiveExtension<'a>,
        requester: Reference<'a>,
        performer: Reference<'a>,
        recorder: Reference<'a>,
        reason_code: Vec<CodeableConcept<'a>>,
        group_identifier: Identifier<'a>,
        insurance: Vec<Reference<'a>>,
        note: Vec<Annotation<'a>>,
        dosage_instruction: Vec<Dosage<'a>>,
        dispense_request: DispenseRequest<'a>,
        substitution: Substitution<'a>,
        prior_prescription: Reference<'a>,
    }
}

choice! {
    /// `medication[x]`: JP Core wants the concept for prescriptions and a contained Medication for injections.
    MedicationChoice {
        "medicationCodeableConcept" => CodeableConcept(CodeableConcept<'a>),
        "medicationReference" => Reference(Reference<'a>),
    }
}

element! {
    /// What the pharmacy is asked to hand out.
    DispenseRequest {
        /// Instructions to the pharmacist and repeat counts stand here.
        extension: Vec<Extension<'a>>,
        validity_period: Period<'a>,
        number_of_repeats_allowed: Option<u32>,
        quantity: Quantity<'a>,
        /// In days, see [`Quantity::in_days`].
        expected_supply_duration: Quantity<'a>,
        performer: Reference<'a>,
    }
}

element! {
    /// Whether a generic may be handed out instead.
    Substitution {
        allowed_codeable_concept: CodeableConcept<'a>,
        reason: CodeableConcept<'a>,
    }
}

element! {
    /// How a drug is taken (JP Core 1.2.0 `JP_MedicationDosage`).
    Dosage {
        /// Period of use and number of days of use stand here.
        extension: Vec<Extension<'a>>,
        sequence: Option<u32>,
        text: Text<'a>,
        additional_instruction: Vec<CodeableConcept<'a>>,
        patient_instruction: Text<'a>,
        timing: Timing<'a>,
        as_needed_boolean: Option<bool>,
        site: CodeableConcept<'a>,
        route: CodeableConcept<'a>,
        method: CodeableConcept<'a>,
        dose_and_rate: Vec<DoseAndRate<'a>>,
        max_dose_per_period: Ratio<'a>,
        max_dose_per_administration: Quantity<'a>,
    }
}

element! {
    /// Amount per intake and per time.
    DoseAndRate {
        r#type: CodeableConcept<'a>,
        /// JP Core allows only the quantity of `dose[x]`, in MERIT-9 units.
        dose_quantity: Quantity<'a>,
        rate: Option<Rate<'a>>,
    }
}

choice! {
    /// `doseAndRate.rate[x]`; JP Core uses the ratio for the amount per day (denominator 1 日).
    Rate {
        "rateQuantity" => Quantity(Quantity<'a>),
        "rateRange" => Range(Box<Range<'a>>),
        "rateRatio" => Ratio(Box<Ratio<'a>>),
    }
}

element! {
    /// When something is taken.
    Timing {
        event: Vec<Text<'a>>,
        repeat: TimingRepeat<'a>,
        /// The usage, coded (JAMI 16 digits) and in words.
        code: CodeableConcept<'a>,
    }
}

element! {
    /// The rhythm of a timing.
    TimingRepeat {
        bounds: Option<Bounds<'a>>,
        count: Option<u32>,
        frequency: Option<u32>,
        period: Option<Decimal<'a>>,
        period_unit: Text<'a>,
        day_of_week: Vec<Text<'a>>,
        time_of_day: Vec<Text<'a>>,
        when: Vec<Text<'a>>,
    }
}

choice! {
    /// `Timing.repeat.bounds[x]`.
    Bounds {
        "boundsDuration" => Duration(Quantity<'a>),
        "boundsPeriod" => Period(Period<'a>),
    }
}

resource! {
    /// A drug, or a mixture of drugs for an injection (JP Core 1.2.0 `JP_Medication`).
    Medication {
        id: Text<'a>,
        meta: Meta<'a>,
        extension: Vec<Extension<'a>>,
        identifier: Vec<Identifier<'a>>,
        code: CodeableConcept<'a>,
        /// Mandatory in `JP_Medication`: `active`.
        status: Text<'a>,
        form: CodeableConcept<'a>,
        amount: Ratio<'a>,
        ingredient: Vec<MedicationIngredient<'a>>,
    }
}

element! {
    /// One drug of a mixture. `strength` is mandatory in `JP_Medication`, with the denominator 1 回 (`TIME`).
    MedicationIngredient {
        extension: Vec<Extension<'a>>,
        item_codeable_concept: CodeableConcept<'a>,
        is_active: Option<bool>,
        strength: Ratio<'a>,
    }
}
