//! `bench convert`: an ISO-2022-JP message to the complete JP Core JSON of its draft, against the part of
//! it that nobody can save: decoding the bytes, looking at each once for delimiters, and writing the same
//! JSON from values that lie ready.
//!
//! CPU time of this thread, both sides in turns on the same message, median of the turns.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::Timestamp;
use renkei_core::{FacilityId, Mapper, Message, MessageId, Meta, SourceName};
use renkei_mappings::Options;

use super::prebuilt::Prebuilt;
use super::{Failure, Report, float, median, thread_cpu};
use crate::load::messages::{self, Kind};

/// CPU time of one turn of one side, roughly.
const TURN: Duration = Duration::from_millis(10);

/// One message with both ways to convert it.
struct Case {
    kind: Kind,
    message: Message,
    mapper: Arc<dyn Mapper>,
    prebuilt: Vec<Prebuilt>,
    json_bytes: usize,
    resources: usize,
    /// Reused by the limit: it allocates nothing for its output.
    written: Vec<u8>,
}

/// Converts each kind of message for its share of `seconds`; the ratio is that of the ORU with 40 OBX.
///
/// # Errors
/// [`Failure`] when a message cannot be built or mapped, or the two sides do not give the same JSON.
pub fn run(seconds: f64) -> Result<Report, Failure> {
    let mut report = Report {
        bench: "convert",
        ratio: 0.0,
        ratio_is: "CPU of ISO-2022-JP ORU^R01 with 40 OBX -> all JSON of the draft, over CPU of decode + memchr + writing the same JSON",
        target: "<= 3",
        conditions: vec![
            "thread CPU clock, turns of both sides interleaved, median of the turns".to_owned(),
        ],
        figures: Vec::new(),
    };
    let share = Duration::from_secs_f64(seconds / 4.0);
    for kind in Kind::ALL {
        let mut case = Case::new(kind)?;
        let (ours, limit, ratio) = case.measure(share)?;
        let label = |what: &str| format!("convert.{}.{what}", kind.name());
        report.add(label("cpu"), ours, "us");
        report.add(label("limit_cpu"), limit, "us");
        report.add(label("input"), float(case.message.body.len()), "bytes");
        report.add(label("json"), float(case.json_bytes), "bytes");
        report.add(label("resources"), float(case.resources), "resources");
        if kind == Kind::Oru40 {
            report.ratio = ratio;
        } else {
            report.add(label("over_limit"), ratio, "x");
        }
    }
    Ok(report)
}

impl Case {
    fn new(kind: Kind) -> Result<Self, Failure> {
        let problem = |error: &dyn std::fmt::Display| Failure::Message(error.to_string());
        let facility = FacilityId::new("1312345670").map_err(|error| problem(&error))?;
        let mapper = renkei_mappings::build("hl7v2", Options::new(facility.clone()))
            .map_err(|error| problem(&error))?;
        let message = Message {
            id: MessageId(1),
            source: SourceName::new("bench"),
            facility,
            body: Bytes::from(messages::message(kind, 1, "BENCH0000000001")?),
            meta: Meta::default(),
            received_at: Timestamp::now(),
        };
        let draft = mapper.map(&message).map_err(|error| problem(&error))?;
        let bodies = draft
            .resources
            .iter()
            .map(|resource| resource.body.expose());
        let prebuilt = bodies.map(|body| {
            let tree = Prebuilt::parse(body).map_err(|error| problem(&error))?;
            match serde_json::to_string(&tree) {
                Ok(written) if written == *body => Ok(tree),
                Ok(_) | Err(_) => Err(Failure::Unequal(
                    "the prebuilt JSON is not the draft's".to_owned(),
                )),
            }
        });
        let prebuilt = prebuilt.collect::<Result<Vec<_>, _>>()?;
        let json_bytes = draft
            .resources
            .iter()
            .map(|resource| resource.body.expose().len())
            .sum();
        Ok(Self {
            kind,
            message,
            mapper,
            resources: prebuilt.len(),
            prebuilt,
            json_bytes,
            written: Vec::new(),
        })
    }

    /// Bytes to draft; gives the bytes of JSON made.
    fn convert(&self) -> usize {
        match self.mapper.map(black_box(&self.message)) {
            Ok(draft) => {
                let bodies = black_box(&draft).resources.iter();
                bodies.map(|resource| resource.body.expose().len()).sum()
            }
            Err(_) => 0,
        }
    }

    /// What cannot be saved; gives the bytes of JSON written.
    fn limit(&mut self) -> usize {
        let body = black_box(&self.message.body);
        let (text, _) = encoding_rs::ISO_2022_JP.decode_without_bom_handling(body);
        let delimiters = memchr::memchr3_iter(b'|', b'^', b'\r', text.as_bytes()).count();
        black_box(delimiters);
        self.written.clear();
        for resource in black_box(&self.prebuilt) {
            if serde_json::to_writer(&mut self.written, resource).is_err() {
                return 0;
            }
        }
        black_box(&self.written).len()
    }

    /// Microseconds of CPU per message: ours, the limit, and the median of the turns' ratios.
    fn measure(&mut self, share: Duration) -> Result<(f64, f64, f64), Failure> {
        for (side, bytes) in [("conversion", self.convert()), ("limit", self.limit())] {
            if bytes != self.json_bytes {
                let text = format!(
                    "{} wrote {bytes} bytes of JSON for {}, not {}",
                    side,
                    self.kind.name(),
                    self.json_bytes
                );
                return Err(Failure::Unequal(text));
            }
        }
        let ours_per_turn = calls_per_turn(|| self.convert());
        let limits_per_turn = calls_per_turn(|| self.limit());
        let (mut ours, mut limits, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        let until = Instant::now() + share;
        while ours.len() < 3 || Instant::now() < until {
            let our = turn(ours_per_turn, || self.convert());
            let limit = turn(limits_per_turn, || self.limit());
            ours.push(our);
            limits.push(limit);
            ratios.push(our / limit);
        }
        Ok((median(&mut ours), median(&mut limits), median(&mut ratios)))
    }
}

/// How many calls fill a turn; warms up at the same time.
fn calls_per_turn(mut call: impl FnMut() -> usize) -> u32 {
    let mut calls = 1;
    loop {
        let took = turn(calls, &mut call) * f64::from(calls);
        if took >= TURN.as_secs_f64() * 1e6 || calls > 1 << 20 {
            return calls;
        }
        calls *= 2;
    }
}

/// Microseconds of CPU per call.
fn turn(calls: u32, mut call: impl FnMut() -> usize) -> f64 {
    let before = thread_cpu();
    for _ in 0..calls {
        black_box(call());
    }
    (thread_cpu() - before).as_secs_f64() * 1e6 / f64::from(calls)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sides_agree_and_give_one_ratio() {
        let report = run(0.2).unwrap();
        assert!(
            report.ratio > 1.0,
            "nothing converts for less than its limit"
        );
        let lines = report.lines();
        assert_eq!(
            lines
                .iter()
                .filter(|line| line.starts_with("ratio convert "))
                .count(),
            1
        );
    }

    #[test]
    fn the_message_is_the_one_that_is_announced() {
        let case = Case::new(Kind::Oru40).unwrap();
        assert!((7_000..11_000).contains(&case.message.body.len()));
        assert!(case.resources >= 42, "patient, report and 40 observations");
        assert!((1_000..1_700).contains(&Case::new(Kind::Adt).unwrap().message.body.len()));
    }
}
