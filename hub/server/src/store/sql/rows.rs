//! Multi-row statements in fixed sizes, so that a handful of prepared statements serves every group.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use super::speak::{Conn, Dialect, Query, Text, query, spell};
use crate::store::StoreError;

/// Rows per statement: a small group is one statement, a larger one a few. The largest keeps the widest table (22 columns) far below SQLite's limit of
/// 32,766 parameters.
const SIZES: [usize; 11] = [64, 32, 16, 8, 7, 6, 5, 4, 3, 2, 1];

/// A statement with its parameters so far.
pub(super) type Filling = Query;

/// `head` + `(?,…)` per row + `tail`, for any number of rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    /// Up to and including `VALUES `.
    pub(super) head: &'static str,
    /// Parameters per row.
    pub(super) columns: usize,
    /// What follows the rows.
    pub(super) tail: &'static str,
}

/// Statement texts by head, tail and number of rows.
type Texts = HashMap<(&'static str, &'static str, usize, Dialect), Arc<str>>;

static TEXTS: Mutex<Option<Texts>> = Mutex::new(None);

impl Shape {
    fn text(&self, rows: usize, dialect: Dialect) -> Arc<str> {
        let mut texts = match TEXTS.lock() {
            Ok(texts) => texts,
            Err(poisoned) => poisoned.into_inner(),
        };
        let texts = texts.get_or_insert_default();
        texts
            .entry((self.head, self.tail, rows, dialect))
            .or_insert_with(|| self.write(rows, dialect))
            .clone()
    }

    /// SQLite keeps the names of numbered parameters in a list that it searches for each: a thousand of
    /// them would cost a million comparisons. So they are numbered only where they must be.
    fn write(&self, rows: usize, dialect: Dialect) -> Arc<str> {
        let mut text = self.head.to_owned();
        let mut number = 0;
        for row in 0..rows {
            text.push_str(if row == 0 { "(" } else { ",(" });
            for column in 0..self.columns {
                number += 1;
                let comma = if column == 0 { "" } else { "," };
                let _ = match dialect {
                    Dialect::Sqlite => write!(text, "{comma}?"),
                    Dialect::Postgres => write!(text, "{comma}?{number}"),
                };
            }
            text.push(')');
        }
        text.push_str(self.tail);
        spell(&text, dialect)
    }

    /// Executes the statement over all items and counts the rows it touched; `bind` adds the parameters
    /// of one row.
    pub(super) async fn execute<T>(
        &self,
        tx: &mut Conn,
        items: &[T],
        bind: impl Fn(Filling, &T) -> Result<Filling, StoreError>,
    ) -> Result<u64, StoreError> {
        let mut rest = items;
        let mut touched = 0;
        for size in SIZES {
            while rest.len() >= size {
                let (chunk, later) = rest.split_at(size);
                let mut filling = query(Text::Spelled(self.text(size, tx.dialect())))
                    .with_room(size * self.columns);
                for item in chunk {
                    filling = bind(filling, item)?;
                }
                touched += filling.execute(&mut *tx).await?;
                rest = later;
            }
        }
        Ok(touched)
    }
}
