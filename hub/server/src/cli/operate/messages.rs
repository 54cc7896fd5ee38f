//! `renkei messages` and `replay`: what came in, and once more from the top.

use clap::Subcommand;
use renkei_core::{Code, MessageId, SourceName};

use super::table::{Table, one_line};
use super::{
    ConfigFile, Exit, Named, Opened, Printing, Refusal, code, or_dash, say, titled, when,
    when_or_dash, word,
};
use crate::config::file::SourceAdapter;
use crate::store::operator::{
    MessageDetail, MessageFilter, MessageLine, OperateError, Operator as _, Selection,
};
use crate::world::MessageState;

/// Messages in the inbox. Without a verb: list.
#[derive(Debug, clap::Args)]
pub(crate) struct Messages {
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
    /// Messages, newest first.
    List(Which),
    /// One message with what its mapping remarked. Prints patient data where a path holds it.
    Show {
        /// Its position in the inbox.
        id: i64,
    },
}

#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
struct Which {
    /// Only received, processed, parked or failed ones.
    #[arg(long, value_parser = state)]
    state: Option<MessageState>,
    /// Only parked or failed with this code.
    #[arg(long, value_parser = code)]
    code: Option<Code>,
    /// Only of this source.
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// At most so many. Default: 100.
    #[arg(long)]
    limit: Option<u32>,
}

impl Which {
    fn filter(self) -> MessageFilter {
        MessageFilter {
            state: self.state,
            code: self.code,
            source: self.source.map(SourceName::new),
            limit: self.limit.unwrap_or(0),
        }
    }
}

fn state(text: &str) -> Result<MessageState, String> {
    MessageState::find(text).ok_or_else(|| "one of received, processed, parked, failed".to_owned())
}

impl Messages {
    pub(super) async fn run(self) -> anyhow::Result<Exit> {
        if self.which != Which::default() && self.verb.is_some() {
            return Err(Refusal::Usage("what to list stands after `list`".to_owned()).into());
        }
        let opened = Opened::of(&self.config).await?;
        match self.verb.unwrap_or(Verb::List(self.which)) {
            Verb::List(which) => {
                let limit = which.limit;
                let mut messages = opened.ledger.messages(&which.filter()).await?;
                for message in &mut messages {
                    hide_path(&opened, message);
                }
                list(&messages, self.printing)?;
                self.printing.cut_at(messages.len(), limit);
            }
            Verb::Show { id } => {
                let message = opened.ledger.message(MessageId(id)).await?;
                let mut message = message.ok_or(OperateError::Unknown { what: "message" })?;
                hide_values(&mut message);
                if self.printing.json {
                    super::json_line(&message)?;
                } else {
                    show(&message);
                }
            }
        }
        Ok(Exit::Done)
    }
}

/// A storage's path holds the patient number: a list says only that it is a file.
pub(super) fn hide_path(opened: &Opened, message: &mut MessageLine) {
    let framed = opened.checked.sources.iter().any(|(name, source)| {
        *name == message.source
            && matches!(
                source.adapter,
                SourceAdapter::Mllp(_) | SourceAdapter::Jetstream(_)
            )
    });
    let peer = opened
        .checked
        .peers
        .iter()
        .any(|(name, _)| name.as_str() == message.source.as_str());
    if !framed && !peer {
        message.control = "(file)".to_owned();
    }
}

/// What stands at a finding's place in the message is for `renkei map`.
pub(super) fn hide_values(detail: &mut MessageDetail) {
    for finding in &mut detail.findings {
        finding.value = None;
    }
}

fn list(messages: &[MessageLine], printing: Printing) -> anyhow::Result<()> {
    let head = [
        "id", "received", "source", "control", "state", "record", "why",
    ];
    printing.list(messages, &head, |message| {
        vec![
            message.id.to_string(),
            when(message.received_at),
            message.source.to_string(),
            message.control.clone(),
            message.state.code().to_owned(),
            or_dash(message.record),
            message.code.as_deref().map(titled).unwrap_or_default(),
        ]
    })
}

fn show(detail: &MessageDetail) {
    let message = &detail.message;
    let mut table = Table::new(&["message", ""]);
    let mut add = |name: &str, value: String| table.row(vec![name.to_owned(), value]);
    add("id", message.id.to_string());
    add("source", message.source.to_string());
    add("facility", message.facility.to_string());
    add("control", message.control.clone());
    add("state", message.state.code().to_owned());
    add(
        "code",
        message.code.as_deref().map_or_else(super::dash, titled),
    );
    add("record", or_dash(message.record));
    add("mapping", message.mapper.clone());
    add("received", when(message.received_at));
    add("ended", when_or_dash(message.ended_at));
    add("body removed", when_or_dash(message.body_removed_at));
    add("data type", or_dash(detail.meta.data_type.as_ref()));
    add("path", or_dash(detail.meta.path.as_ref()));
    table.print();
    if !detail.findings.is_empty() {
        say("");
        let mut table = Table::new(&["finding", "severity", "at", "text"]);
        for finding in &detail.findings {
            table.row(vec![
                finding.code.to_string(),
                word(&finding.severity),
                finding.at.clone(),
                finding.text.clone(),
            ]);
        }
        table.print();
    }
    if !detail.unread.is_empty() {
        say("");
        say(&format!("not read: {}", one_line(&detail.unread.join(" "))));
    }
    if !detail.versions.is_empty() {
        say("");
        let mut table = Table::new(&["resource", "id", "version", "note"]);
        for version in &detail.versions {
            table.row(super::trace::version_cells(version));
        }
        table.print();
    }
}

/// Processes messages again.
#[derive(Debug, clap::Args)]
pub(crate) struct Replay {
    /// Positions in the inbox, from `messages list`.
    #[arg(required_unless_present = "state", conflicts_with_all = ["state", "code"])]
    ids: Vec<i64>,
    /// All that are parked or failed.
    #[arg(long, value_parser = ended)]
    state: Option<MessageState>,
    /// Of these only with this code.
    #[arg(long, value_parser = code, requires = "state")]
    code: Option<Code>,
    /// Let go what follows. Without it everything new waits as RNK-RTE-010.
    #[arg(long)]
    release: bool,
    #[command(flatten)]
    by: Named,
    #[command(flatten)]
    config: ConfigFile,
    #[command(flatten)]
    printing: Printing,
}

fn ended(text: &str) -> Result<MessageState, String> {
    match MessageState::find(text) {
        Some(state @ (MessageState::Parked | MessageState::Failed)) => Ok(state),
        _ => Err("one of parked, failed".to_owned()),
    }
}

impl Replay {
    pub(super) async fn run(self) -> anyhow::Result<Exit> {
        let opened = Opened::of(&self.config).await?;
        let which = match self.state {
            None => Selection::These(self.ids.iter().copied().map(MessageId).collect()),
            Some(state) => Selection::Matching(MessageFilter {
                state: Some(state),
                code: self.code,
                ..MessageFilter::default()
            }),
        };
        let act = opened.by(&self.by.by, "");
        let done = opened.ledger.replay(&which, self.release, &act).await?;
        for id in &self.ids {
            let message = opened.ledger.message(MessageId(*id)).await?;
            if message.is_some_and(|detail| detail.message.body_removed_at.is_some()) {
                super::complain(&format!(
                    "message {id}: {}",
                    titled(Code::INB_BODY_REMOVED.as_str())
                ));
            }
        }
        self.printing.count(done, "messages are processed again")?;
        super::fell_short(
            done,
            self.ids.len(),
            "have not ended, were cut off, have no body any more, or do not exist",
        )
    }
}
