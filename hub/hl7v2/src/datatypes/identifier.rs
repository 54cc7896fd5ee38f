//! Identifiers and places: CX, EI, HD, PL.

use std::borrow::Cow;

use crate::view::{Component, Field, Repetition};

/// CX, an id with its issuer (PID-3). In Japan usually `9999013^^^^PI`: no issuer, the facility is
/// the namespace. A bare id without a type occurs.
#[derive(Clone, Copy, Debug)]
pub struct Cx<'a>(Repetition<'a>);

impl<'a> Cx<'a> {
    /// Reads one repetition.
    #[must_use]
    pub fn new(repetition: Repetition<'a>) -> Self {
        Self(repetition)
    }

    /// All repetitions of a field that carry an id.
    pub fn all(field: Field<'a>) -> impl Iterator<Item = Self> + Clone {
        field
            .repetitions()
            .filter(|repetition| repetition.component(1).has_value())
            .map(Self)
    }

    /// CX.1, opaque: leading zeros count.
    #[must_use]
    pub fn id(self) -> Cow<'a, str> {
        self.0.component(1).text()
    }

    /// CX.4, who issued it; usually empty.
    #[must_use]
    pub fn assigning_authority(self) -> Hd<'a> {
        Hd::from_component(self.0.component(4))
    }

    /// CX.5: `PI` internal patient id, `MC`, `SS`, ...; empty for a bare id.
    #[must_use]
    pub fn type_code(self) -> Cow<'a, str> {
        self.0.component(5).text()
    }

    /// CX.6.
    #[must_use]
    pub fn assigning_facility(self) -> Hd<'a> {
        Hd::from_component(self.0.component(6))
    }
}

/// HD, a namespace: plain in Japan, `namespace^universal id^type` in full.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hd<'a> {
    /// HD.1.
    pub namespace: Cow<'a, str>,
    /// HD.2, such as an OID.
    pub universal_id: Cow<'a, str>,
    /// HD.3: `ISO`, `DNS`, ...
    pub universal_id_type: Cow<'a, str>,
}

impl<'a> Hd<'a> {
    /// Where HD is a whole field (MSH-3 to MSH-6).
    #[must_use]
    pub fn new(repetition: Repetition<'a>) -> Self {
        Self {
            namespace: repetition.component(1).text(),
            universal_id: repetition.component(2).text(),
            universal_id_type: repetition.component(3).text(),
        }
    }

    /// Where HD is one component (CX.4, PL.4): its parts are subcomponents.
    #[must_use]
    pub fn from_component(component: Component<'a>) -> Self {
        Self {
            namespace: component.subcomponent(1).text(),
            universal_id: component.subcomponent(2).text(),
            universal_id_type: component.subcomponent(3).text(),
        }
    }

    /// True when nothing was sent.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.namespace.is_empty() && self.universal_id.is_empty()
    }
}

/// EI, the number of an order, specimen or document: opaque, 22 characters by rule, not enforced.
#[derive(Clone, Copy, Debug)]
pub struct Ei<'a>(Repetition<'a>);

impl<'a> Ei<'a> {
    /// Reads one repetition.
    #[must_use]
    pub fn new(repetition: Repetition<'a>) -> Self {
        Self(repetition)
    }

    /// EI.1.
    #[must_use]
    pub fn id(self) -> Cow<'a, str> {
        self.0.component(1).text()
    }

    /// EI.2 to EI.4, who issued it; usually empty.
    #[must_use]
    pub fn namespace(self) -> Hd<'a> {
        Hd {
            namespace: self.0.component(2).text(),
            universal_id: self.0.component(3).text(),
            universal_id_type: self.0.component(4).text(),
        }
    }
}

/// PL, a place in a hospital (PV1-3): `ward^room^bed^^^N` for inpatients, `department^^^^^C` for
/// outpatients. A missing bed leaves its part empty; positions never shift.
#[derive(Clone, Copy, Debug)]
pub struct Pl<'a>(Repetition<'a>);

impl<'a> Pl<'a> {
    /// Reads one repetition.
    #[must_use]
    pub fn new(repetition: Repetition<'a>) -> Self {
        Self(repetition)
    }

    /// PL.1: ward, or the department of an outpatient visit.
    #[must_use]
    pub fn point_of_care(self) -> Cow<'a, str> {
        self.0.component(1).text()
    }

    /// PL.2.
    #[must_use]
    pub fn room(self) -> Cow<'a, str> {
        self.0.component(2).text()
    }

    /// PL.3.
    #[must_use]
    pub fn bed(self) -> Cow<'a, str> {
        self.0.component(3).text()
    }

    /// PL.4.
    #[must_use]
    pub fn facility(self) -> Hd<'a> {
        Hd::from_component(self.0.component(4))
    }

    /// PL.6: `N` nursing unit, `C` clinic, `D` department, `H` home.
    #[must_use]
    pub fn person_location_type(self) -> Cow<'a, str> {
        self.0.component(6).text()
    }

    /// PL.7.
    #[must_use]
    pub fn building(self) -> Cow<'a, str> {
        self.0.component(7).text()
    }

    /// PL.8.
    #[must_use]
    pub fn floor(self) -> Cow<'a, str> {
        self.0.component(8).text()
    }

    /// PL.9, free text.
    #[must_use]
    pub fn description(self) -> Cow<'a, str> {
        self.0.component(9).text()
    }

    /// True when no part of the place was sent.
    #[must_use]
    pub fn is_empty(self) -> bool {
        !self.0.components().any(Component::has_value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::Delimiters;

    fn field(raw: &str) -> Field<'_> {
        Field::new(raw, Delimiters::default())
    }

    #[test]
    fn patient_ids_with_and_without_type() {
        let ids: Vec<_> = Cx::all(field("0000123456^^^^PI~77~^^^X~\"\"")).collect();
        assert_eq!(ids.len(), 2);
        assert_eq!(
            (ids[0].id().as_ref(), ids[0].type_code().as_ref()),
            ("0000123456", "PI")
        );
        assert!(ids[0].assigning_authority().is_empty() && ids[0].assigning_facility().is_empty());
        assert_eq!(
            (ids[1].id().as_ref(), ids[1].type_code().as_ref()),
            ("77", "")
        );
        let issued = Cx::new(field("1^^^A&1.2.3&ISO^MR").repetition(1)).assigning_authority();
        assert_eq!(
            (issued.namespace.as_ref(), issued.universal_id.as_ref()),
            ("A", "1.2.3")
        );
        assert_eq!(issued.universal_id_type, "ISO");
    }

    #[test]
    fn places_keep_their_positions() {
        let bed = Pl::new(field("3E^301^1^H1^^N^本館^3F^窓側").repetition(1));
        assert_eq!(
            (
                bed.point_of_care().as_ref(),
                bed.room().as_ref(),
                bed.bed().as_ref()
            ),
            ("3E", "301", "1")
        );
        assert_eq!(
            (
                bed.facility().namespace.as_ref(),
                bed.person_location_type().as_ref()
            ),
            ("H1", "N")
        );
        assert_eq!(
            (
                bed.building().as_ref(),
                bed.floor().as_ref(),
                bed.description().as_ref()
            ),
            ("本館", "3F", "窓側")
        );
        let clinic = Pl::new(field("01^^^^^C").repetition(1));
        assert_eq!(
            (
                clinic.room().as_ref(),
                clinic.person_location_type().as_ref()
            ),
            ("", "C")
        );
        assert!(!clinic.is_empty() && Pl::new(field("^^^").repetition(1)).is_empty());
    }

    #[test]
    fn numbers_and_namespaces() {
        let number = Ei::new(field("000000000030001^HOSP^1.2^ISO").repetition(1));
        assert_eq!(number.id(), "000000000030001");
        assert_eq!(
            number.namespace(),
            Hd::new(field("HOSP^1.2^ISO").repetition(1))
        );
    }
}
