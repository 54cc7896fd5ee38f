//! Coded values: CWE/CE and what is made of them (CQ, RPT).

use std::borrow::Cow;

use crate::view::{Component, Field, Repetition};

/// One code with its text and the name of its table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coding<'a> {
    /// The code; may be empty where only a text was sent.
    pub code: Cow<'a, str>,
    /// What the sender calls it.
    pub text: Cow<'a, str>,
    /// Name of the coding system as sent (`JC10`, `HOT9`, `99XYZ`); may be empty.
    pub system: Cow<'a, str>,
    /// Version of the coding system; nearly always empty.
    pub version: Cow<'a, str>,
}

impl<'a> Coding<'a> {
    /// A coding written as subcomponents of one component: `code&text&system` (RPT.1, CQ.2, RXE
    /// units).
    #[must_use]
    pub fn from_component(component: Component<'a>) -> Self {
        Self {
            code: component.subcomponent(1).text(),
            text: component.subcomponent(2).text(),
            system: component.subcomponent(3).text(),
            version: component.subcomponent(7).text(),
        }
    }

    /// True when neither code nor text was sent.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.code.is_empty() && self.text.is_empty()
    }

    /// True for tables that only the sending site knows: `99...`, `L` (HL7 table 0396), and for a
    /// missing table name. The same local name means different things at two sites.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.system.is_empty() || self.system == "L" || self.system.starts_with("99")
    }
}

/// CWE (and CE): up to two codings for one thing, and a text.
///
/// Which of the two is the standard one is not fixed: local codes stand before or behind the
/// standard code. Search with [`Cwe::coding_in`] or [`Cwe::codings`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cwe<'a> {
    /// CWE.1 to CWE.3, version CWE.7.
    pub primary: Coding<'a>,
    /// CWE.4 to CWE.6, version CWE.8.
    pub alternate: Coding<'a>,
    /// CWE.9.
    pub original_text: Cow<'a, str>,
}

impl<'a> Cwe<'a> {
    /// Reads one repetition.
    #[must_use]
    pub fn new(repetition: Repetition<'a>) -> Self {
        let text = |number| repetition.component(number).text();
        Self {
            primary: Coding {
                code: text(1),
                text: text(2),
                system: text(3),
                version: text(7),
            },
            alternate: Coding {
                code: text(4),
                text: text(5),
                system: text(6),
                version: text(8),
            },
            original_text: text(9),
        }
    }

    /// Reads a coded value written as subcomponents of one component (OBR-26.1).
    #[must_use]
    pub fn from_component(component: Component<'a>) -> Self {
        let text = |number| component.subcomponent(number).text();
        Self {
            primary: Coding {
                code: text(1),
                text: text(2),
                system: text(3),
                version: text(7),
            },
            alternate: Coding {
                code: text(4),
                text: text(5),
                system: text(6),
                version: text(8),
            },
            original_text: text(9),
        }
    }

    /// All repetitions of a field that carry something.
    pub fn all(field: Field<'a>) -> impl Iterator<Item = Self> {
        field
            .repetitions()
            .map(Self::new)
            .filter(|coded| !coded.is_empty())
    }

    /// The codings that were sent, primary first.
    pub fn codings(&self) -> impl Iterator<Item = &Coding<'a>> {
        [&self.primary, &self.alternate]
            .into_iter()
            .filter(|coding| !coding.is_empty())
    }

    /// The coding of this table, wherever it stands.
    #[must_use]
    pub fn coding_in(&self, system: &str) -> Option<&Coding<'a>> {
        self.codings()
            .find(|coding| coding.system == system && !coding.code.is_empty())
    }

    /// What to show: the original text, else the first text sent. Empty when only codes came.
    #[must_use]
    pub fn display(&self) -> &str {
        [
            &self.original_text,
            &self.primary.text,
            &self.alternate.text,
        ]
        .into_iter()
        .find(|text| !text.is_empty())
        .map_or("", |text| text)
    }

    /// True when neither code nor text was sent.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.primary.is_empty() && self.alternate.is_empty() && self.original_text.is_empty()
    }
}

/// CQ, an amount with unit: `5^d`, `3^D&日&ISO+`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cq<'a> {
    /// CQ.1 as written; keep its decimals.
    pub quantity: Cow<'a, str>,
    /// CQ.2; often a bare unit in `code`.
    pub unit: Coding<'a>,
}

impl<'a> Cq<'a> {
    /// Reads one repetition.
    #[must_use]
    pub fn new(repetition: Repetition<'a>) -> Self {
        Self {
            quantity: repetition.component(1).text(),
            unit: Coding::from_component(repetition.component(2)),
        }
    }

    /// True when no amount was sent.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.quantity.is_empty()
    }
}

/// RPT, how often something repeats (TQ1-3): in Japan only RPT.1, a usage code (用法) written as
/// `code&text&system`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rpt<'a> {
    /// RPT.1, primary and alternate coding as subcomponents.
    pub pattern: Cwe<'a>,
}

impl<'a> Rpt<'a> {
    /// Reads one repetition.
    #[must_use]
    pub fn new(repetition: Repetition<'a>) -> Self {
        Self {
            pattern: Cwe::from_component(repetition.component(1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::Delimiters;

    fn field(raw: &str) -> Field<'_> {
        Field::new(raw, Delimiters::default())
    }

    fn cwe(raw: &str) -> Cwe<'_> {
        Cwe::new(field(raw).repetition(1))
    }

    #[test]
    fn the_standard_code_is_found_on_either_side() {
        for raw in [
            "3A015000002327101^アルブミン^JC10^ALB^ALB^99O03",
            "ALB^ALB^99O03^3A015000002327101^アルブミン^JC10",
        ] {
            let coded = cwe(raw);
            assert_eq!(coded.codings().count(), 2);
            assert_eq!(
                coded.coding_in("JC10").map(|coding| coding.text.as_ref()),
                Some("アルブミン")
            );
            assert!(coded.coding_in("99O03").is_some_and(Coding::is_local));
            assert!(coded.coding_in("HOT9").is_none());
        }
    }

    #[test]
    fn text_only_missing_tables_and_null() {
        let text_only = cwe("^全身倦怠感");
        assert_eq!(
            (text_only.display(), text_only.codings().count()),
            ("全身倦怠感", 1)
        );
        assert!(text_only.primary.is_local() && text_only.primary.code.is_empty());
        assert_eq!(cwe("X").primary.system, "");
        assert!(cwe("").is_empty() && cwe("^^JC10").is_empty() && cwe("\"\"").is_empty());
        assert_eq!(cwe("1^a^L^^^^2003^^原文").display(), "原文");
        assert_eq!(cwe("1^a^L^^^^2003").primary.version, "2003");
        assert_eq!(
            Cwe::all(field("OHP^外来処方^MR9P~~OHI^院内処方^MR9P")).count(),
            2
        );
    }

    #[test]
    fn amounts_and_usages() {
        let days = Cq::new(field("5^d").repetition(1));
        assert_eq!(
            (days.quantity.as_ref(), days.unit.code.as_ref()),
            ("5", "d")
        );
        let full = Cq::new(field("3^D&日&ISO+").repetition(1));
        assert_eq!(
            (full.unit.text.as_ref(), full.unit.system.as_ref()),
            ("日", "ISO+")
        );
        assert!(Cq::new(field("").repetition(1)).is_empty());
        let usage = Rpt::new(field("1013044400000000&内服・毎食後&JAMISDP01").repetition(1));
        let coding = usage.pattern.coding_in("JAMISDP01").expect("coded");
        assert_eq!(coding.text, "内服・毎食後");
    }
}
