//! Where packages go for endpoints to read them: a folder, or a bucket.

use std::fs::{self, File, TryLockError};
use std::path::Path;
use std::time::Duration;

use aws_config::SdkConfig;
use model_container::Package;
use tempfile::NamedTempFile;

use crate::event::Reporter;
use crate::s3::{self, Bucket};
use crate::scratch::{Scratch, lock_file};
use crate::source::{at, copy, whose};
use crate::target::{Place, Target};
use crate::{Error, archive};

/// How often a lock that another deployment holds is tried.
const LOCK_POLL: Duration = Duration::from_millis(50);

/// A place for packages.
#[derive(Debug)]
pub(crate) enum Store {
    /// A folder that the endpoint host reads.
    Folder(Scratch),
    /// A bucket, or a part of one.
    Bucket(Bucket),
}

impl Store {
    /// The target's folder, made where it is missing, or its bucket.
    ///
    /// S3 is reached as `sagemaker` is if that is AWS's own, and as the environment says beside
    /// the endpoint host.
    pub(crate) async fn open(target: &Target, sagemaker: &SdkConfig) -> Result<Self, Error> {
        let upload = &target.upload;
        if upload.starts_with("s3://") {
            return Ok(Self::Bucket(match target.place {
                Place::SageMaker(_) => Bucket::parse(upload, sagemaker)?,
                Place::Host(_) => Bucket::parse(upload, &s3::config().await)?,
            }));
        }
        Ok(Self::Folder(Scratch::of_upload(upload)?))
    }

    /// Waits until no other deployment of `name` with this folder goes on.
    ///
    /// Through a bucket there is no lock: the endpoint takes one update after the other.
    pub(crate) async fn lock(
        &self,
        name: &str,
        reporter: &mut Reporter<'_>,
    ) -> Result<Option<File>, Error> {
        let Self::Folder(folder) = self else { return Ok(None) };
        let path = folder.folder().join(format!(".{name}.lock"));
        let file = lock_file(&path)?;
        let mut told = false;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Some(file)),
                Err(TryLockError::WouldBlock) if !told => {
                    reporter.note(format!("waiting for another deployment of `{name}`"));
                    told = true;
                }
                Err(TryLockError::WouldBlock) => tokio::time::sleep(LOCK_POLL).await,
                Err(TryLockError::Error(error)) => return Err(at(&path)(error)),
            }
        }
    }

    /// Puts the package there as `name`, unless it is there, and tells its URL.
    pub(crate) async fn put(&self, package: &Package, name: &str) -> Result<String, Error> {
        let (package, name) = (package.clone(), name.to_owned());
        match self {
            Self::Folder(scratch) => {
                // Of its own, as the disk is still at work where nobody waits for this any more.
                let scratch = Scratch::within(scratch.folder())?;
                wait_for_disk(move || put_folder(&package, &scratch, &name)).await
            }
            Self::Bucket(bucket) => {
                let packed = wait_for_disk(move || pack(&package)).await?;
                Ok(bucket.put_file(&key(&name), packed.path()).await?)
            }
        }
    }

    /// Removes what `put` has put as `name`.
    pub(crate) async fn remove(&self, name: &str) -> Result<(), Error> {
        match self {
            Self::Folder(scratch) => remove_folder(scratch, name),
            Self::Bucket(bucket) => Ok(bucket.delete(&key(name)).await?),
        }
    }
}

fn key(name: &str) -> String {
    format!("{name}.tar.gz")
}

/// Runs what waits for the disk where it keeps no other task waiting.
async fn wait_for_disk<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.expect("reading and writing files does not panic")
}

/// The package as an archive in a temporary file: it may not fit into memory.
fn pack(package: &Package) -> Result<NamedTempFile, Error> {
    let scratch = std::env::temp_dir();
    let mut packed = NamedTempFile::new_in(&scratch).map_err(at(&scratch))?;
    let (dir, path) = (&package.dir, packed.path().to_owned());
    archive::pack(dir, packed.as_file_mut())
        .map_err(|error| at(whose(&error, dir, &path))(error))?;
    check_unchanged(package, dir)?;
    Ok(packed)
}

/// Copies the package into `folder/name`, which then holds all of it or does not exist.
fn put_folder(package: &Package, scratch: &Scratch, name: &str) -> Result<String, Error> {
    let folder = scratch.folder();
    let target = folder.join(name);
    let is_there = Package::open(&target).is_ok_and(|copy| copy.digest == package.digest);
    if !is_there {
        remove_folder(scratch, name)?;
        let partial = scratch.dir()?;
        let copied = partial.path().join(name);
        copy(&package.dir, &copied)?;
        check_unchanged(package, &copied)?;
        flush(&copied)?;
        fs::rename(&copied, &target).map_err(at(&target))?;
        sync(folder)?;
    }
    Ok(file_url(&target))
}

/// A package that is written to while it is read would be uploaded as neither the old nor the new.
fn check_unchanged(package: &Package, copy: &Path) -> Result<(), Error> {
    if Package::open(copy)?.digest == package.digest {
        return Ok(());
    }
    let reason = "it changed while it was read; try again".to_owned();
    Err(Error::Unfit { path: package.dir.clone(), reason })
}

/// Removes a folder under its name at once, so that nobody finds half of it.
fn remove_folder(scratch: &Scratch, name: &str) -> Result<(), Error> {
    let folder = scratch.folder().join(name);
    if !folder.exists() {
        return Ok(());
    }
    let away = scratch.dir()?;
    fs::rename(&folder, away.path().join("package")).map_err(at(&folder))?;
    away.close().map_err(at(&folder))
}

/// Waits until a folder and all in it are on the disk.
fn flush(folder: &Path) -> Result<(), Error> {
    for entry in fs::read_dir(folder).map_err(at(folder))? {
        let path = entry.map_err(at(folder))?.path();
        if path.is_dir() {
            flush(&path)?;
        } else {
            sync(&path)?;
        }
    }
    sync(folder)
}

fn sync(path: &Path) -> Result<(), Error> {
    File::open(path).and_then(|file| file.sync_all()).map_err(at(path))
}

/// A `file://` URL; what is not plain in a path is percent-encoded.
fn file_url(path: &Path) -> String {
    let mut url = "file://".to_owned();
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'-' | b'_' | b'.' | b'~' | b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => {
                url.push(char::from(*byte));
            }
            _ => url.push_str(&format!("%{byte:02X}")),
        }
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Package {
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/models");
        Package::open(&examples.join("contact")).unwrap()
    }

    #[test]
    fn a_copy_that_was_tampered_with_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let (package, copy) = (example(), folder.path().join("contact-1"));
        let scratch = Scratch::within(folder.path()).unwrap();
        let url = put_folder(&package, &scratch, "contact-1").unwrap();
        assert_eq!(Package::open(&copy).unwrap().digest, package.digest);
        fs::write(copy.join("contact.toml"), "label = 'x'").unwrap();
        assert_eq!(put_folder(&package, &scratch, "contact-1").unwrap(), url);
        assert_eq!(Package::open(&copy).unwrap().digest, package.digest);
        let left = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let mut left: Vec<_> = left.collect();
        left.sort();
        assert_eq!(left, [".partial.lock", "contact-1"]);
    }

    #[test]
    fn a_package_that_changes_while_it_is_copied_is_not_uploaded() {
        let folder = tempfile::tempdir().unwrap();
        let package = Package { digest: "sha256:of before".to_owned(), ..example() };
        let scratch = Scratch::within(folder.path()).unwrap();
        let error = put_folder(&package, &scratch, "contact-1").unwrap_err().to_string();
        assert!(error.contains("changed while it was read"), "{error}");
        assert!(!folder.path().join("contact-1").exists());
    }

    #[tokio::test]
    async fn a_second_deployment_of_a_name_waits_for_the_first_and_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::Folder(Scratch::within(folder.path()).unwrap());
        let mut events = Vec::new();
        let mut report = |event| events.push(event);
        let mut reporter = Reporter::new(&mut report);
        let first = store.lock("spam", &mut reporter).await.unwrap();
        let other = store.lock("spam-de", &mut reporter).await.unwrap();
        let second = store.lock("spam", &mut reporter);
        let release = async {
            tokio::time::sleep(2 * LOCK_POLL).await;
            drop(first);
        };
        let (second, ()) = tokio::join!(second, release);
        assert!(second.unwrap().is_some() && other.is_some());
        assert_eq!(events.len(), 1, "{events:?}");
    }
}
