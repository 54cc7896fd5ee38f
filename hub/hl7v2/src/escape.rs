//! HL7 escape sequences (v2.5 ch. 2.7): reading them leniently, writing them safely.
//!
//! Unescaping happens last, on one value at a time, never before splitting. Escaping is what makes
//! [`crate::build`] safe against injection: no delimiter, line end or control character of a value
//! reaches the wire as itself.

use std::borrow::Cow;

use memchr::memchr;

use crate::charset;
use crate::view::Delimiters;

/// Replaces the escape sequences of one value.
///
/// `\F\ \S\ \T\ \R\ \E\` become the delimiters of this message, `\.br\` a line feed, `\Xhh..\` the
/// text those bytes stand for, `\Cxxyy\` and `\Mxxyyzz\` switch the character set of what follows
/// (or stand for one JIS X 0208 character), `\H\` and `\N\` (highlighting) vanish. Everything else
/// is kept literally, a lone escape character included: a path such as `C:\temp` survives.
#[must_use]
pub fn unescape<'a>(text: &'a str, delimiters: &Delimiters) -> Cow<'a, str> {
    let Some(first) = find(text, delimiters.escape) else {
        return Cow::Borrowed(text);
    };
    let mut reader = Reader {
        delimiters,
        out: String::with_capacity(text.len()),
        double_byte: None,
    };
    reader.plain(&text[..first]);
    let width = delimiters.escape.len_utf8();
    let mut rest = &text[first..];
    // `rest` starts with the escape character at the top of every round.
    loop {
        let after = &rest[width..];
        let Some(end) = find(after, delimiters.escape) else {
            reader.plain(rest);
            break;
        };
        if reader.sequence(&after[..end]) {
            rest = &after[end + width..];
            let Some(next) = find(rest, delimiters.escape) else {
                reader.plain(rest);
                break;
            };
            reader.plain(&rest[..next]);
            rest = &rest[next..];
        } else {
            reader.plain(&rest[..width + end]);
            rest = &after[end..];
        }
    }
    reader.flush();
    Cow::Owned(reader.out)
}

fn find(text: &str, escape: char) -> Option<usize> {
    if escape.is_ascii() {
        memchr(u8::try_from(escape).ok()?, text.as_bytes())
    } else {
        text.find(escape)
    }
}

struct Reader<'d> {
    delimiters: &'d Delimiters,
    out: String,
    /// ISO-2022-JP bytes seen since a `\M..\` or `\C..\` switched away from ASCII.
    double_byte: Option<Vec<u8>>,
}

impl Reader<'_> {
    fn plain(&mut self, text: &str) {
        match &mut self.double_byte {
            Some(bytes) if text.is_ascii() => bytes.extend_from_slice(text.as_bytes()),
            _ => {
                self.flush();
                self.out.push_str(text);
            }
        }
    }

    fn flush(&mut self) {
        if let Some(bytes) = self.double_byte.take() {
            self.out.push_str(&charset::decode_fragment(&bytes));
        }
    }

    /// Handles one body between two escape characters; false = not an escape sequence we know.
    fn sequence(&mut self, body: &str) -> bool {
        let delimiter = match body {
            "F" => char::from(self.delimiters.field),
            "S" => char::from(self.delimiters.component),
            "T" => char::from(self.delimiters.subcomponent),
            "R" => char::from(self.delimiters.repetition),
            "E" => self.delimiters.escape,
            ".br" => '\n',
            "H" | "N" => return true,
            _ => return self.coded(body),
        };
        self.plain(delimiter.encode_utf8(&mut [0; 4]));
        true
    }

    fn coded(&mut self, body: &str) -> bool {
        let Some(kind @ (b'X' | b'C' | b'M')) = body.as_bytes().first() else {
            return false;
        };
        let Some(bytes) = hex(&body.as_bytes()[1..]) else {
            return false;
        };
        match (kind, bytes.as_slice()) {
            (b'X', bytes) => {
                self.flush();
                self.out.push_str(&charset::decode_fragment(bytes));
            }
            // Back to ASCII (JIS X 0201 Roman counts as ASCII, as everywhere in this package).
            (_, b"(B" | b"(J") => self.flush(),
            (_, b"$B" | b"$@" | b"(I" | b"$(D" | b"$(B") => {
                self.flush();
                let mut run = vec![0x1B];
                run.extend_from_slice(&bytes);
                self.double_byte = Some(run);
            }
            (b'M', &[row @ 0x21..=0x7E, cell @ 0x21..=0x7E]) => {
                self.flush();
                self.out
                    .push_str(&charset::decode_fragment(&[0x1B, b'$', b'B', row, cell]));
            }
            _ => return false,
        }
        true
    }
}

fn hex(digits: &[u8]) -> Option<Vec<u8>> {
    if digits.is_empty() || !digits.len().is_multiple_of(2) {
        return None;
    }
    let nibble = |digit: u8| {
        char::from(digit)
            .to_digit(16)
            .and_then(|value| u8::try_from(value).ok())
    };
    digits
        .chunks_exact(2)
        .map(|pair| Some(nibble(pair[0])? << 4 | nibble(pair[1])?))
        .collect()
}

/// Writes a value so that it survives the wire: delimiters and the escape character become their
/// escape sequences, LF becomes `\.br\`, every other control character except TAB becomes `\Xhh\`.
///
/// `unescape(escape(x)) == x` for every text.
#[must_use]
pub fn escape<'a>(text: &'a str, delimiters: &Delimiters) -> Cow<'a, str> {
    let Some(first) = text.find(|character| sequence_for(character, delimiters).is_some()) else {
        return Cow::Borrowed(text);
    };
    let mut out = String::with_capacity(text.len() + 16);
    out.push_str(&text[..first]);
    for character in text[first..].chars() {
        match sequence_for(character, delimiters) {
            Some(Sequence::Fixed(body)) => push_sequence(&mut out, delimiters, body),
            Some(Sequence::Hex(code)) => {
                push_sequence(&mut out, delimiters, &format!("X{code:02X}"))
            }
            None => out.push(character),
        }
    }
    Cow::Owned(out)
}

enum Sequence {
    Fixed(&'static str),
    Hex(u32),
}

fn push_sequence(out: &mut String, delimiters: &Delimiters, body: &str) {
    out.push(delimiters.escape);
    out.push_str(body);
    out.push(delimiters.escape);
}

fn sequence_for(character: char, delimiters: &Delimiters) -> Option<Sequence> {
    if character == delimiters.escape {
        return Some(Sequence::Fixed("E"));
    }
    let byte = u8::try_from(character).ok().filter(u8::is_ascii)?;
    if byte == delimiters.field {
        Some(Sequence::Fixed("F"))
    } else if byte == delimiters.component {
        Some(Sequence::Fixed("S"))
    } else if byte == delimiters.repetition {
        Some(Sequence::Fixed("R"))
    } else if byte == delimiters.subcomponent {
        Some(Sequence::Fixed("T"))
    } else if byte == b'\n' {
        Some(Sequence::Fixed(".br"))
    } else if byte.is_ascii_control() && byte != b'\t' {
        Some(Sequence::Hex(u32::from(byte)))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        unescape(text, &Delimiters::default()).into_owned()
    }

    #[test]
    fn the_standard_sequences() {
        assert_eq!(read(r"a\F\b\S\c\T\d\R\e\E\f"), r"a|b^c&d~e\f");
        assert_eq!(read(r"発疹\.br\呼吸困難"), "発疹\n呼吸困難");
        assert_eq!(read(r"山田\T\太郎"), "山田&太郎");
        assert_eq!(read(r"\H\重要\N\です"), "重要です");
        assert_eq!(read(r"\X41\\X0D0A\\XE5B1B1\"), "A\r\n山");
    }

    #[test]
    fn character_set_sequences() {
        assert_eq!(read(r"\M2442\El5~\C2842\99"), "東京99");
        assert_eq!(read(r"\M456C\\M357E\"), "東京");
        assert_eq!(read(r"\C2849\TO\C284A\ok"), "ヤマok");
    }

    #[test]
    fn what_is_not_a_sequence_stays() {
        for text in [
            r"C:\temp",
            r"C:\temp\file",
            r"dangling \ here",
            r"\",
            r"\\",
            r"\X4\",
            r"\XZZ\",
            r"\Zlocal\",
        ] {
            assert_eq!(read(text), text);
        }
        assert_eq!(read(r"C:\temp\F\x"), r"C:\temp|x");
    }

    #[test]
    fn yen_sign_as_escape_character() {
        let yen = Delimiters {
            escape: '¥',
            ..Delimiters::default()
        };
        assert_eq!(unescape(r"a¥F¥b\F\", &yen), r"a|b\F\");
        assert_eq!(escape("¥|", &yen), "¥E¥¥F¥");
    }

    #[test]
    fn escaped_text_holds_no_delimiter_and_no_line_end() {
        let escaped = escape(
            "a|b^c&d~e\\f\r\ng\u{b}\u{1c}\u{1b}\t",
            &Delimiters::default(),
        );
        assert_eq!(
            escaped,
            "a\\F\\b\\S\\c\\T\\d\\R\\e\\E\\f\\X0D\\\\.br\\g\\X0B\\\\X1C\\\\X1B\\\t"
        );
        assert!(matches!(
            escape("東京都", &Delimiters::default()),
            Cow::Borrowed(_)
        ));
    }
}
