//! The formats that can be imported, and how to tell them apart.

use std::path::Path;

use super::gor;

/// A format of captured calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Format {
    /// SageMaker Data Capture.
    DataCapture,
    /// GoReplay's `.gor`.
    Gor,
    /// An HTTP archive, as browsers and proxies write it.
    Har,
    /// A table of comma-separated values, or with another delimiter.
    Csv,
    /// JSON lines: records as they are, or of any shape with `--map`.
    JsonLines,
    /// A Parquet table: records as they are, or with columns of any names.
    Parquet,
}

impl Format {
    /// The format's name on the command line.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::DataCapture => "data-capture",
            Self::Gor => "gor",
            Self::Har => "har",
            Self::Csv => "csv",
            Self::JsonLines => "json-lines",
            Self::Parquet => "parquet",
        }
    }

    /// Guesses by what a file begins with, and by its name where that can't tell.
    pub(super) fn guess(path: &Path, start: &[u8]) -> Option<Self> {
        let text = start.trim_ascii_start();
        let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
        if start.starts_with(b"PAR1") {
            Some(Self::Parquet)
        } else if gor::is_header(line) {
            Some(Self::Gor)
        } else if text.starts_with(b"{") {
            Some(Self::of_object(text))
        } else {
            Self::of_name(path)
        }
    }

    fn of_object(text: &[u8]) -> Self {
        match first_member(text) {
            b"log" => Self::Har,
            b"captureData" | b"eventMetadata" | b"eventVersion" => Self::DataCapture,
            _ => Self::JsonLines,
        }
    }

    fn of_name(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?.to_ascii_lowercase();
        let name = name.strip_suffix(".gz").unwrap_or(&name);
        match name.rsplit_once('.')?.1 {
            "gor" => Some(Self::Gor),
            "har" => Some(Self::Har),
            "csv" | "tsv" => Some(Self::Csv),
            "jsonl" | "ndjson" | "json" => Some(Self::JsonLines),
            "parquet" => Some(Self::Parquet),
            _ => None,
        }
    }
}

/// The name of an object's first member, as it is written.
fn first_member(object: &[u8]) -> &[u8] {
    let inside = object[1..].trim_ascii_start();
    let name = inside.strip_prefix(b"\"").unwrap_or_default();
    name.split(|byte| *byte == b'"').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_told_by_its_beginning_before_its_name() {
        for (name, start, format) in [
            ("x.jsonl", "PAR1\u{15}", Some(Format::Parquet)),
            (
                "x.gz",
                "1 932079936fa4306fc308d67588178d17d823647c 1439818823587396305\nGET",
                Some(Format::Gor),
            ),
            ("x", " {\n \"log\": {", Some(Format::Har)),
            ("x.json", "{\"captureData\":{", Some(Format::DataCapture)),
            ("x.har", "{\"id\": 1}", Some(Format::JsonLines)),
            ("x.CSV.gz", "id,text\n", Some(Format::Csv)),
            ("x.gor", "", Some(Format::Gor)),
            ("x.txt", "id,text\n", None),
            ("x", "{", Some(Format::JsonLines)),
        ] {
            assert_eq!(Format::guess(Path::new(name), start.as_bytes()), format, "{name} {start}");
        }
    }
}
