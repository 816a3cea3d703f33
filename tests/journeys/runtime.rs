//! Calls, streams, models from S3 and their cost, as an unmodified AWS client sees them.

use crate::support::{Server, gatehouse, moto, python, repository, run};

#[test]
fn boto3_streams_from_a_model_in_s3_and_the_cost_is_told() {
    let mut s3 = Server::start(&mut moto());
    let s3_url = s3.line("moto listening on ");
    let data = tempfile::tempdir().unwrap();
    let mut host = gatehouse();
    host.args(["host", "--listen", "127.0.0.1:0", "--data"]).arg(data.path());
    host.env("AWS_ENDPOINT_URL_S3", &s3_url).env("AWS_REGION", "eu-west-1");
    host.env("AWS_ACCESS_KEY_ID", "local").env("AWS_SECRET_ACCESS_KEY", "local");
    let mut host = Server::start(&mut host);
    let url = host.line("endpoint host listening on ");
    let script = repository("tests/sdk/boto3_runtime.py");
    let model = repository("examples/models/spam");
    let output = run(python().arg(script).args([&url, &s3_url]).arg(model), b"");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{told}\n{error}");
    let cost = run(gatehouse().args(["host", "cost", "--host", &url]), b"");
    let cost = String::from_utf8(cost.stdout).unwrap();
    let spam = cost.lines().find(|line| line.starts_with("spam ")).unwrap();
    let fields: Vec<_> = spam.split_whitespace().collect();
    assert_eq!(fields[1..5], ["all", "1024", "MB", "3"], "{cost}");
    assert!(fields.last().unwrap().parse::<f64>().unwrap() > 0.0, "{cost}");
    assert!(cost.contains("$0.0000200 per GB-second"), "{cost}");
}
