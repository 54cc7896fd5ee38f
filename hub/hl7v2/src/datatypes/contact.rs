//! Addresses and telephone numbers: XAD, XTN.

use std::borrow::Cow;

use crate::view::{Component, Field, Repetition};

/// XAD.7, HL7 table 0190 as used in Japan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressUse {
    /// `H`.
    Home,
    /// `B` or `O`.
    Work,
    /// `C` or `TMP`.
    Temporary,
    /// `M`.
    Mailing,
    /// Empty.
    Unstated,
    /// Any other code.
    Other,
}

/// XAD, an address (PID-11). By rule the whole address stands in XAD.8 and the parts are empty;
/// some senders fill the parts too, or instead.
#[derive(Clone, Copy, Debug)]
pub struct Xad<'a>(Repetition<'a>);

impl<'a> Xad<'a> {
    /// Reads one repetition.
    #[must_use]
    pub fn new(repetition: Repetition<'a>) -> Self {
        Self(repetition)
    }

    /// All repetitions of a field that carry something.
    pub fn all(field: Field<'a>) -> impl Iterator<Item = Self> + Clone {
        field
            .repetitions()
            .filter(|one| one.components().any(Component::has_value))
            .map(Self)
    }

    /// The address in one string: XAD.8, else prefecture, city, street and rest joined in
    /// Japanese order (XAD.4, .3, .1, .2).
    #[must_use]
    pub fn text(self) -> Cow<'a, str> {
        let whole = self.0.component(8).text();
        if !whole.is_empty() {
            return whole;
        }
        let street = self.0.component(1).subcomponent(1).text();
        if self.state().is_empty() && self.city().is_empty() && self.other().is_empty() {
            return street;
        }
        Cow::Owned([self.state(), self.city(), street, self.other()].concat())
    }

    /// XAD.1, first subcomponent.
    #[must_use]
    pub fn street(self) -> Cow<'a, str> {
        self.0.component(1).subcomponent(1).text()
    }

    /// XAD.2, building and room.
    #[must_use]
    pub fn other(self) -> Cow<'a, str> {
        self.0.component(2).text()
    }

    /// XAD.3.
    #[must_use]
    pub fn city(self) -> Cow<'a, str> {
        self.0.component(3).text()
    }

    /// XAD.4, the prefecture.
    #[must_use]
    pub fn state(self) -> Cow<'a, str> {
        self.0.component(4).text()
    }

    /// XAD.5 as sent: `422-8033` or `1050003`.
    #[must_use]
    pub fn postal_code(self) -> Cow<'a, str> {
        self.0.component(5).text()
    }

    /// The seven digits of XAD.5, whatever their width and hyphen; `None` when there are not seven.
    #[must_use]
    pub fn postal_digits(self) -> Option<String> {
        let mut digits = String::with_capacity(7);
        for character in self.postal_code().chars() {
            match character {
                '0'..='9' => digits.push(character),
                '０'..='９' => {
                    digits.push(char::from_u32(character as u32 - '０' as u32 + '0' as u32)?)
                }
                '-' | '‐' | '−' | 'ー' | '－' | '〒' | ' ' | '\u{3000}' => {}
                _ => return None,
            }
        }
        (digits.len() == 7).then_some(digits)
    }

    /// XAD.6: `JPN`.
    #[must_use]
    pub fn country(self) -> Cow<'a, str> {
        self.0.component(6).text()
    }

    /// XAD.7.
    #[must_use]
    pub fn address_use(self) -> AddressUse {
        match self.0.component(7).raw() {
            "H" => AddressUse::Home,
            "B" | "O" => AddressUse::Work,
            "C" | "TMP" => AddressUse::Temporary,
            "M" => AddressUse::Mailing,
            "" | "\"\"" => AddressUse::Unstated,
            _ => AddressUse::Other,
        }
    }
}

/// XTN.2, HL7 table 0201.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TelecomUse {
    /// `PRN` primary residence.
    PrimaryHome,
    /// `ORN` other residence.
    OtherHome,
    /// `VHN` vacation home.
    VacationHome,
    /// `WPN`.
    Work,
    /// `ASN` answering service.
    AnsweringService,
    /// `EMR`: whom to call in an emergency.
    Emergency,
    /// `NET`.
    Network,
    /// `BPN`.
    Beeper,
    /// `PRS`: personal, a mobile phone.
    Mobile,
    /// Empty.
    Unstated,
    /// Any other code.
    Other,
}

/// XTN.3, HL7 table 0202.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Equipment {
    /// `PH`.
    Phone,
    /// `FX`.
    Fax,
    /// `CP`.
    Mobile,
    /// `Internet` or `X.400`.
    Email,
    /// `BP`.
    Beeper,
    /// Empty.
    Unstated,
    /// Any other code.
    Other,
}

/// XTN, a telephone number (PID-13): the number stands in XTN.12; in XTN.1 from older senders.
#[derive(Clone, Copy, Debug)]
pub struct Xtn<'a>(Repetition<'a>);

impl<'a> Xtn<'a> {
    /// Reads one repetition.
    #[must_use]
    pub fn new(repetition: Repetition<'a>) -> Self {
        Self(repetition)
    }

    /// All repetitions of a field that carry a number or an e-mail address.
    pub fn all(field: Field<'a>) -> impl Iterator<Item = Self> + Clone {
        field
            .repetitions()
            .map(Self)
            .filter(|one| !one.number().is_empty() || !one.email().is_empty())
    }

    /// XTN.12, else XTN.1, else area code and local number (XTN.6, .7) joined; as sent.
    #[must_use]
    pub fn number(self) -> Cow<'a, str> {
        for component in [12, 1] {
            let text = self.0.component(component).text();
            if !text.is_empty() {
                return text;
            }
        }
        let area = self.0.component(6).text();
        let local = self.0.component(7).text();
        if area.is_empty() {
            local
        } else {
            Cow::Owned([area, local].join("-"))
        }
    }

    /// XTN.4.
    #[must_use]
    pub fn email(self) -> Cow<'a, str> {
        self.0.component(4).text()
    }

    /// XTN.2.
    #[must_use]
    pub fn telecom_use(self) -> TelecomUse {
        match self.0.component(2).raw() {
            "PRN" => TelecomUse::PrimaryHome,
            "ORN" => TelecomUse::OtherHome,
            "VHN" => TelecomUse::VacationHome,
            "WPN" => TelecomUse::Work,
            "ASN" => TelecomUse::AnsweringService,
            "EMR" => TelecomUse::Emergency,
            "NET" => TelecomUse::Network,
            "BPN" => TelecomUse::Beeper,
            "PRS" => TelecomUse::Mobile,
            "" | "\"\"" => TelecomUse::Unstated,
            _ => TelecomUse::Other,
        }
    }

    /// XTN.3.
    #[must_use]
    pub fn equipment(self) -> Equipment {
        match self.0.component(3).raw() {
            "PH" => Equipment::Phone,
            "FX" => Equipment::Fax,
            "CP" => Equipment::Mobile,
            "Internet" | "X.400" => Equipment::Email,
            "BP" => Equipment::Beeper,
            "" | "\"\"" => Equipment::Unstated,
            _ => Equipment::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::Delimiters;

    fn one(raw: &str) -> Repetition<'_> {
        Repetition::new(raw, Delimiters::default())
    }

    #[test]
    fn the_whole_address_in_one_part() {
        let home = Xad::new(one("^^^^166-0004^JPN^H^東京都杉並区架空町99丁目1番2号"));
        assert_eq!(home.text(), "東京都杉並区架空町99丁目1番2号");
        assert_eq!(
            (home.postal_code().as_ref(), home.country().as_ref()),
            ("166-0004", "JPN")
        );
        assert_eq!(home.address_use(), AddressUse::Home);
        assert_eq!(home.postal_digits().as_deref(), Some("1660004"));
        assert_eq!(
            Xad::new(one("^^^^1050003^JPN^B")).address_use(),
            AddressUse::Work
        );
        assert_eq!(
            Xad::new(one("^^^^１６６−０００４"))
                .postal_digits()
                .as_deref(),
            Some("1660004")
        );
        for bad in ["^^^^166", "^^^^166-000A", ""] {
            assert_eq!(Xad::new(one(bad)).postal_digits(), None);
        }
        assert_eq!(Xad::new(one("^^^^^^Q")).address_use(), AddressUse::Other);
    }

    #[test]
    fn an_address_in_parts_is_joined_in_japanese_order() {
        let parts = Xad::new(one("架空町9&x^101号室^杉並区^東京都^1660004"));
        assert_eq!(parts.text(), "東京都杉並区架空町9101号室");
        assert_eq!(Xad::new(one("東京都杉並区")).text(), "東京都杉並区");
        assert_eq!(
            (parts.street().as_ref(), parts.city().as_ref()),
            ("架空町9", "杉並区")
        );
        let field = Field::new("^^^^^^H~^^^^1660004~~^^", Delimiters::default());
        assert_eq!(Xad::all(field).count(), 2);
    }

    #[test]
    fn numbers_in_their_place_and_elsewhere() {
        let home = Xtn::new(one("^PRN^PH^^^^^^^^^03-0000-0001"));
        assert_eq!(home.number(), "03-0000-0001");
        assert_eq!(
            (home.telecom_use(), home.equipment()),
            (TelecomUse::PrimaryHome, Equipment::Phone)
        );
        assert_eq!(Xtn::new(one("03-0000-0002")).number(), "03-0000-0002");
        assert_eq!(
            Xtn::new(one("^WPN^FX^^81^3^00000003")).number(),
            "3-00000003"
        );
        let mail = Xtn::new(one("^NET^Internet^a@example.invalid"));
        assert_eq!(
            (mail.email().as_ref(), mail.equipment()),
            ("a@example.invalid", Equipment::Email)
        );
        assert_eq!(Xtn::new(one("^PRS^CP")).telecom_use(), TelecomUse::Mobile);
        let field = Field::new("^PRN^PH~03-0000-0001~", Delimiters::default());
        assert_eq!(Xtn::all(field).count(), 1);
    }
}
