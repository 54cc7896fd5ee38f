//! What operators do and look up: one thin command per verb of [`crate::store::operator::Operator`].
//!
//! Called by `cli`. Each command reads the configuration, opens the ledger beside a running hub, calls
//! one verb and prints a table, or JSON lines with `--json`. Nothing is decided here. Errors never hold
//! patient data; it is printed only where showing it is what the command is for.

mod backup;
mod beds;
mod channels;
mod csv_file;
mod deliveries;
mod desk;
mod import;
mod init;
mod messages;
mod people;
mod recall;
mod retention;
mod review;
mod sinks;
mod status;
mod table;
mod trace;
mod verify;

use std::sync::Arc;

use clap::Subcommand;
use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use renkei_core::{Clock, Code, SinkName, chain};
use serde::Serialize;

use super::check::report;
use super::{ConfigFile, Exit, complain, say};
use crate::config::{Checked, Problem};
use crate::hub::HubError;
use crate::store::StoreError;
use crate::store::operator::{By, OperateError};
use crate::store::sql::{Access, Database};

use table::Table;

/// Rows of a list that is asked for without `--limit`.
const USUAL_LIMIT: u32 = 100;

/// The operator's commands.
#[derive(Debug, Subcommand)]
pub(super) enum Operate {
    /// Writes a first configuration and empty CSV files; overwrites nothing.
    Init(init::Init),
    /// Admits patients: one, or the rows of a CSV file.
    Enrol(people::Enrol),
    /// Admits patients no more; what is recorded stays.
    Unenrol(people::Unenrol),
    /// Takes consents, channels or people from a CSV file.
    Import(import::Import),
    /// Where each person's team reads.
    Channels(channels::Channels),
    /// Persons and their records. Prints patient data.
    People(people::People),
    /// Records that wait for a person to say whose they are.
    Review(review::Review),
    /// Messages in the inbox.
    Messages(messages::Messages),
    /// Processes messages again; what follows is sent only with --release.
    Replay(messages::Replay),
    /// What was, will be or would be told.
    Deliveries(deliveries::Deliveries),
    /// What a person has to hand over (mode "assisted").
    Desk(desk::Desk),
    /// How far each peer may go.
    Sinks(sinks::Sinks),
    /// Withdraws everywhere what was told about the wrong patient.
    Recall(recall::Recall),
    /// Everything about a control id, order number, local id or delivery id. Prints patient data.
    Trace(trace::Trace),
    /// Free beds by area, kind, sex and conditions, with freshness.
    Beds(beds::Beds),
    /// How the hub stands. Exit 65 when something waits for a person, failed, or does not move.
    Status(status::Status),
    /// How long things are kept, and what would go now.
    Retention(retention::Retention),
    /// Legal holds: nothing of these patients' records is removed.
    Hold(retention::Hold),
    /// Checks the ledger beside a running hub. Exit 65 when something is not as it must be.
    Verify(verify::Verify),
    /// Copies the ledger and its files as one state, beside a running hub.
    Backup(backup::Backup),
    /// Makes a ledger from a backup, checked first. Nothing goes out by itself afterwards.
    Restore(backup::Restore),
}

impl Operate {
    /// Runs the command. What the operator can correct is said on stderr and ends with 64 or 65.
    ///
    /// # Errors
    /// The hub's own faults.
    pub(super) async fn run(self) -> anyhow::Result<Exit> {
        let done = match self {
            Self::Init(init) => init.run(),
            Self::Enrol(enrol) => enrol.run().await,
            Self::Unenrol(unenrol) => unenrol.run().await,
            Self::Import(import) => import.run().await,
            Self::Channels(channels) => channels.run().await,
            Self::People(people) => people.run().await,
            Self::Review(review) => review.run().await,
            Self::Messages(messages) => messages.run().await,
            Self::Replay(replay) => replay.run().await,
            Self::Deliveries(deliveries) => deliveries.run().await,
            Self::Desk(desk) => desk.run().await,
            Self::Sinks(sinks) => sinks.run().await,
            Self::Recall(recall) => recall.run().await,
            Self::Trace(trace) => trace.run().await,
            Self::Beds(beds) => beds.run().await,
            Self::Status(status) => status.run().await,
            Self::Retention(retention) => retention.run().await,
            Self::Hold(hold) => hold.run().await,
            Self::Verify(verify) => verify.run().await,
            Self::Backup(backup) => backup.run().await,
            Self::Restore(restore) => restore.run().await,
        };
        done.or_else(explain)
    }
}

/// Why a command was not done, for the operator to correct.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    /// The arguments make no sense.
    #[error("{0}")]
    Usage(String),
    /// What was named does not exist, or a file cannot be used.
    #[error("{0}")]
    Data(String),
    /// The configuration cannot be used.
    #[error("the configuration cannot be used")]
    Config(Vec<Problem>),
}

/// Says what the operator can correct; everything else stays an error.
fn explain(error: anyhow::Error) -> anyhow::Result<Exit> {
    if let Some(refusal) = error.downcast_ref::<Refusal>() {
        return Ok(match refusal {
            Refusal::Config(problems) => report(problems),
            Refusal::Usage(line) => told(line, Exit::Usage),
            Refusal::Data(line) => told(line, Exit::Data),
        });
    }
    if let Some(peer @ HubError::Peer { .. }) = error.downcast_ref::<HubError>() {
        return Ok(told(&chain(peer), Exit::Usage));
    }
    let store = match error.downcast_ref::<OperateError>() {
        Some(OperateError::Store(store)) => Some(store),
        Some(refused) => return Ok(told(&refused.to_string(), Exit::Data)),
        None => error.downcast_ref::<StoreError>(),
    };
    if let Some(StoreError::Unusable { code }) = store {
        return Ok(told(&format!("{code}: {}", code.title()), Exit::Usage));
    }
    Err(error)
}

fn told(line: &str, exit: Exit) -> Exit {
    complain(&format!("renkei: {line}"));
    exit
}

/// The configuration and the ledger it names, opened beside a hub that may be running.
struct Opened {
    checked: Checked,
    clock: Arc<dyn Clock>,
    ledger: Database,
}

impl Opened {
    async fn of(config: &ConfigFile) -> anyhow::Result<Self> {
        let checked = Checked::read(&config.config).map_err(Refusal::Config)?;
        let ledger = Database::open(&checked.place, Access::Command).await?;
        Ok(Self {
            clock: checked.clock(),
            checked,
            ledger,
        })
    }

    /// The peer of this name.
    fn sink(&self, name: &str) -> Result<SinkName, Refusal> {
        let sink = SinkName::new(name);
        if self.checked.setup.sinks.contains_key(&sink) {
            return Ok(sink);
        }
        let names = self.checked.setup.sinks.keys().map(SinkName::as_str);
        let names = match names.collect::<Vec<_>>().join(", ") {
            none if none.is_empty() => "none".to_owned(),
            names => names,
        };
        Err(Refusal::Usage(format!(
            "the configuration has no such peer; it has: {names}"
        )))
    }

    fn by(&self, actor: &str, reason: &str) -> By {
        By {
            actor: actor.to_owned(),
            reason: reason.to_owned(),
            at: self.clock.now(),
        }
    }
}

/// Who does it, where the rules want a named person.
#[derive(Debug, clap::Args)]
struct Named {
    /// Who does this: a name the audit can be asked about.
    #[arg(long, value_name = "NAME", value_parser = words)]
    by: String,
}

/// Who does it; else whoever is logged in.
#[derive(Debug, clap::Args)]
struct MaybeNamed {
    /// Who does this. Default: the login name.
    #[arg(long, value_name = "NAME", value_parser = words)]
    by: Option<String>,
}

impl MaybeNamed {
    fn actor(&self) -> String {
        let login = || {
            ["USER", "LOGNAME"]
                .into_iter()
                .find_map(|name| words(&std::env::var(name).ok()?).ok())
        };
        let number = || format!("uid {}", rustix::process::getuid().as_raw());
        self.by.clone().or_else(login).unwrap_or_else(number)
    }
}

/// Who does it and why, where the rules want both.
#[derive(Debug, clap::Args)]
struct Reasoned {
    /// Who does this: a name the audit can be asked about.
    #[arg(long, value_name = "NAME", value_parser = words)]
    by: String,
    /// Why, without patient data.
    #[arg(long, value_name = "WORDS", value_parser = words)]
    reason: String,
}

/// How a list is printed.
#[derive(Debug, Clone, Copy, clap::Args)]
struct Printing {
    /// Print one JSON object per line instead of a table.
    #[arg(long, global = true)]
    json: bool,
}

impl Printing {
    /// Prints rows. An empty list says so on stderr.
    fn list<T: Serialize>(
        self,
        rows: &[T],
        head: &[&'static str],
        cells: impl Fn(&T) -> Vec<String>,
    ) -> anyhow::Result<()> {
        if self.json {
            return rows.iter().try_for_each(json_line);
        }
        if rows.is_empty() {
            complain("nothing to list");
            return Ok(());
        }
        let mut table = Table::new(head);
        for row in rows {
            table.row(cells(row));
        }
        table.print();
        Ok(())
    }

    /// Says that one thing was done.
    fn done(self, line: &str) -> anyhow::Result<()> {
        if self.json {
            return self.count(1, "");
        }
        say(line);
        Ok(())
    }

    /// Says when a list is as long as it may be: there may be more.
    fn cut_at(self, shown: usize, limit: Option<u32>) {
        let limit = limit.filter(|limit| *limit > 0).unwrap_or(USUAL_LIMIT);
        if u32::try_from(shown) == Ok(limit) {
            complain(&format!(
                "only the newest {limit} are shown; --limit shows more"
            ));
        }
    }

    /// The count of an act.
    fn count(self, done: u64, what: &str) -> anyhow::Result<()> {
        if self.json {
            return json_line(&serde_json::json!({ "done": done }));
        }
        say(&format!("{done} {what}"));
        Ok(())
    }
}

fn json_line<T: Serialize>(row: &T) -> anyhow::Result<()> {
    say(&serde_json::to_string(row)?);
    Ok(())
}

/// A name or a reason: some words on one line.
fn words(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("some words are needed".to_owned());
    }
    if text.chars().count() > 200 || text.chars().any(char::is_control) {
        return Err("at most 200 characters on one line".to_owned());
    }
    Ok(text.to_owned())
}

/// A code by its printed form.
fn code(text: &str) -> Result<Code, String> {
    Code::find(text).ok_or_else(|| "no such code; ops/errors has a page for each".to_owned())
}

/// Japan time to the minute.
fn when(at: Timestamp) -> String {
    let zone = TimeZone::fixed(Offset::constant(9));
    at.to_zoned(zone).strftime("%Y-%m-%d %H:%M").to_string()
}

fn when_or_dash(at: Option<Timestamp>) -> String {
    at.map_or_else(dash, when)
}

/// An empty cell.
fn dash() -> String {
    "-".to_owned()
}

fn or_dash(text: Option<impl ToString>) -> String {
    text.map_or_else(dash, |text| text.to_string())
}

/// A code with its title, as its page in `ops/errors` begins.
fn titled(code: &str) -> String {
    match Code::find(code) {
        Some(known) => format!("{code} {}", known.title()),
        None => code.to_owned(),
    }
}

/// An act on named things that reached fewer of them: said, and exit 65.
fn fell_short(done: u64, named: usize, why: &str) -> anyhow::Result<Exit> {
    let missed = u64::try_from(named)
        .unwrap_or(u64::MAX)
        .saturating_sub(done);
    if missed == 0 {
        return Ok(Exit::Done);
    }
    complain(&format!("{missed} of {named} {why}"));
    Ok(Exit::Data)
}

/// The word a serialized enum stands for.
fn word<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        Ok(other) => other.to_string(),
        Err(_) => dash(),
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::super::Arguments;
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn commands_are_read_as_the_error_pages_write_them() {
        let reads = |line: &str| Arguments::try_parse_from(line.split(' ')).is_ok();
        for line in [
            "renkei messages",
            "renkei messages --state parked",
            "renkei messages list --state failed --config x.toml --json",
            "renkei messages --config x.toml show 7",
            "renkei replay 1 2 --by NAME",
            "renkei replay --state failed --code RNK-INB-004 --by NAME --release",
            "renkei deliveries --state held",
            "renkei deliveries release ID --by NAME --reason why",
            "renkei deliveries release --all --code RNK-RTE-010 --sink mcs --by NAME --reason why",
            "renkei deliveries retry ID --by NAME --reason why",
            "renkei channels confirm 3 --by NAME",
            "renkei channels break 3 --by NAME --reason why",
            "renkei review decide 3 --join -4 --by NAME --reason why",
            "renkei people relink 3 --new --by NAME --reason why",
            "renkei people relink 3 --to -4 --by NAME --reason why",
            "renkei import consents f.csv --dry-run",
            "renkei import consents f.csv --by NAME --back-deliver",
            "renkei enrol f.csv",
            "renkei enrol --facility 1319999999 --local-id 0001",
            "renkei desk done ID --by NAME",
            "renkei sinks mode mcs assisted",
            "renkei recall ID --by NAME --reason why",
            "renkei init --role hub --facility 1319999999",
            "renkei retention show",
            "renkei retention run --now",
            "renkei retention run --dry-run --json",
            "renkei hold set --facility 1319999999 --local-id 0001 --by NAME --reason why",
            "renkei hold release --facility 1319999999 --local-id 0001 --by NAME --reason why",
            "renkei verify --deep",
            "renkei backup copy",
            "renkei restore copy --to data --by NAME",
            "renkei restore copy --to data --by NAME --nothing-told-since",
            "renkei restore --in-place --taken-at 2027-01-31T03:00:00+09:00 --by NAME",
            "renkei verify --repair --by NAME",
        ] {
            assert!(reads(line), "{line}");
        }
        for line in [
            "renkei replay --by NAME",
            "renkei replay 1",
            "renkei replay 1 --state failed --by NAME",
            "renkei replay --state processed --by NAME",
            "renkei deliveries release ID --by NAME",
            "renkei deliveries release --by NAME --reason why",
            "renkei deliveries release ID --all --by NAME --reason why",
            "renkei channels confirm 3",
            "renkei review decide 3 --by NAME --reason why",
            "renkei review decide 3 --new --reject --by NAME --reason why",
            "renkei people relink 3 --by NAME --reason why",
            "renkei import channels f.csv",
            "renkei enrol",
            "renkei enrol --facility 1319999999",
            "renkei desk done ID",
            "renkei recall ID --reason why",
            "renkei messages --code RNK-XXX-000",
            "renkei retention run",
            "renkei retention run --now --dry-run",
            "renkei hold set --facility 1319999999 --local-id 0001 --by NAME",
            "renkei verify --repair",
            "renkei restore copy --by NAME",
            "renkei restore copy --to data",
            "renkei restore --in-place --by NAME",
        ] {
            assert!(!reads(line), "{line}");
        }
    }

    #[test]
    fn a_name_is_some_words_on_one_line() {
        assert_eq!(words("  山田 花子 ").unwrap(), "山田 花子");
        for bad in ["", "　 ", "a\nb", &"長".repeat(201)] {
            assert!(words(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn times_are_japan_time() {
        let at: Timestamp = "2027-01-30T15:30:00Z".parse().unwrap();
        assert_eq!(when(at), "2027-01-31 00:30");
    }

    #[test]
    fn what_the_operator_can_correct_is_no_fault() {
        let exit = |error: anyhow::Error| explain(error).unwrap();
        assert_eq!(exit(Refusal::Usage("x".into()).into()), Exit::Usage);
        assert_eq!(
            exit(OperateError::Unknown { what: "delivery" }.into()),
            Exit::Data
        );
        let newer = StoreError::Unusable {
            code: Code::CFG_SCHEMA_NEWER,
        };
        assert_eq!(exit(OperateError::Store(newer).into()), Exit::Usage);
        assert!(explain(anyhow::anyhow!("broken")).is_err());
    }
}
