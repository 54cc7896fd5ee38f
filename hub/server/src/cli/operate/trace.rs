//! `renkei trace`: one screen about a term, in reading order: received, recorded, decided and why,
//! sent, seen.

use super::table::{Table, one_line};
use super::{
    ConfigFile, Exit, Opened, Printing, Refusal, complain, messages, say, titled, when, word,
};
use crate::store::operator::{
    self, AttemptLine, DecisionLine, Operator as _, SeenLine, VersionLine,
};

/// Everything about a term.
#[derive(Debug, clap::Args)]
pub(crate) struct Trace {
    /// A control id, storage path, order number, local id, inbox position, delivery id, or what a peer
    /// calls a post.
    term: String,
    #[command(flatten)]
    config: ConfigFile,
    #[command(flatten)]
    printing: Printing,
}

impl Trace {
    pub(super) async fn run(self) -> anyhow::Result<Exit> {
        let opened = Opened::of(&self.config).await?;
        let term = self.term.trim();
        let mut trace = opened.ledger.trace(term).await?;
        if trace.messages.is_empty() && trace.versions.is_empty() && trace.notices.is_empty() {
            return Err(Refusal::Data("the hub knows nothing under this term".to_owned()).into());
        }
        for detail in &mut trace.messages {
            messages::hide_values(detail);
            detail.meta.sidecar.clear();
            // A patient number is shown only to who typed it.
            if !detail.message.control.contains(term) {
                messages::hide_path(&opened, &mut detail.message);
                detail.meta.path = None;
            }
        }
        if self.printing.json {
            super::json_line(&trace)?;
        } else {
            show(&trace);
        }
        if trace.truncated {
            complain("more was found than is shown: give a control id or a delivery id");
        }
        Ok(Exit::Done)
    }
}

fn heading(text: &str) {
    say("");
    say(text);
}

fn show(trace: &operator::Trace) {
    received(trace);
    recorded(trace);
    decided(trace);
    sent(trace);
    heading("了解 seen");
    for seen in &trace.seen {
        say(&format!("  {}", seen_line(seen)));
    }
    if trace.seen.is_empty() {
        say("  nobody has said so");
    }
}

fn received(trace: &operator::Trace) {
    say("受信 received");
    let mut table = Table::new(&["  id", "received", "source", "state", "control", "why"]);
    for detail in &trace.messages {
        let message = &detail.message;
        table.row(vec![
            format!("  {}", message.id),
            when(message.received_at),
            message.source.to_string(),
            message.state.code().to_owned(),
            message.control.clone(),
            message.code.as_deref().map(titled).unwrap_or_default(),
        ]);
        if let Some(removed) = message.body_removed_at {
            table.row(vec![
                String::new(),
                when(removed),
                String::new(),
                String::new(),
                "本文は保存期間を過ぎて消去 body removed by policy".to_owned(),
            ]);
        }
        for finding in &detail.findings {
            table.row(vec![
                String::new(),
                String::new(),
                String::new(),
                word(&finding.severity),
                finding.at.clone(),
                format!("{} {}", finding.code, finding.text),
            ]);
        }
    }
    table.print();
}

fn recorded(trace: &operator::Trace) {
    heading("記録 recorded");
    let mut table = Table::new(&[
        "  resource",
        "id",
        "version",
        "source time",
        "message",
        "note",
    ]);
    // A Provenance stands beside every version and says what the message column says.
    let told = trace
        .versions
        .iter()
        .filter(|line| line.kind != "Provenance");
    for version in told {
        let mut cells = version_cells(version);
        if let Some(first) = cells.first_mut() {
            first.insert_str(0, "  ");
        }
        let note = cells.pop().unwrap_or_default();
        cells.extend([
            when(version.source_time),
            super::or_dash(version.message),
            note,
        ]);
        table.row(cells);
    }
    table.print();
}

fn decided(trace: &operator::Trace) {
    heading("判断 decided");
    for notice in &trace.notices {
        let mut line = format!(
            "  {} {}, person {}, event {}, version {}",
            notice.id,
            notice.kind.label(),
            notice.person,
            when(notice.occurred_at),
            notice.version
        );
        if notice.cancelled {
            line.push_str(", 取消 cancelled");
        }
        if let Some(due) = notice.due_at {
            line.push_str(&format!(", settles {}", when(due)));
        }
        say(&line);
        for decision in trace
            .decisions
            .iter()
            .filter(|decision| decision.notice == notice.id)
        {
            say(&format!("    {}", decision_line(decision)));
        }
    }
    if trace.notices.is_empty() {
        say("  nothing to tell");
    }
}

fn sent(trace: &operator::Trace) {
    heading("送信 sent");
    for delivery in &trace.deliveries {
        let why = delivery.code.as_deref().map(titled).unwrap_or_default();
        say(&one_line(
            format!(
                "  {} {} {} {} {why}",
                delivery.id,
                delivery.sink,
                delivery.state.code(),
                word(&delivery.change)
            )
            .trim_end(),
        ));
        say(&format!("    {}", one_line(&delivery.headline)));
        for attempt in trace
            .attempts
            .iter()
            .filter(|attempt| attempt.delivery == delivery.id)
        {
            say(&format!("    {}", attempt_line(attempt)));
        }
    }
    if trace.deliveries.is_empty() {
        say("  nothing");
    }
}

/// Type, id, version, note.
pub(super) fn version_cells(version: &VersionLine) -> Vec<String> {
    let note = match (version.version, version.withdrawn, version.late) {
        (0, _, _) => "holds off a late original",
        (_, true, _) => "withdrawn",
        (_, false, true) => "late: changed nothing",
        (_, false, false) => "",
    };
    vec![
        version.kind.clone(),
        version.logical_id.clone(),
        version.version.to_string(),
        note.to_owned(),
    ]
}

/// When, where, what and why.
pub(super) fn decision_line(decision: &DecisionLine) -> String {
    let channel = decision.channel.map_or_else(
        || "nowhere".to_owned(),
        |channel| format!("channel {channel}"),
    );
    let why = decision.code.as_deref().map(titled).unwrap_or_default();
    one_line(
        format!(
            "{} version {} {channel}: {} {why} {}",
            when(decision.at),
            decision.version,
            decision.verdict,
            decision.reason
        )
        .trim_end(),
    )
}

/// When, which try, what became of it.
pub(super) fn attempt_line(attempt: &AttemptLine) -> String {
    let why = attempt.code.as_deref().map(titled).unwrap_or_default();
    one_line(
        format!(
            "{} attempt {}: {} {why}",
            when(attempt.at),
            attempt.number,
            attempt.outcome
        )
        .trim_end(),
    )
}

/// When, who, of which delivery.
pub(super) fn seen_line(seen: &SeenLine) -> String {
    let labels: Vec<&str> = seen
        .professions
        .iter()
        .map(|profession| profession.label())
        .collect();
    one_line(&format!(
        "{} 了解 {} {} ({})",
        when(seen.at),
        seen.reader,
        labels.join("・"),
        seen.delivery
    ))
}
