//! From the file to what the rooms need. [`Checked`] cannot be built unchecked; every problem is
//! reported, not the first. Checking reads the file, the relevance table and the font, opens no port
//! and asks nobody.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use renkei_adapters::secret::Secret;
use renkei_adapters::{jetstream, ward};
use renkei_core::notice::Speaker;
use renkei_core::{Clock, Code, FacilityId, Mapper, SinkName, SourceName, SystemClock, Wire};
use renkei_mappings::local::Problem as Fault;
use renkei_mappings::post::font::Font;

use super::dialects;
use super::file::{Admit, Env, File, Ledger, Peer, PeerAdapter, Source, SourceAdapter};
use super::rehearsal::{self, FileClock};
use super::setup::{FacilitySetup, Settle, Setup, SinkMode, SinkSetup};
use crate::beds::config::Beds;
use crate::normalize::ByFacility;
use crate::normalize::live::{Live, Unusable};
use crate::observe::config::Observe;
use crate::outbox::Backoff;
use crate::retention::Retention;
use crate::route::relevance::Relevance;
use crate::store::{Place, Server};

/// Where Debian's font packages put a Japanese font.
const FONTS: [&str; 4] = [
    "/usr/share/fonts/opentype/ipaexfont-gothic/ipaexg.ttf",
    "/usr/share/fonts/opentype/ipaexfont/ipaexg.ttf",
    "/usr/share/fonts/truetype/fonts-japanese-gothic.ttf",
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
];

/// One thing wrong with the configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code} {place}: {reason}")]
pub struct Problem {
    /// The code.
    pub code: Code,
    /// `renkei.toml:12:5` or the table's name.
    pub place: String,
    /// What is wrong and what would be right.
    pub reason: String,
}

/// A configuration that can be run.
pub struct Checked {
    /// Folder of the ledger.
    pub data_dir: PathBuf,
    /// Where the ledger is.
    pub place: Place,
    /// What the pure stops read.
    pub setup: Setup,
    /// The sources.
    pub sources: Vec<(SourceName, Source)>,
    /// The peers.
    pub peers: Vec<(SinkName, Peer)>,
    /// The font of the sheet; `None` = no sheet is attached.
    pub font: Option<Arc<Font>>,
    /// Waits between attempts.
    pub backoff: Backoff,
    /// How it is watched.
    pub observe: Observe,
    /// Who is told of beds, and where they can be asked for.
    pub beds: Beds,
    /// How long things are kept.
    pub retention: Retention,
    /// The wake signal between hubs.
    pub wake: Option<jetstream::Wake>,
    /// The local mappings sources name.
    local: BTreeMap<SourceName, Arc<Live>>,
    /// The words of peers that have their own.
    dialects: BTreeMap<SinkName, Arc<dyn Wire>>,
    /// The file of the rehearsal clock.
    rehearsal_clock: Option<PathBuf>,
}

impl std::fmt::Debug for Checked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Checked({} sources, {} peers)",
            self.sources.len(),
            self.peers.len()
        )
    }
}

impl Checked {
    /// Reads and checks `path`.
    ///
    /// # Errors
    /// Every problem found. A message never repeats the line of the file: it may hold a secret.
    pub fn read(path: &Path) -> Result<Self, Vec<Problem>> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|error| vec![problem(name.clone(), error.to_string())])?;
        let file: File =
            toml::from_str(&text).map_err(|error| vec![parse_problem(&name, &text, &error)])?;
        Self::check(file, path.parent().unwrap_or(Path::new(".")))
    }

    /// Checks a parsed file; relative paths start at `base`.
    ///
    /// # Errors
    /// Every problem found.
    pub fn check(file: File, base: &Path) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let relevance = relevance(&file, base, &mut problems);
        let font = font(&file, base, &mut problems);
        let facilities = facilities(&file, &mut problems);
        let sources: Vec<_> = file
            .source
            .into_iter()
            .map(|(name, source)| (SourceName::new(name), source))
            .collect();
        let peers: Vec<_> = file
            .peer
            .into_iter()
            .map(|(name, peer)| (SinkName::new(name), peer))
            .collect();
        let mut local = BTreeMap::new();
        for (name, source) in &sources {
            check_source(name, source, &facilities, &mut problems);
            if let Some(live) = mapping(name, source, base, &mut problems) {
                local.insert(name.clone(), live);
            }
        }
        let mut dialects = BTreeMap::new();
        for (name, peer) in &peers {
            check_peer(name, peer, &mut problems);
            if let Some(dialect) = dialects::of(name, peer, base, &mut problems) {
                dialects.insert(name.clone(), dialect);
            }
            if sources
                .iter()
                .any(|(source, _)| source.as_str() == name.as_str())
            {
                problems.push(problem(
                    format!("peer.{name}"),
                    "a source has this name: what it brings would be taken for the peer's answers",
                ));
            }
        }
        let watching = file.observe.problems().into_iter();
        problems.extend(watching.map(|(code, field, reason)| Problem {
            code,
            place: format!("observe.{field}"),
            reason,
        }));
        let keeping = file.retention.problems().into_iter();
        problems.extend(keeping.map(|(code, field, reason)| Problem {
            code,
            place: format!("retention.{field}"),
            reason,
        }));
        let beds = file.beds.problems(&sources).into_iter();
        problems.extend(beds.map(|(code, field, reason)| Problem {
            code,
            place: format!("beds.{field}"),
            reason,
        }));
        let wake = file.ledger.wake.as_ref().map(jetstream::Wake::check);
        problems.extend(wake.into_iter().flatten().map(|wrong| Problem {
            code: wrong.code,
            place: format!("ledger.wake.{}", wrong.field),
            reason: wrong.reason,
        }));
        if file.hub.rehearsal_clock.is_some() {
            problems.extend(
                rehearsal::reaches_out(&sources, &peers, file.ledger.wake.as_ref())
                    .into_iter()
                    .chain((!file.observe.stays_on_this_machine()).then(|| "observe".to_owned()))
                    .chain((!file.beds.stays_on_this_machine()).then(|| "beds".to_owned()))
                    .map(|place| {
                        problem(
                            place,
                            "`hub.rehearsal_clock` is set: everything must stay on this machine",
                        )
                    }),
            );
        }
        let data_dir = base.join(&file.hub.data_dir);
        let place = place(&data_dir, &file.ledger, &mut problems);
        let (Some(relevance), true) = (relevance, problems.is_empty()) else {
            return Err(problems);
        };
        let setup = Setup {
            facilities,
            sinks: peers
                .iter()
                .map(|(name, peer)| (name.clone(), sink_setup(peer)))
                .collect(),
            live_from: live_from(&sources, &peers),
            settle: Settle {
                after: Duration::from_secs(file.notices.settle_secs),
                at_most: Duration::from_secs(file.notices.settle_most_secs),
                at_once: file.notices.at_once,
            },
            staging: file.hub.env == Env::Staging,
            relevance,
            beds: file.beds.rules(),
        };
        let backoff = Backoff {
            first: Duration::from_millis(file.hub.retry.first_millis.max(1)),
            most: Duration::from_secs(file.hub.retry.most_secs.max(1)),
        };
        Ok(Self {
            data_dir,
            place,
            setup,
            sources,
            peers,
            font,
            backoff,
            observe: file.observe,
            beds: file.beds,
            retention: file.retention,
            wake: file.ledger.wake,
            local,
            dialects,
            rehearsal_clock: file.hub.rehearsal_clock.map(|path| base.join(path)),
        })
    }

    /// The time this hub goes by: the machine's, or that of a rehearsal.
    pub fn clock(&self) -> Arc<dyn Clock> {
        match &self.rehearsal_clock {
            Some(path) => Arc::new(FileClock::new(path.clone())),
            None => Arc::new(SystemClock),
        }
    }

    /// One mapper per source; peers are read by the mapping `peer`.
    pub fn mappers(&self) -> HashMap<SourceName, Arc<dyn Mapper>> {
        let mut mappers: HashMap<SourceName, Arc<dyn Mapper>> = HashMap::new();
        for (name, source) in &self.sources {
            mappers.insert(name.clone(), Arc::new(self.mapping_of(name, source)));
        }
        for (name, _) in &self.peers {
            mappers.insert(SourceName::new(name.as_str()), Arc::new(ByFacility::peer()));
        }
        mappers
    }

    /// The local mappings in use.
    pub fn local(&self) -> Vec<Arc<Live>> {
        self.local.values().cloned().collect()
    }

    /// The words of a peer that has its own.
    pub fn dialect(&self, name: &SinkName) -> Option<Arc<dyn Wire>> {
        self.dialects.get(name).cloned()
    }

    /// What reads a source.
    pub fn mapping_of(&self, name: &SourceName, source: &Source) -> ByFacility {
        ByFacility::of(source, self.local.get(name).cloned())
    }

    /// Who each source may keep.
    pub fn admits(&self) -> HashMap<SourceName, Admit> {
        self.sources
            .iter()
            .map(|(name, source)| (name.clone(), source.admit))
            .collect()
    }
}

fn parse_problem(name: &str, text: &str, error: &toml::de::Error) -> Problem {
    let place = error.span().map_or_else(
        || name.to_owned(),
        |span| {
            let before = text.get(..span.start).unwrap_or("");
            let line = before.matches('\n').count() + 1;
            let column = before
                .chars()
                .rev()
                .take_while(|character| *character != '\n')
                .count()
                + 1;
            format!("{name}:{line}:{column}")
        },
    );
    problem(place, error.message().to_owned())
}

pub(super) fn problem(place: impl Into<String>, reason: impl Into<String>) -> Problem {
    Problem {
        code: Code::CFG_INVALID,
        place: place.into(),
        reason: reason.into(),
    }
}

/// Where the ledger is. What is wrong with the address is told without it: it may hold a password.
fn place(data_dir: &Path, ledger: &Ledger, problems: &mut Vec<Problem>) -> Place {
    let mut place = Place::from(data_dir);
    match ledger.log_megabytes {
        None => {}
        Some(megabytes @ 1..=4096) => place.log_bytes = megabytes * 1024 * 1024,
        Some(_) => problems.push(problem("ledger.log_megabytes", "1 to 4096")),
    }
    let Some(database) = &ledger.database else {
        return place;
    };
    let password = ledger.password.as_ref().map(Secret::read).transpose();
    let server = password
        .map_err(|error| ("ledger.password", error.to_string()))
        .and_then(|password| {
            Server::new(database, password).map_err(|reason| ("ledger.database", reason.to_owned()))
        });
    match server {
        Ok(server) => place.server = Some(server),
        Err((place, reason)) => problems.push(problem(place, reason)),
    }
    place
}

fn relevance(file: &File, base: &Path, problems: &mut Vec<Problem>) -> Option<Relevance> {
    let mut table = match Relevance::built_in() {
        Ok(table) => table,
        Err(error) => {
            problems.push(problem("built-in relevance table", error.to_string()));
            return None;
        }
    };
    if let Some(path) = &file.policy.relevance_file {
        let path = base.join(path);
        let read = std::fs::read_to_string(&path).map_err(|error| error.to_string());
        let read = read.and_then(|text| {
            table
                .override_with(&text)
                .map_err(|error| error.to_string())
        });
        if let Err(reason) = read {
            problems.push(problem(path.display().to_string(), reason));
        }
    }
    Some(table)
}

/// A Japanese font in one of the usual places.
pub fn usual_font() -> Option<PathBuf> {
    FONTS.iter().map(PathBuf::from).find(|path| path.exists())
}

fn font(file: &File, base: &Path, problems: &mut Vec<Problem>) -> Option<Arc<Font>> {
    if !file.documents.sheet {
        return None;
    }
    let named = file.documents.font.as_ref().map(|path| base.join(path));
    let Some(path) = named.or_else(usual_font) else {
        problems.push(Problem {
            code: Code::CFG_NO_FONT,
            place: "documents.font".to_owned(),
            reason: "no Japanese font found; install fonts-ipaexfont, name a font, or set `sheet = false`".to_owned(),
        });
        return None;
    };
    let loaded = std::fs::read(&path).map_err(|error| error.to_string());
    match loaded.and_then(|bytes| Font::load(bytes, 0).map_err(|error| error.to_string())) {
        Ok(font) => Some(Arc::new(font)),
        Err(reason) => {
            problems.push(Problem {
                code: Code::CFG_NO_FONT,
                place: path.display().to_string(),
                reason,
            });
            None
        }
    }
}

fn facilities(file: &File, problems: &mut Vec<Problem>) -> BTreeMap<FacilityId, FacilitySetup> {
    let mut facilities = BTreeMap::new();
    for (number, facility) in &file.facility {
        match FacilityId::new(number) {
            Ok(id) => {
                let speaker = Speaker {
                    facility: facility.name.clone(),
                    desk: facility.desk.clone(),
                    phone: facility.phone.clone(),
                    hours: facility.hours.clone(),
                };
                facilities.insert(
                    id,
                    FacilitySetup {
                        speaker,
                        class: facility.class.clone(),
                        district: facility.district.clone(),
                        test_patients: facility.test_patients.clone(),
                    },
                );
            }
            Err(error) => problems.push(problem(format!("facility.{number}"), error.to_string())),
        }
    }
    facilities
}

fn check_source(
    name: &SourceName,
    source: &Source,
    known: &BTreeMap<FacilityId, FacilitySetup>,
    problems: &mut Vec<Problem>,
) {
    let (wrong, speaks) = match &source.adapter {
        SourceAdapter::Mllp(config) => {
            let tables = config
                .facility_by_sender
                .values()
                .chain(config.facility_by_client.values());
            (
                config.validate(),
                config
                    .facility
                    .iter()
                    .chain(tables)
                    .cloned()
                    .collect::<Vec<_>>(),
            )
        }
        SourceAdapter::Ssmix2(config) => (
            config.validate(),
            config
                .roots
                .iter()
                .map(|root| root.facility.clone())
                .collect(),
        ),
        SourceAdapter::Folder(config) => (config.validate(), vec![config.facility.clone()]),
        SourceAdapter::Push(config) => (config.validate(), vec![config.facility.clone()]),
        SourceAdapter::Jetstream(config) => (
            config.check().iter().map(ToString::to_string).collect(),
            config.facilities().cloned().collect(),
        ),
    };
    problems.extend(wrong.into_iter().map(|reason| {
        let code = if reason.contains(Code::CFG_EXPOSED.as_str()) {
            Code::CFG_EXPOSED
        } else {
            Code::CFG_INVALID
        };
        Problem {
            code,
            place: format!("source.{name}"),
            reason,
        }
    }));
    for facility in speaks
        .iter()
        .filter(|facility| !known.contains_key(facility))
    {
        problems.push(problem(format!("source.{name}"), format!("facility {facility} has no table [facility.{facility}]: posts could not say who speaks")));
    }
}

/// The local mapping of a source, loaded and tested.
fn mapping(
    name: &SourceName,
    source: &Source,
    base: &Path,
    problems: &mut Vec<Problem>,
) -> Option<Arc<Live>> {
    let place = format!("source.{name}.mapping");
    let live = match Live::load(source.mapping.as_deref()?, base) {
        Ok(live) => live,
        Err(Unusable::Faults(faults)) => {
            problems.extend(faults.0.iter().map(pointed));
            return None;
        }
        Err(error) => {
            problems.push(problem(place, renkei_core::chain(&error)));
            return None;
        }
    };
    let takes_files = matches!(
        source.adapter,
        SourceAdapter::Folder(_) | SourceAdapter::Push(_)
    );
    if !takes_files && !live.current().reads_hl7() {
        problems.push(problem(
            place,
            "reads files, but this source brings HL7 v2: extend `builtin/hl7v2` or `builtin/ssmix2`",
        ));
        return None;
    }
    Some(Arc::new(live))
}

/// A problem in a mapping or dialect; the line with its caret stands below the first line.
pub(super) fn pointed(fault: &Fault) -> Problem {
    let shown = fault.to_string();
    let caret = shown.split_once('\n').map_or("", |(_, caret)| caret);
    Problem {
        code: fault.code,
        place: format!("{}:{}:{}", fault.file, fault.line, fault.column),
        reason: format!("{}\n{caret}", fault.text),
    }
}

fn check_peer(name: &SinkName, peer: &Peer, problems: &mut Vec<Problem>) {
    let wrong = match &peer.adapter {
        PeerAdapter::Mcs(config) => config.check(),
        PeerAdapter::VitalLink(config) => config.check(),
        PeerAdapter::Ward(config) => config.check(),
        PeerAdapter::Jetstream(config) => config.check(),
    };
    problems.extend(wrong.into_iter().map(|wrong| Problem {
        code: wrong.code,
        place: format!("peer.{name}.adapter.{}", wrong.field),
        reason: wrong.reason,
    }));
    if peer.mode == SinkMode::Live && peer.agreement_ref.is_none() {
        problems.push(Problem {
            code: Code::RTE_NO_AGREEMENT,
            place: format!("peer.{name}"),
            reason: "mode `live` needs `agreement_ref`: the written agreement with its operator"
                .to_owned(),
        });
    }
}

fn sink_setup(peer: &Peer) -> SinkSetup {
    SinkSetup {
        mode: peer.mode,
        agreement_ref: peer.agreement_ref.clone(),
        reply_reaches: peer.reply_reaches
            && !matches!(
                &peer.adapter,
                PeerAdapter::Ward(ward::Config::FileDrop(_)) | PeerAdapter::Jetstream(_)
            ),
    }
}

/// The later of a source's and a peer's own date.
fn live_from(
    sources: &[(SourceName, Source)],
    peers: &[(SinkName, Peer)],
) -> BTreeMap<(SourceName, SinkName), Timestamp> {
    let mut table = BTreeMap::new();
    for (source, from) in sources {
        for (sink, to) in peers {
            if let Some(date) = from.live_from.max(to.live_from) {
                table.insert((source.clone(), sink.clone()), date);
            }
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_and_a_peer_cannot_share_a_name() {
        let problems = |peer: &str| {
            let file: File = toml::from_str(&format!(
                "[hub]\ndata_dir = 'data'\n[documents]\nsheet = false\n\
                 [facility.1311234567]\nname = 'x'\nclass = 'hospital'\ndistrict = 'x'\n\
                 [source.nats.adapter.jetstream]\nconnection = {{ servers = ['nats://127.0.0.1'] }}\n\
                 stream = 'HIS'\nfacility = '1311234567'\n\
                 [peer.{peer}.adapter.jetstream]\nconnection = {{ servers = ['nats://127.0.0.1'] }}\n\
                 stream = 'POSTS'\nsubject = 'posts.{{channel}}'\n"
            ))
            .unwrap();
            let problems = Checked::check(file, Path::new(".")).err();
            problems.map_or(0, |problems| problems.len())
        };
        assert_eq!(problems("posts"), 0);
        assert_eq!(problems("nats"), 1);
    }
}
