//! The clock jumps, and the process stands still.

use std::time::Duration;

use renkei::world::DeliveryState;
use renkei_core::Code;
use renkei_sim::hospital::Person;
use serde_json::json;

use super::trial::{Setup, Trial};
use crate::harness::{TestHub, until};
use crate::hub::Config;
use crate::people::Told;
use crate::power::shim::Orders;

const DAY: i64 = 24 * 3600;

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_by_a_day_stalls_nothing_and_repeats_nothing() {
    let (mut trial, shim) = Trial::shimmed(Setup::new("clock jumps of a day")).await;
    for days in [1, 0, -1, 0] {
        // Some wait for the next try when the clock jumps, some are under way.
        let down = json!({"status": 503});
        trial.district.mcs.doors.faults(down).await;
        trial.tell_more(16);
        trial.acknowledged_more(30).await;
        let office = &trial.office;
        until("the sink is paused", async || {
            let waits = office.codes(DeliveryState::Pending).await;
            waits.contains_key(Code::DLV_SINK_UNAVAILABLE.as_str())
        })
        .await;
        shim.order(Orders {
            clock_seconds: days * DAY,
            ..Orders::default()
        });
        trial.district.mcs.doors.faults(json!({})).await;
        trial.note(format!("clock at {days:+} d"));
        trial.caught_up().await;
    }
    trial.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn notices_that_settle_are_told_although_the_clock_was_set_back() {
    let person = Person::synthetic(1);
    let config = Config {
        settle_secs: 5,
        ..Config::default()
    };
    let (mut hub, shim) = TestHub::shimmed(std::slice::from_ref(&person), config).await;
    let mut told = Told::admitted(&person, 300);
    hub.process(&told.admit()).await;
    hub.idle().await;
    // An admission is told at once; a discharge waits for what belongs to it. (The admission looks again
    // whether the stay still is what it told.)
    let discharge = told.discharge(200, "01");
    hub.process(&discharge).await;
    let settling = "SELECT count(*) FROM notice WHERE due_at IS NOT NULL AND version = 0";
    assert_eq!(hub.office.number(settling).await, 1);
    shim.order(Orders {
        clock_seconds: -DAY,
        ..Orders::default()
    });
    hub.idle().await;
    assert_eq!(hub.district.mcs.doors.told_of(&person).await.len(), 2);
    assert!(hub.hub.log_text().contains("the clock was set back"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_stood_still_for_a_minute_goes_on() {
    let mut trial = Trial::start(Setup::new("SIGSTOP for 60 s"), async |_, _, _| {}).await;
    trial.tell_more(100);
    trial.acknowledged_more(60).await;
    trial.hub.freeze(true);
    let unacknowledged = trial.sender.unacknowledged();
    tokio::time::sleep(Duration::from_secs(60)).await;
    trial.note(format!(
        "{unacknowledged} unacknowledged when it was stopped"
    ));
    trial.hub.freeze(false);
    trial.settle().await;
}
