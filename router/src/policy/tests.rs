use super::*;
use example::{MODEL, policy};

#[test]
fn a_change_recompiles_the_scopes_below_and_leaves_the_others() {
    let before = policy(&[
        MODEL,
        ("scopes/platform", "{}"),
        ("scopes/industry/beer", "{}"),
        ("scopes/client/a", r#"{"parent": "industry/beer"}"#),
        ("scopes/client/b", "{}"),
    ])
    .unwrap();
    let rule = r#"{"rules": {"spam": {"model": "m", "label": "spam"}}}"#;
    let after = before.apply(&[("scopes/industry/beer".parse().unwrap(), Some(rule.into()))]);
    let after = after.unwrap();
    let plan = |policy: &Policy, path: &str| policy.plan(&path.parse().unwrap()).unwrap();
    let rules = |policy: &Policy, path: &str| plan(policy, path).rules.len();
    assert_eq!((rules(&before, "client/a"), rules(&after, "client/a")), (0, 1));
    assert!(Arc::ptr_eq(&plan(&before, "client/b"), &plan(&after, "client/b")));
    assert_eq!(after.version, 2);
}

fn edit(subject: &str, text: Option<&str>) -> (Subject, Option<Arc<str>>) {
    (subject.parse().unwrap(), text.map(Into::into))
}

#[test]
fn many_documents_change_together_in_whatever_order_or_not_at_all() {
    let model = edit(MODEL.0, Some(MODEL.1));
    let rule = r#"{"rules": {"spam": {"model": "m", "label": "spam"}}}"#;
    let platform = edit("scopes/platform", Some(rule));
    let client = edit("scopes/client/a", Some("{}"));
    let site = edit("scopes/client/a/site/en", Some("{}"));
    let empty = Policy::default();
    let policy = empty.apply(&[site.clone(), client.clone(), platform, model]).unwrap();
    assert_eq!((policy.version, policy.scopes().count()), (1, 3));
    let fault = policy.apply(&[edit("scopes/client/b", Some("{}")), edit("models/m", Some("[]"))]);
    assert!(fault.unwrap_err().detail.starts_with("`models/m`: "));
    let gone = ["models/m", "scopes/platform", "scopes/client/a", "scopes/client/a/site/en"];
    let gone = policy.apply(&gone.map(|subject| edit(subject, None))).unwrap();
    assert_eq!((gone.version, gone.scopes().count(), gone.models().count()), (2, 0, 0));
    assert_eq!(empty.apply(&[site, client]).unwrap_err().kind, Kind::Invalid);
}

#[test]
fn what_the_result_still_uses_cannot_be_deleted() {
    let rule = r#"{"rules": {"spam": {"model": "m", "label": "spam"}}}"#;
    let documents =
        [MODEL, ("scopes/platform", rule), ("scopes/client/a", "{}"), ("scopes/client/b", "{}")];
    let policy = policy(&documents).unwrap();
    let moved = edit("scopes/client/b", Some(r#"{"parent": "client/a"}"#));
    let deleted = edit("scopes/client/a", None);
    let both = policy.apply(&[moved, deleted.clone()]).unwrap_err();
    assert_eq!(both.kind, Kind::InUse);
    assert!(both.detail.contains("`scopes/client/a` is in use by `scopes/client/b`"));
    assert!(policy.apply(&[deleted]).is_ok());
    let cleared = edit("scopes/platform", Some("{}"));
    assert!(policy.apply(&[edit("models/m", None), cleared]).is_ok());
}

#[test]
fn a_scope_that_says_nothing_shares_its_parents_plan() {
    let rule = r#"{"rules": {"spam": {"model": "m", "label": "spam"}}}"#;
    let locking = r#"{"locked": ["spam"]}"#;
    let documents =
        [MODEL, ("scopes/platform", rule), ("scopes/client/a", "{}"), ("scopes/client/b", locking)];
    let policy = policy(&documents).unwrap();
    let plan = |path: &str| policy.plan(&path.parse().unwrap()).unwrap();
    assert!(Arc::ptr_eq(&plan("platform"), &plan("client/a")));
    assert!(Arc::ptr_eq(&plan("platform"), &plan("client/b")));
}

#[test]
fn plans_follow_their_models_and_what_was_only_tried_leaves_no_trace() {
    let rule = r#"{"rules": {"spam": {"model": "m", "label": "spam"}}}"#;
    let before = policy(&[MODEL, ("scopes/platform", rule), ("scopes/client/a", "{}")]).unwrap();
    let client = "a".parse().unwrap();
    let version = |policy: &Policy| {
        let plan = policy.plan_for(&client, None).unwrap();
        plan.calls[0].model.document.version.clone()
    };
    let model = |version: &str| {
        let text = format!(r#"{{"endpoint": {{"sagemaker": "m"}}, "version": "{version}"}}"#);
        before.apply(&[edit("models/m", Some(&text))]).unwrap()
    };
    assert_eq!(version(&before), None);
    let (tried, made) = (model("tried"), model("made"));
    assert_eq!(version(&tried).as_deref(), Some("tried"));
    assert_eq!(version(&made).as_deref(), Some("made"));
    assert_eq!((version(&before), made.version), (None, 2));
}

#[test]
fn a_stored_document_that_cannot_be_read_is_named() {
    for (subject, text) in [
        ("models/m", r#"{"endpoint": {}}"#),
        ("scopes/client/a", "{"),
        ("scopes/client/a", r#"{"colour": 1}"#),
    ] {
        let fault = policy(&[("scopes/platform", "{}"), (subject, text)]).unwrap_err().detail;
        assert!(fault.starts_with(&format!("`{subject}`: ")), "{fault}");
    }
}

#[test]
fn a_site_without_a_scope_uses_its_clients() {
    let policy = policy(&[
        ("scopes/platform", "{}"),
        ("scopes/client/a", "{}"),
        ("scopes/client/a/site/en", "{}"),
    ])
    .unwrap();
    let (client, site) = ("a".parse().unwrap(), "en".parse().unwrap());
    let scope = |site| policy.scope_of(&client, site).unwrap().to_string();
    assert_eq!(scope(Some(&site)), "client/a/site/en");
    assert_eq!(scope(Some(&client)), "client/a");
    assert_eq!(policy.scope_of(&site, None), None);
}
