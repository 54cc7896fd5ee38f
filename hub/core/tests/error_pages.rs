//! Every code an operator may see has a page in both languages, and no page is left over.
//!
//! A page that exists but helps nobody is not caught here; it is read by a person when it is written.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use renkei_core::Code;

fn pages() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ops/errors")
}

/// What stands under a heading, up to the next one.
fn section<'a>(page: &'a str, heading: &str) -> Option<&'a str> {
    let (_, rest) = page.split_once(&format!("\n{heading}\n"))?;
    let end = rest.find("\n#").unwrap_or(rest.len());
    Some(rest[..end].trim())
}

fn is_japanese(text: &str) -> bool {
    text.chars()
        .any(|character| matches!(character, 'ぁ'..='ヶ'))
}

/// Japanese names and samples may stand in an English sentence.
fn is_english(text: &str) -> bool {
    let letters = text.chars().filter(char::is_ascii_alphabetic).count();
    letters >= 10 && letters * 2 > text.chars().count()
}

/// Whether a part is written in its language.
type IsSaid = fn(&str) -> bool;

/// The parts of a page in the order they are read.
const PARTS: [(&str, IsSaid); 6] = [
    ("## 意味", is_japanese),
    ("## よくある原因", is_japanese),
    ("## すること", is_japanese),
    ("## Meaning", is_english),
    ("## Likely cause", is_english),
    ("## What to do", is_english),
];

#[test]
fn every_code_has_a_page_in_both_languages() {
    let mut wrong = Vec::new();
    for code in Code::ALL {
        let Ok(page) = std::fs::read_to_string(pages().join(format!("{code}.md"))) else {
            wrong.push(format!("{code}: no page ops/errors/{code}.md"));
            continue;
        };
        if !page.starts_with(&format!("# {code} ")) {
            wrong.push(format!("{code}: the title does not start with the code"));
        }
        for (heading, is_said) in PARTS {
            if !section(&page, heading).is_some_and(is_said) {
                wrong.push(format!(
                    "{code}: `{heading}` is missing or in another language"
                ));
            }
        }
        let places: Vec<_> = PARTS
            .iter()
            .map(|(heading, _)| page.find(heading))
            .collect();
        if !places.is_sorted() {
            wrong.push(format!("{code}: the parts are not in order"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_page_is_without_its_code() {
    let codes: BTreeSet<String> = Code::ALL.iter().map(|code| format!("{code}.md")).collect();
    let left_over: Vec<String> = std::fs::read_dir(pages())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name != "README.md" && !codes.contains(name))
        .collect();
    assert!(left_over.is_empty(), "{left_over:?}");
}
