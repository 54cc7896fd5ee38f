//! Everything around a hub that is to be loaded, on this machine only: invented patients with a consent
//! and a team at each of three simulated peers, and the configuration of a hub between them.
//!
//! Used by `renkei load --prepare` (files) and by `bench walk` (peers in its own process).

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use renkei_sim::hospital::{Person, Site};
use renkei_sim::{Client, GroupKind, GroupStatus, Member, PatientHeader, Seed, Team};

use crate::demo::cast::write_csv;
use crate::demo::config::{CLIENT, CLIENT_SECRET};
use crate::store::operator::{ChannelRow, ConsentRow};

/// The hospital that sends; of no real institution.
pub const HOSPITAL: &str = "1312345670";
/// Its system account at every peer.
const ACCOUNT: &str = "renkei-hospital";
/// The peers: name and kind of adapter in the configuration, and what their teams begin with.
pub const PEERS: [(&str, &str, &str); 3] = [
    ("mcs", "mcs", "g-"),
    ("vital_link", "vital_link", "r-"),
    ("ward", "ward.rest", "w-"),
];

/// The patients of one run.
#[derive(Debug, Clone, Copy)]
pub struct District {
    /// Number of the first invented person.
    pub first_person: u64,
    /// How many.
    pub patients: u32,
}

/// What the configuration of the hub says.
#[derive(Debug, Clone)]
pub struct Wiring {
    /// Where the hub listens.
    pub mllp: SocketAddr,
    /// The addresses of the peers, in the order of [`PEERS`].
    pub peers: [SocketAddr; 3],
    /// `[ledger] database`; `None` = a file in the hub's folder.
    pub database: Option<String>,
    /// Seconds a notice waits for further parts.
    pub settle_secs: u64,
    /// Longest wait between attempts at a peer that is down, in seconds.
    pub retry_most_secs: u64,
    /// Whether posts carry the hub's PDF sheet.
    pub sheet: bool,
}

impl Wiring {
    /// Peers on three ports in a row, the hub on the one after them.
    pub fn on_ports(first: u16) -> Option<Self> {
        let port = |place: u16| {
            Some(SocketAddr::from((
                Ipv4Addr::LOCALHOST,
                first.checked_add(place)?,
            )))
        };
        Some(Self {
            mllp: port(3)?,
            peers: [port(0)?, port(1)?, port(2)?],
            database: None,
            settle_secs: 1,
            retry_most_secs: 5,
            sheet: false,
        })
    }

    /// The text of `renkei.toml`, with the secret of the peers in this file.
    fn config(&self, secret: &Path) -> String {
        let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
        let mut text = format!(
            "# Written by renkei for a rehearsal: invented patients, simulated peers, everything on this machine.\n\
             [hub]\ndata_dir = \"data\"\nretry = {{ first_millis = 200, most_secs = {} }}\n\n",
            self.retry_most_secs
        );
        // Writing to a string cannot fail.
        if let Some(database) = &self.database {
            let _ok = writeln!(text, "[ledger]\ndatabase = {}\n", quoted(database));
        }
        let _ok = write!(
            text,
            "[notices]\nsettle_secs = {}\nsettle_most_secs = {}\n\n[documents]\nsheet = {}\n\n\
             [facility.{HOSPITAL}]\nname = {}\nclass = \"hospital\"\ndistrict = \"suginami\"\n\
             desk = \"医療連携室\"\nphone = \"03-0000-0000\"\nhours = \"平日9–17時\"\n\n\
             [source.his]\nadapter.mllp = {{ listen = \"{}\", facility = \"{HOSPITAL}\" }}\n",
            self.settle_secs,
            self.settle_secs.saturating_mul(6).max(1),
            self.sheet,
            quoted(&Site::demo().name),
            self.mllp,
        );
        let secret = quoted(&secret.display().to_string());
        for ((name, kind, _), address) in PEERS.iter().zip(self.peers) {
            let _ok = write!(
                text,
                "\n[peer.{name}]\nmode = \"live\"\nagreement_ref = \"rehearsal\"\n[peer.{name}.adapter.{kind}]\n\
                 facility = \"{HOSPITAL}\"\nuser_ref = \"{ACCOUNT}\"\npoll_secs = 1\n\
                 connection = {{ endpoint = \"http://{address}\", client_id = \"{CLIENT}\", secret = {{ file = {secret} }} }}\n"
            );
        }
        text
    }
}

impl District {
    /// Writes all a rehearsal needs into a folder: `renkei.toml`, `peer.secret`, `<peer>.json` to seed
    /// each simulator with, `consents.csv` and `channels.csv` to import.
    ///
    /// # Errors
    /// As the file system says.
    pub fn write(&self, folder: &Path, wiring: &Wiring) -> anyhow::Result<()> {
        std::fs::create_dir_all(folder)?;
        self.write_hub(folder, wiring)?;
        for (name, _, _) in PEERS {
            let file = std::fs::File::create(folder.join(format!("{name}.json")))?;
            serde_json::to_writer(std::io::BufWriter::new(file), &self.seed(name))?;
        }
        write_csv(&folder.join("consents.csv"), &self.consents())?;
        write_csv(&folder.join("channels.csv"), &self.channels())
    }

    /// Writes only `renkei.toml` and `peer.secret`.
    ///
    /// # Errors
    /// As the file system says.
    pub fn write_hub(&self, folder: &Path, wiring: &Wiring) -> std::io::Result<()> {
        // A secret's place counts from where the hub is started, not from the file that names it.
        let secret = std::path::absolute(folder.join("peer.secret"))?;
        std::fs::write(&secret, CLIENT_SECRET)?;
        std::fs::write(folder.join("renkei.toml"), wiring.config(&secret))
    }

    fn people(&self) -> impl Iterator<Item = Person> + use<> {
        let until = self.first_person + u64::from(self.patients);
        (self.first_person..until).map(Person::synthetic)
    }

    /// Who exists at a peer: the hospital as client, and a team of a doctor and a nurse for everyone.
    pub fn seed(&self, peer: &str) -> Seed {
        let client = Client {
            id: CLIENT.to_owned(),
            secret: CLIENT_SECRET.to_owned(),
            facility_id: HOSPITAL.to_owned(),
            scopes: None,
            agreement: true,
            webhook: None,
        };
        let hospital = renkei_sim::Facility {
            facility_id: HOSPITAL.to_owned(),
            name: Site::demo().name,
            facility_type: "hospital".to_owned(),
            admin: Some(ACCOUNT.to_owned()),
            updated_at: String::new(),
        };
        Seed {
            replace: false,
            clients: vec![client],
            facilities: vec![hospital],
            teams: self.people().map(|person| team(peer, &person)).collect(),
        }
    }

    /// A form of everyone that permits every peer.
    pub fn consents(&self) -> Vec<ConsentRow> {
        let recipients = PEERS.map(|(name, _, _)| format!("sink:{name}")).join("|");
        let form = |person: Person| ConsentRow {
            facility: HOSPITAL.to_owned(),
            kana: person.kana(),
            birth_date: person.birth.to_string(),
            local_id: person.local_id,
            form_id: "LOAD".to_owned(),
            form_version: "1".to_owned(),
            signed_on: "2024-04-01".to_owned(),
            signer: "本人".to_owned(),
            recipients: recipients.clone(),
            items: "*".to_owned(),
            purpose: "在宅療養の連携".to_owned(),
            valid_from: "2024-04-01".to_owned(),
            ..ConsentRow::default()
        };
        self.people().map(form).collect()
    }

    /// The confirmed channels of everyone to every peer.
    pub fn channels(&self) -> Vec<ChannelRow> {
        let channel = |person: &Person, name: &str| ChannelRow {
            facility: HOSPITAL.to_owned(),
            local_id: person.local_id.clone(),
            sink: name.to_owned(),
            peer_ref: team_id(name, person),
            kind: "professional".to_owned(),
            host_facility: HOSPITAL.to_owned(),
            kana: person.kana(),
            birth_date: person.birth.to_string(),
            sex: person.sex.word().to_owned(),
            // The peers are asked who reads there.
            professions: String::new(),
            status: "confirmed".to_owned(),
            confirmed_by: "医療連携室".to_owned(),
        };
        self.people()
            .flat_map(|person| PEERS.map(|(name, _, _)| channel(&person, name)))
            .collect()
    }
}

fn team_id(peer: &str, person: &Person) -> String {
    let prefix = PEERS
        .iter()
        .find(|(name, _, _)| *name == peer)
        .map_or("", |(_, _, prefix)| prefix);
    format!("{prefix}{}", person.local_id)
}

fn team(peer: &str, person: &Person) -> Team {
    let member = |user: &str, display: &str, facility: &str, profession: &str| Member {
        user_ref: user.to_owned(),
        display: display.to_owned(),
        facility_id: facility.to_owned(),
        professions: vec![profession.to_owned()],
    };
    Team {
        id: team_id(peer, person),
        kind: GroupKind::Professional,
        status: GroupStatus::Active,
        host_facility_id: HOSPITAL.to_owned(),
        patient_id: String::new(),
        consent: true,
        patient: Some(PatientHeader::of(person)),
        members: vec![
            member(ACCOUNT, "連携システム", HOSPITAL, "medical-clerk"),
            member("u-doctor", "高橋 健一", "1312222222", "doctor"),
            member("u-nurse", "坂本 花", "1362345678", "nurse"),
        ],
        updated_at: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_a_configuration_that_can_be_used() {
        let folder = tempfile::tempdir().unwrap();
        let district = District {
            first_person: 100_001,
            patients: 3,
        };
        let wiring = Wiring::on_ports(20_000).unwrap();
        district.write(folder.path(), &wiring).unwrap();
        let checked = crate::config::Checked::read(&folder.path().join("renkei.toml"));
        assert_eq!(checked.unwrap().setup.sinks.len(), 3);
        let seed = std::fs::read_to_string(folder.path().join("ward.json")).unwrap();
        let seed: Seed = serde_json::from_str(&seed).unwrap();
        let channels: Vec<ChannelRow> =
            crate::demo::cast::read_csv(&folder.path().join("channels.csv")).unwrap();
        assert_eq!((seed.teams.len(), channels.len()), (3, 9));
        let ward = channels.iter().filter(|row| row.sink == "ward");
        for (team, row) in seed.teams.iter().zip(ward) {
            assert_eq!(
                (&team.id, &row.status),
                (&row.peer_ref, &"confirmed".to_owned())
            );
        }
        assert!(Wiring::on_ports(u16::MAX - 2).is_none());
    }
}
