//! The simulated peers of one district, seen through their test doors.

use std::path::{Path, PathBuf};
use std::time::Duration;

use renkei_sim::hospital::Person;
use renkei_sim::{Running, Second, Seed, mcs, vital_link, ward};
use serde_json::{Value, json};

use crate::people::{HOSPITAL, HOSPITAL_NAME, kana, sex};

/// The three kinds of sink, by the name they have in the configuration.
pub(crate) const SINKS: [&str; 3] = ["mcs", "vital_link", "ward"];
/// The hospital's system account at every peer.
pub(crate) const SYSTEM: &str = "renkei-hospital";

/// What calls to the second MCS are signed with.
pub(crate) const SIGNING_KEY: &str = "k3y-of-the-district";

/// A client of one peer's test doors.
#[derive(Clone)]
pub(crate) struct Doors {
    http: reqwest::Client,
    base: String,
}

/// One simulated peer.
pub(crate) struct Sim {
    running: Running,
    pub(crate) doors: Doors,
}

/// A peer each of the three kinds.
pub(crate) struct District {
    pub(crate) mcs: Sim,
    pub(crate) vital_link: Sim,
    pub(crate) ward: Sim,
    pub(crate) ward_folder: PathBuf,
}

impl District {
    /// Starts the peers with a team for each of these people.
    pub(crate) async fn start(folder: &Path, people: &[Person]) -> Self {
        let any = "127.0.0.1:0".parse().unwrap();
        let ward_folder = folder.join("ward");
        let mcs = mcs::start(mcs::Config::new(any, seed("g", people)));
        let vital_link = vital_link::start(vital_link::Config::new(any, seed("r", people)));
        let mut config = ward::Config::new(any, ward_folder.clone(), seed("w", people));
        config.look_every = Duration::from_millis(20);
        Self {
            mcs: Sim::new(mcs.await.unwrap()),
            vital_link: Sim::new(vital_link.await.unwrap()),
            ward: Sim::new(ward::start(config).await.unwrap()),
            ward_folder,
        }
    }

    /// The same with a ward that is spoken to by REST.
    pub(crate) async fn with_rest_ward(folder: &Path, people: &[Person]) -> Self {
        let any = "127.0.0.1:0".parse().unwrap();
        let rest = mcs::start(mcs::Config::ward(any, seed("", people)));
        let mut district = Self::start(folder, people).await;
        district.ward = Sim::new(rest.await.unwrap());
        district
    }

    /// The same, each in its second dialect; the ward by REST.
    pub(crate) async fn in_second_dialects(folder: &Path, people: &[Person]) -> Self {
        let any = "127.0.0.1:0".parse().unwrap();
        let mut care = mcs::Config::new(any, seed("g", people));
        care.second = Some(Second::Care {
            signing_key: SIGNING_KEY.to_owned(),
        });
        let mut rooms = vital_link::Config::new(any, seed("r", people));
        rooms.second = Some(Second::Xml);
        let mut city = mcs::Config::new(any, seed("", people));
        city.second = Some(Second::City);
        Self {
            mcs: Sim::new(mcs::start(care).await.unwrap()),
            vital_link: Sim::new(vital_link::start(rooms).await.unwrap()),
            ward: Sim::new(mcs::start(city).await.unwrap()),
            ward_folder: folder.join("ward"),
        }
    }

    /// A peer by its name in the configuration.
    pub(crate) fn sim(&self, sink: &str) -> &Sim {
        match sink {
            "mcs" => &self.mcs,
            "vital_link" => &self.vital_link,
            _ => &self.ward,
        }
    }

    /// What people could see, over all peers.
    pub(crate) async fn effects(&self) -> u64 {
        let mut effects = 0;
        for sink in SINKS {
            effects += self.sim(sink).doors.count("effects").await;
        }
        effects
    }
}

/// What the peer calls the team of a person.
pub(crate) fn peer_ref(sink: &str, person: &Person) -> String {
    match sink {
        "mcs" => format!("g-{}", person.local_id),
        "vital_link" => format!("r-{}", person.local_id),
        _ => person.local_id.clone(),
    }
}

fn seed(prefix: &str, people: &[Person]) -> Seed {
    let teams: Vec<Value> = people.iter().map(|person| team(prefix, person)).collect();
    let seed = json!({
        "clients": [{"id": "renkei", "secret": "s3cret", "facility_id": HOSPITAL}],
        "facilities": [{"facility_id": HOSPITAL, "name": HOSPITAL_NAME, "type": "hospital", "admin": SYSTEM}],
        "teams": teams,
    });
    serde_json::from_value(seed).unwrap()
}

/// The patient header a peer shows.
pub(crate) fn header(person: &Person) -> Value {
    json!({
        "local_id": person.local_id, "kana": kana(person), "birth_date": person.birth.to_string(),
        "sex": sex(person), "name": format!("{} {}", person.family, person.given),
    })
}

fn team(prefix: &str, person: &Person) -> Value {
    let id = if prefix.is_empty() {
        person.local_id.clone()
    } else {
        format!("{prefix}-{}", person.local_id)
    };
    json!({
        "id": id, "host_facility_id": HOSPITAL, "patient": header(person),
        "members": [
            {"user_ref": SYSTEM, "display": "連携システム", "facility_id": HOSPITAL, "professions": ["medical-clerk"]},
            {"user_ref": "u-doctor", "display": "高田 医師", "facility_id": "1319999998", "professions": ["doctor"]},
            {"user_ref": "u-nurse", "display": "坂田 看護師", "facility_id": "1369999997", "professions": ["nurse"]},
        ],
    })
}

impl Sim {
    fn new(running: Running) -> Self {
        let base = running.url();
        // Plain HTTP only, but the client wants a provider to exist; a second installation is refused.
        let _second = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(60))
            .build()
            .unwrap();
        Self {
            running,
            doors: Doors { http, base },
        }
    }

    /// Where the hub reaches it.
    pub(crate) fn url(&self) -> String {
        self.running.url()
    }
}

impl Doors {
    async fn get(&self, path: &str) -> Value {
        let answer = self.http.get(format!("{}{path}", self.base)).send().await;
        serde_json::from_slice(&answer.unwrap().bytes().await.unwrap()).unwrap()
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        let request = self.http.post(format!("{}{path}", self.base)).json(body);
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let body = answer.bytes().await.unwrap();
        assert!(status.is_success(), "{path}: {status} {body:?}");
        serde_json::from_slice(&body).unwrap_or(Value::Null)
    }

    /// Everything the peer knows.
    pub(crate) async fn state(&self) -> Value {
        self.get("/_sim/state").await
    }

    /// One of the peer's counts.
    pub(crate) async fn count(&self, name: &str) -> u64 {
        self.get("/_sim/counts").await[name].as_u64().unwrap()
    }

    /// Makes things go wrong; `{}` makes them go right again.
    pub(crate) async fn faults(&self, plan: Value) {
        self.post("/_sim/faults", &plan).await;
    }

    /// Whether answers of a peer with tickets wait; gives how many are `open` and were ever `taken`.
    pub(crate) async fn tickets(&self, hold: bool) -> Value {
        self.post("/_sim/tickets", &json!({ "hold": hold })).await
    }

    /// Someone at the peer does something.
    pub(crate) async fn act(&self, act: Value) {
        self.post("/_sim/act", &act).await;
    }

    /// The posts, messages or documents the hub wrote, in the order they were accepted.
    pub(crate) async fn told(&self) -> Vec<Post> {
        let state = self.state().await;
        let entries = |list: &str| state[list].as_array().cloned().unwrap();
        let mut all: Vec<Post> = entries("posts")
            .iter()
            .chain(&entries("documents"))
            .filter(|entry| entry["origin"] == "api")
            .map(Post::of)
            .collect();
        all.sort_by(|one, other| one.at.cmp(&other.at));
        all
    }

    /// What the hub wrote for one patient, documents that only accompany a message aside.
    pub(crate) async fn told_of(&self, person: &Person) -> Vec<Post> {
        let all = self.told().await;
        all.into_iter()
            .filter(|post| post.local_id == person.local_id && !post.text.is_empty())
            .collect()
    }
}

/// One post as a peer's readers see it, whatever the peer calls its parts.
#[derive(Clone, Debug)]
pub(crate) struct Post {
    pub(crate) id: String,
    pub(crate) key: String,
    pub(crate) at: String,
    pub(crate) local_id: String,
    pub(crate) headline: String,
    pub(crate) text: String,
    pub(crate) files: usize,
    /// The post it answers or replaces.
    pub(crate) before: Option<String>,
    /// `corrected` or `cancelled`, where the peer has a field for it.
    pub(crate) change: Option<String>,
    pub(crate) corrections: Vec<String>,
    pub(crate) withdrawn: bool,
}

impl Post {
    fn of(entry: &Value) -> Self {
        let request = &entry["request"];
        let text = |value: &Value| value.as_str().map(str::to_owned);
        // A ward's document has its words in a file of its own.
        let first = |names: &[&str]| {
            let places = [request, &request["content"]];
            let all = places
                .iter()
                .flat_map(|place| names.iter().map(|name| &place[*name]));
            all.filter_map(text).next().unwrap_or_default()
        };
        let before = ["reply_to", "replaces"];
        Self {
            id: text(&entry["entry_id"]).unwrap(),
            key: text(&entry["key"]).unwrap_or_default(),
            at: text(&entry["accepted_at"]).unwrap(),
            local_id: text(&entry["patient"]["local_id"]).unwrap_or_default(),
            headline: first(&["headline", "title"]),
            text: first(&["text", "body"]),
            files: [&entry["files"], &request["documents"]]
                .iter()
                .filter_map(|list| list.as_array())
                .map(Vec::len)
                .sum(),
            before: before.iter().find_map(|name| text(&request[*name])),
            change: text(&request["change"]).or_else(|| text(&request["manifest"]["doc_type"])),
            corrections: entry["corrections"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|correction| text(&correction["kind"]))
                .collect(),
            withdrawn: entry["withdrawn"] == true,
        }
    }
}
