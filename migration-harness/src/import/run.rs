//! An import from its first file to the audit.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use jiff::SignedDuration;

use super::audit::{Audit, Findings, Repeats};
use super::call::Found;
use super::columns::Assignment;
use super::csv_file::{self, Layout};
use super::duplicates::{self, Duplicates};
use super::format::Format;
use super::input::{self, Files};
use super::intake::{Current, Intake, Reading};
use super::report::Report;
use super::row::Defaults;
use super::settle::Terms;
use super::{ImportArgs, data_capture, gor, har, json_lines, parquet_file};
use crate::error::Error;
use crate::record::Sink;

/// An import that can be done.
pub(super) struct Import {
    paths: Vec<PathBuf>,
    from: Option<Format>,
    out: PathBuf,
    terms: Terms,
    layout: Layout,
    map: Vec<Assignment>,
    duplicates: Duplicates,
    gap: Option<SignedDuration>,
    skip_bad: bool,
}

impl Import {
    /// What a command line asks for.
    pub(super) fn of(args: ImportArgs) -> Self {
        let headers = args.headers.iter().map(|name| name.to_ascii_lowercase()).collect();
        Self {
            paths: args.paths,
            from: args.from,
            out: args.out,
            terms: Terms { model: args.model, client: args.client, headers },
            layout: Layout {
                delimiter: args.delimiter.and_then(|it| u8::try_from(it).ok()),
                columns: args.columns,
                members: args.fields,
                defaults: Defaults { path: args.path, content_type: args.content_type },
            },
            map: args.map,
            duplicates: args.duplicates,
            gap: args.gap.map(|gap| SignedDuration::try_from(gap).unwrap_or(SignedDuration::MAX)),
            skip_bad: args.skip_bad,
        }
    }

    /// Writes the records, then their audit.
    ///
    /// # Errors
    /// When something can't be read or is no call, or can't be written; then there is no new file.
    pub(super) fn run(mut self) -> Result<Report, Error> {
        let scratch = Scratch::create(&self.out)?;
        let draft = scratch.file("draft", &self.out)?;
        let (reading, audit) = self.read(&scratch, &draft)?;
        let (findings, repeats) = audit.finish()?;
        let (records, findings) = match self.duplicates {
            _ if repeats.count == 0 => (draft, findings),
            Duplicates::Keep => (draft, findings),
            Duplicates::Error => return Err(duplicates::refusal(&draft, repeats)?),
            Duplicates::Drop | Duplicates::Number => self.copy(&scratch, &draft, repeats)?,
        };
        let report = Report::of(reading, findings);
        report.write(&named(&self.out, ".audit.json"))?;
        fs::rename(&records, &self.out).map_err(Error::file(&self.out))?;
        Ok(report)
    }

    fn read(&mut self, scratch: &Scratch, draft: &Path) -> Result<(Reading, Audit), Error> {
        let mut intake = Intake {
            terms: std::mem::take(&mut self.terms),
            skip_bad: self.skip_bad,
            sink: Sink::create(draft)?,
            audit: Audit::new(&scratch.folder("first"), self.gap),
            reading: Reading::default(),
        };
        for path in Files::of(self.paths.clone()) {
            self.read_file(&path?, &mut intake)?;
        }
        let Intake { sink, audit, reading, .. } = intake;
        sink.finish()?;
        Ok((reading, audit))
    }

    fn read_file(&self, path: &Path, intake: &mut Intake) -> Result<(), Error> {
        let mut reader = input::open(path)?;
        let start = reader.fill_buf().map_err(Error::file(path))?;
        let Some(format) = self.from.or_else(|| Format::guess(path, start)) else {
            let path = path.display();
            return Err(Error::Usage(format!("`{path}`: its format can't be told; use `--from`")));
        };
        intake.begin(format);
        let mut file = Current::new(path);
        let mut take = |line: u64, found: Found| intake.take(&mut file, line, found);
        match format {
            Format::DataCapture => data_capture::read(path, &mut reader, &mut take),
            Format::Gor => gor::read(&mut reader, &mut take),
            Format::Har => har::read(&mut reader, &mut take),
            Format::Csv => csv_file::read(&self.layout, &mut reader, &mut take),
            Format::JsonLines if self.map.is_empty() => {
                json_lines::read_records(&mut reader, &mut take)
            }
            Format::JsonLines => {
                json_lines::read(&self.map, &self.layout.defaults, &mut reader, &mut take)
            }
            Format::Parquet => {
                let file = File::open(path).map_err(Error::file(path))?;
                parquet_file::read(&self.layout, file, &mut take)
            }
        }
    }

    /// A second file, in which duplicates are settled.
    fn copy(
        &self,
        scratch: &Scratch,
        draft: &Path,
        repeats: Repeats,
    ) -> Result<(PathBuf, Findings), Error> {
        let path = scratch.file("copy", &self.out)?;
        let mut sink = Sink::create(&path)?;
        let mut audit = Audit::new(&scratch.folder("second"), self.gap);
        let count = repeats.count;
        self.duplicates.copy(draft, repeats, &mut sink, &mut audit)?;
        sink.finish()?;
        let (mut findings, left) = audit.finish()?;
        if left.count > 0 {
            return Err(duplicates::refusal(&path, left)?);
        }
        findings.duplicate_ids = count;
        Ok((path, findings))
    }
}

/// A folder beside the file that is to be written, for what doesn't fit into memory. It is gone
/// when the import ends.
struct Scratch {
    path: PathBuf,
    /// Locked as long as an import uses the folder; who else has such a folder has none of ours.
    _lock: File,
}

impl Scratch {
    /// Takes over what an import that was killed left; nothing else is ever removed.
    fn create(out: &Path) -> Result<Self, Error> {
        let path = named(out, ".import");
        let lock = path.join("lock");
        let refuse = |why: &str| Err(Error::Usage(format!("`{}` {why}", path.display())));
        match fs::create_dir(&path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                return Err(Error::file(&path)(error));
            }
            Err(_) if !lock.is_file() => {
                return refuse("is in the way and no import's: move it, or choose another `--out`");
            }
            _ => {}
        }
        let held = File::create(&lock).map_err(Error::file(&lock))?;
        if held.try_lock().is_err() {
            return refuse("is in use by another import to the same file; wait for it");
        }
        empty(&path).map_err(Error::file(&path))?;
        Ok(Self { path, _lock: held })
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// A place for a file that is called as `out`, in a folder of its own.
    fn file(&self, folder: &str, out: &Path) -> Result<PathBuf, Error> {
        let folder = self.folder(folder);
        fs::create_dir(&folder).map_err(Error::file(&folder))?;
        Ok(folder.join(out.file_name().unwrap_or_default()))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left is removed by the next import to the same file.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Removes the folders in a folder.
fn empty(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

/// A path with more behind its name.
fn named(path: &Path, more: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(more);
    name.into()
}
