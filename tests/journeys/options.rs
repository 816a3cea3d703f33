//! A change of options, made over HTTP, in the next verdict.

use serde_json::json;

use crate::support::Platform;

const AD: &str = "Congratulations! You have won a free prize. Call now to claim your reward!";

#[test]
fn a_changed_threshold_changes_the_very_next_verdict() {
    let platform = Platform::start();
    for round in 0..5 {
        let mild = json!({"rules": {"spam": {"review_at": 1.0, "reject_at": null}}});
        assert_eq!(platform.put_scope("client/plainstore", |options| *options = mild).status, 204);
        assert_eq!(platform.verdict("plainstore", AD)["decision"], "approve", "round {round}");

        let strict = json!({"rules": {"spam": {"review_at": 0.2, "reject_at": 0.5}}});
        assert_eq!(
            platform.put_scope("client/plainstore", |options| *options = strict).status,
            204
        );
        let verdict = platform.verdict("plainstore", AD);
        assert_eq!(verdict["decision"], "reject", "round {round}");
        assert_eq!(verdict["reasons"][0]["set_by"], "client/plainstore");
    }
}

#[test]
fn a_change_in_an_industry_reaches_its_brands_unless_they_have_their_own() {
    let platform = Platform::start();
    let open = "Perfect with a glass of red wine.";
    assert_eq!(platform.verdict("alehouse", open)["decision"], "approve");
    let change = |options: &mut serde_json::Value| {
        options["rules"]["alcohol"] = json!({"reject_at": 0.8});
    };
    assert_eq!(platform.put_scope("industry/beer", change).status, 204);
    let verdict = platform.verdict("alehouse", open);
    assert_eq!(verdict["decision"], "reject");
    assert_eq!(verdict["reasons"][0]["set_by"], "industry/beer");
    assert_eq!(platform.verdict("plainstore", open)["decision"], "review");
}

#[test]
fn a_brand_can_not_override_what_its_industry_locked() {
    let platform = Platform::start();
    let refused = platform.put_scope("client/toybox", |options| {
        options["rules"]["alcohol"] = json!({"enabled": false});
    });
    assert_eq!(refused.status, 422);
    let detail = refused.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("alcohol") && detail.contains("industry/children"), "{detail}");
    assert_eq!(platform.verdict("toybox", "a cold beer")["decision"], "reject");
}
