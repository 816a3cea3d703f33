//! Calls to URLs that users have written into the options, which must not reach what only this
//! machine should.
//!
//! Addresses are looked at twice: when a URL is written, and at every connection, after its name
//! was resolved, since a name may mean another address by then. Redirects are not followed.

pub(crate) mod address;
pub(crate) mod guard;
pub(crate) mod url;
mod origin;
pub(crate) mod client;
mod fault;
mod pool;
mod connector;

pub(crate) use client::HttpClient;
pub(crate) use fault::Fault;
pub(crate) use guard::Guard;
pub(crate) use url::OutboundUrl;
