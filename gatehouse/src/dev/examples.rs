//! Puts the example options into the router, where it has none of that name yet.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use deployer::http::{Method, StatusCode};

use super::router_client::RouterClient;

/// Whether the router has the document at `path`.
pub(super) async fn exists(router: &RouterClient, path: &str) -> anyhow::Result<bool> {
    let found = router.ask(Method::GET, path, &[], None).await?;
    Ok(found.status != StatusCode::NOT_FOUND)
}

/// Puts each JSON file below `folder` as the scope of the same path, parents first.
pub(super) async fn put_clients(router: &RouterClient, folder: &Path) -> anyhow::Result<()> {
    for scope in scopes(folder)? {
        let path = folder.join(&scope).with_extension("json");
        let text = fs::read(&path).with_context(|| format!("can't read `{}`", path.display()))?;
        let document = serde_json::from_slice(&text)
            .with_context(|| format!("`{}` is no JSON", path.display()))?;
        let path = format!("/v1/scopes/{}", scope.display());
        // What is there already may hold the user's own changes.
        if !exists(router, &path).await? {
            put(router, &path, &document).await?;
        }
    }
    Ok(())
}

async fn put(
    router: &RouterClient,
    path: &str,
    document: &serde_json::Value,
) -> anyhow::Result<()> {
    let action = format!("putting `{path}`");
    let headers = &[
        ("content-type", "application/json"),
        ("if-none-match", "*"),
        ("gatehouse-reason", "example of gatehouse dev"),
    ];
    router.ask(Method::PUT, path, headers, Some(document)).await?.success(&action)?;
    Ok(())
}

/// The scopes that have a file below `folder`: platform, industries, clients, sites.
fn scopes(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut scopes = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(inner) = folders.pop() {
        let context = || format!("can't read `{}`", inner.display());
        for entry in fs::read_dir(&inner).with_context(context)? {
            let path = entry.with_context(context)?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "json") {
                scopes.push(path.strip_prefix(folder)?.with_extension(""));
            }
        }
    }
    scopes.sort_by_key(|scope| (rank(scope), scope.components().count(), scope.clone()));
    Ok(scopes)
}

fn rank(scope: &Path) -> usize {
    let kinds = ["platform", "industry", "client"];
    kinds.iter().position(|kind| scope.starts_with(kind)).unwrap_or(kinds.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_come_before_their_children() {
        let folder = tempfile::tempdir().unwrap();
        let files = ["client/a/site/x.json", "client/a.json", "industry/z.json", "platform.json"];
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "{}").unwrap();
        }
        let scopes = scopes(folder.path()).unwrap();
        let expected = ["platform", "industry/z", "client/a", "client/a/site/x"];
        assert_eq!(scopes, expected.map(PathBuf::from));
    }
}
