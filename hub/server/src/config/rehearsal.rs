//! The rehearsal clock: a hub whose time a demo or a test moves forward, so that three weeks in a ward
//! take seconds. Refused for any hub that could reach a real system.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use renkei_adapters::jetstream;
use renkei_core::{Clock, SinkName, SourceName, SystemClock};

use super::file::{Peer, PeerAdapter, Source, SourceAdapter};

/// How old the offset may be that the clock works with.
pub const REREAD: Duration = Duration::from_millis(50);

/// The machine's time plus the offset (whole seconds) that stands in a file. A file that cannot be read
/// leaves the last offset in force.
#[derive(Debug)]
pub struct FileClock {
    path: PathBuf,
    read: Mutex<Option<(Instant, SignedDuration)>>,
}

impl FileClock {
    /// A clock over the file at `path`; without the file it shows the machine's time.
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            read: Mutex::new(None),
        }
    }

    /// Writes the offset that clocks over `path` shall show from now on, in one step.
    ///
    /// # Errors
    /// As the file system says.
    pub fn set(path: &Path, offset: SignedDuration) -> std::io::Result<()> {
        let unfinished = path.with_extension("tmp");
        std::fs::write(&unfinished, offset.as_secs().to_string())?;
        std::fs::rename(unfinished, path)
    }

    fn offset(&self) -> SignedDuration {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, offset)) = *read
            && at.elapsed() < REREAD
        {
            return offset;
        }
        let last = read.map_or(SignedDuration::ZERO, |(_, offset)| offset);
        let offset = std::fs::read_to_string(&self.path)
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .map_or(last, SignedDuration::from_secs);
        *read = Some((Instant::now(), offset));
        offset
    }
}

impl Clock for FileClock {
    fn now(&self) -> Timestamp {
        let now = SystemClock.now();
        now.checked_add(self.offset()).unwrap_or(now)
    }
}

/// What of a configuration could reach beyond this machine; a rehearsal clock needs this to be empty.
pub(super) fn reaches_out(
    sources: &[(SourceName, Source)],
    peers: &[(SinkName, Peer)],
    wake: Option<&jetstream::Wake>,
) -> Vec<String> {
    let listening = sources
        .iter()
        .filter_map(|(name, source)| match &source.adapter {
            SourceAdapter::Mllp(config) if !config.listen.ip().is_loopback() => {
                Some(format!("source.{name}"))
            }
            SourceAdapter::Jetstream(config) if !config.connection.stays_on_this_machine() => {
                Some(format!("source.{name}"))
            }
            SourceAdapter::Push(config) if !config.listen.ip().is_loopback() => {
                Some(format!("source.{name}"))
            }
            SourceAdapter::Mllp(_)
            | SourceAdapter::Push(_)
            | SourceAdapter::Ssmix2(_)
            | SourceAdapter::Folder(_)
            | SourceAdapter::Jetstream(_) => None,
        });
    let spoken_to = peers.iter().filter_map(|(name, peer)| {
        let stays = match &peer.adapter {
            PeerAdapter::Mcs(config) => config.stays_on_this_machine(),
            PeerAdapter::VitalLink(config) => config.connection.stays_on_this_machine(),
            PeerAdapter::Ward(config) => config.stays_on_this_machine(),
            PeerAdapter::Jetstream(config) => config.connection.stays_on_this_machine(),
        };
        (!stays).then(|| format!("peer.{name}"))
    });
    let woken = wake
        .filter(|wake| !wake.stays_on_this_machine())
        .map(|_| "ledger.wake".to_owned());
    listening.chain(spoken_to).chain(woken).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Checked, file::File};

    /// How far `clock` is off, in whole minutes.
    fn minutes_off(clock: &FileClock) -> i64 {
        let off = clock.now().duration_since(SystemClock.now());
        (off + SignedDuration::from_secs(30)).as_mins()
    }

    #[test]
    fn the_clock_shows_the_offset_of_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clock");
        assert_eq!(minutes_off(&FileClock::new(path.clone())), 0);
        FileClock::set(&path, SignedDuration::from_mins(90)).unwrap();
        assert_eq!(minutes_off(&FileClock::new(path.clone())), 90);
        std::fs::write(&path, "tomorrow").unwrap();
        assert_eq!(minutes_off(&FileClock::new(path)), 0);
    }

    #[test]
    fn an_offset_that_became_unreadable_stays_in_force() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clock");
        FileClock::set(&path, SignedDuration::from_mins(90)).unwrap();
        let clock = FileClock::new(path.clone());
        assert_eq!(minutes_off(&clock), 90);
        std::fs::remove_file(&path).unwrap();
        let long_ago = Instant::now().checked_sub(REREAD).unwrap();
        *clock.read.lock().unwrap() = Some((long_ago, SignedDuration::from_mins(90)));
        assert_eq!(minutes_off(&clock), 90);
    }

    #[test]
    fn a_rehearsal_reaches_nobody_outside() {
        let problems = |listen: &str, endpoint: &str| {
            let file: File = toml::from_str(&format!(
                "[hub]\ndata_dir = 'data'\nrehearsal_clock = 'clock'\n[documents]\nsheet = false\n\
                 [facility.1311234567]\nname = 'x'\nclass = 'hospital'\ndistrict = 'x'\n\
                 [source.his]\nadapter.mllp = {{ listen = '{listen}', facility = '1311234567', \
                 plaintext = {{ allow_from = ['10.0.0.0/8'], reason = 'x' }} }}\n\
                 [peer.mcs]\nadapter.mcs = {{ connection = {{ endpoint = '{endpoint}', client_id = 'x', \
                 secret = {{ env = 'X' }} }}, facility = '1311234567', user_ref = 'x' }}\n"
            ))
            .unwrap();
            let checked = Checked::check(file, Path::new("."));
            let problems = checked.err().unwrap_or_default();
            problems
                .into_iter()
                .map(|problem| problem.place)
                .collect::<Vec<_>>()
        };
        assert!(problems("127.0.0.1:2575", "http://127.0.0.1:1").is_empty());
        assert_eq!(
            problems("0.0.0.0:2575", "http://127.0.0.1:1"),
            ["source.his"]
        );
        assert_eq!(
            problems("127.0.0.1:2575", "https://mcs.example"),
            ["peer.mcs"]
        );
    }
}
