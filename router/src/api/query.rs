//! A request's query: read when the caller may ask, or refused as a problem.

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;

use crate::problem::{Kind, Problem};

/// A query as it was sent, right or wrong.
pub(super) type Asked<T> = Result<Query<T>, QueryRejection>;

/// What the query says.
pub(super) fn asked<T>(query: Asked<T>) -> Result<T, Problem> {
    let malformed =
        |rejection: QueryRejection| Problem::new(Kind::Malformed, rejection.body_text());
    query.map(|Query(asked)| asked).map_err(malformed)
}
