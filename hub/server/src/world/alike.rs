//! Finding the records of a batch that somebody new may be, without comparing everybody with everybody.

use std::collections::{BTreeSet, HashMap};

use renkei_core::{Facts, RecordId};

use super::Record;

/// Records by what they may share with somebody new. What a record no longer says may still stand here:
/// whoever is found is compared anyway.
#[derive(Debug, Default)]
pub(super) struct Alike(HashMap<(Fact, String), Vec<RecordId>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Fact {
    Born,
    Called,
    Insured,
}

impl Alike {
    pub(super) fn note(&mut self, record: &Record) {
        for fact in said(&record.facts) {
            let bearers = self.0.entry(fact).or_default();
            if !bearers.contains(&record.id) {
                bearers.push(record.id);
            }
        }
    }

    pub(super) fn find(&self, facts: &Facts) -> BTreeSet<RecordId> {
        said(facts)
            .filter_map(|fact| self.0.get(&fact))
            .flatten()
            .copied()
            .collect()
    }
}

fn said(facts: &Facts) -> impl Iterator<Item = (Fact, String)> {
    let insured = facts.insurance.iter().map(|fact| (Fact::Insured, fact));
    [(Fact::Born, &facts.birth_date), (Fact::Called, &facts.kana)]
        .into_iter()
        .chain(insured)
        .filter(|(_, text)| !text.is_empty())
        .map(|(fact, text)| (fact, text.clone()))
}
