//! What people are told: one notice per event of one person.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{ItemClass, Urgency};

/// The kinds of notice. Everything else is recorded and told only when a rule names its class.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum NoticeKind {
    /// 入院
    Admission,
    /// 退院予定
    DischargePlan,
    /// 退院
    Discharge,
    /// 転棟・転院
    Transfer,
    /// 文書到着
    Document,
    /// 警報
    Alert,
}

impl NoticeKind {
    /// Every kind.
    pub const ALL: &'static [Self] = &[
        Self::Admission,
        Self::DischargePlan,
        Self::Discharge,
        Self::Transfer,
        Self::Document,
        Self::Alert,
    ];
    /// The code as stored and printed.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Admission => "admission",
            Self::DischargePlan => "discharge-plan",
            Self::Discharge => "discharge",
            Self::Transfer => "transfer",
            Self::Document => "document",
            Self::Alert => "alert",
        }
    }
    /// Finds a kind by its code.
    pub fn find(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.code() == code)
    }
    /// The Japanese label that stands in the headline's brackets.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Admission => "入院",
            Self::DischargePlan => "退院予定",
            Self::Discharge => "退院",
            Self::Transfer => "転棟",
            Self::Document => "文書到着",
            Self::Alert => "警報",
        }
    }
    /// The item class that policy asks about for the event itself.
    pub const fn class(self) -> ItemClass {
        match self {
            Self::Admission => ItemClass::Admission,
            Self::DischargePlan | Self::Discharge => ItemClass::Discharge,
            Self::Transfer => ItemClass::Transfer,
            Self::Document => ItemClass::OtherDocument,
            Self::Alert => ItemClass::Alert,
        }
    }
}

/// Everything a notice may say, before the audience is applied. Structured, so that a reader's share
/// of it can be cut out; serializable, so that two versions can be compared. Holds no source path, no
/// message id, no resource version: its hash changes only when a reader would see a change.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeContent {
    /// What kind of event.
    pub kind: NoticeKind,
    /// How soon people must know.
    pub urgency: Urgency,
    /// The event was taken back: the notice tells the cancellation.
    pub cancelled: bool,
    /// Who speaks and how to reach them.
    pub speaker: Speaker,
    /// Whom it is about, as far as a post may say.
    pub patient: PatientLine,
    /// When it happened: `YYYY-MM-DD` or `YYYY-MM-DDTHH:MM`, Japan time.
    pub occurred: String,
    /// The planned date of a discharge, same forms.
    pub planned: Option<String>,
    /// Ward or room as the hospital names it, in words.
    pub place: Option<String>,
    /// Department in words.
    pub department: Option<String>,
    /// Where the patient goes, in words (`自宅（訪問看護あり）`), from HL7 table 0112.
    pub destination: Option<String>,
    /// Discharge or current prescription; `None` = nothing was sent.
    pub medication: Option<Medication>,
    /// Allergies.
    pub allergies: Allergies,
    /// Diagnoses to show: neither suspected, ended nor claim-only; main one first.
    pub problems: Vec<Problem>,
    /// Rows the laboratory itself flagged.
    pub labs: Vec<LabRow>,
    /// Documents that came with the event.
    pub documents: Vec<Document>,
    /// What the source's own alarm says, for kind `Alert`.
    pub alarm: Option<String>,
}

impl NoticeContent {
    /// SHA-256 of the visible content: its canonical JSON.
    ///
    /// # Errors
    /// None in practice: the type has no map with non-text keys; the result is typed for honesty.
    pub fn hash(&self) -> Result<[u8; 32], serde_json::Error> {
        Ok(Sha256::digest(serde_json::to_vec(self)?).into())
    }
}

impl std::fmt::Debug for NoticeContent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NoticeContent({})", self.kind.code())
    }
}

/// The facility that speaks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Speaker {
    /// Its name as readers know it.
    pub facility: String,
    /// The office to ask: `医療連携室`.
    pub desk: String,
    /// Its phone.
    pub phone: String,
    /// When it answers: `平日9–17時`.
    pub hours: String,
}

/// Whom a notice is about: never full name, birth date or address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PatientLine {
    /// Family name in katakana; empty when not sent.
    pub family_kana: String,
    /// Age in full years at the event; `None` when the birth date is unknown.
    pub age: Option<u16>,
    /// 男性, 女性 or empty.
    pub sex: String,
}

/// A prescription as told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Medication {
    /// The lines in the order of the prescription.
    pub drugs: Vec<Drug>,
    /// What the list is: 退院処方, 入院処方, 処方.
    pub label: String,
    /// Whether it could be compared with an earlier list of the same facility.
    pub comparison: Comparison,
}

/// Comparison with the list before, only when both come from one facility.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Comparison {
    /// No earlier list of this facility: 「比較なし」.
    None,
    /// Compared; drug names per change.
    With {
        /// 新規
        added: Vec<String>,
        /// 中止
        stopped: Vec<String>,
        /// 変更
        changed: Vec<String>,
    },
}

/// One drug as sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drug {
    /// Name as sent.
    pub name: String,
    /// Dose as sent, with unit (`1錠`); empty when not expressible.
    pub dose: String,
    /// 用法 in words.
    pub usage: String,
    /// 日数 or 回数 in words (`14日分`); empty when not sent.
    pub duration: String,
}

/// What is known of allergies. Absence is never "none".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Allergies {
    /// Nothing was sent: 「アレルギー：情報なし」.
    Unknown,
    /// The source itself says there are none.
    StatedNone,
    /// These.
    Known(Vec<String>),
}

/// One diagnosis.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Name as sent.
    pub name: String,
    /// 主病名.
    pub main: bool,
}

/// One flagged laboratory row, everything as sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabRow {
    /// Item name.
    pub name: String,
    /// Value as written.
    pub value: String,
    /// Unit as written.
    pub unit: String,
    /// The laboratory's flag in words or letters as readers know them: `H`, `L`, `高`, `低`.
    pub flag: String,
    /// Reference range as written; empty when not sent.
    pub range: String,
    /// `YYYY-MM-DD` of collection.
    pub date: String,
    /// The value before, with its date, when there is one.
    pub previous: Option<String>,
}

/// One document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// Its class: decides who may get it.
    pub class: ItemClass,
    /// Title in words.
    pub title: String,
    /// `YYYY-MM-DD`.
    pub date: String,
    /// Media type of the original.
    pub media_type: String,
    /// Lower-case hex SHA-256 of the original bytes in the blob store.
    pub sha256: String,
    /// Size in bytes.
    pub size: u64,
}

/// How much of a class a reader may see.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// Nothing.
    None,
    /// Summary or subset: that it exists, counts, headlines.
    Summary,
    /// Everything.
    Full,
}

/// What the readers of one channel may see, per class: the least-privileged member decides.
/// A class that is absent is [`Form::None`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Disclosure(pub BTreeMap<ItemClass, Form>);

impl Disclosure {
    /// How much of `class` may be seen.
    pub fn of(&self, class: ItemClass) -> Form {
        self.0.get(&class).copied().unwrap_or(Form::None)
    }
    /// A short stable text of the forms, part of a delivery's identity.
    pub fn key(&self) -> String {
        let mut key = String::new();
        for (class, form) in self.0.iter().filter(|(_, form)| **form != Form::None) {
            key.push_str(class.code());
            key.push(if *form == Form::Full { 'F' } else { 'S' });
        }
        key
    }
}
