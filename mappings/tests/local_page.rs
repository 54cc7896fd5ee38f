//! `LANGUAGE.md` says what is true: its list of functions, its tutorial.

use renkei_mappings::local::{Mapping, Memory};

fn page() -> (std::path::PathBuf, String) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("LANGUAGE.md");
    let text = std::fs::read_to_string(&path).unwrap();
    (path, text)
}

#[test]
fn the_page_lists_every_function() {
    let (path, text) = page();
    let marker = "<!-- functions: generated";
    let (head, tail) = text.split_once(marker).unwrap();
    let line = tail.lines().next().unwrap();
    let expected = format!(
        "{head}{marker}{line}\n\n{}",
        renkei_mappings::local::functions_as_markdown()
    );
    if std::env::var_os("RENKEI_WRITE_SNAPSHOTS").is_some() {
        std::fs::write(path, &expected).unwrap();
        return;
    }
    assert_eq!(
        text, expected,
        "RENKEI_WRITE_SNAPSHOTS=1 cargo test -p renkei-mappings writes it"
    );
}

#[test]
fn the_tutorial_of_the_page_works_and_is_short() {
    let (_, text) = page();
    let block = |kind: &str| {
        let (_, rest) = text.split_once(&format!("```{kind}\n")).unwrap();
        rest.split_once("```").unwrap().0.to_owned()
    };
    let (mapping, table) = (block("yaml"), block("csv"));
    let (own, _) = mapping.split_once("tests:").unwrap();
    assert!(own.lines().count() < 40, "{} lines", own.lines().count());
    let mut library = Memory::default();
    library.tables.insert("local-jlac10".to_owned(), table);
    let mapping = Mapping::load("kitatama-lab.yaml", &mapping, &library)
        .unwrap_or_else(|problems| panic!("{problems}"));
    let outcomes = mapping.test(&library);
    assert_eq!(outcomes.len(), 1);
    for outcome in outcomes {
        let problems: Vec<String> = outcome.problems.iter().map(ToString::to_string).collect();
        assert!(problems.is_empty(), "{}", problems.join("\n"));
    }
}
