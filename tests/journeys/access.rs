//! Deploying to a host that demands signatures, and asking its models through the router.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Server, gatehouse, repository, run, send};

const SECRET: &str = "correct horse battery";
const WRONG: &str = "battery horse correct";

/// Signs what the command asks of AWS, or of a host in its place.
fn sign<'a>(command: &'a mut Command, secret: &str) -> &'a mut Command {
    command.env("AWS_ACCESS_KEY_ID", "team").env("AWS_SECRET_ACCESS_KEY", secret);
    command.env("AWS_REGION", "eu-west-1").env_remove("AWS_SESSION_TOKEN")
}

fn host(folder: &Path) -> (Server, String) {
    let key = folder.join("key");
    fs::write(&key, SECRET).unwrap();
    let mut host = gatehouse();
    host.args(["host", "--listen", "127.0.0.1:0", "--data"]).arg(folder.join("host"));
    host.args(["--access-key", &format!("team={}", key.display())]);
    let mut server = Server::start(&mut host);
    let url = server.line("endpoint host listening on ");
    (server, url)
}

/// A router of its own options, which signs with this secret.
fn router(folder: &Path, host: &str, secret: &str) -> (Server, String) {
    let mut router = gatehouse();
    let database = format!("sqlite://{}/gatehouse.db", folder.display());
    router.args(["router", "--listen", "127.0.0.1:0", "--database", &database]);
    let mut server =
        Server::start(sign(&mut router, secret).args(["--sagemaker-endpoint-url", host]));
    let url = server.line("router listening on ");
    (server, url)
}

/// The verdict on spam, by the deployed model alone.
fn verdict(router: &str) -> Value {
    let rules = json!({"rules": {"spam": {"model": "spam", "label": "spam", "reject_at": 0.5}}});
    let documents = [
        ("models/spam", json!({"endpoint": {"sagemaker": "spam"}})),
        ("scopes/platform", rules),
        ("scopes/client/toybox", json!({})),
    ];
    for (path, document) in documents {
        let headers = [("content-type", "application/json"), ("if-none-match", "*")];
        let put = send(router, "PUT", &format!("/v1/{path}"), &headers, document.to_string());
        assert!([201, 412].contains(&put.status), "{path}: {put:?}");
    }
    let text = "Congratulations! You have won a free prize, call now to claim it";
    let content = json!({"client": "toybox", "content_id": "c-1", "fields": {"text": text}});
    let headers = [("content-type", "application/json")];
    send(router, "POST", "/v1/moderate", &headers, content.to_string()).json()
}

#[test]
fn a_model_at_a_host_that_demands_signatures_is_deployed_and_asked_with_the_key_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (_host, host) = host(folder.path());
    let folder_of = |name: &str| {
        let folder = folder.path().join(name);
        fs::create_dir(&folder).unwrap();
        folder
    };
    let (_knowing, knowing) = router(&folder_of("knowing"), &host, SECRET);
    let (_guessing, guessing) = router(&folder_of("guessing"), &host, WRONG);

    let deploy = |secret| {
        let mut deploy = gatehouse();
        deploy.arg("deploy").arg(repository("examples/models/spam")).args(["--name", "spam"]);
        deploy.args(["--host", &host, "--router", &knowing, "--upload"]);
        run(sign(&mut deploy, secret).arg(folder.path().join("host/models")), b"")
    };
    let refused = deploy(WRONG);
    let error = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && error.contains("signature"), "{error}");
    let deployed = deploy(SECRET);
    assert!(deployed.status.success(), "{deployed:?}");

    let known = verdict(&knowing);
    assert_eq!((&known["decision"], &known["degraded"]), (&json!("reject"), &json!(false)));
    let unknown = verdict(&guessing);
    assert_eq!((&unknown["decision"], &unknown["degraded"]), (&json!("review"), &json!(true)));
    assert_eq!(unknown["calls"][0]["status"], "failed", "{unknown}");
}
