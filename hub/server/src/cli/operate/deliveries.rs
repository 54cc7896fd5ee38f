//! `renkei deliveries`: what was told, waits, or would have been told.

use clap::Subcommand;
use renkei_core::{Code, DeliveryId, SinkName};

use super::table::{Table, one_line};
use super::{
    ConfigFile, Exit, MaybeNamed, Opened, Printing, Reasoned, Refusal, code, or_dash, say, titled,
    when, when_or_dash, word,
};
use crate::store::operator::{
    DeliveryDetail, DeliveryFilter, DeliveryLine, OperateError, Operator as _, Selection,
};
use crate::world::DeliveryState;

/// What was, will be or would be told. Without a verb: list.
#[derive(Debug, clap::Args)]
pub(crate) struct Deliveries {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    config: ConfigFile,
    #[command(flatten)]
    printing: Printing,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Deliveries, newest first.
    List(Which),
    /// One delivery with its post and history. Prints patient data.
    Show {
        /// Its id.
        id: String,
    },
    /// Lets held deliveries go; channel, consent and readers are judged again at sending.
    Release {
        /// Their ids.
        #[arg(required_unless_present = "all", conflicts_with_all = ["all", "code", "sink"])]
        ids: Vec<String>,
        /// All that are held.
        #[arg(long)]
        all: bool,
        /// Of these only with this code.
        #[arg(long, value_parser = code, requires = "all")]
        code: Option<Code>,
        /// Of these only to this peer.
        #[arg(long, value_name = "NAME", requires = "all")]
        sink: Option<String>,
        #[command(flatten)]
        by: Reasoned,
    },
    /// Tries dead deliveries again, except replaced and recalled ones.
    Retry {
        /// Their ids.
        #[arg(required = true)]
        ids: Vec<String>,
        #[command(flatten)]
        by: MaybeNamed,
        /// Why, without patient data.
        #[arg(long, value_name = "WORDS", value_parser = super::words, default_value = "tried again")]
        reason: String,
    },
}

#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
struct Which {
    /// Only pending, sent, delivered, held or dead ones.
    #[arg(long, value_parser = state)]
    state: Option<DeliveryState>,
    /// Only to this peer.
    #[arg(long, value_name = "NAME")]
    sink: Option<String>,
    /// Only with this code.
    #[arg(long, value_parser = code)]
    code: Option<Code>,
    /// At most so many. Default: 100.
    #[arg(long)]
    limit: Option<u32>,
}

impl Which {
    fn filter(self) -> DeliveryFilter {
        DeliveryFilter {
            state: self.state,
            sink: self.sink.map(SinkName::new),
            code: self.code,
            limit: self.limit.unwrap_or(0),
        }
    }
}

fn state(text: &str) -> Result<DeliveryState, String> {
    DeliveryState::find(text)
        .ok_or_else(|| "one of pending, sent, delivered, held, dead".to_owned())
}

impl Deliveries {
    pub(super) async fn run(self) -> anyhow::Result<Exit> {
        if self.which != Which::default() && self.verb.is_some() {
            return Err(Refusal::Usage("what to list stands after `list`".to_owned()).into());
        }
        let opened = Opened::of(&self.config).await?;
        match self.verb.unwrap_or(Verb::List(self.which)) {
            Verb::List(which) => {
                let limit = which.limit;
                let deliveries = opened.ledger.deliveries(&which.filter()).await?;
                list(&deliveries, self.printing)?;
                self.printing.cut_at(deliveries.len(), limit);
            }
            Verb::Show { id } => {
                let detail = opened.ledger.delivery(&DeliveryId::known(id)).await?;
                let detail = detail.ok_or(OperateError::Unknown { what: "delivery" })?;
                if self.printing.json {
                    super::json_line(&detail)?;
                } else {
                    show(&detail);
                }
            }
            Verb::Release {
                ids,
                all,
                code,
                sink,
                by,
            } => {
                let which = if all {
                    let sink = sink.map(|name| opened.sink(&name)).transpose()?;
                    Selection::Matching(DeliveryFilter {
                        state: Some(DeliveryState::Held),
                        sink,
                        code,
                        limit: 0,
                    })
                } else {
                    Selection::These(ids.iter().map(DeliveryId::known).collect())
                };
                let act = opened.by(&by.by, &by.reason);
                let done = opened.ledger.release(&which, &act).await?;
                self.printing.count(done, "deliveries released")?;
                return super::fell_short(done, ids.len(), "are not held, or do not exist");
            }
            Verb::Retry { ids, by, reason } => {
                let act = opened.by(&by.actor(), &reason);
                let which = Selection::These(ids.iter().map(DeliveryId::known).collect());
                let done = opened.ledger.retry(&which, &act).await?;
                self.printing.count(done, "deliveries are tried again")?;
                return super::fell_short(
                    done,
                    ids.len(),
                    "are not dead, were replaced, recalled or never framed, or do not exist",
                );
            }
        }
        Ok(Exit::Done)
    }
}

fn list(deliveries: &[DeliveryLine], printing: Printing) -> anyhow::Result<()> {
    let head = [
        "id", "planned", "sink", "state", "due", "person", "headline", "why",
    ];
    printing.list(deliveries, &head, |delivery| {
        vec![
            delivery.id.to_string(),
            when(delivery.created_at),
            delivery.sink.to_string(),
            delivery.state.code().to_owned(),
            when_or_dash(delivery.due_at),
            delivery.person.to_string(),
            delivery.headline.clone(),
            delivery.code.as_deref().map(titled).unwrap_or_default(),
        ]
    })
}

/// One delivery as people look at it: what, to whom, why, what became of it.
pub(super) fn show(detail: &DeliveryDetail) {
    let (delivery, channel) = (&detail.delivery, &detail.channel);
    let mut table = Table::new(&["delivery", delivery_label(detail.late)]);
    let mut add = |name: &str, value: String| table.row(vec![name.to_owned(), value]);
    add("id", delivery.id.to_string());
    add(
        "notice",
        format!(
            "{} version {} {} {}",
            delivery.notice,
            delivery.version,
            delivery.kind.label(),
            word(&delivery.change)
        ),
    );
    add("state", delivery.state.code().to_owned());
    add(
        "why",
        delivery.code.as_deref().map_or_else(super::dash, titled),
    );
    add("to", format!("{} {}", delivery.sink, channel.peer_ref));
    add(
        "the group must show",
        format!(
            "{} {} {}",
            channel.header.kana, channel.header.birth_date, channel.header.sex
        ),
    );
    add("due", when_or_dash(delivery.due_at));
    add("told", when_or_dash(delivery.told_at));
    add("released by", or_dash(delivery.released_by.as_ref()));
    add("at the peer", or_dash(delivery.peer_ref.as_ref()));
    add("replaces", or_dash(detail.replaces.as_ref()));
    table.print();
    say("");
    post(detail);
    if !detail.decisions.is_empty() || !detail.attempts.is_empty() || !detail.seen.is_empty() {
        say("");
    }
    for decision in &detail.decisions {
        say(&super::trace::decision_line(decision));
    }
    for attempt in &detail.attempts {
        say(&super::trace::attempt_line(attempt));
    }
    for seen in &detail.seen {
        say(&super::trace::seen_line(seen));
    }
}

fn delivery_label(late: bool) -> &'static str {
    if late { "遅れて届きました" } else { "" }
}

/// The words people read, as they are pasted.
pub(super) fn post(detail: &DeliveryDetail) {
    let post = &detail.post;
    say(&one_line(&post.headline));
    for line in post.text.lines() {
        say(&one_line(line));
    }
    for attached in &post.attachments {
        say(&format!(
            "[{} {} bytes]",
            one_line(&attached.file_name),
            attached.size
        ));
    }
}
