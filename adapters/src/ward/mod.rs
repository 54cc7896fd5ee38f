//! Ward and city systems: W1, files in a folder, answered by files; W2, REST, which is the `mcs`
//! client in the ward's words.
//!
//! Speaks `adapters/sim/CONTRACT.md` §4 and §5, this project's own. Called by the outbox (sink half)
//! and started beside the sources (source half). It decides nothing about what may be said or to whom;
//! moving the folder to another machine (SFTP) is the operator's.

mod answers;
mod config;
mod frame;
mod handover;
mod ms932;
mod table;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::SignedDuration;
use renkei_core::{
    Change, Channel, ChannelView, Clock, Code, Delivery, FrameError, Payload, PeerRef, Post,
    SendError, SendOutcome, Sink, SinkName, Source, Wire,
};

pub use config::{Config, Encoding, FileDrop};

use crate::problem::ConfigProblem;
use crate::{Ends, mcs, post};
use frame::{Files, Framed};

/// Makes both halves. The source half is absent when polling is off (and, for REST, no webhook is
/// configured). `wire` is what `connection.dialect` names.
///
/// # Errors
/// [`ConfigProblem`] for the first setting that cannot be used.
pub fn build(
    name: &SinkName,
    config: Config,
    clock: Arc<dyn Clock>,
    wire: Option<Arc<dyn Wire>>,
) -> Result<Ends, ConfigProblem> {
    if let Some(problem) = config.check().into_iter().next() {
        return Err(problem);
    }
    match config {
        Config::Rest(mut rest) => {
            if wire.is_none() {
                rest.dialect.get_or_insert_with(mcs::Dialect::ward_w2);
            }
            mcs::build(name, *rest, clock, wire)
        }
        Config::FileDrop(config) => {
            let peer = Arc::new(FolderDrop {
                name: name.clone(),
                config,
                clock,
            });
            let source = (peer.config.poll_secs > 0).then(|| Arc::clone(&peer) as Arc<dyn Source>);
            Ok((peer, source))
        }
    }
}

/// Both halves of one exchange folder.
struct FolderDrop {
    name: SinkName,
    config: FileDrop,
    clock: Arc<dyn Clock>,
}

#[async_trait]
impl Sink for FolderDrop {
    fn frame(&self, post: &Post, channel: &Channel) -> Result<Payload, FrameError> {
        frame::frame(post, channel, &self.config)
    }

    /// The ward cannot be asked: what was declared counts, and the ward itself refuses another
    /// patient's birth date or sex.
    async fn look(&self, channel: &Channel) -> Result<ChannelView, SendError> {
        Ok(ChannelView {
            peer_ref: channel.peer_ref.clone(),
            kind: channel.kind,
            archived: false,
            header: None,
            members: None,
            host_facility: channel.host_facility.clone(),
        })
    }

    async fn channels(&self) -> Result<Vec<ChannelView>, SendError> {
        Ok(Vec::new())
    }

    async fn send(&self, deliveries: &[Delivery]) -> Vec<SendOutcome> {
        let prepared: Vec<Result<Files, SendOutcome>> = deliveries
            .iter()
            .map(|delivery| self.prepare(delivery))
            .collect();
        let mut batch = Vec::new();
        let places: Vec<Result<String, SendOutcome>> = prepared
            .into_iter()
            .map(|prepared| {
                prepared.map(|files| {
                    let stem = files.stem.clone();
                    batch.push(files);
                    stem
                })
            })
            .collect();
        let count = batch.len();
        let folder = self.config.folder.join("in");
        let written =
            tokio::task::spawn_blocking(move || handover::hand_over(&folder, &batch)).await;
        let written = written.unwrap_or_else(|_| {
            (0..count)
                .map(|_| Err(io::Error::other("the writing task ended")))
                .collect()
        });
        let mut written = written.into_iter();
        places
            .into_iter()
            .map(|place| match place {
                Err(outcome) => outcome,
                Ok(stem) => self.outcome(&stem, written.next()),
            })
            .collect()
    }

    async fn probe(&self) -> Result<(), SendError> {
        let folder = self.config.folder.clone();
        let check = move || -> io::Result<()> {
            std::fs::read_dir(folder.join("out"))?;
            // An unfinished file is looked at by nobody.
            let trial = folder.join("in").join("renkei-probe.tmp");
            std::fs::File::create(&trial)?;
            std::fs::remove_file(trial)
        };
        let checked = tokio::task::spawn_blocking(check)
            .await
            .map_err(io::Error::other);
        match checked {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) | Err(error) => Err(SendError::Unavailable(error.into())),
        }
    }

    fn is_idempotent(&self) -> bool {
        true
    }
}

impl FolderDrop {
    fn prepare(&self, delivery: &Delivery) -> Result<Files, SendOutcome> {
        let refused = |reason: &str| SendOutcome::Rejected {
            code: Code::DLV_FRAME,
            source: reason.to_owned().into(),
        };
        if !post::has_its_documents(delivery) {
            return Err(refused("a delivery without its documents"));
        }
        let framed: Framed = serde_json::from_str(&delivery.payload.body)
            .map_err(|_| refused("the stored payload is not what this sink frames"))?;
        let stem = frame::stem(delivery)
            .ok_or_else(|| refused("the delivery id and version make no document id"))?;
        // What the ward never got cannot be withdrawn; then the cancellation itself is told.
        let withdrawn = delivery.replaces.is_some()
            && matches!(delivery.change, Change::Cancelled | Change::WrongPatient);
        framed
            .files(
                &stem,
                withdrawn,
                &delivery.attachments,
                self.config.encoding,
            )
            .map_err(|_| refused("the document cannot be written as CSV"))
    }

    fn outcome(&self, stem: &str, written: Option<io::Result<()>>) -> SendOutcome {
        match written {
            Some(Ok(())) => {
                let wait = i64::try_from(self.config.ack_within_secs).unwrap_or(i64::MAX);
                let now = self.clock.now();
                SendOutcome::AwaitingAck {
                    peer_ref: Some(PeerRef::new(stem)),
                    until: now
                        .saturating_add(SignedDuration::from_secs(wait))
                        .unwrap_or(now),
                }
            }
            Some(Err(error)) => SendOutcome::Retry {
                after: None,
                unavailable: true,
                source: error.into(),
            },
            None => SendOutcome::Unknown {
                source: "no answer from the writing task".into(),
            },
        }
    }
}
