//! What laboratories post over TLS: who may, and what becomes of bodies that are too large or cut short.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use renkei_core::Code;
use renkei_sim::hospital::Person;

use crate::harness::TestHub;
use crate::hub::{Config, Folders};
use crate::labs::outcomes;
use crate::people::{HOSPITAL, ago, kana, register};
use crate::stores::{On, on_each_store};

/// Largest body the hub of these tests takes.
const MOST: usize = 4_000;

/// An authority of our own, the hub's certificate, and one for whom it lets in.
struct Certificates {
    authority: String,
    client: String,
}

impl Certificates {
    /// Made anew, the hub's part written into `folders`.
    fn new(folders: &Folders) -> Self {
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().unwrap();
        let authority = params.self_signed(&key).unwrap().pem();
        let issuer = rcgen::Issuer::new(params, key);
        let issue = |name: &str| {
            let key = rcgen::KeyPair::generate().unwrap();
            let params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
            let certificate = params.signed_by(&key, &issuer).unwrap();
            (certificate.pem(), key.serialize_pem())
        };
        let (certificate, key) = issue("127.0.0.1");
        let files = [
            ("ca.pem", &authority),
            ("hub.pem", &certificate),
            ("hub.key", &key),
        ];
        for (name, text) in files {
            std::fs::write(folders.path(name), text).unwrap();
        }
        let (certificate, key) = issue("lab.example");
        Self {
            authority,
            client: certificate + &key,
        }
    }

    /// A client that trusts the authority, with a certificate of it or without one.
    fn client(&self, with_certificate: bool) -> reqwest::Client {
        let authority = reqwest::Certificate::from_pem(self.authority.as_bytes()).unwrap();
        // An error only says that the process already has a provider.
        let _known = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(30))
            .tls_certs_only([authority]);
        if with_certificate {
            builder =
                builder.identity(reqwest::Identity::from_pem(self.client.as_bytes()).unwrap());
        }
        builder.build().unwrap()
    }
}

fn config(on: &On) -> Config {
    let more = format!(
        "[source.posted]\nmapping = \"builtin/lab-csv\"\n[source.posted.adapter.push]\nlisten = \"127.0.0.1:0\"\n\
         facility = \"{HOSPITAL}\"\ntoken = {{ file = \"@root@/secret\" }}\nmax_body_bytes = {MOST}\n\
         tls = {{ cert = \"@root@/hub.pem\", key = \"@root@/hub.key\", client_ca = \"@root@/ca.pem\" }}\n"
    );
    Config {
        more,
        ..Config::on(on)
    }
}

const HEAD: &str = "患者番号,氏名,カナ,生年月日,性別,オーダ番号,採取日,採取時刻,報告日時,材料コード,材料名,項目コード,項目名,JLAC10,結果,形,単位,基準,下限,上限,フラグ,状態,コメント,ラボ,ラボ名\r\n";

fn row(person: &Person, order: u32) -> String {
    format!(
        "{id},,{kana},,2,T{order},{day},,,023,血清,K,カリウム,3H015000002326101,4.1,,mEq/L,,3.5,5.0,,F,,,\r\n",
        id = person.local_id,
        kana = kana(person),
        day = ago(60).date(),
    )
}

/// Only who shows certificate and token is heard; what is too large is kept as refused, and of what was cut
/// short nothing is, so that the sender's next try is the whole.
async fn posted_over_tls(on: On) {
    let folders = Folders::new();
    let certificates = Certificates::new(&folders);
    let person = Person::synthetic(31);
    let people = std::slice::from_ref(&person);
    let hub = TestHub::in_folders(folders, people, config(&on), async |office| {
        office.admit(people).await;
    });
    let mut hub = hub.await;
    hub.process(&register(&person, 100)).await;
    let at = hub.hub.listening["posted"];
    let kept = async || {
        let said = "SELECT count(*) FROM message WHERE source = 'posted'";
        hub.office.number(said).await
    };
    let client = certificates.client(true);
    let post = async |name: &str, token: &str, body: reqwest::Body| {
        let request = client.post(format!("https://{at}/results/{name}"));
        let request = request.bearer_auth(token).body(body);
        request.send().await.map(|answer| answer.status().as_u16())
    };
    let rows = HEAD.to_owned() + &row(&person, 1);

    // Without the certificate there is no connection, and unencrypted there is no answer.
    let stranger = certificates.client(false);
    let request = stranger.post(format!("https://{at}/results/r.csv"));
    let refused = request.bearer_auth("s3cret").body(rows.clone());
    assert!(refused.send().await.is_err());
    let plain = client.post(format!("http://{at}/results/r.csv"));
    let plain = plain.bearer_auth("s3cret").body(rows.clone());
    assert!(plain.send().await.is_err());
    // With the certificate it is still the token that counts.
    for token in ["other", ""] {
        assert_eq!(
            post("r.csv", token, rows.clone().into()).await.unwrap(),
            401
        );
    }
    // The connection ends in the middle of the second row.
    let half = rows.clone() + &row(&person, 2)[..12];
    let pieces = [Ok(half.into_bytes()), Err(io::Error::other("gone"))];
    let cut = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
    assert!(post("r.csv", "s3cret", cut).await.is_err());
    assert_eq!(kept().await, 0);

    // The whole, in one piece and in many: the same file.
    assert_eq!(
        post("r.csv", "s3cret", rows.clone().into()).await.unwrap(),
        200
    );
    let pieces: Vec<Result<Vec<u8>, Infallible>> = rows
        .as_bytes()
        .chunks(7)
        .map(|piece| Ok(piece.to_vec()))
        .collect();
    let many = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
    assert_eq!(post("r.csv", "s3cret", many).await.unwrap(), 200);
    assert_eq!(kept().await, 1);

    let mut large = rows.clone();
    for order in 2.. {
        if large.len() > MOST {
            break;
        }
        large += &row(&person, order);
    }
    assert_eq!(
        post("large.csv", "s3cret", large.into()).await.unwrap(),
        413
    );
    hub.idle().await;
    let said = outcomes(&hub, "posted").await;
    assert_eq!(said.len(), 2, "{said:#?}");
    assert!(said[0].starts_with("processed - "), "{said:#?}");
    let refused = format!("failed {} ", Code::MAP_LIMIT);
    assert!(said[1].starts_with(&refused), "{said:#?}");
    assert_eq!(hub.office.bodies("Observation").await.len(), 1);
    assert!(!hub.hub.log_text().contains(&person.local_id));
}

on_each_store!(posted_over_tls);
