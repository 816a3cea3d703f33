//! The router over real sockets, with a stand-in for SageMaker's runtime behind it, on SQLite.

/// What `postgres.rs` runs the same suite on.
#[cfg(test)]
const ON_POSTGRES: bool = false;

#[cfg(test)]
mod support;

#[cfg(test)]
mod verdicts;
#[cfg(test)]
mod failures;
#[cfg(test)]
mod options;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod streams;
#[cfg(test)]
mod storage;
#[cfg(test)]
mod permissions;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod outbound;
#[cfg(test)]
mod versions;
#[cfg(test)]
mod what_if;
#[cfg(test)]
mod routers;
#[cfg(test)]
mod description;
#[cfg(test)]
mod stages;
