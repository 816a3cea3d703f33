//! Deployments, promotions and rollbacks that are cut, fail or meet others at any step.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::deploy::{
    control, deploy, deployment_by, failed, lexicon, manage, registration, succeeded, version,
};
use crate::interference::{Fate, interfere};
use crate::support::{Answer, Platform, gatehouse, run, send};

const NAME: &str = "finder";
const PUT: &str = "PUT /v1/models/finder";
const GET: &str = "GET /v1/models/finder";
const INVOKE: &str = "POST /endpoints/finder/invocations";

/// Deploys a version by these servers.
fn deploy_by(platform: &Platform, host: &str, router: &str, number: &str) -> Output {
    let upload = platform.data().join("models");
    let package = lexicon("bargain", number);
    run(&mut deployment_by(host, Some(router), &upload, package.path(), NAME), b"")
}

fn deploy_version(platform: &Platform, number: &str) -> String {
    succeeded(&deploy(platform, lexicon("bargain", number).path(), NAME))
}

/// Lets all calls pass but those of this name.
fn all_but(call: &'static str, fate: Fate) -> impl Fn(&str) -> Fate + Send + Sync {
    move |name| if name == call { fate } else { Fate::Passed }
}

/// Does something before the first call of this name.
fn before(
    call: &'static str,
    first: impl Fn() + Send + Sync,
) -> impl Fn(&str) -> Fate + Send + Sync {
    let begun = AtomicBool::new(false);
    move |name| {
        if name == call && !begun.swap(true, Ordering::SeqCst) {
            first();
        }
        Fate::Passed
    }
}

fn assert_live(platform: &Platform, number: &str) {
    assert_eq!(version(platform, NAME), number);
    assert_eq!(registration(platform, NAME)["version"], number);
    assert_eq!(row(platform, NAME)[4], number);
}

/// How many endpoints the name has.
fn endpoints(platform: &Platform) -> usize {
    let found = control(platform, "ListEndpoints", &json!({"NameContains": NAME}));
    found["Endpoints"].as_array().unwrap().len()
}

/// An endpoint's row of the status, without the header's names.
fn row(platform: &Platform, endpoint: &str) -> Vec<String> {
    let status = manage(platform, "status", NAME);
    let rows = status.lines().map(|line| line.split_whitespace().map(str::to_owned));
    rows.map(Iterator::collect::<Vec<_>>).find(|row| row[1] == endpoint).unwrap()
}

/// Replaces a registration as a user would.
fn register(router: &str, model: &str, change: impl FnOnce(&mut Value)) -> Answer {
    let path = format!("/v1/models/{model}");
    let found = send(router, "GET", &path, &[], "");
    let (mut document, condition) = match found.status {
        404 => (json!({}), ("if-none-match", "*")),
        _ => (found.json(), ("if-match", found.etag.as_str())),
    };
    change(&mut document);
    let headers = [("content-type", "application/json"), condition];
    send(router, "PUT", &path, &headers, document.to_string())
}

#[test]
fn a_step_that_fails_leaves_endpoint_route_and_tags_as_they_were() {
    let platform = Platform::start();
    for call in ["CreateEndpoint", INVOKE, "AddTags endpoint-config", "AddTags endpoint", PUT] {
        let host = interfere(&platform.host, all_but(call, Fate::Failed));
        let router = interfere(&platform.router, all_but(call, Fate::Failed));
        let first = failed(&deploy_by(&platform, &host.url, &router.url, "1"));
        let is_undone = first.contains("the new endpoint was deleted");
        assert_eq!(is_undone, call != "CreateEndpoint", "{call}: {first}");
        assert_eq!(endpoints(&platform), 0, "{call}");
    }
    deploy_version(&platform, "1");
    for call in ["UpdateEndpoint", INVOKE, "AddTags endpoint-config", "AddTags endpoint", PUT] {
        let host = interfere(&platform.host, all_but(call, Fate::Failed));
        let router = interfere(&platform.router, all_but(call, Fate::Failed));
        failed(&deploy_by(&platform, &host.url, &router.url, "2"));
        assert_live(&platform, "1");
        assert_eq!(row(&platform, NAME)[7], "-", "{call}");
    }
    let told = deploy_version(&platform, "2");
    assert!(told.lines().any(|line| line.starts_with("in all")), "{told}");
    assert_live(&platform, "2");
}

#[test]
fn an_order_whose_answer_is_lost_is_taken_back() {
    let platform = Platform::start();
    for (call, number) in [("CreateEndpoint", "1"), ("UpdateEndpoint", "2")] {
        let has_come = AtomicBool::new(false);
        let rule = move |name: &str| match name == call && !has_come.swap(true, Ordering::SeqCst) {
            true => Fate::Unanswered,
            // Also where the order is sent again.
            false if name == call || name == INVOKE => Fate::Failed,
            false => Fate::Passed,
        };
        let host = interfere(&platform.host, rule);
        failed(&deploy_by(&platform, &host.url, &platform.router, number));
        assert_eq!(endpoints(&platform), usize::from(number == "2"));
        deploy_version(&platform, "1");
        assert_live(&platform, "1");
    }
}

#[test]
fn a_host_that_is_away_while_a_version_comes_up_is_asked_again() {
    let platform = Platform::start();
    for (number, order) in [("1", "CreateEndpoint"), ("2", "UpdateEndpoint")] {
        let (is_ordered, failures) = (AtomicBool::new(false), AtomicUsize::new(0));
        let host = interfere(&platform.host, move |call| {
            is_ordered.fetch_or(call == order, Ordering::SeqCst);
            let is_looked_at = call == "DescribeEndpoint" && is_ordered.load(Ordering::SeqCst);
            // More often than the SDK asks again by itself.
            match is_looked_at && failures.fetch_add(1, Ordering::SeqCst) < 5 {
                true => Fate::Failed,
                false => Fate::Passed,
            }
        });
        succeeded(&deploy_by(&platform, &host.url, &platform.router, number));
        assert_live(&platform, number);
    }
}

#[test]
fn tags_that_can_not_be_read_stop_a_deployment_before_its_order() {
    let platform = Platform::start();
    deploy_version(&platform, "1");
    let calls = "ListTags endpoint";
    let host = interfere(&platform.host, all_but(calls, Fate::Failed));
    failed(&deploy_by(&platform, &host.url, &platform.router, "2"));
    assert_live(&platform, "1");

    let is_ordered = AtomicBool::new(false);
    let host = interfere(&platform.host, move |call| {
        is_ordered.fetch_or(call == "UpdateEndpoint", Ordering::SeqCst);
        match call == calls && is_ordered.load(Ordering::SeqCst) {
            true => Fate::Failed,
            false => Fate::Passed,
        }
    });
    // From there on they are only needed for removing old versions.
    let told = succeeded(&deploy_by(&platform, &host.url, &platform.router, "2"));
    assert!(told.contains("no longer needed are still there"), "{told}");
    assert_live(&platform, "2");
}

#[test]
fn a_registration_whose_answer_is_lost_is_one() {
    let platform = Platform::start();
    let router = interfere(&platform.router, all_but(PUT, Fate::Unanswered));
    succeeded(&deploy_by(&platform, &platform.host, &router.url, "1"));
    assert_live(&platform, "1");
}

/// Loses the answer to the registration, and fails so many looks at it afterwards.
fn unclear(looks: usize) -> impl Fn(&str) -> Fate + Send + Sync {
    let (is_set, failures) = (AtomicBool::new(false), AtomicUsize::new(0));
    move |call| match call {
        PUT if !is_set.swap(true, Ordering::SeqCst) => Fate::Unanswered,
        GET if is_set.load(Ordering::SeqCst) => {
            match failures.fetch_add(1, Ordering::SeqCst) < looks {
                true => Fate::Failed,
                false => Fate::Passed,
            }
        }
        _ => Fate::Passed,
    }
}

#[test]
fn a_route_that_may_be_set_is_put_back_before_its_endpoint() {
    let platform = Platform::start();
    let router = interfere(&platform.router, unclear(1));
    failed(&deploy_by(&platform, &platform.host, &router.url, "1"));
    assert_eq!(send(&platform.router, "GET", "/v1/models/finder", &[], "").status, 404);
    assert_eq!(endpoints(&platform), 0);

    deploy_version(&platform, "1");
    let router = interfere(&platform.router, unclear(1));
    failed(&deploy_by(&platform, &platform.host, &router.url, "2"));
    assert_live(&platform, "1");

    let router = interfere(&platform.router, unclear(usize::MAX));
    let told = failed(&deploy_by(&platform, &platform.host, &router.url, "3"));
    assert!(told.contains("the endpoint stays as it is now; deploy again"), "{told}");
    assert_live(&platform, "3");
}

#[test]
fn a_deployment_that_can_not_look_once_more_is_done() {
    let platform = Platform::start();
    let is_set = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&is_set);
    let router = interfere(&platform.router, move |call| {
        seen.fetch_or(call == PUT, Ordering::SeqCst);
        Fate::Passed
    });
    let host = interfere(&platform.host, move |call| {
        match call == "DescribeEndpoint" && is_set.load(Ordering::SeqCst) {
            true => Fate::Failed,
            false => Fate::Passed,
        }
    });
    let told = succeeded(&deploy_by(&platform, &host.url, &router.url, "1"));
    assert!(told.contains("can't tell whether another deployment came after"), "{told}");
    assert_live(&platform, "1");
}

/// Removes a registration as a user would.
fn unregister(platform: &Platform) {
    let path = "/v1/models/finder";
    let etag = send(&platform.router, "GET", path, &[], "").etag;
    let removed = send(&platform.router, "DELETE", path, &[("if-match", &etag)], "");
    assert_eq!(removed.status, 204, "{removed:?}");
}

#[test]
fn without_a_registration_there_is_nothing_to_roll_back() {
    let platform = Platform::start();
    deploy_version(&platform, "1");
    deploy_version(&platform, "2");
    unregister(&platform);
    let mut back = gatehouse();
    back.args(["deploy", "rollback", "--name", NAME, "--host", &platform.host]);
    let told = failed(&run(back.args(["--router", &platform.router]), b""));
    assert!(told.contains("it is not registered"), "{told}");
}

#[test]
fn a_users_change_of_the_registration_meanwhile_is_kept() {
    let platform = Platform::start();
    deploy_version(&platform, "1");
    let url = platform.router.clone();
    let change = move || {
        let put = register(&url, NAME, |document| document["timeout_ms"] = json!(321));
        assert_eq!(put.status, 204, "{put:?}");
    };
    let router = interfere(&platform.router, before(PUT, change));
    succeeded(&deploy_by(&platform, &platform.host, &router.url, "2"));
    assert_live(&platform, "2");
    assert_eq!(registration(&platform, NAME)["timeout_ms"], 321);
}

#[test]
fn an_overtaken_deployment_leaves_the_others_version() {
    let platform = Platform::start();
    // The first creates the endpoint, the second updates it; the other uploads elsewhere, so that
    // no lock keeps the two apart.
    for (number, other) in [("1", "2"), ("3", "4")] {
        let (host, router) = (platform.host.clone(), platform.router.clone());
        let upload: PathBuf = platform.data().join("elsewhere");
        let overtake = move || {
            let package = lexicon("bargain", other);
            let mut deploy = deployment_by(&host, Some(&router), &upload, package.path(), NAME);
            succeeded(&run(&mut deploy, b""));
        };
        let host = interfere(&platform.host, before(INVOKE, overtake));
        let overtaken = failed(&deploy_by(&platform, &host.url, &platform.router, number));
        assert!(overtaken.contains("another deployment took it"), "{overtaken}");
        assert_live(&platform, other);
    }
    assert!(manage(&platform, "rollback", NAME).ends_with("finder 2 is live on finder\n"));
}

#[test]
fn a_wrong_router_is_noticed_before_anything_is_done() {
    let platform = Platform::start();
    for router in [&platform.host, "https://127.0.0.1:1", "router:8080"] {
        failed(&deploy_by(&platform, &platform.host, router, "1"));
        let uploads = std::fs::read_dir(platform.data().join("models")).unwrap();
        let names = uploads.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        assert_eq!(names.filter(|name| name.starts_with("finder-")).count(), 0, "{router}");
    }
}

#[test]
fn a_shadow_is_not_deployed_over_as_if_it_were_a_model() {
    let platform = Platform::start();
    let package = lexicon("bargain", "1");
    succeeded(&deploy(&platform, package.path(), NAME));
    let upload = platform.data().join("models");
    let (host, router) = (&platform.host, Some(platform.router.as_str()));
    let mut shadow = deployment_by(host, router, &upload, package.path(), NAME);
    succeeded(&run(shadow.arg("--shadow"), b""));
    let before = registration(&platform, "finder-shadow");
    let refused = failed(&deploy(&platform, package.path(), "finder-shadow"));
    assert!(refused.contains("--name finder --shadow"), "{refused}");
    assert_eq!(registration(&platform, "finder-shadow"), before);
}

#[test]
fn a_route_that_pointed_elsewhere_is_given_back() {
    let platform = Platform::start();
    let put = register(&platform.router, NAME, |document| {
        *document = json!({"endpoint": {"sagemaker": "spam"}, "version": "old"});
    });
    assert_eq!(put.status, 201, "{put:?}");
    let before = registration(&platform, NAME);
    let told = deploy_version(&platform, "1");
    assert!(told.contains("give back the route to spam"), "{told}");
    assert_live(&platform, "1");
    assert!(manage(&platform, "rollback", NAME).ends_with("finder old is live on spam\n"));
    assert_eq!(registration(&platform, NAME), before);
}

#[test]
fn what_others_have_made_of_our_names_and_configs_is_left_alone() {
    let platform = Platform::start();
    deploy_version(&platform, "1");
    let config = |part: &str| {
        let configs = control(&platform, "ListEndpointConfigs", &json!({"NameContains": part}));
        configs["EndpointConfigs"][0]["EndpointConfigName"].clone()
    };
    let (config, spam) = (config(NAME), config("spam"));
    for (endpoint, config) in [("finder-b", &spam), ("guest", &config)] {
        let endpoint = json!({"EndpointName": endpoint, "EndpointConfigName": config});
        control(&platform, "CreateEndpoint", &endpoint);
    }
    for number in ["2", "3", "4"] {
        let package = lexicon("bargain", number);
        let upload = platform.data().join("models");
        let mut deploy = deployment_by(&platform.host, None, &upload, package.path(), NAME);
        succeeded(&run(&mut deploy, b""));
    }
    control(&platform, "DescribeEndpointConfig", &json!({"EndpointConfigName": config}));
    let mut back = gatehouse();
    back.args(["deploy", "rollback", "--name", NAME, "--host", &platform.host]);
    succeeded(&run(&mut back, b""));
    assert_eq!(version(&platform, NAME), "3");
}

#[test]
fn the_same_package_is_deployed_from_another_folder_as_well() {
    let platform = Platform::start();
    let package = lexicon("bargain", "1");
    for folder in ["models", "elsewhere"] {
        let upload = platform.data().join(folder);
        let (host, router) = (&platform.host, Some(platform.router.as_str()));
        succeeded(&run(&mut deployment_by(host, router, &upload, package.path(), NAME), b""));
    }
    assert_live(&platform, "1");
}

#[test]
fn a_name_that_nothing_was_deployed_under_is_told() {
    let platform = Platform::start();
    let mut status = gatehouse();
    status.args(["deploy", "status", "--name", "fnider", "--host", &platform.host]);
    assert!(failed(&run(&mut status, b"")).contains("`fnider`"));
}

#[test]
fn a_promotion_and_a_rollback_that_were_cut_after_the_route_moved_are_ended_by_the_next() {
    let platform = Platform::start();
    deploy_version(&platform, "1");
    let (upload, package) = (platform.data().join("models"), lexicon("bargain", "2"));
    let (host, router) = (&platform.host, Some(platform.router.as_str()));
    let mut shadow = deployment_by(host, router, &upload, package.path(), NAME);
    succeeded(&run(shadow.arg("--shadow"), b""));
    for (subcommand, to, number) in [("promote", "finder-b", "2"), ("rollback", "finder", "1")] {
        let router = platform.router.clone();
        let host = interfere(&platform.host, move |call| {
            let path = "/v1/models/finder";
            let has_moved =
                || send(&router, "GET", path, &[], "").json()["endpoint"]["sagemaker"] == to;
            if call == "AddTags endpoint" && has_moved() { Fate::Failed } else { Fate::Passed }
        });
        let mut cut = gatehouse();
        cut.args(["deploy", subcommand, "--name", NAME, "--host", &host.url]);
        failed(&run(cut.args(["--router", &platform.router]), b""));
        assert_eq!(registration(&platform, NAME)["endpoint"]["sagemaker"], to);
        let ended = manage(&platform, subcommand, NAME);
        assert!(ended.ends_with(&format!("finder {number} is live on {to}\n")), "{ended}");
        assert_eq!(row(&platform, to)[3], "live");
    }
    assert_eq!(row(&platform, "finder-b")[3], "standby");
}

#[test]
fn what_was_rolled_back_is_deployed_when_it_is_dropped_again() {
    let platform = Platform::start();
    deploy_version(&platform, "1");
    let (folder, package) = (tempfile::tempdir().unwrap(), lexicon("bargain", "2"));
    let file = folder.path().join("finder.tar.gz");
    let tar = Command::new("tar").args(["-cz", "-C"]).arg(package.path()).arg(".").output();
    let archive = tar.unwrap().stdout;
    let drop_file = || {
        std::fs::write(&file, &archive).unwrap();
        let mut watch = gatehouse();
        watch.args(["deploy", "watch", "--once", "--interval", "50ms", "--host", &platform.host]);
        watch.args(["--router", &platform.router, "--upload"]).arg(platform.data().join("models"));
        succeeded(&run(watch.arg(folder.path()), b""))
    };
    assert!(drop_file().contains("deployed finder.tar.gz: finder 2"));
    assert!(drop_file().contains("unchanged finder.tar.gz"));
    manage(&platform, "rollback", NAME);
    assert_live(&platform, "1");
    assert!(drop_file().contains("deployed finder.tar.gz: finder 2"));
    assert_live(&platform, "2");
    unregister(&platform);
    assert!(drop_file().contains("deployed finder.tar.gz: finder 2"));
    assert_live(&platform, "2");
}
