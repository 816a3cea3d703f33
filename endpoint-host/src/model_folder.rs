//! Looks through a model folder before a container does: links would lead out of the folders
//! that models may be read from.

use std::fs;
use std::path::{Path, PathBuf};

use crate::reason::Reason;

/// Refuses a folder that holds anything but files and folders, naming it.
pub(crate) fn check(folder: &Path) -> Result<(), Reason> {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let unreadable = |error| {
            Reason::new(format!("cannot read the model folder `{}`: {error}", folder.display()))
        };
        for entry in fs::read_dir(&folder).map_err(unreadable)? {
            folders.extend(inner_folder(&entry.map_err(unreadable)?.path())?);
        }
    }
    Ok(())
}

fn inner_folder(path: &Path) -> Result<Option<PathBuf>, Reason> {
    let refuse = |why: &str| Err(Reason::new(format!("`{}` {why}", path.display())));
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => Ok(Some(path.to_owned())),
        Ok(found) if found.is_file() => Ok(None),
        Ok(found) if found.is_symlink() => {
            refuse("is a link, which models may not hold; put what it leads to in its place")
        }
        Ok(_) => refuse("is neither a file nor a folder; remove it from the model"),
        Err(error) => refuse(&format!("cannot be read: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_link_however_deep_is_refused_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("a/b");
        fs::create_dir_all(&inner).unwrap();
        fs::write(inner.join("model.toml"), "").unwrap();
        assert!(check(folder.path()).is_ok());
        symlink("/etc/passwd", inner.join("spam.model")).unwrap();
        let refusal = check(folder.path()).unwrap_err().to_string();
        assert!(refusal.contains("a/b/spam.model` is a link"), "{refusal}");
    }
}
