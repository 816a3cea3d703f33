//! Unpacks `model.tar.gz` files: plain files and folders only, within bounds, never outside
//! the folder they are unpacked to.

mod extension;

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Component, Path};

use flate2::read::MultiGzDecoder;
use tar::{Archive, Entry, EntryType};

use crate::attempt::Attempt;
use extension::Extension;

/// How much an archive may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Bytes, unpacked.
    pub(crate) bytes: u64,
    /// Files and folders.
    pub(crate) entries: usize,
}

impl Bounds {
    /// What fits a serverless endpoint, and as many files as a container reads.
    pub(crate) const MODEL: Self = Self { bytes: 2 * 1024 * 1024 * 1024, entries: 1_000 };
}

/// An archive that is read only for as long as it is wanted.
struct Wanted<'a> {
    /// The archive.
    file: File,
    /// What wants it.
    attempt: &'a Attempt,
}

impl Read for Wanted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let over = self.attempt.over().map(|reason| io::Error::other(reason.to_string()));
        over.map_or_else(|| self.file.read(buffer), Err)
    }
}

/// Unpacks `archive` into the new folder `into`, as long as the attempt goes on; on an error, part
/// of it may be there.
pub(crate) fn unpack(
    archive: &Path,
    into: &Path,
    bounds: Bounds,
    attempt: &Attempt,
) -> io::Result<()> {
    fs::create_dir(into)?;
    let wanted = Wanted { file: File::open(archive)?, attempt };
    // The headers count too, so that an archive of nothing else ends as well.
    let limited = MultiGzDecoder::new(wanted).take(bounds.bytes);
    let mut archive = Archive::new(limited);
    unpack_entries(&mut archive, into, bounds.entries)?;
    let mut rest = archive.into_inner();
    // The checksum stands behind the archive's end, where nothing else would read it.
    io::copy(&mut rest, &mut io::sink())?;
    if rest.limit() == 0 {
        return Err(refusal(format!("it unpacks to {} bytes or more", bounds.bytes)));
    }
    Ok(())
}

fn unpack_entries(archive: &mut Archive<impl Read>, into: &Path, most: usize) -> io::Result<()> {
    let (mut count, mut extension) = (0, Extension::default());
    for entry in archive.entries()?.raw(true) {
        let mut entry = entry?;
        if extension.take(&mut entry)? {
            continue;
        }
        count += 1;
        if count > most {
            return Err(refusal(format!("it has more than {most} entries")));
        }
        let path = std::mem::take(&mut extension).path(&entry)?;
        unpack_entry(&mut entry, &path, into)?;
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
        EntryType::Directory => fs::create_dir_all(target),
        EntryType::Regular | EntryType::Continuous => write_file(entry, &target),
        _ => Err(refusal(format!("`{}` is neither a file nor a folder", path.display()))),
    }
}

fn write_file(entry: &mut Entry<'_, impl Read>, target: &Path) -> io::Result<()> {
    if let Some(folder) = target.parent() {
        fs::create_dir_all(folder)?;
    }
    let executable = entry.header().mode()? & 0o100 != 0;
    let mode = if executable { 0o755 } else { 0o644 };
    let mut file = File::options().write(true).create_new(true).mode(mode).open(target)?;
    let written = io::copy(entry, &mut file)?;
    if written < entry.size() {
        return Err(refusal(format!("`{}` is cut off or too large", target.display())));
    }
    Ok(())
}

fn refusal(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use tar::{Builder, Header};
    use tokio_util::sync::CancellationToken;

    use super::*;

    const SMALL: Bounds = Bounds { bytes: 20_000, entries: 3 };

    const LARGE: Bounds = Bounds { bytes: 1_000_000, entries: 3 };

    /// Writes an archive of these entries, name, type and content, and unpacks it.
    fn unpacked(entries: &[(&str, EntryType, &[u8])]) -> io::Result<tempfile::TempDir> {
        unpacked_within(SMALL, entries)
    }

    fn unpacked_within(
        bounds: Bounds,
        entries: &[(&str, EntryType, &[u8])],
    ) -> io::Result<tempfile::TempDir> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("model.tar.gz");
        let mut builder = Builder::new(GzEncoder::new(File::create(&path)?, Compression::fast()));
        for (name, kind, content) in entries {
            let mut header = Header::new_gnu();
            // The safe setters refuse hostile names, so the bytes are put in place directly.
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(*kind);
            header.set_size(content.len() as u64);
            header.set_mode(0o755);
            header.set_cksum();
            builder.append(&header, *content)?;
        }
        builder.into_inner()?.finish()?;
        unpack_in_time(&path, &folder.path().join("model"), bounds).map(|()| folder)
    }

    fn unpack_in_time(archive: &Path, into: &Path, bounds: Bounds) -> io::Result<()> {
        unpack(archive, into, bounds, &Attempt::new(&CancellationToken::new()))
    }

    #[test]
    fn files_and_folders_are_unpacked_where_they_belong() {
        let folder = unpacked(&[
            ("./", EntryType::Directory, b""),
            ("./deep/model.toml", EntryType::Regular, b"name = 'x'"),
        ])
        .unwrap();
        let text = fs::read_to_string(folder.path().join("model/deep/model.toml")).unwrap();
        assert_eq!(text, "name = 'x'");
    }

    #[test]
    fn hostile_names_and_kinds_are_refused() {
        for (name, kind) in [
            ("../escape", EntryType::Regular),
            ("/escape", EntryType::Regular),
            ("a/../../escape", EntryType::Regular),
            ("link", EntryType::Symlink),
            ("link", EntryType::Link),
            ("device", EntryType::Char),
            ("pipe", EntryType::Fifo),
        ] {
            assert!(unpacked(&[(name, kind, b"")]).is_err(), "{name} {kind:?}");
        }
    }

    #[test]
    fn too_many_bytes_entries_or_equal_names_are_refused() {
        let file = |name| (name, EntryType::Regular, &b"x"[..]);
        assert!(unpacked(&[file("a"), file("b"), file("c")]).is_ok());
        assert!(unpacked(&[file("a"), file("b"), file("c"), file("d")]).is_err());
        assert!(unpacked(&[file("a"), file("a")]).is_err());
        assert!(unpacked(&[("a", EntryType::Regular, &[0; 30_000])]).is_err());
    }

    #[test]
    fn long_names_of_both_kinds_are_unpacked_and_may_not_lead_out_either() {
        let long = format!("{}/model.toml", "x".repeat(120));
        let pax = |name: &str| {
            let record = format!(" path={name}\n");
            format!("{}{record}", record.len() + 3)
        };
        for (kind, name) in
            [(EntryType::GNULongName, format!("{long}\0")), (EntryType::XHeader, pax(&long))]
        {
            let file = ("short", EntryType::Regular, &b"name = 'x'"[..]);
            let folder = unpacked(&[("ext", kind, name.as_bytes()), file]).unwrap();
            let text = fs::read_to_string(folder.path().join("model").join(&long)).unwrap();
            assert_eq!(text, "name = 'x'");
        }
        for (kind, name) in
            [(EntryType::GNULongName, "../escape\0"), (EntryType::XHeader, "18 path=../escape\n")]
        {
            let file = ("short", EntryType::Regular, &b""[..]);
            let refusal = unpacked(&[("ext", kind, name.as_bytes()), file]).unwrap_err();
            assert!(refusal.to_string().contains("leads out"), "{refusal}");
        }
    }

    #[test]
    fn names_and_headers_too_large_to_be_true_are_refused_unread() {
        let bytes = vec![b'x'; 100_000];
        for kind in [
            EntryType::GNULongName,
            EntryType::GNULongLink,
            EntryType::XHeader,
            EntryType::XGlobalHeader,
        ] {
            let refusal = unpacked_within(LARGE, &[("ext", kind, &bytes)]).unwrap_err();
            assert!(refusal.to_string().contains("more than 65536 bytes"), "{refusal}");
        }
    }

    #[test]
    fn sizes_that_contradict_each_other_and_sparse_files_are_refused() {
        for header in ["9 size=2\n", "10 size=x\n", "22 GNU.sparse.major=1\n"] {
            let file = ("a", EntryType::Regular, &b"x"[..]);
            assert!(unpacked(&[("ext", EntryType::XHeader, header.as_bytes()), file]).is_err());
        }
        let comment = ("ext", EntryType::XGlobalHeader, &b"13 comment=x\n"[..]);
        assert!(unpacked(&[comment, ("a", EntryType::Regular, &b"x"[..])]).is_ok());
    }

    #[test]
    fn an_archive_whose_checksum_is_wrong_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.tar.gz");
        let mut builder = Builder::new(GzEncoder::new(Vec::new(), Compression::none()));
        let mut header = Header::new_gnu();
        header.set_path("a").unwrap();
        header.set_size(12);
        header.set_mode(0o644);
        header.set_cksum();
        builder.append(&header, &b"weight = 0.5"[..]).unwrap();
        let mut bytes = builder.into_inner().unwrap().finish().unwrap();
        let at = bytes.windows(3).position(|window| window == b"0.5").unwrap();
        bytes[at + 2] = b'9';
        fs::write(&path, bytes).unwrap();
        let fault = unpack_in_time(&path, &folder.path().join("model"), SMALL).unwrap_err();
        assert!(fault.to_string().contains("checksum"), "{fault}");
    }

    #[test]
    fn a_file_that_is_no_archive_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.tar.gz");
        fs::write(&path, "not gzip").unwrap();
        assert!(unpack_in_time(&path, &folder.path().join("model"), SMALL).is_err());
    }
}
