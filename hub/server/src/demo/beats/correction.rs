//! ⑥ A corrected prescription: 【訂正】 for those who saw the medicines, and for nobody else.

use std::collections::BTreeSet;

use renkei_core::NoticeKind;

use super::discharge::drugs;
use crate::demo::doors::Entry;
use crate::demo::page;
use crate::demo::play::{Play, SYSTEMS};

/// What the second drug is replaced by.
const INSTEAD: (&str, &str) = ("101234501", "カロナール錠２００　２００ｍｇ");

/// Plays it.
///
/// # Errors
/// When the stage fails.
pub async fn play(play: &mut Play) -> anyhow::Result<()> {
    page::beat("⑥", "訂正：退院処方が書き直された");
    let (at, ordered) = (play.today(15, 30), play.today(9, 0));
    let chart = play.chart("A")?;
    let old = drugs(&chart.prescribe(at, ordered)?)?;
    let corrected = chart.prescribe_instead(at, ordered, INSTEAD.0, INSTEAD.1)?;
    let names_a_drug = |entry: &Entry| old.iter().any(|drug| entry.text().contains(drug.as_str()));
    let saw = places(play, names_a_drug).await?;
    play.stage.file(&corrected).await?;
    play.settle().await?;
    page::tell("ストレージで処方のファイルが旧版（_2）になり、新しい版（_1）が書かれました。");
    let posts = play.show().await?;
    let marked = posts
        .iter()
        .filter(|(_, entry)| entry.headline().contains("【訂正】"))
        .count();
    play.checks
        .equal("【訂正】の投稿（増えた投稿のうち）", marked, posts.len());
    let told: BTreeSet<(&str, String)> = posts
        .iter()
        .map(|(peer, entry)| (*peer, entry.team_id.clone()))
        .collect();
    play.checks
        .equal("訂正が届いた所（薬を見ていた所と同じ）", told, saw);
    let follows = posts.iter().filter(|(peer, entry)| {
        entry.follows().is_some() || *peer == crate::demo::cast::NURSES_WARD
    });
    play.checks
        .equal("元の投稿とつながる訂正", follows.count(), posts.len());
    let event = play.event("A", NoticeKind::Discharge).await?;
    play.checks
        .equal("退院の通知の版（台帳）", event.versions, 2);
    Ok(())
}

/// Where a post of this kind stands.
async fn places(
    play: &Play,
    wanted: impl Fn(&Entry) -> bool,
) -> anyhow::Result<BTreeSet<(&'static str, String)>> {
    let mut places = BTreeSet::new();
    for (peer, ..) in SYSTEMS {
        let inside = play.inside(peer).await?;
        let found = inside.readable().filter(|entry| wanted(entry));
        places.extend(found.map(|entry| (peer, entry.team_id.clone())));
    }
    Ok(places)
}
