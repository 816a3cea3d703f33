//! A container whose log and answers are kept.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Container, model_container};

pub(crate) struct Observed {
    container: Container,
    log: JoinHandle<String>,
}

/// What a container logged until its end.
pub(crate) struct Log(String);

/// An answer with its headers.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    head: String,
    pub(crate) body: String,
}

impl Observed {
    /// Starts a container with these settings and waits until it is ready.
    pub(crate) fn start(model_dir: &Path, settings: impl FnOnce(&mut Command)) -> Self {
        let mut command = model_container();
        command.args(["serve", "--listen", "127.0.0.1:0", "--model-dir"]).arg(model_dir);
        settings(&mut command);
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = process.stderr.take().unwrap();
        let log = std::thread::spawn(move || {
            let mut log = String::new();
            stderr.read_to_string(&mut log).unwrap();
            log
        });
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on http://").unwrap().to_owned();
        let observed = Self { container: Container { process, address }, log };
        let deadline = Instant::now() + Duration::from_secs(30);
        while observed.get("/ping", &[]).status != 200 {
            assert!(Instant::now() < deadline, "the container was never ready");
            std::thread::sleep(Duration::from_millis(5));
        }
        observed
    }

    pub(crate) fn get(&self, path: &str, headers: &[&str]) -> Answer {
        self.send(&format!("GET {path}"), headers, b"")
    }

    /// Posts a plain text.
    pub(crate) fn post(&self, headers: &[&str], text: &[u8]) -> Answer {
        let headers = [headers, &["content-type: text/plain"]].concat();
        self.send("POST /invocations", &headers, text)
    }

    fn send(&self, target: &str, headers: &[&str], body: &[u8]) -> Answer {
        let length = body.len();
        let mut head = format!("{target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n");
        for header in headers {
            head += &format!("{header}\r\n");
        }
        head += &format!("content-length: {length}\r\n\r\n");
        let mut stream = TcpStream::connect(&self.container.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        Answer::parse(&answer)
    }

    /// Ends the container in order, and gives its log.
    pub(crate) fn stop(mut self) -> Log {
        Command::new("kill").arg(self.container.process.id().to_string()).status().unwrap();
        assert!(self.container.process.wait().unwrap().success());
        Log(self.log.join().unwrap())
    }

    /// Ends the container at once, whatever it does, and gives its log.
    pub(crate) fn kill(self) -> Log {
        drop(self.container);
        Log(self.log.join().unwrap())
    }
}

impl Answer {
    fn parse(answer: &str) -> Self {
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let (head, body) = (head.to_owned(), body.to_owned());
        let mut answer = Self { status, content_type: String::new(), head, body };
        answer.content_type = answer.header("content-type").unwrap_or_default().to_owned();
        answer
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.head.lines().filter_map(|line| line.split_once(": "));
        headers.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Log {
    /// The fields of the last line with this message, with its level among them.
    pub(crate) fn line(&self, message: &str) -> Value {
        let lines = self.0.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let mut found = lines.filter(|line| line["fields"]["message"] == message);
        let line = found.next_back().unwrap_or_else(|| panic!("no `{message}` in: {}", self.0));
        let mut fields = line["fields"].clone();
        fields["level"] = line["level"].clone();
        fields
    }

    pub(crate) fn count(&self, part: &str) -> usize {
        self.0.lines().filter(|line| line.contains(part)).count()
    }
}
