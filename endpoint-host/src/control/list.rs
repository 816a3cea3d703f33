//! Lists: the newest first, by part of the name, in pages.

use serde_json::{Value, json};

use super::Request;
use super::fields::Fields;
use crate::api_error::ApiError;
use crate::registry::{Query, Serial, Table};

/// What SageMaker returns when not told otherwise.
const DEFAULT_LIMIT: i64 = 10;

/// The most that SageMaker returns at once.
const LARGEST_LIMIT: i64 = 100;

/// One page of `table` under the name that SageMaker gives to the list.
pub(crate) fn page<T: Clone>(
    mut request: Request<'_>,
    table: &Table<T>,
    list: &str,
    summary: impl Fn(&T) -> Value,
) -> Result<Option<Value>, ApiError> {
    let query = query(&mut request.fields)?;
    request.fields.finish()?;
    let (records, next) = table.page(&query);
    let summaries: Vec<_> = records.iter().map(|record| summary(record)).collect();
    let mut answer = json!({ list: summaries });
    if let Some(Serial(last)) = next {
        answer["NextToken"] = last.to_string().into();
    }
    Ok(Some(answer))
}

fn query(fields: &mut Fields) -> Result<Query, ApiError> {
    fields.ignore_if("SortBy", &json!("CreationTime"));
    fields.ignore_if("SortOrder", &json!("Descending"));
    let limit = fields.integer("MaxResults")?.unwrap_or(DEFAULT_LIMIT);
    if !(1..=LARGEST_LIMIT).contains(&limit) {
        let rule = format!("Member must have value between 1 and {LARGEST_LIMIT}");
        return Err(fields.violation("MaxResults", &limit.to_string(), &rule));
    }
    Ok(Query {
        name_contains: fields.string("NameContains")?.unwrap_or_default(),
        limit: usize::try_from(limit).expect("the limit is between 1 and 100"),
        before: fields.string("NextToken")?.as_deref().map(token).transpose()?,
    })
}

fn token(text: &str) -> Result<Serial, ApiError> {
    let invalid = || ApiError::validation("NextToken is not one that this host gave out");
    text.parse().map(Serial).map_err(|_| invalid())
}
