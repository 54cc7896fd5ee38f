//! ④ What does not go: no consent, a namesake, a death, a group that is about somebody else.

use anyhow::Context as _;
use renkei_core::{Code, NoticeKind};

use crate::demo::cast::{CLINIC_LINK, PHARMACY_MCS};
use crate::demo::page;
use crate::demo::play::Play;
use crate::store::operator::{Decision, Operator as _};

/// Plays it.
///
/// # Errors
/// When the stage fails.
pub async fn play(play: &mut Play) -> anyhow::Result<()> {
    page::beat(
        "④",
        "止める：同意なし、同姓同名、亡くなった方、別人のグループ",
    );
    without_consent(play).await?;
    namesake(play).await?;
    death(play).await?;
    other_header(play).await
}

async fn without_consent(play: &mut Play) -> anyhow::Result<()> {
    let at = play.today(13, 0);
    let admit = play.chart("B")?.admit(at);
    play.wire([admit]).await?;
    play.stage.calm().await?;
    page::tell("B：グループはあるが、同意書がない患者の入院。");
    stopped(play, "B", NoticeKind::Admission, Code::RTE_NO_CONSENT).await?;
    let there = in_team(play, PHARMACY_MCS, "g-b").await?;
    play.checks.equal("Bのグループの投稿", there, 0);
    Ok(())
}

async fn namesake(play: &mut Play) -> anyhow::Result<()> {
    let before = in_team(play, CLINIC_LINK, "room-s-a").await?;
    let (at, later) = (play.today(13, 5), play.today(13, 6));
    let chart = play.chart("C")?;
    let (admit, register) = (chart.admit(at), chart.register(later));
    play.wire([admit, register]).await?;
    play.stage.calm().await?;
    page::tell("C：Aと同じカナ、生年月日が1日違う患者の入院。名前では決めず、人の確認を待ちます。");
    let reviews = play.stage.ledger.reviews().await?;
    let review = reviews.first().context("nobody waits for a reviewer")?;
    let code = Code::IDN_AMBIGUOUS.as_str();
    play.checks
        .hold("確認待ちになる", review.code == code, &review.code);
    play.stopped
        .push(("C", format!("{}（人が別人と確認）", review.code)));
    play.checks.equal("確認を待つ電文", review.parked, 2);
    play.checks.equal(
        "確認までのCの投稿",
        in_team(play, CLINIC_LINK, "room-s-c").await?,
        0,
    );
    let by = play.by("医療連携室", "保険証と生年月日を本人に確認、別人");
    let record = review.record.record;
    let released = play
        .stage
        .ledger
        .decide_review(record, Decision::NewPerson, &by)
        .await?;
    play.stage.calm().await?;
    page::tell(&format!(
        "  医療連携室が別人と確認し、待っていた{released}通が進みました。"
    ));
    play.show().await?;
    let (own, other) = (
        in_team(play, CLINIC_LINK, "room-s-c").await?,
        in_team(play, CLINIC_LINK, "room-s-a").await?,
    );
    play.checks.equal("Cの部屋の投稿", own, 1);
    play.checks.equal("Aの部屋に増えた投稿", other - before, 0);
    Ok(())
}

async fn death(play: &mut Play) -> anyhow::Result<()> {
    let (at, died, told) = (play.today(13, 10), play.today(13, 30), play.today(13, 40));
    let chart = play.chart("D")?;
    let (admit, death) = (chart.admit(at), chart.death(told, died));
    play.wire([admit]).await?;
    play.stage.calm().await?;
    let before = in_team(play, CLINIC_LINK, "room-s-d").await?;
    page::tell("D：入院した方が亡くなりました（PV1-36 = 20）。機械は知らせず、人を待ちます。");
    play.show().await?;
    play.wire([death]).await?;
    play.settle().await?;
    stopped(play, "D", NoticeKind::Discharge, Code::RTE_NEVER_AUTOMATIC).await?;
    let after = in_team(play, CLINIC_LINK, "room-s-d").await?;
    play.checks.equal("Dの部屋に増えた投稿", after - before, 0);
    Ok(())
}

async fn other_header(play: &mut Play) -> anyhow::Result<()> {
    let at = play.today(13, 55);
    let somebody_else = play.cast.patient("F")?.header();
    play.stage
        .doors(PHARMACY_MCS)?
        .rename_patient("g-e", &somebody_else)
        .await?;
    let admit = play.chart("E")?.admit(at);
    play.wire([admit]).await?;
    play.stage.calm().await?;
    page::tell(
        "E：MCSグループの患者欄が、いつの間にか別の人になっていました。投稿の直前に読み直して止めます。",
    );
    stopped(play, "E", NoticeKind::Admission, Code::DLV_HEADER_DIFFERS).await?;
    let there = in_team(play, PHARMACY_MCS, "g-e").await?;
    play.checks.equal("Eのグループの投稿", there, 0);
    Ok(())
}

/// The ledger says that an event was stopped, and why.
async fn stopped(
    play: &mut Play,
    letter: &str,
    kind: NoticeKind,
    code: Code,
) -> anyhow::Result<()> {
    let event = play.event(letter, kind).await?;
    let held = event
        .deliveries
        .iter()
        .filter_map(|delivery| delivery.code.clone());
    let found: Vec<String> = event.decisions.iter().cloned().chain(held).collect();
    let named = found.iter().any(|reason| reason.contains(code.as_str()));
    play.checks
        .hold(&format!("止めた理由は{code}"), named, &found.join("、"));
    Ok(())
}

/// Posts in a group.
pub(super) async fn in_team(play: &Play, peer: &str, team: &str) -> anyhow::Result<usize> {
    let inside = play.inside(peer).await?;
    Ok(inside
        .readable()
        .filter(|entry| entry.team_id == team)
        .count())
}
