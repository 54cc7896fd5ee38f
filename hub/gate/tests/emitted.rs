//! Everything renkei emits survives the second opinion.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot prepare its input should stop"
)]

mod samples;

use renkei_gate::round_trip;

#[test]
fn every_emitted_struct_survives() {
    let samples = samples::all();
    assert!(samples.len() > 30);
    for (name, json) in samples {
        match round_trip(&json) {
            Ok(differences) => assert_eq!(differences, [], "{name}: {json}"),
            Err(error) => panic!("{name}: {error}: {json}"),
        }
    }
}
