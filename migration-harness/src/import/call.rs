//! What the readers of foreign formats find in a file.

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::error::Error;
use crate::record::{Record, Reply, Request};

/// The longest line, row or entry that is read, and the longest body that is unpacked; as long as
/// a record may get.
pub(super) const MAX_BYTES: usize = 64 << 20;

/// A call as its format tells it; what is missing is settled later.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Call {
    /// Its name there.
    pub(super) id: Option<String>,
    /// When the request came.
    pub(super) captured_at: Option<Timestamp>,
    /// The model, where the format or its folder names it.
    pub(super) model: Option<String>,
    /// The client, where the format names it.
    pub(super) client: Option<String>,
    /// What was sent, with all headers there are; their names in lower case.
    pub(super) request: Request,
    /// What came back, the same.
    pub(super) reply: Reply,
    /// What else the format tells.
    pub(super) unknown: Map<String, Value>,
}

/// What stands somewhere in a file.
#[derive(Debug)]
pub(super) enum Found {
    /// A call.
    Call(Box<Call>),
    /// A record, which is taken as it is.
    Record(Box<Record>),
    /// Something that is no call, and why not. What follows is read, where that is possible.
    Bad(String),
    /// That what follows in the file can't be read, and why: the reading ends, and nobody knows how
    /// many calls there were.
    Rest(String),
    /// A part of a call that can't be used.
    Stray(Stray),
}

/// A part of a call that can't be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stray {
    /// A response whose request isn't there, or stands too far from it.
    Unrequested,
    /// A response to a replayed request.
    Replayed,
}

impl Found {
    /// A call, or why it is none.
    pub(super) fn of(call: Result<Call, String>) -> Self {
        match call {
            Ok(call) => Self::Call(Box::new(call)),
            Err(reason) => Self::Bad(reason),
        }
    }
}

/// Takes what is found, with its line, row or entry, from 1; its error ends the reading.
pub(super) type Take<'a> = dyn FnMut(u64, Found) -> Result<(), Error> + 'a;
