//! `gatehouse policy export`: the options in force as files, of which none is lost unasked.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;

use super::document::Format;
use super::folder::{Documents, Folder};
use super::output::{complain, say};
use super::{Fault, Finding, Place};

/// Where to write, and what may be overwritten.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// Overwrite files that say something else, and write beside files that are not options
    #[arg(long)]
    force: bool,
    /// Remove files of models and scopes that the router does not have
    #[arg(long)]
    prune: bool,
}

/// Writes what is in force.
pub(super) async fn export(arguments: Arguments) -> Result<Finding, Fault> {
    let root = &arguments.place.folder;
    let in_force = arguments.place.router()?.in_force().await?;
    fs::create_dir_all(root).map_err(failed(root))?;
    let folder = arguments.place.folder()?;
    let plan = Plan::of(&folder, &in_force.documents)?;
    plan.check(&folder, arguments.force)?;
    for (path, text) in &plan.writes {
        write(&root.join(path), text).map_err(failed(path))?;
    }
    if arguments.prune {
        for path in &plan.others {
            fs::remove_file(root.join(path)).map_err(failed(path))?;
        }
    }
    plan.tell(in_force.version, arguments.prune);
    Ok(Finding::Fine)
}

/// What follows the reasons not to.
const NOTHING_WRITTEN: &str =
    "nothing was written; --force overwrites files of options, and leaves all others";

/// What to do with the folder.
#[derive(Debug, Default)]
struct Plan {
    /// Texts by their files below the folder.
    writes: Vec<(PathBuf, String)>,
    /// Those of the files that say something else now.
    overwritten: Vec<PathBuf>,
    /// How many files mean the same already.
    same: usize,
    /// Files about what the router does not have.
    others: Vec<PathBuf>,
}

impl Plan {
    fn of(folder: &Folder, in_force: &Documents) -> Result<Self, Fault> {
        let mut plan = Self::default();
        for (subject, document) in in_force {
            let file = folder.files.get(subject);
            if file.is_some_and(|file| file.document.as_ref() == Ok(document)) {
                plan.same += 1;
                continue;
            }
            let format = file.map_or(Format::Yaml, |file| file.format);
            let text = format.write(document).and_then(|text| checked(format, text, document));
            let text = text.map_err(|fault| Fault::Failed(format!("`{subject}`: {fault}")))?;
            plan.overwritten.extend(file.map(|file| file.path.clone()));
            let path = file.map_or_else(|| subject.file(), |file| file.path.clone());
            plan.writes.push((path, text));
        }
        let others = folder.files.iter().filter(|(subject, _)| !in_force.contains_key(subject));
        plan.others = others.map(|(_, file)| file.path.clone()).collect();
        Ok(plan)
    }

    /// Refuses to touch what may be somebody's only copy.
    fn check(&self, folder: &Folder, force: bool) -> Result<(), Fault> {
        let mut faults = folder.faults.clone();
        if !force {
            faults.extend(folder.strange());
            faults.extend(
                self.overwritten.iter().map(|path| {
                    format!("`{}` says something else than the router", path.display())
                }),
            );
        }
        if faults.is_empty() {
            return Ok(());
        }
        faults.push(NOTHING_WRITTEN.to_owned());
        Err(Fault::all(&faults))
    }

    fn tell(&self, version: u64, pruned: bool) {
        let (written, same) = (self.writes.len(), self.same);
        say(&format!("version {version}: {written} files written, {same} as they were"));
        for path in &self.others {
            let path = path.display();
            if pruned {
                say(&format!("removed `{path}`"));
            } else {
                complain(&format!("`{path}` is about what the router lacks; --prune removes it"));
            }
        }
    }
}

/// The text, which must say what `apply` will be asked to take.
fn checked(format: Format, text: String, document: &serde_json::Value) -> Result<String, String> {
    match format.read(&text) {
        Ok(read) if read == *document => Ok(text),
        Ok(_) => Err("can't be written as a file that means the same".to_owned()),
        Err(fault) => Err(format!("can't be written as a file: {fault}")),
    }
}

/// Writes a file in one step: whoever reads it finds the old or the new text.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new(""));
    fs::create_dir_all(folder)?;
    // A link is kept, and what it points to is written.
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let written = fs::write(&beside, text).and_then(|()| fs::rename(&beside, &path));
    if written.is_err() {
        // Only tidies up; the error that counts is told.
        let _ = fs::remove_file(&beside);
    }
    written
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> Fault {
    move |error| Fault::Failed(format!("`{}`: {error}", path.display()))
}

#[cfg(test)]
mod tests;
