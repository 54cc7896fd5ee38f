//! A message being read, and which of its fields were: what held data and was never asked for is
//! reported as unread.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeMap;

use renkei_hl7v2::{Field, Location, Message, Segment};

/// Which fields of one segment were read: bit n = field n. Fields beyond 127 count as unread.
type Seen = Cell<u128>;

/// A message with its marks. Cheap to copy.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'m> {
    message: &'m Message<'m>,
    seen: &'m [Seen],
}

/// One segment; asking for a field marks it as read.
#[derive(Clone, Copy)]
pub(crate) struct Seg<'m> {
    segment: Segment<'m>,
    seen: &'m Seen,
}

impl<'m> Reader<'m> {
    /// Marks for a message, all unset. Keep them beside the message and hand them to [`Reader::new`].
    pub(crate) fn marks(message: &Message<'_>) -> Vec<Seen> {
        vec![Cell::new(0); message.segment_count()]
    }

    /// A reader over a message and its marks.
    pub(crate) fn new(message: &'m Message<'m>, seen: &'m [Seen]) -> Self {
        Self { message, seen }
    }

    /// All segments in order, MSH first.
    pub(crate) fn segments(self) -> impl DoubleEndedIterator<Item = Seg<'m>> + Clone {
        self.message
            .segments()
            .zip(self.seen)
            .map(|(segment, seen)| Seg { segment, seen })
    }

    /// The first segment of this name.
    pub(crate) fn first(self, name: &str) -> Option<Seg<'m>> {
        self.segments().find(|segment| segment.name() == name)
    }

    /// All segments of this name.
    pub(crate) fn all(self, name: &'static str) -> impl Iterator<Item = Seg<'m>> + Clone {
        self.segments()
            .filter(move |segment| segment.name() == name)
    }

    /// MSH.
    pub(crate) fn header(self) -> Seg<'m> {
        Seg {
            segment: self.message.header(),
            seen: &self.seen[0],
        }
    }

    /// The message itself.
    pub(crate) fn message(self) -> &'m Message<'m> {
        self.message
    }

    /// The places that held data and were not read: `PV1-39`, or a whole segment of which nothing was
    /// read: `ZXX[1]`, `ZXX[2]`. MSH and set ids say nothing a reader could miss.
    pub(crate) fn unread(self) -> Vec<String> {
        let mut places = Vec::new();
        // Counted along the way: asking each segment for its number would look at all before it. A message has
        // only a few kinds of segments.
        let mut occurrences: Vec<(&str, u32)> = Vec::new();
        for segment in self.segments() {
            let name = segment.name();
            let known = occurrences.iter().position(|(known, _)| *known == name);
            let at = known.unwrap_or_else(|| {
                occurrences.push((name, 0));
                occurrences.len() - 1
            });
            let occurrence = &mut occurrences[at].1;
            *occurrence = occurrence.saturating_add(1);
            if segment.index() == 0 {
                continue;
            }
            let place = Location::segment(name, *occurrence);
            let set_id = has_set_id(name);
            let is_whole = segment.seen.get() == 0;
            let mut holds_data = false;
            for (number, at) in (1..=segment.segment.field_count()).zip(1_u32..) {
                if number < 128 && segment.seen.get() & (1 << number) != 0 {
                    continue;
                }
                if !segment.holds(number, set_id) {
                    continue;
                }
                holds_data = true;
                if !is_whole {
                    places.push(place.field(at).text());
                }
            }
            if is_whole && holds_data {
                places.push(format!("{}[{occurrence}]", place.segment.as_str()));
            }
        }
        places
    }

    /// Every field that holds data, of the segments [`Reader::unread`] looks at.
    pub(crate) fn held(self) -> Vec<Place> {
        let mut occurrences: BTreeMap<&str, u32> = BTreeMap::new();
        let mut held = Vec::new();
        for segment in self.segments().skip(1) {
            let name = segment.name();
            let occurrence = occurrences.entry(name).or_default();
            *occurrence = occurrence.saturating_add(1);
            let place = Location::segment(name, *occurrence);
            let set_id = has_set_id(name);
            for (number, at) in (1..=segment.segment.field_count()).zip(1_u32..) {
                if segment.holds(number, set_id) {
                    held.push(Place {
                        segment: format!("{}[{occurrence}]", place.segment.as_str()),
                        at: place.field(at).text(),
                        field: format!("{}-{at}", place.segment.as_str()),
                        is_read: number < 128 && segment.seen.get() & (1 << number) != 0,
                    });
                }
            }
        }
        held
    }
}

/// A field that holds data.
pub(crate) struct Place {
    /// Its segment as [`Reader::unread`] writes one of which nothing was read: `OBX[2]`.
    pub(crate) segment: String,
    /// Its own place, `OBX[2]-5`.
    pub(crate) at: String,
    /// The field whatever segment of that name it is in, `OBX-5`.
    pub(crate) field: String,
    /// Whether it was asked for.
    pub(crate) is_read: bool,
}

/// Only delimiters: `^WPN^PH^^` is not blank, `^^^` is.
fn is_blank(field: Field<'_>) -> bool {
    field
        .raw()
        .bytes()
        .all(|byte| byte.is_ascii_punctuation() || byte == b' ')
}

/// Segments whose first field only counts them.
fn has_set_id(name: &str) -> bool {
    matches!(
        name,
        "PID"
            | "NK1"
            | "PV1"
            | "DB1"
            | "OBX"
            | "AL1"
            | "IN1"
            | "IAM"
            | "OBR"
            | "SPM"
            | "TQ1"
            | "NTE"
            | "DG1"
            | "EVN"
    )
}

impl<'m> Seg<'m> {
    /// Its name.
    pub(crate) fn name(self) -> &'m str {
        self.segment.name()
    }

    /// Position in the message, MSH being 0.
    pub(crate) fn index(self) -> usize {
        self.segment.index()
    }

    /// Whether a field holds data; the number of a segment is none. Marks nothing.
    fn holds(self, number: usize, set_id: bool) -> bool {
        let field = self.segment.field(number);
        field.has_value() && !is_blank(field) && !(number == 1 && set_id)
    }

    /// A field, marked as read.
    pub(crate) fn field(self, number: usize) -> Field<'m> {
        if number < 128 {
            self.seen.set(self.seen.get() | 1 << number);
        }
        self.segment.field(number)
    }

    /// The first component of a field without surrounding blanks, marked as read; empty for `""`.
    pub(crate) fn text(self, number: usize) -> Cow<'m, str> {
        trimmed(self.field(number).text())
    }

    /// Whether a field holds something; asking marks nothing.
    pub(crate) fn has_value(self, number: usize) -> bool {
        self.segment.field(number).has_value()
    }

    /// Marks fields that need no reading because they repeat or only control something.
    pub(crate) fn mark(self, numbers: &[usize]) {
        for &number in numbers {
            self.field(number);
        }
    }

    /// The place of a field, `OBX[2]-5`.
    pub(crate) fn at(self, field: usize) -> String {
        self.segment.at(field).text()
    }

    /// The place of the segment, `OBX[2]`.
    pub(crate) fn place(self) -> String {
        self.segment.location().text()
    }
}

/// Without blanks (ideographic ones too) at both ends.
pub(crate) fn trimmed(text: Cow<'_, str>) -> Cow<'_, str> {
    // Most values are codes and numbers without a blank: their ends say so.
    let is_plain = |byte: Option<&u8>| byte.is_none_or(u8::is_ascii_graphic);
    if is_plain(text.as_bytes().first()) && is_plain(text.as_bytes().last()) {
        return text;
    }
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
        Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
    }
}
