//! `renkei sim`: the simulated other ends, loopback only.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Subcommand;
use renkei_sim::hospital::{self, Hospital, Scenario};
use renkei_sim::{Running, Second, Seed, mcs, vital_link, ward};

use super::{Exit, say};

/// A simulated other end on loopback.
#[derive(Debug, clap::Args)]
pub struct Sim {
    #[command(subcommand)]
    peer: Peer,
}

#[derive(Debug, Subcommand)]
enum Peer {
    /// メディカルケアステーション by our contract sns-gateway/1.
    Mcs(Listen<18_081>),
    /// バイタルリンク by our contract.
    #[command(name = "vital_link")]
    VitalLink(Listen<18_082>),
    /// A ward's own system: W1 in a folder, or W2 over REST.
    Ward(Ward),
    /// A hospital: plays a discharge story into a storage and over MLLP.
    Hospital(HospitalArguments),
}

#[derive(Debug, clap::Args)]
struct Listen<const PORT: u16> {
    /// Port on loopback; 0 picks a free one.
    #[arg(long, default_value_t = PORT)]
    port: u16,
    /// Who exists at the start, as JSON. Default: the district of the demo.
    #[arg(long, value_name = "FILE")]
    seed: Option<PathBuf>,
    /// Speak otherwise than the contract: adapters/dialects/ has the words (calls to mcs are signed with the key
    /// `demo-signing-key`).
    #[arg(long)]
    second: bool,
}

#[derive(Debug, clap::Args)]
struct Ward {
    #[command(flatten)]
    listen: Listen<18_083>,
    /// W1: the exchange folder. Without it the ward speaks W2 over REST.
    #[arg(long, value_name = "DIR", conflicts_with = "second")]
    folder: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct HospitalArguments {
    /// Root of the SS-MIX2 standardized storage to write.
    #[arg(long, value_name = "DIR")]
    storage: Option<PathBuf>,
    /// Root of the extended storage to write.
    #[arg(long, value_name = "DIR")]
    extended: Option<PathBuf>,
    /// MLLP listener of the hub.
    #[arg(long, value_name = "ADDRESS")]
    mllp: Option<SocketAddr>,
    /// First control id; a second run needs another one.
    #[arg(long, default_value_t = 1)]
    first_control_id: u64,
}

impl Sim {
    /// Runs it until Ctrl-C (a hospital: until its story is told).
    ///
    /// # Errors
    /// When the address is not free, or a story cannot be told.
    pub async fn run(self) -> anyhow::Result<Exit> {
        let running = match self.peer {
            Peer::Mcs(listen) => {
                let mut config = mcs::Config::new(listen.address(), listen.seed()?);
                config.second = listen.second.then(|| Second::Care {
                    signing_key: "demo-signing-key".to_owned(),
                });
                mcs::start(config).await?
            }
            Peer::VitalLink(listen) => {
                let mut config = vital_link::Config::new(listen.address(), listen.seed()?);
                config.second = listen.second.then_some(Second::Xml);
                vital_link::start(config).await?
            }
            Peer::Ward(ward) => ward.start().await?,
            Peer::Hospital(hospital) => return hospital.tell().await,
        };
        say(&format!(
            "listening on http://{} (state: /_sim/state, faults: /_sim/faults)",
            running.address()
        ));
        tokio::signal::ctrl_c().await?;
        Ok(Exit::Done)
    }
}

impl<const PORT: u16> Listen<PORT> {
    fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    fn seed(&self) -> anyhow::Result<Seed> {
        match &self.seed {
            Some(path) => {
                let text =
                    std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
                Ok(serde_json::from_str(&text).with_context(|| path.display().to_string())?)
            }
            None => Ok(Seed::demo()?),
        }
    }
}

impl Ward {
    async fn start(self) -> anyhow::Result<Running> {
        let (address, seed) = (self.listen.address(), self.listen.seed()?);
        Ok(match self.folder {
            Some(folder) => ward::start(ward::Config::new(address, folder, seed)).await?,
            None if self.listen.second => {
                let mut config = mcs::Config::new(address, seed);
                config.name = "ward".to_owned();
                config.second = Some(Second::City);
                mcs::start(config).await?
            }
            None => mcs::start(mcs::Config::ward(address, seed)).await?,
        })
    }
}

impl HospitalArguments {
    async fn tell(self) -> anyhow::Result<Exit> {
        let (site, person) = (hospital::Site::demo(), hospital::Person::synthetic(1));
        // A stay that ended today, so that its notices are news.
        let today = jiff::Zoned::now().date();
        let admission = today.checked_sub(jiff::ToSpan::days(21))?;
        let story = Scenario::discharge_story(&site, &person, admission, 10_001);
        let mut hospital = Hospital::new(hospital::Config {
            site,
            storage: self.storage,
            extended: self.extended,
            mllp: self.mllp,
            first_control_id: self.first_control_id,
        });
        for event in &story.events {
            let done = hospital.perform(event).await?;
            let ack = done.ack.map_or_else(String::new, |ack| format!(" {ack:?}"));
            say(&format!("{} {}{ack}", done.control_id, done.message_type));
        }
        Ok(Exit::Done)
    }
}
