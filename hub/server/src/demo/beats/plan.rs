//! ② The planned day of discharge.

use renkei_core::NoticeKind;

use super::admission::is_told;
use crate::demo::page;
use crate::demo::play::{Play, SYSTEMS};

/// Plays it.
///
/// # Errors
/// When the stage fails.
pub async fn play(play: &mut Play) -> anyhow::Result<()> {
    page::beat("②", "退院予定日：準備の時間ができる");
    let (early, at, day) = (play.before(20, 11, 30), play.before(3, 9, 0), play.day);
    let collected = play.before(20, 7, 0);
    let chart = play.chart("A")?;
    let results = chart.results(early, collected, "2.8", crate::demo::chart::Way::Storage)?;
    let plan = chart.plan(at, day);
    play.stage.file(&results).await?;
    play.settle().await?;
    let quiet = play.show().await?;
    play.checks.equal(
        "入院中の検査結果（OML-11）だけでは投稿しない",
        quiet.len(),
        0,
    );
    play.wire([plan]).await?;
    let minutes = play.settle().await?;
    page::tell(&format!(
        "退院の3日前、退院予定（ADT^A16）が届きました。話の時計を{minutes}分進めると、通知がまとまります。"
    ));
    let posts = play.show().await?;
    let event = play.event("A", NoticeKind::DischargePlan).await?;
    for (peer, column, _) in SYSTEMS {
        let there = posts.iter().filter(|(at, _)| *at == peer).count();
        let here = event
            .deliveries
            .iter()
            .filter(|delivery| is_told(delivery, peer))
            .count();
        play.checks
            .equal(&format!("{column}（シミュレータと台帳）"), there, here);
    }
    Ok(())
}
