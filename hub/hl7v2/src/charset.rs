//! Bytes to text: which character set a message really uses, and what was odd about it.
//!
//! First stop for every HL7 v2 message, before any splitting. The declared set (MSH-18) is only
//! compared with the bytes; the bytes win. Irregular ISO-2022-JP is repaired where that loses
//! nothing, and marked where it does: no character is ever guessed. The original bytes stay with
//! the caller.
//!
//! Spelling rule: the three JIS characters that Windows and Unix map differently have one spelling
//! here, that of the JIS standard: WAVE DASH U+301C (not U+FF5E), MINUS SIGN U+2212 (not U+FF0D),
//! DOUBLE VERTICAL LINE U+2016 (not U+2225). So equal input gives equal text and equal hashes,
//! whatever the sender's software. Half-width kana inside ISO-2022-JP, where it is forbidden,
//! becomes full-width; in CP932 and UTF-8 it is left as sent.

mod findings;
mod iso2022jp;

use std::borrow::Cow;

use encoding_rs::SHIFT_JIS;
use memchr::{memchr, memchr_iter, memchr2};

pub use findings::{CharsetFinding, FindingKind};

use crate::location::Location;
use crate::tokenize::Message;
use findings::Hits;

/// The character set the bytes are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Charset {
    /// Seven-bit, no escape sequences (HL7 `ISO IR6`).
    Ascii,
    /// JIS X 0208 by escape sequences (HL7 `~ISO IR87`), the standard of SS-MIX2 and JAHIS.
    Iso2022Jp,
    /// HL7 `UNICODE UTF-8`.
    Utf8,
    /// Windows-31J; never legal in HL7, often sent.
    Cp932,
}

impl Charset {
    /// A stable name for reports and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ascii => "ascii",
            Self::Iso2022Jp => "iso-2022-jp",
            Self::Utf8 => "utf-8",
            Self::Cp932 => "cp932",
        }
    }
}

/// What MSH-18 says, after removing spaces and case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Declared {
    /// `ASCII` or `ISO IR6`.
    Ascii,
    /// `ISO IR87` in any repetition, or a relative (`IR13`, `IR14`, `IR159`).
    Iso2022Jp,
    /// `UNICODE UTF-8` or `UNICODE`.
    Utf8,
    /// A name for Shift_JIS or Windows-31J.
    Cp932,
    /// Anything else.
    Other,
}

/// The text of a message and how it was found.
#[derive(Clone, Debug)]
pub struct Decoded<'a> {
    /// Text without framing (byte order mark, VT, trailing FS, SUB, NUL and line ends). Borrowed
    /// when the bytes were plain ASCII or clean UTF-8.
    pub text: Cow<'a, str>,
    /// What the bytes are.
    pub charset: Charset,
    /// What MSH-18 of the first message says; `None` when it says nothing or cannot be read.
    pub declared: Option<Declared>,
    /// What was odd, in text order, at most one per kind and field.
    pub findings: Vec<CharsetFinding>,
}

impl Decoded<'_> {
    /// The findings that lie inside `part`, which must be a slice of [`Self::text`] (a message cut
    /// by [`crate::split_messages`]), with their offset within it.
    pub fn findings_in<'s>(
        &'s self,
        part: &'s str,
    ) -> impl Iterator<Item = (FindingKind, usize)> + 's {
        let base = (part.as_ptr() as usize).wrapping_sub(self.text.as_ptr() as usize);
        self.findings.iter().filter_map(move |finding| {
            let offset = finding.offset.checked_sub(base)?;
            (offset < part.len()).then_some((finding.kind, offset))
        })
    }

    /// The findings of one message with their places. `message` must have been parsed from
    /// [`Self::text`] or a slice of it.
    pub fn located<'s>(
        &'s self,
        message: &'s Message<'s>,
    ) -> impl Iterator<Item = (FindingKind, Location)> + 's {
        self.findings_in(message.text())
            .filter_map(|(kind, offset)| Some((kind, message.locate(offset)?)))
    }
}

/// Decodes a message or a file of messages. Never fails: undecodable bytes become U+FFFD and a
/// finding.
///
/// Detection: an ISO 2022 escape sequence means ISO-2022-JP; else valid UTF-8 is UTF-8 (ASCII if
/// seven-bit); else a text that is UTF-8 but for a few broken bytes stays UTF-8; else CP932.
#[must_use]
pub fn decode(raw: &[u8]) -> Decoded<'_> {
    let body = strip_framing(raw);
    let mut hits = Hits::default();
    let (charset, text) = decode_body(body, &mut hits);
    if has_byte_order_mark(raw) {
        hits.push(FindingKind::ByteOrderMark, 0);
    }
    let declaration = Declaration::find(&text);
    if let Some(declaration) = &declaration {
        if let Some(kind) = mismatch(charset, declaration.value) {
            hits.push(kind, declaration.offset);
        }
        if declaration.yen_escape {
            hits.push(
                FindingKind::YenSignDelimiter,
                declaration.offset_of_encoding_characters,
            );
        }
    }
    let declared = declaration.and_then(|declaration| declaration.value);
    let findings = hits.into_findings(&text);
    Decoded {
        text,
        charset,
        declared,
        findings,
    }
}

/// Decodes a few bytes that came out of an HL7 escape sequence: by the rules of [`decode`], but
/// nothing is stripped, a lone SO is a character, and findings are dropped.
pub(crate) fn decode_fragment(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) if !has_designation(bytes) => Cow::Borrowed(text),
        _ => decode_body(bytes, &mut Hits::default()).1,
    }
}

/// Removes what transports and editors put around messages: UTF-8 byte order mark, VT, line ends
/// and NUL before; FS, SUB, NUL and line ends after. The last line end goes too.
#[must_use]
pub fn strip_framing(raw: &[u8]) -> &[u8] {
    let mut body = raw;
    loop {
        body = match body {
            [0xEF, 0xBB, 0xBF, rest @ ..] | [0x0B | b'\r' | b'\n' | 0, rest @ ..] => rest,
            _ => break,
        };
    }
    while let [rest @ .., 0x1C | 0x0B | b'\r' | b'\n' | 0x1A | 0] = body {
        body = rest;
    }
    body
}

fn has_byte_order_mark(raw: &[u8]) -> bool {
    raw.strip_prefix(b"\x0b")
        .unwrap_or(raw)
        .starts_with(b"\xEF\xBB\xBF")
}

fn decode_body<'a>(body: &'a [u8], hits: &mut Hits) -> (Charset, Cow<'a, str>) {
    if is_iso2022(body) {
        return (Charset::Iso2022Jp, Cow::Owned(decode_iso2022jp(body, hits)));
    }
    match std::str::from_utf8(body) {
        Ok(text) if text.is_ascii() => (Charset::Ascii, Cow::Borrowed(text)),
        Ok(text) => (Charset::Utf8, finish(Cow::Borrowed(text), hits)),
        Err(_) if is_mostly_utf8(body) => {
            (Charset::Utf8, finish(String::from_utf8_lossy(body), hits))
        }
        Err(_) => {
            let (text, _) = SHIFT_JIS.decode_without_bom_handling(body);
            (Charset::Cp932, finish(text, hits))
        }
    }
}

/// True when the bytes switch sets by escape sequences, or by SO in otherwise seven-bit text.
fn is_iso2022(body: &[u8]) -> bool {
    has_designation(body) || (memchr(iso2022jp::SHIFT_OUT, body).is_some() && body.is_ascii())
}

fn has_designation(body: &[u8]) -> bool {
    let mut escapes = memchr_iter(iso2022jp::ESC, body);
    escapes.any(|at| matches!(body.get(at + 1), Some(b'$' | b'(')))
}

/// True for UTF-8 with a few broken bytes (a field cut in the middle of a character): CP932 text
/// practically never forms multi-byte UTF-8 sequences.
fn is_mostly_utf8(body: &[u8]) -> bool {
    let (mut good, mut bad) = (0_usize, 0_usize);
    for chunk in body.utf8_chunks() {
        good += chunk
            .valid()
            .chars()
            .filter(|character| !character.is_ascii())
            .count();
        bad += usize::from(!chunk.invalid().is_empty());
    }
    good >= bad.saturating_mul(4) && good > 0
}

fn decode_iso2022jp(body: &[u8], hits: &mut Hits) -> String {
    if let Some(regular) = iso2022jp::decode_regular(body) {
        if regular.has_marks {
            hits.scan(&regular.text);
        }
        return regular.text;
    }
    let text = iso2022jp::decode_irregular(body, hits);
    hits.scan(&text);
    text
}

fn finish<'a>(text: Cow<'a, str>, hits: &mut Hits) -> Cow<'a, str> {
    let text = canonical_spelling(text);
    hits.scan(&text);
    text
}

/// Applies the spelling rule of this module. All six characters take three bytes in UTF-8.
fn canonical_spelling(text: Cow<'_, str>) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let Some(first) = next_ambiguous(bytes, 0) else {
        return text;
    };
    let mut out = String::with_capacity(bytes.len());
    let (mut done, mut at) = (0, Some(first));
    while let Some((start, canonical)) = at {
        out.push_str(&text[done..start]);
        out.push(canonical);
        done = start + 3;
        at = next_ambiguous(bytes, done);
    }
    out.push_str(&text[done..]);
    Cow::Owned(out)
}

fn next_ambiguous(bytes: &[u8], from: usize) -> Option<(usize, char)> {
    let mut at = from;
    while let Some(found) = memchr2(0xEF, 0xE2, &bytes[at..]) {
        let start = at + found;
        match bytes.get(start..start + 3) {
            Some([0xEF, 0xBC, 0x8D]) => return Some((start, '\u{2212}')),
            Some([0xEF, 0xBD, 0x9E]) => return Some((start, '\u{301C}')),
            Some([0xE2, 0x88, 0xA5]) => return Some((start, '\u{2016}')),
            _ => at = start + 1,
        }
    }
    None
}

/// The single-character form of the spelling rule.
pub(crate) fn canonical_character(character: char) -> char {
    match character {
        '\u{FF0D}' => '\u{2212}',
        '\u{FF5E}' => '\u{301C}',
        '\u{2225}' => '\u{2016}',
        other => other,
    }
}

fn mismatch(detected: Charset, declared: Option<Declared>) -> Option<FindingKind> {
    match (detected, declared) {
        (Charset::Ascii, _)
        | (Charset::Iso2022Jp, Some(Declared::Iso2022Jp))
        | (Charset::Utf8, Some(Declared::Utf8))
        | (Charset::Cp932, Some(Declared::Cp932)) => None,
        (_, None) => Some(FindingKind::Undeclared),
        (_, Some(_)) => Some(FindingKind::DeclaredOtherwise),
    }
}

/// What the first MSH line of a text says about its own character set.
struct Declaration {
    value: Option<Declared>,
    offset: usize,
    yen_escape: bool,
    offset_of_encoding_characters: usize,
}

impl Declaration {
    fn find(text: &str) -> Option<Self> {
        // MSH is the first line, or the third behind FHS and BHS.
        let mut start = 0;
        for line in text.split(['\r', '\n']).take(16) {
            if let Some(rest) = line.strip_prefix("MSH")
                && let Some(separator) = rest.chars().next().filter(char::is_ascii_punctuation)
            {
                return Some(Self::read(start + 4, &rest[1..], separator));
            }
            start += line.len() + 1;
        }
        None
    }

    /// `fields` starts at MSH-2, `start` is its offset in the text.
    fn read(start: usize, fields: &str, separator: char) -> Self {
        let mut offset = start;
        let mut fields = fields.split(separator);
        let encoding = fields.next().unwrap_or("");
        offset += encoding.len() + 1;
        for _ in 3..18 {
            offset += fields.next().map_or(0, |field| field.len() + 1);
        }
        let charset = fields.next().unwrap_or("");
        let repetition = encoding.chars().nth(1).unwrap_or('~');
        Self {
            value: parse_declaration(charset, repetition),
            offset: if charset.is_empty() { start } else { offset },
            yen_escape: encoding.chars().nth(2) == Some('¥'),
            offset_of_encoding_characters: start,
        }
    }
}

/// Reads MSH-18: `~ISO IR87`, `~ISOIR87`, `UNICODE UTF-8`, ... (HL7 table 0211).
pub(crate) fn parse_declaration(field: &str, repetition: char) -> Option<Declared> {
    let mut found = None;
    for name in field.split(repetition) {
        let name: String = name
            .chars()
            .filter(|c| !c.is_whitespace())
            .map(|c| c.to_ascii_uppercase())
            .collect();
        let one = match name.as_str() {
            "" => continue,
            "ASCII" | "ISOIR6" | "ISOIR006" => Declared::Ascii,
            "ISOIR87" | "ISOIR13" | "ISOIR14" | "ISOIR159" | "ISO-2022-JP" => Declared::Iso2022Jp,
            "SHIFT_JIS" | "SHIFT-JIS" | "SJIS" | "CP932" | "MS932" | "WINDOWS-31J" => {
                Declared::Cp932
            }
            "UTF-8" | "UTF8" | "UNICODE" | "UNICODEUTF-8" | "UNICODEUTF8" => Declared::Utf8,
            _ => Declared::Other,
        };
        if matches!(found, None | Some(Declared::Ascii)) {
            found = Some(one);
        }
    }
    found
}

#[cfg(test)]
mod tests;
