//! `model.tar.gz`: unpacked within bounds and never outside its folder; packed so that equal
//! packages make equal bytes, to a file and never in memory.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Component, Path, PathBuf};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use tar::{Archive, Builder, Entry, EntryType, Header, PaxExtensions};

/// What fits a serverless endpoint, unpacked; no upload may be larger, whatever its form.
pub(crate) const MAX_BYTES: u64 = 2 << 30;
/// As many files as a package may have, and folders for them.
const MAX_ENTRIES: usize = 2_000;
/// No long name or PAX header needs more; the tar reader would take in whatever there is.
const MAX_HEADER_BYTES: u64 = 64 << 10;

/// Unpacks `archive` into the folder `into`; on an error, part of it may be there.
pub(crate) fn unpack(archive: &Path, into: &Path) -> io::Result<()> {
    unpack_within(archive, into, MAX_BYTES)
}

fn unpack_within(archive: &Path, into: &Path, max_bytes: u64) -> io::Result<()> {
    // The headers count too, so that an archive of nothing else ends as well.
    let mut archive = Archive::new(MultiGzDecoder::new(File::open(archive)?).take(max_bytes));
    let unpacked = unpack_entries(&mut archive, into);
    let mut rest = archive.into_inner();
    // The checksum stands behind the archive's end, where nothing else would read it.
    let read = unpacked.and_then(|()| io::copy(&mut rest, &mut io::sink()));
    if rest.limit() == 0 {
        return Err(refusal(format!("it unpacks to {max_bytes} bytes or more")));
    }
    read.map(|_| ())
}

fn unpack_entries(archive: &mut Archive<impl Read>, into: &Path) -> io::Result<()> {
    let mut long_name = None;
    for (count, entry) in archive.entries()?.raw(true).enumerate() {
        let mut entry = entry?;
        if count >= MAX_ENTRIES {
            return Err(refusal(format!("it has more than {MAX_ENTRIES} entries")));
        }
        match entry.header().entry_type() {
            EntryType::GNULongName => long_name = Some(gnu_name(&mut entry)?),
            EntryType::XHeader => long_name = pax_name(&mut entry)?.or(long_name),
            // It holds comments; a name or size in it would be about all entries.
            EntryType::XGlobalHeader => drop(pax_name(&mut entry)?),
            _ => {
                let path = match long_name.take() {
                    Some(path) => path,
                    None => entry.path()?.into_owned(),
                };
                unpack_entry(&mut entry, &path, into)?;
            }
        }
    }
    Ok(())
}

fn unpack_entry(entry: &mut Entry<'_, impl Read>, path: &Path, into: &Path) -> io::Result<()> {
    let inner = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    if !path.components().all(inner) {
        return Err(refusal(format!("`{}` leads out of its folder", path.display())));
    }
    let target = into.join(path);
    match entry.header().entry_type() {
        EntryType::Directory => fs::create_dir_all(target).map_err(about(path)),
        EntryType::Regular | EntryType::Continuous => write_file(entry, path, &target),
        _ => Err(refusal(format!("`{}` is neither a file nor a folder", path.display()))),
    }
}

fn write_file(entry: &mut Entry<'_, impl Read>, path: &Path, target: &Path) -> io::Result<()> {
    if let Some(folder) = target.parent() {
        fs::create_dir_all(folder).map_err(about(path))?;
    }
    let mode = mode(entry.header().mode()?);
    let file = File::options().write(true).create_new(true).mode(mode).open(target);
    let mut file = file.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => refusal(format!("`{}` is there twice", path.display())),
        _ => about(path)(error),
    })?;
    if io::copy(entry, &mut file).map_err(about(path))? < entry.size() {
        return Err(refusal(format!("`{}` is cut off or too large", path.display())));
    }
    Ok(())
}

/// The same error with the name of the entry: where it was unpacked to means nothing to users.
fn about(path: &Path) -> impl Fn(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("`{}`: {error}", path.display()))
}

/// Only whether a file may be run is taken over.
fn mode(mode: u32) -> u32 {
    if mode & 0o100 == 0 { 0o644 } else { 0o755 }
}

fn gnu_name(entry: &mut Entry<'_, impl Read>) -> io::Result<PathBuf> {
    let bytes = header_bytes(entry)?;
    let name = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    Ok(OsStr::from_bytes(name).into())
}

/// The path in a PAX header, if it has one; sizes are those of the entries themselves.
fn pax_name(entry: &mut Entry<'_, impl Read>) -> io::Result<Option<PathBuf>> {
    let (bytes, mut path) = (header_bytes(entry)?, None);
    for record in PaxExtensions::new(&bytes) {
        let record = record?;
        match record.key_bytes() {
            b"path" => path = Some(OsStr::from_bytes(record.value_bytes()).into()),
            key if key == b"size" || key.starts_with(b"GNU.sparse.") => {
                return Err(refusal(
                    "it has sparse or huge files, which no package has".to_owned(),
                ));
            }
            _ => {}
        }
    }
    Ok(path)
}

fn header_bytes(entry: &mut Entry<'_, impl Read>) -> io::Result<Vec<u8>> {
    if entry.size() > MAX_HEADER_BYTES {
        return Err(refusal(format!("it has a header of more than {MAX_HEADER_BYTES} bytes")));
    }
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn refusal(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// Writes the files of `folder` as a `.tar.gz`, by name, without times and owners.
pub(crate) fn pack(folder: &Path, to: &mut File) -> io::Result<()> {
    let mut builder = Builder::new(GzEncoder::new(BufWriter::new(to), Compression::fast()));
    pack_folder(&mut builder, folder, Path::new(""))?;
    builder.into_inner()?.finish()?.flush()
}

fn pack_folder(
    builder: &mut Builder<impl io::Write>,
    root: &Path,
    folder: &Path,
) -> io::Result<()> {
    let entries = fs::read_dir(root.join(folder))?;
    let mut names = entries.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
    names.sort();
    for name in names {
        let relative = folder.join(name);
        let path = root.join(&relative);
        if path.is_dir() {
            pack_folder(builder, root, &relative)?;
            continue;
        }
        let file = File::open(&path)?;
        let metadata = file.metadata()?;
        let mut header = Header::new_gnu();
        header.set_size(metadata.len());
        header.set_mode(mode(metadata.permissions().mode()));
        header.set_mtime(0);
        builder.append_data(&mut header, &relative, file)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes an archive of these entries, name, type and content, and unpacks it.
    fn unpacked(entries: &[(&str, EntryType, &[u8])]) -> io::Result<tempfile::TempDir> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("model.tar.gz");
        let mut builder = Builder::new(GzEncoder::new(File::create(&path)?, Compression::fast()));
        for (name, kind, content) in entries {
            let mut header = Header::new_gnu();
            // The safe setters refuse hostile names, so the bytes are put in place directly.
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(*kind);
            header.set_size(content.len() as u64);
            header.set_mode(0o700);
            header.set_cksum();
            builder.append(&header, *content)?;
        }
        builder.into_inner()?.finish()?;
        unpack_within(&path, &folder.path().join("model"), 1_500_000).map(|()| folder)
    }

    #[test]
    fn what_is_packed_comes_back_and_is_the_same_bytes_each_time() {
        let from = tempfile::tempdir().unwrap();
        let long = format!("deep/{}", "x".repeat(150));
        fs::create_dir(from.path().join("deep")).unwrap();
        for (name, text) in [("model.toml", "name = 'x'"), ("b", "2"), (long.as_str(), "3")] {
            fs::write(from.path().join(name), text).unwrap();
        }
        let to = tempfile::tempdir().unwrap();
        let pack = |name: &str| {
            let path = to.path().join(name);
            super::pack(from.path(), &mut File::create(&path).unwrap()).unwrap();
            fs::read(path).unwrap()
        };
        let packed = pack("x.tar.gz");
        fs::write(from.path().join("b"), "2").unwrap();
        assert_eq!(pack("again.tar.gz"), packed);

        unpack(&to.path().join("x.tar.gz"), &to.path().join("model")).unwrap();
        assert_eq!(fs::read_to_string(to.path().join("model").join(long)).unwrap(), "3");
        assert_eq!(fs::read_to_string(to.path().join("model/b")).unwrap(), "2");
    }

    #[test]
    fn hostile_names_and_kinds_are_refused() {
        for (name, kind) in [
            ("../escape", EntryType::Regular),
            ("/escape", EntryType::Regular),
            ("a/../../escape", EntryType::Regular),
            ("link", EntryType::Symlink),
            ("link", EntryType::Link),
            ("pipe", EntryType::Fifo),
        ] {
            assert!(unpacked(&[(name, kind, b"")]).is_err(), "{name} {kind:?}");
        }
        for (kind, name) in
            [(EntryType::GNULongName, "../escape\0"), (EntryType::XHeader, "18 path=../escape\n")]
        {
            let file = ("short", EntryType::Regular, &b""[..]);
            let refusal = unpacked(&[("ext", kind, name.as_bytes()), file]).unwrap_err();
            let refusal = refusal.to_string();
            assert!(refusal.contains("escape` leads out"), "{refusal}");
        }
    }

    #[test]
    fn bombs_are_refused() {
        let zeros = vec![0; 2_000_000];
        let refusal = unpacked(&[("a", EntryType::Regular, &zeros)]).unwrap_err().to_string();
        assert!(refusal.contains("it unpacks to"), "{refusal}");
        let refusal = unpacked(&[("a", EntryType::GNULongName, &zeros)]).unwrap_err().to_string();
        assert!(refusal.contains("more than 65536 bytes"), "{refusal}");
        let many = vec![("a/", EntryType::Directory, &b""[..]); MAX_ENTRIES + 1];
        let refusal = unpacked(&many).unwrap_err().to_string();
        assert!(refusal.contains("more than 2000 entries"), "{refusal}");
        let file = ("a", EntryType::Regular, &b"x"[..]);
        let refusal = unpacked(&[file, file]).unwrap_err().to_string();
        assert_eq!(refusal, "`a` is there twice");
        assert!(unpacked(&[("ext", EntryType::XHeader, b"9 size=2\n"), file]).is_err());
    }
}
