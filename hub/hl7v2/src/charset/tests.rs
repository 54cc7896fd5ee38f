//! Every row of the known-facts table about Japanese HL7 bytes, as bytes.

use super::*;
use crate::tokenize::Message;

const HEAD: &[u8] = b"MSH|^~\\&|SIM||||20250111||ADT^A08|1|P|2.5||||||~ISO IR87||ISO 2022-1994\rPID|1||0000123456||";

fn with_name(name: &[u8]) -> Vec<u8> {
    [HEAD, name, b"||19390215|F\rPV1|1|O\r"].concat()
}

/// The name field, the findings as `code@place`, and the birth date, which must never be touched.
fn read(bytes: &[u8]) -> (String, Vec<String>) {
    let decoded = decode(bytes);
    let message = Message::parse(&decoded.text).expect("parses");
    let pid = message.first("PID").expect("PID");
    assert_eq!(
        pid.field(7).text(),
        "19390215",
        "delimiters after the name survive"
    );
    let findings = decoded
        .findings
        .iter()
        .map(|finding| {
            let at = finding.locate(&message).expect("placed");
            assert_eq!(
                finding.segment,
                message
                    .locate(finding.offset)
                    .map_or(99, |at| match at.segment.as_str() {
                        "MSH" => 0,
                        "PID" => 1,
                        _ => 2,
                    })
            );
            format!("{}@{at}", finding.kind.code())
        })
        .collect();
    (pid.field(5).raw().to_owned(), findings)
}

#[track_caller]
fn expect(name: &[u8], text: &str, findings: &[&str]) {
    assert_eq!(
        read(&with_name(name)),
        (
            text.to_owned(),
            findings.iter().map(|&f| f.to_owned()).collect()
        )
    );
}

#[test]
fn regular_text_is_clean() {
    expect(b"\x1b$B;3K\\\x1b(B^\x1b$B5~;R\x1b(B", "山本^京子", &[]);
    expect(b"\x1b$@;3K\\\x1b(B", "山本", &[]);
    expect(b"\x1b$B!!%d!&\x1b(B", "　ヤ・", &[]);
    let bytes = with_name(b"\x1b$B5~\x1b(B");
    let decoded = decode(&bytes);
    assert_eq!(
        (decoded.charset, decoded.declared),
        (Charset::Iso2022Jp, Some(Declared::Iso2022Jp))
    );
}

#[test]
fn return_to_roman_keeps_delimiters() {
    expect(
        b"\x1b$B;3K\\\x1b(J^A\\T\\B~\x1b$B5~\x1b(J",
        "山本^A\\T\\B~京",
        &["roman-return@PID-5.1"],
    );
}

#[test]
fn redundant_escapes_vanish() {
    expect(
        b"\x1b$B\x1b(B\x1b$B;3\x1b(B",
        "山",
        &["redundant-escape@PID-5.1"],
    );
    expect(
        b"\x1b$B;3\x1b(B\x1b$BK\\\x1b(B",
        "山本",
        &["redundant-escape@PID-5.1"],
    );
    expect(
        b"\x1b$B;3\x1b$BK\\\x1b(B\x1b(B",
        "山本",
        &["redundant-escape@PID-5.1"],
    );
}

#[test]
fn half_width_kana_becomes_full_width() {
    let found = &["half-width-kana@PID-5.1"];
    expect(b"\x1b(ITO@^\x1b(B^x", "ヤマダ^x", found);
    expect(b"\x1b$B;3\x1b(B \xD4\xCF\xC0\xDE^x", "山 ヤマダ^x", found);
    expect(b"\x1b$B;3\x1b(B \x0eTO@^\x0f^x", "山 ヤマダ^x", found);
    expect(b"\x0eTO@^\x0f^x", "ヤマダ^x", found);
    // `ﾂｱ` is also valid UTF-8 for `±`; the escape sequences decide.
    expect(b"\x1b$B;3\x1b(B\xC2\xB1", "山ツア", found);
}

#[test]
fn vendor_characters_are_kept_and_reported() {
    expect(
        b"\x1b$B-!-j-7-S\x1b(B",
        "①㈱Ⅲ㎎",
        &["vendor-character@PID-5.1"],
    );
    expect(
        b"x^\x1b$B|b66\x1b(B",
        "x^髙橋",
        &["vendor-character@PID-5.2"],
    );
}

#[test]
fn other_kanji_sets_are_quarantined() {
    expect(
        b"\x1b$(D0!0\"\x1b(B \x1b$B;3\x1b(B",
        "\u{FFFD}\u{FFFD} 山",
        &["unsupported-set@PID-5.1", "lost-character@PID-5.1"],
    );
    expect(
        b"\x1b$(O0!\x1b(B",
        "\u{FFFD}",
        &["unsupported-set@PID-5.1", "lost-character@PID-5.1"],
    );
}

#[test]
fn a_line_end_resets_kanji_mode() {
    let bytes = [HEAD, b"x||19390215||\x1b$B;3K\\\rPV1|1|O\r"].concat();
    assert_eq!(
        read(&bytes),
        ("x".into(), vec!["unterminated-kanji@PID-9.1".into()])
    );
    let decoded_text = decode(&bytes).text.into_owned();
    assert!(decoded_text.ends_with("||山本\rPV1|1|O"));
    let odd = [HEAD, b"x||19390215||\x1b$B;3K\rPV1|1|O\r"].concat();
    assert!(decode(&odd).text.ends_with("||山\u{FFFD}\rPV1|1|O"));
}

#[test]
fn wave_dash_minus_and_parallel_have_one_spelling() {
    let canonical = "〜−‖\u{301C}\u{2212}\u{2016}";
    expect(b"\x1b$B!A!]!B!A!]!B\x1b(B", canonical, &[]);
    // The tolerant decoder spells alike.
    expect(
        b"\x1b$B!A!]!B!A!]!B\x1b(J",
        canonical,
        &["roman-return@PID-5.1"],
    );
    let cp932 = with_name(b"\x81\x60\x81\x7C\x81\x61\x81\x60\x81\x7C\x81\x61");
    assert_eq!(read(&cp932).0, canonical);
    let utf8 = with_name("～－∥〜−‖".as_bytes());
    assert_eq!(read(&utf8).0, canonical);
}

#[test]
fn malformed_runs_are_marked_and_do_not_spread() {
    expect(b"\x1b$B;3 K\\\x1b(B", "山 本", &["malformed-bytes@PID-5.1"]);
    expect(
        b"\x1b$B;\x1b(B",
        "\u{FFFD}",
        &["malformed-bytes@PID-5.1", "lost-character@PID-5.1"],
    );
    expect(
        b"\x1b$B;3\x1b(B\xFF\x1b$B5~\x1b(B",
        "山\u{FFFD}京",
        &["malformed-bytes@PID-5.1", "lost-character@PID-5.1"],
    );
    expect(
        b"\x1b$B;3\x1b(B\x1bZx",
        "山\u{FFFD}Zx",
        &["malformed-bytes@PID-5.1", "lost-character@PID-5.1"],
    );
    expect(
        b"\x1b(IT~x\x1b(B",
        "ヤ~x",
        &["half-width-kana@PID-5.1", "malformed-bytes@PID-5.1"],
    );
}

#[test]
fn possible_gaiji_are_found() {
    expect(b"\x1b$B\"#66\x1b(B", "■橋", &["substitute-mark@PID-5.1"]);
    expect(
        b"x^\x1b$B\".66\x1b(B",
        "x^〓橋",
        &["substitute-mark@PID-5.2"],
    );
    let sjis = with_name(b"\xF0\x40\x8B\xB4");
    let (text, findings) = read(&sjis);
    assert_eq!(text, "\u{E000}橋");
    assert_eq!(
        findings,
        [
            "charset-declared-otherwise@MSH-18.1",
            "private-use-character@PID-5.1"
        ]
    );
    assert!(
        FindingKind::PrivateUse.is_possible_gaiji()
            && !FindingKind::VendorCharacter.is_possible_gaiji()
    );
    let planes = decode("MSH|^~\\&|\u{F0000}|\u{10FFFD}|\u{20BB7}|\u{F8FF}".as_bytes());
    let offsets: Vec<_> = planes
        .findings
        .iter()
        .filter(|f| f.kind == FindingKind::PrivateUse)
        .collect();
    assert_eq!(offsets.len(), 3);
}

#[test]
fn detection_follows_the_bytes_not_the_declaration() {
    let charset = |bytes: &[u8]| decode(bytes).charset;
    assert_eq!(charset(&with_name(b"YAMAMOTO")), Charset::Ascii);
    assert_eq!(charset(&with_name("山本".as_bytes())), Charset::Utf8);
    assert_eq!(charset(&with_name(b"\x8E\x52\x96\x7B")), Charset::Cp932);
    assert_eq!(read(&with_name(b"\x8E\x52\x96\x7B")).0, "山本");
    assert_eq!(
        read(&with_name("山本".as_bytes())).1,
        ["charset-declared-otherwise@MSH-18.1"]
    );
    assert_eq!(read(&with_name(b"YAMAMOTO")).1, [""; 0]);
    // One character cut in half does not make a UTF-8 text CP932.
    let cut = with_name(b"\xE5\xB1\xB1\xE6\x9C\xAC\xE4\xBA\xAC\xE5\xAD\x90\xE5\xAD");
    let (text, findings) = read(&cut);
    assert_eq!(text, "山本京子\u{FFFD}");
    assert!(findings.contains(&"lost-character@PID-5.1".to_owned()));
}

#[test]
fn declarations_are_read_leniently() {
    for (spelling, expected) in [
        ("~ISO IR87", Some(Declared::Iso2022Jp)),
        ("~ISOIR87", Some(Declared::Iso2022Jp)),
        ("~iso ir87", Some(Declared::Iso2022Jp)),
        ("ISO IR6~ISO IR87~ISO IR159", Some(Declared::Iso2022Jp)),
        ("UNICODE UTF-8", Some(Declared::Utf8)),
        ("ASCII", Some(Declared::Ascii)),
        ("8859/1", Some(Declared::Other)),
        ("Shift_JIS", Some(Declared::Cp932)),
        ("", None),
        ("~", None),
    ] {
        assert_eq!(parse_declaration(spelling, '~'), expected, "{spelling}");
    }
    let undeclared = decode("MSH|^~\\&|病院".as_bytes());
    assert_eq!(
        undeclared.findings.first().map(|f| f.kind),
        Some(FindingKind::Undeclared)
    );
    assert_eq!(decode("これは HL7 ではない".as_bytes()).findings, []);
    let batch = decode(b"FHS|^~\\&\rBHS|^~\\&\rMSH|^~\\&||||||||||||||||UNICODE UTF-8");
    assert_eq!(batch.declared, Some(Declared::Utf8));
}

#[test]
fn yen_sign_in_the_encoding_characters_is_reported() {
    let decoded = decode("MSH|^~¥&|A||||||||||||||||UNICODE UTF-8\rPID|1||2||山¥T¥本".as_bytes());
    let message = Message::parse(&decoded.text).expect("parses");
    assert_eq!(
        message
            .first("PID")
            .map(|pid| pid.field(5).text().into_owned()),
        Some("山&本".into())
    );
    assert!(
        decoded
            .findings
            .iter()
            .any(|f| f.kind == FindingKind::YenSignDelimiter)
    );
}

#[test]
fn framing_is_stripped() {
    for framed in [
        &b"\x0bMSH|x\r\x1c\r"[..],
        b"\xEF\xBB\xBFMSH|x",
        b"\x0b\xEF\xBB\xBFMSH|x\r\n\x1a",
        b"\r\nMSH|x\r\x1c",
        b"MSH|x\0\0",
    ] {
        assert_eq!(strip_framing(framed), b"MSH|x");
    }
    for marked in [
        &b"\xEF\xBB\xBFMSH|^~\\&|"[..],
        b"\x0b\xEF\xBB\xBFMSH|^~\\&|",
    ] {
        let kinds: Vec<_> = decode(marked)
            .findings
            .iter()
            .map(|finding| finding.kind)
            .collect();
        assert_eq!(kinds, [FindingKind::ByteOrderMark]);
    }
    assert_eq!(strip_framing(b"\x1c\r"), b"");
    assert!(matches!(
        decode(b"\x0bMSH|x\r\x1c\r").text,
        Cow::Borrowed("MSH|x")
    ));
}

#[test]
fn findings_are_one_per_kind_and_field_and_follow_a_cut() {
    let one = with_name(b"\x1b$B\"#\x1b(B^\x1b$B\"#\x1b(B");
    let two = [one.clone(), one.clone()].concat();
    let decoded = decode(&two);
    assert_eq!(decoded.findings.len(), 2);
    assert_eq!(
        (decoded.findings[0].segment, decoded.findings[1].segment),
        (1, 4)
    );
    for part in crate::split_messages(&decoded.text) {
        let message = Message::parse(part).expect("parses");
        let places: Vec<_> = decoded
            .located(&message)
            .map(|(kind, at)| (kind, at.to_string()))
            .collect();
        assert_eq!(
            places,
            [(FindingKind::SubstituteMark, "PID-5.1".to_owned())]
        );
    }
    let flood = decode(&[&b"\x1b(I"[..], &b"T|".repeat(5000)].concat())
        .findings
        .len();
    assert!(flood <= 1000, "{flood}");
}
