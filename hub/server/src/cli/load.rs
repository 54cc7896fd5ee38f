//! `renkei load`: invented patients' messages at planned instants.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use clap::ValueEnum;

use super::{Exit, complain, say};
use crate::load::day::{self, Day};
use crate::load::district::{District, Wiring};
use crate::load::plan::{Bursts, Mix, Pace, Plan};
use crate::load::report::{Report, Seen};
use crate::load::watch::{self, Sample, Watch, WatchError};
use crate::load::{self, Job, LoadError};

/// Number of the first invented person.
const FIRST_PERSON: u64 = 100_001;
/// From one line of progress to the next.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// Sends invented patients' messages to a hub at planned instants, whatever it answers, and prints what
/// it did with them. Exit 65 when not everything was acknowledged.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["to", "prepare"]))]
pub struct Load {
    /// MLLP listener; several hubs: give it several times. A patient's messages keep to one connection.
    #[arg(long, value_name = "ADDRESS")]
    to: Vec<SocketAddr>,
    /// An address beyond this machine that is a test system: invented patients may be sent there.
    #[arg(long, value_name = "ADDRESS")]
    is_test_system: Vec<SocketAddr>,
    /// Sends nothing; writes the configuration of a hub, seeds of three simulators and CSV files to
    /// import for these patients into a folder. Everything on this machine.
    #[arg(long, value_name = "DIR")]
    prepare: Option<PathBuf>,
    /// With --prepare: ports of mcs, vital_link, ward and the hub, in a row from here.
    #[arg(long, value_name = "PORT", default_value_t = 18_081)]
    port: u16,
    /// With --prepare: longest wait of the hub between attempts at a peer that is down.
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    retry_most: u64,
    /// What to play: `mix`, an even rate; `tokyo`, a day of all Tokyo (374,897 events).
    #[arg(long, value_enum, default_value_t = Profile::Mix)]
    profile: Profile,
    /// Messages a second, or a minute (`600/min`).
    #[arg(long, default_value = "100/s", value_parser = rate)]
    rate: f64,
    /// For how long: `90s`, `10m`, `1h`.
    #[arg(long = "for", value_name = "DURATION", default_value = "60s", value_parser = duration)]
    span: Duration,
    /// tokyo: so many times faster than the day; 24 makes an hour of it.
    #[arg(long, default_value_t = 1.0, value_parser = positive)]
    speed: f64,
    /// tokyo: only so much of Tokyo, patients and events alike: `5%`.
    #[arg(long, default_value = "100%", value_parser = share)]
    share: f64,
    /// Connections.
    #[arg(long, default_value_t = 16)]
    connections: u32,
    /// Patients. Default: 2000; tokyo: 137268.
    #[arg(long)]
    patients: Option<u32>,
    /// Weights of the kinds of messages.
    #[arg(long, default_value = "adt=60,oru8=25,rde5=10,oru40=5", value_parser = mix)]
    mix: Mix,
    /// Messages at once on top of the rate, and how often: `500/30s`.
    #[arg(long, value_name = "COUNT/DURATION", value_parser = bursts)]
    bursts: Option<Bursts>,
    /// So many messages are sent once more after they were acknowledged.
    #[arg(long, default_value = "0%", value_parser = share)]
    duplicates: f64,
    /// So many messages correct what was said before.
    #[arg(long, default_value = "0%", value_parser = share)]
    corrections: f64,
    /// After AE or a cut connection send the same bytes again until they are acknowledged.
    #[arg(long)]
    retry: bool,
    /// A connection that cannot be made goes to the next address.
    #[arg(long)]
    failover: bool,
    /// The same seed plays the same plan. Default: the time.
    #[arg(long)]
    seed: Option<u64>,
    /// How long to wait for answers, and for addresses that do not answer, once the plan is over.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    patience: Duration,
    /// Adds a line of JSON for each acknowledged message to this file.
    #[arg(long, value_name = "FILE")]
    ledger: Option<PathBuf>,
    /// The configuration of the hub, to look at its queues meanwhile.
    #[arg(long, value_name = "CONFIG")]
    watch: Option<PathBuf>,
    /// The hub's process, to look at its memory and CPU meanwhile.
    #[arg(long)]
    pid: Option<u32>,
    /// With --watch: wait so long for the hub to finish what it accepted.
    #[arg(long, value_name = "DURATION", value_parser = duration, requires = "watch")]
    drain: Option<Duration>,
    /// Everything as one JSON object.
    #[arg(long)]
    json: bool,
}

/// What to play.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Profile {
    /// An even rate.
    Mix,
    /// A day of all Tokyo.
    Tokyo,
}

impl Load {
    /// Sends everything, or prepares a rehearsal.
    ///
    /// # Errors
    /// When a message cannot be built, the hub cannot be watched or a file cannot be written.
    pub async fn run(self) -> anyhow::Result<Exit> {
        if let Some(foreign) = self.foreign() {
            complain(&format!(
                "renkei: {foreign} is not on this machine. If it is a test system, say --is-test-system {foreign}: \
                 invented patients do not belong among real ones"
            ));
            return Ok(Exit::Usage);
        }
        let district = District {
            first_person: FIRST_PERSON,
            patients: self.patients(),
        };
        if let Some(folder) = &self.prepare {
            let Some(mut wiring) = Wiring::on_ports(self.port) else {
                complain("renkei: there are not four ports from there");
                return Ok(Exit::Usage);
            };
            wiring.retry_most_secs = self.retry_most.max(1);
            district.write(folder, &wiring)?;
            say(&format!(
                "{} patients in {}",
                district.patients,
                folder.display()
            ));
            return Ok(Exit::Done);
        }
        let mut watch = match Watch::open(self.watch.as_deref(), self.pid).await {
            Ok(watch) => watch,
            Err(error @ (WatchError::Config(_) | WatchError::Process(_))) => {
                complain(&format!("renkei: {error}"));
                return Ok(Exit::Usage);
            }
            Err(error) => return Err(error.into()),
        };
        let job = self.job();
        let (seed, planned) = (job.plan.seed, job.plan.messages());
        let running = match load::start(job) {
            Ok(running) => running,
            Err(error @ LoadError::Plan(_)) => {
                complain(&format!("renkei: {error}"));
                return Ok(Exit::Usage);
            }
            Err(error) => return Err(error.into()),
        };
        let (control, mut told) = (running.control(), tokio::time::Instant::now());
        let tell = |sample: &Sample| {
            if told.elapsed() < TELL_EVERY {
                return;
            }
            told = tokio::time::Instant::now();
            let progress = control.progress();
            complain(&format!(
                "{:.0} s: offered {}, acknowledged {}, waiting {}, pending {}",
                sample.at_secs,
                progress.offered.load(Ordering::Relaxed),
                progress.accepted.load(Ordering::Relaxed),
                sample.waiting,
                sample.pending
            ));
        };
        let sent = tokio::select! {
            sent = running.finish() => sent?,
            Err(error) = watch.keep_looking(watch::EVERY, tell) => return Err(error.into()),
        };
        let drained = match self.drain {
            Some(limit) => watch.drained(limit).await?,
            None => None,
        };
        if self.drain.is_none() {
            watch.look().await?;
        }
        let is_watched = self.watch.is_some() || self.pid.is_some();
        let seen = is_watched.then(|| Seen::of(&watch, drained)).flatten();
        let report = Report::of(seed, planned, &sent, seen);
        if self.json {
            say(&serde_json::to_string(&report)?);
        } else {
            report.lines().iter().for_each(|line| say(line));
        }
        let is_drained = self.drain.is_none() || drained.is_some();
        Ok(if report.is_whole() && is_drained {
            Exit::Done
        } else {
            Exit::Data
        })
    }

    /// An address beyond this machine that nobody has called a test system.
    fn foreign(&self) -> Option<SocketAddr> {
        let is_foreign =
            |to: &&SocketAddr| !to.ip().is_loopback() && !self.is_test_system.contains(to);
        self.to.iter().find(is_foreign).copied()
    }

    fn patients(&self) -> u32 {
        self.patients.unwrap_or_else(|| match self.profile {
            Profile::Mix => 2_000,
            Profile::Tokyo => u32::try_from(of(u64::from(day::PATIENTS), self.share))
                .unwrap_or(day::PATIENTS)
                .max(self.connections),
        })
    }

    fn job(&self) -> Job {
        let pace = match self.profile {
            Profile::Tokyo => Pace::Day {
                day: Day::of(of(day::EVENTS, self.share)),
                speed: self.speed,
            },
            Profile::Mix => Pace::Steady {
                rate: self.rate,
                span: self.span,
                bursts: self.bursts,
            },
        };
        Job {
            to: self.to.clone(),
            plan: Plan {
                seed: self
                    .seed
                    .unwrap_or_else(|| jiff::Timestamp::now().as_microsecond().unsigned_abs()),
                lines: self.connections,
                patients: self.patients(),
                mix: self.mix,
                pace,
                duplicates_ppm: ppm(self.duplicates),
                corrections_ppm: ppm(self.corrections),
            },
            retry: self.retry,
            failover: self.failover,
            first_person: FIRST_PERSON,
            patience: self.patience,
            ledger: self.ledger.clone(),
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share between 0 and 1, in millionths"
)]
fn ppm(share: f64) -> u32 {
    (share * 1e6).round() as u32
}

/// A share of a count, at least one.
fn of(count: u64, share: f64) -> u64 {
    (count * u64::from(ppm(share))).div_ceil(1_000_000).max(1)
}

fn positive(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "a number is needed".to_owned())?;
    if number.is_finite() && (1e-6..=1e6).contains(&number) {
        return Ok(number);
    }
    Err("a number above 0 is needed, a million at most".to_owned())
}

/// `100/s`, `600/min`, or a bare number a second.
fn rate(text: &str) -> Result<f64, String> {
    let (number, unit) = text.split_once('/').unwrap_or((text, "s"));
    let number = positive(number.trim())?;
    match unit {
        "s" => Ok(number),
        "min" => Ok(number / 60.0),
        "h" => Ok(number / 3600.0),
        _ => Err("a rate is like 100/s, 600/min or 50/h".to_owned()),
    }
}

/// `250ms`, `90s`, `10m`, `1h`; a bare number is seconds.
fn duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let at = text
        .find(|each: char| each.is_ascii_alphabetic())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let seconds = match unit {
        "ms" => 0.001,
        "s" | "" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return Err("a duration is like 250ms, 90s, 10m or 1h".to_owned()),
    };
    Ok(Duration::from_secs_f64(positive(number)? * seconds))
}

/// `5%`, or a number from 0 to 1.
fn share(text: &str) -> Result<f64, String> {
    let (number, of) = text
        .strip_suffix('%')
        .map_or((text, 1.0), |number| (number, 100.0));
    let wrong = || "a share is like 5%, or a number from 0 to 1".to_owned();
    let share = f64::from_str(number.trim()).map_err(|_| wrong())? / of;
    if (0.0..=1.0).contains(&share) {
        Ok(share)
    } else {
        Err(wrong())
    }
}

/// `500/30s`: so many at once, so often.
fn bursts(text: &str) -> Result<Bursts, String> {
    let wrong = || "bursts are like 500/30s: so many at once, so often".to_owned();
    let (size, every) = text.split_once('/').ok_or_else(wrong)?;
    Ok(Bursts {
        size: size.trim().parse().map_err(|_| wrong())?,
        every: duration(every)?,
    })
}

/// `adt=60,oru40=5`: what is not named is not sent.
fn mix(text: &str) -> Result<Mix, String> {
    use crate::load::messages::Kind;
    let mut mix = Mix { weights: [0; 4] };
    for part in text.split(',') {
        let (name, weight) = part
            .split_once('=')
            .ok_or("a mix is like adt=60,oru8=25,rde5=10,oru40=5")?;
        let at = Kind::ALL
            .iter()
            .position(|kind| kind.name() == name.trim())
            .ok_or("the kinds are adt, oru8, rde5 and oru40")?;
        let weight = weight.trim().parse::<u16>();
        mix.weights[at] = weight.map_err(|_| "a weight is a whole number")?.into();
    }
    if mix.weights.iter().all(|weight| *weight == 0) {
        return Err("something must be sent".to_owned());
    }
    Ok(mix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_is_understood() {
        assert_eq!(
            rate("600/min").map(|rate| rate.to_string()),
            Ok("10".to_owned())
        );
        assert_eq!(rate("7").map(|rate| rate.to_string()), Ok("7".to_owned()));
        assert_eq!(duration("1.5h"), Ok(Duration::from_secs(5400)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(share("5%").map(ppm), Ok(50_000));
        assert_eq!(share("0.02").map(ppm), Ok(20_000));
        assert_eq!(mix("oru40=1").map(|mix| mix.weights), Ok([0, 0, 0, 1]));
        assert_eq!(
            bursts("500/30s"),
            Ok(Bursts {
                size: 500,
                every: Duration::from_secs(30)
            })
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for text in ["", "0", "-1", "nan", "inf", "1/day"] {
            assert!(rate(text).is_err(), "{text}");
        }
        for text in ["", "h", "1d", "-5s", "1e300h"] {
            assert!(duration(text).is_err(), "{text}");
        }
        for text in ["101%", "-1%", "x", "nan"] {
            assert!(share(text).is_err(), "{text}");
        }
        for text in ["", "adt", "adt=0", "fax=1", "adt=-1"] {
            assert!(mix(text).is_err(), "{text}");
        }
        assert!(bursts("500").is_err() && bursts("x/1s").is_err());
    }

    #[test]
    fn shares_of_tokyo_are_never_nothing() {
        assert_eq!(of(day::EVENTS, 1.0), day::EVENTS);
        assert_eq!(of(day::EVENTS, 0.05), 18_745);
        assert_eq!(of(10, 0.0), 1);
    }
}
