//! The stage: a hospital, simulated peers, a hub in a process of its own, its configuration, and a clock
//! that the play moves. Knows no story; the demo and end-to-end tests play on it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use jiff::Timestamp;
use jiff::civil::DateTime;
use renkei_core::{Clock as _, SourceName, clock};
use renkei_sim::hospital::{Event, Site};
use renkei_sim::{Running, Seed, mcs, vital_link, ward};

use super::config;
use super::doors::{Doors, until};
use super::emr::Emr;
use super::process::HubProcess;
use crate::config::rehearsal::{FileClock, REREAD};
use crate::store::Store;
use crate::store::operator::{Operator as _, Status};
use crate::store::sql::{Access, Database};

/// Longest wait for the hub to come to rest.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// The source that listens.
pub const WIRE: &str = "his";
/// The source that reads the storages.
pub const TREE: &str = "storage";

/// Which system a peer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum System {
    /// メディカルケアステーション.
    Mcs,
    /// バイタルリンク.
    VitalLink,
    /// A ward's own system, files in a folder (W1).
    Ward,
}

/// One peer to put up.
#[derive(Debug, Clone)]
pub struct PeerPlan {
    /// Its name in the configuration.
    pub name: &'static str,
    /// Which system.
    pub system: System,
    /// Who exists there.
    pub seed: Seed,
}

/// What to put up.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The program `renkei`.
    pub program: PathBuf,
    /// Where everything is kept; absolute and empty.
    pub folder: PathBuf,
    /// First of the ports to use; `None` = free ones.
    pub first_port: Option<u16>,
    /// The hospital as sender.
    pub site: Site,
    /// Its facility number.
    pub hospital: &'static str,
    /// Its system account at every peer.
    pub account: &'static str,
    /// The tables `[facility.…]`.
    pub facilities: Vec<config::Facility>,
    /// The peers.
    pub peers: Vec<PeerPlan>,
}

/// A peer that is up.
#[derive(Debug)]
pub struct Peer {
    /// Its name in the configuration.
    pub name: &'static str,
    /// Its doors.
    pub doors: Doors,
    _running: Running,
}

/// Everything that is up.
#[derive(Debug)]
pub struct Stage {
    /// Where everything is kept.
    pub folder: PathBuf,
    /// The configuration.
    pub config: PathBuf,
    /// The hub.
    pub hub: HubProcess,
    /// The ledger, opened beside the hub as a command would.
    pub ledger: Database,
    /// The hospital.
    pub emr: Emr,
    /// Where the hospital sends to.
    pub mllp: SocketAddr,
    /// The peers, in the order of the plan.
    pub peers: Vec<Peer>,
    written: config::Written,
    clock: FileClock,
    clock_file: PathBuf,
}

impl Stage {
    /// Puts everything up; the hub itself is not started yet.
    ///
    /// # Errors
    /// When a port is taken or the folder cannot be written.
    pub async fn build(plan: Plan) -> anyhow::Result<Self> {
        let folder = plan.folder.clone();
        let mut ports = Ports(plan.first_port);
        let mut peers = Vec::new();
        let mut spoken_to = Vec::new();
        for peer in plan.peers {
            let (running, place) = start(&peer, &folder, ports.next()?).await?;
            spoken_to.push((peer.name, peer.system, place));
            peers.push(Peer {
                name: peer.name,
                doors: Doors::at(running.url())?,
                _running: running,
            });
        }
        let mllp = local(ports.next_free()?);
        let emr = Emr::new(plan.site, &folder, mllp)?;
        let secret = folder.join("peer.secret");
        std::fs::write(&secret, config::CLIENT_SECRET)?;
        let written = config::Written {
            hospital: plan.hospital,
            account: plan.account,
            facilities: plan.facilities,
            mllp,
            roots: emr.roots().clone(),
            peers: spoken_to,
            secret,
        };
        let config = folder.join("renkei.toml");
        std::fs::write(&config, written.text(&[TREE]))?;
        let clock_file = folder.join("clock");
        Ok(Self {
            hub: HubProcess::new(&plan.program, &config, &folder.join("hub.log"), mllp),
            ledger: Database::open(&folder.join("data"), Access::Command).await?,
            emr,
            mllp,
            peers,
            written,
            clock: FileClock::new(clock_file.clone()),
            clock_file,
            config,
            folder,
        })
    }

    /// The doors of a peer.
    ///
    /// # Errors
    /// When there is no such peer.
    pub fn doors(&self, name: &str) -> anyhow::Result<&Doors> {
        let peer = self.peers.iter().find(|peer| peer.name == name);
        peer.map(|peer| &peer.doors)
            .with_context(|| format!("no peer {name}"))
    }

    /// Writes the configuration anew, with these sources reading the storages.
    ///
    /// # Errors
    /// As the file system says.
    pub fn reconfigure(&self, trees: &[&str]) -> anyhow::Result<()> {
        Ok(std::fs::write(&self.config, self.written.text(trees))?)
    }

    /// Starts the hub and waits until these sources know their storages as they stand: what comes later
    /// is news.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn open(&mut self, trees: &[&str]) -> anyhow::Result<()> {
        self.hub.start().await?;
        for tree in trees {
            let (source, ledger, roots) = (SourceName::new(tree), &self.ledger, self.emr.roots());
            until("the storages were walked once", PATIENCE, async || {
                let notes = Store::recall(ledger, &source).await?;
                let walked = notes.iter().filter(|note| note.key.starts_with("r:"));
                Ok((walked.count() == roots.len()).then_some(()))
            })
            .await?;
        }
        Ok(())
    }

    /// Moves the clock of the story to this reading in Japan.
    ///
    /// # Errors
    /// As the file system says.
    pub async fn at(&self, time: DateTime) -> anyhow::Result<()> {
        let wanted = time.to_zoned(clock::japan())?.timestamp();
        let offset = wanted.duration_since(renkei_core::SystemClock.now());
        FileClock::set(&self.clock_file, offset)?;
        // The hub works with an offset that is at most so old.
        tokio::time::sleep(REREAD).await;
        Ok(())
    }

    /// The time of the story.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The hospital sends an event now; returns when its effects are committed.
    ///
    /// # Errors
    /// When the hub does not accept it.
    pub async fn wire(&mut self, event: &Event) -> anyhow::Result<()> {
        self.at(event.at).await?;
        self.emr.wire(event).await
    }

    /// The hospital writes an event into its storages now; returns when the hub has read it.
    ///
    /// # Errors
    /// When the hub does not read it in time.
    pub async fn file(&mut self, event: &Event) -> anyhow::Result<()> {
        self.at(event.at).await?;
        self.emr.file(event).await?;
        self.read().await
    }

    /// Waits until every name in the storages has become a message and was processed.
    ///
    /// # Errors
    /// When that does not come to pass in time.
    pub async fn read(&self) -> anyhow::Result<()> {
        let written = self.emr.written();
        until("the storages were read", PATIENCE, async || {
            let counts = self.ledger.ledger_counts().await?;
            let read = counts.sources.get(TREE).copied().unwrap_or(0);
            ensure!(
                read <= written,
                "{read} messages of {written} names in the storages"
            );
            Ok((read == written && self.status().await?.waiting == 0).then_some(()))
        })
        .await
    }

    /// How the hub stands.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn status(&self) -> anyhow::Result<Status> {
        Ok(self.ledger.status(self.now()).await?)
    }

    /// Waits until nothing is left to do now: no message, no due notice, no delivery on its way.
    ///
    /// # Errors
    /// When the hub does not come to rest in time.
    pub async fn calm(&self) -> anyhow::Result<()> {
        until("the hub is at rest", PATIENCE, async || {
            let rest = self.at_rest().await?;
            let sent = rest.is_some_and(|status| status.pending == 0 && status.sent == 0);
            Ok(sent.then_some(()))
        })
        .await
    }

    /// Waits until every notice that is due now was settled, whatever its deliveries do.
    ///
    /// # Errors
    /// When that does not come to pass in time.
    pub async fn settled(&self) -> anyhow::Result<()> {
        until("what is due was settled", PATIENCE, async || {
            Ok(self.at_rest().await?.map(drop))
        })
        .await
    }

    /// How the hub stands when no message waits and no notice is due. Both are looked at while nobody
    /// writes: what leaves one queue may enter the other between two looks.
    async fn at_rest(&self) -> anyhow::Result<Option<Status>> {
        let before = self.ledger.data_version().await?;
        let (status, due) = (self.status().await?, self.ledger.next_due().await?);
        let is_still = before == self.ledger.data_version().await?;
        let is_settled = due.is_none_or(|due| due > self.now());
        Ok((is_still && is_settled && status.waiting == 0).then_some(status))
    }

    /// Posts that people can read, by peer.
    ///
    /// # Errors
    /// When a peer does not answer.
    pub async fn posts(&self) -> anyhow::Result<BTreeMap<&'static str, usize>> {
        let mut posts = BTreeMap::new();
        for peer in &self.peers {
            posts.insert(peer.name, peer.doors.look().await?.readable().count());
        }
        Ok(posts)
    }
}

/// Ports in a row from the first, or free ones.
struct Ports(Option<u16>);

impl Ports {
    /// The next of the row; 0 lets the listener choose.
    fn next(&mut self) -> anyhow::Result<u16> {
        let Some(port) = self.0 else { return Ok(0) };
        self.0 = Some(port.checked_add(1).context("no port is left")?);
        Ok(port)
    }

    /// The next of the row, or one that is free at this moment.
    fn next_free(&mut self) -> anyhow::Result<u16> {
        match self.next()? {
            0 => Ok(std::net::TcpListener::bind(local(0))?.local_addr()?.port()),
            port => Ok(port),
        }
    }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// Starts one peer; gives the place the hub speaks to.
async fn start(peer: &PeerPlan, folder: &Path, port: u16) -> anyhow::Result<(Running, String)> {
    let (listen, seed) = (local(port), peer.seed.clone());
    let running = match peer.system {
        System::Mcs => mcs::start(mcs::Config::new(listen, seed)).await?,
        System::VitalLink => vital_link::start(vital_link::Config::new(listen, seed)).await?,
        System::Ward => {
            let exchange = folder.join(peer.name);
            let running = ward::start(ward::Config::new(listen, exchange.clone(), seed)).await?;
            return Ok((running, exchange.display().to_string()));
        }
    };
    let place = running.url();
    Ok((running, place))
}
