//! Who plays: facilities, six invented patients, their teams at the peers, their consent forms and
//! channels. Everything else (what is posted, held, read) is computed.

use std::path::Path;

use jiff::civil::Date;
use renkei_core::{FacilityId, LocalId};
use renkei_sim::hospital::{Person, Sex};
use renkei_sim::{Client, GroupKind, GroupStatus, Member, PatientHeader, Seed, Team};

use super::config::{CLIENT, CLIENT_SECRET, Facility};
use super::stage::{PeerPlan, System};
use crate::store::operator::{ChannelRow, ConsentRow};

/// The hospital's number.
pub const HOSPITAL: &str = "1311234567";
/// The hospital's system account at every peer.
pub const ACCOUNT: &str = "renkei-hospital";
/// バイタルリンク of the clinic in Shinjuku.
pub const CLINIC_LINK: &str = "vl-shinjuku";
/// バイタルリンク of the care manager in Suginami.
pub const CARE_LINK: &str = "vl-suginami";
/// Nakano's own system, where the visiting nurses read.
pub const NURSES_WARD: &str = "ward-nakano";
/// MCS, where the pharmacy reads.
pub const PHARMACY_MCS: &str = "mcs";

/// Every facility of the story.
pub const FACILITIES: [Facility; 6] = [
    facility(HOSPITAL, "架空総合病院", "hospital", "suginami"),
    facility("1312222222", "架空在宅クリニック", "clinic", "shinjuku"),
    facility(
        "1362345678",
        "架空訪問看護ステーション",
        "visit-nurse-station",
        "nakano",
    ),
    facility(
        "1373456789",
        "架空居宅介護支援事業所",
        "care-management-office",
        "suginami",
    ),
    facility("1344567890", "架空薬局", "pharmacy", "nakano"),
    facility(
        "1375678901",
        "架空ヘルパーステーション",
        "home-help",
        "nakano",
    ),
];

const fn facility(
    number: &'static str,
    name: &'static str,
    class: &'static str,
    district: &'static str,
) -> Facility {
    Facility {
        number,
        name,
        class,
        district,
    }
}

/// One reader: account, name, facility, profession code and its word.
struct Reader(
    &'static str,
    &'static str,
    usize,
    &'static str,
    &'static str,
);

const DOCTOR: Reader = Reader("u-doctor", "高橋 健一", 1, "doctor", "医師");
const NURSE: Reader = Reader("u-nurse", "坂本 花", 2, "nurse", "看護師");
const CARE_MANAGER: Reader = Reader(
    "u-care-manager",
    "松本 桂",
    3,
    "care-manager",
    "ケアマネジャー",
);
const PHARMACIST: Reader = Reader("u-pharmacist", "渡辺 薫", 4, "pharmacist", "薬剤師");
const HELPER: Reader = Reader("u-helper", "石本 進", 5, "helper", "ヘルパー");
const SYSTEM: Reader = Reader(
    ACCOUNT,
    "架空総合病院 連携システム",
    0,
    "medical-clerk",
    "医療事務",
);

impl Reader {
    fn member(&self) -> Member {
        Member {
            user_ref: self.0.to_owned(),
            display: self.1.to_owned(),
            facility_id: FACILITIES[self.2].number.to_owned(),
            professions: vec![self.3.to_owned()],
        }
    }
}

/// A reader in words: `高橋 健一（医師・架空在宅クリニック）`; the hospital's own account is nobody's eyes.
pub fn in_words(member: &Member) -> Option<String> {
    if member.user_ref == ACCOUNT {
        return None;
    }
    let all = [&DOCTOR, &NURSE, &CARE_MANAGER, &PHARMACIST, &HELPER];
    let reader = all.into_iter().find(|reader| reader.0 == member.user_ref)?;
    Some(format!(
        "{}（{}・{}）",
        reader.1, reader.4, FACILITIES[reader.2].name
    ))
}

/// One patient of the story.
#[derive(Debug, Clone)]
pub struct Patient {
    /// The letter the story calls the patient by.
    pub letter: &'static str,
    /// As the hospital knows the patient.
    pub person: Person,
    /// Whether a consent form is on file.
    pub consented: bool,
    /// Peer, group or room, and whose number the channel goes by (W1: the ward's own).
    places: Vec<Place>,
}

#[derive(Debug, Clone)]
struct Place {
    peer: &'static str,
    id: String,
    kind: GroupKind,
    readers: Vec<&'static Reader>,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

/// Everyone, in the order of the letters.
#[derive(Debug, Clone)]
pub struct Cast(pub Vec<Patient>);

impl Cast {
    /// The six patients.
    pub fn new() -> Self {
        let professional = GroupKind::Professional;
        let a = patient(
            "A",
            3456,
            ("山本", "ヤマモト", "京子", "キョウコ"),
            Sex::Female,
            Date::constant(1939, 2, 15),
            true,
        )
        .at(CLINIC_LINK, "room-s-a", professional, &[&DOCTOR])
        .at(CARE_LINK, "room-g-a", professional, &[&CARE_MANAGER])
        .at(NURSES_WARD, "NK000731", professional, &[&NURSE])
        .at(PHARMACY_MCS, "g-a", professional, &[&PHARMACIST, &HELPER])
        .at(
            PHARMACY_MCS,
            "g-a-direct",
            GroupKind::Direct,
            &[&PHARMACIST],
        );
        let b = patient(
            "B",
            2002,
            ("松本", "マツモト", "一郎", "イチロウ"),
            Sex::Male,
            Date::constant(1944, 5, 20),
            false,
        )
        .at(PHARMACY_MCS, "g-b", professional, &[&PHARMACIST, &HELPER]);
        let c = patient(
            "C",
            3003,
            ("山元", "ヤマモト", "恭子", "キョウコ"),
            Sex::Female,
            Date::constant(1939, 2, 16),
            true,
        )
        .at(CLINIC_LINK, "room-s-c", professional, &[&DOCTOR]);
        let d = patient(
            "D",
            4004,
            ("石川", "イシカワ", "進", "ススム"),
            Sex::Male,
            Date::constant(1931, 11, 3),
            true,
        )
        .at(CLINIC_LINK, "room-s-d", professional, &[&DOCTOR]);
        let e = patient(
            "E",
            5005,
            ("坂本", "サカモト", "葉菜", "ハナ"),
            Sex::Female,
            Date::constant(1948, 8, 8),
            true,
        )
        .at(PHARMACY_MCS, "g-e", professional, &[&PHARMACIST, &HELPER]);
        let f = patient(
            "F",
            6006,
            ("能登", "ノト", "桂", "カツラ"),
            Sex::Male,
            Date::constant(1942, 3, 21),
            true,
        )
        .at(CLINIC_LINK, "room-s-f", professional, &[&DOCTOR])
        .at(CARE_LINK, "room-g-f", professional, &[&CARE_MANAGER]);
        Self(vec![a, b, c, d, e, f])
    }

    /// The patient of a letter.
    ///
    /// # Errors
    /// When nobody has it.
    pub fn patient(&self, letter: &str) -> anyhow::Result<&Patient> {
        let found = self.0.iter().find(|patient| patient.letter == letter);
        found.ok_or_else(|| anyhow::anyhow!("no patient {letter}"))
    }

    /// The patients, as the intake gate knows them.
    ///
    /// # Errors
    /// When a number is none.
    pub fn enrolled(&self) -> anyhow::Result<Vec<(FacilityId, LocalId)>> {
        let facility = FacilityId::new(HOSPITAL)?;
        let pair = |patient: &Patient| (facility.clone(), LocalId::new(&patient.person.local_id));
        Ok(self.0.iter().map(pair).collect())
    }

    /// The peers with everybody in their groups and rooms.
    pub fn peers(&self) -> Vec<PeerPlan> {
        let systems = [
            (CLINIC_LINK, System::VitalLink),
            (CARE_LINK, System::VitalLink),
            (PHARMACY_MCS, System::Mcs),
            (NURSES_WARD, System::Ward),
        ];
        let plan = |(name, system)| PeerPlan {
            name,
            system,
            seed: self.seed(name),
        };
        systems.into_iter().map(plan).collect()
    }

    fn seed(&self, peer: &str) -> Seed {
        let client = Client {
            id: CLIENT.to_owned(),
            secret: CLIENT_SECRET.to_owned(),
            facility_id: HOSPITAL.to_owned(),
            scopes: None,
            agreement: true,
            webhook: None,
        };
        let directory = FACILITIES.iter().map(|facility| renkei_sim::Facility {
            facility_id: facility.number.to_owned(),
            name: facility.name.to_owned(),
            facility_type: facility.class.to_owned(),
            admin: None,
            updated_at: String::new(),
        });
        let teams = self.0.iter().flat_map(|patient| {
            let places = patient.places.iter().filter(|place| place.peer == peer);
            places.map(|place| place.team(patient))
        });
        Seed {
            replace: false,
            clients: vec![client],
            facilities: directory.collect(),
            teams: teams.collect(),
        }
    }

    /// The consent forms.
    pub fn consents(&self, signed: Date) -> Vec<ConsentRow> {
        let signing = self.0.iter().filter(|patient| patient.consented);
        signing.map(|patient| patient.consent(signed)).collect()
    }

    /// The channels, as the host office links them.
    pub fn channels(&self) -> Vec<ChannelRow> {
        let rows = self
            .0
            .iter()
            .flat_map(|patient| patient.places.iter().map(|place| place.channel(patient)));
        rows.collect()
    }
}

impl Default for Cast {
    fn default() -> Self {
        Self::new()
    }
}

/// Writes rows as the CSV file an operator would import.
///
/// # Errors
/// As the file system says.
pub fn write_csv<T: serde::Serialize>(path: &Path, rows: &[T]) -> anyhow::Result<()> {
    let mut writer = csv::Writer::from_path(path)?;
    for row in rows {
        writer.serialize(row)?;
    }
    Ok(writer.flush()?)
}

/// Reads them back, as the import does.
///
/// # Errors
/// When a row is not of this form.
pub fn read_csv<T: serde::de::DeserializeOwned>(path: &Path) -> anyhow::Result<Vec<T>> {
    let mut reader = csv::Reader::from_path(path)?;
    let rows: Result<Vec<T>, csv::Error> = reader.deserialize().collect();
    Ok(rows?)
}

fn patient(
    letter: &'static str,
    number: u64,
    name: (&str, &str, &str, &str),
    sex: Sex,
    birth: Date,
    consented: bool,
) -> Patient {
    let own = str::to_owned;
    let person = Person {
        family: own(name.0),
        kana_family: own(name.1),
        given: own(name.2),
        kana_given: own(name.3),
        sex,
        birth,
        ..Person::synthetic(number)
    };
    Patient {
        letter,
        person,
        consented,
        places: Vec::new(),
    }
}

impl Patient {
    fn at(
        mut self,
        peer: &'static str,
        id: &str,
        kind: GroupKind,
        readers: &[&'static Reader],
    ) -> Self {
        self.places.push(Place {
            peer,
            id: id.to_owned(),
            kind,
            readers: readers.to_vec(),
        });
        self
    }

    /// `A ヤマモト様`.
    pub fn called(&self) -> String {
        format!("{} {}様", self.letter, self.person.kana_family)
    }

    /// The header of the patient's groups.
    pub fn header(&self) -> PatientHeader {
        PatientHeader::of(&self.person)
    }

    fn consent(&self, signed: Date) -> ConsentRow {
        let mut recipients: Vec<String> = Vec::new();
        for place in &self.places {
            let recipient = format!("sink:{}", place.peer);
            if !recipients.contains(&recipient) {
                recipients.push(recipient);
            }
        }
        ConsentRow {
            facility: HOSPITAL.to_owned(),
            local_id: self.person.local_id.clone(),
            kana: self.person.kana(),
            birth_date: self.person.birth.to_string(),
            form_id: format!("DEMO-{}", self.letter),
            form_version: "1".to_owned(),
            signed_on: signed.to_string(),
            signer: "本人".to_owned(),
            recipients: recipients.join("|"),
            items: "*".to_owned(),
            purpose: "在宅療養の連携".to_owned(),
            valid_from: signed.to_string(),
            ..ConsentRow::default()
        }
    }
}

impl Place {
    fn team(&self, patient: &Patient) -> Team {
        let mut header = patient.header();
        if self.peer == NURSES_WARD {
            header.local_id.clone_from(&self.id);
        }
        let readers = self.readers.iter().copied().chain([&SYSTEM]);
        Team {
            id: self.id.clone(),
            kind: self.kind,
            status: GroupStatus::Active,
            host_facility_id: HOSPITAL.to_owned(),
            patient_id: String::new(),
            consent: true,
            patient: Some(header),
            members: readers.map(Reader::member).collect(),
            updated_at: String::new(),
        }
    }

    fn channel(&self, patient: &Patient) -> ChannelRow {
        let header = patient.header();
        let professions = self
            .readers
            .iter()
            .map(|reader| format!("{}@{}", reader.3, FACILITIES[reader.2].number));
        let declared: Vec<String> = professions.filter(|_| self.peer == NURSES_WARD).collect();
        ChannelRow {
            facility: HOSPITAL.to_owned(),
            local_id: header.local_id,
            sink: self.peer.to_owned(),
            peer_ref: self.id.clone(),
            kind: if self.kind == GroupKind::Direct {
                "direct"
            } else {
                "professional"
            }
            .to_owned(),
            host_facility: HOSPITAL.to_owned(),
            kana: header.kana,
            birth_date: header.birth_date,
            sex: header.sex,
            professions: declared.join("|"),
            status: "confirmed".to_owned(),
            confirmed_by: "医療連携室".to_owned(),
        }
    }
}
