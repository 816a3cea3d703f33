//! Refuses command lines that can't be meant.

use std::path::Path;

use super::ImportArgs;
use super::columns::Field;
use crate::error::Error;
use crate::header;

/// Characters that can't separate values.
const NO_DELIMITERS: &str = "\"\r\n\u{3}";

/// Refuses a command line that can't be meant.
///
/// # Errors
/// When it is such a one, or a path isn't there.
pub(super) fn check(args: &ImportArgs) -> Result<(), Error> {
    options(args).map_err(Error::Usage)?;
    mapping(args).map_err(Error::Usage)?;
    places(args)
}

fn options(args: &ImportArgs) -> Result<(), String> {
    let extension = args.out.extension().and_then(|it| it.to_str()).unwrap_or_default();
    if !["jsonl", "ndjson", "gz", "parquet"].contains(&extension) {
        let out = args.out.display();
        return Err(format!("`--out {out}` must end in .jsonl, .jsonl.gz or .parquet"));
    }
    for name in &args.headers {
        header::recordable(name).map_err(|reason| format!("`--header`: {reason}"))?;
    }
    match args.path.starts_with('/') {
        true => Ok(()),
        false => Err(format!("`--path {}` must begin with /", args.path)),
    }
}

fn mapping(args: &ImportArgs) -> Result<(), String> {
    if args.delimiter.is_some_and(|it| !it.is_ascii() || NO_DELIMITERS.contains(it)) {
        return Err("`--delimiter` must be an ASCII character, no quote or line break".to_owned());
    }
    let is_pointer = |name: &str| name.is_empty() || name.starts_with('/');
    if let Some(wrong) = args.map.iter().find(|it| !is_pointer(&it.name)) {
        return Err(format!("`--map`: the pointer `{}` must begin with /", wrong.name));
    }
    if !args.map.is_empty() && args.map.iter().all(|it| it.field != Field::Body) {
        return Err("`--map` must tell where the request's body is: `body=/POINTER`".to_owned());
    }
    let has_body = args.columns.iter().any(|it| it.field == Field::Body);
    match has_body && !args.fields.is_empty() {
        true => Err("`--column body=…` and `--fields` both make the request's body".to_owned()),
        false => Ok(()),
    }
}

/// What is written must not be read.
fn places(args: &ImportArgs) -> Result<(), Error> {
    let folder = args.out.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let folder = folder.canonicalize().map_err(Error::file(folder))?;
    let out = folder.join(args.out.file_name().unwrap_or_default());
    for path in &args.paths {
        if out.starts_with(path.canonicalize().map_err(Error::file(path))?) {
            let (out, path) = (args.out.display(), path.display());
            return Err(Error::Usage(format!("`--out {out}` lies in `{path}`, which is read")));
        }
    }
    Ok(())
}
