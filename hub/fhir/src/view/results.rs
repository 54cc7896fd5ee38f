//! Views of results.

use super::{
    ConceptPart, IdentifierPart, PeriodPart, QuantityPart, ReferencePart, Text, part, view,
};
use crate::jp_core::system;

view! {
    /// A laboratory value, vital sign or other finding.
    ObservationView {
        identifier: Vec<IdentifierPart<'a>>,
        status: Text<'a>,
        category: Vec<ConceptPart<'a>>,
        code: ConceptPart<'a>,
        subject: ReferencePart<'a>,
        effective_date_time: Text<'a>,
        effective_period: PeriodPart<'a>,
        value_quantity: QuantityPart<'a>,
        value_string: Text<'a>,
        value_codeable_concept: ConceptPart<'a>,
        data_absent_reason: ConceptPart<'a>,
        interpretation: Vec<ConceptPart<'a>>,
        reference_range: Vec<RangePart<'a>>,
        component: Vec<ComponentPart<'a>>,
    }
}

view! {
    /// What an Observation is looked for by.
    CodedView {
        code: ConceptPart<'a>,
        effective_date_time: Text<'a>,
        effective_period: PeriodPart<'a>,
        effective_instant: Text<'a>,
    }
}

impl CodedView<'_> {
    /// When it was observed: the moment, else the start of the period, else its end; empty if not said.
    #[must_use]
    pub fn effective(&self) -> &str {
        let Self {
            effective_date_time,
            effective_period,
            effective_instant,
            ..
        } = self;
        [
            effective_date_time,
            effective_instant,
            &effective_period.start,
            &effective_period.end,
        ]
        .into_iter()
        .map(Text::as_str)
        .find(|text| !text.is_empty())
        .unwrap_or("")
    }
}

part! {
    /// A part of a finding, as systolic and diastolic pressure.
    ComponentPart {
        code: ConceptPart<'a>,
        value_quantity: QuantityPart<'a>,
        value_string: Text<'a>,
        value_codeable_concept: ConceptPart<'a>,
        interpretation: Vec<ConceptPart<'a>>,
    }
}

part! {
    /// The range a value is compared with.
    RangePart {
        low: QuantityPart<'a>,
        high: QuantityPart<'a>,
        text: Text<'a>,
    }
}

impl ObservationView<'_> {
    /// When it was observed: the moment, else the start of the period; empty if not said.
    #[must_use]
    pub fn effective(&self) -> &str {
        if self.effective_date_time.is_empty() {
            &self.effective_period.start
        } else {
            &self.effective_date_time
        }
    }

    /// The value as people read it, the number as the source wrote it: `6.80 g/dL`, `陰性`; empty if none.
    #[must_use]
    pub fn value(&self) -> String {
        value_words(
            &self.value_quantity,
            &self.value_string,
            &self.value_codeable_concept,
        )
    }

    /// The flags of the laboratory: `H`, `L`, `A`, ….
    pub fn flags(&self) -> impl Iterator<Item = &str> {
        self.interpretation
            .iter()
            .map(|flag| flag.code_of(system::INTERPRETATION))
            .filter(|code| !code.is_empty())
    }

    /// The first reference range as people read it: its text, else `low–high`; empty if none.
    #[must_use]
    pub fn range(&self) -> String {
        let Some(range) = self.reference_range.first() else {
            return String::new();
        };
        if !range.text.is_empty() {
            return range.text.as_str().to_owned();
        }
        let (low, high) = (range.low.value.as_str(), range.high.value.as_str());
        if low.is_empty() && high.is_empty() {
            String::new()
        } else {
            format!("{low}–{high}")
        }
    }

    /// The category of JP Core: `laboratory`, `vital-signs`, `body-measurement`, …; empty if not said.
    #[must_use]
    pub fn kind(&self) -> &str {
        let codes = self
            .category
            .iter()
            .map(|category| category.code_of(system::OBSERVATION_CATEGORY));
        codes
            .into_iter()
            .find(|code| !code.is_empty())
            .unwrap_or("")
    }
}

impl ComponentPart<'_> {
    /// The value as people read it, see [`ObservationView::value`].
    #[must_use]
    pub fn value(&self) -> String {
        value_words(
            &self.value_quantity,
            &self.value_string,
            &self.value_codeable_concept,
        )
    }
}

fn value_words(
    quantity: &QuantityPart<'_>,
    string: &Text<'_>,
    concept: &ConceptPart<'_>,
) -> String {
    if !quantity.is_empty() {
        return quantity.words();
    }
    if string.is_empty() {
        concept.words().to_owned()
    } else {
        string.as_str().to_owned()
    }
}
