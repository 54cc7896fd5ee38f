//! `renkei demo`: one discharge told in eight beats, with a hospital, four peers and the hub on this
//! machine, then a table in which every figure comes from the ledger and was held against the simulators.
//!
//! [`stage`], [`doors`], [`process`], [`emr`] and [`config`] know no story: end-to-end tests play on them
//! too. [`cast`] and [`chart`] say who and what; [`beats`] is the story.

pub mod beats;
pub mod cast;
pub mod chart;
pub mod config;
pub mod doors;
pub mod emr;
pub mod page;
pub mod play;
pub mod process;
pub mod stage;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use renkei_core::{Clock as _, SystemClock, clock};
use renkei_sim::hospital::Site;

use cast::{ACCOUNT, Cast, FACILITIES, HOSPITAL};
use chart::STAY_DAYS;
use play::Play;
use stage::{Plan, Stage, TREE};

/// Puts the stage up in `folder` (absolute, empty) and plays the eight beats.
///
/// # Errors
/// When the stage fails; a figure that does not hold is a failed check, not an error.
pub async fn perform(folder: &Path, first_port: Option<u16>) -> anyhow::Result<Play> {
    let (cast, site) = (Cast::new(), Site::demo());
    let stage = Stage::build(Plan {
        program: program()?,
        folder: folder.to_owned(),
        first_port,
        site: site.clone(),
        hospital: HOSPITAL,
        account: ACCOUNT,
        facilities: FACILITIES.to_vec(),
        peers: cast.peers(),
    })
    .await?;
    let day = clock::in_japan(SystemClock.now()).date();
    let mut play = Play::new(stage, cast, &site, day)?;
    open(&mut play).await?;
    beats::admission::play(&mut play).await.context("beat ①")?;
    beats::plan::play(&mut play).await.context("beat ②")?;
    beats::discharge::play(&mut play).await.context("beat ③")?;
    beats::refusals::play(&mut play).await.context("beat ④")?;
    beats::outage::play(&mut play).await.context("beat ⑤")?;
    beats::correction::play(&mut play).await.context("beat ⑥")?;
    beats::rewalk::play(&mut play).await.context("beat ⑦")?;
    beats::foot::play(&mut play).await.context("beat ⑧")?;
    Ok(play)
}

/// The program itself: the hub runs as a process of its own.
fn program() -> anyhow::Result<PathBuf> {
    Ok(std::env::current_exe()?)
}

async fn open(play: &mut Play) -> anyhow::Result<()> {
    page::tell("連携（renkei）デモ：病院の電子カルテから、区の違う在宅チームへ");
    page::tell(
        "病院もMCSもバイタルリンクも区のシステムも、この機械の中のシミュレータです。患者はすべて架空です。",
    );
    play.stage.at(play.before(STAY_DAYS, 8, 0)).await?;
    let (forms, places) = play.import().await?;
    play.stage.open(&[TREE]).await?;
    page::tell(&format!(
        "同意書{forms}枚と連絡先{places}か所を取り込みました（{}）。",
        play.stage.folder.display()
    ));
    page::tell(&format!(
        "話は{STAY_DAYS}日前の入院から始まり、今日（{}）退院します。ハブの時計だけを早回しします（通知がまとまる10分もそのまま）。",
        play.day
    ));
    Ok(())
}
