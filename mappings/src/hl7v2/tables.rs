//! Tables of HL7 v2.5 and SS-MIX2 whose Japanese words people are shown.

/// Where a patient goes on discharge (HL7 table 0112, Japanese use).
pub(crate) fn discharge_disposition(code: &str) -> Option<&'static str> {
    Some(match code {
        "01" | "1" => "自宅",
        "02" | "2" => "他院",
        "03" | "3" => "介護老人保健施設・療養施設",
        "04" | "4" => "介護施設",
        "05" | "5" => "他の施設",
        "06" | "6" => "自宅（訪問看護あり）",
        "07" | "7" => "自己退院",
        "08" | "8" => "自宅（在宅点滴あり）",
        "09" | "9" => "当院に再入院",
        "20" => "死亡退院",
        "30" => "入院継続",
        "40" => "自宅で死亡",
        "41" => "施設で死亡",
        "42" => "死亡（場所不明）",
        _ => return None,
    })
}

/// Whether a discharge disposition means death (rules: 20, 40 to 42).
pub(crate) fn is_death(code: &str) -> bool {
    matches!(code, "20" | "40" | "41" | "42")
}

/// Departments (SS-MIX2 unified table 1.0 on HL7 table 0069). Three-character codes refine the two-character
/// one they begin with.
pub(crate) fn department(code: &str) -> Option<&'static str> {
    let name = |code: &str| {
        DEPARTMENTS
            .binary_search_by(|(known, _)| (*known).cmp(code))
            .ok()
            .map(|at| DEPARTMENTS[at].1)
    };
    name(code).or_else(|| name(code.get(..2).filter(|_| code.len() == 3)?))
}

/// In the order of their codes.
const DEPARTMENTS: &[(&str, &str)] = &[
    ("01", "内科"),
    ("02", "精神科"),
    ("03", "神経科"),
    ("04", "神経内科"),
    ("05", "呼吸器科"),
    ("06", "消化器科"),
    ("07", "胃腸科"),
    ("08", "循環器科"),
    ("09", "小児科"),
    ("10", "外科"),
    ("11", "整形外科"),
    ("12", "形成外科"),
    ("13", "美容外科"),
    ("14", "脳神経外科"),
    ("15", "呼吸器外科"),
    ("16", "心臓血管外科"),
    ("17", "小児外科"),
    ("18", "皮膚泌尿器科"),
    ("19", "皮膚科"),
    ("20", "泌尿器科"),
    ("21", "性病科"),
    ("22", "肛門科"),
    ("23", "産婦人科"),
    ("24", "産科"),
    ("25", "婦人科"),
    ("26", "眼科"),
    ("27", "耳鼻咽喉科"),
    ("28", "気管食道科"),
    ("30", "放射線科"),
    ("31", "麻酔科"),
    ("33", "心療内科"),
    ("34", "アレルギー科"),
    ("35", "リウマチ科"),
    ("36", "リハビリテーション科"),
    ("37", "病理診断科"),
    ("38", "臨床検査科"),
    ("39", "救急科"),
    ("40", "遺伝診療科"),
    ("41", "血液内科"),
    ("42", "血液腫瘍科"),
    ("43", "透析科"),
    ("44", "健診科"),
    ("45", "呼吸器内科"),
    ("46", "在宅診療科"),
    ("47", "腫瘍科"),
    ("48", "腎臓内科"),
    ("49", "睡眠科"),
    ("50", "精神神経科"),
    ("51", "総合診療科"),
    ("52", "内視鏡科"),
    ("53", "内分泌代謝科"),
    ("54", "膠原病科"),
    ("70", "消化器内科"),
    ("71", "内分泌科"),
    ("72", "代謝科"),
    ("73", "糖尿病科"),
    ("74", "腎臓内分泌科"),
    ("75", "感染症科"),
    ("76", "漢方科"),
    ("77", "老年科"),
    ("78", "血管外科"),
    ("79", "血管内科"),
    ("80", "肝胆膵外科"),
    ("81", "移植外科"),
    ("82", "乳腺外科"),
    ("83", "緩和ケア科"),
    ("84", "ICU"),
    ("8J", "地域医療連携部"),
    ("90", "歯科"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn departments_are_found_by_their_first_two_characters() {
        assert!(DEPARTMENTS.is_sorted());
        assert_eq!(department("46"), Some("在宅診療科"));
        assert_eq!(department("013"), Some("内科"));
        assert_eq!(department("99"), None);
        assert_eq!(department("内科"), None);
    }
}
