//! A review through router, host and container.

use serde_json::json;

use crate::support::{Platform, send};

const BEER: &str = "Nothing goes better with a summer evening than a cold beer.";

#[test]
fn the_same_review_about_beer_is_approved_for_a_brewer_and_rejected_for_a_toy_shop() {
    let platform = Platform::start();
    let alehouse = platform.verdict("alehouse", BEER);
    assert_eq!((&alehouse["decision"], &alehouse["reasons"]), (&json!("approve"), &json!([])));

    let toybox = platform.verdict("toybox", BEER);
    assert_eq!(toybox["decision"], "reject");
    let reason = &toybox["reasons"][0];
    assert_eq!((&reason["rule"], &reason["model"]), (&json!("alcohol"), &json!("alcohol")));
    assert_eq!(
        (&reason["set_by"], &reason["threshold"]),
        (&json!("industry/children"), &json!(0.5))
    );
    assert_eq!(toybox["degraded"], false);

    let path = format!("/v1/decisions/{}", toybox["decision_id"].as_str().unwrap());
    assert_eq!(send(&platform.router, "GET", &path, &[], "").json(), toybox);
}

#[test]
fn the_containers_of_a_platform_end_with_it() {
    let mut platform = Platform::start();
    platform.verdict("toybox", BEER);
    let containers = platform.server.children();
    assert!(!containers.is_empty());
    platform.server.terminate();
    assert!(platform.server.process.wait().unwrap().success());
    for container in containers {
        assert!(
            !std::path::Path::new("/proc").join(container.to_string()).exists(),
            "{container} lives on"
        );
    }
}
