//! Numbering, line ends, delimiters, places.

use super::*;

const LAB: &str = "MSH|^~\\&|SIM|HOSP|GW|RCV|20250111113000||OUL^R22^OUL_R22|V1|P|2.5||||||~ISO IR87\r\
    PID|1||0000123456^^^^PI||山本^京子\r\
    PV1\r\
    OBX|1|NM|A||3.1\r\
    OBX|2|NM|B||a&b^c~d&e|\r";

#[test]
fn segments_and_fields_are_numbered_as_in_the_standard() {
    let message = Message::parse(LAB).expect("parses");
    let names: Vec<_> = message.segments().map(Segment::name).collect();
    assert_eq!(names, ["MSH", "PID", "PV1", "OBX", "OBX"]);
    let header = message.header();
    assert_eq!(header.field(1).text(), "|");
    assert_eq!(header.field(2).text(), "^~\\&");
    assert_eq!(header.field(2).component(1).raw(), "^~\\&");
    assert_eq!(header.field(3).text(), "SIM");
    assert_eq!(header.field(9).component(2).text(), "R22");
    assert_eq!(header.field(18).repetition(2).text(), "ISO IR87");
    assert_eq!(header.field_count(), 18);
    let pid = message.first("PID").expect("PID");
    assert_eq!(
        (pid.field(3).text().as_ref(), pid.index()),
        ("0000123456", 1)
    );
    assert_eq!(pid.field(5).component(2).text(), "京子");
    assert!(pid.field(0).is_empty() && pid.field(6).is_empty() && pid.field(usize::MAX).is_empty());
    assert_eq!(message.segment(2).map(Segment::field_count), Some(0));
    assert_eq!(message.all("OBX").count(), 2);
    assert_eq!(message.segment(4).map(Segment::field_count), Some(6));
    assert_eq!(
        message.all("OBX").nth(1).map(|obx| obx.at(5).to_string()),
        Some("OBX[2]-5".into())
    );
    assert_eq!(pid.raw(), "PID|1||0000123456^^^^PI||山本^京子");
}

#[test]
fn any_line_end_and_empty_lines() {
    let expected = ["MSH", "PID", "PV1", "OBX", "OBX"];
    for end in ["\r", "\n", "\r\n", "\r\r", "\n\r\n"] {
        let text = LAB.replace('\r', end);
        for text in [
            text.as_str(),
            text.trim_end(),
            &format!("\u{feff}\u{b}{text}"),
        ] {
            let message = Message::parse(text).expect("parses");
            let names: Vec<_> = message.segments().map(Segment::name).collect();
            assert_eq!(names, expected, "{end:?}");
            assert_eq!(
                message.first("OBX").map(|obx| obx.field(5).raw()),
                Some("3.1")
            );
        }
    }
}

#[test]
fn other_delimiters_yen_and_truncation_character() {
    let message = Message::parse("MSH$%*!@$A%B$C\rPID$1%2@3*4").expect("parses");
    assert_eq!(message.header().field(3).component(2).raw(), "B");
    let pid = message.segment(1).expect("PID").field(1);
    assert_eq!(pid.component(2).subcomponent(2).raw(), "3");
    assert_eq!(pid.repetition(2).raw(), "4");
    let yen = Message::parse("MSH|^~¥&|A¥T¥B").expect("parses");
    assert_eq!(yen.header().field(3).text(), "A&B");
    let truncation = Message::parse("MSH|^~\\&#|A|B").expect("parses");
    assert_eq!(truncation.header().field(3).raw(), "A");
    let short = Message::parse("MSH|^|A^B~C&D").expect("parses");
    assert_eq!(
        short
            .header()
            .field(3)
            .repetition(2)
            .component(1)
            .subcomponent(2)
            .raw(),
        "D"
    );
}

#[test]
fn an_unreadable_header_names_its_place() {
    let error = |text| Message::parse(text).expect_err("must fail");
    for text in ["", "PID|1", "FHS|^~\\&", "MSHX|^~\\&", "msh|^~\\&", "\r\n"] {
        assert_eq!(error(text), ParseError::NoHeader, "{text:?}");
    }
    assert_eq!(
        error("MSH").to_string(),
        "MSH-1 is not a usable field separator"
    );
    assert_eq!(
        error("MSH||A").to_string(),
        "MSH-2, the encoding characters, is missing"
    );
    assert_eq!(error("MSH|").location().to_string(), "MSH-2");
    for text in [
        "MSH|abcd|",
        "MSH|^~^&|",
        "MSH|^~\\&#!|",
        "MSH|山|",
        "MSH|^~\\&山|",
    ] {
        assert!(
            matches!(error(text), ParseError::EncodingCharacters(_)),
            "{text:?}"
        );
    }
}

#[test]
fn every_offset_has_its_place() {
    let message = Message::parse(LAB).expect("parses");
    let place = |needle: &str| {
        let offset = LAB.find(needle).expect("in the text");
        message.locate(offset).map(|at| at.to_string())
    };
    assert_eq!(place("山本").as_deref(), Some("PID-5.1"));
    assert_eq!(place("京子").as_deref(), Some("PID-5.2"));
    assert_eq!(place("^~\\&").as_deref(), Some("MSH-2"));
    assert_eq!(place("ISO IR87").as_deref(), Some("MSH-18(2).1"));
    assert_eq!(place("3.1").as_deref(), Some("OBX-5.1"));
    assert_eq!(place("b^c").as_deref(), Some("OBX[2]-5.1.2"));
    assert_eq!(place("e|").as_deref(), Some("OBX[2]-5(2).1.2"));
    assert_eq!(place("V1\rOBX").as_deref(), Some("PV1"));
    assert_eq!(
        message
            .locate(LAB.len() - 1)
            .map(|at| at.to_string())
            .as_deref(),
        Some("OBX[2]-6.1")
    );
    assert_eq!(message.locate(LAB.len()), None);
    assert_eq!(message.locate(usize::MAX), None);
}

#[test]
fn a_five_megabyte_field_is_one_slice() {
    let text = format!("MSH|^~\\&|A\rOBX|1|ED|||{}|F\r", "QUJD".repeat(1_250_000));
    let message = Message::parse(&text).expect("parses");
    let obx = message.first("OBX").expect("OBX");
    assert_eq!(obx.field(5).text().len(), 5_000_000);
    assert_eq!(obx.field(6).raw(), "F");
}
