//! `renkei status`: how the hub stands, for people and for monitors.

use std::collections::BTreeMap;

use renkei_core::Code;
use serde::Serialize;

use super::table::Table;
use super::{ConfigFile, Exit, Opened, Printing, say, titled, when, word};
use crate::observe::alarm::{ENDED_WELL, Question};
use crate::observe::config::Alarms;
use crate::store::operator::{self, Operator as _};
use crate::store::watch::{AlarmLine, Watch as _};

/// Held on purpose: listed for whoever reads them, no task for anybody.
const LISTED_ONLY: [Code; 3] = [Code::RTE_SHADOW, Code::RTE_NOT_LIVE, Code::RTE_STALE];

/// How the hub stands. Exit 0: healthy. Exit 65: something waits for a person (parked, held, reviews,
/// proposed channels, incidents), failed or is dead, does not move, or an alarm of the hub is raised.
#[derive(Debug, clap::Args)]
pub(crate) struct Status {
    #[command(flatten)]
    config: ConfigFile,
    #[command(flatten)]
    printing: Printing,
}

#[derive(Serialize)]
struct Printed<'a> {
    healthy: bool,
    needs: &'a [String],
    alarms: &'a [AlarmLine],
    #[serde(flatten)]
    status: &'a operator::Status,
}

impl Status {
    pub(super) async fn run(self) -> anyhow::Result<Exit> {
        let opened = Opened::of(&self.config).await?;
        let status = opened.ledger.status(opened.clock.now()).await?;
        let mut alarms = opened.ledger.alarms().await?;
        alarms.retain(|alarm| alarm.raised);
        let needs = needs(&status, &alarms, &opened.checked.observe.alarms);
        if self.printing.json {
            super::json_line(&Printed {
                healthy: needs.is_empty(),
                needs: &needs,
                alarms: &alarms,
                status: &status,
            })?;
        } else {
            show(&status, &needs);
        }
        Ok(if needs.is_empty() {
            Exit::Done
        } else {
            Exit::Data
        })
    }
}

/// What keeps the hub from being healthy, in words.
fn needs(status: &operator::Status, alarms: &[AlarmLine], limits: &Alarms) -> Vec<String> {
    let counts = [
        (
            status.parked,
            "messages parked (renkei messages list --state parked)",
        ),
        (
            status.failed,
            "messages failed (renkei messages list --state failed)",
        ),
        (
            without(&status.held, &LISTED_ONLY),
            "deliveries held (renkei deliveries list --state held)",
        ),
        (
            without(&status.dead, &ENDED_WELL),
            "deliveries dead (renkei deliveries list --state dead)",
        ),
        (status.reviews, "records to review (renkei review list)"),
        (
            status.proposed_channels,
            "channels to confirm (renkei channels list --status proposed)",
        ),
        (status.incidents, "incidents open (速報 3–5 日, 確報 30 日)"),
    ];
    let mut needs: Vec<String> = counts
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    let stuck = [
        (
            status.oldest_waiting_secs,
            limits.oldest_waiting_secs,
            "messages are not processed",
        ),
        (
            status.oldest_pending_secs,
            limits.oldest_pending_secs,
            "deliveries do not get out",
        ),
    ];
    for (age, most, what) in stuck {
        let long = |age: &i64| most > 0 && age.unsigned_abs() >= most;
        if let Some(age) = age.filter(long) {
            needs.push(format!("{what}: the oldest waits {}", span(age)));
        }
    }
    needs.extend(alarms.iter().map(alarm_line));
    needs
}

/// `alarm RNK-OPS-006 sink_paused mcs since 2026-11-20 10:00 (ops/runbooks/alarms.md)`
fn alarm_line(alarm: &AlarmLine) -> String {
    let code = Question::find(&alarm.name).map_or("", |question| question.code().as_str());
    let about = [code, &alarm.name, &alarm.sink];
    let about: Vec<&str> = about.into_iter().filter(|word| !word.is_empty()).collect();
    format!(
        "alarm {} since {} (ops/runbooks/alarms.md)",
        about.join(" "),
        when(alarm.since)
    )
}

fn without(counts: &BTreeMap<String, u64>, fine: &[Code]) -> u64 {
    counts
        .iter()
        .filter(|(code, _)| !fine.iter().any(|fine| fine.as_str() == code.as_str()))
        .map(|(_, count)| count)
        .sum()
}

/// `3 h 05 min`
fn span(secs: i64) -> String {
    match (secs / 3_600, secs % 3_600 / 60) {
        (0, 0) => format!("{secs} s"),
        (0, minutes) => format!("{minutes} min"),
        (hours, minutes) => format!("{hours} h {minutes:02} min"),
    }
}

fn show(status: &operator::Status, needs: &[String]) {
    let mut table = Table::new(&["what", "count", "note"]);
    let mut add = |what: &str, count: u64, note: String| {
        table.row(vec![what.to_owned(), count.to_string(), note]);
    };
    let oldest = |age: Option<i64>| {
        age.map_or_else(String::new, |age| format!("oldest {}", span(age.max(0))))
    };
    add(
        "messages waiting",
        status.waiting,
        oldest(status.oldest_waiting_secs),
    );
    add("messages parked", status.parked, String::new());
    add("messages failed", status.failed, String::new());
    add(
        "deliveries pending",
        status.pending,
        oldest(status.oldest_pending_secs),
    );
    add("deliveries sent", status.sent, String::new());
    for (state, counts) in [("held", &status.held), ("dead", &status.dead)] {
        for (code, count) in counts {
            add(&format!("deliveries {state}"), *count, titled(code));
        }
    }
    add("records to review", status.reviews, String::new());
    add("channels proposed", status.proposed_channels, String::new());
    add("incidents open", status.incidents, String::new());
    for (name, count) in &status.counters {
        add(name, *count, String::new());
    }
    table.print();
    for sink in &status.sinks {
        let mode = sink.mode.map(|mode| word(&mode)).unwrap_or_default();
        let paused = if sink.paused { "paused" } else { "" };
        say(format!("sink {}: {mode} {paused}", sink.sink).trim_end());
    }
    match &status.last_run {
        None => say("the hub has never run"),
        Some(run) => {
            let ended = run.ended_at.map_or_else(
                || "no clean end yet".to_owned(),
                |at| format!("ended {}", when(at)),
            );
            say(&format!("last start {}, {ended}", when(run.started_at)));
        }
    }
    if needs.is_empty() {
        say("healthy");
    }
    for need in needs {
        say(&format!("! {need}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quiet() -> operator::Status {
        operator::Status {
            oldest_waiting_secs: None,
            oldest_pending_secs: None,
            waiting: 0,
            parked: 0,
            failed: 0,
            pending: 0,
            sent: 0,
            held: BTreeMap::new(),
            dead: BTreeMap::new(),
            reviews: 0,
            proposed_channels: 0,
            incidents: 0,
            counters: BTreeMap::new(),
            sinks: Vec::new(),
            last_run: None,
        }
    }

    #[test]
    fn shadow_and_replaced_versions_are_healthy() {
        let mut status = quiet();
        status.held.insert(Code::RTE_SHADOW.to_string(), 40);
        status.dead.insert(Code::DLV_SUPERSEDED.to_string(), 3);
        status.oldest_waiting_secs = Some(599);
        assert_eq!(
            needs(&status, &[], &Alarms::default()),
            Vec::<String>::new()
        );
        status.held.insert(Code::RTE_NEVER_AUTOMATIC.to_string(), 2);
        status.dead.insert(Code::DLV_EXPIRED.to_string(), 1);
        let words = needs(&status, &[], &Alarms::default());
        assert_eq!(words.len(), 2);
        assert!(words[0].starts_with("2 deliveries held"), "{words:?}");
        assert!(words[1].starts_with("1 deliveries dead"), "{words:?}");
    }

    #[test]
    fn a_raised_alarm_is_named_until_it_is_over() {
        let alarm = AlarmLine {
            name: "sink_paused".to_owned(),
            sink: "mcs".to_owned(),
            raised: true,
            since: jiff::Timestamp::UNIX_EPOCH,
            value: 700,
            told: true,
        };
        let needs = needs(&quiet(), &[alarm], &Alarms::default());
        assert_eq!(needs.len(), 1);
        assert!(
            needs[0].starts_with("alarm RNK-OPS-006 sink_paused mcs since 1970"),
            "{needs:?}"
        );
    }

    #[test]
    fn what_does_not_move_is_named_with_its_age() {
        let mut status = quiet();
        status.oldest_pending_secs = Some(2 * 3_600 + 300);
        assert_eq!(
            needs(&status, &[], &Alarms::default()),
            ["deliveries do not get out: the oldest waits 2 h 05 min"]
        );
    }
}
