//! Splits decoded text into segments and fields: one pass, offsets only, nothing copied.
//!
//! The input must be decoded text ([`crate::charset::decode`]), never raw bytes. Lenient by
//! design: unknown segments, stray lines and short segments are kept as they are; only a message
//! without a readable MSH is an error. Grammar and meaning belong to the mappings.

use memchr::memchr3_iter;

use crate::location::Location;
use crate::view::{Delimiters, Field};

/// Why a text is not a message. Carries a place, never data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The text does not start with `MSH`; batches go through [`crate::batch`] first.
    #[error("the message does not start with an `MSH` segment")]
    NoHeader,
    /// `MSH` is followed by something that cannot be a field separator.
    #[error("{0} is not a usable field separator")]
    FieldSeparator(Location),
    /// MSH-2 is missing or empty.
    #[error("{0}, the encoding characters, is missing")]
    MissingEncodingCharacters(Location),
    /// MSH-2 holds letters, doubles or more than five characters.
    #[error("{0} does not hold usable encoding characters")]
    EncodingCharacters(Location),
    /// More than 4 GiB of text.
    #[error("the message is longer than 4 GiB")]
    TooLong,
}

impl ParseError {
    /// The place to name in ERR-2.
    #[must_use]
    pub fn location(&self) -> Location {
        match self {
            Self::NoHeader | Self::TooLong => Location::segment("MSH", 1),
            Self::FieldSeparator(at)
            | Self::MissingEncodingCharacters(at)
            | Self::EncodingCharacters(at) => *at,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Span {
    start: u32,
    end: u32,
    /// Where the name ends: at the first separator, else at the end.
    name_end: u32,
    /// MSH, BHS or FHS, whose fields are numbered from the separator itself.
    is_header: bool,
    /// Index of the segment's first entry in `Message::separators`.
    first_separator: u32,
}

/// One message: decoded text plus the offsets of its segments and field separators.
#[derive(Clone, Debug)]
pub struct Message<'a> {
    text: &'a str,
    delimiters: Delimiters,
    segments: Vec<Span>,
    separators: Vec<u32>,
}

impl<'a> Message<'a> {
    /// Splits one message. Segments end at CR, LF or CRLF; empty lines are ignored; control
    /// characters before the MSH are skipped.
    ///
    /// A text with several messages must be cut by [`crate::batch::split_messages`] first: later
    /// MSH lines would be read as segments of the first message.
    ///
    /// # Errors
    /// When there is no MSH with usable delimiters at the start. Nothing else is an error.
    pub fn parse(text: &'a str) -> Result<Self, ParseError> {
        if u32::try_from(text.len()).is_err() {
            return Err(ParseError::TooLong);
        }
        let body = text.trim_start_matches(|c: char| c.is_ascii_control() || c == '\u{FEFF}');
        let start = text.len() - body.len();
        let delimiters = read_delimiters(body)?;
        let mut message = Self {
            text,
            delimiters,
            segments: Vec::with_capacity(text.len() / 128 + 4),
            separators: Vec::with_capacity(text.len() / 8 + 32),
        };
        message.index(start);
        Ok(message)
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "parse refused texts beyond u32::MAX bytes"
    )]
    fn index(&mut self, start: usize) {
        let separator = self.delimiters.field;
        let bytes = self.text.as_bytes();
        let mut line_start = start as u32;
        let mut first_separator = 0;
        for offset in memchr3_iter(separator, b'\r', b'\n', &bytes[start..]) {
            let position = (start + offset) as u32;
            if bytes[start + offset] == separator {
                self.separators.push(position);
                continue;
            }
            if position > line_start {
                self.push_segment(line_start, position, first_separator);
            }
            first_separator = self.separators.len() as u32;
            line_start = position + 1;
        }
        let end = self.text.len() as u32;
        if end > line_start {
            self.push_segment(line_start, end, first_separator);
        }
    }

    /// Adds the segment whose separators are those from `first_separator` on.
    fn push_segment(&mut self, start: u32, end: u32, first_separator: u32) {
        let name_end = self.separators.get(first_separator as usize);
        let name_end = name_end.copied().unwrap_or(end);
        let name = &self.text.as_bytes()[start as usize..name_end as usize];
        self.segments.push(Span {
            start,
            end,
            name_end,
            is_header: matches!(name, b"MSH" | b"BHS" | b"FHS"),
            first_separator,
        });
    }

    /// The decoded text this message was split from.
    #[must_use]
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// The delimiters of MSH-1 and MSH-2.
    #[must_use]
    pub fn delimiters(&self) -> Delimiters {
        self.delimiters
    }

    /// All segments in order, MSH first.
    pub fn segments(
        &self,
    ) -> impl ExactSizeIterator<Item = Segment<'_>> + DoubleEndedIterator + Clone {
        (0..self.segments.len()).map(move |index| Segment {
            message: self,
            index,
        })
    }

    /// The segment at this index, MSH being 0.
    #[must_use]
    pub fn segment(&self, index: usize) -> Option<Segment<'_>> {
        (index < self.segments.len()).then_some(Segment {
            message: self,
            index,
        })
    }

    /// How many segments there are; at least 1.
    #[must_use]
    pub fn segment_count(&self) -> usize {
        self.segments.len()
    }

    /// The first segment of this name.
    #[must_use]
    pub fn first<'m>(&'m self, name: &str) -> Option<Segment<'m>> {
        self.segments().find(|segment| segment.name() == name)
    }

    /// All segments of this name, in order.
    pub fn all<'m, 'n: 'm>(&'m self, name: &'n str) -> impl Iterator<Item = Segment<'m>> + Clone {
        self.segments()
            .filter(move |segment| segment.name() == name)
    }

    /// The MSH segment.
    #[must_use]
    pub fn header(&self) -> Segment<'_> {
        Segment {
            message: self,
            index: 0,
        }
    }

    /// The place of a byte offset of [`Self::text`], as fine as it can be told; the end of a
    /// segment belongs to its last field. `None` between segments and outside of the text.
    #[must_use]
    pub fn locate(&self, offset: usize) -> Option<Location> {
        let position = u32::try_from(offset).ok()?;
        let index = self
            .segments
            .partition_point(|span| span.start <= position)
            .checked_sub(1)?;
        let segment = self.segment(index)?;
        let span = self.segments[index];
        if position > span.end {
            return None;
        }
        let separators = segment.separators();
        let before = separators.partition_point(|&separator| separator < position);
        let place = segment.location();
        if before == 0 {
            return Some(place);
        }
        let number = if segment.is_header() {
            before + 1
        } else {
            before
        };
        let place = place.field(u32::try_from(number).ok()?);
        if segment.is_header() && number <= 2 {
            return Some(place);
        }
        let inside = self
            .text
            .as_bytes()
            .get(separators[before - 1] as usize + 1..offset)?;
        let (repetitions, inside) = count_and_rest(inside, self.delimiters.repetition);
        let (components, inside) = count_and_rest(inside, self.delimiters.component);
        let (subcomponents, _) = count_and_rest(inside, self.delimiters.subcomponent);
        let place = place.repetition(repetitions).component(components);
        let has_subcomponents = subcomponents > 1;
        Some(if has_subcomponents {
            place.subcomponent(subcomponents)
        } else {
            place
        })
    }
}

/// One more than the number of separators in `bytes`, and what follows the last one.
fn count_and_rest(bytes: &[u8], separator: u8) -> (u32, &[u8]) {
    let count = memchr::memchr_iter(separator, bytes).count();
    let rest = memchr::memrchr(separator, bytes).map_or(bytes, |last| &bytes[last + 1..]);
    (u32::try_from(count + 1).unwrap_or(u32::MAX), rest)
}

/// Reads MSH-1 and MSH-2 from the start of a message.
fn read_delimiters(body: &str) -> Result<Delimiters, ParseError> {
    let header = Location::segment("MSH", 1);
    let rest = body.strip_prefix("MSH").ok_or(ParseError::NoHeader)?;
    let field = match rest.bytes().next() {
        Some(byte) if byte.is_ascii_punctuation() => byte,
        Some(byte) if byte.is_ascii_alphanumeric() => return Err(ParseError::NoHeader),
        _ => return Err(ParseError::FieldSeparator(header.field(1))),
    };
    let encoding = rest[1..]
        .split([char::from(field), '\r', '\n'])
        .next()
        .unwrap_or("");
    if encoding.is_empty() {
        return Err(ParseError::MissingEncodingCharacters(header.field(2)));
    }
    let bad = ParseError::EncodingCharacters(header.field(2));
    let defaults = Delimiters::default();
    let mut characters = encoding.chars();
    let mut next = |default: u8| match characters.next() {
        None => Ok(default),
        Some(character) if character.is_ascii_punctuation() => {
            u8::try_from(character).map_err(|_| bad)
        }
        Some(_) => Err(bad),
    };
    let component = next(defaults.component)?;
    let repetition = next(defaults.repetition)?;
    let escape = match characters.next() {
        None => defaults.escape,
        Some('¥') => '¥',
        Some(character) if character.is_ascii_punctuation() => character,
        Some(_) => return Err(bad),
    };
    let subcomponent = match characters.next() {
        None => defaults.subcomponent,
        Some(character) if character.is_ascii_punctuation() => {
            u8::try_from(character).map_err(|_| bad)?
        }
        Some(_) => return Err(bad),
    };
    // A fifth character is the truncation character of HL7 v2.7; it is accepted and means nothing here.
    let truncation = characters.next();
    if truncation.is_some_and(|character| !character.is_ascii_punctuation())
        || characters.next().is_some()
    {
        return Err(bad);
    }
    let delimiters = Delimiters {
        field,
        component,
        repetition,
        escape,
        subcomponent,
    };
    if are_distinct(&delimiters) {
        Ok(delimiters)
    } else {
        Err(bad)
    }
}

fn are_distinct(delimiters: &Delimiters) -> bool {
    let all = [
        delimiters.field(),
        delimiters.component(),
        delimiters.repetition(),
        delimiters.escape(),
        delimiters.subcomponent(),
    ];
    all.iter()
        .enumerate()
        .all(|(index, character)| !all[..index].contains(character))
}

/// One segment of a message, by reference.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'m> {
    message: &'m Message<'m>,
    index: usize,
}

impl<'m> Segment<'m> {
    /// The text before the first field separator. `PV1` without any field is still named `PV1`;
    /// a stray line of text is its own name, so never print this: print [`Self::location`].
    #[must_use]
    pub fn name(self) -> &'m str {
        let span = self.span();
        self.slice(span.start, span.name_end)
    }

    /// Position in the message, MSH being 0.
    #[must_use]
    pub fn index(self) -> usize {
        self.index
    }

    /// The whole line as sent, without its line end.
    #[must_use]
    pub fn raw(self) -> &'m str {
        let span = self.span();
        self.slice(span.start, span.end)
    }

    /// The field with this number, from 1; an empty view when it was not sent. MSH-1 is the field
    /// separator itself and MSH-2 the encoding characters; both are read literally.
    #[must_use]
    pub fn field(self, number: usize) -> Field<'m> {
        let separators = self.separators();
        let mut after = number;
        let mut delimiters = self.message.delimiters;
        if self.is_header() {
            if number <= 2 {
                delimiters = Delimiters::LITERAL;
            }
            if number == 1 {
                let raw = separators.first().map_or("", |&at| self.slice(at, at + 1));
                return Field::new(raw, delimiters);
            }
            after = number.saturating_sub(1);
        }
        let raw = match after
            .checked_sub(1)
            .and_then(|before| separators.get(before))
        {
            Some(&start) => {
                let end = separators.get(after).copied().unwrap_or(self.span().end);
                self.slice(start + 1, end)
            }
            None => "",
        };
        Field::new(raw, delimiters)
    }

    /// The highest field number that was sent; 0 for a bare segment name.
    #[must_use]
    pub fn field_count(self) -> usize {
        let separators = self.separators().len();
        if self.is_header() && separators > 0 {
            separators + 1
        } else {
            separators
        }
    }

    /// All fields with their numbers, empty ones included.
    pub fn fields(self) -> impl Iterator<Item = (usize, Field<'m>)> + Clone {
        (1..=self.field_count()).map(move |number| (number, self.field(number)))
    }

    /// Which segment of its name this is within the message, from 1.
    #[must_use]
    pub fn occurrence(self) -> usize {
        let name = self.name();
        let earlier = (0..self.index).filter(|&index| Segment { index, ..self }.name() == name);
        earlier.count() + 1
    }

    /// The place of the whole segment.
    #[must_use]
    pub fn location(self) -> Location {
        Location::segment(
            self.name(),
            u32::try_from(self.occurrence()).unwrap_or(u32::MAX),
        )
    }

    /// The place of one of its fields.
    #[must_use]
    pub fn at(self, field: usize) -> Location {
        self.location()
            .field(u32::try_from(field).unwrap_or(u32::MAX))
    }

    /// MSH is numbered from its separator; so are the batch and file headers.
    fn is_header(self) -> bool {
        self.span().is_header
    }

    fn span(self) -> Span {
        self.message.segments[self.index]
    }

    fn separators(self) -> &'m [u32] {
        let next = self.message.segments.get(self.index + 1);
        let end = next.map_or(self.message.separators.len(), |span| {
            span.first_separator as usize
        });
        &self.message.separators[self.span().first_separator as usize..end]
    }

    fn slice(self, start: u32, end: u32) -> &'m str {
        &self.message.text[start as usize..end as usize]
    }
}

#[cfg(test)]
mod tests;
