//! One HTTP/1.1 connection that the task whose call is on it drives itself.
//!
//! A client for everything hands each request to a task of the connection's, its answer back, and makes
//! maps of all headers. Who makes tens of thousands of small calls a second spends more on that than on
//! all else in a call. Here a request is bytes that are written once, `httparse` reads the head of its
//! answer, of which the caller takes what it wants, and nothing outlives the exchange but a buffer.
//!
//! What is sent and understood is HTTP/1.1 as in RFC 9112, from the side of a client: answers with a
//! length, in chunks or up to the connection's end, and those that announce others. There are no
//! upgrades, no trailers, and no second request before the first is answered.

mod answer;
mod body;
mod connection;
mod error;
mod head;
mod request;

pub use connection::Connection;
pub use error::{Error, Unanswered};
pub use head::Head;
pub use request::Request;
