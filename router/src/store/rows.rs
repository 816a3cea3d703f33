//! Statements over many rows: few round trips, and few texts, so that they stay prepared.

use std::fmt::Write;

use sqlx::any::AnyArguments;
use sqlx::error::BoxDynError;
use sqlx::{AnyConnection, AssertSqlSafe, Executor, SqlSafeStr};

/// The most rows in one statement.
const MAX_ROWS: usize = 256;
/// Up to so many are always one statement.
pub(super) const FEW_ROWS: usize = 16;

/// A statement around a list of rows, such as `INSERT INTO t (a, b) VALUES` around `($1, $2)`.
pub(super) struct Statement {
    /// What comes before the rows.
    pub(super) head: &'static str,
    /// How many values each row has.
    pub(super) columns: usize,
    /// What comes after the rows.
    pub(super) tail: &'static str,
}

impl Statement {
    /// Runs over all rows; `bind` adds the values of one.
    pub(super) async fn run<T>(
        &self,
        database: &mut AnyConnection,
        mut rows: &[T],
        bind: impl Fn(&mut AnyArguments, &T) -> Result<(), BoxDynError>,
    ) -> Result<(), sqlx::Error> {
        while !rows.is_empty() {
            let (chunk, rest) = rows.split_at(at_once(rows.len()));
            let mut values = AnyArguments::default();
            chunk.iter().try_for_each(|row| bind(&mut values, row)).map_err(sqlx::Error::Encode)?;
            let text = AssertSqlSafe(self.text(chunk.len()));
            sqlx::query_with(text, values).execute(&mut *database).await?;
            rows = rest;
        }
        Ok(())
    }

    /// Prepares what [`run`](Self::run) does with this number of rows, if that is one statement.
    pub(super) async fn prepare(
        &self,
        database: &mut AnyConnection,
        rows: usize,
    ) -> Result<(), sqlx::Error> {
        if !rows.is_power_of_two() || rows > MAX_ROWS {
            return Ok(());
        }
        let text = AssertSqlSafe(self.text(rows)).into_sql_str();
        database.prepare(text).await.map(drop)
    }

    fn text(&self, rows: usize) -> String {
        let mut text = self.head.to_owned();
        for number in 0..rows * self.columns {
            let before = match number % self.columns {
                0 if number == 0 => " (",
                0 => "), (",
                _ => ", ",
            };
            write!(text, "{before}${}", number + 1).expect("a string takes all text");
        }
        text + ")" + self.tail
    }
}

/// How many of these rows one statement takes. Of more than a few only a power of two: twenty texts
/// do for any number.
fn at_once(rows: usize) -> usize {
    if rows <= FEW_ROWS { rows } else { (1 << rows.ilog2()).min(MAX_ROWS) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_rows_are_one_statement_and_many_are_some_of_few_texts() {
        let all = |mut rows: usize| {
            let mut chunks = Vec::new();
            while rows > 0 {
                chunks.push(at_once(rows));
                rows -= at_once(rows);
            }
            chunks
        };
        for (rows, expected) in [
            (1, &[1][..]),
            (11, &[11]),
            (FEW_ROWS, &[16]),
            (39, &[32, 7]),
            (600, &[256, 256, 64, 16, 8]),
        ] {
            assert_eq!(all(rows), expected);
        }
    }

    #[test]
    fn values_are_numbered_through() {
        let statement =
            Statement { head: "INSERT INTO t VALUES", columns: 2, tail: " RETURNING x" };
        let text = "INSERT INTO t VALUES ($1, $2), ($3, $4) RETURNING x";
        assert_eq!(statement.text(2), text);
    }
}
