//! Where in a message something was found: segment, field, repetition, component, subcomponent.
//!
//! Used by every finding and by ERR-2. A place never carries data: the name of a line that is not
//! a well-formed segment name (a stray line of text, say) is shown as `???`.

use std::fmt;

/// A segment name as the standard spells it: a capital letter, then two capitals or digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SegmentName([u8; 3]);

impl SegmentName {
    /// The name, or `???` when `text` is not a well-formed segment name (HL7 v2.5 ch. 2.5.2).
    #[must_use]
    pub fn new(text: &str) -> Self {
        match text.as_bytes() {
            &[first, second, third]
                if first.is_ascii_uppercase() && is_name_byte(second) && is_name_byte(third) =>
            {
                Self([first, second, third])
            }
            _ => Self(*b"???"),
        }
    }

    /// The name as text, three characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("???")
    }

    /// False for `???`.
    #[must_use]
    pub fn is_well_formed(&self) -> bool {
        self.0 != *b"???"
    }
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit()
}

impl fmt::Debug for SegmentName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A place in a message. All numbers are 1-based as in HL7 v2.5 ch. 2.10; 0 means "not narrowed
/// down to this level".
///
/// Displayed as `OBX[2]-5.1`, `PID-5(2).1`, `MSH-2`: the occurrence of the segment and the
/// repetition are left out when they are 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Location {
    /// Segment name.
    pub segment: SegmentName,
    /// Which segment of this name within the message, counted from 1.
    pub occurrence: u32,
    /// Field number (MSH-1 is the field separator); 0 = the whole segment.
    pub field: u32,
    /// Repetition of the field; 0 = all of them.
    pub repetition: u32,
    /// Component; 0 = the whole repetition.
    pub component: u32,
    /// Subcomponent; 0 = the whole component.
    pub subcomponent: u32,
}

impl Location {
    /// A whole segment: its name and which one of that name, from 1.
    #[must_use]
    pub fn segment(name: &str, occurrence: u32) -> Self {
        Self {
            segment: SegmentName::new(name),
            occurrence,
            field: 0,
            repetition: 0,
            component: 0,
            subcomponent: 0,
        }
    }

    /// The same place, narrowed to a field.
    #[must_use]
    pub fn field(self, field: u32) -> Self {
        Self { field, ..self }
    }

    /// The same place, narrowed to a repetition.
    #[must_use]
    pub fn repetition(self, repetition: u32) -> Self {
        Self { repetition, ..self }
    }

    /// The same place, narrowed to a component.
    #[must_use]
    pub fn component(self, component: u32) -> Self {
        Self { component, ..self }
    }

    /// The same place, narrowed to a subcomponent.
    #[must_use]
    pub fn subcomponent(self, subcomponent: u32) -> Self {
        Self {
            subcomponent,
            ..self
        }
    }
}

impl Location {
    /// The place as text, as it is displayed.
    #[must_use]
    pub fn text(self) -> String {
        let mut text = String::with_capacity(16);
        text.push_str(self.segment.as_str());
        let mut push = |before: char, number: u32, after: &str| {
            text.push(before);
            push_number(&mut text, number);
            text.push_str(after);
        };
        if self.occurrence > 1 {
            push('[', self.occurrence, "]");
        }
        if self.field == 0 {
            return text;
        }
        push('-', self.field, "");
        if self.repetition > 1 {
            push('(', self.repetition, ")");
        }
        if self.component > 0 {
            push('.', self.component, "");
            if self.subcomponent > 0 {
                push('.', self.subcomponent, "");
            }
        }
        text
    }
}

/// Messages have many places: this spares them the machinery of formatting.
fn push_number(text: &mut String, number: u32) {
    if number >= 10 {
        push_number(text, number / 10);
    }
    text.extend(char::from_digit(number % 10, 10));
}

impl fmt::Display for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_read_as_people_write_them() {
        let obx = Location::segment("OBX", 2).field(5);
        assert_eq!(obx.component(1).to_string(), "OBX[2]-5.1");
        assert_eq!(obx.to_string(), "OBX[2]-5");
        let pid = Location::segment("PID", 1).field(5);
        assert_eq!(pid.repetition(2).component(1).to_string(), "PID-5(2).1");
        assert_eq!(
            pid.repetition(1).component(1).subcomponent(3).to_string(),
            "PID-5.1.3"
        );
        assert_eq!(Location::segment("MSH", 1).to_string(), "MSH");
    }

    #[test]
    fn a_line_of_text_is_not_a_segment_name() {
        for line in ["山本京子様", "obx", "PV", "PIDX", "1AB", ""] {
            assert_eq!(Location::segment(line, 1).to_string(), "???");
        }
        assert!(SegmentName::new("ZE1").is_well_formed());
    }
}
