//! A prefix of an S3 bucket into which people and programs put uploads.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::sighting::{
    Kind, MAX_BYTES, QUARANTINE, Sighting, Trouble, is_passed_over, model_of_file,
};
use crate::s3::{Bucket, Error, Object};

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

/// None for an object that is none of the watcher's business.
fn sighting(object: Object) -> Option<Sighting> {
    let Object { key, etag, size_bytes, modified_ms } = object;
    let name = model_of_file(&key).filter(|_| !is_passed_over(&key))?.to_owned();
    let kind = match size_bytes {
        0..=MAX_BYTES => Kind::Whole,
        _ => Kind::Unfit("it is larger than 5 GiB".to_owned()),
    };
    Some(Sighting { key, name, stamp: etag, modified_ms, kind })
}

fn hash(path: &Path) -> io::Result<String> {
    let (mut file, mut hasher) = (File::open(path)?, Sha256::new());
    let mut buffer = vec![0; 256 << 10];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(super::folder::hex(hasher));
        }
        hasher.update(&buffer[..read]);
    }
}
