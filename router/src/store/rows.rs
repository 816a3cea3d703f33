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
            let text = AssertSqlSafe(self.text(chunk.len(), Places::of(database)));
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
        let text = AssertSqlSafe(self.text(rows, Places::of(database))).into_sql_str();
        database.prepare(text).await.map(drop)
    }

    fn text(&self, rows: usize, places: Places) -> String {
        let mut text = self.head.to_owned();
        for number in 0..rows * self.columns {
            text.push_str(match number % self.columns {
                0 if number == 0 => " (",
                0 => "), (",
                _ => ", ",
            });
            places.write(&mut text, number + 1);
        }
        text + ")" + self.tail
    }
}

/// How a database wants to be told where values stand.
#[derive(Clone, Copy)]
enum Places {
    /// `$1`, `$2` and so on, as PostgreSQL does.
    Numbered,
    /// `?` each time: with a number, SQLite looks each up among the names of all.
    InOrder,
}

impl Places {
    fn of(database: &AnyConnection) -> Self {
        if database.backend_name() == "SQLite" { Self::InOrder } else { Self::Numbered }
    }

    fn write(self, text: &mut String, number: usize) {
        match self {
            Self::Numbered => write!(text, "${number}").expect("a string takes all text"),
            Self::InOrder => text.push('?'),
        }
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
    fn values_are_numbered_through_or_stand_in_order() {
        let statement =
            Statement { head: "INSERT INTO t VALUES", columns: 2, tail: " RETURNING x" };
        let numbered = "INSERT INTO t VALUES ($1, $2), ($3, $4) RETURNING x";
        assert_eq!(statement.text(2, Places::Numbered), numbered);
        let in_order = "INSERT INTO t VALUES (?, ?), (?, ?) RETURNING x";
        assert_eq!(statement.text(2, Places::InOrder), in_order);
    }
}
