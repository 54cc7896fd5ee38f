//! `renkei channels`: where each person's team reads. Linked, never guessed.

use clap::Subcommand;
use renkei_core::{ChannelId, ChannelStatus, FacilityId, LocalId, SinkName, chain};

use super::{
    ConfigFile, Exit, MaybeNamed, Named, Opened, Printing, Reasoned, Refusal, or_dash, word,
};
use crate::hub;
use crate::store::operator::{ChannelFilter, ChannelLine, Operator as _};

/// Where each person's team reads.
#[derive(Debug, clap::Args)]
pub(crate) struct Channels {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    config: ConfigFile,
    #[command(flatten)]
    printing: Printing,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Channels with the patient each must show. Prints patient data.
    List {
        /// Only this peer.
        #[arg(long, value_name = "NAME")]
        sink: Option<String>,
        /// Only proposed, confirmed or broken ones.
        #[arg(long, value_parser = status)]
        status: Option<ChannelStatus>,
        /// Only patients of this facility.
        #[arg(long, value_name = "NUMBER")]
        facility: Option<String>,
        /// Only this patient number.
        #[arg(long, value_name = "ID")]
        local_id: Option<String>,
    },
    /// Confirms a channel in the name of its host office.
    Confirm {
        /// The channel's number.
        id: i64,
        #[command(flatten)]
        by: Named,
    },
    /// Takes a channel out of use.
    Break {
        /// The channel's number.
        id: i64,
        #[command(flatten)]
        by: Reasoned,
    },
    /// Asks a peer for its own list and proposes links where kana, birth date and sex agree.
    Propose {
        /// The peer.
        sink: String,
        #[command(flatten)]
        by: MaybeNamed,
    },
}

fn status(text: &str) -> Result<ChannelStatus, String> {
    match text {
        "proposed" => Ok(ChannelStatus::Proposed),
        "confirmed" => Ok(ChannelStatus::Confirmed),
        "broken" => Ok(ChannelStatus::Broken),
        _ => Err("one of proposed, confirmed, broken".to_owned()),
    }
}

impl Channels {
    pub(super) async fn run(self) -> anyhow::Result<Exit> {
        let opened = Opened::of(&self.config).await?;
        match self.verb {
            Verb::List {
                sink,
                status,
                facility,
                local_id,
            } => {
                let facility = facility.map(FacilityId::new).transpose();
                let filter = ChannelFilter {
                    sink: sink.map(SinkName::new),
                    status,
                    facility: facility.map_err(|error| Refusal::Usage(error.to_string()))?,
                    local_id: local_id.map(LocalId::new),
                    id: None,
                };
                list(&opened.ledger.list_channels(&filter).await?, self.printing)?;
            }
            Verb::Confirm { id, by } => {
                let act = opened.by(&by.by, "");
                opened.ledger.confirm_channel(ChannelId(id), &act).await?;
                self.printing.done(&format!("channel {id} is confirmed"))?;
            }
            Verb::Break { id, by } => {
                let act = opened.by(&by.by, &by.reason);
                opened.ledger.break_channel(ChannelId(id), &act).await?;
                self.printing
                    .done(&format!("channel {id} is not used any more"))?;
            }
            Verb::Propose { sink, by } => {
                return propose(&opened, &sink, &by, self.printing).await;
            }
        }
        Ok(Exit::Done)
    }
}

fn list(channels: &[ChannelLine], printing: Printing) -> anyhow::Result<()> {
    let head = [
        "id",
        "sink",
        "group",
        "kind",
        "status",
        "why",
        "facility",
        "local id",
        "kana",
        "born",
        "sex",
        "readers",
        "confirmed by",
    ];
    printing.list(channels, &head, |channel| {
        vec![
            channel.id.to_string(),
            channel.sink.to_string(),
            channel.peer_ref.to_string(),
            channel.kind.code().to_owned(),
            word(&channel.status),
            or_dash(channel.status_code.as_ref()),
            channel.facility.to_string(),
            channel.local_id.expose().to_owned(),
            channel.header.kana.clone(),
            channel.header.birth_date.clone(),
            channel.header.sex.clone(),
            channel.members.len().to_string(),
            or_dash(channel.confirmed_by.as_ref()),
        ]
    })
}

async fn propose(
    opened: &Opened,
    name: &str,
    named: &MaybeNamed,
    printing: Printing,
) -> anyhow::Result<Exit> {
    let name = opened.sink(name)?;
    let act = opened.by(&named.actor(), "");
    let mut sinks = hub::sinks(&opened.checked, &opened.clock)?;
    let Some(sink) = sinks.remove(&name) else {
        return Err(Refusal::Usage("the configuration has no such peer".to_owned()).into());
    };
    let views = sink
        .channels()
        .await
        .map_err(|error| Refusal::Data(format!("peer.{name}: {}", chain(&error))))?;
    let proposals = opened.ledger.propose(&name, &views, &act).await?;
    printing.list(&proposals, &["group", "outcome", "channel"], |proposal| {
        vec![
            proposal.peer_ref.to_string(),
            word(&proposal.outcome),
            or_dash(proposal.channel),
        ]
    })?;
    Ok(Exit::Done)
}
