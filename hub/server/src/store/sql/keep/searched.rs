//! Whether the index of results holds what the texts of the results say. It is made of them and can be made
//! again: nothing is lost when it is wrong, but a search would not find what is there.

use std::collections::BTreeSet;

use super::rules::Remedy;
use super::verify::{NAMED, Walk};
use crate::store::StoreError;
use crate::store::sql::search::{self, Coded};
use crate::store::sql::speak::{Pool, query};
use crate::store::sql::{json, text};

/// The current results there are in the index, ?1 after this resource, ?2 up to this one.
const RESULTS: &str = "SELECT r.id, r.record, r.version, v.body FROM resource AS r CROSS JOIN version AS v ON v.resource = r.id AND v.version = r.version \
     WHERE r.id > ?1 AND r.id <= ?2 AND r.kind = 'Observation' AND r.record IS NOT NULL AND NOT r.withdrawn \
     AND NOT EXISTS (SELECT 1 FROM unsearched AS u WHERE u.below > r.id)";
/// Mended by having everything indexed anew, from the next start of the hub on.
pub(super) const INDEXED: Remedy = Remedy {
    check: "result-not-indexed",
    repair: "`--repair`, then start the hub again: it makes the index anew beside its work, and searches say that they are incomplete until then",
    mend: &[
        "DELETE FROM unsearched WHERE EXISTS (SELECT 1 FROM ints(?1))",
        "INSERT INTO unsearched (below) SELECT m.top FROM (SELECT max(r.id) + 1 AS top FROM resource AS r) AS m \
         WHERE m.top IS NOT NULL AND EXISTS (SELECT 1 FROM ints(?1))",
    ],
};
/// Of (record, code, date, resource, system, version): the resources of those that have no row.
const ABSENT: &str = "SELECT CAST(k.value ->> 3 AS BIGINT) FROM tuples(?1) AS k WHERE NOT EXISTS (\
     SELECT 1 FROM result AS t WHERE t.record = CAST(k.value ->> 0 AS BIGINT) \
     AND t.code = (SELECT c.id FROM word AS c WHERE c.text = k.value ->> 1) \
     AND t.date = CAST(k.value ->> 2 AS BIGINT) AND t.resource = CAST(k.value ->> 3 AS BIGINT) \
     AND t.system = (SELECT s.id FROM word AS s WHERE s.text = k.value ->> 4) \
     AND t.version >= CAST(k.value ->> 5 AS BIGINT))";

/// Results that the index does not know, or not as they are.
pub(super) async fn broken(reads: &Pool) -> Result<Vec<(i64, String)>, StoreError> {
    let mut found = Vec::new();
    let mut walk = Walk::over(reads, ("resource", "id")).await?;
    while let Some((after, to)) = walk.next(reads).await? {
        let results = query(RESULTS).bind(after).bind(to).fetch_all(reads).await?;
        let mut codings: Vec<Coded> = Vec::new();
        for row in &results {
            // A damaged text is named by its own check.
            if let Ok(body) = text(row.get(3)) {
                search::code(row.get(1), row.get(0), row.get(2), &body, &mut codings);
            }
        }
        let expected: Vec<_> = codings.iter().map(Coded::row).collect();
        let absent: Vec<i64> = query(ABSENT).bind(json(&expected)?).column(reads).await?;
        let absent: BTreeSet<i64> = absent.into_iter().collect();
        found.extend(absent.into_iter().map(|id| (id, format!("resource {id}"))));
        if found.len() >= NAMED {
            break;
        }
    }
    found.truncate(NAMED);
    Ok(found)
}
