//! The router over real sockets, with a stand-in for SageMaker's runtime behind it.

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
