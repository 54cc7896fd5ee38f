//! Builds HL7 v2 messages: values go in as plain text and cannot break out of their place.
//!
//! Used for acknowledgements ([`crate::ack`]), by the simulators and for messages the hub sends.
//! Every value is escaped here, so a name with `|`, a line end or an MLLP control character in it
//! stays one value. Errors are kept and returned by [`Builder::finish`], so calls can be chained.

use crate::encode::{self, Encoded};
use crate::escape::escape;
use crate::location::SegmentName;
use crate::view::Delimiters;

pub use crate::ack::{AckCode, ErrDetail, ErrorCode, ack};
pub use crate::charset::Charset;

/// Highest field number that can be written; the standard stays far below it.
const HIGHEST_FIELD: usize = 999;

/// Why a message could not be built: a mistake of the calling code, never of data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// A segment name that is not a capital letter and two capitals or digits.
    #[error("a segment name is not well formed")]
    SegmentName,
    /// A field number of 0 or beyond 999, or MSH-1, MSH-2.
    #[error("field {0} cannot be written")]
    Field(usize),
}

/// One component of a value, or all of it.
#[derive(Clone, Copy, Debug)]
pub enum Part<'a> {
    /// Plain text, escaped when written. The text `""` is written so that it is not read as null.
    Text(&'a str),
    /// `""`: the receiver is told to delete the value.
    Null,
    /// A component with subcomponents, each plain text.
    Subcomponents(&'a [&'a str]),
}

impl<'a> From<&'a str> for Part<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a String> for Part<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text)
    }
}

/// One segment being written, with the recommended delimiters `|^~\&`.
#[derive(Clone, Debug)]
pub struct Segment {
    name: String,
    /// Field n at index n - 1, escaped and joined.
    fields: Vec<String>,
    error: Option<BuildError>,
}

impl Segment {
    /// An empty segment.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let error = (!SegmentName::new(name).is_well_formed()).then_some(BuildError::SegmentName);
        Self {
            name: name.to_owned(),
            fields: Vec::new(),
            error,
        }
    }

    /// Sets a field (from 1) to one plain value.
    #[must_use]
    pub fn text(self, field: usize, value: &str) -> Self {
        self.components(field, [value])
    }

    /// Sets a field to `""`: the receiver is told to delete the value.
    #[must_use]
    pub fn null(self, field: usize) -> Self {
        self.components(field, [Part::Null])
    }

    /// Sets a field to one repetition with these components; trailing empty ones are not written.
    #[must_use]
    pub fn components<'p, P: Into<Part<'p>>>(
        mut self,
        field: usize,
        components: impl IntoIterator<Item = P>,
    ) -> Self {
        let written = write_components(components);
        if let Some(slot) = self.slot(field) {
            *slot = written;
        }
        self
    }

    /// Adds a repetition with these components to a field, behind what is there already.
    #[must_use]
    pub fn repetition<'p, P: Into<Part<'p>>>(
        mut self,
        field: usize,
        components: impl IntoIterator<Item = P>,
    ) -> Self {
        let written = write_components(components);
        if let Some(slot) = self.slot(field) {
            if !slot.is_empty() {
                slot.push('~');
            }
            slot.push_str(&written);
        }
        self
    }

    /// Sets a field to one plain value per repetition; empty ones keep their place, as in MSH-18
    /// `~ISO IR87`.
    #[must_use]
    pub fn texts<'p>(mut self, field: usize, values: impl IntoIterator<Item = &'p str>) -> Self {
        let written: Vec<_> = values
            .into_iter()
            .map(|value| write_components([value]))
            .collect();
        if let Some(slot) = self.slot(field) {
            *slot = written.join("~");
        }
        self
    }

    fn slot(&mut self, field: usize) -> Option<&mut String> {
        let is_delimiters = self.name == "MSH" && field <= 2;
        if field == 0 || field > HIGHEST_FIELD || is_delimiters {
            self.error = self.error.or(Some(BuildError::Field(field)));
            return None;
        }
        if self.fields.len() < field {
            self.fields.resize(field, String::new());
        }
        self.fields.get_mut(field - 1)
    }

    fn write(&self, out: &mut String) {
        out.push_str(&self.name);
        let mut fields = self.fields.as_slice();
        if self.name == "MSH" {
            out.push_str("|^~\\&");
            fields = fields.get(2..).unwrap_or(&[]);
        }
        while let [rest @ .., last] = fields
            && last.is_empty()
        {
            fields = rest;
        }
        for field in fields {
            out.push('|');
            out.push_str(field);
        }
        out.push('\r');
    }
}

fn write_components<'p, P: Into<Part<'p>>>(components: impl IntoIterator<Item = P>) -> String {
    let mut out = String::new();
    for (index, component) in components.into_iter().enumerate() {
        if index > 0 {
            out.push('^');
        }
        match component.into() {
            Part::Text(text) => push_text(&mut out, text),
            Part::Null => out.push_str("\"\""),
            Part::Subcomponents(parts) => {
                for (index, part) in parts.iter().enumerate() {
                    if index > 0 {
                        out.push('&');
                    }
                    push_text(&mut out, part);
                }
                out.truncate(out.trim_end_matches('&').len());
            }
        }
    }
    out.truncate(out.trim_end_matches('^').len());
    out
}

fn push_text(out: &mut String, text: &str) {
    if text == "\"\"" {
        out.push_str("\\X2222\\");
    } else {
        out.push_str(&escape(text, &Delimiters::default()));
    }
}

/// What MSH says; the fields an answer or a message of ours needs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Header<'a> {
    /// MSH-3.
    pub sending_application: &'a str,
    /// MSH-4.
    pub sending_facility: &'a str,
    /// MSH-5.
    pub receiving_application: &'a str,
    /// MSH-6.
    pub receiving_facility: &'a str,
    /// MSH-7, `YYYYMMDDHHMMSS`.
    pub sent_at: &'a str,
    /// MSH-9: code, trigger, structure.
    pub message_type: [&'a str; 3],
    /// MSH-10, unique per sender, 20 characters at most.
    pub control_id: &'a str,
    /// MSH-11; empty = `P`.
    pub processing_id: &'a str,
    /// MSH-12; empty = `2.5`.
    pub version: &'a str,
    /// Decides MSH-18 and MSH-20; encode with the same.
    pub charset: Option<Charset>,
}

impl Header<'_> {
    /// The MSH segment, to which fields can still be added.
    #[must_use]
    pub fn segment(&self) -> Segment {
        let or = |value, default| if str::is_empty(value) { default } else { value };
        let header = Segment::new("MSH")
            .text(3, self.sending_application)
            .text(4, self.sending_facility)
            .text(5, self.receiving_application)
            .text(6, self.receiving_facility)
            .text(7, self.sent_at)
            .components(9, self.message_type)
            .text(10, self.control_id)
            .text(11, or(self.processing_id, "P"))
            .text(12, or(self.version, "2.5"));
        match self.charset {
            Some(Charset::Iso2022Jp) => {
                header.texts(18, ["", "ISO IR87"]).text(20, "ISO 2022-1994")
            }
            Some(Charset::Utf8) => header.text(18, "UNICODE UTF-8"),
            // CP932 has no name in HL7 table 0211; who asks for it knows it by agreement.
            Some(Charset::Ascii | Charset::Cp932) | None => header,
        }
    }
}

/// A message being written.
#[derive(Clone, Debug)]
pub struct Builder {
    segments: Vec<Segment>,
}

impl Builder {
    /// Starts with MSH.
    #[must_use]
    pub fn new(header: &Header<'_>) -> Self {
        Self::with_header(header.segment())
    }

    /// Starts with an MSH to which fields were added ([`Header::segment`]).
    #[must_use]
    pub fn with_header(mut header: Segment) -> Self {
        if header.name != "MSH" {
            header.error = header.error.or(Some(BuildError::SegmentName));
        }
        Self {
            segments: vec![header],
        }
    }

    /// Adds a segment.
    #[must_use]
    pub fn push(mut self, segment: Segment) -> Self {
        self.segments.push(segment);
        self
    }

    /// The message as text, every segment ended by CR.
    ///
    /// # Errors
    /// The first wrong segment name or field number of any call.
    pub fn finish(self) -> Result<String, BuildError> {
        let mut out = String::with_capacity(self.segments.len() * 64);
        for segment in &self.segments {
            if let Some(error) = segment.error {
                return Err(error);
            }
            segment.write(&mut out);
        }
        Ok(out)
    }

    /// The message as bytes, with a report of characters the set does not have.
    ///
    /// # Errors
    /// As [`Builder::finish`].
    pub fn encode(self, charset: Charset) -> Result<Encoded, BuildError> {
        Ok(encode::encode(&self.finish()?, charset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokenize::Message;

    fn header() -> Header<'static> {
        Header {
            sending_application: "RENKEI",
            sent_at: "20250111113000",
            message_type: ["ORU", "R01", "ORU_R01"],
            control_id: "1",
            charset: Some(Charset::Iso2022Jp),
            ..Header::default()
        }
    }

    #[test]
    fn a_message_is_written_as_the_standard_spells_it() {
        let text = Builder::new(&header())
            .push(
                Segment::new("PID")
                    .text(1, "1")
                    .components(3, ["0000123456", "", "", "", "PI"])
                    .components(5, ["山本", "京子", "", "", "", "", "L", "I"])
                    .repetition(5, ["ヤマモト", "キョウコ", "", "", "", "", "L", "P"])
                    .null(8),
            )
            .push(Segment::new("RXE").components(
                19,
                [
                    Part::Text("3"),
                    Part::Subcomponents(&["TAB", "錠", "MR9P", ""]),
                ],
            ))
            .finish()
            .expect("builds");
        assert_eq!(
            text,
            "MSH|^~\\&|RENKEI||||20250111113000||ORU^R01^ORU_R01|1|P|2.5||||||~ISO IR87||ISO 2022-1994\r\
             PID|1||0000123456^^^^PI||山本^京子^^^^^L^I~ヤマモト^キョウコ^^^^^L^P|||\"\"\r\
             RXE|||||||||||||||||||3^TAB&錠&MR9P\r"
        );
    }

    #[test]
    fn values_cannot_break_out() {
        let nasty = "a|b^c~d\\e&f\r\nMSH|^~\\&|EVIL\u{1c}\r\u{b}";
        let text = Builder::new(&header())
            .push(
                Segment::new("NTE")
                    .text(3, nasty)
                    .components(4, ["\"\"", nasty]),
            )
            .finish()
            .expect("builds");
        assert_eq!(text.matches('\r').count(), 2);
        assert!(!text.contains(['\n', '\u{1c}', '\u{b}']));
        let message = Message::parse(&text).expect("parses");
        let nte = message.first("NTE").expect("NTE");
        assert_eq!(nte.field(3).text(), nasty);
        assert!(!nte.field(4).is_null() && nte.field(4).text() == "\"\"");
        assert_eq!(nte.field(4).component(2).text(), nasty);
    }

    #[test]
    fn mistakes_of_the_caller_are_reported() {
        let build = |segment| Builder::new(&header()).push(segment).finish();
        assert_eq!(build(Segment::new("pid")), Err(BuildError::SegmentName));
        assert_eq!(build(Segment::new("PID|")), Err(BuildError::SegmentName));
        assert_eq!(
            build(Segment::new("PID").text(0, "x")),
            Err(BuildError::Field(0))
        );
        assert_eq!(
            build(Segment::new("PID").text(1000, "x")),
            Err(BuildError::Field(1000))
        );
        assert_eq!(
            build(Segment::new("MSH").text(2, "x")),
            Err(BuildError::Field(2))
        );
    }

    #[test]
    fn bytes_come_with_a_report() {
        let encoded = Builder::new(&header())
            .push(Segment::new("PID").text(5, "髙橋"))
            .encode(Charset::Iso2022Jp)
            .expect("builds");
        assert_eq!(encoded.substituted.len(), 1);
        assert!(crate::decode(&encoded.bytes).text.ends_with("PID|||||〓橋"));
    }
}
