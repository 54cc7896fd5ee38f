//! `renkei recall`: withdraws everywhere what was told about the wrong patient.

use renkei_core::{Change, Code, DeliveryId};
use renkei_mappings::post::{Ask, render};

use super::table::{Table, one_line};
use super::{ConfigFile, Exit, Opened, Printing, Reasoned, complain, say, titled, when};
use crate::hub;
use crate::store::operator::{Operator as _, Recalled, Render, Withdrawing};

/// Withdraws everywhere what was told about the wrong patient, and opens an incident.
#[derive(Debug, clap::Args)]
pub(crate) struct Recall {
    /// One of the deliveries of the event, from `trace`.
    delivery: String,
    #[command(flatten)]
    by: Reasoned,
    #[command(flatten)]
    config: ConfigFile,
    #[command(flatten)]
    printing: Printing,
}

impl Recall {
    pub(super) async fn run(self) -> anyhow::Result<Exit> {
        let opened = Opened::of(&self.config).await?;
        let act = opened.by(&self.by.by, &self.by.reason);
        let id = DeliveryId::known(&self.delivery);
        let recalled = opened.ledger.recall(&id, &act, renderer(&opened)?).await?;
        if self.printing.json {
            super::json_line(&recalled)?;
        } else {
            show(&recalled);
        }
        // Pausing comes first in an emergency, and then holds the withdrawals up too.
        for paused in opened.ledger.sink_overrides().await? {
            let told = recalled.told.iter().any(|told| told.sink == paused.sink);
            if paused.paused && told {
                complain(&format!(
                    "{0} is paused: the withdrawal goes out after `renkei sinks resume {0}`",
                    paused.sink
                ));
            }
        }
        let by_hand = recalled
            .told
            .iter()
            .filter(|told| told.code.is_some())
            .count();
        if by_hand > 0 {
            complain(&format!(
                "{by_hand} withdrawals could not be written: call these teams now"
            ));
            return Ok(Exit::Data);
        }
        Ok(Exit::Done)
    }
}

/// Words and form of a withdrawal, as the configured peers frame it.
fn renderer(opened: &Opened) -> anyhow::Result<Render> {
    let sinks = hub::sinks(&opened.checked, &opened.clock)?;
    let setup = opened.checked.setup.clone();
    Ok(Box::new(move |from: &Withdrawing| {
        let name = &from.channel.sink;
        let sink = sinks.get(name).ok_or(Code::DLV_FRAME)?;
        let ask = Ask {
            change: Change::WrongPatient,
            previous: None,
            late: false,
            reply_reaches: setup.sinks.get(name).is_some_and(|sink| sink.reply_reaches),
            test_prefix: setup.staging,
            client_ref: from.client_ref.clone(),
            author_facility: from.author_facility.to_string(),
        };
        let post = render(&from.content, &from.disclosure, &ask).ok_or(Code::DLV_FRAME)?;
        let payload = sink
            .frame(&post, &from.channel)
            .map_err(|error| error.code)?;
        Ok((post, payload))
    }))
}

fn show(recalled: &Recalled) {
    say(&format!(
        "incident {} about notice {}",
        recalled.incident, recalled.notice
    ));
    say(&format!(
        "速報 first report due {} to {}, 確報 full report by {}",
        when(recalled.first_report_from),
        when(recalled.first_report_by),
        when(recalled.full_report_by)
    ));
    say("Whether to report is for the facility's responsible person to decide.");
    if recalled.told.is_empty() {
        say("It was told nowhere.");
    }
    for told in &recalled.told {
        say("");
        say(&format!(
            "{} {}: {} told, {} withdraws it",
            told.sink,
            one_line(told.peer_ref.as_str()),
            told.told,
            told.withdrawal
        ));
        if let Some(code) = told.code {
            say(&format!("  NOT SENT, call: {}", titled(code.as_str())));
        }
        let mut table = Table::new(&["  reader", "profession", "facility", "seen"]);
        for member in &told.members {
            let seen = told.seen.iter().find(|seen| seen.reader == member.user_ref);
            let labels: Vec<&str> = member
                .professions
                .iter()
                .map(|profession| profession.label())
                .collect();
            table.row(vec![
                format!("  {}", member.user_ref),
                labels.join("・"),
                super::or_dash(member.facility.as_ref()),
                super::when_or_dash(seen.map(|seen| seen.at)),
            ]);
        }
        // Somebody may have seen it and left the group since.
        let gone = |reader: &str| !told.members.iter().any(|member| member.user_ref == reader);
        for seen in told.seen.iter().filter(|seen| gone(&seen.reader)) {
            table.row(vec![
                format!("  {}", seen.reader),
                super::dash(),
                super::dash(),
                when(seen.at),
            ]);
        }
        table.print();
    }
    if !recalled.stopped.is_empty() {
        say("");
        say(&format!(
            "{} deliveries will not be sent any more",
            recalled.stopped.len()
        ));
    }
}
