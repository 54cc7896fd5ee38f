//! Tells the operator's webhook how alarms stand. What was told is kept in the ledger, so that a restart
//! or an address that is down neither loses an alarm nor repeats one; what turned twice before it could
//! be told is told as it stands.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use renkei_adapters::http::Hook;
use renkei_core::{Code, chain};
use serde::Serialize;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::alarm::Question;
use crate::store::watch::{AlarmLine, Watch};

/// First wait after the address did not take an alarm; doubles up to [`LONGEST`].
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(300);

/// What the task works with.
pub(crate) struct Teller {
    /// The ledger.
    pub(crate) ledger: Arc<dyn Watch>,
    /// The address.
    pub(crate) hook: Hook,
    /// Fires when an alarm has turned.
    pub(crate) turned: Arc<Notify>,
}

/// One alarm as the webhook gets it. No patient data: names, codes, numbers and fixed words.
#[derive(Serialize)]
struct Told<'a> {
    /// The same when it is told again.
    id: String,
    state: &'static str,
    alarm: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    sink: &'a str,
    code: Code,
    title: &'static str,
    value: i64,
    since: jiff::Timestamp,
    runbook: &'static str,
}

impl Teller {
    /// Tells until `stop` fires.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut wait = FIRST;
        loop {
            let all_told = tokio::select! {
                () = stop.cancelled() => return,
                told = self.tell() => told,
            };
            wait = if all_told {
                FIRST
            } else {
                wait.saturating_mul(2).min(LONGEST)
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.turned.notified() => {}
                () = tokio::time::sleep(wait), if !all_told => {}
            }
        }
    }

    /// Tells what is untold. Whether nothing is left.
    async fn tell(&self) -> bool {
        let alarms = match self.ledger.alarms().await {
            Ok(alarms) => alarms,
            Err(error) => {
                debug!(error = %chain(&error), "alarms could not be read");
                return false;
            }
        };
        let mut all_told = true;
        for alarm in alarms.iter().filter(|alarm| !alarm.told) {
            all_told &= self.tell_one(alarm).await;
        }
        all_told
    }

    async fn tell_one(&self, alarm: &AlarmLine) -> bool {
        let told = told(alarm);
        let Ok(body) = serde_json::to_vec(&told) else {
            return true;
        };
        let key = told.id.clone();
        let posted = self
            .hook
            .post("application/json", Some(&key), Bytes::from(body));
        if let Err(error) = posted.await {
            warn!(alarm = %alarm.name, error = %chain(&error), "the webhook did not take an alarm, trying again");
            return false;
        }
        match self.ledger.alarm_told(alarm).await {
            Ok(()) => true,
            Err(error) => {
                debug!(error = %chain(&error), "that an alarm was told could not be noted");
                false
            }
        }
    }
}

fn told(alarm: &AlarmLine) -> Told<'_> {
    let code = Question::find(&alarm.name).map_or(Code::OPS_WAITING, Question::code);
    let state = if alarm.raised { "raised" } else { "resolved" };
    let since = alarm.since.as_microsecond();
    Told {
        id: format!("{}-{}-{since}-{state}", alarm.name, alarm.sink),
        state,
        alarm: &alarm.name,
        sink: &alarm.sink,
        code,
        title: code.title(),
        value: alarm.value,
        since: alarm.since,
        runbook: "ops/runbooks/alarms.md",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_is_told_in_names_codes_and_numbers() {
        let alarm = AlarmLine {
            name: "oldest_pending".to_owned(),
            sink: "mcs".to_owned(),
            raised: true,
            since: jiff::Timestamp::UNIX_EPOCH,
            value: 3_700,
            told: false,
        };
        assert_eq!(
            serde_json::to_value(told(&alarm)).unwrap(),
            serde_json::json!({
                "id": "oldest_pending-mcs-0-raised", "state": "raised", "alarm": "oldest_pending",
                "sink": "mcs", "code": "RNK-OPS-002",
                "title": "deliveries to a sink wait longer than they should",
                "value": 3_700, "since": "1970-01-01T00:00:00Z", "runbook": "ops/runbooks/alarms.md",
            })
        );
    }
}
