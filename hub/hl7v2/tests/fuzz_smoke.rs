//! Drives the fuzz entry functions with mutated seeds, so that plain `cargo test` exercises them.

#[path = "../../../tests/fuzz/src/hl7v2.rs"]
mod entry;

use entry::{PIECES, SEEDS};

/// A small deterministic generator (xorshift64*), so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let value = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(value).unwrap_or(0) % limit.max(1)
    }
}

fn mutate(random: &mut Random) -> Vec<u8> {
    let mut bytes = SEEDS[random.below(SEEDS.len())].to_vec();
    for _ in 0..random.below(8) {
        let at = random.below(bytes.len());
        match random.below(5) {
            0 => bytes.truncate(at),
            1 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = u8::try_from(random.below(256)).unwrap_or(0);
                }
            }
            2 => {
                let piece = PIECES[random.below(PIECES.len())];
                bytes.splice(at..at, piece.iter().copied());
            }
            3 => {
                let end = (at + random.below(12)).min(bytes.len());
                bytes.drain(at..end);
            }
            _ => {
                let other = SEEDS[random.below(SEEDS.len())];
                let from = random.below(other.len());
                bytes.splice(at..at, other[from..].iter().copied());
            }
        }
    }
    bytes
}

fn drive(target: fn(&[u8]), rounds: usize) {
    for seed in SEEDS {
        target(seed);
        for end in 0..seed.len() {
            target(&seed[..end]);
        }
    }
    let mut random = Random(0x5EED_2025_0111_0001);
    for _ in 0..rounds {
        target(&mutate(&mut random));
    }
}

#[test]
fn decoding_survives_mutated_messages() {
    drive(entry::decode, 20_000);
}

#[test]
fn parsing_survives_mutated_messages() {
    drive(entry::parse, 10_000);
}

#[test]
fn answering_survives_mutated_messages() {
    drive(entry::ack, 20_000);
}
