//! The door under load, behind the gate, on a full disk, and when the ledger breaks.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use jiff::Timestamp;
use renkei_core::{Code, Meta};
use tokio::sync::Semaphore;

use super::*;
use crate::config::file::Admit;
use crate::store::blob::{BlobError, Folder};
use crate::store::sql::{Access, Database};

struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }
}

/// Counts transactions, may keep them waiting, and may fail them.
struct Counted {
    ledger: Database,
    transactions: AtomicUsize,
    open: Semaphore,
    failure: Mutex<Option<StoreError>>,
}

#[async_trait]
impl Ledger for Counted {
    async fn accept(&self, group: Vec<Prepared>) -> Result<Vec<Receipt>, StoreError> {
        let _passes = self.open.acquire().await;
        self.transactions.fetch_add(1, Ordering::Relaxed);
        let failure = self.failure.lock().unwrap().take();
        match failure {
            Some(failure) => Err(failure),
            None => Store::accept(&self.ledger, group).await,
        }
    }

    async fn outcomes(
        &self,
        messages: &[MessageId],
    ) -> Result<Vec<(MessageId, Processed)>, StoreError> {
        Store::outcomes(&self.ledger, messages).await
    }

    async fn recall(&self, source: &SourceName) -> Result<Vec<Note>, StoreError> {
        Store::recall(&self.ledger, source).await
    }

    async fn remember(&self, source: &SourceName, notes: Vec<Note>) -> Result<(), StoreError> {
        Store::remember(&self.ledger, source, notes).await
    }
}

/// A blob store on a disk that fails.
struct Failing(ErrorKind);

#[async_trait]
impl Blobs for Failing {
    async fn put(&self, _bytes: Bytes) -> Result<String, BlobError> {
        Err(BlobError::Io(self.0.into()))
    }

    async fn get(&self, _sha256: &str) -> Result<Bytes, BlobError> {
        Err(BlobError::Missing)
    }
}

struct Door {
    inbox: Arc<Writer>,
    ledger: Arc<Counted>,
    gate: Arc<Gate>,
    stored: Arc<tokio::sync::Notify>,
    fatal: CancellationToken,
    folder: tempfile::TempDir,
}

impl Door {
    async fn new() -> Self {
        Self::with(None, true, 1).await
    }

    /// `permits` 0: transactions wait until the test adds one.
    async fn with(blobs: Option<Arc<dyn Blobs>>, room: bool, permits: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Arc::new(Counted {
            ledger: Database::open(folder.path(), Access::Hub).await.unwrap(),
            transactions: AtomicUsize::new(0),
            open: Semaphore::new(permits),
            failure: Mutex::new(None),
        });
        let admits = HashMap::from([
            (SourceName::new("byoin"), Admit::Enrolled),
            (SourceName::new("shinryojo"), Admit::All),
        ]);
        let gate = Arc::new(Gate::new(admits));
        let (stored, fatal) = (
            Arc::new(tokio::sync::Notify::new()),
            CancellationToken::new(),
        );
        let inbox = Writer::start(Parts {
            store: ledger.clone(),
            blobs: blobs.unwrap_or_else(|| Arc::new(Folder::new(folder.path()))),
            clock: Arc::new(Fixed),
            gate: gate.clone(),
            space: Space::believing(Timestamp::UNIX_EPOCH, room),
            stored: stored.clone(),
            fatal: fatal.clone(),
        });
        Self {
            inbox,
            ledger,
            gate,
            stored,
            fatal,
            folder,
        }
    }

    fn transactions(&self) -> usize {
        self.ledger.transactions.load(Ordering::Relaxed)
    }
}

fn message(source: &str, key: &str, body: &[u8]) -> NewMessage {
    NewMessage {
        source: SourceName::new(source),
        facility: FacilityId::new("1310000001").unwrap(),
        dedup_key: key.to_owned(),
        subject: Some(LocalId::new("0001")),
        ordering_key: "0001".to_owned(),
        barrier: false,
        body: Bytes::copy_from_slice(body),
        meta: Meta::default(),
        refused: None,
    }
}

/// How long anything may take before it counts as not coming.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);

/// What is queued while the disk is busy is committed as one group.
#[tokio::test(flavor = "multi_thread")]
async fn many_messages_share_a_transaction() {
    let door = Door::with(None, true, 0).await;
    let all = (0..400).map(|number| {
        door.inbox
            .accept(message("shinryojo", &number.to_string(), b"MSH"))
    });
    let (receipts, ()) = tokio::join!(futures_util::future::join_all(all), async {
        door.ledger.open.add_permits(1)
    });
    let mut ids: Vec<i64> = receipts
        .into_iter()
        .map(|receipt| match receipt.unwrap() {
            Receipt::Stored(id) => id.0,
            other => panic!("{other:?}"),
        })
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, (1..=400).collect::<Vec<_>>());
    assert!(
        door.transactions() <= 10,
        "{} transactions",
        door.transactions()
    );
    let woken = tokio::time::timeout(PATIENCE, door.stored.notified());
    woken.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_whom_is_not_enrolled_nothing_is_kept() {
    let door = Door::new().await;
    let before = door.inbox.admission_epoch();
    assert_eq!(
        door.inbox
            .accept(message("byoin", "1", b"MSH"))
            .await
            .unwrap(),
        Receipt::NotEnrolled
    );
    assert_eq!(
        (door.transactions(), door.gate.turned_away_so_far()),
        (0, 1)
    );
    door.gate.counted(1);
    assert_eq!(door.gate.turned_away_so_far(), 0);
    let patient = || (FacilityId::new("1310000001").unwrap(), LocalId::new("0001"));
    door.gate.enrol([patient()]);
    let after = door.inbox.admission_epoch();
    assert_ne!(before, after);
    door.gate.enrol([patient()]);
    assert_eq!(
        door.inbox.admission_epoch(),
        after,
        "the same patients again are no news"
    );
    assert!(matches!(
        door.inbox
            .accept(message("byoin", "1", b"MSH"))
            .await
            .unwrap(),
        Receipt::Stored(_)
    ));
    let mut nobody = message("byoin", "2", b"MSH");
    nobody.subject = None;
    assert!(matches!(
        door.inbox.accept(nobody).await.unwrap(),
        Receipt::Stored(_)
    ));
    assert!(matches!(
        door.inbox
            .accept(message("shinryojo", "3", b"MSH"))
            .await
            .unwrap(),
        Receipt::Stored(_)
    ));
    assert!(matches!(
        door.inbox
            .accept(message("a peer's other half", "4", b"{}"))
            .await
            .unwrap(),
        Receipt::Stored(_)
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_asks_for_another_try() {
    let door = Door::with(None, false, 1).await;
    assert!(matches!(
        door.inbox.accept(message("shinryojo", "1", b"MSH")).await,
        Err(AcceptError::Full)
    ));
    assert_eq!(door.transactions(), 0);
    let door = Door::new().await;
    *door.ledger.failure.lock().unwrap() = Some(StoreError::Full("full".into()));
    assert!(matches!(
        door.inbox.accept(message("shinryojo", "1", b"MSH")).await,
        Err(AcceptError::Full)
    ));
    assert!(!door.fatal.is_cancelled());
    assert!(matches!(
        door.inbox
            .accept(message("shinryojo", "1", b"MSH"))
            .await
            .unwrap(),
        Receipt::Stored(_)
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_ledger_ends_the_hub() {
    let door = Door::new().await;
    *door.ledger.failure.lock().unwrap() = Some(StoreError::Broken("i/o".into()));
    assert!(matches!(
        door.inbox.accept(message("shinryojo", "1", b"MSH")).await,
        Err(AcceptError::Broken(_))
    ));
    assert!(door.fatal.is_cancelled());
    assert!(matches!(
        door.inbox.accept(message("shinryojo", "2", b"MSH")).await,
        Err(AcceptError::Broken(_))
    ));
    assert_eq!(door.transactions(), 1, "nothing is tried after that");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_blob_store_is_no_different() {
    let mut document = message("shinryojo", "doc", b"%PDF-1.7");
    document.meta.media_type = Some("application/pdf".to_owned());
    let door = Door::with(Some(Arc::new(Failing(ErrorKind::StorageFull))), true, 1).await;
    assert!(matches!(
        door.inbox.accept(document.clone()).await,
        Err(AcceptError::Full)
    ));
    assert!(!door.fatal.is_cancelled());
    let door = Door::with(Some(Arc::new(Failing(ErrorKind::Other))), true, 1).await;
    assert!(matches!(
        door.inbox.accept(document).await,
        Err(AcceptError::Broken(_))
    ));
    assert!(door.fatal.is_cancelled());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_may_wait_until_it_is_processed() {
    let door = Door::new().await;
    let Receipt::Stored(id) = door
        .inbox
        .accept(message("shinryojo", "1", b"MSH"))
        .await
        .unwrap()
    else {
        panic!("not stored")
    };
    let mut waits = Box::pin(door.inbox.processed(id));
    let ends = async {
        // The waiter is registered before the engine is woken.
        door.stored.notified().await;
        loop {
            if door.inbox.waiters().contains_key(&id) {
                return door
                    .inbox
                    .finished(&[(id, Processed::Parked(Code::IDN_AMBIGUOUS))]);
            }
            tokio::task::yield_now().await;
        }
    };
    let both = async { tokio::join!(&mut waits, ends) };
    let (how, ()) = tokio::time::timeout(PATIENCE, both).await.unwrap();
    assert_eq!(how.unwrap(), Processed::Parked(Code::IDN_AMBIGUOUS));
    let mut cut = message("shinryojo", "2", b"MSH");
    cut.refused = Some(Code::HL7_FRAME_TRUNCATED);
    let Receipt::Stored(ended) = door.inbox.accept(cut).await.unwrap() else {
        panic!("not stored")
    };
    assert_eq!(
        door.inbox.processed(ended).await.unwrap(),
        Processed::Failed(Code::HL7_FRAME_TRUNCATED),
        "it had ended before"
    );
    assert!(door.inbox.waiters().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_and_long_messages_lie_beside_the_database() {
    let door = Door::new().await;
    let mut document = message("shinryojo", "doc", b"%PDF-1.7");
    document.meta.media_type = Some("application/pdf".to_owned());
    let mut state = 1_u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    })
    .take(limits::INLINE_BODY_BYTES + 10)
    .collect();
    let long = vec![b'a'; limits::INLINE_BODY_BYTES * 4];
    for (key, message) in [
        ("doc", document),
        ("noise", message("shinryojo", "noise", &noise)),
        ("long", message("shinryojo", "long", &long)),
    ] {
        assert!(
            matches!(
                door.inbox.accept(message).await.unwrap(),
                Receipt::Stored(_)
            ),
            "{key}"
        );
    }
    let files = || {
        let shards = std::fs::read_dir(door.folder.path().join("blobs")).unwrap();
        shards
            .flat_map(|shard| std::fs::read_dir(shard.unwrap().path()).unwrap())
            // Beside the documents, named by their hash, lies each folder's lock.
            .filter(|file| file.as_ref().unwrap().file_name().len() == 64)
            .count()
    };
    assert_eq!(files(), 2, "what compresses well stays in the row");
    let waiting = door.ledger.ledger.waiting(10).await.unwrap();
    let bodies: Vec<&[u8]> = waiting
        .iter()
        .map(|waiting| waiting.message.body.as_ref())
        .collect();
    assert_eq!(bodies, [b"%PDF-1.7".as_slice(), &noise, &long]);
    assert!(waiting.iter().all(|waiting| waiting.damaged.is_none()));
}
