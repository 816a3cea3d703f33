//! `gatehouse deploy` against a running platform, and what a restart of the platform keeps.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Platform, gatehouse, repository, run, send};

pub(crate) fn deploy(platform: &Platform, package: &Path, name: &str) -> Output {
    run(&mut deployment(platform, package, name), b"")
}

pub(crate) fn deployment(platform: &Platform, package: &Path, name: &str) -> Command {
    let upload = platform.data().join("models");
    deployment_by(&platform.host, Some(&platform.router), &upload, package, name)
}

/// A deployment that reaches the platform in a way of its own.
pub(crate) fn deployment_by(
    host: &str,
    router: Option<&str>,
    upload: &Path,
    package: &Path,
    name: &str,
) -> Command {
    let mut deploy = gatehouse();
    deploy
        .arg("deploy")
        .arg(package)
        .args(["--name", name, "--host", host, "--upload"])
        .arg(upload);
    deploy.args(router.iter().flat_map(|router| ["--router", router]));
    deploy
}

/// Runs `gatehouse deploy` with a subcommand, which must succeed, and gives its output.
pub(crate) fn manage(platform: &Platform, subcommand: &str, name: &str) -> String {
    let mut manage = gatehouse();
    manage.args(["deploy", subcommand, "--name", name]);
    manage.args(["--host", &platform.host, "--router", &platform.router]);
    succeeded(&run(&mut manage, b""))
}

pub(crate) fn succeeded(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

pub(crate) fn failed(output: &Output) -> String {
    assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A package that finds `term`, at a version.
pub(crate) fn lexicon(term: &str, version: &str) -> TempDir {
    let package = tempfile::tempdir().unwrap();
    let terms = format!("label = 'found'\n[[term]]\ntext = '{term}'\nweight = 0.9\n");
    std::fs::write(package.path().join("terms.toml"), terms).unwrap();
    let manifest = format!(
        "name = 'finder'\nversion = '{version}'\nruntime = 'lexicon'\nartifact = 'terms.toml'\n
         [[canary]]\ninput = {{ text = 'some {term}' }}\nlabel = 'found'\n"
    );
    std::fs::write(package.path().join("model.toml"), manifest).unwrap();
    package
}

/// A package whose worker runs `script` for each line that it reads into `$line`.
fn worker(before: &str, script: &str) -> TempDir {
    let package = tempfile::tempdir().unwrap();
    let id = r#"id=${line#*\"id\":}; id=${id%%,*}"#;
    let loop_ = format!("{before}\nwhile read -r line; do {id}; {script}; done\n");
    std::fs::write(package.path().join("worker.sh"), loop_).unwrap();
    let manifest = "name = 'worker'\nversion = 'w'\nruntime = 'worker'\n
                    command = ['sh', 'worker.sh']\nlabels = ['found', 'none']\n
                    [[canary]]\ninput = { text = 'any' }\nlabel = 'found'\n";
    std::fs::write(package.path().join("model.toml"), manifest).unwrap();
    package
}

/// What a worker says that finds something.
const FOUND: &str = r#"echo "{\"id\": $id, \"scores\": {\"found\": 0.9, \"none\": 0.1}}""#;
/// What a worker says that finds nothing.
const NONE: &str = r#"echo "{\"id\": $id, \"scores\": {\"found\": 0.1, \"none\": 0.9}}""#;

/// Asks the host's control plane.
pub(crate) fn control(platform: &Platform, operation: &str, request: &Value) -> Value {
    let target = format!("SageMaker.{operation}");
    let headers =
        [("x-amz-target", target.as_str()), ("content-type", "application/x-amz-json-1.1")];
    let answer = send(&platform.host, "POST", "/", &headers, request.to_string());
    assert_eq!(answer.status, 200, "{operation}: {answer:?}");
    if answer.body.is_empty() { Value::Null } else { answer.json() }
}

/// An endpoint's status, null where there is no endpoint.
fn status(platform: &Platform, endpoint: &str) -> Value {
    let request = json!({"EndpointName": endpoint}).to_string();
    let headers = [
        ("x-amz-target", "SageMaker.DescribeEndpoint"),
        ("content-type", "application/x-amz-json-1.1"),
    ];
    send(&platform.host, "POST", "/", &headers, &request).json()["EndpointStatus"].clone()
}

/// The version that an endpoint answers with.
pub(crate) fn version(platform: &Platform, endpoint: &str) -> Value {
    let path = format!("/endpoints/{endpoint}/invocations");
    let headers = [("content-type", "application/json")];
    let answer = send(&platform.host, "POST", &path, &headers, r#"{"text": "x"}"#);
    answer.json()["model"]["version"].clone()
}

pub(crate) fn registration(platform: &Platform, model: &str) -> Value {
    send(&platform.router, "GET", &format!("/v1/models/{model}"), &[], "").json()
}

#[test]
fn a_deployed_model_is_there_for_the_next_rule() {
    let platform = Platform::start();
    let deployed = deploy(&platform, &repository("examples/models/spam"), "spam-2");
    let out = String::from_utf8(deployed.stdout).unwrap();
    assert!(deployed.status.success() && out.ends_with("spam-2 1 is live\n"), "{out}");

    let put = platform.put_scope("client/plainstore", |options| {
        *options = json!({"rules": {"spam": {"model": "spam-2"}}});
    });
    assert_eq!(put.status, 204);
    let verdict = platform.verdict("plainstore", "WINNER! Claim your free prize, call now");
    assert_eq!(verdict["reasons"][0]["model"], "spam-2");

    let again = deploy(&platform, &repository("examples/models/spam"), "spam-2");
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
}

#[test]
fn a_package_that_fails_its_canary_changes_nothing() {
    let platform = Platform::start();
    let package = tempfile::tempdir().unwrap();
    let terms = "label = 'alcohol'\n[[term]]\ntext = 'tea'\nweight = 0.9\n";
    std::fs::write(package.path().join("terms.toml"), terms).unwrap();
    let manifest = "name = 'alcohol'\nruntime = 'lexicon'\nartifact = 'terms.toml'\n
                    [[canary]]\ninput = { text = 'a beer' }\nlabel = 'alcohol'\n";
    std::fs::write(package.path().join("model.toml"), manifest).unwrap();
    let deployed = deploy(&platform, package.path(), "alcohol-2");
    let error = String::from_utf8(deployed.stderr).unwrap();
    assert!(!deployed.status.success() && error.contains("canary 1"), "{error}");
    assert_eq!(send(&platform.router, "GET", "/v1/models/alcohol-2", &[], "").status, 404);
}

#[test]
fn an_endpoint_that_failed_to_come_up_makes_room_for_a_deployment() {
    let platform = Platform::start();
    let empty = platform.data().join("models/empty");
    std::fs::create_dir(&empty).unwrap();
    let url = format!("file://{}", empty.canonicalize().unwrap().display());
    let container = json!({"Image": "gatehouse/model-container", "ModelDataUrl": url});
    let role = "arn:aws:iam::000000000000:role/any";
    let model =
        json!({"ModelName": "empty", "ExecutionRoleArn": role, "PrimaryContainer": container});
    control(&platform, "CreateModel", &model);
    let size = json!({"MemorySizeInMB": 1024, "MaxConcurrency": 1});
    let variant = json!({"VariantName": "v", "ModelName": "empty", "ServerlessConfig": size});
    let config = json!({"EndpointConfigName": "empty", "ProductionVariants": [variant]});
    control(&platform, "CreateEndpointConfig", &config);
    let endpoint = json!({"EndpointName": "contact-2", "EndpointConfigName": "empty"});
    control(&platform, "CreateEndpoint", &endpoint);
    while status(&platform, "contact-2") == "Creating" {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(status(&platform, "contact-2"), "Failed");

    let deployed = deploy(&platform, &repository("examples/models/contact"), "contact-2");
    assert!(deployed.status.success(), "{}", String::from_utf8_lossy(&deployed.stderr));
}

#[test]
fn a_bare_file_becomes_a_model_and_a_second_version_takes_its_place() {
    let platform = Platform::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("from the data scientist.model");
    std::fs::copy(repository("examples/models/spam/spam.model"), &file).unwrap();
    let first = succeeded(&deploy(&platform, &file, "finder"));
    let steps = ["package checked", "package uploaded", "model created", "config created"];
    let more = ["endpoint created", "in service", "canaries passed", "route set"];
    let mut lines = first.lines();
    for step in steps.into_iter().chain(more) {
        assert!(lines.any(|line| line.starts_with(step)), "{step}: {first}");
    }
    let put = platform.put_scope("client/plainstore", |options| {
        *options = json!({"rules": {"spam": {"model": "finder"}}});
    });
    assert_eq!(put.status, 204);
    let verdict = platform.verdict("plainstore", "WINNER! Claim your free prize, call now");
    assert_eq!(verdict["reasons"][0]["model"], "finder");

    // It lacks the label that the rule looks at.
    let before = version(&platform, "finder");
    let second = lexicon("bargain", "2");
    let refused = failed(&deploy(&platform, second.path(), "finder"));
    assert!(refused.contains("rules.spam.label") && refused.contains("`finder`"), "{refused}");
    assert_eq!(version(&platform, "finder"), before);
    assert_eq!(platform.put_scope("client/plainstore", |options| *options = json!({})).status, 204);
    let second = succeeded(&deploy(&platform, second.path(), "finder"));
    assert!(second.contains("endpoint updated"), "{second}");
    assert_eq!(registration(&platform, "finder")["version"], "2");
    assert_eq!(version(&platform, "finder"), "2");
}

#[test]
fn the_last_two_versions_are_kept_and_no_other_names() {
    let platform = Platform::start();
    succeeded(&deploy(&platform, lexicon("other", "1").path(), "finder-de"));
    for number in ["1", "2", "3"] {
        succeeded(&deploy(&platform, lexicon("bargain", number).path(), "finder"));
    }
    let models = control(&platform, "ListModels", &json!({"NameContains": "finder"}));
    assert_eq!(models["Models"].as_array().unwrap().len(), 3, "{models}");
    let configs = json!({"NameContains": "finder"});
    let configs = control(&platform, "ListEndpointConfigs", &configs);
    assert_eq!(configs["EndpointConfigs"].as_array().unwrap().len(), 3, "{configs}");
    let uploads = std::fs::read_dir(platform.data().join("models")).unwrap();
    let names = uploads.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(names.filter(|name| name.starts_with("finder-")).count(), 3);
    assert_eq!(version(&platform, "finder-de"), "1");
}

#[test]
fn a_version_that_does_not_come_up_or_fails_its_canary_leaves_the_old_one_serving() {
    let platform = Platform::start();
    let refused = failed(&deploy(&platform, worker("", "exit 1").path(), "finder"));
    assert!(refused.contains("worker"), "{refused}");
    // Each process finds something once: that passes the container's own canary, not ours.
    let package =
        worker("n=0", &format!("n=$((n+1)); if [ $n = 1 ]; then {FOUND}; else {NONE}; fi"));
    let created = failed(&deploy(&platform, package.path(), "finder"));
    assert!(created.contains("canary 1") && created.contains("was deleted"), "{created}");
    let path = "/v1/models/finder";
    assert_eq!(send(&platform.router, "GET", path, &[], "").status, 404);

    succeeded(&deploy(&platform, lexicon("bargain", "1").path(), "finder"));
    let updated = failed(&deploy(&platform, package.path(), "finder"));
    assert!(updated.contains("canary 1") && updated.contains("serves again"), "{updated}");
    assert_eq!(version(&platform, "finder"), "1");

    // What runs here once only fails where the endpoint starts it.
    let once = platform.data().join("once");
    let once = format!("[ -e '{0}' ] && exit 1; : > '{0}'", once.display());
    let failed_update = failed(&deploy(&platform, worker(&once, FOUND).path(), "finder"));
    assert!(failed_update.contains("goes on serving"), "{failed_update}");
    assert_eq!(version(&platform, "finder"), "1");
    assert_eq!(registration(&platform, "finder")["version"], "1");
}

#[test]
fn an_interrupted_deployment_is_continued_by_running_it_again() {
    let platform = Platform::start();
    let slow = worker("sleep 1", FOUND);
    for begun in ["Creating", "Updating"] {
        let mut deploy = deployment(&platform, slow.path(), "finder");
        let mut interrupted = deploy.stdout(Stdio::null()).spawn().unwrap();
        while status(&platform, "finder") != begun {
            assert!(interrupted.try_wait().unwrap().is_none(), "it ended before it was {begun}");
            std::thread::sleep(Duration::from_millis(5));
        }
        interrupted.kill().unwrap();
        interrupted.wait().unwrap();
        succeeded(&self::deploy(&platform, slow.path(), "finder"));
        assert_eq!(version(&platform, "finder"), "w");
        // The second round is an update, from this.
        succeeded(&self::deploy(&platform, lexicon("bargain", "1").path(), "finder"));
    }
}

#[test]
fn two_deployments_of_one_name_at_once_both_go_through() {
    let platform = Platform::start();
    let packages = ["1", "2"].map(|version| lexicon("bargain", version));
    std::thread::scope(|scope| {
        let deploy = |package: &TempDir| {
            let mut command = deployment(&platform, package.path(), "finder");
            scope.spawn(move || run(&mut command, b""))
        };
        for deployed in packages.each_ref().map(deploy) {
            succeeded(&deployed.join().unwrap());
        }
    });
    let live = version(&platform, "finder");
    assert!(live == "1" || live == "2", "{live}");
    assert_eq!(registration(&platform, "finder")["version"], live);
}

#[test]
fn a_shadow_is_promoted_and_rolled_back() {
    let platform = Platform::start();
    succeeded(&deploy(&platform, lexicon("bargain", "1").path(), "finder"));
    let shadow = |version: &str| {
        let package = lexicon("bargain", version);
        let mut deploy = deployment(&platform, package.path(), "finder");
        succeeded(&run(deploy.arg("--shadow"), b""))
    };
    assert!(shadow("2").ends_with("finder 2 is shadow\n"));
    let registered = registration(&platform, "finder-shadow");
    assert_eq!(registered["stage"], "shadow");
    assert_eq!(registered["endpoint"]["sagemaker"], "finder-b");
    let first = registration(&platform, "finder");
    assert_eq!(first["version"], "1");

    let promoted = manage(&platform, "promote", "finder");
    assert!(promoted.ends_with("finder 2 is live on finder-b\n"), "{promoted}");
    let live = registration(&platform, "finder");
    assert_eq!(live["endpoint"]["sagemaker"], "finder-b");
    assert_eq!((&live["digest"], &live["labels"]), (&registered["digest"], &registered["labels"]));
    assert!(live["digest"].is_string() && live["labels"].is_array(), "{live}");
    let gone = send(&platform.router, "GET", "/v1/models/finder-shadow", &[], "");
    assert_eq!(gone.status, 404);

    let back = manage(&platform, "rollback", "finder");
    assert!(back.ends_with("finder 1 is live on finder\n"), "{back}");
    let live = registration(&platform, "finder");
    assert_eq!((&live["version"], &live["digest"]), (&first["version"], &first["digest"]));

    shadow("3");
    manage(&platform, "promote", "finder");
    let third = registration(&platform, "finder");
    succeeded(&deploy(&platform, lexicon("bargain", "4").path(), "finder"));
    assert_eq!(version(&platform, "finder-b"), "4");
    let back = manage(&platform, "rollback", "finder");
    assert!(back.ends_with("finder 3 is live on finder-b\n"), "{back}");
    assert_eq!(version(&platform, "finder-b"), "3");
    assert_eq!(registration(&platform, "finder")["digest"], third["digest"]);

    let status = manage(&platform, "status", "finder");
    let live = status.lines().find(|line| line.contains("finder-b")).unwrap();
    assert!(live.contains("InService") && live.ends_with("finder (live)"), "{status}");
}

#[test]
fn what_can_not_be_deployed_or_moved_says_why_and_changes_nothing() {
    let platform = Platform::start();
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/etc/hostname", folder.path().join("x.model")).unwrap();
    let archive = folder.path().join("model.tar.gz");
    let mut tar = Command::new("tar");
    tar.arg("-czf").arg(&archive).arg("-C").arg(folder.path()).arg("x.model");
    assert!(tar.status().unwrap().success());
    let link = failed(&deploy(&platform, &archive, "finder"));
    assert!(link.contains("`x.model` is neither a file nor a folder"), "{link}");

    let mut sagemaker = gatehouse();
    sagemaker.env_remove("AWS_REGION").env_remove("AWS_DEFAULT_REGION");
    sagemaker.env("AWS_CONFIG_FILE", "/dev/null").args(["deploy", "x", "--name", "finder"]);
    let missing = failed(&run(sagemaker.args(["--target", "sagemaker"]), b""));
    for flag in ["--role-arn", "--image", "--upload s3://", "--region"] {
        assert!(missing.contains(flag), "{missing}");
    }

    let name = failed(&deploy(&platform, lexicon("bargain", "1").path(), "finder_1"));
    assert!(name.contains("`finder_1` can't name an endpoint"), "{name}");
    succeeded(&deploy(&platform, lexicon("bargain", "1").path(), "finder"));
    for (subcommand, reason) in [("promote", "no shadow"), ("rollback", "nothing to roll back")] {
        let mut manage = gatehouse();
        manage.args(["deploy", subcommand, "--name", "finder", "--host", &platform.host]);
        let refused = failed(&run(manage.args(["--router", &platform.router]), b""));
        assert!(refused.contains(reason), "{refused}");
    }
    assert_eq!(version(&platform, "finder"), "1");
}

#[test]
fn a_restart_keeps_the_users_own_changes() {
    let platform = Platform::start();
    let path = "/v1/models/spam";
    let found = send(&platform.router, "GET", path, &[], "");
    let mut model = found.json();
    model["enabled"] = json!(false);
    let headers = [("content-type", "application/json"), ("if-match", found.etag.as_str())];
    assert_eq!(send(&platform.router, "PUT", path, &headers, model.to_string()).status, 204);
    platform.put_scope("client/toybox", |options| *options = json!({"parent": "platform"}));

    let platform = platform.restart();
    assert_eq!(send(&platform.router, "GET", path, &[], "").json(), model);
    assert_eq!(platform.verdict("toybox", "a cold beer")["reasons"][0]["rule"], "alcohol");
    assert_eq!(platform.verdict("toybox", "a cold beer")["decision"], "review");
}
