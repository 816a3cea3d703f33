//! As much of records as the comparison knows of.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use bytes::Bytes;

/// Where a record stands.
#[derive(Debug)]
pub(crate) struct Place;

/// What came back of a call.
#[derive(Debug, PartialEq)]
pub(crate) struct Reply {
    pub(crate) answer: Result<Answer, String>,
    pub(crate) latency_us: Option<u64>,
}

/// An answer.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: Option<String>,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Bytes,
}

impl Display for Place {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("somewhere")
    }
}
