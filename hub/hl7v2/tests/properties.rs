//! What holds for every input: no panic, escape identity, builder round trip, character set round
//! trip, and agreement with `hl7-parser` on the messages both define.

#[path = "../../../tests/fuzz/src/hl7v2.rs"]
mod entry;

use proptest::collection::vec;
use proptest::prelude::*;
use renkei_hl7v2::build::{Builder, Header, Part, Segment as NewSegment};
use renkei_hl7v2::charset::{Charset, decode};
use renkei_hl7v2::datatypes::{Precision, Ts};
use renkei_hl7v2::encode::encode;
use renkei_hl7v2::escape::{escape, unescape};
use renkei_hl7v2::view::Delimiters;
use renkei_hl7v2::{Message, kana};

/// Text with everything that could break a message.
fn nasty_text() -> impl Strategy<Value = String> {
    let nasty = prop_oneof![
        Just("|"),
        Just("^"),
        Just("~"),
        Just("\\"),
        Just("&"),
        Just("\r"),
        Just("\n"),
        Just("\u{b}"),
        Just("\u{1c}"),
        Just("\u{1b}"),
        Just("\u{e}"),
        Just("\0"),
        Just("\"\""),
        Just("\\F\\"),
        Just("\\X0D\\"),
        Just("\\M2442\\"),
        Just("山本"),
        Just("ﾔﾏﾀﾞ"),
        Just("¥"),
        Just("MSH|"),
        Just("x"),
        Just("𠮷"),
    ];
    prop_oneof![
        vec(nasty, 0..8).prop_map(|parts| parts.concat()),
        any::<String>()
    ]
}

/// One raw value that `hl7-parser` splits correctly: no delimiters, no escapes, no controls.
fn plain_value() -> impl Strategy<Value = String> {
    "[A-Za-z0-9 .:/*+\\-山本京子ヤマモト東京都、。]{0,8}"
}

/// Every character of JIS X 0208 levels 1 and 2 and its symbols, as decoded here.
fn jis_characters() -> Vec<char> {
    let rows = (0x21..=0x28u8).chain(0x30..=0x74);
    rows.flat_map(|row| {
        (0x21..=0x7Eu8).map(move |cell| [0x1B, b'$', b'B', row, cell, 0x1B, b'(', b'B'])
    })
    .flat_map(|bytes| decode(&bytes).text.chars().collect::<Vec<_>>())
    .filter(|&character| character != '\u{FFFD}')
    .collect()
}

#[test]
fn every_jis_x_0208_character_survives_the_round_trip() {
    let characters = jis_characters();
    assert_eq!(characters.len(), 6879);
    for charset in [Charset::Iso2022Jp, Charset::Cp932, Charset::Utf8] {
        let text: String = characters
            .iter()
            .flat_map(|&character| [character, '|'])
            .collect();
        let encoded = encode(&text, charset);
        assert!(encoded.is_complete() && encoded.expanded.is_empty());
        let decoded = decode(&encoded.bytes);
        assert_eq!(decoded.charset, charset);
        let differing = decoded
            .text
            .chars()
            .zip(text.chars())
            .find(|(read, written)| read != written);
        assert_eq!(differing, None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_anything_panic(
        header in prop_oneof![Just(&b""[..]), Just(&b"MSH|^~\\&|A\r"[..]), Just("MSH|^~¥&|山|".as_bytes())],
        body in vec(any::<u8>(), 0..400),
    ) {
        let bytes = [header, &body].concat();
        entry::decode(&bytes);
        entry::parse(&bytes);
        entry::ack(&bytes);
    }

    #[test]
    fn no_escape_sequences_make_anything_panic(
        text in "(MSH\\|\\^~\\\\&\\|)?([|^~\\\\&\r\nXCMFSTREHN.br0-9A-F \u{1b}$(BJI]|京){0,200}",
    ) {
        entry::decode(text.as_bytes());
        entry::parse(text.as_bytes());
        entry::ack(text.as_bytes());
    }

    #[test]
    fn unescape_undoes_escape(text in nasty_text()) {
        let yen = Message::parse("MSH|^~¥&|A").map(|message| message.delimiters());
        for delimiters in [Ok(Delimiters::default()), yen] {
            let delimiters = delimiters.expect("readable");
            let escaped = escape(&text, &delimiters);
            let is_safe = !escaped.contains(['|', '^', '~', '&', '\r', '\n', '\u{b}', '\u{1c}', '\u{1b}']);
            prop_assert!(is_safe);
            prop_assert_eq!(unescape(&escaped, &delimiters), text.as_str());
        }
    }

    #[test]
    fn what_was_built_is_read_back(
        fields in vec(vec(vec(nasty_text(), 1..4), 1..4), 1..6),
        subcomponents in vec(nasty_text(), 2..4),
    ) {
        let header = Header { sending_application: "A", message_type: ["ORU", "R01", ""], ..Header::default() };
        let mut segment = NewSegment::new("ZZ1");
        for (index, repetitions) in fields.iter().enumerate() {
            // A marker first keeps empty repetitions from being left out.
            segment = segment.text(index + 1, "m");
            for components in repetitions {
                segment = segment.repetition(index + 1, components);
            }
        }
        let parts: Vec<&str> = subcomponents.iter().map(String::as_str).collect();
        segment = segment.components(99, [Part::Subcomponents(&parts)]);
        let text = Builder::new(&header).push(segment).finish().expect("builds");
        let bytes = encode(&text, Charset::Utf8).bytes;
        let decoded = decode(&bytes);
        prop_assert_eq!(decoded.text.trim_end_matches('\r'), text.trim_end_matches('\r').to_owned().replace('～', "〜").replace('－', "−").replace('∥', "‖"));
        let message = Message::parse(&text).expect("parses");
        prop_assert_eq!(message.segment_count(), 2);
        let segment = message.first("ZZ1").expect("there");
        for (index, repetitions) in fields.iter().enumerate() {
            let field = segment.field(index + 1);
            for (repetition, components) in repetitions.iter().enumerate() {
                for (component, value) in components.iter().enumerate() {
                    let read = field.repetition(repetition + 2).component(component + 1);
                    prop_assert!(!read.is_null());
                    prop_assert_eq!(read.text(), value.as_str());
                }
            }
        }
        for (index, value) in subcomponents.iter().enumerate() {
            prop_assert_eq!(segment.field(99).component(1).subcomponent(index + 1).text(), value.as_str());
        }
    }

    #[test]
    fn hl7_parser_reads_the_same_values(
        segments in vec((prop_oneof![Just("PID"), Just("OBX"), Just("ZE1")], vec(vec(vec(vec(plain_value(), 1..3), 1..4), 1..3), 1..8)), 1..6),
        end in prop_oneof![Just("\r"), Just("\n"), Just("\r\n")],
    ) {
        let mut text = format!("MSH|^~\\&|A|B^C~D&E||x{end}");
        for (name, fields) in &segments {
            let fields: Vec<String> = fields.iter().map(|repetitions| {
                let repetitions: Vec<String> = repetitions.iter().map(|components| {
                    components.iter().map(|parts| parts.join("&")).collect::<Vec<_>>().join("^")
                }).collect();
                repetitions.join("~")
            }).collect();
            text.push_str(&format!("{name}|{}{end}", fields.join("|")));
        }
        let ours = Message::parse(&text).expect("parses");
        let theirs = hl7_parser::parse_message_with_lenient_newlines(&text).expect("parses");
        let their_segments: Vec<_> = theirs.segments().collect();
        prop_assert_eq!(ours.segment_count(), their_segments.len());
        for (our, their) in ours.segments().zip(their_segments) {
            prop_assert_eq!(our.name(), their.name);
            prop_assert_eq!(our.field_count(), their.fields().count());
            for ((number, our_field), their_field) in our.fields().zip(their.fields()) {
                prop_assert_eq!(our_field.raw(), their_field.raw_value());
                if our.name() == "MSH" && number <= 2 {
                    continue;
                }
                for (repetition, their_repeat) in their_field.repeats().enumerate() {
                    let our_repeat = our_field.repetition(repetition + 1);
                    prop_assert_eq!(our_repeat.raw(), their_repeat.raw_value());
                    for (component, their_component) in their_repeat.components().enumerate() {
                        let our_component = our_repeat.component(component + 1);
                        prop_assert_eq!(our_component.raw(), their_component.raw_value());
                        for (index, their_part) in their_component.subcomponents().enumerate() {
                            prop_assert_eq!(our_component.subcomponent(index + 1).raw(), their_part.raw_value());
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn japanese_messages_survive_iso_2022_jp(
        picks in vec(vec(any::<prop::sample::Index>(), 0..12), 1..12),
        ascii in "[ -~]{0,6}",
    ) {
        let characters = jis_characters();
        let mut text = String::from("MSH|^~\\&|A||||||||||||||||~ISO IR87\rPID|x");
        for field in &picks {
            text.push('|');
            text.extend(field.iter().map(|pick| *pick.get(&characters)));
            text.push_str(&escape(&ascii, &Delimiters::default()));
        }
        let encoded = encode(&text, Charset::Iso2022Jp);
        prop_assert!(encoded.bytes.is_ascii() && encoded.is_complete());
        let decoded = decode(&encoded.bytes);
        prop_assert_eq!(decoded.text, text);
    }

    /// The tolerant decoder and the fast way agree wherever the bytes are regular.
    #[test]
    fn irregularity_elsewhere_changes_nothing(picks in vec(any::<prop::sample::Index>(), 1..40)) {
        let characters = jis_characters();
        let text: String = picks.iter().map(|pick| *pick.get(&characters)).collect();
        let regular = encode(&format!("A|{text}"), Charset::Iso2022Jp).bytes;
        let irregular = [&regular[..], b"|\x1b(J"].concat();
        prop_assert_eq!(format!("{}|", decode(&regular).text), decode(&irregular).text);
    }

    #[test]
    fn dates_are_shown_as_they_were_sent(
        year in 1u16..=9999, month in 1u8..=12, day in 1u8..=28, hour in 0u8..=23, minute in 0u8..=59, second in 0u8..=59,
        digits in prop_oneof![Just(4usize), Just(6), Just(8), Just(10), Just(12), Just(14)],
    ) {
        let full = format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}");
        prop_assume!(year != 9999);
        let ts = Ts::parse(&full[..digits]).expect("a date");
        let shown: String = ts.fhir_date_time("").chars().filter(char::is_ascii_digit).collect();
        let expected = match ts.precision {
            Precision::Hour => &full[..8],
            Precision::Minute => &format!("{}00", &full[..12]),
            _ => &full[..digits],
        };
        prop_assert_eq!(shown, expected);
    }

    #[test]
    fn search_keys_are_stable(text in "[ぁ-んァ-ヶｦ-ﾟー\u{3000} 山本A-Za-z]{0,12}") {
        let key = kana::search_key(&text);
        prop_assert_eq!(kana::search_key(&key), key.clone());
        prop_assert_eq!(kana::search_key(&kana::to_full_width_kana(&text)), key);
    }
}
