//! How bytes lie in the ledger: messages as they came, FHIR texts as they were produced, both squeezed.
//! Called by the inbox (a message is squeezed on its connection's task) and by the modules below
//! `store/sql`. It knows no table.
//!
//! A FHIR resource is a kilobyte of which a hundred bytes are news: addresses of profiles and code
//! systems, and the order in which elements stand, are the same in each. So they are squeezed over a
//! dictionary: text that is taken as read before every body. With it a result takes a fifth of its length,
//! without it half.
//!
//! The first byte says how the rest is to be read:
//!
//! | first byte | rest |
//! |---|---|
//! | 0 | a message as it came |
//! | 1 | a message, zstd |
//! | 2 | a message, zstd over `packed/hl7-1.txt` |
//! | 3 | a FHIR text, zstd over `packed/fhir-1.txt` |
//! | any other | the beginning of a FHIR text as it is: ledgers of earlier releases hold such |
//!
//! **A dictionary never changes**: what was squeezed over it could not be read any more. A better one is
//! a new file with a byte of its own.

use std::cell::RefCell;
use std::sync::LazyLock;

use bytes::Bytes;
use renkei_core::limits;
use zstd::zstd_safe::{self, CCtx, CDict, DCtx, DDict};

const PLAIN: u8 = 0;
const ZSTD: u8 = 1;
const OVER_HL7: u8 = 2;
const OVER_FHIR: u8 = 3;
/// Faster than 1: it leaves out what would gain a tenth in length for the same time again.
const LEVEL: i32 = -1;

/// Segments of the kinds of `fixtures/`, in the encoding of Japan's hospitals.
static HL7: LazyLock<Dictionary> =
    LazyLock::new(|| Dictionary::of(include_bytes!("packed/hl7-1.txt")));
/// What the mappings make of `fixtures/`, and the names of common laboratory items.
static FHIR: LazyLock<Dictionary> =
    LazyLock::new(|| Dictionary::of(include_bytes!("packed/fhir-1.txt")));

struct Dictionary {
    squeezing: CDict<'static>,
    unsqueezing: DDict<'static>,
}

impl Dictionary {
    fn of(text: &[u8]) -> Self {
        Self {
            squeezing: CDict::create(text, LEVEL),
            unsqueezing: DDict::create(text),
        }
    }
}

thread_local! {
    /// Making a context costs more than squeezing a message with it.
    static SQUEEZER: RefCell<Option<CCtx<'static>>> = const { RefCell::new(None) };
    static UNSQUEEZER: RefCell<Option<DCtx<'static>>> = const { RefCell::new(None) };
}

/// Makes the stored form of a message.
pub fn pack(body: &[u8]) -> Vec<u8> {
    squeezed(OVER_HL7, &HL7, body).unwrap_or_else(|| {
        let mut packed = Vec::with_capacity(1 + body.len());
        packed.push(PLAIN);
        packed.extend_from_slice(body);
        packed
    })
}

/// A message out of its stored form; `None` when that is damaged.
pub fn unpack(packed: &[u8]) -> Option<Bytes> {
    let (how, rest) = packed.split_first()?;
    match *how {
        PLAIN => Some(Bytes::copy_from_slice(rest)),
        ZSTD => unsqueezed(None, rest).map(Bytes::from),
        OVER_HL7 => unsqueezed(Some(&HL7), rest).map(Bytes::from),
        _ => None,
    }
}

/// Makes the stored form of a FHIR text. What is kept as it is begins with `{`: no byte of the table.
pub(super) fn pack_text(text: &str) -> Vec<u8> {
    squeezed(OVER_FHIR, &FHIR, text.as_bytes()).unwrap_or_else(|| text.as_bytes().to_vec())
}

/// A FHIR text out of its stored form; `None` when that is damaged.
pub fn unpack_text(packed: &[u8]) -> Option<String> {
    let text = match packed.split_first() {
        Some((&OVER_FHIR, rest)) => unsqueezed(Some(&FHIR), rest)?,
        _ => packed.to_vec(),
    };
    String::from_utf8(text).ok()
}

/// `None` when that would be no shorter.
fn squeezed(how: u8, over: &Dictionary, body: &[u8]) -> Option<Vec<u8>> {
    let mut packed = vec![how; 1 + zstd_safe::compress_bound(body.len())];
    let length = SQUEEZER.with_borrow_mut(|kept| {
        let squeezer = match kept {
            Some(squeezer) => squeezer,
            None => kept.insert(CCtx::try_create()?),
        };
        let into = packed.get_mut(1..)?;
        squeezer
            .compress_using_cdict(into, body, &over.squeezing)
            .ok()
    })?;
    if length >= body.len() {
        return None;
    }
    packed.truncate(1 + length);
    packed.shrink_to_fit();
    Some(packed)
}

fn unsqueezed(over: Option<&Dictionary>, squeezed: &[u8]) -> Option<Vec<u8>> {
    // The frame says how long the body is; without that room for the longest would be taken each time.
    let length = zstd_safe::get_frame_content_size(squeezed).ok()??;
    let length = usize::try_from(length).ok()?;
    if length > limits::FRAME_BYTES + limits::KEPT_OF_GIANT {
        return None;
    }
    let mut body = Vec::with_capacity(length);
    UNSQUEEZER.with_borrow_mut(|kept| {
        let unsqueezer = match kept {
            Some(unsqueezer) => unsqueezer,
            None => kept.insert(DCtx::try_create()?),
        };
        match over {
            Some(over) => unsqueezer.decompress_using_ddict(&mut body, squeezed, &over.unsqueezing),
            None => unsqueezer.decompress(&mut body, squeezed),
        }
        .ok()
    })?;
    Some(body)
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    use sha2::{Digest as _, Sha256};

    use super::*;

    const RESULT: &str = r#"{"resourceType":"Observation","id":"kdzbyb3sa6p57s7x5yqhvwx4kf","meta":{"profile":["http://jpfhir.jp/fhir/core/StructureDefinition/JP_Observation_LabResult"]},"status":"final","code":{"coding":[{"system":"http://medis.or.jp/CodeSystem/master-JLAC10-17digits","code":"3A015000002327101","display":"アルブミン"}],"text":"アルブミン"},"subject":{"reference":"Patient/b32nmjklsva2ioa7wouzpggtsu"},"effectiveDateTime":"2026-11-20T10:37:00+09:00","valueQuantity":{"value":3.10,"unit":"g/dL","system":"http://unitsofmeasure.org","code":"g/dL"}}"#;
    const MESSAGE: &[u8] = b"MSH|^~\\&|KARTE|HOSP|HUB|RENKEI|20260131113000||ADT^A03^ADT_A03|C9|P|2.5||||||~ISO IR87||ISO 2022-1994\rPID|0001||0000777777^^^^PI\rPV1|0001|I|4W^412^1^^^N\r";

    /// Nothing that was ever written may become unreadable: these bytes lie in ledgers.
    #[test]
    fn the_dictionaries_are_those_of_all_ledgers() {
        let of = |text: &[u8]| HEXLOWER.encode(&Sha256::digest(text)[..8]);
        assert_eq!(of(include_bytes!("packed/hl7-1.txt")), "9a3c88a18f22b0b1");
        assert_eq!(of(include_bytes!("packed/fhir-1.txt")), "7f8135481642a881");
    }

    #[test]
    fn what_is_packed_comes_back_and_is_short() {
        let packed = pack_text(RESULT);
        assert_eq!(unpack_text(&packed).as_deref(), Some(RESULT));
        assert!(packed.len() * 4 < RESULT.len(), "{} bytes", packed.len());
        let packed = pack(MESSAGE);
        assert_eq!(unpack(&packed).as_deref(), Some(MESSAGE));
        assert!(packed.len() * 2 < MESSAGE.len(), "{} bytes", packed.len());
    }

    #[test]
    fn what_cannot_be_squeezed_is_kept_as_it_is() {
        for text in ["", "{}", "no JSON at all"] {
            assert_eq!(unpack_text(&pack_text(text)).as_deref(), Some(text));
        }
        for body in [&b""[..], b"x", b"\x02", &[255; 3]] {
            assert_eq!(unpack(&pack(body)).as_deref(), Some(body));
        }
    }

    #[test]
    fn earlier_ledgers_are_read() {
        assert_eq!(unpack_text(b"{\"id\":1}").as_deref(), Some("{\"id\":1}"));
        let mut packed = vec![ZSTD];
        packed.extend(zstd::bulk::compress(MESSAGE, 1).unwrap());
        assert_eq!(unpack(&packed).as_deref(), Some(MESSAGE));
        let mut plain = vec![PLAIN];
        plain.extend_from_slice(MESSAGE);
        assert_eq!(unpack(&plain).as_deref(), Some(MESSAGE));
    }

    #[test]
    fn damage_is_no_panic() {
        let packed = pack_text(RESULT);
        for at in 0..packed.len() {
            let mut damaged = packed.clone();
            damaged[at] ^= 0x55;
            let _any = unpack_text(&damaged);
            let _any = unpack_text(&packed[..at]);
            let _any = unpack(&damaged);
        }
        assert_eq!(unpack_text(&[OVER_FHIR, 1, 2, 3]), None);
        assert_eq!(unpack(&[9, 1]), None);
    }
}
