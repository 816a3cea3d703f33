//! Journeys through a real host, real sockets and real container processes.

#[cfg(test)]
mod host;
#[cfg(test)]
mod access;
#[cfg(test)]
mod control_plane;
#[cfg(test)]
mod lists;
#[cfg(test)]
mod tags;
#[cfg(test)]
mod update;
#[cfg(test)]
mod restart;
#[cfg(test)]
mod invocation;
#[cfg(test)]
mod streaming;
#[cfg(test)]
mod capture;
#[cfg(test)]
mod metrics;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod scaling;
#[cfg(test)]
mod memory;
#[cfg(test)]
mod image;
