//! What a container prints: the address it listens on, and log lines.

mod log_line;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};
use tokio::process::{ChildStderr, ChildStdout};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::resource_name::ResourceName;
use log_line::LogLine;

/// Longer lines are broken up, so that a container cannot fill the host's memory.
const LINE_BYTES: u64 = 16 * 1024;

/// So many of the last lines are kept to explain a failure.
const TAIL_LINES: usize = 5;

/// So much of each of them is quoted.
const QUOTED_CHARS: usize = 300;

/// How long to wait for the last lines of a container that has ended; a process that it left
/// behind may hold the pipe open for ever.
const TAIL_WAIT: Duration = Duration::from_secs(1);

/// Reads both streams of one container until they end.
#[derive(Debug)]
pub(crate) struct Output {
    /// Gets what follows `listening on http://`.
    address: oneshot::Receiver<String>,
    /// The last lines of standard error.
    tail: Arc<Mutex<VecDeque<String>>>,
    /// Ends with standard error.
    reader: JoinHandle<()>,
}

impl Output {
    /// Starts reading, and forwards the lines to the host's log.
    pub(crate) fn read(endpoint: &ResourceName, stdout: ChildStdout, stderr: ChildStderr) -> Self {
        let tail = Arc::new(Mutex::new(VecDeque::new()));
        let (announce, address) = oneshot::channel();
        tokio::spawn(find_address(endpoint.clone(), stdout, announce));
        let reader = tokio::spawn(forward(endpoint.clone(), stderr, Arc::clone(&tail)));
        Self { address, tail, reader }
    }

    /// The address that the container announces; pends for ever if it never does.
    pub(crate) async fn address(&mut self) -> String {
        match (&mut self.address).await {
            Ok(address) => address,
            Err(_) => std::future::pending().await,
        }
    }

    /// The last lines of standard error, once the container has ended.
    pub(crate) async fn tail(&mut self) -> String {
        tokio::time::timeout(TAIL_WAIT, &mut self.reader).await.ok();
        self.tail_so_far()
    }

    /// The last lines of standard error until now.
    pub(crate) fn tail_so_far(&self) -> String {
        let tail = self.tail.lock().expect("keeping a line does not panic");
        tail.iter().map(String::as_str).collect::<Vec<_>>().join(" | ")
    }
}

async fn find_address(
    endpoint: ResourceName,
    stdout: ChildStdout,
    announce: oneshot::Sender<String>,
) {
    let mut announce = Some(announce);
    let mut lines = BufReader::new(stdout);
    while let Some(line) = next_line(&mut lines).await {
        match line
            .strip_prefix("listening on http://")
            .and_then(|rest| Some((rest, announce.take()?)))
        {
            Some((address, announce)) => drop(announce.send(address.to_owned())),
            None => tracing::debug!(target: "container", %endpoint, "{line}"),
        }
    }
}

async fn forward(endpoint: ResourceName, stderr: ChildStderr, tail: Arc<Mutex<VecDeque<String>>>) {
    let mut lines = BufReader::new(stderr);
    while let Some(line) = next_line(&mut lines).await {
        let line = LogLine::parse(line);
        line.forward(&endpoint);
        let mut tail = tail.lock().expect("keeping a line does not panic");
        tail.push_back(line.text.chars().take(QUOTED_CHARS).collect());
        if tail.len() > TAIL_LINES {
            tail.pop_front();
        }
    }
}

/// The next line, whatever its bytes are; nothing at the end.
async fn next_line(lines: &mut BufReader<impl AsyncRead + Unpin>) -> Option<String> {
    let mut line = Vec::new();
    let read = lines.take(LINE_BYTES).read_until(b'\n', &mut line).await;
    read.ok().filter(|bytes| *bytes > 0)?;
    Some(String::from_utf8_lossy(&line).trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn long_and_malformed_lines_are_read_to_the_end() {
        let mut bytes = vec![b'x'; LINE_BYTES as usize + 3];
        bytes.extend_from_slice(b"\n\xff\nlast");
        let mut lines = BufReader::new(bytes.as_slice());
        assert_eq!(next_line(&mut lines).await.unwrap().len(), LINE_BYTES as usize);
        assert_eq!(next_line(&mut lines).await.unwrap(), "xxx");
        assert_eq!(next_line(&mut lines).await.unwrap(), "\u{fffd}");
        assert_eq!(next_line(&mut lines).await.unwrap(), "last");
        assert_eq!(next_line(&mut lines).await, None);
    }
}
