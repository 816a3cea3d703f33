//! Journeys across real processes: the built binary, sockets, containers, Python and Java.

mod support;

mod review;
mod options;
mod stream;
mod failure;
mod sagemaker;
mod migration;
