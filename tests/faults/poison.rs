//! A message that ends the process each time it is worked on.

use renkei_core::{Code, limits};
use renkei_sim::hospital::MllpClient;

use super::trial::{Setup, Trial};
use crate::harness::until;
use crate::people::{Told, message};
use crate::power::shim::Orders;

/// A name that stands nowhere else: whoever writes it into the ledger is ended.
const POISON: &str = "鴆毒";
/// The first end comes over a batch; then each attempt is counted.
const ENDS: u32 = limits::POISON_ATTEMPTS + 1;

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_ends_the_process_is_set_aside_and_the_others_flow() {
    let (mut trial, shim) = Trial::shimmed(Setup::new("poison")).await;
    shim.order(Orders {
        poison: POISON,
        ..Orders::default()
    });
    trial.tell_more(10);
    trial.acknowledged_more(20).await;
    // Somebody the hospital tells nothing else about.
    let mut person = trial.people[0].clone();
    person.local_id = "0000009999".to_owned();
    person.given = POISON.to_owned();
    trial.office.enrol(std::slice::from_ref(&person)).await;
    let poison = message(&Told::admitted(&person, 120).admit(), "POISON").bytes;
    let kept = "SELECT count(*) FROM message WHERE control = 'POISON'";
    until("the message is accepted", async || {
        // Until the gate has heard of the person it is turned away; and it may end the hub at once.
        let mut client = MllpClient::new(trial.hub.mllp());
        let _answer = client.send(&poison).await;
        trial.office.number(kept).await == 1
    })
    .await;
    let mut ends = 0;
    let failed = "SELECT count(*) FROM outcome JOIN message USING (position) WHERE control = 'POISON' AND state = 'failed'";
    loop {
        let (hub, office) = (&mut trial.hub, &trial.office);
        until("it ends, or the message is set aside", async || {
            !hub.is_running() || office.number(failed).await == 1
        })
        .await;
        if trial.hub.is_running() {
            break;
        }
        ends += 1;
        assert!(ends <= ENDS, "it ended {ends} times");
        trial.tell_more(5);
        trial.restart().await;
    }
    let code = "SELECT code FROM outcome JOIN message USING (position) WHERE control = 'POISON'";
    assert_eq!(trial.office.texts(code).await, [Code::INB_POISON.as_str()]);
    assert_ne!(ends, 0, "nothing was poisonous");
    trial.note(format!(
        "the process ended {ends} times, then the message was set aside"
    ));
    trial.settle().await;
}
