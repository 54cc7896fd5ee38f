//! What an input of a local mapping held, and what of it the mapping read.

use std::collections::BTreeMap;

use renkei_core::MapError;

use super::source::Doc;
use super::{Input, Mapping, Piece, Report};
use crate::Options;
use crate::coverage::{Fate, Held, kind_of};

impl Mapping {
    /// Reads an input and adds every field that held data; the report has the findings of all pieces.
    pub(crate) fn covered(
        &self,
        input: Input<'_>,
        options: &Options,
        held: &mut Vec<Held>,
    ) -> Result<Report, MapError> {
        let mut findings = Vec::new();
        let mut give = |piece: Piece| {
            if let Piece::Draft(draft) = piece {
                findings.extend(draft.findings);
            }
        };
        let mut report =
            self.reading(input, options, &mut give, &mut |doc| self.held(doc, held))?;
        report.findings.extend(findings);
        Ok(report)
    }

    /// Whether a field stands under `unused:`, is a part of one that does, or ends as one with `*` says.
    pub fn is_left(&self, field: &str) -> bool {
        self.plan.unused.iter().any(|unused| {
            if let Some(end) = unused.strip_prefix('*') {
                return !end.is_empty() && field.ends_with(end);
            }
            field
                .strip_prefix(unused.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '/', '-', '[']))
        })
    }

    fn held(&self, doc: &Doc<'_>, held: &mut Vec<Held>) {
        let mut counts: BTreeMap<(String, bool), usize> = BTreeMap::new();
        let mut kind = String::new();
        let mut add = |field: String, is_read: bool, count: usize| {
            if count > 0 {
                *counts.entry((field, is_read)).or_default() += count;
            }
        };
        match doc {
            Doc::Rows(rows) => {
                for (at, name) in self.plan.input.columns().into_iter().enumerate() {
                    let name = name.unwrap_or_else(|| format!("column {}", at + 1));
                    let is_read = self.plan.read_columns.contains(&at);
                    add(name, is_read, rows.filled(at));
                }
                // Their cells are not kept: once for the file.
                for at in &rows.unnamed {
                    add(format!("column {at}"), false, 1);
                }
            }
            Doc::Tree {
                tree, separator, ..
            } => tree.walk(*separator, &mut |path, is_read| {
                add(path.to_owned(), is_read, 1);
            }),
            Doc::Segments(segments) => {
                kind = kind_of(segments.reader());
                for place in segments.reader().held() {
                    add(place.field, place.is_read, 1);
                }
            }
        }
        for ((field, is_read), count) in counts {
            let fate = match is_read {
                true => Fate::Carried,
                false if self.is_left(&field) => Fate::LeftOnPurpose,
                false => Fate::Unread,
            };
            held.push(Held {
                field,
                kind: kind.clone(),
                count,
                fate,
            });
        }
    }
}
