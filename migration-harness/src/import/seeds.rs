//! What each fuzz target does with its bytes: the reading, and what must hold whatever they are.
//! Every seed is taken through the same functions by a test.

use std::path::Path;

use super::call::{Call, Found, MAX_BYTES, Take};
use super::columns::{Assignment, Field};
use super::csv_file::{self, Layout};
use super::row::Defaults;
use super::{data_capture, gor, har, json_lines, parquet_file};
use crate::error::Error;

/// Bytes as SageMaker Data Capture.
pub(crate) fn read_data_capture(bytes: &[u8]) {
    let path = Path::new("spam/AllTraffic/2026/11/21/10/a.jsonl");
    feed(|take| data_capture::read(path, &mut &*bytes, take));
}

/// Bytes as `.gor`.
pub(crate) fn read_gor(bytes: &[u8]) {
    feed(|take| gor::read(&mut &*bytes, take));
}

/// Bytes as an HTTP archive.
pub(crate) fn read_har(bytes: &[u8]) {
    feed(|take| har::read(&mut &*bytes, take));
}

/// Bytes as a table of comma-separated values, read with and without `--fields`.
pub(crate) fn read_csv(bytes: &[u8]) {
    for members in [&[][..], &["text".to_owned()]] {
        feed(|take| csv_file::read(&layout(members), &mut &*bytes, take));
    }
}

/// Bytes as JSON lines, as records and with a map.
pub(crate) fn read_json_lines(bytes: &[u8]) {
    let at = |field, name: &str| Assignment { field, name: name.to_owned() };
    let map = [at(Field::Body, "/a/0"), at(Field::Response, ""), at(Field::CapturedAt, "/t~1")];
    feed(|take| json_lines::read_records(&mut &*bytes, take));
    feed(|take| json_lines::read(&map, &layout(&[]).defaults, &mut &*bytes, take));
}

/// Bytes as a Parquet file.
pub(crate) fn read_parquet(bytes: &[u8]) {
    let file = bytes::Bytes::copy_from_slice(bytes);
    feed(|take| parquet_file::read(&layout(&[]), file, take));
}

fn layout(members: &[String]) -> Layout {
    let defaults = Defaults { path: "/invocations".to_owned(), content_type: None };
    Layout { delimiter: None, columns: Vec::new(), members: members.to_vec(), defaults }
}

/// Whatever is found has a place; whatever becomes a call can be a record.
fn feed(read: impl FnOnce(&mut Take<'_>) -> Result<(), Error>) {
    let mut take = |line: u64, found: Found| {
        assert!(line > 0, "{found:?}");
        match found {
            Found::Call(call) => check(&call),
            Found::Bad(reason) | Found::Rest(reason) => assert!(!reason.is_empty()),
            Found::Record(_) | Found::Stray(_) => {}
        }
        Ok(())
    };
    assert!(read(&mut take).is_ok(), "only the taker ends a reading");
}

fn check(call: &Call) {
    let answer = call.reply.answer.as_ref().ok();
    let headers = answer.iter().flat_map(|answer| &answer.headers).chain(&call.request.headers);
    for (name, _) in headers {
        assert!(!name.starts_with(':') && *name == name.to_ascii_lowercase(), "{name}");
    }
    assert!(call.request.body.len() <= MAX_BYTES);
    assert!(answer.is_none_or(|answer| (100..1000).contains(&answer.status)), "{answer:?}");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds a target with all files of its folder, and with the first halves of them.
    fn feed_seeds(target: fn(&[u8]), folder: &str) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
        let seeds: Vec<_> = std::fs::read_dir(root.join(folder)).unwrap().collect();
        assert!(seeds.len() >= 3, "only {} seeds were found", seeds.len());
        for seed in seeds {
            let bytes = std::fs::read(seed.unwrap().path()).unwrap();
            target(&bytes);
            target(&bytes[..bytes.len() / 2]);
        }
    }

    #[test]
    fn no_bytes_make_a_reader_panic() {
        feed_seeds(read_data_capture, "import_data_capture");
        feed_seeds(read_gor, "import_gor");
        feed_seeds(read_har, "import_har");
        feed_seeds(read_csv, "import_csv");
        feed_seeds(read_json_lines, "import_json_lines");
        feed_seeds(read_parquet, "import_parquet");
    }
}
