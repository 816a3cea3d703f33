//! What a deployment asks of the endpoint host is asked of moto too, which knows SageMaker's API
//! from AWS's own models: nothing may rest on the host's leniency.

use crate::recording::{Exchange, Recording};
use crate::support::{Moto, Platform, Server, gatehouse, repository, run};

/// What only an endpoint on its way has; moto's are there at once.
const MID_WAY: &str = "PendingDeploymentSummary";

/// What moto 5.2.5 does not play.
const UNKNOWN_TO_MOTO: [&str; 1] = ["UpdateEndpoint"];

/// Both took the call or both refused it, and moto's answer has all members that the host's has.
fn assert_taken_by_both(exchange: &Exchange) {
    let Exchange { operation, host, moto, .. } = exchange;
    if UNKNOWN_TO_MOTO.contains(&operation.as_str()) {
        return assert!(host.is_success() && moto.status >= 500, "{exchange:#?}");
    }
    assert_eq!(host.is_success(), moto.is_success(), "{exchange:#?}");
    if host.is_success() {
        let mut members = host.keys();
        members.remove(MID_WAY);
        assert!(moto.keys().is_superset(&members), "{exchange:#?}");
    }
}

#[test]
fn a_deployments_calls_are_taken_by_moto_as_by_the_host() {
    let (platform, moto) = (Platform::start(), Moto::start());
    let recording = Recording::start(&platform.host, &moto.url);
    let mut deploy = gatehouse();
    deploy.arg("deploy").arg(repository("examples/models/spam"));
    deploy.args(["--name", "recorded", "--host", recording.url(), "--upload"]);
    let deployed = run(deploy.arg(platform.data().join("models")), b"");
    assert!(deployed.status.success(), "{deployed:?}");

    let exchanges = recording.exchanges();
    exchanges.iter().for_each(assert_taken_by_both);
    for operation in ["CreateModel", "CreateEndpointConfig", "CreateEndpoint"] {
        let created = exchanges.iter().find(|exchange| exchange.operation == operation);
        assert!(created.is_some_and(|created| created.moto.is_success()), "{operation}");
    }
}

#[test]
fn the_calls_of_a_shadow_its_promotion_and_a_rollback_are_taken_by_moto_as_well() {
    let (platform, moto) = (Platform::start(), Moto::start());
    let recording = Recording::start(&platform.host, &moto.url);
    let deploy = |arguments: &[&str]| {
        let mut deploy = gatehouse();
        deploy.arg("deploy").args(arguments).args(["--name", "recorded", "--router"]);
        deploy.args([&platform.router, "--host", recording.url(), "--upload"]);
        let deployed = run(deploy.arg(platform.data().join("models")), b"");
        assert!(deployed.status.success(), "{deployed:?}");
    };
    let [spam, alcohol] = ["spam", "alcohol"]
        .map(|name| repository("examples/models").join(name).display().to_string());
    deploy(&[&spam]);
    deploy(&[&alcohol, "--shadow"]);
    deploy(&["promote"]);
    deploy(&["rollback"]);
    let exchanges = recording.exchanges();
    exchanges.iter().for_each(assert_taken_by_both);
    for operation in ["AddTags", "DeleteTags", "ListTags"] {
        assert!(exchanges.iter().any(|exchange| exchange.operation == operation), "{operation}");
    }
}

/// An image as one in ECR is called; its command keeps the container contract.
const IMAGE: &str = "123456789012.dkr.ecr.us-east-1.amazonaws.com/gatehouse:1";

#[test]
fn a_deployment_to_sagemaker_needs_nothing_that_aws_lacks() {
    let (moto, data) = (Moto::start(), tempfile::tempdir().unwrap());
    moto.put("/packages", "");
    let mut host = gatehouse();
    moto.serve(&mut host);
    host.args(["host", "--listen", "127.0.0.1:0", "--aws-only", "--data"]).arg(data.path());
    host.args(["--image", &format!("{IMAGE}='{}' model", env!("CARGO_BIN_EXE_gatehouse"))]);
    let mut host = Server::start(&mut host);
    let recording = Recording::start(&host.line("endpoint host listening on "), &moto.url);

    let deploy = |package: &str| {
        let mut deploy = gatehouse();
        moto.serve(&mut deploy);
        // As the environment says, for the deployment must not know that this is not AWS.
        deploy.env("AWS_ENDPOINT_URL_SAGEMAKER", recording.url());
        deploy.env("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", recording.url());
        deploy.args(["deploy", "--name", "to-aws", "--target", "sagemaker", "--image", IMAGE]);
        deploy.args(["--role-arn", "arn:aws:iam::123456789012:role/models"]);
        deploy.args(["--upload", "s3://packages/models", "--region", "us-east-1"]);
        let deployed = run(deploy.arg(repository(package)), b"");
        assert!(deployed.status.success(), "{deployed:?}");
    };
    deploy("examples/models/spam");
    deploy("examples/models/alcohol");
    // The first is no longer needed from here on.
    deploy("examples/models/contact");

    let exchanges = recording.exchanges();
    exchanges.iter().for_each(assert_taken_by_both);
    let made = ["CreateModel", "CreateEndpointConfig", "CreateEndpoint", "UpdateEndpoint"];
    for operation in made.into_iter().chain(["DeleteModel", "DeleteEndpointConfig"]) {
        assert!(exchanges.iter().any(|exchange| exchange.operation == operation), "{operation}");
    }
    let model = exchanges.iter().find(|exchange| exchange.operation == "CreateModel").unwrap();
    let container = &model.request["PrimaryContainer"];
    let url = container["ModelDataUrl"].as_str().unwrap();
    assert!(url.starts_with("s3://packages/models/") && url.ends_with(".tar.gz"), "{url}");
    assert_eq!(container["Image"], IMAGE);
}
