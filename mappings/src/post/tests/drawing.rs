//! The sheet as PDF. The font is made here: every character of Japanese text is the same square, so
//! that the tests need no installed font and widths are known.

use renkei_core::delivery::{Sheet, SheetSection};

use crate::post::font::{Font, FontError};
use crate::post::layout::{pages, wrap};
use crate::post::pdf::pdf;

/// Glyph 1 for ASCII (half an em wide), glyph 2 for everything from U+2000 to U+FFEF (one em).
fn square_font() -> Vec<u8> {
    let words = |words: &[u16]| {
        words
            .iter()
            .flat_map(|w| w.to_be_bytes())
            .collect::<Vec<u8>>()
    };
    let longs = |longs: &[u32]| {
        longs
            .iter()
            .flat_map(|l| l.to_be_bytes())
            .collect::<Vec<u8>>()
    };
    let square: Vec<u8> = [
        words(&[1, 50, 0, 450, 800, 3, 0]),
        vec![1, 1, 1, 1],
        words(&[50, 0, 400, 0, 0, 800, 0, 800_u16.wrapping_neg()]),
    ]
    .concat();
    // Format 13 would map a range to one glyph; format 12 counts up, so one group per character.
    let characters = (0x20..0x7F_u32)
        .map(|c| (c, 1))
        .chain((0x2000..0xD800).map(|c| (c, 2)));
    let characters: Vec<(u32, u32)> = characters.chain((0xF900..0xFFF0).map(|c| (c, 2))).collect();
    let count = u32::try_from(characters.len()).unwrap();
    let groups: Vec<u8> = characters
        .iter()
        .flat_map(|(c, glyph)| longs(&[*c, *c, *glyph]))
        .collect();
    let cmap = [
        words(&[0, 1, 3, 10]),
        longs(&[12]),
        words(&[12, 0]),
        longs(&[16 + count * 12, 0, count]),
        groups,
    ]
    .concat();
    let size = u16::try_from(square.len()).unwrap();
    let head = [
        longs(&[0x0001_0000, 0x0001_0000, 0, 0x5F0F_3CF5]),
        words(&[0, 1000]),
        longs(&[0, 0, 0, 0]),
        words(&[0, 0, 1000, 1000, 0, 8, 2, 0, 0]),
    ]
    .concat();
    let hhea = [
        longs(&[0x0001_0000]),
        words(&[880, 120_u16.wrapping_neg(), 0, 1000]),
        words(&[0; 11]),
        words(&[3]),
    ]
    .concat();
    let maxp = [
        longs(&[0x0001_0000]),
        words(&[3, 4, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]),
    ]
    .concat();
    let tables: Vec<(&[u8; 4], Vec<u8>)> = vec![
        (b"cmap", cmap),
        (b"glyf", [square.clone(), square].concat()),
        (b"head", head),
        (b"hhea", hhea),
        (b"hmtx", words(&[1000, 0, 500, 0, 1000, 0])),
        (b"loca", words(&[0, 0, size / 2, size])),
        (b"maxp", maxp),
    ];
    let mut directory = [
        longs(&[0x0001_0000]),
        words(&[u16::try_from(tables.len()).unwrap(), 64, 2, 48]),
    ]
    .concat();
    let mut body = Vec::new();
    let start = 12 + tables.len() * 16;
    for (tag, table) in &tables {
        directory.extend(*tag);
        let at = u32::try_from(start + body.len()).unwrap();
        directory.extend(longs(&[0, at, u32::try_from(table.len()).unwrap()]));
        body.extend(table);
        body.resize(body.len().next_multiple_of(4), 0);
    }
    [directory, body].concat()
}

fn font() -> Font {
    Font::load(square_font(), 0).unwrap()
}

fn long_sheet() -> Sheet {
    let row = |at: usize| {
        vec![
            format!("{at}番目の薬剤「架空」"),
            "1錠".to_owned(),
            "1日3回毎食後、むせるときは".repeat(4),
        ]
    };
    let mut rows = vec![vec![
        "薬剤名".to_owned(),
        "用量".to_owned(),
        "用法".to_owned(),
    ]];
    rows.extend((0..60).map(row));
    Sheet {
        title: "退院時情報シート".to_owned(),
        subtitle: "架空総合病院　ヤマモト様".to_owned(),
        sections: vec![
            SheetSection {
                heading: "処方".to_owned(),
                rows,
            },
            SheetSection {
                heading: "病名".to_owned(),
                rows: vec![vec!["高血圧症".to_owned()]],
            },
        ],
        foot: vec!["診療録ではありません".to_owned()],
    }
}

#[test]
fn the_same_sheet_gives_the_same_bytes_and_names_no_patient() {
    let bytes = pdf(&long_sheet(), &font()).unwrap();
    assert!(bytes.starts_with(b"%PDF-"));
    assert_eq!(bytes, pdf(&long_sheet(), &font()).unwrap());
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.contains("/Lang(ja)") || text.contains("/Lang (ja)"));
    assert!(!text.contains("CreationDate"));
    assert!(!text.contains("ヤマモト"));
}

#[test]
fn a_long_table_goes_on_with_its_header_and_nothing_leaves_the_page() {
    let pages = pages(&long_sheet(), &font());
    assert!(pages.len() > 2);
    for (at, page) in pages.iter().enumerate() {
        let has = |text: &str| page.lines.iter().any(|line| line.text == text);
        assert!(
            has("薬剤名") && has("診療録ではありません"),
            "page {}",
            at + 1
        );
        assert!(has(&format!("{}/{}", at + 1, pages.len())));
        for line in &page.lines {
            let right = line.x + font().width(&line.text) * line.size;
            assert!(
                right <= 595.28 - 47.0 && line.y < 841.89 - 20.0,
                "{}",
                line.text
            );
        }
    }
    let all: String = pages
        .iter()
        .flat_map(|page| &page.lines)
        .map(|line| line.text.as_str())
        .collect();
    assert!((0..60).all(|at| all.contains(&format!("{at}番目の薬剤"))));
}

#[test]
fn lines_break_where_japanese_allows() {
    let font = font();
    // Ten ems: five characters of ten points fill fifty points.
    let broken = |text: &str| wrap(text, 50.0, 10.0, &font);
    assert_eq!(broken("あいうえおかき"), ["あいうえお", "かき"]);
    assert_eq!(broken("あいうえお。か"), ["あいうえ", "お。か"]);
    assert_eq!(broken("あいうえ（おか）"), ["あいうえ", "（おか）"]);
    assert_eq!(broken("あいうabcd"), ["あいうabcd"]);
    assert_eq!(broken("あいうabcdef"), ["あいう", "abcdef"]);
    assert_eq!(broken("abcdefghijklm"), ["abcdefghij", "klm"]);
    assert_eq!(broken("。。。。。。。"), ["。。。。。", "。。"]);
    assert!(broken("").is_empty());
}

#[test]
fn what_is_no_japanese_font_is_refused() {
    assert_eq!(
        Font::load(Vec::new(), 0).unwrap_err(),
        FontError::Unreadable
    );
    assert_eq!(
        Font::load(square_font(), 1).unwrap_err(),
        FontError::Unreadable
    );
    let whole = square_font();
    for length in (0..2000).chain(whole.len() - 400..whole.len()) {
        // Cut anywhere: refused or usable, never a panic.
        let _ = Font::load(whole[..length].to_vec(), 0);
    }
    let mut latin = whole;
    let cmap = latin.windows(4).position(|bytes| bytes == b"cmap").unwrap();
    latin[cmap] = b'x';
    assert_eq!(Font::load(latin, 0).unwrap_err(), FontError::Table("cmap"));
}
