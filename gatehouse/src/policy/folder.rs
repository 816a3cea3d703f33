//! The folder of options: which file is about what, and what does not belong there.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Fault;
use super::document::Format;
use super::subject::Subject;

/// Options are far smaller; a file that is larger is something else.
const MAX_FILE_BYTES: u64 = 256 << 10;

/// Documents by what they are about.
pub(super) type Documents = BTreeMap<Subject, Value>;

/// All that the folder holds.
#[derive(Debug, Default)]
pub(super) struct Folder {
    /// The files of models and scopes.
    pub(super) files: BTreeMap<Subject, File>,
    /// The files below `tests/`.
    pub(super) tests: Vec<File>,
    /// What stands where nothing is expected.
    strangers: Vec<String>,
    /// What can't be used at all.
    pub(super) faults: Vec<String>,
}

/// One file, read.
#[derive(Debug)]
pub(super) struct File {
    /// Below the folder.
    pub(super) path: PathBuf,
    /// What it says.
    pub(super) format: Format,
    /// What it holds, or why that can't be told.
    pub(super) document: Result<Value, String>,
}

impl Folder {
    /// Reads everything; what is wrong with single files is kept beside the rest.
    pub(super) fn read(root: &Path) -> Result<Self, String> {
        let describe = |error| format!("can't read the folder `{}`: {error}", root.display());
        let root = root.canonicalize().map_err(describe)?;
        if !root.is_dir() {
            return Err(format!("`{}` is no folder", root.display()));
        }
        let mut folder = Self::default();
        folder.walk(&root, Path::new(""));
        Ok(folder)
    }

    /// The documents of models and scopes, if every file of the folder is as it should be.
    pub(super) fn documents(&self) -> Result<Documents, Fault> {
        let mut faults = self.faults.clone();
        let mut documents = Documents::new();
        for (subject, file) in &self.files {
            match &file.document {
                Ok(document) => drop(documents.insert(subject.clone(), document.clone())),
                Err(fault) => faults.push(format!("`{}`: {fault}", file.path.display())),
            }
        }
        faults.extend(self.strange());
        if faults.is_empty() && documents.is_empty() {
            faults.push(EMPTY.to_owned());
        }
        if faults.is_empty() { Ok(documents) } else { Err(Fault::all(&faults)) }
    }

    /// What stands where nothing is expected, and what is.
    pub(super) fn strange(&self) -> Vec<String> {
        let mut strange = self.strangers.clone();
        if !strange.is_empty() {
            strange.push(EXPECTED.to_owned());
        }
        strange
    }

    /// Takes in what `path`, a folder below the root, holds.
    fn walk(&mut self, root: &Path, path: &Path) {
        let entries =
            fs::read_dir(root.join(path)).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let mut entries = match entries {
            Ok(entries) => entries,
            Err(error) => return self.faults.push(format!("`{}`: {error}", path.display())),
        };
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            if !entry.file_name().as_encoded_bytes().starts_with(b".") {
                self.take(root, path.join(entry.file_name()));
            }
        }
    }

    fn take(&mut self, root: &Path, path: PathBuf) {
        let shown = path.display();
        let found =
            root.join(&path).canonicalize().and_then(|real| Ok((fs::metadata(&real)?, real)));
        let metadata = match found {
            Ok((metadata, real)) if real.starts_with(root) => metadata,
            Ok(_) => {
                return self
                    .faults
                    .push(format!("`{shown}` is a link out of the folder; copy the file"));
            }
            Err(error) => return self.faults.push(format!("`{shown}`: {error}")),
        };
        if metadata.is_dir() && is_known_folder(&path) {
            self.walk(root, &path);
        } else if metadata.is_dir() {
            self.strangers.push(format!("`{shown}` is a folder for nothing known"));
        } else if metadata.is_file() {
            self.take_file(root, path);
        } else {
            self.faults.push(format!("`{shown}` is no regular file"));
        }
    }

    fn take_file(&mut self, root: &Path, path: PathBuf) {
        let place = path.with_extension("");
        let format = path.extension().and_then(|extension| Format::of(extension.to_str()?));
        let Some((format, place)) = format.zip(place.to_str()) else {
            return self
                .strangers
                .push(format!("`{}` is a file for nothing known", path.display()));
        };
        let document = read(&root.join(&path), format);
        if place.strip_prefix("tests/").is_some() {
            return self.tests.push(File { path, format, document });
        }
        let subject = match Subject::parse(place) {
            Ok(subject) => subject,
            Err(fault) => return self.strangers.push(format!("`{}`: {fault}", path.display())),
        };
        let document = document.and_then(object);
        if let Some(first) = self.files.get(&subject) {
            let (first, second) = (first.path.display(), path.display());
            let fault = format!("`{first}` and `{second}` are both about `{subject}`; keep one");
            return self.faults.push(fault);
        }
        self.files.insert(subject, File { path, format, document });
    }
}

/// What to do with what does not belong here.
const EXPECTED: &str = "move these elsewhere: the folder is for models/NAME.yaml, \
    scopes/platform.yaml, scopes/industry/NAME.yaml, scopes/client/NAME.yaml, \
    scopes/client/NAME/site/NAME.yaml and tests/NAME.yaml (or .yml, .json)";

/// What to do without any file.
const EMPTY: &str = "the folder has no file below models/ or scopes/; `gatehouse policy export` \
    writes those of a router";

fn is_known_folder(path: &Path) -> bool {
    let segments: Option<Vec<&str>> = path.iter().map(|segment| segment.to_str()).collect();
    matches!(
        segments.as_deref(),
        Some(
            ["models" | "scopes" | "tests"]
                | ["scopes", "industry" | "client"]
                | ["scopes", "client", _]
                | ["scopes", "client", _, "site"]
        )
    )
}

fn read(path: &Path, format: Format) -> Result<Value, String> {
    let mut text = String::new();
    let file = fs::File::open(path).map_err(|error| error.to_string())?;
    let read = file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text);
    let read = read.map_err(|error| error.to_string())?;
    if read as u64 > MAX_FILE_BYTES {
        return Err(format!("is larger than {} KiB", MAX_FILE_BYTES >> 10));
    }
    format.read(&text)
}

fn object(document: Value) -> Result<Value, String> {
    match document {
        Value::Object(_) => Ok(document),
        Value::Null => Err("says nothing; a document without any field is `{}`".to_owned()),
        _ => Err("must hold fields, such as `parent: industry/beer`".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tempfile::TempDir;

    use super::*;

    fn folder(files: &[(&str, &str)]) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    fn faults(folder: &TempDir) -> String {
        match Folder::read(folder.path()).unwrap().documents() {
            Err(Fault::Given(faults)) => faults,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn files_are_found_by_their_places() {
        let folder = folder(&[
            ("models/spam.yml", "cost: 2"),
            ("scopes/platform.yaml", "{}"),
            ("scopes/client/a/site/en-GB.json", "{\"rules\": {\"spam\": null}}"),
            ("scopes/client/a.yaml", "parent: industry/no"),
            ("tests/deep.yaml", "[]"),
            (".git/config", "x"),
            ("scopes/.platform.yaml.swp", "x"),
        ]);
        let folder = Folder::read(folder.path()).unwrap();
        let documents = folder.documents().unwrap();
        let documents: Vec<_> =
            documents.iter().map(|(subject, document)| (subject.to_string(), document)).collect();
        let (cost, empty, site, client) = (
            json!({"cost": 2}),
            json!({}),
            json!({"rules": {"spam": null}}),
            json!({"parent": "industry/no"}),
        );
        let expected = [
            ("models/spam", &cost),
            ("scopes/client/a", &client),
            ("scopes/client/a/site/en-GB", &site),
            ("scopes/platform", &empty),
        ];
        assert_eq!(documents, expected.map(|(subject, value)| (subject.to_owned(), value)));
        assert_eq!(folder.tests[0].path, Path::new("tests/deep.yaml"));
    }

    #[test]
    fn every_fault_is_told_at_once_and_by_its_file() {
        let large = "x".repeat(MAX_FILE_BYTES as usize);
        let folder = folder(&[
            ("README.md", "x"),
            ("models/spam.yaml", "a: 1\nb: 2\na: 3\n"),
            ("models/hate.yaml", "{}"),
            ("models/hate.json", "{}"),
            ("models/big.yaml", &format!("a: {large}")),
            ("models/-x.yaml", "{}"),
            ("scopes/platform.yaml", ""),
            ("scopes/brand/a.yaml", "{}"),
            ("scopes/client/list.yaml", "[]"),
            ("scopes/client/latin.yaml", "a"),
            ("tests/deep/a.yaml", "[]"),
        ]);
        fs::write(folder.path().join("scopes/client/latin.yaml"), b"a: \xe9").unwrap();
        let faults = faults(&folder);
        let expected = [
            "`README.md` is a file for nothing known",
            "`models/spam.yaml`: duplicate mapping key `a` is not allowed here at line 3, column 1",
            "`models/hate.json` and `models/hate.yaml` are both about `models/hate`",
            "`models/big.yaml`: is larger than 256 KiB",
            "`models/-x.yaml`: `-x` is not a name",
            "`scopes/platform.yaml`: says nothing",
            "`scopes/brand` is a folder for nothing known",
            "`scopes/client/list.yaml`: must hold fields",
            "`scopes/client/latin.yaml`: stream did not contain valid UTF-8",
            "`tests/deep` is a folder for nothing known",
        ];
        for expected in expected {
            assert!(faults.contains(expected), "{expected} in {faults}");
        }
        // And a line on what is expected.
        assert_eq!(faults.lines().count(), expected.len() + 1);
    }

    #[cfg(unix)]
    #[test]
    fn links_within_the_folder_are_followed_and_others_refused() {
        use std::os::unix::fs::symlink;
        let outside = folder(&[("a.yaml", "{}")]);
        let folder = folder(&[("scopes/client/a.yaml", "{}")]);
        let link = |from: &Path, name: &str| symlink(from, folder.path().join(name)).unwrap();
        link(&folder.path().join("scopes/client/a.yaml"), "scopes/client/b.yaml");
        assert_eq!(Folder::read(folder.path()).unwrap().documents().unwrap().len(), 2);
        link(&outside.path().join("a.yaml"), "scopes/client/c.yaml");
        link(outside.path(), "models");
        link(Path::new("nowhere.yaml"), "scopes/platform.yaml");
        link(Path::new("/dev/zero"), "scopes/client/d.yaml");
        let faults = faults(&folder);
        for name in ["scopes/client/c.yaml", "models", "scopes/client/d.yaml"] {
            assert!(faults.contains(&format!("`{name}` is a link out of the folder")), "{faults}");
        }
        assert!(faults.contains("`scopes/platform.yaml`: No such file"), "{faults}");
    }
}
