//! Real sockets on port 0, against the recording inbox.

use std::collections::BTreeMap;

use bytes::BytesMut;
use renkei_core::source::Processed;
use renkei_core::{MessageId, limits};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_util::codec::Decoder;

use super::*;
use crate::contract::{self, CANARY, RecordingInbox, Rig, Running, Verdict, within};
use crate::exposure::Plaintext;

fn facility() -> FacilityId {
    FacilityId::new("1312345670").unwrap()
}

fn config() -> Config {
    Config::new("127.0.0.1:0".parse().unwrap(), facility())
}

fn adt(control_id: &str, patient: &str, rest: &str) -> String {
    format!(
        "MSH|^~\\&|HIS|KAKU|HUB|R|20250111113000||ADT^A08^ADT_A01|{control_id}|P|2.5{rest}\rEVN||20250111\rPID|1||{patient}^^^^PI||{CANARY}^TARO\r"
    )
}

fn frame(body: &str) -> Vec<u8> {
    [&b"\x0b"[..], body.as_bytes(), b"\x1c\r"].concat()
}

struct Hub {
    address: SocketAddr,
    inbox: Arc<RecordingInbox>,
    running: Running,
}

async fn start(config: Config) -> Hub {
    let source = Mllp::bind("his".into(), config).await.unwrap();
    let inbox = Arc::new(RecordingInbox::default());
    Hub {
        address: source.local_addr().unwrap(),
        inbox: Arc::clone(&inbox),
        running: Running::start(Arc::new(source), inbox),
    }
}

/// A sender; reads answers as `CODE|control id`.
struct Sender<S> {
    stream: S,
    codec: Codec,
    buffer: BytesMut,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Sender<S> {
    fn new(stream: S) -> Self {
        Self {
            stream,
            codec: Codec::new(1 << 20),
            buffer: BytesMut::new(),
        }
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// The next answer, `None` when the connection ends.
    async fn answer(&mut self) -> Option<String> {
        within(async {
            loop {
                if let Some(Frame::Whole(body)) = self.codec.decode(&mut self.buffer).unwrap() {
                    let text = String::from_utf8(body.to_vec()).unwrap();
                    let msa = text
                        .split('\r')
                        .find(|line| line.starts_with("MSA|"))
                        .unwrap();
                    return Some(msa[4..].to_owned());
                }
                match self.stream.read_buf(&mut self.buffer).await {
                    Ok(0) | Err(_) => return None,
                    Ok(_) => {}
                }
            }
        })
        .await
    }
}

impl Hub {
    async fn connect(&self) -> Sender<TcpStream> {
        Sender::new(TcpStream::connect(self.address).await.unwrap())
    }
}

struct MllpRig {
    source: Arc<Mllp>,
    address: SocketAddr,
}

#[async_trait]
impl Rig for MllpRig {
    fn source(&self) -> Arc<dyn Source> {
        Arc::<Mllp>::clone(&self.source)
    }

    async fn offer(&self, number: u32) -> Verdict {
        let mut sender = Sender::new(TcpStream::connect(self.address).await.unwrap());
        let control_id = format!("C{number}");
        sender
            .send(&frame(&adt(&control_id, "0000123401", "")))
            .await;
        match sender.answer().await.unwrap().split_once('|').unwrap().0 {
            "AA" => Verdict::Taken,
            "AE" => Verdict::TryAgain,
            _ => Verdict::Rejected,
        }
    }

    async fn offer_oversize(&self) -> Verdict {
        let mut sender = Sender::new(TcpStream::connect(self.address).await.unwrap());
        let giant = adt("G", "0000123401", "") + &"NTE|1||CANARYYAMADA\r".repeat(20_000);
        sender.send(&frame(&giant)).await;
        assert_eq!(sender.answer().await.as_deref(), Some("AR|G"));
        assert_eq!(sender.answer().await, None);
        Verdict::Rejected
    }

    fn oversize_code(&self) -> Code {
        Code::HL7_FRAME_TOO_LARGE
    }
}

#[tokio::test]
async fn the_contract_holds() {
    let config = Config {
        max_frame_bytes: 100_000,
        ..config()
    };
    let source = Arc::new(Mllp::bind("his".into(), config).await.unwrap());
    let address = source.local_addr().unwrap();
    let rig = Arc::new(MllpRig { source, address });
    contract::holds(rig, Arc::new(RecordingInbox::default())).await;
}

#[tokio::test]
async fn a_message_keeps_its_bytes_and_gets_its_keys() {
    let hub = start(config()).await;
    let mut sender = hub.connect().await;
    let body = adt("C1", "0000123456", "");
    let noisy = [&b"HELO\r\n"[..], &frame(&body), b"\n\n"].concat();
    for byte in noisy {
        sender.send(&[byte]).await;
    }
    assert_eq!(sender.answer().await.unwrap(), "AA|C1");
    let stored = hub.inbox.stored();
    let message = &stored[0].message;
    assert_eq!(message.body, body.as_bytes());
    assert_eq!(message.dedup_key, "C1");
    assert_eq!(message.subject.as_ref().unwrap().expose(), "0000123456");
    assert_eq!(message.ordering_key, "0000123456");
    assert_eq!(message.facility, facility());
    assert_eq!(message.meta.peer.as_deref(), Some("127.0.0.1"));
    hub.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_batch_is_answered_message_by_message_in_order() {
    let hub = start(config()).await;
    let mut sender = hub.connect().await;
    let batch = format!(
        "FHS|^~\\&\rBHS|^~\\&\r{}{}{}BTS|3\rFTS|1\r",
        adt("C1", "1", ""),
        adt("C2", "1", ""),
        adt("C3", "2", "")
    );
    sender.send(&frame(&batch)).await;
    for expected in ["AA|C1", "AA|C2", "AA|C3"] {
        assert_eq!(sender.answer().await.unwrap(), expected);
    }
    assert_eq!(hub.inbox.bodies()[1], adt("C2", "1", ""));
    hub.running.stop().await.unwrap();
}

#[tokio::test]
async fn pipelined_frames_are_offered_together_and_one_patient_in_order() {
    let hub = start(config()).await;
    let mut sender = hub.connect().await;
    hub.inbox.hold();
    let wire: Vec<u8> = [("C1", "1"), ("C2", "2"), ("C3", "3"), ("C4", "1")]
        .iter()
        .flat_map(|(control_id, patient)| frame(&adt(control_id, patient, "")))
        .collect();
    sender.send(&wire).await;
    within(hub.inbox.until_offered(3)).await;
    hub.inbox.release();
    for expected in ["AA|C1", "AA|C2", "AA|C3", "AA|C4"] {
        assert_eq!(sender.answer().await.unwrap(), expected);
    }
    hub.running.stop().await.unwrap();
}

#[tokio::test]
async fn enhanced_mode_answers_commit_and_application() {
    let hub = start(Config {
        ack: Ack::Processed,
        ..config()
    })
    .await;
    let mut sender = hub.connect().await;
    sender.send(&frame(&adt("C1", "1", "|||AL|AL"))).await;
    sender.send(&frame(&adt("C2", "2", "|||AL|ER"))).await;
    sender.send(&frame(&adt("C3", "3", "|||NE|NE"))).await;
    assert_eq!(sender.answer().await.unwrap(), "CA|C1");
    assert_eq!(sender.answer().await.unwrap(), "CA|C2");
    within(hub.inbox.until_stored(3)).await;
    hub.inbox
        .finish(MessageId(1), Processed::Parked(Code::IDN_AMBIGUOUS));
    assert_eq!(sender.answer().await.unwrap(), "AA|C1");
    hub.inbox
        .finish(MessageId(2), Processed::Failed(Code::MAP_NO_PATIENT));
    assert_eq!(sender.answer().await.unwrap(), "AE|C2");
    sender
        .send(&frame(
            &adt("A1", "1", "").replace("ADT^A08^ADT_A01", "ACK^A08^ACK"),
        ))
        .await;
    sender.send(&frame(&adt("C4", "4", "|||AL|NE"))).await;
    assert_eq!(sender.answer().await.unwrap(), "CA|C4");
    assert_eq!(hub.inbox.stored().len(), 4);
    hub.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_processed_answer_waits_for_the_outcome() {
    let hub = start(Config {
        ack: Ack::Processed,
        ..config()
    })
    .await;
    let mut sender = hub.connect().await;
    sender.send(&frame(&adt("C1", "1", ""))).await;
    sender.send(&frame(&adt("C2", "2", ""))).await;
    within(hub.inbox.until_stored(2)).await;
    hub.inbox
        .finish(MessageId(2), Processed::Failed(Code::MAP_NO_PATIENT));
    hub.inbox.finish(MessageId(1), Processed::Processed);
    assert_eq!(sender.answer().await.unwrap(), "AA|C1");
    assert_eq!(sender.answer().await.unwrap(), "AE|C2");
    hub.running.stop().await.unwrap();
}

#[tokio::test]
async fn unreadable_messages_are_kept_and_rejected() {
    let hub = start(config()).await;
    let mut sender = hub.connect().await;
    sender.send(&frame("PID|1||0000123456")).await;
    assert_eq!(sender.answer().await.unwrap(), "AR");
    assert_eq!(
        hub.inbox.stored()[0].message.refused,
        Some(Code::HL7_NO_MSH)
    );
    hub.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_shared_port_knows_its_senders() {
    let table = BTreeMap::from([("KAKU".to_owned(), facility())]);
    let hub = start(Config {
        facility: None,
        facility_by_sender: table,
        ..config()
    })
    .await;
    let mut sender = hub.connect().await;
    sender
        .send(&frame(&adt("C1", "1", "").replace("|KAKU|", "|OTHER|")))
        .await;
    assert_eq!(sender.answer().await.unwrap(), "AR|C1");
    sender.send(&frame(&adt("C2", "1", ""))).await;
    assert_eq!(sender.answer().await.unwrap(), "AA|C2");
    assert_eq!(hub.inbox.stored().len(), 1);
    hub.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_frame_cut_by_the_end_of_the_connection_is_kept_without_answer() {
    let hub = start(config()).await;
    let mut sender = hub.connect().await;
    sender.send(&frame(&adt("C1", "1", ""))[..60]).await;
    sender.stream.shutdown().await.unwrap();
    within(hub.inbox.until_stored(1)).await;
    assert_eq!(sender.answer().await, None);
    let stored = hub.inbox.stored();
    assert_eq!(stored[0].message.refused, Some(Code::HL7_FRAME_TRUNCATED));
    assert_eq!(stored[0].message.body.len(), 59);
    hub.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_giant_frame_is_kept_in_part_with_what_had_arrived() {
    let hub = start(Config {
        max_frame_bytes: 100_000,
        ..config()
    })
    .await;
    let mut sender = hub.connect().await;
    sender
        .send(&frame(&(adt("C1", "1", "") + &"x".repeat(3_000_000))))
        .await;
    assert_eq!(sender.answer().await.unwrap(), "AR|C1");
    assert_eq!(sender.answer().await, None);
    let stored = hub.inbox.stored();
    assert_eq!(stored[0].message.body.len(), limits::KEPT_OF_GIANT);
    let arrived: usize = stored[0].message.meta.sidecar["frame_bytes_at_least"]
        .parse()
        .unwrap();
    assert!(arrived > 100_000);
    hub.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_sender_that_hears_no_errors_is_kept_waiting_instead() {
    let hub = start(config()).await;
    hub.inbox.fill_up(true);
    let mut sender = hub.connect().await;
    sender.send(&frame(&adt("C1", "1", "|||SU|NE"))).await;
    within(hub.inbox.until_refused_for_room(2)).await;
    hub.inbox.fill_up(false);
    assert_eq!(sender.answer().await.unwrap(), "CA|C1");
    assert_eq!(hub.inbox.stored().len(), 1);
    hub.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_sender_that_was_put_off_and_hangs_up_frees_its_connection() {
    let hub = start(Config {
        max_connections: 1,
        ..config()
    })
    .await;
    hub.inbox.fill_up(true);
    let mut first = hub.connect().await;
    // Each refusal doubles the pause: after seven it is half a minute.
    let patients = ["1", "2", "3", "4", "5", "6", "7"];
    let wire: Vec<u8> = patients
        .iter()
        .flat_map(|patient| frame(&adt(&format!("C{patient}"), patient, "")))
        .collect();
    first.send(&wire).await;
    for patient in patients {
        assert_eq!(first.answer().await.unwrap(), format!("AE|C{patient}"));
    }
    hub.inbox.fill_up(false);
    // Written before it goes: it would overtake what it says again over the next connection.
    first.send(&frame(&adt("C8", "1", ""))).await;
    drop(first);
    let again = async {
        loop {
            let mut second = hub.connect().await;
            second.send(&frame(&adt("C1", "1", ""))).await;
            if let Some(answer) = second.answer().await {
                return answer;
            }
        }
    };
    assert_eq!(within(again).await, "AA|C1");
    let stored = hub.inbox.stored();
    let stored: Vec<_> = stored.iter().map(|one| &one.message.dedup_key).collect();
    assert_eq!(stored, ["C1"]);
    hub.running.stop().await.unwrap();
}

#[tokio::test]
async fn what_stands_behind_a_refused_message_does_not_overtake_it() {
    let hub = start(config()).await;
    hub.inbox.fill_up(true);
    hub.inbox.hold();
    let mut sender = hub.connect().await;
    let wire = [frame(&adt("C1", "1", "")), frame(&adt("C2", "1", ""))];
    sender.send(&wire.concat()).await;
    within(hub.inbox.until_offered(1)).await;
    hub.inbox.release();
    assert_eq!(sender.answer().await.unwrap(), "AE|C1");
    hub.inbox.fill_up(false);
    assert_eq!(sender.answer().await.unwrap(), "AE|C2");
    assert_eq!(hub.inbox.refused_for_room(), 1);
    hub.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_failed_ledger_ends_the_source_without_an_answer() {
    let hub = start(config()).await;
    hub.inbox.break_down();
    let mut sender = hub.connect().await;
    sender.send(&frame(&adt("C1", "1", ""))).await;
    assert_eq!(sender.answer().await, None);
    let error = hub.running.ended().await.unwrap_err();
    assert!(error.source.is_some());
}

#[tokio::test]
async fn patients_who_are_not_enrolled_are_acknowledged_and_dropped() {
    let hub = start(config()).await;
    hub.inbox.enroll(&["2"]);
    let mut sender = hub.connect().await;
    sender.send(&frame(&adt("C1", "1", ""))).await;
    assert_eq!(sender.answer().await.unwrap(), "AA|C1");
    assert_eq!((hub.inbox.stored().len(), hub.inbox.not_enrolled()), (0, 1));
    hub.running.stop().await.unwrap();
}

#[tokio::test]
async fn sixty_four_connections_send_at_once() {
    let hub = start(config()).await;
    let mut senders = JoinSet::new();
    for number in 0..64 {
        let mut sender = hub.connect().await;
        senders.spawn(async move {
            for round in 0..50 {
                let control_id = format!("C{number}.{round}");
                sender
                    .send(&frame(&adt(&control_id, &format!("P{number}"), "")))
                    .await;
                assert_eq!(sender.answer().await.unwrap(), format!("AA|{control_id}"));
            }
        });
    }
    while let Some(ended) = senders.join_next().await {
        ended.unwrap();
    }
    assert_eq!(hub.inbox.stored().len(), 64 * 50);
    hub.running.stop().await.unwrap();
}

#[tokio::test]
async fn idle_connections_and_excess_connections_are_closed() {
    let hub = start(Config {
        idle_timeout_secs: 1,
        max_connections: 1,
        ..config()
    })
    .await;
    let mut first = hub.connect().await;
    first.send(&frame(&adt("C1", "1", ""))).await;
    assert_eq!(first.answer().await.unwrap(), "AA|C1");
    let mut second = hub.connect().await;
    assert_eq!(second.answer().await, None);
    first.send(b"\x0bMSH|half").await;
    assert_eq!(first.answer().await, None);
    assert_eq!(
        hub.inbox.stored()[1].message.refused,
        Some(Code::HL7_FRAME_TRUNCATED)
    );
    hub.running.stop().await.unwrap();
}

#[tokio::test]
async fn peers_outside_the_allowed_networks_are_disconnected() {
    let hub = start(Config {
        plaintext: Some(Plaintext {
            allow_from: vec!["192.0.2.0/24".parse().unwrap()],
            reason: "test".to_owned(),
        }),
        ..config()
    })
    .await;
    let mut sender = hub.connect().await;
    assert_eq!(sender.answer().await, None);
    hub.running.stop().await.unwrap();
}

struct Certificates {
    folder: tempfile::TempDir,
    authority: rcgen::Certificate,
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
}

impl Certificates {
    fn new() -> Self {
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().unwrap();
        let authority = params.self_signed(&key).unwrap();
        let made = Self {
            folder: tempfile::tempdir().unwrap(),
            authority,
            issuer: rcgen::Issuer::new(params, key),
        };
        std::fs::write(made.folder.path().join("ca.pem"), made.authority.pem()).unwrap();
        let (cert, key) = made.issue("hub.example");
        std::fs::write(made.folder.path().join("hub.pem"), cert.pem()).unwrap();
        std::fs::write(made.folder.path().join("hub.key"), key.serialize_pem()).unwrap();
        made
    }

    fn issue(&self, name: &str) -> (rcgen::Certificate, rcgen::KeyPair) {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    fn server(&self) -> tls::Server {
        tls::Server {
            cert: self.folder.path().join("hub.pem"),
            key: self.folder.path().join("hub.key"),
            client_ca: Some(self.folder.path().join("ca.pem")),
        }
    }

    /// Connects with a certificate for `name`, or without one.
    async fn connect(
        &self,
        hub: &Hub,
        name: Option<&str>,
    ) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.authority.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match name {
            None => builder.with_no_client_auth(),
            Some(name) => {
                let (cert, key) = self.issue(name);
                let key = rustls::pki_types::PrivatePkcs8KeyDer::from(key.serialize_der());
                builder
                    .with_client_auth_cert(vec![cert.der().clone()], key.into())
                    .unwrap()
            }
        };
        let stream = TcpStream::connect(hub.address).await?;
        tokio_rustls::TlsConnector::from(Arc::new(config))
            .connect("hub.example".try_into().unwrap(), stream)
            .await
    }
}

#[tokio::test]
async fn client_certificates_say_which_facility_speaks() {
    let certificates = Certificates::new();
    let hub = start(Config {
        facility: None,
        facility_by_client: BTreeMap::from([("his.kaku.example".to_owned(), facility())]),
        tls: Some(certificates.server()),
        ..config()
    })
    .await;
    let known = certificates
        .connect(&hub, Some("his.kaku.example"))
        .await
        .unwrap();
    let mut sender = Sender::new(known);
    sender.send(&frame(&adt("C1", "1", ""))).await;
    assert_eq!(sender.answer().await.unwrap(), "AA|C1");
    let stored = hub.inbox.stored();
    assert_eq!(stored[0].message.facility, facility());
    assert_eq!(
        stored[0].message.meta.peer.as_deref(),
        Some("his.kaku.example")
    );

    let unknown = certificates
        .connect(&hub, Some("his.other.example"))
        .await
        .unwrap();
    let mut sender = Sender::new(unknown);
    sender.send(&frame(&adt("C2", "1", ""))).await;
    assert_eq!(sender.answer().await.unwrap(), "AR|C2");

    // In TLS 1.3 the refusal of a missing certificate arrives with the first read.
    if let Ok(stream) = certificates.connect(&hub, None).await {
        let mut sender = Sender::new(stream);
        let _ = sender.stream.write_all(&frame(&adt("C3", "1", ""))).await;
        assert_eq!(sender.answer().await, None);
    }
    assert_eq!(hub.inbox.stored().len(), 1);
    hub.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_certificate_is_known_by_its_fingerprint_too() {
    let certificates = Certificates::new();
    let (cert, _) = certificates.issue("his.kaku.example");
    let hash: [u8; 32] = sha2::Digest::finalize(sha2::Digest::chain_update(
        <sha2::Sha256 as sha2::Digest>::new(),
        cert.der(),
    ))
    .into();
    let fingerprint: Vec<String> = hash.iter().map(|byte| format!("{byte:02X}")).collect();
    assert!(tls::goes_by(
        cert.der(),
        &format!("sha256:{}", fingerprint.join(":"))
    ));
    assert!(tls::goes_by(cert.der(), "his.kaku.example"));
    assert!(!tls::goes_by(cert.der(), "kaku.example"));
    assert!(!tls::goes_by(cert.der(), "sha256:00"));
}

#[test]
fn the_configuration_is_checked() {
    let text = r#"
        listen = "127.0.0.1:2575"
        facility = "1312345670"
        ack = "processed"
        local_id = { pad_to = 10 }
    "#;
    let parsed: Config = toml::from_str(text).unwrap();
    assert!(parsed.validate().is_empty());
    assert_eq!(
        (parsed.ack, parsed.max_frame_bytes),
        (Ack::Processed, limits::FRAME_BYTES)
    );
    assert!(toml::from_str::<Config>(&format!("{text}\nunknown = 1")).is_err());
    let exposed = Config {
        listen: "0.0.0.0:2575".parse().unwrap(),
        ..config()
    };
    assert!(exposed.validate()[0].starts_with("RNK-CFG-002"));
    let nobody = Config {
        facility: None,
        max_frame_bytes: 0,
        ..config()
    };
    assert_eq!(nobody.validate().len(), 2);
}

#[tokio::test]
async fn an_exposed_listener_is_not_bound() {
    let exposed = Config {
        listen: "0.0.0.0:0".parse().unwrap(),
        ..config()
    };
    let error = Mllp::bind("his".into(), exposed).await.err().unwrap();
    assert_eq!(error.code, Code::CFG_EXPOSED);
    let certificates = Certificates::new();
    let mut server = certificates.server();
    server.key = certificates.folder.path().join("missing.key");
    let config = Config {
        tls: Some(server),
        ..config()
    };
    assert!(Mllp::bind("his".into(), config).await.is_err());
}
