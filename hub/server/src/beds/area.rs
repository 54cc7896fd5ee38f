//! The thirteen medical areas of Tokyo (二次保健医療圏) and their municipalities (東京都保健医療計画, 2024–2029).
//!
//! People look for a bed in their area, hospitals write their municipality. Called by [`super::view`].

/// An area with its municipalities: as they are written, and as district codes of a configuration.
type Area = (&'static str, &'static [(&'static str, &'static str)]);

const AREAS: [Area; 13] = [
    (
        "区中央部",
        &[
            ("千代田区", "chiyoda"),
            ("中央区", "chuo"),
            ("港区", "minato"),
            ("文京区", "bunkyo"),
            ("台東区", "taito"),
        ],
    ),
    ("区南部", &[("品川区", "shinagawa"), ("大田区", "ota")]),
    (
        "区西南部",
        &[
            ("目黒区", "meguro"),
            ("世田谷区", "setagaya"),
            ("渋谷区", "shibuya"),
        ],
    ),
    (
        "区西部",
        &[
            ("新宿区", "shinjuku"),
            ("中野区", "nakano"),
            ("杉並区", "suginami"),
        ],
    ),
    (
        "区西北部",
        &[
            ("豊島区", "toshima"),
            ("北区", "kita"),
            ("板橋区", "itabashi"),
            ("練馬区", "nerima"),
        ],
    ),
    (
        "区東北部",
        &[
            ("荒川区", "arakawa"),
            ("足立区", "adachi"),
            ("葛飾区", "katsushika"),
        ],
    ),
    (
        "区東部",
        &[
            ("墨田区", "sumida"),
            ("江東区", "koto"),
            ("江戸川区", "edogawa"),
        ],
    ),
    (
        "西多摩",
        &[
            ("青梅市", "ome"),
            ("福生市", "fussa"),
            ("羽村市", "hamura"),
            ("あきる野市", "akiruno"),
            ("瑞穂町", "mizuho"),
            ("日の出町", "hinode"),
            ("檜原村", "hinohara"),
            ("奥多摩町", "okutama"),
        ],
    ),
    (
        "南多摩",
        &[
            ("八王子市", "hachioji"),
            ("町田市", "machida"),
            ("日野市", "hino"),
            ("多摩市", "tama"),
            ("稲城市", "inagi"),
        ],
    ),
    (
        "北多摩西部",
        &[
            ("立川市", "tachikawa"),
            ("昭島市", "akishima"),
            ("国分寺市", "kokubunji"),
            ("国立市", "kunitachi"),
            ("東大和市", "higashiyamato"),
            ("武蔵村山市", "musashimurayama"),
        ],
    ),
    (
        "北多摩南部",
        &[
            ("武蔵野市", "musashino"),
            ("三鷹市", "mitaka"),
            ("府中市", "fuchu"),
            ("調布市", "chofu"),
            ("小金井市", "koganei"),
            ("狛江市", "komae"),
        ],
    ),
    (
        "北多摩北部",
        &[
            ("小平市", "kodaira"),
            ("東村山市", "higashimurayama"),
            ("清瀬市", "kiyose"),
            ("東久留米市", "higashikurume"),
            ("西東京市", "nishitokyo"),
        ],
    ),
    (
        "島しょ",
        &[
            ("大島町", "oshima"),
            ("利島村", "toshima-mura"),
            ("新島村", "niijima"),
            ("神津島村", "kozushima"),
            ("三宅村", "miyake"),
            ("御蔵島村", "mikurajima"),
            ("八丈町", "hachijo"),
            ("青ヶ島村", "aogashima"),
            ("小笠原村", "ogasawara"),
        ],
    ),
];

/// What stands before a municipality in an address.
const BEFORE: [&str; 4] = ["東京都", "西多摩郡", "三宅島", "八丈島"];

/// The medical area of a municipality, written as in an address or as a district code; empty when it is none
/// of Tokyo's.
pub fn of(municipality: &str) -> &'static str {
    let mut name = municipality.trim();
    for before in BEFORE {
        name = name.strip_prefix(before).unwrap_or(name);
    }
    let has = |(_, all): &&Area| {
        all.iter()
            .any(|(known, code)| *known == name || *code == name)
    };
    AREAS.iter().find(has).map_or("", |(area, _)| area)
}

/// The medical area that a word names, with or without 医療圏 behind it.
pub fn named(word: &str) -> Option<&'static str> {
    let name = ["二次保健医療圏", "二次医療圏", "保健医療圏", "医療圏"]
        .into_iter()
        .find_map(|ending| word.strip_suffix(ending))
        .unwrap_or(word);
    let mut areas = AREAS.iter();
    areas.find_map(|(area, _)| (*area == name).then_some(*area))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_municipality_is_in_one_area() {
        let all: Vec<_> = AREAS.iter().flat_map(|(_, all)| all.iter()).collect();
        assert_eq!(all.len(), 62, "23 wards, 26 cities, 5 towns, 8 villages");
        let names: BTreeSet<&str> = all.iter().flat_map(|(name, code)| [*name, *code]).collect();
        assert_eq!(names.len(), 2 * 62);
        for (area, all) in AREAS {
            assert_eq!(named(area), Some(area));
            for (name, code) in all {
                assert_eq!((of(name), of(code)), (area, area));
            }
        }
    }

    #[test]
    fn addresses_and_words_of_every_day_are_understood() {
        for (written, area) in [
            ("東京都杉並区", "区西部"),
            (" suginami ", "区西部"),
            ("東京都西多摩郡瑞穂町", "西多摩"),
            ("東京都三宅島三宅村", "島しょ"),
            ("八丈町", "島しょ"),
            ("横浜市", ""),
            ("", ""),
            ("東京都", ""),
        ] {
            assert_eq!(of(written), area, "{written}");
        }
        assert_eq!(named("区西部保健医療圏"), Some("区西部"));
        assert_eq!(named("北多摩南部医療圏"), Some("北多摩南部"));
        assert_eq!(named("杉並区"), None);
    }
}
