//! File names from Japanese servers: UTF-8 in either normal form, or CP932 bytes.

use std::ffi::OsStr;

use unicode_normalization::{UnicodeNormalization, is_nfc};

/// The name as text in NFC. Names that are not UTF-8 are read as CP932, as Windows shares mounted
/// without conversion show them; what even CP932 does not explain becomes U+FFFD.
pub fn as_text(name: &OsStr) -> String {
    let bytes = name.as_encoded_bytes();
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => encoding_rs::SHIFT_JIS.decode_without_bom_handling(bytes).0,
    };
    if is_nfc(&text) {
        text.into_owned()
    } else {
        text.nfc().collect()
    }
}

/// Files that programs leave beside the real ones: hidden, temporary, thumbnails.
pub fn has_hidden_name(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    lower.starts_with(['.', '~'])
        || [".tmp", ".part", ".partial", ".crdownload", ".swp", "~"]
            .iter()
            .any(|end| lower.ends_with(end))
        || matches!(lower.as_str(), "thumbs.db" | "desktop.ini")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn names_of_windows_and_macos_read_the_same() {
        use std::os::unix::ffi::OsStrExt as _;
        let composed = "L12345^ガーゼ記録^99ZZZ";
        let decomposed: String =
            unicode_normalization::UnicodeNormalization::nfd(composed).collect();
        assert_ne!(composed, decomposed);
        let (cp932, _, _) = encoding_rs::SHIFT_JIS.encode(composed);
        for name in [
            OsStr::new(composed),
            OsStr::new(&decomposed),
            OsStr::from_bytes(&cp932),
        ] {
            assert_eq!(as_text(name), composed);
        }
        assert!(as_text(OsStr::from_bytes(b"\xff\xfe")).contains('\u{fffd}'));
    }

    #[test]
    fn leftovers_of_programs_are_hidden() {
        for hidden in [
            ".DS_Store",
            "~$a.docx",
            "a.pdf.tmp",
            "Thumbs.db",
            "A.PART",
            "a.hl7~",
        ] {
            assert!(has_hidden_name(hidden), "{hidden}");
        }
        for shown in [
            "a.pdf",
            "0123456789_-_ADT-00_999999999999999_20111220224447339_-_1",
        ] {
            assert!(!has_hidden_name(shown), "{shown}");
        }
    }
}
