//! How each database spells the words of the table above.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use super::{Dialect, Text};

type Spelled = HashMap<(Dialect, Arc<str>), Arc<str>>;
static SPELLED: RwLock<Option<Spelled>> = RwLock::new(None);
/// Static texts by where they lie and how long they are.
type SpelledFixed = HashMap<(Dialect, usize, usize), Arc<str>>;
static FIXED: RwLock<Option<SpelledFixed>> = RwLock::new(None);

/// The text as `dialect` spells it; worked out once.
pub(super) fn spelled(text: &Text, dialect: Dialect) -> Arc<str> {
    match text {
        Text::Fixed(fixed) => {
            // A static text is known by where it lies.
            let key = (dialect, fixed.as_ptr().addr(), fixed.len());
            remembered(&FIXED, &key, || key, || spell(text.as_str(), dialect))
        }
        Text::Spelled(spelled) => spelled.clone(),
        Text::Made(made) => {
            let key = (dialect, made.clone());
            remembered(
                &SPELLED,
                &key.clone(),
                || key,
                || spell(text.as_str(), dialect),
            )
        }
    }
}

fn remembered<K: std::hash::Hash + Eq>(
    known: &RwLock<Option<HashMap<K, Arc<str>>>>,
    key: &K,
    owned: impl FnOnce() -> K,
    spell: impl FnOnce() -> Arc<str>,
) -> Arc<str> {
    {
        let known = match known.read() {
            Ok(known) => known,
            Err(poisoned) => poisoned.into_inner(),
        };
        if let Some(text) = known.as_ref().and_then(|known| known.get(key)) {
            return text.clone();
        }
    }
    let text = spell();
    let mut known = match known.write() {
        Ok(known) => known,
        Err(poisoned) => poisoned.into_inner(),
    };
    known.get_or_insert_default().insert(owned(), text.clone());
    text
}

const FOR_SQLITE: [(&str, &str); 6] = [
    (" FOR SHARE OF m", ""),
    (" ints(", " json_each("),
    (" texts(", " json_each("),
    (" tuples(", " json_each("),
    ("least(", "min("),
    ("greatest(", "max("),
];

/// What a hub works on, as PostgreSQL asks it: a list that is read once, where a function would be called
/// for every row. A command works on everything.
const OF_THIS_HUB: [(&str, &str); 2] = [
    (
        " mine(",
        " (this_hub() IS NULL OR mod(abs({}), 16) IN (SELECT own.number FROM lane AS own \
         WHERE own.kind = 'person' AND own.holder = this_hub() AND own.until > now_us()))",
    ),
    (
        " my_lane(",
        " (this_hub() IS NULL OR {} IN (SELECT own.id FROM lane AS own WHERE own.holder = this_hub() AND own.until > now_us()))",
    ),
];

/// Writes every call of a word anew, from what stands in its brackets.
fn each_call(text: &mut String, word: &str, anew: impl Fn(&str) -> String) {
    while let Some(at) = text.find(word) {
        let inner = at + word.len();
        let end = text[inner..]
            .find(')')
            .map_or(text.len(), |length| inner + length);
        let says = anew(&text[inner..end]);
        text.replace_range(at..(end + 1).min(text.len()), &says);
    }
}

/// See the table of the module.
pub(in super::super) fn spell(text: &str, dialect: Dialect) -> Arc<str> {
    let mut spelled = text.to_owned();
    match dialect {
        Dialect::Sqlite => {
            for (written, says) in FOR_SQLITE {
                if spelled.contains(written) {
                    spelled = spelled.replace(written, says);
                }
            }
            for (hub_of, _) in OF_THIS_HUB {
                each_call(&mut spelled, hub_of, |_| " TRUE".to_owned());
            }
        }
        Dialect::Postgres => {
            spelled = spelled.replace("CROSS JOIN", "JOIN").replace('?', "$");
            for (hub_of, says) in OF_THIS_HUB {
                each_call(&mut spelled, hub_of, |of| says.replace("{}", of));
            }
            while let Some(at) = spelled.find(" INDEXED BY ") {
                let name = at + " INDEXED BY ".len();
                let end = spelled[name..]
                    .find(|character: char| !character.is_ascii_alphanumeric() && character != '_')
                    .map_or(spelled.len(), |length| name + length);
                spelled.replace_range(at..end, "");
            }
        }
    }
    Arc::from(spelled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_database_reads_its_own_spelling() {
        let text = "SELECT least(a, ?2) FROM ints(?1) AS k CROSS JOIN t INDEXED BY t_line ON t.id = k.value AND mine(t.person)";
        assert_eq!(
            &*spell(text, Dialect::Sqlite),
            "SELECT min(a, ?2) FROM json_each(?1) AS k CROSS JOIN t INDEXED BY t_line ON t.id = k.value AND TRUE"
        );
        assert_eq!(
            &*spell(text, Dialect::Postgres),
            "SELECT least(a, $2) FROM ints($1) AS k JOIN t ON t.id = k.value AND (this_hub() IS NULL OR mod(abs(t.person), 16) IN \
             (SELECT own.number FROM lane AS own WHERE own.kind = 'person' AND own.holder = this_hub() AND own.until > now_us()))"
        );
    }
}
