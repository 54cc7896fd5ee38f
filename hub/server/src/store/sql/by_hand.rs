//! The searches as one would write them by hand over sqlx, and what tables take: the other side of
//! `bench search`, which must not know SQL.

use std::sync::Arc;

use sqlx::{AssertSqlSafe, Row as _};

use super::Database;
use super::search::asked;
use super::speak::{Dialect, Pool, Pooled, query, spell};
use crate::store::StoreError;
use crate::store::search::LatestOf;

/// The ledger's connections for reading, without the ledger.
#[derive(Debug, Clone)]
pub struct ByHand {
    reads: Pool,
}

/// A search whose statement and parameters are ready.
#[derive(Debug, Clone)]
pub struct Ready {
    text: Arc<str>,
    parameters: Vec<String>,
    count: i64,
}

impl Database {
    /// The same connections, for whoever compares.
    pub fn by_hand(&self) -> ByHand {
        ByHand {
            reads: self.reads.clone(),
        }
    }
}

impl ByHand {
    /// The statement the verb would say.
    pub fn ready(&self, of: &LatestOf) -> Ready {
        let (text, parameters) = asked(of);
        Ready {
            text: spell(text, self.reads.dialect()),
            parameters,
            count: i64::from(of.count),
        }
    }

    /// Its rows: logical id, version, and the body as it is stored.
    ///
    /// # Errors
    /// As the database says.
    pub async fn latest(&self, ready: &Ready) -> Result<Vec<(String, i64, Vec<u8>)>, StoreError> {
        macro_rules! rows {
            ($pool:expr) => {{
                let mut query = sqlx::query(AssertSqlSafe(ready.text.clone()));
                for parameter in &ready.parameters {
                    query = query.bind(parameter);
                }
                let rows = query.bind(ready.count).fetch_all($pool).await?;
                rows.iter()
                    .map(|row| (row.get(0), row.get(1), row.get(2)))
                    .collect()
            }};
        }
        Ok(match &self.reads.pooled {
            Pooled::Sqlite(pool) => rows!(pool),
            Pooled::Postgres(pool) => rows!(pool),
            Pooled::Writer(_) => return Err(StoreError::Broken("not a pool".into())),
        })
    }

    /// A body as it was given to the ledger.
    ///
    /// # Errors
    /// [`StoreError::Broken`] when it cannot be read.
    pub fn text(stored: &[u8]) -> Result<String, StoreError> {
        super::text(stored)
    }

    /// Bytes of the whole database and of the index of results.
    ///
    /// # Errors
    /// As the database says.
    pub async fn bytes(&self) -> Result<(u64, u64), StoreError> {
        let text = match self.reads.dialect() {
            Dialect::Sqlite => {
                "SELECT (SELECT page_count FROM pragma_page_count) * (SELECT page_size FROM pragma_page_size), \
                 (SELECT coalesce(sum(pgsize), 0) FROM dbstat WHERE aggregate = TRUE AND name = 'result')"
            }
            Dialect::Postgres => {
                "SELECT pg_database_size(current_database()), pg_total_relation_size('result')"
            }
        };
        let row = query(text).fetch_one(&self.reads).await?;
        Ok((row.count(0), row.count(1)))
    }

    /// Lets a server count what it holds, as it does by itself a minute later.
    ///
    /// # Errors
    /// As the database says.
    pub async fn settle(&self) -> Result<(), StoreError> {
        if self.reads.dialect() == Dialect::Postgres {
            query("VACUUM ANALYZE").execute(&self.reads).await?;
        }
        Ok(())
    }
}
