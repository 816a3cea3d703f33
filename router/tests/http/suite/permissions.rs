//! Who may do what.

use serde_json::{Value, json};

use crate::support::{World, content};

/// One thing to ask for, and the scopes of keys that allow it.
struct Route {
    method: &'static str,
    path: String,
    body: Option<Value>,
    allowed: &'static [&'static str],
}

const SCOPES: [&str; 13] = [
    "ingest:plainstore",
    "ingest:alehouse",
    "ingest:*",
    "read:plainstore",
    "read:alehouse",
    "read:*",
    "options:platform",
    "options:client/plainstore",
    "options:client/alehouse",
    "options:*",
    "models",
    "review:plainstore",
    "admin",
];

/// What allows to see some of what was changed.
const HISTORY: &[&str] = &[
    "options:platform",
    "options:client/plainstore",
    "options:client/alehouse",
    "options:*",
    "models",
    "admin",
];

fn route(method: &'static str, path: &str, allowed: &'static [&'static str]) -> Route {
    Route { method, path: path.to_owned(), body: None, allowed }
}

fn with_body(
    method: &'static str,
    path: &str,
    body: Value,
    allowed: &'static [&'static str],
) -> Route {
    Route { body: Some(body), ..route(method, path, allowed) }
}

/// All routes that take a key.
fn routes(decision_id: &str) -> Vec<Route> {
    let model = json!({"endpoint": {"sagemaker": "spam"}, "version": "1"});
    let review = content(json!({"fields": {"text": ""}}));
    let own = &["read:plainstore", "read:*"];
    let options = &["options:client/plainstore", "options:*"];
    let question = json!({"documents": {"scopes/client/plainstore": {}},
                          "contents": [content(json!({"fields": {"text": ""}}))]});
    vec![
        with_body("POST", "/v1/moderate", review, &["ingest:plainstore", "ingest:*"]),
        route("GET", &format!("/v1/decisions/{decision_id}"), own),
        route("GET", "/v1/clients/plainstore/effective", own),
        route("GET", "/v1/endpoints", &["read:*", "models", "admin"]),
        route("GET", "/v1/models/none/shadow", &["read:*", "models", "admin"]),
        route("GET", "/v1/models", &SCOPES),
        route("GET", "/v1/models/spam", &SCOPES),
        with_body("PUT", "/v1/models/spam", model, &["models"]),
        route("DELETE", "/v1/models/none", &["models"]),
        route("GET", "/v1/scopes", &SCOPES),
        route("GET", "/v1/scopes/platform", &SCOPES),
        route("GET", "/v1/scopes/industry/beer", &SCOPES),
        route(
            "GET",
            "/v1/scopes/client/plainstore",
            &["read:plainstore", "read:*", "options:client/plainstore", "options:*", "admin"],
        ),
        with_body("PUT", "/v1/scopes/client/plainstore", json!({}), options),
        route("DELETE", "/v1/scopes/client/none", &["options:*"]),
        route(
            "GET",
            "/v1/scopes/client/plainstore/site/none",
            &["read:plainstore", "read:*", "options:client/plainstore", "options:*", "admin"],
        ),
        with_body("PUT", "/v1/scopes/client/plainstore/site/none", json!({}), options),
        route("DELETE", "/v1/scopes/client/plainstore/site/none", options),
        with_body("PUT", "/v1/scopes/industry/none", json!({}), &["options:*"]),
        route("DELETE", "/v1/scopes/industry/none", &["options:*"]),
        with_body(
            "PUT",
            "/v1/scopes/platform",
            json!({"rules": {"spam": {"model": "spam", "label": "spam", "review_at": 0.7}}}),
            &["options:platform", "options:*"],
        ),
        // All others inherit from it, so that it stays.
        route("DELETE", "/v1/scopes/platform", &["options:platform", "options:*"]),
        route("GET", "/v1/policy/versions", HISTORY),
        route("GET", "/v1/policy/versions/1", HISTORY),
        route("GET", "/v1/policy/documents", HISTORY),
        route("GET", "/v1/policy/diff?from=1&to=1", HISTORY),
        with_body(
            "POST",
            "/v1/policy/versions",
            json!({"documents": {"scopes/client/plainstore": {}}, "dry_run": true}),
            options,
        ),
        with_body(
            "POST",
            "/v1/policy/versions",
            json!({"documents": {"scopes/client/plainstore": {}, "models/none": null}}),
            &[],
        ),
        with_body("POST", "/v1/policy/revert", json!({"version": 0, "dry_run": true}), &[]),
        with_body("POST", "/v1/policy/what-if", question, options),
        route("GET", "/metrics", &["read:*", "admin"]),
        route("GET", "/v1/keys", &["admin"]),
        with_body("POST", "/v1/keys", json!({"owner": "x", "scopes": []}), &["admin"]),
        with_body("PATCH", "/v1/keys/0123456789ab", json!({}), &["admin"]),
        route("DELETE", "/v1/keys/0123456789ab", &["admin"]),
        route("GET", "/v1/audit", &["admin"]),
    ]
}

/// Whether a path is of a form such as `/v1/models/{name}`.
fn is_of(form: &str, path: &str) -> bool {
    let path = path.split('?').next().unwrap();
    let (form, path): (Vec<_>, Vec<_>) = (form.split('/').collect(), path.split('/').collect());
    let fits = |(form, part): (&&str, &&str)| form.starts_with('{') || form == part;
    form.len() == path.len() && form.iter().zip(&path).all(fits)
}

#[tokio::test]
async fn every_route_that_takes_a_key_is_tried_with_all_of_them() {
    let world = World::empty().await;
    let tried = routes("0");
    // A unit test holds the description against the router's own table.
    let described = world.get("/openapi.json").await.json();
    for (form, operations) in described["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let takes_a_key = operation["security"] != json!([]);
            let fits = |route: &Route| {
                route.method.eq_ignore_ascii_case(method) && is_of(form, &route.path)
            };
            assert_eq!(tried.iter().any(fits), takes_a_key, "{method} {form}");
        }
    }
}

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];
const HEADERS: [(&str, &str); 2] = [("content-type", "application/json"), ("if-match", "*")];

#[tokio::test]
async fn each_route_takes_the_keys_that_it_is_for_and_no_others() {
    let world = World::new().await;
    let decision = world.moderate("spam=0.1").await;
    let routes = routes(decision["decision_id"].as_str().unwrap());
    let admin = world.admin().await;
    for scope in SCOPES {
        let holder = admin.make(&format!("holder of {scope}"), &[scope]).await;
        for route in &routes {
            let Route { method, path, body, allowed } = route;
            let headers: &[_] = match (body, *method) {
                (None, _) => &[],
                (Some(_), "PUT") => &HEADERS,
                (Some(_), _) => &JSON,
            };
            let text = body.as_ref().map(Value::to_string).unwrap_or_default();
            let answer = holder.send(method, path, headers, text).await;
            let named = format!("{scope}: {method} {path}: {answer:?}");
            if allowed.contains(&scope) {
                assert!(!matches!(answer.status.as_u16(), 401 | 403), "{named}");
            } else if path.starts_with("/v1/decisions/") && scope.starts_with("read:") {
                assert_eq!(answer.json()["type"], "/problems/unknown-decision", "{named}");
            } else {
                let fault = answer.refused(403);
                assert_eq!(answer.json()["type"], "/problems/forbidden", "{named}");
                assert!(fault.contains("the scope `"), "{named}");
            }
        }
    }
}

#[tokio::test]
async fn without_a_key_nothing_is_told_but_that_the_router_lives() {
    let world = World::new().await;
    let decision = world.moderate("spam=0.1").await;
    let mut routes = routes(decision["decision_id"].as_str().unwrap());
    routes.push(route("GET", "/v1/nothing", &[]));
    routes.push(route("OPTIONS", "/v1/moderate", &[]));
    world.admin().await;
    for Route { method, path, body, .. } in &routes {
        let text = body.as_ref().map(Value::to_string).unwrap_or_default();
        let answer = world.send(method, path, &JSON, text).await;
        let fault = answer.refused(401);
        assert!(fault.contains("GATEHOUSE_KEY") && fault.contains("gatehouse key create"));
        assert_eq!(answer.headers["www-authenticate"], "Bearer", "{method} {path}");
        assert_eq!(answer.json()["type"], "/problems/unauthorized");
    }
    for open in ["/livez", "/readyz"] {
        assert_eq!(world.get(open).await.status, 200, "{open}");
    }
}

#[tokio::test]
async fn one_client_learns_nothing_of_another() {
    let world = World::new().await;
    let admin = world.admin().await;
    let scopes = ["ingest:alehouse", "read:alehouse", "options:client/alehouse"];
    let alehouse = admin.make("alehouse", &scopes).await;
    let seen = alehouse.get("/v1/scopes").await.json();
    assert_eq!(seen["scopes"], json!(["platform", "industry/beer", "client/alehouse"]));
    for client in ["plainstore", "nobody"] {
        let review = content(json!({"client": client, "fields": {"text": ""}}));
        alehouse.post("/v1/moderate", review.clone()).await.refused(403);
        let lines = alehouse.post_lines(format!("{review}\n")).await.lines();
        assert_eq!(lines[0]["error"]["type"], "/problems/forbidden", "{lines:?}");
        assert_eq!(lines[0]["content_id"], "r-1");
        alehouse.get(&format!("/v1/clients/{client}/effective")).await.refused(403);
        alehouse.get(&format!("/v1/scopes/client/{client}")).await.refused(403);
    }
}

#[tokio::test]
async fn a_narrow_key_sees_its_own_part_of_the_past() {
    let world = World::new().await;
    let admin = world.admin().await;
    let ann = admin.make("ann", &["options:client/plainstore"]).await;
    let subjects = |versions: &Value| -> Vec<Value> {
        let versions = versions["versions"].as_array().unwrap().iter();
        versions.flat_map(|version| version["subjects"].as_array().unwrap().clone()).collect()
    };
    let all = admin.get("/v1/policy/versions").await.json();
    assert_eq!(subjects(&all).len(), 5);
    let own = ann.get("/v1/policy/versions").await.json();
    assert_eq!(subjects(&own), ["scopes/client/plainstore"]);
    let documents = ann.get("/v1/policy/documents").await.json();
    assert_eq!(documents["documents"], json!({"scopes/client/plainstore": {}}));
    let changes = ann.get("/v1/policy/diff?from=0&to=5").await.json();
    assert_eq!(changes["changes"].as_array().unwrap().len(), 1);
    assert_eq!(ann.get("/v1/policy/versions/5").await.status, 200);
    ann.get("/v1/policy/versions/1").await.refused(404);
    // Going back to the beginning would change what is not hers.
    let back = json!({"version": 0, "dry_run": true});
    ann.post("/v1/policy/revert", back).await.refused(403);
    // Nor may she leave the platform, as before there was her client.
    let back = json!({"version": 4, "dry_run": true});
    ann.post("/v1/policy/revert", back).await.refused(403);
    let own = json!({"rules": {"spam": {"review_at": 0.5}}}).to_string();
    let changed = ann.send("PUT", "/v1/scopes/client/plainstore", &HEADERS, own).await;
    assert_eq!(changed.status, 204);
    let back = json!({"version": 5, "dry_run": true});
    assert_eq!(ann.post("/v1/policy/revert", back).await.status, 200);
}

#[tokio::test]
async fn a_change_bears_the_name_of_the_keys_owner() {
    let world = World::new().await;
    let admin = world.admin().await;
    let ann = admin.make("ann@example.com", &["options:client/plainstore"]).await;
    let change = ann.send("PUT", "/v1/scopes/client/plainstore", &HEADERS, "{}").await;
    assert_eq!(change.status, 204, "{change:?}");
    let log = admin.get("/v1/audit?limit=1").await.json();
    let entry = &log["audit"][0];
    assert_eq!(entry["actor"], "ann@example.com");
    assert_eq!(entry["action"], "policy.change");
}

#[tokio::test]
async fn a_client_joins_and_leaves_only_what_its_key_may_change() {
    let world = World::new().await;
    let admin = world.admin().await;
    let own = admin.make("holder", &["options:client/alehouse", "read:alehouse"]).await;
    let path = "/v1/scopes/client/alehouse";
    for parent in ["client/plainstore", "platform"] {
        let moved = json!({ "parent": parent });
        let fault = own.send("PUT", path, &HEADERS, moved.to_string()).await.refused(403);
        assert!(
            fault.contains("`scopes/client/alehouse`") && fault.contains("options:"),
            "{fault}"
        );
        let documents = json!({"documents": {"scopes/client/alehouse": moved}, "dry_run": true});
        own.send("POST", "/v1/policy/versions", &JSON, documents.to_string()).await.refused(403);
    }
    own.send("DELETE", path, &[], "").await.refused(403);
    let stays = json!({"parent": "industry/beer", "rules": {"spam": {"review_at": 0.5}}});
    assert_eq!(own.send("PUT", path, &HEADERS, stays.to_string()).await.status, 204);
    let both = ["options:client/alehouse", "options:industry/beer", "options:platform"];
    let mover = admin.make("mover", &both).await;
    assert_eq!(mover.send("PUT", path, &HEADERS, "{}").await.status, 204);
}

#[tokio::test]
async fn what_would_be_invalid_under_anothers_options_tells_nothing_of_them() {
    let world = World::new().await;
    let admin = world.admin().await;
    let root = admin.make("root", &["options:*"]).await;
    let secret = json!({"locked": ["spam"], "rules": {"spam": {"reject_at": 0.8123}}});
    let path = "/v1/scopes/client/plainstore";
    assert_eq!(root.send("PUT", path, &HEADERS, secret.to_string()).await.status, 204);
    let spy = admin.make("spy", &["options:client/alehouse", "options:industry/beer"]).await;
    let told = async |parent: &str| {
        let document = json!({"parent": parent, "rules": {"spam": {"review_at": 0.9}, "x": {"review_at": 0.5}}});
        let documents = json!({"scopes/client/alehouse": document});
        let dry_run = json!({"documents": documents, "dry_run": true});
        let contents = [content(json!({"fields": {"text": ""}}))];
        let answers = [
            spy.send("PUT", "/v1/scopes/client/alehouse", &HEADERS, document.to_string()).await,
            spy.post("/v1/policy/versions", json!({"documents": documents})).await,
            spy.post("/v1/policy/versions", dry_run).await,
            spy.post("/v1/policy/what-if", json!({"documents": documents, "contents": contents}))
                .await,
        ];
        answers.map(|answer| answer.refused(403).replace(parent, "PARENT"))
    };
    let faults = told("client/plainstore").await;
    assert!(faults.iter().all(|fault| fault.contains("options:PARENT")), "{faults:?}");
    assert_eq!(faults, told("client/nobody").await);
}
