//! Text to bytes in the character sets of HL7 in Japan, without surprises.
//!
//! `encoding_rs` writes HTML references (`&#12316;`, which hold a delimiter) for what it cannot
//! encode and NEC and IBM characters that the JAHIS rule forbids. Here only ASCII and JIS X 0208
//! leave the hub; vendor characters with a known expansion are expanded (`㈱` → `(株)`), everything
//! else becomes `〓`, and the caller is told where.

use encoding_rs::{EUC_JP, SHIFT_JIS};
use unicode_normalization::UnicodeNormalization;

use crate::charset::Charset;
use crate::kana;

/// What stands for a character that the target set does not have (GETA MARK, JIS 0x222E).
pub const SUBSTITUTE: char = '〓';

/// Encoded bytes and what had to change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoded {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Byte offsets in the given text of characters replaced by `〓` (`?` in ASCII): they are lost.
    pub substituted: Vec<usize>,
    /// Byte offsets in the given text of characters written in another way with the same reading:
    /// `①` as `(1)`, `㎎` as `mg`.
    pub expanded: Vec<usize>,
}

impl Encoded {
    /// True when the receiver reads every character that was given.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.substituted.is_empty()
    }
}

/// Encodes text; never fails. In ISO-2022-JP and CP932 half-width kana becomes full-width.
///
/// ISO-2022-JP is back in ASCII before every ASCII character, hence before every delimiter and
/// line end, and at the end.
#[must_use]
pub fn encode(text: &str, charset: Charset) -> Encoded {
    if charset == Charset::Utf8 {
        return Encoded {
            bytes: text.as_bytes().to_vec(),
            ..Encoded::default()
        };
    }
    let mut writer = Writer {
        encoded: Encoded {
            bytes: Vec::with_capacity(text.len()),
            ..Encoded::default()
        },
        charset,
        in_kanji: false,
    };
    let mut characters = text.char_indices().peekable();
    while let Some((offset, character)) = characters.next() {
        if charset != Charset::Ascii && kana::is_half_width(character) {
            let mut joined = String::new();
            kana::push_half_width(&mut joined, character, false);
            while let Some(&(_, mark @ ('ﾞ' | 'ﾟ'))) = characters.peek() {
                kana::push_half_width(&mut joined, mark, true);
                characters.next();
            }
            joined.chars().for_each(|kana| writer.write(offset, kana));
        } else {
            writer.write(offset, character);
        }
    }
    writer.ascii_mode();
    writer.encoded
}

struct Writer {
    encoded: Encoded,
    charset: Charset,
    in_kanji: bool,
}

impl Writer {
    fn write(&mut self, offset: usize, character: char) {
        if self.try_write(character) {
            return;
        }
        let expansion = expansion(character);
        if !expansion.is_empty()
            && expansion
                .chars()
                .all(|part| is_encodable(part, self.charset))
        {
            self.encoded.expanded.push(offset);
            for part in expansion.chars() {
                self.try_write(part);
            }
            return;
        }
        self.encoded.substituted.push(offset);
        if !self.try_write(SUBSTITUTE) {
            self.try_write('?');
        }
    }

    fn try_write(&mut self, character: char) -> bool {
        if let Ok(byte) = u8::try_from(character)
            && byte.is_ascii()
        {
            self.ascii_mode();
            self.encoded.bytes.push(byte);
            return true;
        }
        let Some([row, cell]) = double_byte(character, self.charset) else {
            return false;
        };
        if self.charset == Charset::Iso2022Jp && !self.in_kanji {
            self.encoded.bytes.extend_from_slice(b"\x1b$B");
            self.in_kanji = true;
        }
        self.encoded.bytes.extend_from_slice(&[row, cell]);
        true
    }

    fn ascii_mode(&mut self) {
        if std::mem::take(&mut self.in_kanji) {
            self.encoded.bytes.extend_from_slice(b"\x1b(B");
        }
    }
}

fn is_encodable(character: char, charset: Charset) -> bool {
    character.is_ascii() || double_byte(character, charset).is_some()
}

/// The two bytes of a character of JIS X 0208 levels 1 and 2 and its symbols; `None` for anything
/// that vendors added.
fn double_byte(character: char, charset: Charset) -> Option<[u8; 2]> {
    let character = windows_spelling(character);
    let mut buffer = [0; 4];
    let text = character.encode_utf8(&mut buffer);
    let (euc, _, has_unmappable) = EUC_JP.encode(text);
    let &[row, cell] = euc.as_ref() else {
        return None;
    };
    let is_standard = matches!(row & 0x7F, 0x21..=0x28 | 0x30..=0x74);
    if has_unmappable || !is_standard {
        return None;
    }
    match charset {
        Charset::Iso2022Jp => Some([row & 0x7F, cell & 0x7F]),
        Charset::Cp932 => match SHIFT_JIS.encode(text).0.as_ref() {
            &[lead, trail] => Some([lead, trail]),
            _ => None,
        },
        Charset::Ascii | Charset::Utf8 => None,
    }
}

/// The spelling that the encoders of `encoding_rs` know for characters with several.
fn windows_spelling(character: char) -> char {
    match character {
        '\u{301C}' => '\u{FF5E}',
        '\u{2212}' => '\u{FF0D}',
        '\u{2016}' => '\u{2225}',
        '\u{2014}' => '\u{2015}',
        '\u{00A2}' => '\u{FFE0}',
        '\u{00A3}' => '\u{FFE1}',
        '\u{00AC}' => '\u{FFE2}',
        '\u{00A5}' => '\u{FFE5}',
        '\u{203E}' => '\u{FFE3}',
        other => other,
    }
}

/// How senders write vendor characters out (NHO rule): `①` (1), `㈱` (株), `Ⅲ` III, `㎎` mg,
/// `℡` Tel. Empty when there is no such way; kanji variants are never exchanged.
fn expansion(character: char) -> String {
    match character {
        '①'..='⑳' => {
            let number = u32::from(character) - u32::from('①') + 1;
            format!("({number})")
        }
        '℡' => "Tel".to_owned(),
        '\u{F900}'..='\u{FAFF}' | '\u{2F800}'..='\u{2FA1F}' => String::new(),
        other => {
            let expanded: String = other.nfkc().collect();
            if expanded.chars().eq([other]) {
                String::new()
            } else {
                expanded
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::charset::decode_fragment;

    #[test]
    fn kanji_runs_end_before_every_ascii_character() {
        let encoded = encode("山本^京子|99丁目\r", Charset::Iso2022Jp);
        assert_eq!(
            encoded.bytes,
            b"\x1b$B;3K\\\x1b(B^\x1b$B5~;R\x1b(B|99\x1b$BCzL\\\x1b(B\r"
        );
        assert!(encoded.is_complete() && encoded.expanded.is_empty());
        assert!(encode("山", Charset::Iso2022Jp).bytes.ends_with(b"\x1b(B"));
    }

    #[test]
    fn characters_outside_of_the_standard_are_expanded_or_marked_never_referenced() {
        let encoded = encode("髙橋①㈱Ⅲ㎎℡𠮷", Charset::Iso2022Jp);
        assert_eq!(decode_fragment(&encoded.bytes), "〓橋(1)(株)IIImgTel〓");
        assert_eq!(encoded.substituted, [0, 21]);
        assert_eq!(encoded.expanded, [6, 9, 12, 15, 18]);
        let wave = encode("〜−‖—¢￥ー・", Charset::Iso2022Jp);
        assert!(wave.is_complete());
        assert_eq!(decode_fragment(&wave.bytes), "〜−‖―￠￥ー・");
        assert_eq!(encode("山a\u{FA19}", Charset::Ascii).bytes, b"?a?");
    }

    #[test]
    fn half_width_kana_goes_out_full_width_in_jis_sets() {
        let encoded = encode("ﾔﾏﾀﾞ", Charset::Iso2022Jp);
        assert_eq!(decode_fragment(&encoded.bytes), "ヤマダ");
        assert_eq!(encode("ﾔﾏﾀﾞ", Charset::Utf8).bytes, "ﾔﾏﾀﾞ".as_bytes());
    }

    #[test]
    fn cp932_holds_the_same_characters() {
        assert_eq!(encode("山本a", Charset::Cp932).bytes, b"\x8E\x52\x96\x7Ba");
        assert_eq!(encode("髙", Charset::Cp932).substituted, [0]);
    }
}
