//! `renkei desk`: what a person hands over at the peer's own screen.

use clap::Subcommand;
use renkei_core::{Code, DeliveryId};

use super::{ConfigFile, Exit, Named, Opened, Printing, Refusal, deliveries, when};
use crate::store::operator::{OperateError, Operator as _};

/// What a person has to hand over.
#[derive(Debug, clap::Args)]
pub(crate) struct Desk {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    config: ConfigFile,
    #[command(flatten)]
    printing: Printing,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// What waits, most urgent first.
    List,
    /// The text to paste and the patient the group must show. Prints patient data.
    Show {
        /// The delivery's id.
        id: String,
    },
    /// Notes that it was handed over.
    Done {
        /// The delivery's id.
        id: String,
        #[command(flatten)]
        by: Named,
    },
}

impl Desk {
    pub(super) async fn run(self) -> anyhow::Result<Exit> {
        let opened = Opened::of(&self.config).await?;
        match self.verb {
            Verb::List => {
                let waiting = opened.ledger.desk().await?;
                if self.printing.json {
                    // The check line is for `show`.
                    waiting.iter().try_for_each(|line| {
                        super::json_line(&serde_json::json!({
                            "delivery": line.delivery,
                            "peer_ref": line.peer_ref,
                            "attachments": line.attachments,
                        }))
                    })?;
                    return Ok(Exit::Done);
                }
                let head = ["id", "planned", "sink", "group", "attached", "headline"];
                self.printing.list(&waiting, &head, |line| {
                    vec![
                        line.delivery.id.to_string(),
                        when(line.delivery.created_at),
                        line.delivery.sink.to_string(),
                        line.peer_ref.to_string(),
                        line.attachments.to_string(),
                        line.delivery.headline.clone(),
                    ]
                })?;
            }
            Verb::Show { id } => {
                let detail = opened.ledger.delivery(&DeliveryId::known(id)).await?;
                let detail = detail.ok_or(OperateError::Unknown { what: "delivery" })?;
                if detail.delivery.code.as_deref() != Some(Code::RTE_ASSISTED.as_str()) {
                    return Err(
                        Refusal::Data("the delivery does not wait at the desk".to_owned()).into(),
                    );
                }
                if self.printing.json {
                    super::json_line(&detail)?;
                } else {
                    deliveries::show(&detail);
                }
            }
            Verb::Done { id, by } => {
                let act = opened.by(&by.by, "");
                let id = DeliveryId::known(id);
                opened.ledger.desk_done(&id, &act).await?;
                self.printing.done(&format!("{id} is handed over"))?;
            }
        }
        Ok(Exit::Done)
    }
}
