//! Lists in pages: filters, orders, and tokens that lead from one page to the next.

use std::hash::{DefaultHasher, Hash, Hasher as _};

use serde_json::{Value, json};

use super::Request;
use super::fields::Fields;
use crate::api_error::ApiError;
use crate::record::Record;
use crate::registry::{Filter, Place, Query, Sort, SortBy, SortOrder, Table, Window};

/// What SageMaker returns when not told otherwise.
const DEFAULT_LIMIT: i64 = 10;

/// The most that SageMaker returns at once.
const LARGEST_LIMIT: i64 = 100;

/// The longest part of a name that can be asked for.
const NAME_CHARS: usize = 63;

/// What records without a status can be sorted by.
pub(super) const SORT_KEYS: [(&str, SortBy); 2] =
    [("Name", SortBy::Name), ("CreationTime", SortBy::CreationTime)];

/// What endpoints can be sorted by.
pub(super) const ENDPOINT_SORT_KEYS: [(&str, SortBy); 3] =
    [("Name", SortBy::Name), ("CreationTime", SortBy::CreationTime), ("Status", SortBy::Status)];

/// The statuses that SageMaker knows; endpoints here never have some of them.
const STATUSES: [&str; 9] = [
    "OutOfService",
    "Creating",
    "Updating",
    "SystemUpdating",
    "RollingBack",
    "InService",
    "Deleting",
    "Failed",
    "UpdateRollbackFailed",
];

/// One page of `table` under the name that SageMaker gives to the list.
pub(super) fn page<T: Record>(
    mut request: Request<'_>,
    table: &Table<T>,
    list: &str,
    summary: impl Fn(&T) -> Value,
) -> Result<Option<Value>, ApiError> {
    let query = query(&mut request.fields, T::KIND, &SORT_KEYS, Filter::default())?;
    request.fields.finish()?;
    Ok(Some(answer(table, &query, list, summary)))
}

/// One page of endpoints, which can be asked for by more.
pub(super) fn endpoints<T: Record>(
    mut request: Request<'_>,
    table: &Table<T>,
    summary: impl Fn(&T) -> Value,
) -> Result<Option<Value>, ApiError> {
    let fields = &mut request.fields;
    let status = fields.one_of("StatusEquals", &STATUSES.map(|status| (status, status)))?;
    let filter = Filter {
        modified: window(fields, "LastModifiedTime")?,
        status: status.map(str::to_owned),
        ..Filter::default()
    };
    let query = query(fields, T::KIND, &ENDPOINT_SORT_KEYS, filter)?;
    request.fields.finish()?;
    Ok(Some(answer(table, &query, "Endpoints", summary)))
}

fn answer<T: Record>(
    table: &Table<T>,
    query: &Query,
    list: &str,
    summary: impl Fn(&T) -> Value,
) -> Value {
    let (records, next) = table.page(query);
    let summaries: Vec<_> = records.iter().map(|record| summary(record)).collect();
    let mut answer = json!({ list: summaries });
    if let Some(place) = next {
        answer["NextToken"] = token(query, T::KIND, &place).into();
    }
    answer
}

fn query(
    fields: &mut Fields,
    kind: &str,
    keys: &[(&str, SortBy)],
    filter: Filter,
) -> Result<Query, ApiError> {
    let orders = [("Ascending", SortOrder::Ascending), ("Descending", SortOrder::Descending)];
    let by = fields.one_of("SortBy", keys)?.unwrap_or(SortBy::CreationTime);
    let order = fields.one_of("SortOrder", &orders)?.unwrap_or(SortOrder::Descending);
    let limit = fields.integer_within("MaxResults", 1, LARGEST_LIMIT)?.unwrap_or(DEFAULT_LIMIT);
    let filter = Filter {
        name_contains: part_of_name(fields)?,
        created: window(fields, "CreationTime")?,
        ..filter
    };
    let limit = usize::try_from(limit).expect("the limit is between 1 and 100");
    let mut query = Query { filter, sort: Sort { by, order }, limit, behind: None };
    if let Some(given) = fields.string("NextToken")? {
        query.behind = Some(place(&query, kind, &given)?);
    }
    Ok(query)
}

fn part_of_name(fields: &mut Fields) -> Result<String, ApiError> {
    let Some(part) = fields.text_within("NameContains", NAME_CHARS)? else {
        return Ok(String::new());
    };
    if part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Err(fields.mismatch("NameContains", &part, "[a-zA-Z0-9-]+"));
    }
    Ok(part)
}

fn window(fields: &mut Fields, time: &str) -> Result<Window, ApiError> {
    let after_ms = fields.time_ms(&format!("{time}After"))?;
    Ok(Window { after_ms, before_ms: fields.time_ms(&format!("{time}Before"))? })
}

/// Where the next page begins, and a check that it is a page of the same list.
fn token(query: &Query, kind: &str, place: &Place) -> String {
    let place = json!(place).to_string();
    let bytes: String = place.bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("{:016x}{bytes}", check(query, kind, &place))
}

fn place(query: &Query, kind: &str, token: &str) -> Result<Place, ApiError> {
    read_token(query, kind, token).ok_or_else(|| {
        ApiError::validation(
            "Invalid NextToken: it is none that this endpoint host gave out for this list; \
             repeat the filters and the order of the first page, or begin anew without it",
        )
    })
}

fn read_token(query: &Query, kind: &str, token: &str) -> Option<Place> {
    let (given, place) = token.split_at_checked(16)?;
    let bytes = place.as_bytes().chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(pair, 16).ok()
    });
    let place = String::from_utf8(bytes.collect::<Option<_>>()?).ok()?;
    let genuine = u64::from_str_radix(given, 16).ok()? == check(query, kind, &place);
    serde_json::from_str(&place).ok().filter(|_| genuine)
}

/// The same for the same list only; the size of its pages may change on the way.
fn check(query: &Query, kind: &str, place: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (kind, &query.filter, query.sort, place).hash(&mut hasher);
    hasher.finish()
}
