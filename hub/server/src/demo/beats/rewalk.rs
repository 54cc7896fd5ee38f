//! ⑦ The whole storage read again, twice: as if the hub had forgotten it, and as a source of another
//! name, so that every file is processed anew. Nothing is posted.

use renkei_core::{Note, SourceName};

use crate::demo::doors::until;
use crate::demo::page;
use crate::demo::play::Play;
use crate::demo::stage::{PATIENCE, TREE};
use crate::store::Store;
use crate::store::operator::{LedgerCounts, Operator as _};

/// The second source over the same storages.
const AGAIN: &str = "storage-again";

/// Plays it.
///
/// # Errors
/// When the stage fails.
pub async fn play(play: &mut Play) -> anyhow::Result<()> {
    page::beat(
        "⑦",
        "読み直し：ストレージを最初から歩き直しても、投稿は増えない",
    );
    let (posts, counts) = (
        play.stage.posts().await?,
        play.stage.ledger.ledger_counts().await?,
    );
    play.told = play.events().await?;
    play.stage.hub.stop().await?;
    let source = SourceName::new(TREE);
    let notes = Store::recall(&play.stage.ledger, &source).await?;
    let forgotten = notes
        .into_iter()
        .map(|note| Note {
            value: None,
            ..note
        })
        .collect();
    play.stage.ledger.remember(&source, forgotten).await?;
    play.stage.reconfigure(&[TREE, AGAIN])?;
    play.stage.at(play.today(16, 30)).await?;
    play.stage.open(&[TREE, AGAIN]).await?;
    let standing = play.stage.emr.standing()?;
    let read = until("the storage was processed again", PATIENCE, async || {
        let counts = play.stage.ledger.ledger_counts().await?;
        let read = counts.sources.get(AGAIN).copied().unwrap_or(0);
        let waiting = play.stage.status().await?.waiting;
        Ok((read >= standing && waiting == 0).then_some(read))
    })
    .await?;
    play.settle().await?;
    let (posts_now, now) = (
        play.stage.posts().await?,
        play.stage.ledger.ledger_counts().await?,
    );
    page::tell(&format!(
        "ストレージの{standing}ファイル：覚え書きを消して歩き直し（どれも受信済み）、別の名の取込元としても{read}通を処理し直しました。"
    ));
    let by_tree = |counts: &LedgerCounts| counts.sources.get(TREE).copied().unwrap_or(0);
    play.checks
        .equal("歩き直しで増えた電文", by_tree(&now) - by_tree(&counts), 0);
    play.checks
        .equal("処理し直した電文（ファイルの数と同じ）", read, standing);
    play.checks
        .equal("増えたFHIRの版", now.versions - counts.versions, 0);
    play.checks.equal(
        "増えた通知の版",
        now.notice_versions - counts.notice_versions,
        0,
    );
    play.checks.equal("投稿の数（前と同じ）", posts_now, posts);
    Ok(())
}
