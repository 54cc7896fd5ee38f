//! ① Admission: the team knows at once.

use renkei_core::NoticeKind;

use crate::demo::cast::{CARE_LINK, NURSES_WARD};
use crate::demo::chart::STAY_DAYS;
use crate::demo::page;
use crate::demo::play::Play;
use crate::store::operator::{DeliveryFilter, MessageFilter, Operator as _};

/// Plays it.
///
/// # Errors
/// When the stage fails.
pub async fn play(play: &mut Play) -> anyhow::Result<()> {
    page::beat("①", "入院：ケアマネジャーと訪問看護に、その場で届く");
    let day = STAY_DAYS;
    let (registered, listed) = (play.before(day, 9, 0), play.before(day, 9, 1));
    let admitted = play.before(day, 10, 15);
    let chart = play.chart("A")?;
    let (register, allergies) = (chart.register(registered), chart.allergies(listed)?);
    let admit = chart.admit(admitted);
    page::tell(
        "病院のSS-MIX2ストレージに患者基本（ADT-00）とアレルギー（ADT-61）、続いて入院（ADT^A01）がMLLPで届きました。",
    );
    play.stage.file(&register).await?;
    play.stage.file(&allergies).await?;
    play.wire([admit]).await?;
    play.stage.calm().await?;
    let posts = play.show().await?;
    let told = |peer: &str| posts.iter().filter(|(at, _)| *at == peer).count();
    let event = play.event("A", NoticeKind::Admission).await?;
    let sent = |peer: &str| {
        let here = |delivery: &&_| is_told(delivery, peer);
        event.deliveries.iter().filter(here).count()
    };
    for (peer, who) in [(CARE_LINK, "ケアマネジャー"), (NURSES_WARD, "訪問看護")] {
        let (there, here) = (told(peer), sent(peer));
        play.checks.equal(
            &format!("{who}に届いた投稿（シミュレータと台帳）"),
            there,
            here,
        );
        play.checks
            .hold(&format!("{who}に1通"), there == 1, &there.to_string());
    }
    let ledger = &play.stage.ledger;
    let received = ledger.messages(&MessageFilter::default()).await?;
    let received = received
        .iter()
        .filter(|message| message.source.as_str() == crate::demo::stage::WIRE);
    let deliveries = ledger.deliveries(&DeliveryFilter::default()).await?;
    let last = deliveries
        .iter()
        .filter(|delivery| delivery.sink.as_str() == CARE_LINK)
        .filter_map(|delivery| delivery.told_at)
        .max();
    if let (Some(from), Some(to)) = (received.map(|message| message.received_at).min(), last) {
        let took = to.duration_since(from).as_millis();
        page::tell(&format!(
            "  入院の電文を受け取ってからケアマネジャーに渡すまで {took} ミリ秒。"
        ));
    }
    Ok(())
}

/// Whether a delivery stands where people can read it.
pub(super) fn is_told(delivery: &crate::store::operator::EventDelivery, peer: &str) -> bool {
    use crate::world::DeliveryState::{Delivered, Sent};
    delivery.sink.as_str() == peer && matches!(delivery.state, Delivered | Sent)
}
