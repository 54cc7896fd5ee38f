//! Real sockets, against the recording inbox.

use renkei_core::SystemClock;
use renkei_core::cutter::Cut;

use super::*;
use crate::contract::{self, CANARY, RecordingInbox, Rig, Running, Verdict};
use crate::secret::Secret;

const TOKEN: &str = "t0ken-of-the-laboratory";

fn client() -> reqwest::Client {
    crate::http::base(Duration::from_secs(30)).build().unwrap()
}

struct Site {
    source: Arc<Push>,
    _folder: tempfile::TempDir,
}

impl Site {
    fn new(cutter: Option<Arc<dyn Cutter>>, max_body_bytes: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, format!("{TOKEN}\n")).unwrap();
        let mut config = Config::new(
            "127.0.0.1:0".parse().unwrap(),
            renkei_core::FacilityId::new("1312345670").unwrap(),
            Secret::File(file),
        );
        config.max_body_bytes = max_body_bytes;
        let source = Push::bind("lab".into(), config, cutter, Arc::new(SystemClock)).unwrap();
        Self {
            source: Arc::new(source),
            _folder: folder,
        }
    }

    async fn post(
        &self,
        path: &str,
        token: &str,
        key: Option<&str>,
        body: impl Into<reqwest::Body>,
    ) -> u16 {
        let url = format!("http://{}{path}", self.source.local_addr().unwrap());
        let mut request = client().post(url).bearer_auth(token).body(body);
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        request.send().await.unwrap().status().as_u16()
    }
}

/// One part per line, by the word before its comma.
struct Lines;

impl Cutter for Lines {
    fn cut(&self, _file: &str, body: &Bytes) -> Result<Cut, MapError> {
        let text = std::str::from_utf8(body).unwrap();
        if !text.contains(',') {
            return Err(MapError {
                code: Code::MAP_NOT_THIS_FORMAT,
                at: "row 1".to_owned(),
            });
        }
        let parts = text.lines().map(|line| Part {
            subject: line
                .split_once(',')
                .map(|(id, _)| renkei_core::LocalId::new(id)),
            body: Bytes::copy_from_slice(line.as_bytes()),
            places: vec![(1, 1)],
            refused: None,
        });
        Ok(Cut {
            parts: parts.collect(),
            ..Cut::default()
        })
    }
}

struct PushRig(Site);

#[async_trait]
impl Rig for PushRig {
    fn source(&self) -> Arc<dyn Source> {
        Arc::<Push>::clone(&self.0.source)
    }

    async fn offer(&self, number: u32) -> Verdict {
        let body = format!(
            "MSH|^~\\&|HIS|KAKU|HUB|R|20250111||ORU^R01|C{number}|P|2.5\rPID|1||0000123401||{CANARY}\r"
        );
        match self.0.post("/", TOKEN, None, body).await {
            200 => Verdict::Taken,
            503 => Verdict::TryAgain,
            _ => Verdict::Rejected,
        }
    }

    async fn offer_oversize(&self) -> Verdict {
        let body = format!("MSH|^~\\&|{CANARY}\r") + &"NTE|1||x\r".repeat(20_000);
        assert_eq!(self.0.post("/", TOKEN, None, body).await, 413);
        Verdict::Rejected
    }

    fn oversize_code(&self) -> Code {
        Code::HL7_FRAME_TOO_LARGE
    }
}

#[tokio::test]
async fn the_contract_holds() {
    let rig = PushRig(Site::new(None, 100_000));
    contract::holds(Arc::new(rig), Arc::new(RecordingInbox::default())).await;
}

#[tokio::test]
async fn a_file_is_cut_and_what_cannot_be_is_kept() {
    let site = Site::new(Some(Arc::new(Lines)), 100_000);
    let inbox = Arc::new(RecordingInbox::default());
    let running = Running::start(site.source.clone(), inbox.clone());
    let rows = || "1,a\n2,b\n".to_owned();
    assert_eq!(site.post("/r/r1.csv", "other", None, rows()).await, 401);
    assert_eq!(site.post("/r/r1.csv", "", None, rows()).await, 401);
    assert_eq!(inbox.stored().len(), 0);
    assert_eq!(site.post("/r/r1.csv", TOKEN, None, rows()).await, 200);
    assert_eq!(site.post("/r/r1.csv", TOKEN, None, rows()).await, 200);
    assert_eq!(site.post("/", TOKEN, Some("k1"), rows()).await, 200);
    assert_eq!(site.post("/", TOKEN, Some("k1"), rows()).await, 200);
    assert_eq!(site.post("/", TOKEN, None, "no rows".to_owned()).await, 422);
    let keys: Vec<String> = inbox
        .stored()
        .iter()
        .map(|accepted| accepted.message.dedup_key.clone())
        .collect();
    assert_eq!(keys, ["r1.csv#1", "r1.csv#2", "k1#1", "k1#2", "posted"]);
    let refused = inbox.stored().pop().unwrap().message;
    assert_eq!(refused.refused, Some(Code::MAP_NOT_THIS_FORMAT));
    let url = format!("http://{}/", site.source.local_addr().unwrap());
    let asked = client().get(url).send().await.unwrap().status().as_u16();
    assert_eq!(asked, 405);
    running.stop().await.unwrap();
}
