//! A folder on a real disk, and what happens to its files between one step and the next.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::time::UNIX_EPOCH;

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
fn what_may_be_a_model_is_seen_and_what_is_under_way_is_not() {
    let (dir, folder) = folder();
    for name in ["a.model", "b.ONNX", "c.tar.gz", "d.tgz", ".e.zip", "f.model.part", "g.onnx.tmp"] {
        fs::write(dir.path().join(name), "x").unwrap();
    }
    for name in ["package", "bare", "notes", "quarantine", ".gatehouse"] {
        fs::create_dir(dir.path().join(name)).unwrap();
    }
    fs::write(dir.path().join("package/model.toml"), "").unwrap();
    fs::write(dir.path().join("bare/any.MODEL"), "").unwrap();
    fs::write(dir.path().join("notes/readme.txt"), "").unwrap();
    fs::write(dir.path().join("quarantine/model.toml"), "").unwrap();
    fs::write(dir.path().join("watch.json"), "").unwrap();
    symlink("a.model", dir.path().join("latest")).unwrap();
    let mut keys: Vec<_> = folder.look().unwrap().into_iter().map(|seen| seen.key).collect();
    keys.sort();
    assert_eq!(keys, ["a.model", "b.ONNX", "bare", "c.tar.gz", "d.tgz", "package"]);
}

#[test]
fn a_file_of_another_kind_is_told_what_would_be_right() {
    let (dir, folder) = folder();
    let zip = dir.path().join("spam.zip");
    fs::write(&zip, "x").unwrap();
    let kind = only(&folder).kind;
    assert!(matches!(&kind, Kind::Misnamed(reason) if reason.contains("tar -czf")), "{kind:?}");
    fs::remove_file(zip).unwrap();
    for name in ["readme.txt", "Makefile", "spam.model.sha256", "spam.model.7E1bCf3A"] {
        let path = dir.path().join(name);
        fs::write(&path, "x").unwrap();
        let seen = only(&folder);
        assert!(
            matches!(&seen.kind, Kind::Foreign(reason) if reason.contains(".onnx")),
            "{seen:?}"
        );
        fs::write(&path, "more").unwrap();
        assert_eq!(only(&folder), seen);
        fs::remove_file(path).unwrap();
    }
}

#[test]
fn a_package_that_is_moved_here_is_as_new_as_the_move() {
    let (dir, folder) = folder();
    let built = dir.path().join(".built");
    fs::create_dir(&built).unwrap();
    fs::write(built.join("model.toml"), "").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(30));
    fs::write(dir.path().join("other.model"), "x").unwrap();
    let other = only(&folder);
    std::thread::sleep(std::time::Duration::from_millis(30));
    fs::rename(built, dir.path().join("package")).unwrap();
    let moved = folder.look().unwrap().into_iter().find(|seen| seen.key == "package").unwrap();
    assert!(moved.modified_ms > other.modified_ms, "{moved:?} {other:?}");
}

#[test]
fn a_file_dated_by_hand_is_as_new_as_its_arrival() {
    let (dir, folder) = folder();
    let file = File::create(dir.path().join("spam.model")).unwrap();
    let now = std::time::SystemTime::now();
    let tomorrow = now + std::time::Duration::from_secs(86_400);
    file.set_modified(tomorrow).unwrap();
    let now_ms = now.duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let seen_ms = u128::try_from(only(&folder).modified_ms).unwrap();
    assert!(seen_ms < now_ms + 3_600_000, "{seen_ms} {now_ms}");
}

#[test]
fn a_folder_that_cannot_be_read_waits_instead_of_passing_as_an_empty_one() {
    let dir = tempfile::tempdir().unwrap();
    // Nothing keeps the superuser from reading a folder, except that it is none.
    let unreadable = dir.path().join("file");
    fs::write(&unreadable, "").unwrap();
    let copied = tree::copy(&unreadable, &dir.path().join("copy"));
    assert!(
        matches!(&copied, Err(Trouble::Later(reason)) if reason.contains("file")),
        "{copied:?}"
    );
    let gone = tree::copy(&dir.path().join("gone"), &dir.path().join("copy"));
    assert_eq!(gone, Err(Trouble::Gone));
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
fn a_new_mode_or_link_puts_nothing_there_anew_and_a_new_file_or_date_does() {
    for key in ["spam.model", "spam/model.toml"] {
        let (dir, folder) = folder();
        let path = &dir.path().join(key);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x").unwrap();
        let first = only(&folder);
        std::thread::sleep(std::time::Duration::from_millis(30));
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::hard_link(path, dir.path().join(".backup")).unwrap();
        let linked = only(&folder);
        assert!(linked.stamp != first.stamp && linked.put == first.put, "{first:?} {linked:?}");
        File::options().write(true).open(path).unwrap().set_modified(UNIX_EPOCH).unwrap();
        let dated = only(&folder);
        fs::write(dir.path().join(".new"), "x").unwrap();
        fs::rename(dir.path().join(".new"), path).unwrap();
        assert!(dated.put != linked.put && only(&folder).put != dated.put);
    }
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
