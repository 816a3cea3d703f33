//! Keys, from the command line to a router that is open to other machines.

use std::fs::{self, File};
use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Server, gatehouse, run, send};

fn key(database: &str, arguments: &[&str]) -> Output {
    let (verb, rest) = arguments.split_first().unwrap();
    run(gatehouse().args(["key", verb, "--database", database]).args(rest), b"")
}

/// What a command printed on one of its outputs.
fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn moderate(router: &str, key: Option<&str>) -> (Option<i32>, String, String) {
    let mut command = gatehouse();
    command.args(["moderate", "--client", "plainstore", "--router", router]);
    command.env_remove("GATEHOUSE_KEY").envs(key.map(|key| ("GATEHOUSE_KEY", key)));
    let line = json!({"content_id": "c-1", "fields": {"text": "fine"}});
    let output = run(&mut command, format!("{line}\n").as_bytes());
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// Starts a router on all addresses that writes down all that it can say.
fn router(database: &str, log: &Path) -> (Server, String) {
    let mut command = gatehouse();
    command.args(["router", "--listen", "0.0.0.0:0", "--database", database]);
    command.args(["--sagemaker-endpoint-url", "http://127.0.0.1:9"]);
    command.env("RUST_LOG", "trace").stderr(File::create(log).unwrap());
    let mut server = Server::start(&mut command);
    let url = server.line("router listening on ").replace("0.0.0.0", "127.0.0.1");
    (server, url)
}

#[test]
fn a_key_opens_a_router_and_is_in_no_log_and_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let database = format!("sqlite://{}/data/gatehouse.db", folder.path().display());
    let scopes = ["--scope", "admin", "ingest:*", "options:*"];
    let create = [&["create", "--owner", "root"], &scopes[..], &["--expires", "90d"]].concat();
    let mistyped = key(&database, &create);
    assert!(!mistyped.status.success() && text(&mistyped.stderr).contains("make the folder"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    fs::create_dir(folder.path().join("data")).unwrap();
    let made = key(&database, &create);
    assert!(made.status.success(), "{made:?}");
    assert!(text(&made.stderr).contains("made the database"), "{made:?}");
    let secret_key = text(&made.stdout).trim_end().to_owned();
    assert!(secret_key.starts_with("gh_live_") && !secret_key.contains('\n'), "{secret_key}");
    let (public, secret) = secret_key.rsplit_once('_').unwrap();
    let key_id = public.strip_prefix("gh_live_").unwrap();
    assert!(text(&made.stderr).contains(key_id) && !text(&made.stderr).contains(secret));

    let (server, url) = router(&database, &log);
    let bearer = format!("Bearer {secret_key}");
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
        ("if-none-match", "*"),
    ];
    for scope in ["platform", "client/plainstore"] {
        let put = send(&url, "PUT", &format!("/v1/scopes/{scope}"), &headers, "{}");
        assert_eq!(put.status, 201, "{put:?}");
    }
    let (code, verdicts, _) = moderate(&url, Some(&secret_key));
    assert!(code == Some(0) && verdicts.contains("approve"), "{verdicts}");
    let (code, _, fault) = moderate(&url, None);
    assert!(code == Some(1) && fault.contains("set GATEHOUSE_KEY"), "{fault}");

    let listed = text(&key(&database, &["list"]).stdout);
    assert!(listed.contains(key_id) && !listed.contains(secret), "{listed}");
    assert!(key(&database, &["revoke", key_id]).status.success());
    let until = Instant::now() + Duration::from_secs(20);
    while moderate(&url, Some(&secret_key)).0 == Some(0) {
        assert!(Instant::now() < until, "a revoked key is still taken");
    }
    let (_, _, fault) = moderate(&url, Some(&secret_key));
    assert!(fault.contains("was revoked") && !fault.contains(secret), "{fault}");
    drop(server);

    let mut files = vec![log];
    let data = fs::read_dir(folder.path().join("data")).unwrap();
    files.extend(data.map(|file| file.unwrap().path()));
    for file in files {
        let bytes = fs::read(&file).unwrap();
        let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "{}", file.display());
    }
}

#[test]
fn a_key_that_makes_no_sense_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sqlite://{}/gatehouse.db", folder.path().display());
    let missing = key(&database, &["list"]);
    assert!(text(&missing.stderr).contains("there is no database"), "{missing:?}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    let wrong = key(&database, &["create", "--owner", "ann", "--scope", "ingest"]);
    assert!(!wrong.status.success() && wrong.stdout.is_empty(), "{wrong:?}");
    assert!(text(&wrong.stderr).contains("ingest:CLIENT"), "{wrong:?}");
    let create = ["create", "--owner", "ann", "--scope", "models"];
    for _ in 0..2 {
        assert!(key(&database, &create).status.success());
    }
    let third = key(&database, &create);
    assert!(!third.status.success() && third.stdout.is_empty(), "{third:?}");
    assert!(text(&third.stderr).contains("gatehouse key revoke"), "{third:?}");
}

#[test]
fn without_keys_a_router_stays_on_this_machine() {
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sqlite://{}/gatehouse.db", folder.path().display());
    let mut command = gatehouse();
    command.args(["router", "--listen", "0.0.0.0:0", "--database", &database]);
    command.args(["--sagemaker-endpoint-url", "http://127.0.0.1:9"]);
    let refused = run(&mut command, b"");
    assert!(!refused.status.success());
    assert!(text(&refused.stderr).contains("gatehouse key create"), "{refused:?}");
}
