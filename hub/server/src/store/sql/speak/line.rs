//! The rows of an answer, whichever database gave it.

use sqlx::Row;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;

/// One row of an answer.
#[derive(Debug)]
pub(in super::super) enum Line {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl From<SqliteRow> for Line {
    fn from(row: SqliteRow) -> Self {
        Self::Sqlite(row)
    }
}

impl From<PgRow> for Line {
    fn from(row: PgRow) -> Self {
        Self::Postgres(row)
    }
}

/// What a column can be read as: `i64` and `u32`, `bool`, text, bytes, and options of them.
pub(in super::super) trait Cell<'r>: Sized {
    /// The column of a row.
    fn read(line: &'r Line, index: usize) -> Self;
}

macro_rules! cells {
    ($($kind:ty),*) => { $(
        impl<'r> Cell<'r> for $kind {
            fn read(line: &'r Line, index: usize) -> Self {
                match line {
                    Line::Sqlite(row) => row.get(index),
                    Line::Postgres(row) => row.get(index),
                }
            }
        }
        impl<'r> Cell<'r> for Option<$kind> {
            fn read(line: &'r Line, index: usize) -> Self {
                match line {
                    Line::Sqlite(row) => row.get(index),
                    Line::Postgres(row) => row.get(index),
                }
            }
        }
    )* };
}
cells!(i64, bool, String, &'r str, Vec<u8>, &'r [u8]);

impl<'r> Cell<'r> for u32 {
    fn read(line: &'r Line, index: usize) -> Self {
        Self::try_from(line.get::<i64>(index)).unwrap_or(0)
    }
}

impl Line {
    pub(super) fn all<R: Into<Self>>(rows: Vec<R>) -> Vec<Self> {
        rows.into_iter().map(Into::into).collect()
    }

    /// The column at `index`. The statement beside it says its type; another one is a fault of ours.
    pub(in super::super) fn get<'r, T: Cell<'r>>(&'r self, index: usize) -> T {
        T::read(self, index)
    }

    /// A count that cannot be negative.
    pub(in super::super) fn count(&self, index: usize) -> u64 {
        u64::try_from(self.get::<i64>(index)).unwrap_or(0)
    }
}
