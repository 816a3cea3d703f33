//! Where files wait for being brought to their buckets: the folder of a bucket, and in it the key.
//! What an earlier host left there is brought as well.

use std::collections::HashMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

use tokio::task::spawn_blocking;

use crate::artifact::ModelRoots;
use crate::s3::Object;

/// The ending of a file that is being written.
pub(super) const OPEN: &str = "open";

/// The ending of a file that is whole.
pub(super) const DONE: &str = "jsonl";

/// A file lies so far below its destination: endpoint, variant, year, month, day, hour, itself.
const LEVELS: usize = 7;

/// The folder of all that waits; what an earlier host was writing in it is whole now.
pub(super) fn folder(roots: &ModelRoots) -> PathBuf {
    let spool = roots.own().join("capture");
    for path in files(&spool, OPEN) {
        fs::rename(&path, path.with_extension(DONE)).ok();
    }
    spool
}

/// The folder of what goes to a bucket and prefix; nothing if that would lead elsewhere.
pub(super) fn path(roots: &ModelRoots, object: &Object) -> Option<PathBuf> {
    let prefix = object.key.trim_end_matches('/');
    let is_plain = |part: &str| {
        let mut parts = Path::new(part).components();
        matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None))
    };
    let fits = prefix.is_empty() || prefix.split('/').all(is_plain);
    fits.then(|| roots.own().join("capture").join(&object.bucket).join(prefix))
}

/// The whole files below a folder, by destination: the folder of a bucket and prefix.
pub(super) async fn waiting(folder: &Path) -> HashMap<PathBuf, Vec<PathBuf>> {
    let folder = folder.to_owned();
    let whole = spawn_blocking(move || files(&folder, DONE)).await.unwrap_or_default();
    let mut waiting = HashMap::<_, Vec<_>>::new();
    for path in whole {
        if let Some(place) = path.ancestors().nth(LEVELS) {
            waiting.entry(place.to_owned()).or_default().push(path);
        }
    }
    waiting
}

/// Brings the whole files of a destination to its bucket, up to the first that fails, which stays
/// with those behind it; tells whether none has failed.
pub(super) async fn deliver(roots: &ModelRoots, spool: &Path, place: &Path) -> bool {
    for path in waiting(place).await.remove(place).unwrap_or_default() {
        let Some(object) = object(spool, &path) else {
            continue;
        };
        if let Err(error) = roots.buckets.upload(&path, &object).await {
            tracing::warn!("captured calls wait: cannot write `{}`: {error}", object.url());
            return false;
        }
        remove(spool, &path);
    }
    true
}

fn object(spool: &Path, path: &Path) -> Option<Object> {
    let (bucket, key) = path.strip_prefix(spool).ok()?.to_str()?.split_once('/')?;
    Some(Object { bucket: bucket.to_owned(), key: key.to_owned() })
}

/// Removes a file, and its folders as far as they are empty.
fn remove(spool: &Path, path: &Path) {
    fs::remove_file(path).ok();
    let folders = path.ancestors().skip(1).take_while(|folder| *folder != spool);
    for folder in folders {
        if fs::remove_dir(folder).is_err() {
            return;
        }
    }
}

/// All files with an ending, however deep.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let (mut folders, mut found) = (vec![folder.to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|given| given == ending) {
                found.push(path);
            }
        }
    }
    found
}
