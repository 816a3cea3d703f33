//! Puts the example options into the router, where it has none of that name yet.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use deployer::http::{Call, Http, Method};

/// Puts each JSON file below `folder` as the scope of the same path, parents first.
pub(super) async fn put(router: &str, folder: &Path) -> anyhow::Result<()> {
    let http = Http::new();
    for path in files(folder)? {
        let scope = path.strip_prefix(folder)?.with_extension("");
        let text = fs::read(&path).with_context(|| format!("can't read `{}`", path.display()))?;
        let document = serde_json::from_slice(&text)
            .with_context(|| format!("`{}` is no JSON", path.display()))?;
        let answer = http
            .send(Call {
                method: Method::PUT,
                url: format!("{router}/v1/scopes/{}", scope.display()),
                headers: &[
                    ("content-type", "application/json"),
                    ("if-none-match", "*"),
                    ("gatehouse-reason", "example of gatehouse dev"),
                ],
                body: Some(&document),
            })
            .await?;
        // What is there already may hold the user's own changes.
        if answer.status != PRECONDITION_FAILED {
            answer.success(&format!("putting scope `{}`", scope.display()))?;
        }
    }
    Ok(())
}

const PRECONDITION_FAILED: u16 = 412;

/// All JSON files below `folder`; `platform` before `industry` before `client`.
fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let context = || format!("can't read `{}`", folder.display());
        for entry in fs::read_dir(&folder).with_context(context)? {
            let path = entry.with_context(context)?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "json") {
                files.push(path);
            }
        }
    }
    files.sort_by_key(|path| (rank(path.strip_prefix(folder).unwrap_or(path)), path.clone()));
    Ok(files)
}

fn rank(scope: &Path) -> usize {
    let is =
        |name: &str| scope.starts_with(name) || scope == Path::new(name).with_extension("json");
    ["platform", "industry", "client"].iter().position(|name| is(name)).unwrap_or(usize::MAX)
}
