//! A folder on a real disk, and what happens to its files between one step and the next.

use std::os::unix::fs::symlink;

use super::*;

fn folder() -> (tempfile::TempDir, Folder) {
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder { path: dir.path().to_owned() };
    (dir, folder)
}

fn only(folder: &Folder) -> Sighting {
    let mut sightings = folder.look().unwrap();
    assert_eq!(sightings.len(), 1, "{sightings:?}");
    sightings.remove(0)
}

#[test]
fn only_what_may_be_a_model_is_seen() {
    let (dir, folder) = folder();
    for name in ["a.model", "b.onnx", "c.tar.gz", "d.txt", ".e.model", "f.model.part", "g.onnx.tmp"]
    {
        fs::write(dir.path().join(name), "x").unwrap();
    }
    for name in ["package", "notes", "quarantine", ".gatehouse"] {
        fs::create_dir(dir.path().join(name)).unwrap();
    }
    fs::write(dir.path().join("package/model.toml"), "").unwrap();
    fs::write(dir.path().join("quarantine/model.toml"), "").unwrap();
    let mut keys: Vec<_> = folder.look().unwrap().into_iter().map(|seen| seen.key).collect();
    keys.sort();
    assert_eq!(keys, ["a.model", "b.onnx", "c.tar.gz", "package"]);
}

#[test]
fn links_are_refused_and_never_read() {
    let (dir, folder) = folder();
    let secret = tempfile::NamedTempFile::new().unwrap();
    fs::write(secret.path(), "secret").unwrap();
    symlink(secret.path(), dir.path().join("spam.model")).unwrap();
    let link = only(&folder);
    assert!(matches!(&link.kind, Kind::Unfit(reason) if reason.contains("symbolic link")));
    let copy = tempfile::tempdir().unwrap().path().join("copy");
    assert_eq!(folder.fetch(&link, &copy), Err(Trouble::Gone));

    assert_eq!(folder.quarantine(&link, "a link").unwrap(), "quarantine/spam.model");
    assert_eq!(fs::read_to_string(secret.path()).unwrap(), "secret");
    fs::create_dir(dir.path().join("package")).unwrap();
    fs::write(dir.path().join("package/model.toml"), "").unwrap();
    symlink(secret.path(), dir.path().join("package/spam.model")).unwrap();
    assert!(matches!(only(&folder).kind, Kind::Unfit(reason) if reason.contains("spam.model")));
}

#[test]
fn a_file_that_changes_while_it_is_read_is_not_taken() {
    let (dir, folder) = folder();
    let staging = tempfile::tempdir().unwrap();
    let file = dir.path().join("spam.model");
    fs::write(&file, "half").unwrap();
    let half = only(&folder);
    assert!(folder.fetch(&half, &staging.path().join("half")).is_ok());
    fs::write(&file, "half and half").unwrap();
    assert_eq!(folder.fetch(&half, &staging.path().join("changed")), Err(Trouble::Gone));
    assert_eq!(folder.quarantine(&half, "no model"), Err(Trouble::Gone));
    assert!(file.exists());
    fs::remove_file(&file).unwrap();
    assert_eq!(folder.fetch(&half, &staging.path().join("gone")), Err(Trouble::Gone));
}

#[test]
fn equal_contents_have_equal_hashes_whenever_they_were_written() {
    let (dir, folder) = folder();
    let staging = tempfile::tempdir().unwrap();
    let package = dir.path().join("package");
    let hash = |copy: &str| folder.fetch(&only(&folder), &staging.path().join(copy)).unwrap();
    fs::create_dir_all(package.join("data")).unwrap();
    fs::write(package.join("model.toml"), "a").unwrap();
    fs::write(package.join("data/terms"), "b").unwrap();
    let (first, stamp) = (hash("1"), only(&folder).stamp);
    fs::remove_file(package.join("data/terms")).unwrap();
    fs::write(package.join("data/terms"), "b").unwrap();
    assert_ne!(only(&folder).stamp, stamp);
    assert_eq!(hash("2"), first);
    fs::write(package.join("data/terms"), "c").unwrap();
    assert_ne!(hash("3"), first);
    assert_eq!(fs::read_to_string(staging.path().join("2/data/terms")).unwrap(), "b");
}

#[test]
fn the_quarantine_overwrites_nothing() {
    let (dir, folder) = folder();
    for (number, place) in ["quarantine/spam.model", "quarantine/2-spam.model"].iter().enumerate() {
        fs::write(dir.path().join("spam.model"), number.to_string()).unwrap();
        assert_eq!(folder.quarantine(&only(&folder), "no model").unwrap(), *place);
        assert_eq!(fs::read_to_string(dir.path().join(place)).unwrap(), number.to_string());
        let reason = fs::read_to_string(dir.path().join(format!("{place}.reason.txt"))).unwrap();
        assert_eq!(reason, "no model\n");
    }
}

#[test]
fn a_folder_that_is_away_is_named() {
    let folder = Folder { path: PathBuf::from("/no/such/folder") };
    assert!(folder.look().unwrap_err().contains("/no/such/folder"));
}
