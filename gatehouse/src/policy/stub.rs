//! A router of a test: it records what it is sent, and answers what it was told to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::{fs, thread};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::Place;

/// The router; it ends with its last answer.
pub(super) struct Stub {
    url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// A request.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    /// Such as `GET /v1/policy/documents HTTP/1.1`, and the headers below.
    pub(super) head: String,
    /// Null where there is none.
    pub(super) body: Value,
}

impl Stub {
    /// Gives these answers, one after the other.
    pub(super) fn answering(answers: Vec<(u16, Value)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let record = Arc::clone(&asked);
        thread::spawn(move || {
            for (status, body) in answers {
                let (stream, _) = listener.accept().unwrap();
                record.lock().unwrap().push(exchange(stream, status, &body));
            }
        });
        Self { url, asked }
    }

    /// The command line's words for this router and a folder.
    pub(super) fn place(&self, folder: &TempDir) -> Place {
        Place { folder: folder.path().to_owned(), router: self.url.clone() }
    }

    /// Where it listens.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// What it was sent until now.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

fn exchange(stream: TcpStream, status: u16, body: &Value) -> Asked {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while reader.read_line(&mut head).unwrap() > 2 {}
    let head = head.to_ascii_lowercase();
    let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
    let mut sent = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    reader.read_exact(&mut sent).unwrap();
    let body = body.to_string();
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    reader.into_inner().write_all(answer.as_bytes()).unwrap();
    Asked { head, body: serde_json::from_slice(&sent).unwrap_or_default() }
}

/// The answer with all documents in force at version 7.
pub(super) fn in_force(documents: &Value) -> (u16, Value) {
    (200, json!({"version": 7, "documents": documents}))
}

/// A folder with these files.
pub(super) fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        put(&folder, path, text);
    }
    folder
}

/// Writes a file below a folder.
pub(super) fn put(folder: &TempDir, path: &str, text: impl AsRef<[u8]>) {
    let path = folder.path().join(path);
    fs::create_dir_all(path.parent().unwrap_or(Path::new(""))).unwrap();
    fs::write(path, text).unwrap();
}
