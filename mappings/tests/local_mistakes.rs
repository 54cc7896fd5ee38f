//! `MISTAKES.md` is what `renkei map check` says: one deliberate mistake of each kind, and its message word for word.

use renkei_mappings::local::{Mapping, Memory};

/// A mapping without a fault; each mistake below changes one place of it.
const RIGHT: &str = "\
map: kitatama
extends: builtin/lab-csv
source:
  encoding: cp932
  columns:
    採取日: 検査年月日
tables:
  material: {S: '023', U: '001'}
subject:
  birth_date: 生年月日 | date
resources:
  - name: Observation
    when: 状態 != 'X' and 結果 is present
    Observation:
      status: 'final'
      effectiveDateTime: 採取日 | datetime(採取時刻) ?? $time
      specimen.display: 材料コード | table(material) | prefix('JC10 ')
      note: join(' ', コメント, ラボ名) | note
";

/// What is wrong, the text that is replaced, and what stands there instead.
const MISTAKES: &[(&str, &str, &str)] = &[
    ("An unknown function", "生年月日 | date", "生年月日 | dat"),
    (
        "An argument too many",
        "datetime(採取時刻)",
        "datetime(採取時刻, 'x')",
    ),
    (
        "A value of the wrong kind",
        "採取日 | datetime(採取時刻) ?? $time",
        "採取日",
    ),
    ("An unknown table", "table(material)", "table(materiel)"),
    (
        "An unknown FHIR element",
        "specimen.display",
        "specimen.displya",
    ),
    (
        "An unknown source field",
        "生年月日 | date",
        "生年月 | date",
    ),
    (
        "A mapping that refers to itself",
        "extends: builtin/lab-csv",
        "extends: kitatama-base",
    ),
    (
        "A YAML bomb",
        "  material: {S: '023', U: '001'}",
        "  material: &all {S: '023', U: '001'}\n  more: [*all, *all, *all, *all]",
    ),
    (
        "A key that stands twice",
        "  encoding: cp932",
        "  encoding: cp932\n  encoding: utf-8",
    ),
    (
        "A condition that is none",
        "状態 != 'X' and 結果 is present",
        "状態 != 'X' && 結果 is present",
    ),
    (
        "A wrong indentation",
        "      status: 'final'",
        "     status: 'final'",
    ),
    ("A tab", "  birth_date: 生年月日", "\tbirth_date: 生年月日"),
    ("A misspelt key", "tables:", "tabels:"),
    (
        "A key one level too high",
        "  birth_date: 生年月日",
        "birth_date: 生年月日",
    ),
    (
        "A misspelt resource",
        "    Observation:\n",
        "    Observatoin:\n",
    ),
    (
        "A fixed text without quotes",
        "status: 'final'",
        "status: final",
    ),
    (
        "A wrong fixed value",
        "status: 'final'",
        "issued: '2025-01-31'",
    ),
    (
        "A quote that is not closed",
        "  encoding: cp932",
        "  encoding: 'cp932",
    ),
    (
        "A parenthesis that is not closed",
        "| prefix('JC10 ')",
        "| prefix('JC10 '",
    ),
    ("A full-width sign", "生年月日 | date", "生年月日 ｜ date"),
    ("A mapping nobody has", "builtin/lab-csv", "builtin/lab-cvs"),
];

/// What this mapping is checked with: one more, which extends it.
fn library() -> Memory {
    let mut library = Memory::default();
    let base = RIGHT
        .replace("map: kitatama", "map: kitatama-base")
        .replace("builtin/lab-csv", "kitatama");
    library.mappings.insert("kitatama-base".to_owned(), base);
    library
}

/// The lines of `wrong` that are not in the mapping without a fault.
fn changed(wrong: &str) -> String {
    let before: Vec<&str> = RIGHT.lines().collect();
    let after: Vec<&str> = wrong.lines().collect();
    let head = before
        .iter()
        .zip(&after)
        .take_while(|(a, b)| a == b)
        .count();
    let tail = before[head..]
        .iter()
        .rev()
        .zip(after[head..].iter().rev())
        .take_while(|(a, b)| a == b)
        .count();
    after[head..after.len() - tail].join("\n")
}

#[test]
fn every_kind_of_mistake_has_a_message_that_helps() {
    let library = library();
    Mapping::load("kitatama.yaml", RIGHT, &library).unwrap_or_else(|problems| panic!("{problems}"));
    let mut page = format!(
        "# Mistakes, and what `renkei map check` says\n\n\
One deliberate mistake of each kind in the mapping below, and the message it gets, word for word. A message names the \
file, line and column, shows the line with a caret under what is wrong, and says what to write where that can be known. \
All mistakes of a file are told at once, except where it is no YAML. Exit 65; each code has a page in \
[ops/errors](../ops/errors), in Japanese and English. A hub does not start on such a mapping, and one that runs goes on \
with the version it has.\n\n<!-- generated; RENKEI_WRITE_SNAPSHOTS=1 cargo test -p renkei-mappings mistake writes it -->\n\n\
```yaml\n{RIGHT}```\n"
    );
    for (number, (name, from, to)) in MISTAKES.iter().enumerate() {
        assert!(RIGHT.contains(from), "{name}: {from}");
        let wrong = RIGHT.replacen(from, to, 1);
        let problems = Mapping::load("kitatama.yaml", &wrong, &library).expect_err(name);
        for problem in &problems.0 {
            let text = problem.to_string();
            assert!(text.contains('^') && !problem.text.is_empty(), "{text}");
        }
        assert!(
            problems.0.iter().any(|problem| problem.help.is_some())
                || name.contains("parenthesis")
                || name.contains("fixed value"),
            "{name}: nobody is told what to do\n{problems}"
        );
        page.push_str(&format!(
            "\n## {}. {name}\n\n```yaml\n{}\n```\n\n```text\n{problems}\n```\n",
            number + 1,
            changed(&wrong)
        ));
    }
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("MISTAKES.md");
    if std::env::var_os("RENKEI_WRITE_SNAPSHOTS").is_some() {
        std::fs::write(path, &page).unwrap();
        return;
    }
    let written = std::fs::read_to_string(path).unwrap();
    assert_eq!(
        written, page,
        "RENKEI_WRITE_SNAPSHOTS=1 cargo test -p renkei-mappings mistake writes it"
    );
}

#[test]
fn all_mistakes_are_told_at_once() {
    let wrong = RIGHT
        .replace("生年月日 | date", "生年月 | dat")
        .replace("table(material)", "table(materiel)")
        .replace("specimen.display", "specimen.displya");
    let problems = Mapping::load("lab.yaml", &wrong, &library()).expect_err("three mistakes");
    let codes: Vec<&str> = problems
        .0
        .iter()
        .map(|problem| problem.code.as_str())
        .collect();
    assert_eq!(codes, ["RNK-MAP-109", "RNK-MAP-104", "RNK-MAP-108"]);
}

#[test]
fn signs_of_other_languages_are_translated() {
    for (from, to, help) in [
        ("状態 != 'X' and", "状態 == 'X' and", "one `=`"),
        ("状態 != 'X' and", "状態 <> 'X' and", "`!=`"),
        ("状態 != 'X' and", "状態 != 'X' ||", "`or`"),
        ("状態 != 'X' and", "!状態 and", "`not (…)`"),
        ("'final'", "‘final’", "write `'`"),
        ("datetime(採取時刻)", "datetime（採取時刻）", "write `(`"),
        ("builtin/lab-csv", "lab-csv.yaml", "without its ending"),
        ("生年月日 | date", "生年月日 | quantity", ""),
    ] {
        assert!(RIGHT.contains(from), "{from}");
        let wrong = RIGHT.replacen(from, to, 1);
        let problems = Mapping::load("lab.yaml", &wrong, &library()).expect_err(to);
        let first = problems.0[0].help.clone().unwrap_or_default();
        assert!(first.contains(help), "{problems}");
    }
    // A parenthesis that is missing behind a condition is missing there, not in front of it.
    let wrong = RIGHT.replace("and 結果 is present", "and (結果 is present");
    let problems = Mapping::load("lab.yaml", &wrong, &library()).expect_err("not closed");
    assert_eq!(
        problems.0[0].column,
        11 + "状態 != 'X' and (結果 is present".chars().count()
    );
}
