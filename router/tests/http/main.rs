//! The router over real sockets, with a stand-in for SageMaker's runtime behind it, on SQLite.

/// What `postgres.rs` runs the same suite on.
#[cfg(test)]
const ON_POSTGRES: bool = false;

#[cfg(test)]
mod support;

#[cfg(test)]
mod suite;
