//! `renkei review`: a named person says whose a record is.

use clap::Subcommand;
use renkei_core::{PersonId, RecordId};

use super::table::Table;
use super::{ConfigFile, Exit, Opened, Printing, Reasoned, people, say, titled, when};
use crate::store::operator::{Decision, OperateError, Operator as _, ReviewLine};

/// Records that wait for a person.
#[derive(Debug, clap::Args)]
pub(crate) struct Review {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    config: ConfigFile,
    #[command(flatten)]
    printing: Printing,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Records that wait.
    List,
    /// One record beside the persons it may be. Prints patient data.
    Show {
        /// The record's number.
        record: i64,
    },
    /// Says whose it is; everything parked under it is processed.
    Decide {
        /// The record's number.
        record: i64,
        #[command(flatten)]
        decision: Choice,
        #[command(flatten)]
        by: Reasoned,
    },
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Choice {
    /// It is this person.
    #[arg(long, value_name = "PERSON", allow_hyphen_values = true)]
    join: Option<i64>,
    /// It is nobody the hub knows.
    #[arg(long)]
    new: bool,
    /// It is not to be used.
    #[arg(long)]
    reject: bool,
}

impl Choice {
    fn decision(&self) -> Decision {
        match (self.join, self.new) {
            (Some(person), _) => Decision::Join(PersonId(person)),
            (None, true) => Decision::NewPerson,
            (None, false) => Decision::Reject,
        }
    }
}

impl Review {
    pub(super) async fn run(self) -> anyhow::Result<Exit> {
        let opened = Opened::of(&self.config).await?;
        match self.verb {
            Verb::List => list(&opened.ledger.reviews().await?, self.printing)?,
            Verb::Show { record } => {
                let waiting = opened.ledger.reviews().await?;
                let review = waiting
                    .iter()
                    .find(|review| review.record.record == RecordId(record))
                    .ok_or(OperateError::Unknown {
                        what: "record that waits for review",
                    })?;
                if self.printing.json {
                    super::json_line(review)?;
                } else {
                    show(review);
                }
            }
            Verb::Decide {
                record,
                decision,
                by,
            } => {
                let act = opened.by(&by.by, &by.reason);
                let freed = opened
                    .ledger
                    .decide_review(RecordId(record), decision.decision(), &act)
                    .await?;
                self.printing.count(freed, "messages are processed again")?;
            }
        }
        Ok(Exit::Done)
    }
}

/// Without patient data: the list may stay on a screen.
fn list(waiting: &[ReviewLine], printing: Printing) -> anyhow::Result<()> {
    let rows: Vec<serde_json::Value> = waiting
        .iter()
        .map(|review| {
            serde_json::json!({
                "record": review.record.record,
                "facility": review.record.facility,
                "code": review.code,
                "opened_at": review.opened_at,
                "parked": review.parked,
                "candidates": review.candidates.len(),
            })
        })
        .collect();
    if printing.json {
        return rows.iter().try_for_each(super::json_line);
    }
    let head = ["record", "facility", "since", "parked", "candidates", "why"];
    printing.list(waiting, &head, |review| {
        vec![
            review.record.record.to_string(),
            review.record.facility.to_string(),
            when(review.opened_at),
            review.parked.to_string(),
            review.candidates.len().to_string(),
            titled(&review.code),
        ]
    })
}

fn show(review: &ReviewLine) {
    say(&titled(&review.code));
    say(&format!(
        "since {}, {} messages parked",
        when(review.opened_at),
        review.parked
    ));
    let mut head = vec![""];
    head.extend(people::HEAD);
    head.extend(["kanji", "phones", "addresses", "insurance"]);
    let mut table = Table::new(&head);
    let mut add = |mark: &str, record: &crate::store::operator::RecordLine| {
        let mut cells = vec![mark.to_owned()];
        cells.extend(people::cells(record));
        cells.push(record.facts.kanji.clone());
        for list in [
            &record.facts.phones,
            &record.facts.addresses,
            &record.facts.insurance,
        ] {
            cells.push(list.join(" "));
        }
        table.row(cells);
    };
    add("this", &review.record);
    for record in review.candidates.iter().flat_map(|person| &person.records) {
        add("may be", record);
    }
    table.print();
}
