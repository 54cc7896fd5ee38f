//! Against the simulated peer over real HTTP.

mod hearing;
mod sending;

use std::net::SocketAddr;
use std::sync::Arc;

use renkei_core::{
    Change, ChannelKind, Clock, Code, Delivery, PeerRef, ReceiptKind, SendError, SendOutcome, Sink,
    SinkName, Source, SystemClock, peer,
};
use renkei_sim::{Dialect as SimDialect, Limits, Running as Sim, Seed, mcs as sim};
use serde_json::{Value, json};

use super::{Config, Dialect, build};
use crate::testing::{
    Doors, MemoryInbox, a_channel, a_delivery, a_pdf, a_post, secret_file, start,
};

const GROUP: &str = "g-yamamoto";

struct Peer {
    _sim: Sim,
    doors: Doors,
    sink: Arc<dyn Sink>,
    source: Option<Arc<dyn Source>>,
    _secret: tempfile::NamedTempFile,
}

/// A running peer and a sink that talks to it; `extra` is added to the sink's settings.
async fn peer_with(limits: Limits, secret: &str, extra: &str, dialect: Option<Dialect>) -> Peer {
    let listen: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let mut config = sim::Config::new(listen, Seed::demo().unwrap());
    config.limits = limits;
    if dialect.is_some() {
        config.dialect = SimDialect::ward_w2();
    }
    let sim = sim::start(config).await.unwrap();
    let (file, reference) = secret_file(secret);
    let mut config: Config = toml::from_str(&format!(
        "facility = '1311234567'\nuser_ref = 'renkei-hospital'\npoll_secs = 1\n{extra}\n\
         [connection]\nendpoint = '{}'\nclient_id = 'renkei'\nsecret = {reference}\ntimeout_ms = 500",
        sim.url()
    ))
    .unwrap();
    config.dialect = dialect;
    let (sink, source) = build(&SinkName::new("mcs"), config, Arc::new(SystemClock), None).unwrap();
    Peer {
        doors: Doors::new(sim.url()),
        _sim: sim,
        sink,
        source,
        _secret: file,
    }
}

async fn peer() -> Peer {
    peer_with(Limits::default(), "demo-secret", "", None).await
}

impl Peer {
    fn delivery(&self, version: u32) -> Delivery {
        a_delivery(&*self.sink, &a_post(), &a_channel(GROUP), version)
    }

    async fn send(&self, delivery: &Delivery) -> SendOutcome {
        let mut outcomes = self.sink.send(std::slice::from_ref(delivery)).await;
        assert_eq!(outcomes.len(), 1);
        outcomes.remove(0)
    }

    async fn confirmed(&self, delivery: &Delivery) -> PeerRef {
        match self.send(delivery).await {
            SendOutcome::Confirmed { peer_ref } => peer_ref,
            other => panic!("{other:?}"),
        }
    }

    /// A correction of `first`, already told as `posted`.
    fn correction(
        &self,
        first: &Delivery,
        posted: &PeerRef,
        change: Change,
        version: u32,
    ) -> Delivery {
        let mut post = a_post();
        post.client_ref = format!("7.{version}");
        post.change = change;
        let mut delivery = a_delivery(&*self.sink, &post, &first.channel, version);
        delivery.reply_to = Some(posted.clone());
        delivery.replaces = Some(first.id.clone());
        delivery
    }
}

fn blocked(outcome: &SendOutcome) -> Option<Code> {
    match outcome {
        SendOutcome::Blocked { code } => Some(*code),
        _ => None,
    }
}

fn rejected(outcome: &SendOutcome) -> Option<Code> {
    match outcome {
        SendOutcome::Rejected { code, .. } => Some(*code),
        _ => None,
    }
}
