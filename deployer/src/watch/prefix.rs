//! A prefix of an S3 bucket into which people and programs put uploads.

use std::fs::File;
use std::io;
use std::path::Path;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::folder::{each_part, hex};
use super::sighting::{
    Kind, QUARANTINE, Sighting, Trouble, is_passed_over, model_of_file, too_large,
};
use crate::archive::MAX_BYTES;
use crate::s3::{Bucket, Error, Object};
use crate::source::{advice, is_other_archive};

/// A watched prefix.
#[derive(Debug, Clone)]
pub(super) struct Prefix {
    pub(super) bucket: Bucket,
}

impl Prefix {
    /// The objects directly under it that may be models.
    pub(super) async fn look(&self) -> Result<Vec<Sighting>, Error> {
        Ok(self.bucket.list().await?.into_iter().filter_map(sighting).collect())
    }

    /// Copies the object as it was seen, and tells the hash of its content.
    pub(super) async fn fetch(&self, sighting: &Sighting, to: &Path) -> Result<String, Trouble> {
        let (key, etag) = (&sighting.key, Some(sighting.stamp.as_str()));
        self.bucket.get_version_to_file(key, etag, MAX_BYTES, to).await?;
        let path = to.to_owned();
        let hash = tokio::task::spawn_blocking(move || hash(&path)).await;
        let hash = hash.map_err(|error| Trouble::Later(error.to_string()))?;
        hash.map_err(|error| Trouble::Later(format!("`{}` can't be read: {error}", to.display())))
    }

    /// Moves the object to the quarantine with the reason beside it, and tells where it is.
    pub(super) async fn quarantine(
        &self,
        sighting: &Sighting,
        reason: &str,
    ) -> Result<String, Trouble> {
        let mut number = 1;
        let place = loop {
            let place = match number {
                1 => format!("{QUARANTINE}/{}", sighting.key),
                number => format!("{QUARANTINE}/{number}-{}", sighting.key),
            };
            if !self.bucket.exists(&place).await? {
                break place;
            }
            number += 1;
        };
        let text = Bytes::from(format!("{reason}\n"));
        self.bucket.put(&format!("{place}.reason.txt"), text).await?;
        self.bucket.move_to(&sighting.key, &sighting.stamp, &place).await?;
        Ok(place)
    }
}

/// None for an object that is none of the watcher's business: a bucket may hold other things too.
fn sighting(object: Object) -> Option<Sighting> {
    let Object { key, etag, size_bytes, modified_ms } = object;
    if is_passed_over(&key) {
        return None;
    }
    let (name, kind) = match model_of_file(&key) {
        Some(name) if size_bytes <= MAX_BYTES => (name.to_owned(), Kind::Whole),
        Some(name) => (name.to_owned(), Kind::Unfit(too_large())),
        None if is_other_archive(&key) => (key.clone(), Kind::Unfit(advice(&key))),
        None => return None,
    };
    Some(Sighting { key, name, stamp: etag, put: modified_ms.to_string(), modified_ms, kind })
}

fn hash(path: &Path) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let update = |part: &[u8]| {
        hasher.update(part);
        Ok(())
    };
    each_part(&mut File::open(path)?, |error| error, update)?;
    Ok(hex(hasher))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_of_another_format_is_refused_and_other_objects_are_left_alone() {
        let see = |key: &str| {
            let [key, etag] = [key, "a"].map(str::to_owned);
            sighting(Object { key, etag, size_bytes: 1, modified_ms: 1 })
        };
        assert_eq!(see("SPAM.MODEL").unwrap().kind, Kind::Whole);
        let zip = see("spam.zip").unwrap().kind;
        assert!(matches!(&zip, Kind::Unfit(reason) if reason.contains("tar -czf")), "{zip:?}");
        for other in ["_SUCCESS", "readme.txt", ".spam.zip", "spam.zip.part"] {
            assert_eq!(see(other), None, "{other}");
        }
    }
}
