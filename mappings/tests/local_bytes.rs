//! Any mapping and any bytes: refused or read, never a panic, the same twice.

#[path = "../../tests/fuzz/src/local.rs"]
pub(crate) mod fuzz;

use fuzz::{INPUT_WORDS, MAPPING_WORDS};
use proptest::prelude::*;
use renkei_mappings::local::{Library, Shipped};

/// How many mutated inputs each property is tried with; `RENKEI_FUZZ_CASES` for more.
fn config() -> ProptestConfig {
    let cases = std::env::var("RENKEI_FUZZ_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok());
    ProptestConfig::with_cases(cases.unwrap_or(300))
}

/// A small generator, so that a case is known by its seed.
struct Seed(u64);

impl Seed {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % (below.max(1) as u64)).unwrap()
    }

    /// Deletes, doubles, swaps and overwrites pieces.
    fn mutate(&mut self, mut bytes: Vec<u8>, words: &[&str]) -> Vec<u8> {
        for _ in 0..1 + self.next(6) {
            let at = self.next(bytes.len() + 1);
            let end = (at + self.next(24)).min(bytes.len());
            match self.next(6) {
                0 => drop(bytes.drain(at..end)),
                1 => {
                    let copy = bytes[at..end].to_vec();
                    bytes.splice(at..at, copy);
                }
                2 if at < bytes.len() => bytes[at] = u8::try_from(self.next(256)).unwrap(),
                3 => {
                    let word = words[self.next(words.len())];
                    bytes.splice(at..at, word.bytes());
                }
                4 => {
                    let word = words[self.next(words.len())];
                    bytes.splice(at..end, word.bytes());
                }
                _ => bytes.truncate(bytes.len() - self.next(8).min(bytes.len())),
            }
        }
        bytes
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_broken_mapping_is_refused_and_never_more(seed in 1_u64..) {
        let names = Shipped.mappings();
        let mut seed = Seed(seed);
        let name = &names[seed.next(names.len())];
        let text = Shipped.mapping(name).unwrap().into_owned().into_bytes();
        let text = seed.mutate(text, MAPPING_WORDS);
        let text = String::from_utf8_lossy(&text);
        fuzz::load(&text);
    }

    #[test]
    fn a_broken_input_makes_whole_resources_or_none(seed in 1_u64..) {
        let mut seed = Seed(seed);
        let samples = fuzz::samples();
        let sample = &samples[seed.next(samples.len())];
        let bytes = seed.mutate(sample.input.clone(), INPUT_WORDS);
        fuzz::read(&sample.mapping, &bytes);
    }
}
