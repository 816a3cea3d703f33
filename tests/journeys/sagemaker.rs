//! The endpoint host as an unmodified AWS client sees it.

use crate::support::{Server, gatehouse, python, repository, run};

#[test]
fn boto3_creates_invokes_and_deletes_an_endpoint() {
    let data = tempfile::tempdir().unwrap();
    let mut host = gatehouse();
    host.args(["host", "--listen", "127.0.0.1:0", "--data"]).arg(data.path());
    let mut host = Server::start(host.arg("--model-root").arg(repository("examples/models")));
    let url = host.line("endpoint host listening on ");
    let model = format!("file://{}", repository("examples/models/spam").display());
    let output = run(python().arg(repository("tests/boto3_host.py")).args([&url, &model]), b"");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{told}\n{error}");
}
