//! ISO-2022-JP as it really arrives: one pass for regular text, and a tolerant decoder for everything
//! else. Both read the characters themselves from the table of `encoding_rs`.
//!
//! Why not its decoder for ISO-2022-JP: it reads `\` and `~` as `¥` and `‾` after `ESC ( J` without an
//! error, inserts U+FFFD at redundant escapes, loses 8-bit and shifted half-width kana, and stays
//! in kanji mode across a CR. And the spelling rule would need a second pass over all text.

use std::sync::LazyLock;

use encoding_rs::EUC_JP;
use memchr::{memchr, memchr2};

use super::findings::{FindingKind, Hits};
use crate::kana;

pub(super) const ESC: u8 = 0x1B;
pub(super) const SHIFT_OUT: u8 = 0x0E;
const SHIFT_IN: u8 = 0x0F;
const LOST: char = '\u{FFFD}';

/// The text of strict `ESC $ B .. ESC ( B` runs of JIS X 0208.
pub(super) struct Regular {
    /// In canonical spelling.
    pub(super) text: String,
    /// Whether it holds `■` or `〓`, which may stand for a lost character.
    pub(super) has_marks: bool,
}

/// Decodes regular text in one pass; `None` for anything that needs [`decode_irregular`].
///
/// Nearly every message takes this way, so it does nothing twice: what stands between the runs is copied whole, and
/// a kanji is one look into [`CELLS`], which knows its spelling and whether it may stand here.
pub(super) fn decode_regular(body: &[u8]) -> Option<Regular> {
    // Seven-bit, so slices at any byte are text.
    let plain = std::str::from_utf8(body)
        .ok()
        .filter(|text| text.is_ascii())?;
    if memchr2(SHIFT_OUT, SHIFT_IN, body).is_some() {
        return None;
    }
    let cells = &**CELLS;
    let mut text = String::with_capacity(body.len() + body.len() / 2);
    let (mut has_marks, mut at) = (false, 0);
    while let Some(start) = memchr(ESC, &body[at..]) {
        text.push_str(&plain[at..at + start]);
        let [b'$', b'B' | b'@', after @ ..] = &body[at + start + 1..] else {
            return None;
        };
        let (run, after) = after.split_at(memchr(ESC, after)?);
        let [ESC, b'(', b'B', after @ ..] = after else {
            return None;
        };
        if run.is_empty() || !run.len().is_multiple_of(2) || after.first() == Some(&ESC) {
            return None;
        }
        let mut rows = 0_u64;
        for pair in run.chunks_exact(2) {
            match cells[cell(pair[0], pair[1])] {
                NO_CELL => return None,
                character => text.push(character),
            }
            rows |= 1 << (pair[0] & 0x3F);
        }
        if rows & 1 << 0x22 != 0 {
            let mut pairs = run.chunks_exact(2);
            has_marks |= pairs.any(|pair| matches!(pair, [0x22, 0x23 | 0x2E]));
        }
        at = body.len() - after.len();
    }
    text.push_str(&plain[at..]);
    Some(Regular { text, has_marks })
}

/// What a cell holds that is empty, or that only a vendor filled.
const NO_CELL: char = '\0';

/// The place of a double-byte character, both bytes of seven bits.
fn cell(row: u8, column: u8) -> usize {
    usize::from(row & 0x7F) << 7 | usize::from(column & 0x7F)
}

/// JIS X 0208 by [`cell`], as `encoding_rs` reads it, in canonical spelling. Rows 9 to 15 are empty there (NEC filled
/// row 13), as are those behind row 84.
static CELLS: LazyLock<Box<[char; 1 << 14]>> = LazyLock::new(|| {
    let mut cells = Box::new([NO_CELL; 1 << 14]);
    for row in (0x21..=0x28).chain(0x30..=0x74) {
        for column in 0x21..=0x7E {
            let bytes = [row | 0x80, column | 0x80];
            let (text, _) = EUC_JP.decode_without_bom_handling(&bytes);
            let mut characters = text.chars();
            if let (Some(character), None) = (characters.next(), characters.next())
                && character != LOST
            {
                cells[cell(row, column)] = super::canonical_character(character);
            }
        }
    }
    cells
});

#[derive(Clone, Copy, PartialEq, Eq)]
enum Set {
    Ascii,
    Kana,
    /// JIS X 0208, 1978 or 1983.
    Kanji,
    /// A double-byte set we do not read.
    Unread,
}

/// Decodes line by line with its own state machine. `hits` gets offsets into the returned text.
pub(super) fn decode_irregular(body: &[u8], hits: &mut Hits) -> String {
    let mut decoder = Decoder {
        rest: body,
        out: String::with_capacity(body.len() + body.len() / 2),
        hits,
        set: Set::Ascii,
        is_shifted_out: false,
        // Pretends that something stood before, so that the first escape is not redundant.
        has_text_since_escape: true,
        joinable: false,
        scratch: Vec::new(),
    };
    while !decoder.rest.is_empty() {
        decoder.step();
    }
    if decoder.set != Set::Ascii {
        decoder.hit(FindingKind::UnterminatedKanji);
    }
    decoder.out
}

struct Decoder<'a, 'h> {
    rest: &'a [u8],
    out: String,
    hits: &'h mut Hits,
    set: Set,
    is_shifted_out: bool,
    has_text_since_escape: bool,
    /// The last character was half-width kana, which a voicing mark may join.
    joinable: bool,
    scratch: Vec<u8>,
}

impl Decoder<'_, '_> {
    fn step(&mut self) {
        let Some((&byte, after)) = self.rest.split_first() else {
            return;
        };
        match byte {
            ESC => return self.escape_sequence(),
            SHIFT_OUT | SHIFT_IN => {
                self.is_shifted_out = byte == SHIFT_OUT;
                self.rest = after;
                return;
            }
            b'\r' | b'\n' => self.line_end(byte),
            0xA1..=0xDF => return self.kana(byte),
            0x80.. => self.lost(FindingKind::Malformed),
            0x21..=0x5F if self.is_shifted_out || self.set == Set::Kana => {
                return self.kana(byte | 0x80);
            }
            _ if self.is_shifted_out => self.plain(byte),
            _ => match self.set {
                Set::Ascii => return self.ascii_run(),
                Set::Kana => {
                    // Not a kana code: the return to ASCII is missing.
                    self.hit(FindingKind::Malformed);
                    self.plain(byte);
                }
                Set::Kanji | Set::Unread => return self.double_byte(),
            },
        }
        self.rest = after;
    }

    fn hit(&mut self, kind: FindingKind) {
        self.hits.push(kind, self.out.len());
    }

    fn lost(&mut self, kind: FindingKind) {
        self.hit(kind);
        self.push(LOST);
    }

    fn push(&mut self, character: char) {
        self.out.push(character);
        self.joinable = false;
        self.has_text_since_escape = true;
    }

    fn plain(&mut self, byte: u8) {
        self.push(char::from(byte));
    }

    /// `byte` is the 8-bit code, 0xA1..=0xDF.
    fn kana(&mut self, byte: u8) {
        self.hit(FindingKind::HalfWidthKana);
        let half_width = char::from_u32(0xFF61 + u32::from(byte) - 0xA1).unwrap_or(LOST);
        kana::push_half_width(&mut self.out, half_width, self.joinable);
        self.joinable = true;
        self.has_text_since_escape = true;
        self.rest = &self.rest[1..];
    }

    fn line_end(&mut self, byte: u8) {
        if self.set != Set::Ascii || self.is_shifted_out {
            self.hit(FindingKind::UnterminatedKanji);
        }
        self.set = Set::Ascii;
        self.is_shifted_out = false;
        self.plain(byte);
    }

    fn ascii_run(&mut self) {
        let is_plain = |&byte: &u8| {
            byte.is_ascii() && !matches!(byte, ESC | SHIFT_OUT | SHIFT_IN | b'\r' | b'\n')
        };
        let length = self
            .rest
            .iter()
            .position(|byte| !is_plain(byte))
            .unwrap_or(self.rest.len());
        let (run, after) = self.rest.split_at(length);
        self.out.extend(run.iter().copied().map(char::from));
        self.joinable = false;
        self.has_text_since_escape = true;
        self.rest = after;
    }

    fn escape_sequence(&mut self) {
        let (set, length) = match &self.rest[1..] {
            [b'$', b'B' | b'@', ..] => (Set::Kanji, 3),
            [b'$', b'(', b'B' | b'@', ..] => (Set::Kanji, 4),
            [b'$', b'(', _, ..] => (Set::Unread, 4),
            [b'(', b'B', ..] => (Set::Ascii, 3),
            [b'(', b'J', ..] => (Set::Ascii, 3),
            [b'(', b'I', ..] => (Set::Kana, 3),
            _ => {
                // Not one of ours: a stray control character.
                self.lost(FindingKind::Malformed);
                self.rest = &self.rest[1..];
                return;
            }
        };
        if self.rest.get(2) == Some(&b'J') {
            self.hit(FindingKind::RomanReturn);
        }
        if set == self.set || !self.has_text_since_escape {
            self.hit(FindingKind::RedundantEscape);
        }
        self.set = set;
        self.has_text_since_escape = false;
        self.joinable = false;
        self.rest = &self.rest[length..];
    }

    /// Reads the double-byte characters that follow, or one byte that cannot start one.
    fn double_byte(&mut self) {
        let is_cell = |byte: &u8| (0x21..=0x7E).contains(byte);
        let cells = self
            .rest
            .iter()
            .position(|byte| !is_cell(byte))
            .unwrap_or(self.rest.len());
        let (run, after) = self.rest.split_at(cells - cells % 2);
        if run.is_empty() {
            // A control character or space inside a run, or half a character at its end.
            let byte = self.rest[0];
            if is_cell(&byte) || byte == 0x7F {
                self.lost(FindingKind::Malformed);
            } else {
                self.hit(FindingKind::Malformed);
                self.plain(byte);
            }
            self.rest = &self.rest[1..];
            return;
        }
        if self.set == Set::Unread {
            self.hit(FindingKind::UnsupportedSet);
            self.out.extend(std::iter::repeat_n(LOST, run.len() / 2));
        } else {
            self.kanji(run);
        }
        self.joinable = false;
        self.has_text_since_escape = true;
        self.rest = after;
    }

    /// EUC-JP is JIS X 0208 with the high bits set, read from the same table by `encoding_rs`.
    fn kanji(&mut self, run: &[u8]) {
        self.scratch.clear();
        self.scratch.extend(run.iter().map(|byte| byte | 0x80));
        let (text, _) = EUC_JP.decode_without_bom_handling(&self.scratch);
        for (pair, character) in run.chunks_exact(2).zip(text.chars()) {
            if matches!(pair[0], 0x29..=0x2F | 0x75..) && character != LOST {
                self.hits.push(FindingKind::VendorCharacter, self.out.len());
            }
            self.out.push(super::canonical_character(character));
        }
    }
}

#[cfg(test)]
mod tests {
    use encoding_rs::ISO_2022_JP;
    use proptest::prelude::*;

    use super::*;

    /// What the strict decoder of `encoding_rs` reads, in canonical spelling; `None` when it finds an error.
    fn strict(body: &[u8]) -> Option<String> {
        let (text, had_errors) = ISO_2022_JP.decode_without_bom_handling(body);
        let canonical = text.chars().map(crate::charset::canonical_character);
        (!had_errors).then(|| canonical.collect())
    }

    fn regular(body: &[u8]) -> Option<String> {
        decode_regular(body).map(|regular| regular.text)
    }

    #[test]
    fn every_cell_reads_as_encoding_rs_reads_it() {
        for (row, column) in (0..0x80).flat_map(|row| (0..0x80).map(move |column| (row, column))) {
            let body = [b"a\x1b$B0!", &[row, column][..], b"\x1b(B|"].concat();
            let is_vendor = (0x29..=0x2F).contains(&row) || row > 0x74;
            match regular(&body) {
                Some(text) => {
                    assert!(!is_vendor, "{row:#x} {column:#x}");
                    assert_eq!(Some(text), strict(&body), "{row:#x} {column:#x}");
                }
                None => assert!(
                    is_vendor || strict(&body).is_none() || body[6] < 0x21,
                    "{row:#x} {column:#x}"
                ),
            }
        }
    }

    #[test]
    fn the_tolerant_decoder_reads_regular_text_alike() {
        let body = b"PID|1\x1b$B;3K\\!!!A!]!B\x1b(B^x\x1b$@5~;R\x1b(B\r";
        let mut hits = Hits::default();
        let tolerant = decode_irregular(body, &mut hits);
        assert_eq!(regular(body).as_deref(), Some(tolerant.as_str()));
        assert!(hits.into_findings(&tolerant).is_empty());
    }

    proptest! {
        #[test]
        fn what_is_regular_reads_as_encoding_rs_reads_it(
            parts in prop::collection::vec(prop_oneof![
                "[ -~\r]{0,6}".prop_map(String::into_bytes),
                "([0-Oa-o][!-~]){0,4}".prop_map(|run| [b"\x1b$B", run.as_bytes(), b"\x1b(B"].concat()),
                "[\\x00-\\x7f]{0,3}".prop_map(String::into_bytes),
            ], 0..6)
        ) {
            let body = parts.concat();
            if let Some(text) = regular(&body) {
                prop_assert_eq!(Some(text), strict(&body), "{:?}", body);
            }
        }
    }
}
