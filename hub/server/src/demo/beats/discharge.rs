//! ③ Five messages in seven minutes become one notice, each reader gets a share of it, and 了解 come
//! back.

use anyhow::Context as _;
use renkei_core::NoticeKind;
use renkei_sim::hospital::{Event, What};

use super::admission::is_told;
use crate::config::check::usual_font;
use crate::demo::cast::{CLINIC_LINK, NURSES_WARD, PHARMACY_MCS};
use crate::demo::chart::Way;
use crate::demo::doors::{Entry, until};
use crate::demo::page;
use crate::demo::play::{Play, SYSTEMS};
use crate::demo::stage::{PATIENCE, TREE, WIRE};
use crate::store::operator::{LedgerCounts, Operator as _};

/// Plays it.
///
/// # Errors
/// When the stage fails.
pub async fn play(play: &mut Play) -> anyhow::Result<()> {
    page::beat("③", "退院：7分間に5つの知らせ、通知は1つ");
    let before = play.stage.ledger.ledger_counts().await?;
    let prescription = tell(play).await?;
    let minutes = play.settle().await?;
    let after = play.stage.ledger.ledger_counts().await?;
    let event = play.event("A", NoticeKind::Discharge).await?;
    let came = from_hospital(&after) - from_hospital(&before);
    page::tell(&format!(
        "11:25 退院（A03、MLLP）、11:26 退院処方（OMP-01）、11:28 病名（PPR-01）、11:30 検査（ORU^R01、MLLP）、\n\
         11:32 退院時サマリー（拡張ストレージ、CDAとPDF）。受け取った電文とファイルは{came}件、\n\
         最後の知らせから{minutes}分たつと通知は{}つ（第{}版）になります。",
        total(&after.notices) - total(&before.notices),
        event.versions
    ));
    let posts = play.show().await?;
    play.checks.equal(
        "通知の数（台帳）",
        total(&after.notices) - total(&before.notices),
        1,
    );
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
    shares(play, &posts, &drugs(&prescription)?)?;
    acknowledge(play, &posts).await
}

/// The hospital tells five things; gives the prescription.
async fn tell(play: &mut Play) -> anyhow::Result<Event> {
    let at = |minute| play.today(11, minute);
    let [left, first, second, third, fourth, fifth] = [0, 25, 26, 28, 30, 32].map(at);
    let (ordered, collected) = (play.today(9, 0), play.today(7, 0));
    let chart = play.chart("A")?;
    let discharge = chart.discharge(first, left);
    let prescription = chart.prescribe(second, ordered)?;
    let problems = chart.problems(third)?;
    let results = chart.results(fourth, collected, "3.1", Way::Laboratory)?;
    let summary = chart.summary(fifth)?;
    play.wire([discharge]).await?;
    play.stage.file(&prescription).await?;
    play.stage.file(&problems).await?;
    play.wire([results]).await?;
    play.stage.file(&summary).await?;
    Ok(prescription)
}

/// Names of a prescription's drugs as a post would show them: the beginning is enough.
pub(super) fn drugs(prescription: &Event) -> anyhow::Result<Vec<String>> {
    let What::Prescribe(order) = &prescription.what else {
        anyhow::bail!("no prescription");
    };
    let start = |name: &str| name.chars().take(5).collect();
    Ok(order.drugs.iter().map(|drug| start(&drug.name)).collect())
}

/// Doctor: everything. Nurse: a file. MCS group with a helper: short, no drug. Pharmacist one to one: the
/// list.
fn shares(
    play: &mut Play,
    posts: &[(&'static str, Entry)],
    drugs: &[String],
) -> anyhow::Result<()> {
    let find = |peer: &str, team: &str| {
        let found = posts
            .iter()
            .find(|(at, entry)| *at == peer && entry.team_id == team);
        found
            .map(|(_, entry)| entry)
            .with_context(|| format!("no post in {team}"))
    };
    let doctor = find(CLINIC_LINK, "room-s-a")?;
    let (group, direct) = (
        find(PHARMACY_MCS, "g-a")?,
        find(PHARMACY_MCS, "g-a-direct")?,
    );
    let nurse = find(NURSES_WARD, "NK000731")?;
    let named = |entry: &Entry| {
        drugs
            .iter()
            .filter(|drug| entry.text().contains(drug.as_str()))
            .count()
    };
    let attached = |entry: &Entry| {
        let ids = ["attachments", "documents"].iter();
        ids.filter_map(|name| entry.request.get(name)?.as_array())
            .map(Vec::len)
            .sum::<usize>()
    };
    let checks = &mut play.checks;
    checks.hold(
        "診療所の医師の文に薬の名前がある",
        named(doctor) > 0,
        &format!("{}剤", named(doctor)),
    );
    checks.hold(
        "診療所の医師にPDFが付く",
        attached(doctor) > 0,
        &format!("{}件", attached(doctor)),
    );
    checks.hold(
        "訪問看護にはファイルで届く",
        nurse.files.len() > 1,
        &format!("{}ファイル", nurse.files.len()),
    );
    checks.equal(
        "ヘルパーのいるMCSグループの文にある薬の名前",
        named(group),
        0,
    );
    checks.hold(
        "MCSグループの文は短い",
        group.text().chars().count() < doctor.text().chars().count(),
        &format!(
            "{}字（医師{}字）",
            group.text().chars().count(),
            doctor.text().chars().count()
        ),
    );
    let all = format!("退院処方{}剤（添付）", drugs.len());
    checks.hold(
        "薬剤師には1対1で処方の一覧（PDF）",
        direct.text().contains(&all) && (attached(direct) > 0 || usual_font().is_none()),
        &format!("{all}、{}件", attached(direct)),
    );
    checks.hold(
        "薬剤師の文に薬の名前がある",
        named(direct) > 0,
        &format!("{}剤", named(direct)),
    );
    Ok(())
}

/// Three people press 了解; the hub hears of it.
async fn acknowledge(play: &mut Play, posts: &[(&'static str, Entry)]) -> anyhow::Result<()> {
    let people = [
        (CLINIC_LINK, "room-s-a", "u-doctor"),
        (NURSES_WARD, "NK000731", "u-nurse"),
        (PHARMACY_MCS, "g-a-direct", "u-pharmacist"),
    ];
    for (peer, team, user) in people {
        let found = posts
            .iter()
            .find(|(at, entry)| *at == peer && entry.team_id == team);
        let (_, entry) = found.context("nothing to acknowledge")?;
        play.stage
            .doors(peer)?
            .acknowledge(&entry.entry_id, user)
            .await?;
    }
    let seen = until("了解 come back", PATIENCE, async || {
        let event = play.event("A", NoticeKind::Discharge).await?;
        let seen: u64 = event.deliveries.iter().map(|delivery| delivery.seen).sum();
        Ok((seen >= people.len() as u64).then_some(seen))
    })
    .await?;
    let mut pressed = 0;
    for (peer, ..) in SYSTEMS {
        pressed += play.inside(peer).await?.counts.acks;
    }
    page::tell("医師・看護師・薬剤師が「了解」を押しました。");
    play.checks
        .equal("戻ってきた了解（台帳とシミュレータ）", seen, pressed);
    Ok(())
}

/// Messages and files that came from the hospital, news of the peers aside.
fn from_hospital(counts: &LedgerCounts) -> u64 {
    let sources = [WIRE, TREE].iter();
    sources
        .filter_map(|source| counts.sources.get(*source))
        .sum()
}

fn total(counts: &std::collections::BTreeMap<String, u64>) -> u64 {
    counts.values().sum()
}
