//! What was odd about the bytes of a message, and where.

use memchr::{memchr_iter, memchr3_iter, memmem};

use crate::location::Location;
use crate::tokenize::Message;

/// Most findings kept for one text; beyond it the text is hopeless and the first ones say so.
const MOST_FINDINGS: usize = 1000;

/// Most hits of one kind collected before they are thinned out to findings: a frame full of
/// half-width kana must not cost more memory than its text.
const MOST_HITS_PER_KIND: u32 = 10_000;

/// A kind of oddity in the bytes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FindingKind {
    /// MSH-18 names another set than the bytes are in.
    DeclaredOtherwise,
    /// MSH-18 is empty, which means ASCII, and the bytes are not ASCII.
    Undeclared,
    /// A UTF-8 byte order mark stood before the message; removed.
    ByteOrderMark,
    /// MSH-2 holds `¥` (U+00A5) where a backslash was meant; it is taken as the escape character.
    YenSignDelimiter,
    /// Returns to JIS X 0201 Roman (`ESC ( J`) instead of ASCII; read as ASCII. Harmless.
    RomanReturn,
    /// Escape sequences that switch nothing; dropped. Harmless.
    RedundantEscape,
    /// Half-width kana in ISO-2022-JP, where it is forbidden; made full-width.
    HalfWidthKana,
    /// A character of JIS X 0208 rows that vendors added (NEC row 13 `①㈱Ⅲ㎎`, IBM `髙`); kept.
    VendorCharacter,
    /// A character set we do not read (JIS X 0212, JIS X 0213); each character became U+FFFD.
    UnsupportedSet,
    /// A line ended in double-byte mode; the mode was reset.
    UnterminatedKanji,
    /// Bytes that are no character of the detected set; replaced by U+FFFD or read as ASCII.
    Malformed,
    /// A user-defined character (外字) arrived as a private-use code: unreadable without the
    /// sender's font.
    PrivateUse,
    /// `■` or `〓`, which senders put where a character could not be sent.
    SubstituteMark,
    /// U+FFFD in the text: a character is lost.
    Lost,
}

impl FindingKind {
    /// True where a character may be missing from the text: a name with it needs a person's eye.
    #[must_use]
    pub fn is_possible_gaiji(self) -> bool {
        matches!(
            self,
            Self::UnsupportedSet | Self::PrivateUse | Self::SubstituteMark | Self::Lost
        )
    }

    /// False for what is only untidy: the text is certainly the one that was meant.
    #[must_use]
    pub fn is_warning(self) -> bool {
        !matches!(self, Self::RomanReturn | Self::RedundantEscape)
    }

    /// A stable short name for reports, `kebab-case`.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::DeclaredOtherwise => "charset-declared-otherwise",
            Self::Undeclared => "charset-undeclared",
            Self::ByteOrderMark => "byte-order-mark",
            Self::YenSignDelimiter => "yen-sign-delimiter",
            Self::RomanReturn => "roman-return",
            Self::RedundantEscape => "redundant-escape",
            Self::HalfWidthKana => "half-width-kana",
            Self::VendorCharacter => "vendor-character",
            Self::UnsupportedSet => "unsupported-set",
            Self::UnterminatedKanji => "unterminated-kanji",
            Self::Malformed => "malformed-bytes",
            Self::PrivateUse => "private-use-character",
            Self::SubstituteMark => "substitute-mark",
            Self::Lost => "lost-character",
        }
    }

    /// Untidiness of the writing software is the same everywhere in a text: once is enough.
    fn is_once_per_text(self) -> bool {
        !self.is_warning()
    }
}

/// One oddity, placed in the decoded text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CharsetFinding {
    /// What was found.
    pub kind: FindingKind,
    /// Index of the line within the whole text, empty lines not counted: the segment index when
    /// the text is one message.
    pub segment: usize,
    /// Byte offset in [`super::Decoded::text`].
    pub offset: usize,
}

impl CharsetFinding {
    /// The segment and field of this finding, when `message` was parsed from the whole text.
    /// For a part of it, use [`super::Decoded::located`].
    #[must_use]
    pub fn locate(&self, message: &Message<'_>) -> Option<Location> {
        message.locate(self.offset)
    }
}

/// Oddities while they are being collected, in any order.
#[derive(Debug, Default)]
pub(super) struct Hits {
    hits: Vec<(usize, FindingKind)>,
    counts: Vec<(FindingKind, u32)>,
}

impl Hits {
    /// Notes one oddity at a byte offset of the text being built.
    pub(super) fn push(&mut self, kind: FindingKind, offset: usize) {
        let count = match self.counts.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, count)) => {
                *count = count.saturating_add(1);
                *count
            }
            None => {
                self.counts.push((kind, 1));
                1
            }
        };
        let most = if kind.is_once_per_text() {
            1
        } else {
            MOST_HITS_PER_KIND
        };
        if count <= most {
            self.hits.push((offset, kind));
        }
    }

    /// Finds the marks of lost and user-defined characters in decoded text.
    pub(super) fn scan(&mut self, text: &str) {
        let bytes = text.as_bytes();
        // U+E000..=U+F8FF is EE 80 80 ..= EF A3 BF, U+FFFD is EF BF BD, ■ is E2 96 A0.
        for offset in memchr3_iter(0xE2, 0xEE, 0xEF, bytes) {
            match bytes.get(offset..offset + 3) {
                Some([0xE2, 0x96, 0xA0]) => self.push(FindingKind::SubstituteMark, offset),
                Some([0xEF, 0xBF, 0xBD]) => self.push(FindingKind::Lost, offset),
                Some([0xEE, ..] | [0xEF, 0x80..=0xA3, _]) => {
                    self.push(FindingKind::PrivateUse, offset)
                }
                _ => {}
            }
        }
        for offset in memmem::find_iter(bytes, "〓") {
            self.push(FindingKind::SubstituteMark, offset);
        }
        // Planes 15 and 16 are private use: F3 B0..=BF and F4.
        for offset in
            memchr_iter(0xF3, bytes).filter(|&at| bytes.get(at + 1).is_some_and(|&b| b >= 0xB0))
        {
            self.push(FindingKind::PrivateUse, offset);
        }
        for offset in memchr_iter(0xF4, bytes) {
            self.push(FindingKind::PrivateUse, offset);
        }
    }

    /// Sorts, keeps one per kind and field, and counts lines.
    pub(super) fn into_findings(mut self, text: &str) -> Vec<CharsetFinding> {
        if self.hits.is_empty() {
            return Vec::new();
        }
        self.hits.sort_unstable();
        let bytes = text.as_bytes();
        let separator = match bytes {
            [b'M', b'S', b'H', separator, ..] if separator.is_ascii_punctuation() => *separator,
            _ => b'|',
        };
        let mut findings = Vec::new();
        let mut seen: Vec<(FindingKind, u64)> = Vec::new();
        let (mut position, mut line, mut field) = (0, Lines::default(), 0_u64);
        for (offset, kind) in self.hits {
            let end = offset.min(bytes.len());
            for &byte in &bytes[position..end] {
                line.step(byte);
                field += u64::from(byte == separator || byte == b'\r' || byte == b'\n');
            }
            position = end;
            match seen.iter_mut().find(|(known, _)| *known == kind) {
                Some((_, last)) if *last == field => continue,
                Some((_, last)) => *last = field,
                None => seen.push((kind, field)),
            }
            if findings.len() == MOST_FINDINGS {
                break;
            }
            findings.push(CharsetFinding {
                kind,
                segment: line.index(),
                offset,
            });
        }
        findings
    }
}

/// Counts non-empty lines as the tokenizer counts segments.
#[derive(Default)]
struct Lines {
    finished: usize,
    is_open: bool,
}

impl Lines {
    fn step(&mut self, byte: u8) {
        let ends = byte == b'\r' || byte == b'\n';
        if ends && self.is_open {
            self.finished += 1;
        }
        self.is_open = !ends;
    }

    fn index(&self) -> usize {
        self.finished
    }
}
