//! The suite of `main.rs` again, on PostgreSQL, and what happens while that is away, slow or new.

#[cfg(test)]
const ON_POSTGRES: bool = true;

#[cfg(test)]
mod support;

#[cfg(test)]
mod suite;

#[cfg(test)]
mod wire;
#[cfg(test)]
mod outages;
#[cfg(test)]
mod far;
#[cfg(test)]
mod servers;
#[cfg(test)]
mod spooling;
