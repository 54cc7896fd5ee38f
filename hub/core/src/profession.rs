//! 職種: who reads. 44 codes in the order of the region's own statistics; a member may hold several.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! professions {
    ($($variant:ident $code:literal $ja:literal;)*) => {
        /// A profession.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        pub enum Profession {
            $(#[doc = $ja] #[serde(rename = $code)] $variant,)*
        }
        impl Profession {
            /// Every profession.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];
            /// The code used in imports, tables and contracts.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }
            /// The Japanese name.
            pub const fn label(self) -> &'static str {
                match self { $(Self::$variant => $ja,)* }
            }
        }
    };
}

professions! {
    Doctor "doctor" "医師";
    Dentist "dentist" "歯科医師";
    DentalHygienist "dental-hygienist" "歯科衛生士";
    Pharmacist "pharmacist" "薬剤師";
    Nurse "nurse" "看護師";
    AssistantNurse "assistant-nurse" "准看護師";
    CareManager "care-manager" "介護支援専門員";
    RegDietitian "reg-dietitian" "管理栄養士";
    Dietitian "dietitian" "栄養士";
    Pt "pt" "理学療法士";
    Ot "ot" "作業療法士";
    St "st" "言語聴覚士";
    Orthoptist "orthoptist" "視能訓練士";
    SocialWorker "social-worker" "社会福祉士";
    Psw "psw" "精神保健福祉士";
    CareWorker "care-worker" "介護福祉士";
    Helper "helper" "訪問介護員";
    Prosthetist "prosthetist" "義肢装具士";
    PublicHealthNurse "public-health-nurse" "保健師";
    Msw "msw" "医療ソーシャルワーカー";
    MedicalCoordinator "medical-coordinator" "医療コーディネーター";
    ConsultationSpecialist "consultation-specialist" "相談支援専門員";
    ClinicalPsychologist "clinical-psychologist" "臨床心理士";
    Radiographer "radiographer" "診療放射線技師";
    LabTechnologist "lab-technologist" "臨床検査技師";
    ClinicalEngineer "clinical-engineer" "臨床工学技士";
    Acupuncturist "acupuncturist" "はり師";
    Moxibustionist "moxibustionist" "きゅう師";
    Masseur "masseur" "あん摩マッサージ指圧師";
    JudoTherapist "judo-therapist" "柔道整復師";
    Midwife "midwife" "助産師";
    Paramedic "paramedic" "救急救命士";
    NursingAide "nursing-aide" "看護助手";
    FacilityStaff "facility-staff" "施設職員";
    DentalAssistant "dental-assistant" "歯科助手";
    DentalTechnician "dental-technician" "歯科技工士";
    HealthManager "health-manager" "衛生管理者";
    ChiefCareManager "chief-care-manager" "主任介護支援専門員";
    EquipmentAdviser "equipment-adviser" "福祉用具専門相談員";
    HealthInfoManager "health-info-manager" "診療情報管理士";
    MedicalClerk "medical-clerk" "医療事務";
    AssociationStaff "association-staff" "医師会職員";
    MunicipalStaff "municipal-staff" "地方自治体職員";
    OtherUnset "other-unset" "その他・未設定";
}

impl Profession {
    /// Finds a profession by its code; what is not known is [`Profession::OtherUnset`], the least
    /// privileged, never an error.
    pub fn of(code: &str) -> Self {
        Self::ALL
            .iter()
            .copied()
            .find(|profession| profession.code() == code)
            .unwrap_or(Self::OtherUnset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_44_and_the_unknown_is_least_privileged() {
        assert_eq!(Profession::ALL.len(), 44);
        assert_eq!(Profession::of("wizard"), Profession::OtherUnset);
        assert_eq!(Profession::of("pharmacist"), Profession::Pharmacist);
    }
}
