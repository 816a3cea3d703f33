//! What a document is about, which is also where its file stands in the folder.

use std::fmt;
use std::path::PathBuf;

/// `models/NAME`, `scopes/platform`, `scopes/client/NAME` and so on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Subject(String);

impl Subject {
    /// Refuses what the router has no place for.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let names = match text.split('/').collect::<Vec<_>>()[..] {
            ["scopes", "platform"] => vec![],
            ["models", name] | ["scopes", "industry" | "client", name] => vec![name],
            ["scopes", "client", name, "site", site] => vec![name, site],
            _ => return Err("is neither a model nor a scope".to_owned()),
        };
        match names.into_iter().find(|name| !is_name(name)) {
            None => Ok(Self(text.to_owned())),
            Some(name) => Err(format!(
                "`{name}` is not a name: use 1 to 63 letters, digits, `-` and `_`, beginning with \
                 a letter or digit"
            )),
        }
    }

    /// Its file below the folder.
    pub(super) fn file(&self) -> PathBuf {
        format!("{}.yaml", self.0).into()
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What the router takes as a name.
fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let begins_well = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    begins_well && text.len() <= 63 && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_its_place_in_the_folder() {
        let subjects = [
            "models/spam",
            "scopes/platform",
            "scopes/industry/beer",
            "scopes/client/a/site/en-GB",
        ];
        for text in subjects {
            let subject = Subject::parse(text).unwrap();
            assert_eq!(subject.file(), PathBuf::from(format!("{text}.yaml")));
        }
    }

    #[test]
    fn nothing_else_is_a_subject() {
        let others = [
            "",
            "models",
            "models/",
            "models/..",
            "models/a/b",
            "tests/a",
            "scopes",
            "scopes/beer",
            "scopes/platform/x",
            "scopes/client/../../etc",
            "scopes/client/a/site",
            "/models/a",
            "models/a.b",
        ];
        for text in others {
            assert!(Subject::parse(text).is_err(), "{text}");
        }
    }
}
