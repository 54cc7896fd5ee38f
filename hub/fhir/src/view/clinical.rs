//! Views of what a person takes, has and does not tolerate, and of documents.

use super::{
    ConceptPart, ExtensionPart, IdentifierPart, Number, PeriodPart, QuantityPart, ReferencePart,
    Text, extension_of, identifier_of, part, view,
};
use crate::jp_core::{extension, identifier, system};

view! {
    /// One prescribed drug or injection.
    MedicationRequestView {
        contained: Vec<MixturePart<'a>>,
        identifier: Vec<IdentifierPart<'a>>,
        status: Text<'a>,
        category: Vec<ConceptPart<'a>>,
        medication_codeable_concept: ConceptPart<'a>,
        subject: ReferencePart<'a>,
        authored_on: Text<'a>,
        group_identifier: IdentifierPart<'a>,
        dosage_instruction: Vec<DosagePart<'a>>,
        dispense_request: DispensePart<'a>,
    }
}

part! {
    /// A contained Medication: what an injection is mixed of.
    MixturePart {
        code: ConceptPart<'a>,
        ingredient: Vec<IngredientPart<'a>>,
    }
}

part! {
    /// One drug of a mixture.
    IngredientPart {
        item_codeable_concept: ConceptPart<'a>,
    }
}

part! {
    /// How it is taken.
    DosagePart {
        text: Text<'a>,
        patient_instruction: Text<'a>,
        timing: TimingPart<'a>,
        as_needed_boolean: Option<bool>,
        route: ConceptPart<'a>,
        dose_and_rate: Vec<DosePart<'a>>,
    }
}

part! {
    /// When it is taken.
    TimingPart {
        code: ConceptPart<'a>,
        repeat: RepeatPart<'a>,
    }
}

part! {
    /// For how long.
    RepeatPart {
        bounds_duration: QuantityPart<'a>,
    }
}

part! {
    /// How much.
    DosePart {
        dose_quantity: QuantityPart<'a>,
    }
}

part! {
    /// What is handed out.
    DispensePart {
        quantity: QuantityPart<'a>,
        expected_supply_duration: QuantityPart<'a>,
    }
}

impl<'a> MedicationRequestView<'a> {
    /// The names of the drugs: the one prescribed, or those of the mixture. Never empty texts.
    #[must_use]
    pub fn drugs(&self) -> Vec<&str> {
        let mixed = self.contained.iter().flat_map(|mixture| {
            let ingredients = mixture
                .ingredient
                .iter()
                .map(|drug| drug.item_codeable_concept.words());
            std::iter::once(mixture.code.words()).chain(ingredients)
        });
        std::iter::once(self.medication_codeable_concept.words())
            .chain(mixed)
            .filter(|name| !name.is_empty())
            .collect()
    }

    /// Usage in words: the dosage text, else the words of the timing; empty if not said.
    #[must_use]
    pub fn usage(&self) -> &str {
        let words = |dosage: &'_ DosagePart<'a>| {
            !dosage.text.is_empty() || !dosage.timing.code.words().is_empty()
        };
        let Some(dosage) = self.dosage_instruction.iter().find(|dosage| words(dosage)) else {
            return "";
        };
        if dosage.text.is_empty() {
            dosage.timing.code.words()
        } else {
            &dosage.text
        }
    }

    /// Days of supply as written; absent for drugs taken when needed.
    #[must_use]
    pub fn days(&self) -> Number<'a> {
        let bounds = self
            .dosage_instruction
            .iter()
            .map(|dosage| dosage.timing.repeat.bounds_duration.value);
        std::iter::once(self.dispense_request.expected_supply_duration.value)
            .chain(bounds)
            .find(|days| !days.is_empty())
            .unwrap_or_default()
    }

    /// Number of the Rp; empty if not said.
    #[must_use]
    pub fn rp_number(&self) -> &str {
        identifier_of(&self.identifier, identifier::RP_NUMBER)
    }

    /// Place within the Rp; empty if not said.
    #[must_use]
    pub fn order_in_rp(&self) -> &str {
        identifier_of(&self.identifier, identifier::ORDER_IN_RP)
    }

    /// The sender's order number; empty if not said.
    #[must_use]
    pub fn order_number(&self) -> &str {
        identifier_of(&self.identifier, identifier::RESOURCE_INSTANCE)
    }

    /// True when the category says `code`: `DCG` discharge, `OHP` outpatient, `IHP` inpatient, ….
    #[must_use]
    pub fn has_category(&self, code: &str) -> bool {
        self.category.iter().any(|category| category.has_code(code))
    }
}

view! {
    /// An allergy or intolerance.
    AllergyView {
        clinical_status: ConceptPart<'a>,
        verification_status: ConceptPart<'a>,
        /// `allergy` or `intolerance`.
        r#type: Text<'a>,
        /// `food`, `medication`, `environment`, `biologic`.
        category: Vec<Text<'a>>,
        criticality: Text<'a>,
        code: ConceptPart<'a>,
        patient: ReferencePart<'a>,
        recorded_date: Text<'a>,
        reaction: Vec<ReactionPart<'a>>,
    }
}

part! {
    /// What happened on exposure.
    ReactionPart {
        manifestation: Vec<ConceptPart<'a>>,
        severity: Text<'a>,
    }
}

impl AllergyView<'_> {
    /// False when the entry was withdrawn as an error.
    #[must_use]
    pub fn stands(&self) -> bool {
        !self.verification_status.has_code("entered-in-error")
    }
}

view! {
    /// A problem or diagnosis.
    ConditionView {
        extension: Vec<ExtensionPart<'a>>,
        identifier: Vec<IdentifierPart<'a>>,
        clinical_status: ConceptPart<'a>,
        verification_status: ConceptPart<'a>,
        category: Vec<ConceptPart<'a>>,
        code: ConceptPart<'a>,
        subject: ReferencePart<'a>,
        onset_date_time: Text<'a>,
        abatement_date_time: Text<'a>,
        recorded_date: Text<'a>,
    }
}

impl ConditionView<'_> {
    /// `active`, `resolved`, …; empty if not said.
    #[must_use]
    pub fn clinical(&self) -> &str {
        self.clinical_status.code_of(system::CONDITION_CLINICAL)
    }

    /// `confirmed`, `provisional` (疑い), `entered-in-error`, …; empty if not said.
    #[must_use]
    pub fn verification(&self) -> &str {
        self.verification_status
            .code_of(system::CONDITION_VERIFICATION)
    }

    /// True for 主病名.
    #[must_use]
    pub fn is_main(&self) -> bool {
        extension_of(&self.extension, extension::DIAGNOSIS_TYPE)
            .is_some_and(|found| found.value_codeable_concept.has_code(extension::PRINCIPAL))
    }
}

view! {
    /// A document held as bytes.
    DocumentReferenceView {
        master_identifier: IdentifierPart<'a>,
        identifier: Vec<IdentifierPart<'a>>,
        status: Text<'a>,
        r#type: ConceptPart<'a>,
        category: Vec<ConceptPart<'a>>,
        subject: ReferencePart<'a>,
        date: Text<'a>,
        description: Text<'a>,
        content: Vec<ContentPart<'a>>,
        context: DocumentContextPart<'a>,
    }
}

part! {
    /// The bytes in one format.
    ContentPart {
        attachment: AttachmentPart<'a>,
    }
}

part! {
    /// Where the bytes are and what they are.
    AttachmentPart {
        content_type: Text<'a>,
        url: Text<'a>,
        /// Bytes, before base64.
        size: Number<'a>,
        /// Base64.
        hash: Text<'a>,
        title: Text<'a>,
        creation: Text<'a>,
    }
}

part! {
    /// What the document is about.
    DocumentContextPart {
        encounter: Vec<ReferencePart<'a>>,
        period: PeriodPart<'a>,
    }
}

impl<'a> DocumentReferenceView<'a> {
    /// The first attachment.
    #[must_use]
    pub fn attachment(&self) -> Option<&AttachmentPart<'a>> {
        self.content.first().map(|content| &content.attachment)
    }

    /// What people call it: the attachment's title, else the description, else the type; empty if none.
    #[must_use]
    pub fn title(&self) -> &str {
        let title = self
            .attachment()
            .map_or("", |attachment| attachment.title.as_str());
        [title, &self.description, self.r#type.words()]
            .into_iter()
            .find(|text| !text.is_empty())
            .unwrap_or("")
    }
}
