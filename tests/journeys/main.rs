//! Journeys across real processes: the built binary, sockets, containers, Python and Java.

#![expect(clippy::unwrap_used, reason = "a step that fails is to end its test")]

mod support;
mod proxy;
mod recording;
mod interference;
mod collector;

mod review;
mod options;
mod policy;
mod stream;
mod keys;
mod failure;
mod sagemaker;
mod protocol;
mod traces;
mod runtime;
mod migration;
mod deploy;
mod cuts;
mod watch;
mod aws;
mod access;
mod claims;
