//! Keys that clients sign their requests with.

use std::fmt;
use std::str::FromStr;

/// Shorter secrets could be guessed from a signature; AWS's have 40.
const SECRET_CHARS: usize = 16;

/// A pair that clients sign their requests with.
#[derive(Clone)]
pub struct AccessKey {
    /// What requests name.
    pub id: String,
    /// What only its owner and this host know.
    pub secret: String,
}

impl FromStr for AccessKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (id, file) = text
            .split_once('=')
            .filter(|(id, _)| !id.is_empty() && !id.contains(['/', ',']))
            .ok_or("it is not of the form ID=FILE")?;
        let secret = std::fs::read_to_string(file)
            .map_err(|error| format!("can't read the secret from `{file}`: {error}"))?;
        let secret = secret.trim();
        if secret.len() < SECRET_CHARS {
            return Err(format!("the secret in `{file}` has less than {SECRET_CHARS} characters"));
        }
        Ok(Self { id: id.to_owned(), secret: secret.to_owned() })
    }
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessKey").field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_access_key_is_read_from_its_file_and_never_shown() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "correct horse battery\n").unwrap();
        let key: AccessKey = format!("team={}", file.path().display()).parse().unwrap();
        assert_eq!((key.id.as_str(), key.secret.as_str()), ("team", "correct horse battery"));
        assert!(!format!("{key:?}").contains("horse"));
        std::fs::write(file.path(), "short").unwrap();
        for bad in [format!("team={}", file.path().display()), "team=/no/such".into(), "x".into()] {
            assert!(bad.parse::<AccessKey>().is_err(), "{bad}");
        }
    }
}
