//! Views of Patient, Encounter and Coverage.

use super::{
    AddressPart, CodingPart, ConceptPart, ExtensionPart, IdentifierPart, PeriodPart, ReferencePart,
    TelecomPart, Text, extension_of, identifier_of, part, view,
};
use crate::jp_core::{extension, identifier};

view! {
    /// Who a record is about.
    PatientView {
        identifier: Vec<IdentifierPart<'a>>,
        /// `false` on a withdrawn record.
        active: Option<bool>,
        name: Vec<NamePart<'a>>,
        telecom: Vec<TelecomPart<'a>>,
        /// `male`, `female`, `other`, `unknown`.
        gender: Text<'a>,
        /// `YYYY-MM-DD`, or less if less was known.
        birth_date: Text<'a>,
        deceased_boolean: Option<bool>,
        deceased_date_time: Text<'a>,
        address: Vec<AddressPart<'a>>,
    }
}

part! {
    /// A name in one representation.
    NamePart {
        extension: Vec<ExtensionPart<'a>>,
        text: Text<'a>,
        family: Text<'a>,
        given: Vec<Text<'a>>,
    }
}

impl NamePart<'_> {
    /// `IDE` kanji, `SYL` kana, `ABC` roman; empty if not said.
    #[must_use]
    pub fn representation(&self) -> &str {
        extension_of(&self.extension, extension::EN_REPRESENTATION)
            .map_or("", |found| found.value_code.as_str())
    }
}

impl<'a> PatientView<'a> {
    /// The first name in the representation `IDE`, `SYL` or `ABC`.
    #[must_use]
    pub fn name_in(&self, representation: &str) -> Option<&NamePart<'a>> {
        self.name
            .iter()
            .find(|name| name.representation() == representation)
    }
}

view! {
    /// A stay or visit.
    EncounterView {
        extension: Vec<ExtensionPart<'a>>,
        identifier: Vec<IdentifierPart<'a>>,
        status: Text<'a>,
        /// `IMP`, `AMB`, `HH`, ….
        class: CodingPart<'a>,
        service_type: ConceptPart<'a>,
        subject: ReferencePart<'a>,
        period: PeriodPart<'a>,
        hospitalization: HospitalizationPart<'a>,
        location: Vec<LocationPart<'a>>,
        service_provider: ReferencePart<'a>,
    }
}

part! {
    /// Where the patient came from and went to.
    HospitalizationPart {
        admit_source: ConceptPart<'a>,
        destination: ReferencePart<'a>,
        discharge_disposition: ConceptPart<'a>,
    }
}

part! {
    /// A ward, room and bed.
    LocationPart {
        location: ReferencePart<'a>,
        status: Text<'a>,
    }
}

impl EncounterView<'_> {
    /// When the stay is planned to begin; empty if not said.
    #[must_use]
    pub fn planned_start(&self) -> &str {
        extension_of(&self.extension, extension::PLANNED_START)
            .map_or("", |found| found.value_date_time.as_str())
    }

    /// When the stay is planned to end; empty if not said.
    #[must_use]
    pub fn planned_end(&self) -> &str {
        extension_of(&self.extension, extension::PLANNED_END)
            .map_or("", |found| found.value_date_time.as_str())
    }

    /// Where the patient is now as people read it: the active location, else the last one; empty if none.
    #[must_use]
    pub fn place(&self) -> &str {
        let active = self.location.iter().find(|part| part.status == *"active");
        active
            .or(self.location.last())
            .map_or("", |part| part.location.display.as_str())
    }
}

view! {
    /// An insurance or public payer cover.
    CoverageView {
        extension: Vec<ExtensionPart<'a>>,
        identifier: Vec<IdentifierPart<'a>>,
        status: Text<'a>,
        r#type: ConceptPart<'a>,
        subscriber_id: Text<'a>,
        beneficiary: ReferencePart<'a>,
        relationship: ConceptPart<'a>,
        period: PeriodPart<'a>,
        payor: Vec<ReferencePart<'a>>,
        contained: Vec<ContainedPayorPart<'a>>,
    }
}

part! {
    /// A contained organization, to find the insurer's number in.
    ContainedPayorPart {
        id: Text<'a>,
        identifier: Vec<IdentifierPart<'a>>,
        name: Text<'a>,
    }
}

impl CoverageView<'_> {
    /// The number of the insurer or public payer, from the payor's identifier or the contained organization.
    #[must_use]
    pub fn insurer_number(&self) -> &str {
        let logical = self.payor.iter().map(|payor| &payor.identifier);
        let logical = logical
            .filter(|known| known.system == *identifier::INSURER)
            .map(|known| known.value.as_str());
        let contained = self
            .contained
            .iter()
            .map(|payor| identifier_of(&payor.identifier, identifier::INSURER));
        logical
            .chain(contained)
            .find(|number| !number.is_empty())
            .unwrap_or("")
    }

    /// 記号; empty if not said.
    #[must_use]
    pub fn symbol(&self) -> &str {
        self.text_of(extension::INSURED_SYMBOL)
    }

    /// 番号; empty if not said.
    #[must_use]
    pub fn number(&self) -> &str {
        self.text_of(extension::INSURED_NUMBER)
    }

    /// 枝番; empty if not said.
    #[must_use]
    pub fn branch(&self) -> &str {
        self.text_of(extension::INSURED_SUB_NUMBER)
    }

    fn text_of(&self, url: &str) -> &str {
        extension_of(&self.extension, url).map_or("", |found| found.value_string.as_str())
    }
}
