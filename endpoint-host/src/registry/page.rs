//! The orders in which records are listed, and pages of them: a page costs what it holds, however
//! many records there are.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Row;
use crate::record::Record;

/// Which records a list shall hold.
#[derive(Debug)]
pub(crate) struct Query {
    /// What they have in common.
    pub(crate) filter: Filter,
    /// How they are sorted.
    pub(crate) sort: Sort,
    /// At most so many.
    pub(crate) limit: usize,
    /// Only those behind this place: where the page before ended.
    pub(crate) behind: Option<Place>,
}

/// What listed records have in common.
#[derive(Debug, Default, Hash)]
pub(crate) struct Filter {
    /// A part of the name; empty for all.
    pub(crate) name_contains: String,
    /// When they were created.
    pub(crate) created: Window,
    /// When they last changed.
    pub(crate) modified: Window,
    /// Where they stand, in SageMaker's word.
    pub(crate) status: Option<String>,
}

/// A span of time in milliseconds since 1970.
#[derive(Debug, Default, Hash)]
pub(crate) struct Window {
    /// Where it begins; the instant itself belongs to it.
    pub(crate) after_ms: Option<i64>,
    /// Where it ends; the instant itself does not belong to it.
    pub(crate) before_ms: Option<i64>,
}

/// How a list is sorted.
#[derive(Clone, Copy, Debug, Hash)]
pub(crate) struct Sort {
    /// By what.
    pub(crate) by: SortBy,
    /// In which direction.
    pub(crate) order: SortOrder,
}

/// What a list can be sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum SortBy {
    /// The name.
    Name,
    /// The time of creation.
    CreationTime,
    /// Where an endpoint stands, then the time of its creation.
    Status,
}

/// The direction of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum SortOrder {
    /// The smallest first.
    Ascending,
    /// The largest first.
    Descending,
}

/// Where a record stands in one of the orders; there is no other in the same place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Place {
    /// Its name or its status, where that is what the list is sorted by.
    word: String,
    /// When it was created.
    time_ms: i64,
    /// Its serial number.
    serial: i64,
}

/// Records in all orders.
pub(super) struct Orders<T> {
    by_name: Order<T>,
    by_creation: Order<T>,
    by_status: Order<T>,
}

/// Records in one order.
type Order<T> = BTreeMap<Place, Arc<T>>;

impl<T: Record> Orders<T> {
    pub(super) fn add(&mut self, row: &Row<T>) {
        for by in SortBy::ALL {
            self.by(by).insert(by.place(row), Arc::clone(&row.record));
        }
    }

    pub(super) fn remove(&mut self, row: &Row<T>) {
        for by in SortBy::ALL {
            self.by(by).remove(&by.place(row));
        }
    }

    pub(super) fn page(&self, query: &Query) -> (Vec<Arc<T>>, Option<Place>) {
        let order = match query.sort.by {
            SortBy::Name => &self.by_name,
            SortBy::CreationTime => &self.by_creation,
            SortBy::Status => &self.by_status,
        };
        let end = query.behind.as_ref().map_or(Unbounded, Excluded);
        match query.sort.order {
            SortOrder::Ascending => cut(query, order.range((end, Unbounded))),
            SortOrder::Descending => cut(query, order.range((Unbounded, end)).rev()),
        }
    }

    fn by(&mut self, by: SortBy) -> &mut Order<T> {
        match by {
            SortBy::Name => &mut self.by_name,
            SortBy::CreationTime => &mut self.by_creation,
            SortBy::Status => &mut self.by_status,
        }
    }
}

/// The first records that fit the query, and the place of the last if more follow.
fn cut<'a, T: Record + 'a>(
    query: &Query,
    records: impl Iterator<Item = (&'a Place, &'a Arc<T>)>,
) -> (Vec<Arc<T>>, Option<Place>) {
    let mut fitting = records.filter(|(_, record)| query.filter.fits(record.as_ref()));
    let page: Vec<_> = fitting.by_ref().take(query.limit).collect();
    let more = fitting.next().is_some();
    let last = page.last().filter(|_| more).map(|(place, _)| Place::clone(place));
    (page.into_iter().map(|(_, record)| Arc::clone(record)).collect(), last)
}

impl SortBy {
    const ALL: [Self; 3] = [Self::Name, Self::CreationTime, Self::Status];

    fn place<T: Record>(self, row: &Row<T>) -> Place {
        let record = &row.record;
        let (time_ms, serial) = (milliseconds(record.creation_time()), row.serial);
        match self {
            Self::Name => Place { word: record.name().to_string(), time_ms: 0, serial: 0 },
            Self::CreationTime => Place { word: String::new(), time_ms, serial },
            Self::Status => Place { word: record.status_word().to_owned(), time_ms, serial },
        }
    }
}

impl Filter {
    fn fits(&self, record: &impl Record) -> bool {
        record.name().as_str().contains(&self.name_contains)
            && self.created.holds(record.creation_time())
            && self.modified.holds(record.last_modified_time())
            && self.status.as_ref().is_none_or(|status| status == record.status_word())
    }
}

impl Window {
    fn holds(&self, seconds: f64) -> bool {
        let time_ms = milliseconds(seconds);
        self.after_ms.is_none_or(|after| time_ms >= after)
            && self.before_ms.is_none_or(|before| time_ms < before)
    }
}

/// Seconds since 1970 in whole milliseconds, as they were before they became seconds.
fn milliseconds(seconds: f64) -> i64 {
    (seconds * 1000.0).round() as i64
}

impl<T> Default for Orders<T> {
    fn default() -> Self {
        Self { by_name: Order::new(), by_creation: Order::new(), by_status: Order::new() }
    }
}
