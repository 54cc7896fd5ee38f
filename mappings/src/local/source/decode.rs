//! Bytes to text, row by row where a file mixes encodings.

use std::borrow::Cow;

use encoding_rs::{
    CoderResult, EUC_JP, Encoding as Charset, ISO_2022_JP, SHIFT_JIS, UTF_8, UTF_16BE, UTF_16LE,
};

/// What a mapping says about the encoding of its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// By byte order mark, else UTF-8 if it is, else CP932.
    Auto,
    Utf8,
    Cp932,
    EucJp,
    Iso2022Jp,
    Utf16,
}

impl Encoding {
    /// Names in a mapping.
    pub(crate) const NAMES: &'static [(&'static str, Self)] = &[
        ("auto", Self::Auto),
        ("utf-8", Self::Utf8),
        ("cp932", Self::Cp932),
        ("shift_jis", Self::Cp932),
        ("euc-jp", Self::EucJp),
        ("iso-2022-jp", Self::Iso2022Jp),
        ("utf-16", Self::Utf16),
    ];

    fn charset(self) -> &'static Charset {
        match self {
            Self::Auto | Self::Utf8 => UTF_8,
            Self::Cp932 => SHIFT_JIS,
            Self::EucJp => EUC_JP,
            Self::Iso2022Jp => ISO_2022_JP,
            Self::Utf16 => UTF_16LE,
        }
    }

    /// The bytes of a text in this encoding, for tests beside a mapping; characters it lacks become `?`.
    pub(crate) fn encode(self, text: &str) -> Vec<u8> {
        match self {
            Self::Utf16 => {
                let mark = [0xFF, 0xFE];
                let units = text.encode_utf16().flat_map(u16::to_le_bytes);
                mark.into_iter().chain(units).collect()
            }
            Self::Auto | Self::Utf8 => text.as_bytes().to_vec(),
            other => other.charset().encode(text).0.into_owned(),
        }
    }
}

/// How a row came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Clean,
    /// In another encoding than the file is said to have; read by that one.
    Other,
    /// Bytes nothing explains; marked by U+FFFD.
    Broken,
}

/// The input freed of its byte order mark, and how its rows are read. What cannot be cut at line ends and
/// separators (UTF-16, ISO-2022-JP) is decoded here as a whole.
pub(crate) fn open(bytes: &[u8], said: Encoding) -> (Cow<'_, [u8]>, Rows, State) {
    let whole = |charset: &'static Charset, body: &[u8]| {
        let (text, broken) = charset.decode_without_bom_handling(body);
        let state = if broken { State::Broken } else { State::Clean };
        (
            Cow::Owned(text.into_owned().into_bytes()),
            Rows(UTF_8),
            state,
        )
    };
    match bytes {
        [0xEF, 0xBB, 0xBF, body @ ..] => return (Cow::Borrowed(body), Rows(UTF_8), State::Clean),
        [0xFF, 0xFE, body @ ..] => return whole(UTF_16LE, body),
        [0xFE, 0xFF, body @ ..] => return whole(UTF_16BE, body),
        _ => {}
    }
    match said {
        Encoding::Utf16 => whole(UTF_16LE, bytes),
        Encoding::Iso2022Jp => whole(ISO_2022_JP, bytes),
        Encoding::Auto if std::str::from_utf8(bytes).is_err() => {
            (Cow::Borrowed(bytes), Rows(SHIFT_JIS), State::Clean)
        }
        other => (Cow::Borrowed(bytes), Rows(other.charset()), State::Clean),
    }
}

/// The whole input as text.
pub(crate) fn text(bytes: &[u8], said: Encoding) -> (Cow<'_, str>, State) {
    let (body, rows, state) = open(bytes, said);
    match body {
        Cow::Borrowed(body) => {
            let (charset, own) = rows.of_row(body);
            (charset.decode_without_bom_handling(body).0, own)
        }
        Cow::Owned(body) => (String::from_utf8_lossy(&body).into_owned().into(), state),
    }
}

/// Bytes of an unknown usual encoding as text: by byte order mark, else UTF-8, else CP932.
pub fn text_of(bytes: &[u8]) -> String {
    text(bytes, Encoding::Auto).0.into_owned()
}

/// Decodes rows of one file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rows(&'static Charset);

impl Rows {
    /// The encoding of one row: that of the file, unless the row can only be the other usual one.
    pub(crate) fn of_row(self, row: &[u8]) -> (&'static Charset, State) {
        if row.is_ascii() {
            return (UTF_8, State::Clean);
        }
        if self.0 == UTF_8 {
            return match std::str::from_utf8(row).is_ok() {
                true => (UTF_8, State::Clean),
                false if !SHIFT_JIS.decode_without_bom_handling(row).1 => (SHIFT_JIS, State::Other),
                false => (UTF_8, State::Broken),
            };
        }
        match self.guess(row) {
            (charset, State::Clean) if charset.decode_without_bom_handling(row).1 => {
                (charset, State::Broken)
            }
            found => found,
        }
    }

    /// The same without looking whether the encoding of the file explains all bytes: [`push`] says that.
    pub(crate) fn guess(self, row: &[u8]) -> (&'static Charset, State) {
        if self.0 == UTF_8 || row.is_ascii() {
            return self.of_row(row);
        }
        // Kana and kanji take three bytes in UTF-8; two pairs of half-width kana look like two-byte UTF-8.
        let is_other = row.iter().any(|byte| *byte >= 0xE3) && std::str::from_utf8(row).is_ok();
        if is_other {
            (UTF_8, State::Other)
        } else {
            (self.0, State::Clean)
        }
    }
}

/// Appends one cell; `false` when bytes of it are explained by nothing.
pub(crate) fn push(cell: &[u8], charset: &'static Charset, text: &mut String) -> bool {
    if cell.is_ascii() {
        // What is ASCII is UTF-8: this is a copy.
        text.push_str(std::str::from_utf8(cell).unwrap_or(""));
        return true;
    }
    if charset == UTF_8
        && let Ok(cell) = std::str::from_utf8(cell)
    {
        text.push_str(cell);
        return true;
    }
    // Not into the text itself: the decoder would touch all the room there is behind its end for each cell.
    let mut decoder = charset.new_decoder_without_bom_handling();
    let (mut rest, mut is_whole) = (cell, true);
    let mut room = [0; 512];
    loop {
        let (result, read, written, replaced) = decoder.decode_to_utf8(rest, &mut room, true);
        text.push_str(std::str::from_utf8(&room[..written]).unwrap_or(""));
        is_whole &= !replaced;
        rest = &rest[read..];
        if result == CoderResult::InputEmpty {
            return is_whole;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_encoding_comes_back() {
        let sent = "検査日,ﾔﾏﾓﾄ,①髙";
        for (encoding, sample) in [
            (Encoding::Utf8, sent),
            (Encoding::Cp932, sent),
            (Encoding::Utf16, sent),
            (Encoding::EucJp, "検査日,ﾔﾏﾓﾄ"),
            (Encoding::Iso2022Jp, "検査日,ヤマモト"),
        ] {
            let bytes = encoding.encode(sample);
            assert_eq!(
                text(&bytes, encoding),
                (sample.into(), State::Clean),
                "{encoding:?}"
            );
        }
        for encoding in [Encoding::Utf8, Encoding::Cp932, Encoding::Utf16] {
            assert_eq!(
                text(&encoding.encode(sent), Encoding::Auto).0,
                sent,
                "{encoding:?}"
            );
        }
        let mut marked = vec![0xEF, 0xBB, 0xBF];
        marked.extend_from_slice(sent.as_bytes());
        assert_eq!(text(&marked, Encoding::Cp932).0, sent);
    }

    #[test]
    fn a_row_in_another_encoding_is_noticed() {
        let cp932 = Encoding::Cp932.encode("検査日");
        let rows = Rows(SHIFT_JIS);
        assert_eq!(rows.of_row(&cp932).1, State::Clean);
        assert_eq!(rows.of_row("検査日".as_bytes()), (UTF_8, State::Other));
        assert_eq!(rows.of_row(&Encoding::Cp932.encode("ﾃｱ")).1, State::Clean);
        assert_eq!(rows.of_row(b"\x82"), (SHIFT_JIS, State::Broken));
        assert_eq!(Rows(UTF_8).of_row(&cp932), (SHIFT_JIS, State::Other));
        assert_eq!(Rows(UTF_8).of_row(b"\xFF\x82\x82\xFF").1, State::Broken);
    }
}
