//! ONNX Runtime's shared library: looked for when the first ONNX model is loaded, and not before.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ort::environment::Environment;
use ort::logging::LogLevel;

/// The variable that names the library's file, whatever is found elsewhere.
const VARIABLE: &str = "ORT_DYLIB_PATH";
/// Where `make onnxruntime` puts the library below the project's folder.
const TOOLS: &str = ".tools/onnxruntime";
/// How far above a binary the project's folder is at most: `target/debug/deps/binary`.
const MAX_PARENTS: usize = 4;

/// One process can have one environment; a library that failed to load may be replaced and tried
/// again.
static LOADED: Mutex<Option<Environment>> = Mutex::new(None);

/// Where the library is.
///
/// # Errors
/// A sentence that says how to get it.
pub fn path() -> Result<PathBuf, String> {
    find(env::var_os(VARIABLE), &env::current_exe().unwrap_or_default())
}

/// The library's environment, for making sessions.
///
/// # Errors
/// A sentence that says how to get the library, or why it can't be loaded.
pub(super) fn environment() -> Result<Environment, String> {
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(environment) = &*loaded {
        return Ok(environment.clone());
    }
    let environment = load(&path()?)?;
    Ok(loaded.insert(environment).clone())
}

/// The library's file. That it is there must be known before `ort` is asked to load it: a missing
/// one is said to have left it waiting for ever (pykeio/ort#560).
fn find(variable: Option<OsString>, executable: &Path) -> Result<PathBuf, String> {
    if let Some(path) = variable.filter(|path| !path.is_empty()).map(PathBuf::from) {
        let missing = || format!("{VARIABLE} is `{}`, which is no file", path.display());
        return path.is_file().then(|| path.clone()).ok_or_else(missing);
    }
    places(executable).find(|path| path.is_file()).ok_or_else(|| {
        format!(
            "it needs ONNX Runtime, whose library `{}` is not here: get it with \
             `make onnxruntime`, put it next to this program, or name it in {VARIABLE}",
            file_name()
        )
    })
}

/// Next to the program, in the `lib` next to its folder, and in the project that it was built in.
/// Nothing below the current directory, which may be a model's.
fn places(executable: &Path) -> impl Iterator<Item = PathBuf> {
    let folder = executable.parent().unwrap_or(executable);
    let beside = [folder.to_owned(), folder.join("../lib")];
    let projects = folder.ancestors().take(MAX_PARENTS).map(|parent| parent.join(TOOLS));
    // A test's binary may stand anywhere; what is installed keeps no path of the machine that
    // built it.
    let source = cfg!(debug_assertions)
        .then(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(TOOLS));
    beside.into_iter().chain(projects).chain(source).map(|folder| folder.join(file_name()))
}

fn file_name() -> String {
    format!("{}onnxruntime{}", env::consts::DLL_PREFIX, env::consts::DLL_SUFFIX)
}

fn load(path: &Path) -> Result<Environment, String> {
    let failed = |error: &dyn std::fmt::Display| {
        format!("ONNX Runtime's library `{}` can't be loaded: {error}", path.display())
    };
    // A relative name would be looked for next to the program.
    let path = path.canonicalize().map_err(|error| failed(&error))?;
    let builder = ort::init_from(&path).map_err(|error| failed(&error))?;
    let builder = builder.with_telemetry(false).with_logger(Arc::new(log));
    let environment = builder.build().map_err(|error| failed(&error))?;
    environment.set_log_level(LogLevel::Warning);
    Ok(environment)
}

/// Its errors come back as results as well, so they are no news here.
fn log(level: LogLevel, _category: &str, _id: &str, place: &str, message: &str) {
    match level {
        LogLevel::Warning => tracing::warn!(place, "ONNX Runtime: {message}"),
        _ => tracing::debug!(place, "ONNX Runtime: {message}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_wins_and_must_name_a_file() {
        let named = tempfile::NamedTempFile::new().unwrap();
        let variable = Some(named.path().as_os_str().to_owned());
        assert_eq!(find(variable, Path::new("/bin/x")).as_deref(), Ok(named.path()));
        let error = find(Some("/no/such/file".into()), Path::new("/bin/x")).unwrap_err();
        assert_eq!(error, "ORT_DYLIB_PATH is `/no/such/file`, which is no file");
    }

    #[test]
    fn the_library_is_found_beside_the_program_in_lib_and_in_the_project_above() {
        for place in ["bin", "lib", ".tools/onnxruntime"] {
            let root = tempfile::tempdir().unwrap();
            let library = root.path().join(place).join(file_name());
            std::fs::create_dir_all(root.path().join("bin")).unwrap();
            std::fs::create_dir_all(library.parent().unwrap()).unwrap();
            std::fs::write(&library, "").unwrap();
            let found = find(None, &root.path().join("bin/program")).unwrap();
            assert_eq!(found.canonicalize().unwrap(), library.canonicalize().unwrap(), "{place}");
        }
    }
}
