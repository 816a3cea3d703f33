//! What one look at the place of uploads shows, and what keeps an upload from being deployed.

use crate::archive::MAX_BYTES;
use crate::s3;
use crate::source::{Form, advice, is_other_archive};

/// An upload, as one look saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sighting {
    /// The name of the file, folder or object.
    pub(super) key: String,
    /// The model's name: the key without its ending.
    pub(super) name: String,
    /// Another one whenever the content may be another.
    pub(super) stamp: String,
    /// Another one whenever it may have been put there anew, though with the same content: a new
    /// owner, mode or link makes a new stamp alone.
    pub(super) put: String,
    /// When the content was written or put there, in milliseconds since 1970.
    pub(super) modified_ms: i64,
    /// What it is.
    pub(super) kind: Kind,
}

/// What an upload is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// A file or folder, of which more may still be to come.
    Growing,
    /// An object, which appears only when it is complete.
    Whole,
    /// Something that can't be a model.
    Unfit(String),
    /// An archive that nobody unpacks, which whoever is putting it there may still rename.
    Misnamed(String),
    /// A file that may be there for any other reason, and why it is taken for no model.
    Foreign(String),
}

/// Why an upload is not deployed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It was deleted or changed meanwhile; the next look tells.
    Gone,
    /// It is not fit to be served.
    Fault(String),
    /// The platform could not do it; it may later.
    Later(String),
}

impl Trouble {
    /// The same with another text in place of each `from` in its reason.
    pub(super) fn replace(self, from: &str, to: &str) -> Self {
        match self {
            Self::Gone => Self::Gone,
            Self::Fault(reason) => Self::Fault(reason.replace(from, to)),
            Self::Later(reason) => Self::Later(reason.replace(from, to)),
        }
    }
}

impl From<s3::Error> for Trouble {
    fn from(error: s3::Error) -> Self {
        match error {
            s3::Error::Missing { .. } | s3::Error::Changed { .. } => Self::Gone,
            s3::Error::TooLarge { .. } => Self::Fault(error.to_string()),
            _ => Self::Later(error.to_string()),
        }
    }
}

/// The name of the model in a file of this name, where it can be one.
pub(super) fn model_of_file(key: &str) -> Option<&str> {
    let (name, _) = Form::of(key)?;
    (!name.starts_with('.')).then_some(name)
}

/// What is to be said of a file whose name is not that of a model.
pub(super) fn misnamed(key: &str) -> Kind {
    let kind = if is_other_archive(key) { Kind::Misnamed } else { Kind::Foreign };
    kind(advice(key))
}

/// Whether a name is that of a file still under way, or of the watcher's own.
pub(super) fn is_passed_over(key: &str) -> bool {
    let ending = key.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    key.starts_with('.')
        || key.ends_with('~')
        || [QUARANTINE, "watch.json", "watch.json.new"].contains(&key)
        || ending.is_some_and(|ending| UNDER_WAY.contains(&&*ending))
}

/// How programs end the name of a file that they have not yet written to its end.
const UNDER_WAY: [&str; 14] = [
    "part",
    "partial",
    "tmp",
    "temp",
    "crdownload",
    "filepart",
    "download",
    "opdownload",
    "upload",
    "uploading",
    "incomplete",
    "aria2",
    "swp",
    "lock",
];

/// Where uploads go that failed.
pub(super) const QUARANTINE: &str = "quarantine";
/// The reason not to take what is larger.
pub(super) fn too_large() -> String {
    format!("it is larger than {} GiB", MAX_BYTES >> 30)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_that_of_a_model_without_the_ending() {
        assert_eq!(model_of_file("spam.model"), Some("spam"));
        assert_eq!(model_of_file("spam-de.tar.gz"), Some("spam-de"));
        assert_eq!(model_of_file("spam.v2.onnx"), Some("spam.v2"));
        assert_eq!(model_of_file("SPAM.MODEL"), Some("SPAM"));
        assert_eq!(model_of_file("spam.Onnx"), Some("spam"));
        assert_eq!(model_of_file("spam.tgz"), Some("spam"));
        assert_eq!(model_of_file("spam.TAR.gz"), Some("spam"));
        for key in ["spam", "spam.gz", "späm", ".model", "spam.model.part", "readme.txt", "..onnx"]
        {
            assert_eq!(model_of_file(key), None, "{key}");
        }
    }

    #[test]
    fn a_file_under_way_is_passed_over() {
        for key in ["spam.model.part", "spam.onnx.TMP", ".spam.zip", "quarantine", "x.crdownload"] {
            assert!(is_passed_over(key), "{key}");
        }
        assert!(!is_passed_over("spam.model") && !is_passed_over("parts.model"));
    }
}
