//! ⑤ A peer goes down, answers are lost, the hub is killed: each post arrives once, in order.

use renkei_core::SinkName;
use serde_json::json;

use super::refusals::in_team;
use crate::demo::cast::{CARE_LINK, CLINIC_LINK};
use crate::demo::doors::until;
use crate::demo::page;
use crate::demo::play::Play;
use crate::demo::stage::{PATIENCE, TREE};
use crate::store::operator::{DeliveryFilter, Operator as _};
use crate::world::DeliveryState;

/// Rooms that the outage is about.
const ROOMS: [(&str, &str); 2] = [("C", "room-s-c"), ("F", "room-s-f")];

/// Plays it.
///
/// # Errors
/// When the stage fails.
pub async fn play(play: &mut Play) -> anyhow::Result<()> {
    page::beat("⑤", "障害：新宿のバイタルリンクが落ち、ハブも強制終了");
    lost_answers(play).await?;
    down(play).await?;
    play.stage.hub.kill().await?;
    page::tell(
        "ハブをSIGKILLで落としました。病院は書き続けます（Cの退院予定、Fの転棟、SS-MIX2）。",
    );
    let (planned, moved) = (play.today(14, 40), play.today(14, 45));
    let day = play.day;
    let plan = play.chart("C")?.plan(planned, day);
    let transfer = play.chart("F")?.transfer(moved, "6N");
    for event in [plan, transfer] {
        play.stage.at(event.at).await?;
        play.stage.emr.file(&event).await?;
    }
    play.stage.open(&[TREE]).await?;
    play.stage.read().await?;
    play.settle_only().await?;
    page::tell("ハブを起動し直し、バイタルリンクも戻しました。");
    play.stage.doors(CLINIC_LINK)?.fail(&json!({})).await?;
    play.stage.calm().await?;
    play.show().await?;
    once_and_in_order(play).await
}

/// The peer takes a message and its answer is lost on the way back, every time.
async fn lost_answers(play: &mut Play) -> anyhow::Result<()> {
    let before = in_team(play, CLINIC_LINK, "room-s-c").await?;
    let plan = json!({"drop": "after", "only": "/messages"});
    play.stage.doors(CLINIC_LINK)?.fail(&plan).await?;
    let at = play.today(14, 10);
    let transfer = play.chart("C")?.transfer(at, "5W");
    play.wire([transfer]).await?;
    play.settle_only().await?;
    let repeated = until("the hub tries again", PATIENCE, async || {
        let inside = play.inside(CLINIC_LINK).await?;
        Ok((inside.counts.replayed > 0).then_some(inside.counts.replayed))
    })
    .await?;
    page::tell(&format!(
        "Cの転棟（A02）：相手は受け取ったのに返事が届きません。ハブは同じ番号で送り直し、相手は{repeated}回「受信済み」と見分けました。"
    ));
    let there = in_team(play, CLINIC_LINK, "room-s-c").await?;
    play.checks.equal("Cの部屋に増えた投稿", there - before, 1);
    Ok(())
}

/// The peer does not answer at all; the others go on.
async fn down(play: &mut Play) -> anyhow::Result<()> {
    play.stage
        .doors(CLINIC_LINK)?
        .fail(&json!({"status": 503}))
        .await?;
    let (register, at) = (play.today(14, 29), play.today(14, 30));
    let chart = play.chart("F")?;
    let events = [chart.register(register), chart.admit(at)];
    play.wire(events).await?;
    play.stage.settled().await?;
    let filter = DeliveryFilter {
        state: Some(DeliveryState::Pending),
        sink: Some(SinkName::new(CLINIC_LINK)),
        ..DeliveryFilter::default()
    };
    let waiting = until("both deliveries wait", PATIENCE, async || {
        let others = in_team(play, CARE_LINK, "room-g-f").await?;
        let waiting = play.stage.ledger.deliveries(&filter).await?;
        // The first in line was tried; while the sink is paused the others wait behind it.
        let told_why = waiting.iter().any(|delivery| delivery.code.is_some());
        Ok((others == 1 && waiting.len() == ROOMS.len() && told_why).then_some(waiting.len()))
    })
    .await?;
    page::tell(&format!(
        "Fの入院（A01）：新宿のバイタルリンクは503。{waiting}人分が待ち、杉並のケアマネジャーには待たせず届きました。"
    ));
    Ok(())
}

async fn once_and_in_order(play: &mut Play) -> anyhow::Result<()> {
    let inside = play.inside(CLINIC_LINK).await?;
    let twice = inside.keys.iter().filter(|key| key.effects > 1).count();
    let again = inside.keys.iter().filter(|key| key.requests > 1).count();
    play.checks.equal("2回見えた投稿（シミュレータ）", twice, 0);
    play.checks
        .hold("送り直しは実際にあった", again > 0, &format!("{again}件"));
    let (people, filter) = (
        play.people().await?,
        DeliveryFilter {
            state: Some(DeliveryState::Delivered),
            sink: Some(SinkName::new(CLINIC_LINK)),
            limit: 1_000,
            ..DeliveryFilter::default()
        },
    );
    let mut deliveries = play.stage.ledger.deliveries(&filter).await?;
    deliveries.reverse();
    for (letter, room) in ROOMS {
        let of_person = deliveries.iter().filter(|delivery| {
            people
                .get(&delivery.person)
                .is_some_and(|who| *who == letter)
        });
        let planned: Vec<&str> = of_person
            .filter_map(|delivery| Some(delivery.peer_ref.as_ref()?.as_str()))
            .collect();
        let arrived = inside.readable().filter(|entry| entry.team_id == room);
        let arrived: Vec<&str> = arrived.map(|entry| entry.entry_id.as_str()).collect();
        play.checks.equal(
            &format!("{letter}の投稿の順（シミュレータと台帳）"),
            arrived,
            planned,
        );
    }
    Ok(())
}
