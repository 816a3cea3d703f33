//! Journeys through a real host, real sockets and real container processes.

#[cfg(test)]
mod host;
mod control_plane;
mod invocation;
mod lifecycle;
