//! `renkei retention` and `renkei hold`: what policy removes, and whose data it must not touch.

use std::sync::Arc;

use clap::Subcommand;
use renkei_core::{FacilityId, LocalId};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::table::Table;
use super::{ConfigFile, Exit, Opened, Printing, Reasoned, Refusal, json_line, when, when_or_dash};
use crate::retention::Sweeper;
use crate::store::blob::Folder;
use crate::store::keeper::{Keeper as _, Kind};

/// How long things are kept, and what would go now.
#[derive(Debug, clap::Args)]
pub(crate) struct Retention {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    config: ConfigFile,
    #[command(flatten)]
    printing: Printing,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// The policies, and how much is old enough now.
    Show,
    /// Removes what is old enough, slice by slice, beside a running hub.
    Run {
        /// Only say how much would go.
        #[arg(long, conflicts_with = "now", required_unless_present = "now")]
        dry_run: bool,
        /// Do it.
        #[arg(long)]
        now: bool,
    },
}

/// What a kind is called, and how long it is kept.
fn policies(sweeper: &Sweeper) -> [(Kind, &'static str, String); 4] {
    let policy = &sweeper.policy;
    [
        (
            Kind::Bodies,
            "received bytes of processed messages",
            format!(
                "{} days, {} when the type is not read",
                policy.raw_bodies_days, policy.unread_bodies_days
            ),
        ),
        (
            Kind::Deliveries,
            "sheets and attempts of ended deliveries",
            format!("{} days", policy.deliveries_days),
        ),
        (
            Kind::Receipts,
            "receipts of posts nobody here knows",
            "7 days".to_owned(),
        ),
        (
            Kind::Audit,
            "lines of the audit",
            format!("{} days", policy.audit_days),
        ),
    ]
}

impl Retention {
    pub(super) async fn run(self) -> anyhow::Result<Exit> {
        let opened = Opened::of(&self.config).await?;
        let sweeper = Sweeper {
            blobs: Folder::new(&opened.checked.data_dir),
            clock: opened.clock.clone(),
            policy: opened.checked.retention.clone(),
            store: Arc::new(opened.ledger),
        };
        match self.verb {
            Verb::Show | Verb::Run { now: false, .. } => show(&sweeper, self.printing).await?,
            Verb::Run { now: true, .. } => {
                let swept = sweeper.sweep(&CancellationToken::new()).await?;
                let removed = |kind| swept.rows.get(&kind).copied().unwrap_or(0);
                if self.printing.json {
                    let rows: Vec<_> = Kind::ALL
                        .map(|kind| json!({ "what": kind, "removed": removed(kind) }))
                        .into();
                    rows.iter().try_for_each(json_line)?;
                    json_line(&json!({ "what": "files", "removed": swept.blobs }))?;
                } else {
                    let mut table = Table::new(&["what", "removed"]);
                    for (kind, what, _) in policies(&sweeper) {
                        table.row(vec![what.to_owned(), removed(kind).to_string()]);
                    }
                    table.row(vec![FILES.to_owned(), swept.blobs.to_string()]);
                    table.print();
                }
                if swept.unfinished {
                    super::complain("not everything could be removed; `renkei verify` says why");
                    return Ok(Exit::Data);
                }
            }
        }
        Ok(Exit::Done)
    }
}

const FILES: &str = "stored files that nothing names";
const ALWAYS: &str =
    "FHIR resources with all versions, original documents, notices, posts, decisions, lineage";

async fn show(sweeper: &Sweeper, printing: Printing) -> anyhow::Result<()> {
    let preview = sweeper.preview().await?;
    let hours = sweeper.policy.unnamed_blobs_hours;
    if printing.json {
        for (kind, _, kept) in policies(sweeper) {
            let now = preview.rows.get(&kind).copied().unwrap_or_default();
            json_line(
                &json!({ "what": kind, "kept": kept, "free": now.free, "held_back": now.kept }),
            )?;
        }
        return json_line(
            &json!({ "what": "files", "kept": format!("{hours} hours"), "free": preview.blobs, "held_back": 0 }),
        );
    }
    let mut table = Table::new(&["what", "kept", "would go", "held back"]);
    for (kind, what, kept) in policies(sweeper) {
        let now = preview.rows.get(&kind).copied().unwrap_or_default();
        table.row(vec![
            what.to_owned(),
            kept,
            now.free.to_string(),
            now.kept.to_string(),
        ]);
    }
    table.row(vec![
        FILES.to_owned(),
        format!("{hours} hours"),
        preview.blobs.to_string(),
        "0".to_owned(),
    ]);
    table.row(vec![
        ALWAYS.to_owned(),
        "always".to_owned(),
        "0".to_owned(),
        "-".to_owned(),
    ]);
    table.print();
    Ok(())
}

/// Legal holds: nothing of these patients' records is removed.
#[derive(Debug, clap::Args)]
pub(crate) struct Hold {
    #[command(subcommand)]
    verb: Held,
    #[command(flatten)]
    config: ConfigFile,
    #[command(flatten)]
    printing: Printing,
}

#[derive(Debug, Subcommand)]
enum Held {
    /// Protects a patient's record until it is released.
    Set(Which),
    /// Holds, newest first. Prints patient numbers.
    List,
    /// Ends a hold.
    Release(Which),
}

#[derive(Debug, clap::Args)]
struct Which {
    /// The facility's ten-digit number.
    #[arg(long, value_name = "NUMBER")]
    facility: String,
    /// The patient's number there.
    #[arg(long, value_name = "NUMBER")]
    local_id: String,
    #[command(flatten)]
    by: Reasoned,
}

impl Which {
    fn patient(&self) -> Result<(FacilityId, LocalId), Refusal> {
        let facility =
            FacilityId::new(&self.facility).map_err(|error| Refusal::Usage(error.to_string()))?;
        Ok((facility, LocalId::new(&self.local_id)))
    }
}

impl Hold {
    pub(super) async fn run(self) -> anyhow::Result<Exit> {
        let opened = Opened::of(&self.config).await?;
        match self.verb {
            Held::Set(which) => {
                let ((facility, local_id), by) =
                    (which.patient()?, opened.by(&which.by.by, &which.by.reason));
                if !opened.ledger.hold(&facility, &local_id, &by).await? {
                    return Err(Refusal::Data("this record is held already".to_owned()).into());
                }
                self.printing.done("held")?;
            }
            Held::Release(which) => {
                let ((facility, local_id), by) =
                    (which.patient()?, opened.by(&which.by.by, &which.by.reason));
                if !opened
                    .ledger
                    .release_hold(&facility, &local_id, &by)
                    .await?
                {
                    return Err(Refusal::Data("this record is not held".to_owned()).into());
                }
                self.printing.done("released")?;
            }
            Held::List => {
                let holds = opened.ledger.list_holds().await?;
                let head = [
                    "facility", "local id", "since", "by", "reason", "released", "by",
                ];
                self.printing.list(&holds, &head, |hold| {
                    vec![
                        hold.facility.to_string(),
                        hold.local_id.clone(),
                        when(hold.at),
                        hold.actor.clone(),
                        hold.reason.clone(),
                        when_or_dash(hold.released_at),
                        hold.released_by.clone().unwrap_or_else(super::dash),
                    ]
                })?;
            }
        }
        Ok(Exit::Done)
    }
}
