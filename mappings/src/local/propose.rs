//! Candidates for a laboratory's own item codes, for a person to accept. Nothing here decides: what was not
//! accepted is in no table, and a code in no table keeps its text.

use std::collections::HashSet;

use unicode_normalization::UnicodeNormalization;

use super::table::Table;

/// Candidates per code at most.
const CANDIDATES: usize = 3;
/// The least likeness worth a person's time, in percent.
const LEAST: usize = 40;
/// Columns of proposals: what `accept` reads.
const COLUMNS: [&str; 6] = ["code", "name", "jlac10", "proposed", "likeness", "accepted"];

/// Proposals for the codes of `own` (code, name, perhaps a column `material` with the three digits of JLAC10)
/// out of `master` (JLAC10, name). For each code the most alike first, likeness in percent; a code with nothing
/// alike has one row without a candidate. The column `accepted` is for the person.
pub fn propose(own: &Table, master: &Table) -> Table {
    let named = |table: &Table| table.column("name").unwrap_or(1);
    let (own_name, master_name) = (named(own), named(master));
    let material = own.column("material");
    let known: Vec<(&str, &str, String)> = master
        .rows
        .iter()
        .filter_map(|row| {
            let (code, name) = (row.first()?, row.get(master_name)?);
            Some((code.as_str(), name.as_str(), key(name)))
        })
        .collect();
    let mut rows = Vec::new();
    for row in &own.rows {
        let cell = |at: usize| row.get(at).map_or("", String::as_str);
        let (code, name) = (cell(0), cell(own_name));
        let material = material.map(cell).filter(|text| !text.is_empty());
        let own_key = key(name);
        let mut found: Vec<(usize, &str, &str)> = known
            .iter()
            // JLAC10: five digits of the analyte, four of its kind, three of the material.
            .filter(|(jlac10, ..)| {
                material.is_none_or(|material| jlac10.get(9..12) == Some(material))
            })
            .map(|(jlac10, name, key)| (likeness(&own_key, key), *jlac10, *name))
            .filter(|(likeness, ..)| *likeness >= LEAST)
            .collect();
        found.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
        found.truncate(CANDIDATES);
        let line = |jlac10: &str, proposed: &str, likeness: String| {
            [code, name, jlac10, proposed, &likeness, ""]
                .map(str::to_owned)
                .to_vec()
        };
        if found.is_empty() {
            rows.push(line("", "", String::new()));
        }
        for (likeness, jlac10, proposed) in found {
            rows.push(line(jlac10, proposed, likeness.to_string()));
        }
    }
    Table::sheet(COLUMNS.map(str::to_owned).to_vec(), rows)
}

/// Proposals cannot be taken over as they are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAccepted {
    /// A column is missing.
    #[error(
        "the column `{0}` is missing; columns are code, name, jlac10, proposed, likeness, accepted"
    )]
    Column(&'static str),
    /// Two candidates of one code were accepted.
    #[error("two candidates are accepted for the code `{0}`")]
    Twice(String),
    /// An accepted row has no code to take.
    #[error("the accepted row for the code `{0}` has no JLAC10 code")]
    Empty(String),
}

/// The table `local-jlac10` out of proposals: the rows that have something in `accepted`. A person may also have
/// written another `jlac10` there.
///
/// # Errors
/// What is contradictory; nothing is taken over then.
pub fn accept(rows: &[Vec<String>], columns: &[String]) -> Result<Table, NotAccepted> {
    let column = |name: &'static str| {
        let at = columns.iter().position(|column| column == name);
        at.ok_or(NotAccepted::Column(name))
    };
    let (code, name) = (column("code")?, column("name")?);
    let (jlac10, accepted) = (column("jlac10")?, column("accepted")?);
    let mut seen = HashSet::new();
    let mut taken = Vec::new();
    for row in rows {
        let cell = |at: usize| row.get(at).map_or("", |cell| cell.trim());
        if cell(accepted).is_empty() {
            continue;
        }
        if cell(jlac10).is_empty() {
            return Err(NotAccepted::Empty(cell(code).to_owned()));
        }
        if !seen.insert(cell(code).to_owned()) {
            return Err(NotAccepted::Twice(cell(code).to_owned()));
        }
        taken.push(
            [cell(code), cell(jlac10), cell(name)]
                .map(str::to_owned)
                .to_vec(),
        );
    }
    let columns = ["code", "jlac10", "name"].map(str::to_owned).to_vec();
    Ok(Table::sheet(columns, taken))
}

/// The spelling under which names are compared.
fn key(name: &str) -> String {
    name.nfkc()
        .filter(|sign| sign.is_alphanumeric())
        .flat_map(char::to_uppercase)
        .collect()
}

/// How alike two spellings are: the share of their pairs of letters both have, in percent.
fn likeness(a: &str, b: &str) -> usize {
    if a == b {
        return if a.is_empty() { 0 } else { 100 };
    }
    let pairs = |text: &str| -> Vec<(char, char)> {
        let letters: Vec<char> = std::iter::once('^')
            .chain(text.chars())
            .chain(std::iter::once('$'))
            .collect();
        letters.windows(2).map(|pair| (pair[0], pair[1])).collect()
    };
    let (a, mut b) = (pairs(a), pairs(b));
    let all = a.len() + b.len();
    let shared = a
        .iter()
        .filter(|pair| match b.iter().position(|other| other == *pair) {
            Some(at) => {
                b.swap_remove(at);
                true
            }
            None => false,
        })
        .count();
    // Not the same is never wholly alike.
    (shared * 200 / all.max(1)).min(99)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Table {
        Table::parse(text).expect("a table")
    }

    #[test]
    fn candidates_are_ranked_and_only_accepted_ones_become_a_table() {
        let own =
            table("code,name,material\nA1,ＡＬＢ（アルブミン）,023\nA2,C R P,\nA3,謎の項目,\n");
        let master = table(
            "code,name\n3A015000002327101,アルブミン\n3A015000000127101,アルブミン\n5C070000002306201,CRP\n",
        );
        let proposals = propose(&own, &master);
        let told: Vec<String> = proposals
            .rows
            .iter()
            .map(|row| format!("{} {} {}", row[0], row[2], row[4]))
            .collect();
        assert_eq!(
            told,
            [
                "A1 3A015000002327101 66",
                "A2 5C070000002306201 100",
                "A3  "
            ]
        );
        let mut rows = proposals.rows.clone();
        rows[1][5] = "x".to_owned();
        let taken = accept(&rows, &proposals.columns).expect("accepted");
        assert_eq!(taken.rows, [["A2", "5C070000002306201", "C R P"]]);
        rows[2][5] = "x".to_owned();
        assert_eq!(
            accept(&rows, &proposals.columns),
            Err(NotAccepted::Empty("A3".to_owned()))
        );
        rows[2] = rows[1].clone();
        assert_eq!(
            accept(&rows, &proposals.columns),
            Err(NotAccepted::Twice("A2".to_owned()))
        );
    }
}
