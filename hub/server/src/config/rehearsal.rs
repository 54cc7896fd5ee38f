//! The rehearsal clock: a hub whose time a demo or a test moves forward, so that three weeks in a ward
//! take seconds. Refused for any hub that could reach a real system.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
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
) -> Vec<String> {
    let listening = sources
        .iter()
        .filter_map(|(name, source)| match &source.adapter {
            SourceAdapter::Mllp(config) if !config.listen.ip().is_loopback() => {
                Some(format!("source.{name}"))
            }
            SourceAdapter::Mllp(_) | SourceAdapter::Ssmix2(_) | SourceAdapter::Folder(_) => None,
        });
    let spoken_to = peers.iter().filter_map(|(name, peer)| {
        let stays = match &peer.adapter {
            PeerAdapter::Mcs(config) => config.stays_on_this_machine(),
            PeerAdapter::VitalLink(config) => config.connection.stays_on_this_machine(),
            PeerAdapter::Ward(config) => config.stays_on_this_machine(),
        };
        (!stays).then(|| format!("peer.{name}"))
    });
    listening.chain(spoken_to).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_shows_the_offset_of_its_file_and_keeps_the_last_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clock");
        let is_off_by = |clock: &FileClock, secs: i64| {
            let off = clock.now().duration_since(SystemClock.now()).as_secs();
            (secs - 2..=secs + 2).contains(&off)
        };
        assert!(is_off_by(&FileClock::new(path.clone()), 0));
        FileClock::set(&path, SignedDuration::from_secs(-86_400)).unwrap();
        let clock = FileClock::new(path.clone());
        assert!(is_off_by(&clock, -86_400));
        std::fs::write(&path, "tomorrow").unwrap();
        *clock.read.lock().unwrap() = clock
            .read
            .lock()
            .unwrap()
            .and_then(|(at, offset)| Some((at.checked_sub(REREAD)?, offset)));
        assert!(is_off_by(&clock, -86_400));
    }
}
