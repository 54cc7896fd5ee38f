//! Sends a batch: persons side by side, the deliveries of one person one after the other.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use renkei_core::{Delivery, PersonId, SendOutcome};

/// What a batch stops for.
#[derive(Clone, Copy)]
struct Stop {
    after: Option<Duration>,
    unavailable: bool,
}

impl Stop {
    fn outcome(self) -> SendOutcome {
        SendOutcome::Retry {
            after: self.after,
            unavailable: self.unavailable,
            source: "not sent: an earlier delivery must go first".into(),
        }
    }
}

/// One outcome per delivery, in order. A delivery that must be tried again holds back the later ones
/// of its person; a peer that is down or asks for patience holds back everything not yet begun.
pub(crate) async fn in_lines<'a, F>(
    deliveries: &'a [Delivery],
    parallel: usize,
    send: F,
) -> Vec<SendOutcome>
where
    F: Fn(&'a Delivery) -> Pin<Box<dyn Future<Output = SendOutcome> + Send + 'a>> + Sync,
{
    let mut lines: HashMap<PersonId, Vec<usize>> = HashMap::new();
    let mut order = Vec::new();
    for (at, delivery) in deliveries.iter().enumerate() {
        let line = lines.entry(delivery.channel.person).or_default();
        if line.is_empty() {
            order.push(delivery.channel.person);
        }
        line.push(at);
    }
    let all: Mutex<Option<Stop>> = Mutex::new(None);
    let stopped = || *all.lock().unwrap_or_else(PoisonError::into_inner);
    let lines: Vec<Vec<usize>> = order
        .into_iter()
        .filter_map(|person| lines.remove(&person))
        .collect();
    let walks = lines.into_iter().map(|line| {
        let (send, all, stopped) = (&send, &all, &stopped);
        async move {
            let mut done = Vec::with_capacity(line.len());
            let mut held_back = None;
            for at in line {
                let outcome = match (held_back.or_else(stopped), deliveries.get(at)) {
                    (None, Some(delivery)) => send(delivery).await,
                    (stop, _) => {
                        let none = Stop {
                            after: None,
                            unavailable: false,
                        };
                        stop.unwrap_or(none).outcome()
                    }
                };
                match &outcome {
                    SendOutcome::Retry {
                        after, unavailable, ..
                    } => {
                        let stop = Stop {
                            after: *after,
                            unavailable: *unavailable,
                        };
                        held_back = Some(stop);
                        if *unavailable || after.is_some() {
                            *all.lock().unwrap_or_else(PoisonError::into_inner) = Some(stop);
                        }
                    }
                    SendOutcome::Unknown { .. } => {
                        held_back = Some(Stop {
                            after: None,
                            unavailable: false,
                        });
                    }
                    SendOutcome::Confirmed { .. }
                    | SendOutcome::AwaitingAck { .. }
                    | SendOutcome::Blocked { .. }
                    | SendOutcome::Rejected { .. } => {}
                }
                done.push((at, outcome));
            }
            done
        }
    });
    let mut done: Vec<(usize, SendOutcome)> = futures_util::stream::iter(walks)
        .buffer_unordered(parallel.max(1))
        .collect::<Vec<_>>()
        .await
        .into_iter()
        .flatten()
        .collect();
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, outcome)| outcome).collect()
}
