//! Drives the fuzz entry functions with mutated seeds, so that plain `cargo test` exercises them.

#[path = "../fuzz/entry.rs"]
mod entry;

const SEEDS: [&[u8]; 7] = [
    b"MSH|^~\\&|SIM|H|GW|R|20250111113000.000||OUL^R22^OUL_R22|V1|P|2.5||||||~ISO IR87||ISO 2022-1994\r\
      PID|1||0000123456^^^^PI||\x1b$B;3K\\\x1b(B^\x1b$B5~;R\x1b(B^^^^^L^I~\x1b$B%d%^\x1b(J^^^^^^L^P||19390215|F\r\
      OBX|1|NM|3A015^\x1b$B%\"\x1b(B^JC10||3.1|g/dL^g/dL^ISO+|3.8-5.2|L|||F\r\x1c",
    b"\x0bMSH|^~\\&|A|||||||ADT^A08|1\nPID|||\x1b(ITO@^\x1b(B^\xD4\xCF\xC0\xDE|\x0eTO\x0f|\x1b$(D0!\x1b(B\x1b$B-!|b\n\x1c\r",
    "MSH|^~¥&|A|病院||||||ADT^A01|2|P|2.5||||||UNICODE UTF-8\r\nPID|||7||山本　京子~ﾔﾏﾓﾄ|〜−‖～－∥■〓\u{E000}\r\n".as_bytes(),
    b"MSH|^~\\&|A|||||||ADT^A01|3\rPID|||7||\x8E\x52\x96\x7B\xF0\x40\rPV1\rNTE|1||\\F\\\\S\\\\X0D\\\\M2442\\El5~\\C2842\\ \\\\.br\\ C:\\x\r",
    b"FHS|^~\\&\rBHS|^~\\&\rMSH|^~\\&|A\rPID|1\rMSH|^~\\&|B\rBTS|2\rFTS|1\r",
    b"MSH$%*!@#$A%B@C*D!F!$E\rPID$1\r",
    b"MSH|^~\\&|A|||||||ACK|4\rTQ1|1||1013044400000000&x&JAMISDP01|||5^d|20250111|S140215|^^^^1660004^JPN^H^x|^PRN^PH\r",
];

/// Pieces that matter to the decoder and the tokenizer.
const PIECES: [&[u8]; 16] = [
    b"\x1b$B",
    b"\x1b(B",
    b"\x1b(J",
    b"\x1b(I",
    b"\x1b$(D",
    b"\x1b",
    b"\x0e",
    b"\x0f",
    b"\r",
    b"\n",
    b"|",
    b"\\",
    b"^~&",
    b"\\X1B\\",
    b"MSH|^~\\&|",
    b"\xE5\xB1",
];

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
