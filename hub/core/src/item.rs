//! The unit policy judges. An ORU with 40 OBX is 41 resources but one item.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ResourceKey;

macro_rules! item_classes {
    ($($variant:ident $code:literal $ja:literal;)*) => {
        /// The closed list of item classes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        pub enum ItemClass {
            $(#[doc = $ja] #[serde(rename = $code)] $variant,)*
        }
        impl ItemClass {
            /// Every class.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];
            /// The code used in consents, rules and tables.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }
            /// The Japanese label.
            pub const fn label(self) -> &'static str {
                match self { $(Self::$variant => $ja,)* }
            }
            /// Finds a class by its code.
            pub fn find(code: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|class| class.code() == code)
            }
        }
    };
}

item_classes! {
    Demographics "demographics" "基本情報";
    Admission "admission" "入院";
    Transfer "transfer" "転棟・転院";
    Discharge "discharge" "退院";
    ProblemList "problem-list" "病名";
    Allergy "allergy" "アレルギー";
    Medication "medication" "処方";
    Injection "injection" "注射";
    Lab "lab" "検査";
    Microbiology "microbiology" "細菌検査";
    Vitals "vitals" "バイタル";
    Alert "alert" "警報";
    Order "order" "オーダ";
    ImagingReport "imaging-report" "画像報告";
    Nutrition "nutrition" "食事";
    DischargeSummary "document.discharge-summary" "退院時サマリー";
    Referral "document.referral" "診療情報提供書";
    NursingSummary "document.nursing-summary" "看護サマリー";
    VisitNote "document.visit-note" "診療記録";
    CarePlan "document.care-plan" "ケアプラン";
    NurseOrder "document.nurse-order" "訪問看護指示書";
    OtherDocument "document.other" "その他の文書";
    Post "post" "投稿";
    Bed "bed" "病床";
    Infection "infection" "感染症";
    Psychiatric "psychiatric" "精神科";
    Acp "acp" "人生会議";
}

impl ItemClass {
    /// Restricted classes need an explicit grant in the consent; `*` does not cover them.
    pub const fn is_restricted(self) -> bool {
        matches!(self, Self::Infection | Self::Psychiatric | Self::Acp)
    }
    /// Whether this is a document class.
    pub fn is_document(self) -> bool {
        self.code().starts_with("document.")
    }
}

/// How soon people must know.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Urgency {
    /// At once, with a phone hint.
    U0,
    /// The same day.
    U1,
    /// In the next digest.
    U2,
    /// Stored only.
    U3,
}

impl Urgency {
    /// `u0` to `u3`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::U0 => "u0",
            Self::U1 => "u1",
            Self::U2 => "u2",
            Self::U3 => "u3",
        }
    }
}

/// What happened, as far as people may be told about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ItemEvent {
    /// Admitted (A01).
    Admitted,
    /// The admission was a mistake (A11, or its storage key deleted).
    AdmissionCancelled,
    /// A discharge date is planned (A16).
    DischargePlanned,
    /// The planned discharge is off (A25).
    DischargePlanCancelled,
    /// Discharged (A03); `death` when PV1-36 is 20 or 40 to 42.
    Discharged {
        /// Ended by death: never told automatically.
        death: bool,
    },
    /// The discharge was a mistake (A13).
    DischargeCancelled,
    /// Moved to another ward, room or department (A02).
    Transferred,
    /// The move was a mistake (A12).
    TransferCancelled,
    /// A document arrived.
    DocumentArrived,
    /// The source's own alarm.
    Alarm,
    /// Something was recorded that is told only as a part of another event.
    Recorded,
}

/// One thing to share, or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Its class.
    pub class: ItemClass,
    /// What happened.
    pub event: ItemEvent,
    /// The resource it is about: the Encounter, the DiagnosticReport, the first MedicationRequest of an
    /// order, the DocumentReference.
    pub focus: ResourceKey,
    /// The other resources it consists of.
    pub members: Vec<ResourceKey>,
    /// When it happened outside, not when it was sent.
    pub occurred_at: Timestamp,
    /// How soon people must know.
    pub urgency: Urgency,
    /// Never told automatically, with the reason as a code (未告知, death, restricted content).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub never_automatic: Option<crate::Code>,
}
