//! The endpoint host as unmodified AWS clients see it: boto3, the AWS CLI and the AWS SDK for
//! JavaScript, each with a script as one would write it for AWS.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::support::{Server, gatehouse, python, repository, run};

/// A host with the example models.
struct Host {
    url: String,
    _server: Server,
    data: TempDir,
}

impl Host {
    fn start(flags: &[&str]) -> Self {
        let data = tempfile::tempdir().unwrap();
        let mut host = gatehouse();
        host.arg("host").args(flags);
        host.args(["--listen", "127.0.0.1:0", "--data"]).arg(data.path());
        let mut server = Server::start(host.arg("--model-root").arg(repository("examples/models")));
        Self { url: server.line("endpoint host listening on "), _server: server, data }
    }

    /// What every script is told: where the host is and which model to serve.
    fn arguments(&self) -> [String; 2] {
        let model = repository("examples/models/spam");
        [self.url.clone(), format!("file://{}", model.display())]
    }

    /// The same, and where to capture calls.
    fn beyond_aws(&self) -> [String; 4] {
        let capture = self.data.path().join("captured");
        fs::create_dir(&capture).unwrap();
        let [url, model] = self.arguments();
        [url, model, "--beyond-aws".to_owned(), format!("file://{}", capture.display())]
    }
}

#[test]
fn a_boto3_script_passes_unchanged() {
    let host = Host::start(&[]);
    boto3(&host.arguments());
    let beyond = Host::start(&["--beyond-aws"]);
    boto3(&beyond.beyond_aws());
}

#[test]
fn the_aws_cli_passes_unchanged() {
    let host = Host::start(&[]);
    let script = repository("tests/sdk/aws_cli_endpoints");
    succeed(Command::new(script).arg(tool("awscli/bin/aws")).args(host.arguments()), b"");
}

#[test]
fn the_aws_sdk_for_javascript_passes_unchanged() {
    let host = Host::start(&[]);
    javascript(&host.arguments());
    let beyond = Host::start(&["--beyond-aws"]);
    javascript(&beyond.beyond_aws());
}

fn boto3(arguments: &[String]) {
    succeed(python().arg(repository("tests/sdk/boto3_endpoints.py")).args(arguments), b"");
}

fn javascript(arguments: &[String]) {
    let script = fs::read(repository("tests/sdk/javascript/endpoints.mjs")).unwrap();
    // A module from standard input finds its packages from the working directory.
    let mut node = Command::new("node");
    node.current_dir(tool("javascript")).args(["--input-type=module", "-"]).args(arguments);
    succeed(&mut node, &script);
}

/// What `tests/install-tools` put into `.tools`.
fn tool(path: &str) -> PathBuf {
    let tool = repository(".").join(".tools").join(path);
    assert!(tool.exists(), "run `make tools` first: there is no {}", tool.display());
    tool
}

fn succeed(command: &mut Command, input: &[u8]) {
    let output = run(command, input);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{told}\n{error}");
}
