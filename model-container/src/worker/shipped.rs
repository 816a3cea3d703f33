//! The workers that the container brings along, wherever its binary is copied to.
//!
//! An argument of `command` that is `{sagemaker_inference.py}` or `{WekaWorker.java}` stands for
//! the path of that program. Its source is part of our binary; the worker gets it as an open file
//! in memory (`/proc/self/fd/N`), so that neither a folder nor a writable disk is needed.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;

use rustix::fs::{MemfdFlags, memfd_create};

/// The programs by name.
const SHIPPED: [(&str, &str); 2] = [
    ("sagemaker_inference.py", include_str!("../../../workers/python/sagemaker_inference.py")),
    ("WekaWorker.java", include_str!("../../../workers/java/WekaWorker.java")),
];

/// The arguments of a command with paths in place of names in braces, and the files behind them.
pub(super) struct Shipped {
    pub(super) command: Vec<String>,
    /// What the paths lead to; open as long as a worker may be started.
    _files: Vec<File>,
}

impl Shipped {
    /// Opens each program that the command names; an unknown one is refused by name.
    pub(super) fn resolve(command: &[String]) -> Result<Self, String> {
        let mut files = Vec::new();
        let mut resolve = |argument: &String| {
            let inner = argument.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
            let Some(name) = inner else { return Ok(argument.clone()) };
            let source = SHIPPED.iter().find(|(shipped, _)| *shipped == name);
            let (_, source) = source.ok_or_else(|| unknown(name))?;
            let file = open(name, source)
                .map_err(|error| format!("the shipped worker `{name}` can't be opened: {error}"))?;
            let path = format!("/proc/self/fd/{}", file.as_raw_fd());
            files.push(file);
            Ok(path)
        };
        let command = command.iter().map(&mut resolve).collect::<Result<_, String>>()?;
        Ok(Self { command, _files: files })
    }
}

/// A file in memory that child processes inherit.
fn open(name: &str, source: &str) -> io::Result<File> {
    let mut file = File::from(memfd_create(name, MemfdFlags::empty())?);
    file.write_all(source.as_bytes())?;
    Ok(file)
}

fn unknown(name: &str) -> String {
    let names = SHIPPED.map(|(name, _)| format!("`{{{name}}}`")).join(" and ");
    format!("model.toml: `command` names `{{{name}}}`, but the shipped workers are {names}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_braces_becomes_a_path_to_the_shipped_source() {
        let command = ["python3", "{sagemaker_inference.py}", "x"].map(str::to_owned);
        let shipped = Shipped::resolve(&command).unwrap();
        assert_eq!((&*shipped.command[0], &*shipped.command[2]), ("python3", "x"));
        assert_eq!(std::fs::read_to_string(&shipped.command[1]).unwrap(), SHIPPED[0].1);
    }

    #[test]
    fn an_unknown_name_is_refused_with_those_there_are() {
        let error = Shipped::resolve(&["{worker.py}".to_owned()]).err().unwrap();
        assert!(
            error.contains("`{worker.py}`") && error.contains("`{WekaWorker.java}`"),
            "{error}"
        );
    }
}
