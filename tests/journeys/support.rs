//! Starts the built binary and talks to it over real sockets.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

/// How long one server may take in a test.
const PATIENCE: Duration = Duration::from_secs(240);

/// The built binary.
pub(crate) fn gatehouse() -> Command {
    Command::new(env!("CARGO_BIN_EXE_gatehouse"))
}

/// A file or folder of the repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path).canonicalize().unwrap()
}

/// The Python that `tests/install-tools` set up.
pub(crate) fn python() -> Command {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/python/bin/python");
    assert!(python.exists(), "run `make tools` first: there is no {}", python.display());
    Command::new(python)
}

/// moto's server, which plays S3.
pub(crate) fn moto() -> Command {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/moto/bin/python");
    assert!(python.exists(), "run `make tools` first: there is no {}", python.display());
    let mut server = Command::new(python);
    server.arg(repository("tests/moto-server"));
    server
}

/// Runs a command with `input` on its standard input, to its end.
pub(crate) fn run(command: &mut Command, input: &[u8]) -> Output {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        // Written beside the reading: a command may answer before it has read everything.
        scope.spawn(move || stdin.write_all(input));
        child.wait_with_output().unwrap()
    })
}

/// A server process that prints where it listens; stopped with SIGTERM when dropped.
pub(crate) struct Server {
    pub(crate) process: Child,
    output: BufReader<ChildStdout>,
    /// Dropped with the server; until then a hanging test is ended in time.
    _watch: Sender<()>,
}

impl Server {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let (watch, ended) = mpsc::channel();
        let pid = process.id();
        std::thread::spawn(move || {
            if ended.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                signal("KILL", pid);
            }
        });
        Self { process, output, _watch: watch }
    }

    /// Reads standard output up to the line that starts with `start`, and returns its rest.
    pub(crate) fn line(&mut self, start: &str) -> String {
        let mut lines = String::new();
        loop {
            let from = lines.len();
            assert_ne!(self.output.read_line(&mut lines).unwrap(), 0, "it ended after: {lines}");
            if let Some(rest) = lines[from..].strip_prefix(start) {
                return rest.trim().to_owned();
            }
        }
    }

    /// All that is left of standard output, once the server has ended.
    pub(crate) fn rest(&mut self) -> String {
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        rest
    }

    /// The processes that it started; they may belong to any of its threads.
    pub(crate) fn children(&self) -> Vec<u32> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.process.id())).unwrap();
        let children =
            tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("children")));
        let children: String = children.map(Result::unwrap_or_default).collect();
        children.split_whitespace().map(|child| child.parse().unwrap()).collect()
    }

    pub(crate) fn terminate(&self) {
        signal("TERM", self.process.id());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.process.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.terminate();
        }
        // What is not read could keep the process from ending.
        let _ = self.output.read_to_end(&mut Vec::new());
        let _ = self.process.wait();
    }
}

pub(crate) fn signal(name: &str, process: u32) {
    let status = Command::new("kill").args(["-s", name, &process.to_string()]).status().unwrap();
    assert!(status.success(), "process {process} is gone");
}

/// `gatehouse dev` with everything in place.
pub(crate) struct Platform {
    pub(crate) server: Server,
    pub(crate) router: String,
    pub(crate) host: String,
    data: TempDir,
}

impl Platform {
    pub(crate) fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap())
    }

    /// Stops the platform, and starts it anew on the same data.
    pub(crate) fn restart(self) -> Self {
        let Self { server, data, .. } = self;
        drop(server);
        Self::start_in(data)
    }

    fn start_in(data: TempDir) -> Self {
        let mut dev = gatehouse();
        // A proxy of the user's must not come between the platform's own parts.
        dev.env("HTTP_PROXY", "http://127.0.0.1:1").env("http_proxy", "http://127.0.0.1:1");
        dev.args(["dev", "--listen", "127.0.0.1:0", "--host-listen", "127.0.0.1:0"]);
        dev.arg("--data").arg(data.path()).arg("--examples").arg(repository("examples"));
        let mut server = Server::start(&mut dev);
        let router = server.line("router listening on ");
        let host = server.line("endpoint host listening on ");
        server.line("Try one of your own");
        Self { server, router, host, data }
    }

    /// The folder of its database and models.
    pub(crate) fn data(&self) -> &Path {
        self.data.path()
    }

    /// The verdict on a text.
    pub(crate) fn verdict(&self, client: &str, text: &str) -> Value {
        let content = json!({"client": client, "content_id": "c-1", "fields": {"text": text}});
        self.post("/v1/moderate", "application/json", &content.to_string()).json()
    }

    pub(crate) fn post(&self, path: &str, content_type: &str, body: &str) -> Answer {
        send(&self.router, "POST", path, &[("content-type", content_type)], body)
    }

    /// Replaces the options of a scope, whatever they were.
    pub(crate) fn put_scope(&self, scope: &str, change: impl FnOnce(&mut Value)) -> Answer {
        let path = format!("/v1/scopes/{scope}");
        let found = send(&self.router, "GET", &path, &[], "");
        let mut document = found.json();
        change(&mut document);
        let headers = [("content-type", "application/json"), ("if-match", found.etag.as_str())];
        send(&self.router, "PUT", &path, &headers, document.to_string())
    }
}

/// AWS's S3 and SageMaker as moto plays them, in a process of its own with nothing in it.
pub(crate) struct Moto {
    pub(crate) url: String,
    _server: Server,
}

impl Moto {
    pub(crate) fn start() -> Self {
        let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/moto/bin/python");
        assert!(python.exists(), "run `make tools` first: there is no {}", python.display());
        // Standard error gets a line for every request.
        let mut server = Command::new(python);
        server.arg(repository("tests/moto-server")).stderr(Stdio::null());
        // The endpoint host's account, so that its ARNs are moto's as well.
        server.env("MOTO_ACCOUNT_ID", "000000000000");
        let mut server = Server::start(&mut server);
        Self { url: server.line("moto listening on "), _server: server }
    }

    /// Points a command at this server for S3.
    pub(crate) fn serve(&self, command: &mut Command) {
        command.env("AWS_ENDPOINT_URL_S3", &self.url).env("AWS_REGION", "us-east-1");
        command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
    }

    /// Objects are private, but moto takes any signature.
    const SIGNED: (&str, &str) = (
        "authorization",
        "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, \
         SignedHeaders=host, Signature=0",
    );

    /// Makes a bucket (`/bucket`) or puts an object (`/bucket/key`).
    pub(crate) fn put(&self, path: &str, body: impl AsRef<[u8]>) {
        let answer = send(&self.url, "PUT", path, &[Self::SIGNED], body);
        assert!((200..300).contains(&answer.status), "{answer:?}");
    }

    /// The text of an object.
    pub(crate) fn get(&self, path: &str) -> String {
        let answer = send(&self.url, "GET", path, &[Self::SIGNED], "");
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body
    }
}

/// A response, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) etag: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// One HTTP/1.0 exchange: the server closes the connection after its answer.
pub(crate) fn send(
    url: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: impl AsRef<[u8]>,
) -> Answer {
    let body = body.as_ref();
    let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut request = format!(
        "{method} {path} HTTP/1.0\r\nhost: 127.0.0.1\r\ncontent-length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    stream.write_all(&[request.as_bytes(), b"\r\n", body].concat()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").expect("a whole response");
    let mut headers = head.lines().filter_map(|line| line.split_once(": "));
    let etag = headers.find(|(name, _)| name.eq_ignore_ascii_case("etag"));
    Answer {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        etag: etag.map(|(_, etag)| etag.to_owned()).unwrap_or_default(),
        body: body.to_owned(),
    }
}
