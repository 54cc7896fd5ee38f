//! What an operator writes about keeping: `[retention]`.
//!
//! The floors are the law's: records of treatment five years (医師法第24条, 療担規則第9条), records of what
//! was disclosed to third parties three (個人情報保護法施行規則).

use renkei_core::Code;
use schemars::JsonSchema;
use serde::Deserialize;

/// Days records of treatment are kept at least.
const CLINICAL_DAYS: u32 = 1_825;
/// Days records of disclosure are kept at least.
const DISCLOSURE_DAYS: u32 = 1_095;
/// Hours a file may have been stored before the row that names it is written.
const UNNAMED_HOURS: u32 = 24;

/// How long things are kept. FHIR resources with all their versions, original documents, notices, posts,
/// decisions and the lineage have no setting: they are always kept.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// Whether the hub removes anything by itself. Default: true.
    pub automatic: bool,
    /// Days the received bytes of a message are kept after it was processed; what was read from them stays.
    /// Waiting, parked and failed messages keep theirs. At least 7. Default: 90.
    pub raw_bodies_days: u32,
    /// The same for messages of a type that is recorded but not read (RNK-HL7-002): the bytes are all
    /// there is. At least 1825. Default: 1825.
    pub unread_bodies_days: u32,
    /// Days the sheets (PDF) and the attempts of an ended delivery are kept; that and what it told stays.
    /// At least 1095. Default: 1825.
    pub deliveries_days: u32,
    /// Hours a stored file is kept that nothing names. At least 24. Default: 24.
    pub unnamed_blobs_hours: u32,
    /// Days lines of the audit are kept. At least 1095. Default: 1825.
    pub audit_days: u32,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            automatic: true,
            raw_bodies_days: 90,
            unread_bodies_days: CLINICAL_DAYS,
            deliveries_days: CLINICAL_DAYS,
            unnamed_blobs_hours: UNNAMED_HOURS,
            audit_days: CLINICAL_DAYS,
        }
    }
}

impl Retention {
    /// Everything that is wrong with it: the code, the field below `retention`, and the reason.
    pub fn problems(&self) -> Vec<(Code, &'static str, String)> {
        let least = [
            ("raw_bodies_days", self.raw_bodies_days, 7),
            ("unread_bodies_days", self.unread_bodies_days, CLINICAL_DAYS),
            ("deliveries_days", self.deliveries_days, DISCLOSURE_DAYS),
            (
                "unnamed_blobs_hours",
                self.unnamed_blobs_hours,
                UNNAMED_HOURS,
            ),
            ("audit_days", self.audit_days, DISCLOSURE_DAYS),
        ];
        least
            .into_iter()
            .filter(|(_, set, least)| set < least)
            .map(|(field, set, least)| {
                let reason = format!("{set} is too short: at least {least}");
                (Code::CFG_INVALID, field, reason)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_kept_shorter_than_the_law_says() {
        assert_eq!(Retention::default().problems(), []);
        let hasty: Retention = toml::from_str(
            "raw_bodies_days = 6\nunread_bodies_days = 1824\ndeliveries_days = 1094\nunnamed_blobs_hours = 23\naudit_days = 1094",
        )
        .unwrap();
        let fields: Vec<&str> = hasty.problems().iter().map(|problem| problem.1).collect();
        assert_eq!(
            fields,
            [
                "raw_bodies_days",
                "unread_bodies_days",
                "deliveries_days",
                "unnamed_blobs_hours",
                "audit_days"
            ]
        );
    }
}
