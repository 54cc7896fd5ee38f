//! The network between the hub and its sinks.

use super::proxy::{Proxy, Wire};
use super::trial::{PATIENCE, Setup, Trial};
use crate::harness::until_within;
use crate::peers::SINKS;

/// Deliveries of a sink that are not told yet.
async fn open(trial: &Trial, sink: &str) -> i64 {
    let count = match sink {
        "mcs" => "SELECT count(*) FROM delivery WHERE state = 'pending' AND sink = 'mcs'",
        "vital_link" => {
            "SELECT count(*) FROM delivery WHERE state = 'pending' AND sink = 'vital_link'"
        }
        _ => "SELECT count(*) FROM delivery WHERE state = 'pending' AND sink = 'ward'",
    };
    trial.office.number(count).await
}

/// Everything is processed and settled, and only `sink` has not been told all of it.
async fn all_but(trial: &Trial, sink: &str) {
    let left = "SELECT (SELECT count(*) FROM waiting) + (SELECT count(*) FROM notice WHERE due_at IS NOT NULL) + (SELECT count(*) FROM reroute)";
    until_within("the others have everything", PATIENCE, async || {
        let mut others = 0;
        for other in SINKS.into_iter().filter(|other| *other != sink) {
            others += open(trial, other).await;
        }
        others + trial.office.number(left).await == 0 && trial.sender.unacknowledged() == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_behind_a_broken_wire_delays_no_other_and_is_told_everything_later() {
    let mut setup = Setup::new("network cut to sinks");
    setup.config.timeout_millis = 4_000;
    let mut proxies = Vec::new();
    let mut trial = Trial::start(setup, async |_, district, config| {
        for sink in SINKS {
            let proxy = Proxy::to(&district.sim(sink).url()).await;
            config.through.push((sink, proxy.url()));
            proxies.push(proxy);
        }
    })
    .await;
    trial.tell_more(12);
    trial.acknowledged_more(24).await;
    for (place, sink) in SINKS.into_iter().enumerate() {
        for wire in [Wire::Silent, Wire::Cut] {
            proxies[place].set(wire);
            trial.tell_more(10);
            trial.acknowledged_more(12).await;
            all_but(&trial, sink).await;
            let waits = open(&trial, sink).await;
            trial.note(format!(
                "{sink} {wire:?}: {waits} waited for it and none for others"
            ));
            assert!(waits > 0, "{sink} {wire:?}: nothing was held up");
            proxies[place].set(Wire::Whole);
            trial.caught_up().await;
        }
    }
    // All at once, in the middle of everything.
    trial.tell_more(10);
    for wire in [Wire::Cut, Wire::Whole, Wire::Silent, Wire::Cut, Wire::Whole] {
        proxies.iter().for_each(|proxy| proxy.set(wire));
        let pause = std::time::Duration::from_millis(100 + trial.dice.roll(400));
        tokio::time::sleep(pause).await;
    }
    trial.settle().await;
}
