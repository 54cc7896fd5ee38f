//! A hub with its district, and how tests wait.

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use renkei::store::operator::MessageDetail;
use renkei_sim::hospital::{
    Ack, Built, Event, ExtendedStorage, MllpClient, Person, Place, Storage,
};

use crate::hub::{Config, Folders, Hub};
use crate::office::Office;
use crate::peers::District;
use crate::people::message;
use crate::power::shim::Shim;

/// How long anything may take before it counts as not coming.
const PATIENCE: Duration = Duration::from_secs(30);

/// Awaits a condition.
///
/// # Panics
/// When it does not come true in time.
pub(crate) async fn until(what: &str, condition: impl AsyncFnMut() -> bool) {
    until_within(what, PATIENCE, condition).await;
}

/// How long it may take to look whether a condition has come true.
const LOOK: Duration = Duration::from_secs(60);

/// Awaits a condition within a time.
///
/// # Panics
/// When it does not come true in time.
pub(crate) async fn until_within(
    what: &str,
    limit: Duration,
    mut condition: impl AsyncFnMut() -> bool,
) {
    let began = Instant::now();
    loop {
        let looked = tokio::time::timeout(limit.max(LOOK), condition()).await;
        let Ok(is_true) = looked else {
            panic!("nobody can say whether it is so: {what}");
        };
        if is_true {
            return;
        }
        assert!(began.elapsed() < limit, "not in {limit:?}: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Says a line past the capture of the test runner: these figures are wanted of every run.
pub(crate) fn say(line: &str) {
    let _told = writeln!(std::io::stderr(), "{line}");
}

/// A hub, the district around it, and the hospital that speaks to it.
pub(crate) struct TestHub {
    pub(crate) config: Config,
    pub(crate) folders: Folders,
    pub(crate) district: District,
    pub(crate) office: Office,
    pub(crate) hub: Hub,
    client: MllpClient,
    next_control_id: u64,
}

impl TestHub {
    /// Starts peers with a team for each of these people, admits them all, and starts a hub.
    pub(crate) async fn start(people: &[Person], config: Config) -> Self {
        Self::prepared(people, config, async |office| office.admit(people).await).await
    }

    /// The same, under a shim that does nothing yet.
    pub(crate) async fn shimmed(people: &[Person], mut config: Config) -> (Self, Shim) {
        let folders = Folders::new();
        let shim = Shim::new(&folders);
        config.env.extend(shim.env());
        let hub = Self::in_folders(folders, people, config, async |office| {
            office.admit(people).await;
        });
        (hub.await, shim)
    }

    /// The same, with what is in place before the hub starts left to the test.
    pub(crate) async fn prepared(
        people: &[Person],
        config: Config,
        prepare: impl AsyncFnOnce(&Office),
    ) -> Self {
        Self::in_folders(Folders::new(), people, config, prepare).await
    }

    /// The same, in folders that hold something already.
    pub(crate) async fn in_folders(
        folders: Folders,
        people: &[Person],
        config: Config,
        prepare: impl AsyncFnOnce(&Office),
    ) -> Self {
        let district = if config.dialects {
            District::in_second_dialects(folders.root.path(), people).await
        } else {
            District::start(folders.root.path(), people).await
        };
        folders.configure(&config, &district);
        let office = Office::open(folders.home(&config.on)).await;
        prepare(&office).await;
        let hub = Hub::start(&folders, &config).await;
        let client = MllpClient::new(hub.mllp());
        let this = Self {
            config,
            folders,
            district,
            office,
            hub,
            client,
            next_control_id: 1,
        };
        this.walked().await;
        this
    }

    /// Waits until both storages were walked once: what comes later is news.
    pub(crate) async fn walked(&self) {
        until("the storages were walked", async || {
            let log = self.hub.log_text();
            let first = log.matches("the first walk of a storage is over").count();
            first >= 2
                || self
                    .office
                    .number("SELECT count(*) FROM note WHERE key LIKE 'r:%'")
                    .await
                    >= 2
        })
        .await;
    }

    /// Stops the hub by SIGTERM, lets something happen, and starts it again.
    pub(crate) async fn restart_after(&mut self, meanwhile: impl AsyncFnOnce(&Self)) {
        let status = self.hub.terminate().await;
        assert_eq!(status.code(), Some(0));
        meanwhile(self).await;
        self.hub = Hub::start(&self.folders, &self.config).await;
        self.client = MllpClient::new(self.hub.mllp());
    }

    /// A control id nobody has used.
    pub(crate) fn control_id(&mut self) -> String {
        self.next_control_id += 1;
        format!("T{:09}", self.next_control_id)
    }

    /// Sends bytes over MLLP.
    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) -> Ack {
        self.client.send(bytes).await.unwrap()
    }

    /// Sends an event over MLLP; it must be accepted.
    pub(crate) async fn send(&mut self, event: &Event) -> Built {
        let control_id = self.control_id();
        let built = message(event, &control_id);
        let ack = self.send_bytes(&built.bytes).await;
        assert_eq!(
            (ack.code.as_str(), &ack.control_id),
            ("AA", &control_id),
            "{ack:?}"
        );
        built
    }

    /// Sends an event and waits until it was processed, parked or failed.
    pub(crate) async fn process(&mut self, event: &Event) -> MessageDetail {
        let built = self.send(event).await;
        self.ended(&built.control_id).await
    }

    /// Waits for the end of a message.
    pub(crate) async fn ended(&self, control_id: &str) -> MessageDetail {
        let mut found = None;
        until("the message has ended", async || {
            found = self.office.ended(control_id).await;
            found.is_some()
        })
        .await;
        found.unwrap()
    }

    /// Writes an event where the hospital keeps it.
    pub(crate) fn store(&mut self, event: &Event) {
        let control_id = self.control_id();
        put(
            &self.folders.path("standard"),
            &self.folders.path("extended"),
            event,
            &control_id,
        );
    }

    /// Waits until nothing is left to do.
    pub(crate) async fn idle(&self) {
        until("nothing is left to do", async || {
            self.office.is_idle().await
        })
        .await;
    }
}

/// Writes an event into a hospital's storages.
pub(crate) fn put(standard: &Path, extended: &Path, event: &Event, control_id: &str) {
    use renkei_sim::hospital::What;
    if let What::Document(document) = &event.what {
        let storage = ExtendedStorage::new(extended.to_owned());
        storage.put_document(event, document).unwrap();
        return;
    }
    let built = message(event, control_id);
    match built.place {
        Place::Standardized(_) => {
            Storage::new(standard.to_owned())
                .put(event, &built)
                .unwrap();
        }
        Place::Extended => {
            ExtendedStorage::new(extended.to_owned())
                .put_vitals(event, &built)
                .unwrap();
        }
        Place::Nowhere => panic!("a hospital does not keep this"),
    }
}
