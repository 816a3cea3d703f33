//! Reads contents line by line and fills in the client, without touching anything else.

use std::fs::{File, Metadata};
use std::io::{self, BufRead, Read};
use std::os::fd::AsFd;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;
use tokio::sync::mpsc::Sender;

/// Longer lines are handed on in pieces as they are: the router refuses them in their place.
const MAX_LINE_BYTES: u64 = 2 << 20;

/// How large standard input is, where it is a file.
pub(super) fn size_bytes() -> Option<u64> {
    let input = File::from(io::stdin().as_fd().try_clone_to_owned().ok()?);
    input.metadata().ok().filter(Metadata::is_file).map(|metadata| metadata.len())
}

/// Where lines go.
pub(super) struct Outlet {
    /// To the router; what it has not taken yet waits here.
    pub(super) lines: Sender<Bytes>,
    /// How far into the input each line that will be answered ends.
    pub(super) ends: std::sync::mpsc::Sender<u64>,
}

/// Sends every line on, until the input or the receiver ends; returns how many were not blank.
pub(super) fn read(mut input: impl BufRead, client: &str, outlet: &Outlet) -> io::Result<u64> {
    let mut sent = 0;
    let mut end = 0;
    let mut is_start = true;
    loop {
        let mut piece = Vec::new();
        let read = input.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut piece)? as u64;
        if read == 0 {
            return Ok(sent);
        }
        end += read;
        let is_whole = piece.ends_with(b"\n") || read < MAX_LINE_BYTES;
        if is_start && !piece.trim_ascii().is_empty() {
            sent += 1;
            // Nobody listens once the answers have ended.
            let _ = outlet.ends.send(end);
        }
        if is_whole && is_start {
            with_client(&mut piece, client);
        }
        is_start = is_whole;
        if outlet.lines.blocking_send(Bytes::from(piece)).is_err() {
            return Ok(sent);
        }
    }
}

/// What is needed of a content to know whether it names its client.
#[derive(Deserialize)]
struct Content {
    client: Option<IgnoredAny>,
}

/// Splices the client in as the first member of an object that has none.
///
/// Anything else goes on as it is: the router's answer says what is wrong with it.
fn with_client(line: &mut Vec<u8>, client: &str) {
    if !line.ends_with(b"\n") {
        line.push(b'\n');
    }
    let Some(start) = line.iter().position(|byte| !byte.is_ascii_whitespace()) else { return };
    let lacks_client = matches!(serde_json::from_slice(line), Ok(Content { client: None }));
    if line[start] != b'{' || !lacks_client {
        return;
    }
    let is_empty = line[start + 1..].trim_ascii_start().starts_with(b"}");
    let comma = if is_empty { "" } else { "," };
    let member = format!("\"client\":{}{comma}", serde_json::Value::from(client));
    line.splice(start + 1..start + 1, member.into_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(input: &str) -> (u64, Vec<String>) {
        let (lines, mut receiver) = tokio::sync::mpsc::channel(100);
        let (ends, answered) = std::sync::mpsc::channel();
        let outlet = Outlet { lines, ends };
        let sent = read(input.as_bytes(), "ale \"house\"", &outlet).unwrap();
        drop(outlet);
        assert_eq!(answered.iter().count() as u64, sent);
        let received = std::iter::from_fn(|| receiver.blocking_recv());
        (sent, received.map(|line| String::from_utf8(line.to_vec()).unwrap()).collect())
    }

    #[test]
    fn the_client_is_spliced_in_only_where_it_is_missing() {
        let (sent, lines) =
            lines("{}\n {\"a\": 1}\n{\"client\": \"b\"}\n[1]\n{oops\n\n{\"a\":1,\"a\":2}");
        let expected = [
            "{\"client\":\"ale \\\"house\\\"\"}\n",
            " {\"client\":\"ale \\\"house\\\"\",\"a\": 1}\n",
            "{\"client\": \"b\"}\n",
            "[1]\n",
            "{oops\n",
            "\n",
            "{\"client\":\"ale \\\"house\\\"\",\"a\":1,\"a\":2}\n",
        ];
        assert_eq!((sent, lines), (6, expected.map(str::to_owned).to_vec()));
    }

    #[test]
    fn an_endless_line_goes_on_in_pieces_and_counts_once() {
        let long = "x".repeat(5 << 20);
        let (sent, lines) = lines(&format!("{long}\n{{}}\n"));
        assert_eq!((sent, lines.len()), (2, 4));
        assert_eq!(lines[..3].concat(), format!("{long}\n"));
    }
}
