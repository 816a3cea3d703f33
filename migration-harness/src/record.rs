//! Captured calls: what one looks like, and how a file of them is read line by line.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::stream::{self, Stream};
use serde::Deserialize;
use tokio::fs::File;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

use crate::error::Error;

/// The one version of the record form that is known.
const SCHEMA_VERSION: u32 = 1;
/// The longest line that is read; several times the largest call that SageMaker takes.
const MAX_LINE_BYTES: usize = 64 << 20;

/// One captured call.
#[derive(Debug, Deserialize)]
pub(crate) struct Record {
    /// The version of this form: 1.
    pub(crate) schema_version: u32,
    /// Names the call in reports.
    pub(crate) id: String,
    /// The model that was called.
    pub(crate) model: String,
    /// On whose behalf, where that is known.
    pub(crate) client: Option<String>,
    /// What was sent.
    pub(crate) request: Request,
    /// What came back; none for a call that got no answer.
    pub(crate) response: Option<Response>,
}

/// The request of a captured call.
#[derive(Debug, Deserialize)]
pub(crate) struct Request {
    /// The HTTP method.
    pub(crate) method: String,
    /// Path and query.
    pub(crate) path: String,
    /// The `Content-Type` header, where there was one.
    pub(crate) content_type: Option<String>,
    /// The other headers that were captured.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    /// The body and how it is written down.
    #[serde(flatten)]
    pub(crate) body: Body,
}

/// The answer of a captured call.
#[derive(Debug, Deserialize)]
pub(crate) struct Response {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The `Content-Type` header, where there was one.
    pub(crate) content_type: Option<String>,
    /// The body and how it is written down.
    #[serde(flatten)]
    pub(crate) body: Body,
}

/// A body's bytes, written down as text or base64.
#[derive(Debug, Deserialize)]
#[serde(try_from = "WrittenBody")]
pub(crate) struct Body(pub(crate) Bytes);

#[derive(Deserialize)]
struct WrittenBody {
    body: String,
    encoding: Encoding,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Encoding {
    Utf8,
    Base64,
}

impl TryFrom<WrittenBody> for Body {
    type Error = String;

    fn try_from(written: WrittenBody) -> Result<Self, String> {
        match written.encoding {
            Encoding::Utf8 => Ok(Self(written.body.into())),
            Encoding::Base64 => match STANDARD.decode(written.body) {
                Ok(bytes) => Ok(Self(bytes.into())),
                Err(error) => Err(format!("`body` is not base64: {error}")),
            },
        }
    }
}

/// A record and its place in the file.
#[derive(Debug)]
pub(crate) struct Numbered {
    /// The line's number, from 1.
    pub(crate) line: u64,
    /// The call.
    pub(crate) record: Record,
}

/// The records of the JSON-lines file `path`, in its order; blank lines are passed over.
///
/// # Errors
/// When the file can't be opened. The stream ends in an error at the first line that is no record.
pub(crate) async fn read(
    path: &Path,
) -> Result<impl Stream<Item = Result<Numbered, Error>>, Error> {
    let file = File::open(path).await.map_err(Error::file(path))?;
    let lines = Lines { reader: BufReader::new(file), path: path.to_owned(), line: 0 };
    Ok(stream::try_unfold(lines, |mut lines| async {
        Ok(lines.next().await?.map(|record| (record, lines)))
    }))
}

struct Lines {
    reader: BufReader<File>,
    path: PathBuf,
    line: u64,
}

impl Lines {
    async fn next(&mut self) -> Result<Option<Numbered>, Error> {
        let mut text = Vec::new();
        while text.trim_ascii().is_empty() {
            text.clear();
            self.line += 1;
            let mut line = (&mut self.reader).take(MAX_LINE_BYTES as u64 + 1);
            let read = line.read_until(b'\n', &mut text).await.map_err(Error::file(&self.path))?;
            if read == 0 {
                return Ok(None);
            }
        }
        if text.len() > MAX_LINE_BYTES {
            return Err(self.fault(format!("the line is longer than {MAX_LINE_BYTES} bytes")));
        }
        let record: Record =
            serde_json::from_slice(&text).map_err(|error| self.fault(error.to_string()))?;
        if record.schema_version != SCHEMA_VERSION {
            let version = record.schema_version;
            return Err(self.fault(format!("`schema_version` {version} is not known")));
        }
        Ok(Some(Numbered { line: self.line, record }))
    }

    fn fault(&self, reason: String) -> Error {
        Error::Record { path: self.path.clone(), line: self.line, reason }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;
    use futures_util::TryStreamExt;

    use super::*;

    const CALL: &str = r#"{"schema_version": 1, "id": "a", "captured_at": "2026-11-21T10:00:00.123456Z", "model": "spam", "request": {"method": "POST", "path": "/score/spam", "content_type": "text/plain", "body": "aMOp", "encoding": "base64", "later": 1}, "response": null, "error": "timed out", "unknown": {}}"#;

    async fn read_text(text: &str) -> Result<Vec<Numbered>, Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("records.jsonl");
        std::fs::write(&path, text).unwrap();
        read(&path).await?.try_collect().await
    }

    #[tokio::test]
    async fn a_record_is_read_with_unknown_fields_and_without_an_answer() {
        let records = read_text(&format!("\n{CALL}\n  \n{CALL}")).await.unwrap();
        assert_eq!(records.iter().map(|r| r.line).collect::<Vec<_>>(), [2, 4]);
        let record = &records[0].record;
        assert_eq!(record.request.body.0, "hé");
        assert!(record.client.is_none() && record.response.is_none());
    }

    #[tokio::test]
    async fn a_line_that_is_no_record_is_named_by_file_and_line() {
        for (bad, reason) in [
            ("{", "EOF"),
            (&CALL.replace("aMOp", "a?"), "base64"),
            (&CALL.replace(r#"version": 1"#, r#"version": 2"#), "`schema_version` 2"),
            (&CALL.replace("base64", "latin1"), "latin1"),
        ] {
            let error =
                read_text(&format!("{CALL}\n{bad}\n{CALL}\n")).await.unwrap_err().to_string();
            assert!(error.contains("records.jsonl:2: ") && error.contains(reason), "{error}");
        }
    }

    #[tokio::test]
    async fn records_before_a_bad_line_are_given() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("records.jsonl");
        std::fs::write(&path, format!("{CALL}\nnonsense\n")).unwrap();
        let read: Vec<_> = read(&path).await.unwrap().collect().await;
        assert!(read.len() == 2 && read[0].is_ok() && read[1].is_err());
    }

    #[tokio::test]
    async fn a_missing_file_is_named() {
        let error = read(Path::new("no/such.jsonl")).await.err().unwrap();
        assert!(error.to_string().contains("`no/such.jsonl`"), "{error}");
    }
}
