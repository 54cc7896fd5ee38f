//! More comes than can be done.

use super::trial::{PATIENCE, Setup, Trial};
use crate::harness::until_within;
use crate::power::shim::Orders;

const MESSAGES: usize = 20_000;
const PEOPLE: usize = 256;
const CONNECTIONS: usize = 64;
/// Memory under load, as the design promises it.
const MEMORY: u64 = 300 << 20;
/// What a sync takes longer on a disk that is in trouble, in milliseconds.
const SLOW: i32 = 40;

#[tokio::test(flavor = "multi_thread")]
async fn a_long_queue_on_a_slow_disk_slows_senders_and_loses_nothing() {
    let mut setup = Setup::new("long queue on a slow disk");
    setup.inpatients = 2;
    setup.outpatients = PEOPLE;
    setup.results = MESSAGES / PEOPLE + 1;
    setup.connections = CONNECTIONS;
    let (mut trial, shim) = Trial::shimmed(setup).await;
    let idle = trial.hub.memory();
    shim.order(Orders {
        slow_sync: SLOW,
        ..Orders::default()
    });
    trial.sender.tell(|orders| orders.fill = true);
    let (mut most, mut longest, mut waited) = (0, 0, 0);
    let (sender, hub, office) = (&trial.sender, &trial.hub, &trial.office);
    until_within("everything is acknowledged", PATIENCE, async || {
        most = most.max(hub.memory());
        waited = waited.max(sender.unacknowledged());
        longest = longest.max(office.number("SELECT count(*) FROM waiting").await);
        sender.acknowledged() >= MESSAGES
    })
    .await;
    shim.order(Orders::default());
    assert_eq!(sender.refused(), 0, "nobody was put off");
    assert_eq!(sender.connections(), CONNECTIONS, "none was dropped");
    assert!(waited > CONNECTIONS, "senders waited for their answers");
    trial.note(format!(
        "memory {} MiB idle, {} MiB at most, {longest} waiting at most, {waited} unacknowledged at most",
        idle >> 20,
        most >> 20
    ));
    assert!(most < MEMORY, "{most} bytes");
    trial.settle().await;
}
