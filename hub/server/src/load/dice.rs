//! Numbers from a seed: the same seed plays the same day.

/// What is thrown for, so that two questions about one message get answers of their own.
#[derive(Debug, Clone, Copy)]
pub(crate) enum For {
    Patient,
    Kind,
    Duplicate,
    Correction,
    Value,
}

/// A number that depends on nothing but these three (splitmix64).
pub(crate) fn roll(seed: u64, question: For, place: u64) -> u64 {
    let mixed = seed.wrapping_add((question as u64) << 56);
    mix(mix(mixed).wrapping_add(place.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
}

fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Whether a throw falls into the first `share` of all throws; shares count in millionths.
pub(crate) fn within(roll: u64, share_ppm: u32) -> bool {
    roll % 1_000_000 < u64::from(share_ppm)
}
