//! The suite of `main.rs` again, on PostgreSQL.

#[cfg(test)]
const ON_POSTGRES: bool = true;

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
mod wire;
#[cfg(test)]
mod outages;
#[cfg(test)]
mod stages;
#[cfg(test)]
mod spooling;
