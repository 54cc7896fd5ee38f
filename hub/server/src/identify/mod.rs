//! Stop 4, identify: which person a message is about.
//!
//! (facility, local id) decides for a record already known. A new record joins a person only on equal
//! birth date and sex plus one strong fact; without any candidate it becomes a person of its own; in
//! between it waits for a reviewer, and everything of that record with it. Linking moves the record,
//! never clinical content, so it can be undone.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use renkei_core::{Code, Draft, Facts, PersonId, RecordId, Subject};

use crate::world::{Record, Review, World};

/// Whose message it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// This record's, linked to this person.
    Known(RecordId, PersonId),
    /// Nobody's: a bed feed, a receipt.
    Nobody,
    /// A reviewer has to decide first.
    Ambiguous(Code, RecordId),
}

/// Resolves the subject of a draft, creating record and person where there is none.
pub fn resolve(world: &mut World, draft: &Draft) -> Whose {
    let Some(subject) = &draft.subject else {
        return Whose::Nobody;
    };
    let local = (subject.facility.clone(), subject.local_id.clone());
    match world
        .by_local
        .get(&local)
        .and_then(|id| world.records.get(id))
        .cloned()
    {
        Some(record) => known(world, record, subject),
        None => newcomer(world, subject),
    }
}

fn known(world: &mut World, mut record: Record, subject: &Subject) -> Whose {
    if subject.authority >= record.authority && subject.facts != record.facts {
        record.facts = merged(&record.facts, &subject.facts);
        record.authority = subject.authority;
        world.put_record(record.clone());
    }
    match record.person {
        _ if record.rejected => Whose::Ambiguous(Code::IDN_REJECTED, record.id),
        Some(person) => Whose::Known(record.id, person),
        None => Whose::Ambiguous(Code::IDN_AMBIGUOUS, record.id),
    }
}

fn newcomer(world: &mut World, subject: &Subject) -> Whose {
    let id = RecordId(world.ids.record);
    world.ids.record += 1;
    let (mut certain, mut possible) = (BTreeSet::new(), BTreeSet::new());
    for record in world
        .alike(&subject.facts)
        .filter(|record| !record.rejected)
    {
        let Some(person) = record.person else {
            continue;
        };
        match compare(&record.facts, &subject.facts) {
            Likeness::Same => certain.insert(person),
            Likeness::InBetween => possible.insert(person),
            Likeness::Other => false,
        };
    }
    let person = match (certain.len(), possible.is_empty()) {
        (1, _) => certain.first().copied(),
        (0, true) => {
            let person = PersonId(world.ids.person);
            world.ids.person += 1;
            world.effects.persons.push(person);
            Some(person)
        }
        _ => None,
    };
    world.put_record(Record {
        id,
        facility: subject.facility.clone(),
        local_id: subject.local_id.clone(),
        person,
        facts: subject.facts.clone(),
        authority: subject.authority,
        rejected: false,
    });
    match person {
        Some(person) => Whose::Known(id, person),
        None => {
            let candidates = certain.into_iter().chain(possible).collect();
            world.effects.reviews.push(Review {
                record: id,
                code: Code::IDN_AMBIGUOUS,
                candidates,
            });
            Whose::Ambiguous(Code::IDN_AMBIGUOUS, id)
        }
    }
}

/// How alike two sets of facts are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Likeness {
    /// Equal birth date and sex, and one strong fact.
    Same,
    /// Too alike to be told apart without a person.
    InBetween,
    /// Not alike.
    Other,
}

/// Compares the facts of two records. Kanji never decide; kana alone never joins.
pub fn compare(one: &Facts, other: &Facts) -> Likeness {
    let same_day = !one.birth_date.is_empty() && one.birth_date == other.birth_date;
    let same_sex = !one.sex.is_empty() && one.sex == other.sex;
    let same_kana = !one.kana.is_empty() && one.kana == other.kana;
    let insured_alike = shares(&one.insurance, &other.insurance);
    // Nothing else makes two people alike: only who shares one of these is compared (`World::alike`).
    if !same_day && !same_kana && !insured_alike {
        return Likeness::Other;
    }
    let reached_alike =
        shares(&one.phones, &other.phones) || shares(&one.addresses, &other.addresses);
    if same_day && same_sex && (insured_alike || (same_kana && reached_alike)) {
        return Likeness::Same;
    }
    let near_day = same_day || nearly_same_day(&one.birth_date, &other.birth_date);
    let doubtful = (same_kana && near_day)
        || insured_alike
        || (same_day
            && same_sex
            && reached_alike
            && !one.phones.is_empty()
            && near_name(&one.kana, &other.kana));
    if doubtful {
        Likeness::InBetween
    } else {
        Likeness::Other
    }
}

fn shares(one: &[String], other: &[String]) -> bool {
    one.iter()
        .any(|fact| !fact.is_empty() && other.contains(fact))
}

/// Two of year, month and day agree: what a slip of the pen looks like.
fn nearly_same_day(one: &str, other: &str) -> bool {
    let (one, other): (Vec<&str>, Vec<&str>) =
        (one.split('-').collect(), other.split('-').collect());
    one.len() == 3
        && other.len() == 3
        && one.iter().zip(&other).filter(|(a, b)| a == b).count() >= 2
}

/// The names share their first or last two characters: a changed family name or a twin's given name.
fn near_name(one: &str, other: &str) -> bool {
    let ends = |name: &str| -> Option<(String, String)> {
        let characters: Vec<char> = name.chars().collect();
        let last = characters.len().checked_sub(2)?;
        Some((
            characters.get(..2)?.iter().collect(),
            characters.get(last..)?.iter().collect(),
        ))
    };
    matches!((ends(one), ends(other)), (Some((a, b)), Some((c, d))) if a == c || b == d)
}

/// Newer facts win; what they leave out is kept.
fn merged(old: &Facts, new: &Facts) -> Facts {
    let text = |old: &String, new: &String| {
        if new.is_empty() {
            old.clone()
        } else {
            new.clone()
        }
    };
    let list = |old: &Vec<String>, new: &Vec<String>| {
        if new.is_empty() {
            old.clone()
        } else {
            new.clone()
        }
    };
    Facts {
        kana: text(&old.kana, &new.kana),
        family_kana: text(&old.family_kana, &new.family_kana),
        kanji: text(&old.kanji, &new.kanji),
        birth_date: text(&old.birth_date, &new.birth_date),
        sex: text(&old.sex, &new.sex),
        phones: list(&old.phones, &new.phones),
        addresses: list(&old.addresses, &new.addresses),
        insurance: list(&old.insurance, &new.insurance),
    }
}
