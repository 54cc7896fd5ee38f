//! Who somebody new may be: asked when a batch is loaded, and again, under locks, when it is written down.

use std::collections::BTreeSet;

use renkei_core::Facts;

use super::json;
use super::speak::{Query, query};
use crate::store::StoreError;

/// ?1 birth dates, ?2 kana with birth dates, ?3 insurance numbers. Of those who are called the same only
/// they whose birth date agrees in two of year, month and day: a common name has thousands of bearers.
const ALIKE: &str = "WITH called AS MATERIALIZED (SELECT k.value ->> 0 AS kana, k.value ->> 1 AS born FROM tuples(?2) AS k) \
     SELECT b.id FROM texts(?1) AS k CROSS JOIN record AS b ON b.birth_date = k.value AND b.birth_date <> '' \
     UNION SELECT n.id FROM called AS k CROSS JOIN record AS n ON n.kana = k.kana AND n.kana <> '' \
     AND (substr(n.birth_date, 1, 7) = substr(k.born, 1, 7) OR substr(n.birth_date, 5) = substr(k.born, 5) \
     OR (substr(n.birth_date, 1, 4) = substr(k.born, 1, 4) AND substr(n.birth_date, 8) = substr(k.born, 8))) \
     UNION SELECT i.record FROM texts(?3) AS k CROSS JOIN record_insurance AS i ON i.fact = k.value";

/// What a record has to share with somebody new to be compared with them; see [`crate::identify::compare`].
#[derive(Debug, Default)]
pub(super) struct Shared<'f> {
    pub(super) births: BTreeSet<&'f str>,
    pub(super) called: BTreeSet<(&'f str, &'f str)>,
    pub(super) insured: BTreeSet<&'f str>,
}

impl<'f> Shared<'f> {
    /// Of these newcomers.
    pub(super) fn of(facts: impl IntoIterator<Item = &'f Facts>) -> Self {
        let mut shared = Self::default();
        for facts in facts {
            let (born, kana) = (facts.birth_date.as_str(), facts.kana.as_str());
            if !born.is_empty() {
                shared.births.insert(born);
                if !kana.is_empty() {
                    shared.called.insert((kana, born));
                }
            }
            shared
                .insured
                .extend(facts.insurance.iter().map(String::as_str));
        }
        shared
    }

    /// The ids of the records.
    pub(super) fn ids(&self) -> Result<Query, StoreError> {
        self.bound(ALIKE.to_owned())
    }

    /// The records themselves.
    pub(super) fn records(&self) -> Result<Query, StoreError> {
        self.bound(of_candidates())
    }

    fn bound(&self, text: String) -> Result<Query, StoreError> {
        Ok(query(text)
            .bind(json(&self.births)?)
            .bind(json(&self.called)?)
            .bind(json(&self.insured)?))
    }
}

pub(super) fn of_candidates() -> String {
    format!(
        "SELECT {} FROM record AS r WHERE r.id IN ({ALIKE})",
        super::load::RECORD_COLUMNS
    )
}
