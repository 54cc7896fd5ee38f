//! What watching reads and keeps.

use renkei_core::{Code, SinkName};

use super::House;
use super::fixture::*;
use crate::store::Store;
use crate::store::operator::Operator;
use crate::store::watch::{AlarmLine, LineStanding, Standing, Watch};
use crate::world::{DeliveryState, Finish};

pub(in crate::store) async fn how_the_queues_stand(house: &impl House) {
    let ledger = house.command().await.unwrap();
    let empty = ledger.standing(at(0)).await.unwrap();
    assert_eq!((empty.oldest_waiting_secs, empty.lines.len()), (None, 0));
    assert!(empty.bytes > 0, "a database takes space");
    let channel = one_stay(&ledger).await;
    let id = settled(&ledger, 1, &channel, 600).await;
    accepted(&ledger, "B", 2).await;
    let mut cut = message("cut", "MSH|cut");
    cut.message.refused = Some(Code::HL7_FRAME_TRUNCATED);
    ledger.accept(vec![cut]).await.unwrap();
    let standing = ledger.standing(at(660)).await.unwrap();
    let line = LineStanding {
        pending: 1,
        oldest_pending_secs: Some(60),
        sent: 0,
    };
    let expected = Standing {
        oldest_waiting_secs: Some(660),
        waiting: 2,
        failed: 1,
        lines: [(channel.sink.clone(), line)].into(),
        bytes: standing.bytes,
        log_bytes: standing.log_bytes,
        ..Standing::default()
    };
    assert_eq!(standing, expected);
    let finish = |state, code| Finish {
        id: id.clone(),
        state,
        code,
        due_at: Some(at(700)),
        peer_ref: None,
        attempt: Some("tried"),
        at: at(670),
    };
    let done = vec![finish(DeliveryState::Held, Some(Code::RTE_BUDGET))];
    ledger.finish(done, Vec::new()).await.unwrap();
    let standing = ledger.standing(at(680)).await.unwrap();
    assert_eq!(standing.held[Code::RTE_BUDGET.as_str()], 1);
    assert!(standing.lines.is_empty() && standing.dead.is_empty());
    // A released delivery has waited since its release, however old it is.
    let which = crate::store::operator::Selection::These(vec![id.clone()]);
    ledger.release(&which, &by(5_000)).await.unwrap();
    let standing = ledger.standing(at(5_010)).await.unwrap();
    assert_eq!(standing.lines[&channel.sink].oldest_pending_secs, Some(10));
    let done = vec![finish(DeliveryState::Sent, None)];
    ledger.finish(done, Vec::new()).await.unwrap();
    let line =
        ledger.standing(at(5_020)).await.unwrap().lines[&SinkName::new(channel.sink.as_str())];
    assert_eq!(
        (line.pending, line.oldest_pending_secs, line.sent),
        (0, None, 1)
    );
}

pub(in crate::store) async fn an_alarm_turns_once(house: &impl House) {
    let (ledger, other) = (
        house.command().await.unwrap(),
        house.command().await.unwrap(),
    );
    let alarm = |raised, seconds| AlarmLine {
        name: "oldest_pending".to_owned(),
        sink: "mcs".to_owned(),
        raised,
        since: at(seconds),
        value: 4_000,
        told: false,
    };
    assert!(ledger.turn_alarm(&alarm(true, 10)).await.unwrap());
    assert!(
        !other.turn_alarm(&alarm(true, 11)).await.unwrap(),
        "said by the first"
    );
    assert_eq!(other.alarms().await.unwrap(), [alarm(true, 10)]);
    // What was told before it turned says nothing about how it stands now.
    assert!(other.turn_alarm(&alarm(false, 20)).await.unwrap());
    ledger.alarm_told(&alarm(true, 10)).await.unwrap();
    assert_eq!(ledger.alarms().await.unwrap(), [alarm(false, 20)]);
    ledger.alarm_told(&alarm(false, 20)).await.unwrap();
    assert!(ledger.alarms().await.unwrap()[0].told);
    assert!(ledger.turn_alarm(&alarm(true, 30)).await.unwrap());
    assert_eq!(ledger.alarms().await.unwrap(), [alarm(true, 30)]);
}
