//! The table of who may see how much of what. Policy content is data (`relevance.csv`,
//! `professions.csv`); the full policy engine will replace the table, not the place that asks it.

use std::collections::BTreeMap;

use renkei_core::{Disclosure, Form, ItemClass, Member, Profession};

const BUILT_IN_CLASSES: &str = include_str!("relevance.csv");
const BUILT_IN_PROFESSIONS: &str = include_str!("professions.csv");
/// The column read by who is not known: the least privileged that may read at all.
const LEAST: &str = "helper";
/// What the unknown reader does not see even where a helper does.
const NOT_FOR_THE_UNKNOWN: [ItemClass; 2] = [ItemClass::Medication, ItemClass::Allergy];

/// Class × reader column → form, and profession → column.
#[derive(Debug, Clone)]
pub struct Relevance {
    forms: BTreeMap<(ItemClass, String), Form>,
    columns: BTreeMap<Profession, String>,
}

/// A relevance file that cannot be used, with its line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct BadTable {
    /// Line in the file, from 1.
    pub line: usize,
    /// What is wrong and what to write.
    pub reason: String,
}

impl Relevance {
    /// The built-in table.
    ///
    /// # Errors
    /// [`BadTable`] when the embedded files are damaged; a test keeps them readable.
    pub fn built_in() -> Result<Self, BadTable> {
        let mut table = Self {
            forms: BTreeMap::new(),
            columns: BTreeMap::new(),
        };
        table.read_professions(BUILT_IN_PROFESSIONS)?;
        table.override_with(BUILT_IN_CLASSES)?;
        Ok(table)
    }

    /// Overrides rows with those of a file of the same form.
    ///
    /// # Errors
    /// [`BadTable`] names the line and what to write there.
    pub fn override_with(&mut self, text: &str) -> Result<(), BadTable> {
        let mut columns: Vec<&str> = Vec::new();
        for (line, row) in rows(text) {
            let cells: Vec<&str> = row.split(',').map(str::trim).collect();
            let (first, rest) = cells.split_first().ok_or_else(|| bad(line, "empty row"))?;
            if *first == "class" {
                columns = rest.to_vec();
                continue;
            }
            let class = ItemClass::find(first)
                .ok_or_else(|| bad(line, &format!("`{first}` is not an item class")))?;
            if rest.len() != columns.len() {
                return Err(bad(
                    line,
                    &format!(
                        "{} cells after the class, the header names {}",
                        rest.len(),
                        columns.len()
                    ),
                ));
            }
            for (column, cell) in columns.iter().zip(rest) {
                let form = match *cell {
                    "F" => Form::Full,
                    "S" => Form::Summary,
                    "-" => Form::None,
                    other => return Err(bad(line, &format!("`{other}`: write F, S or -"))),
                };
                self.forms.insert((class, (*column).to_owned()), form);
            }
        }
        Ok(())
    }

    fn read_professions(&mut self, text: &str) -> Result<(), BadTable> {
        for (line, row) in rows(text).skip(1) {
            let (code, column) = row
                .split_once(',')
                .ok_or_else(|| bad(line, "write profession,column"))?;
            let profession = Profession::of(code.trim());
            if profession == Profession::OtherUnset {
                return Err(bad(line, &format!("`{code}` is not a profession")));
            }
            self.columns.insert(profession, column.trim().to_owned());
        }
        Ok(())
    }

    /// What one reader may see of a class: the best of their professions; none = the unknown reader.
    pub fn of_member(&self, member: &Member, class: ItemClass) -> Form {
        member
            .professions
            .iter()
            .map(|profession| self.of_profession(*profession, class))
            .max()
            .unwrap_or_else(|| self.of_unknown(class))
    }

    /// What a shared timeline may show of every class: the least-privileged member decides, because
    /// everyone who can read it is a recipient. No members known = one unknown reader.
    pub fn of_audience(&self, members: &[Member]) -> Disclosure {
        let form = |class| {
            members
                .iter()
                .map(|member| self.of_member(member, class))
                .min()
                .unwrap_or_else(|| self.of_unknown(class))
        };
        Disclosure(
            ItemClass::ALL
                .iter()
                .map(|class| (*class, form(*class)))
                .collect(),
        )
    }

    fn of_profession(&self, profession: Profession, class: ItemClass) -> Form {
        match self.columns.get(&profession) {
            Some(column) => self.cell(class, column),
            None => self.of_unknown(class),
        }
    }

    fn of_unknown(&self, class: ItemClass) -> Form {
        if NOT_FOR_THE_UNKNOWN.contains(&class) {
            Form::None
        } else {
            self.cell(class, LEAST)
        }
    }

    fn cell(&self, class: ItemClass, column: &str) -> Form {
        self.forms
            .get(&(class, column.to_owned()))
            .copied()
            .unwrap_or(Form::None)
    }
}

fn rows(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(at, row)| (at + 1, row.trim()))
        .filter(|(_, row)| !row.is_empty() && !row.starts_with('#'))
}

fn bad(line: usize, reason: &str) -> BadTable {
    BadTable {
        line,
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(professions: &[Profession]) -> Member {
        Member {
            user_ref: "u".into(),
            facility: None,
            professions: professions.to_vec(),
        }
    }

    #[test]
    fn every_class_has_a_row() {
        let table = Relevance::built_in().unwrap();
        for class in ItemClass::ALL {
            assert!(
                table.forms.keys().any(|(known, _)| known == class),
                "{}",
                class.code()
            );
        }
    }

    #[test]
    fn the_least_privileged_member_decides() {
        let table = Relevance::built_in().unwrap();
        let doctor = member(&[Profession::Doctor]);
        let pharmacist = member(&[Profession::Pharmacist]);
        let helper = member(&[Profession::Helper]);
        assert_eq!(
            table
                .of_audience(&[doctor.clone(), pharmacist.clone()])
                .of(ItemClass::Medication),
            Form::Full
        );
        assert_eq!(
            table
                .of_audience(&[doctor, pharmacist, helper])
                .of(ItemClass::Medication),
            Form::None
        );
    }

    #[test]
    fn the_unknown_reader_is_a_helper_without_medication_and_allergy() {
        let table = Relevance::built_in().unwrap();
        for unknown in [
            vec![],
            vec![member(&[])],
            vec![member(&[Profession::OtherUnset])],
        ] {
            let seen = table.of_audience(&unknown);
            assert_eq!(seen.of(ItemClass::Discharge), Form::Summary);
            assert_eq!(seen.of(ItemClass::Medication), Form::None);
            assert_eq!(seen.of(ItemClass::Allergy), Form::None);
        }
    }

    #[test]
    fn several_licences_count_together() {
        let table = Relevance::built_in().unwrap();
        let both = member(&[Profession::Helper, Profession::CareManager]);
        assert_eq!(table.of_member(&both, ItemClass::Discharge), Form::Full);
    }

    #[test]
    fn a_bad_cell_is_named_with_its_line() {
        let mut table = Relevance::built_in().unwrap();
        let error = table.override_with("class,doctor\nlab,X\n").unwrap_err();
        assert_eq!(error.line, 2);
        assert!(
            table
                .override_with("class,doctor\nblood,F\n")
                .unwrap_err()
                .reason
                .contains("blood")
        );
    }
}
