//! Versions: many documents at once, what was when, and back again.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Answer, Holder, World, content, until};

async fn create(world: &World, headers: &[(&str, &str)], body: Value) -> Answer {
    let headers = [&[("content-type", "application/json")], headers].concat();
    world.send("POST", "/v1/policy/versions", &headers, body.to_string()).await
}

/// Two documents that are only fine together, and one that goes.
fn three() -> Value {
    json!({"documents": {
        "scopes/client/new": {"parent": "industry/wine"},
        "scopes/industry/wine": {"rules": {"spam": {"review_at": 0.5}}},
        "scopes/client/plainstore": null,
    }})
}

#[tokio::test]
async fn many_documents_make_one_version() {
    let world = World::new().await;
    let reason = [("gatehouse-reason", "wine"), ("if-match", "\"5\"")];
    let made = create(&world, &reason, three()).await;
    assert_eq!((made.status.as_u16(), &made.headers["etag"]), (201, &"\"6\"".parse().unwrap()));
    let changes = json!([
        {"subject": "scopes/client/new", "before": null, "after": {"parent": "industry/wine"},
         "fields": [{"path": "parent", "after": "industry/wine"}]},
        {"subject": "scopes/client/plainstore", "before": {}, "after": null, "fields": []},
        {"subject": "scopes/industry/wine", "before": null,
         "after": {"rules": {"spam": {"review_at": 0.5}}},
         "fields": [{"path": "rules.spam.review_at", "after": 0.5}]},
    ]);
    assert_eq!(made.json(), json!({"version": 6, "changes": changes}));
    let content = json!({"client": "new", "fields": {"text": "spam=0.5"}});
    assert_eq!(world.moderate_with(content).await["decision"], "review");
    world.get("/v1/scopes/client/plainstore").await.refused(404);

    let mut version = world.get("/v1/policy/versions/6").await.json();
    assert!(version["changed_at"].take().as_str().unwrap().ends_with('Z'));
    let subjects = ["scopes/client/new", "scopes/client/plainstore", "scopes/industry/wine"];
    let expected = json!({"version": 6, "changed_at": null, "author": "anonymous",
        "reason": "wine", "subjects": subjects, "changes": changes});
    assert_eq!(version, expected);
}

#[tokio::test]
async fn a_version_is_made_whole_or_not_at_all() {
    let world = World::new().await;
    let before = world.get("/v1/policy/documents").await.body;
    let refused = async |subject: &str, document: Value| {
        let mut body = three();
        body["documents"][subject] = document;
        create(&world, &[], body).await
    };
    let fault = refused("scopes/client/alehouse", json!({"colour": 1})).await.refused(422);
    assert!(fault.contains("scopes/client/alehouse") && fault.contains("colour"), "{fault}");
    refused("scopes/client/alehouse", json!({"parent": "industry/none"})).await.refused(422);
    let fault = refused("brands/a", json!({})).await.refused(422);
    assert!(fault.contains("`brands/a`"), "{fault}");
    let fault = refused("scopes/client/alehouse", json!("x".repeat(300_000))).await.refused(413);
    assert!(fault.contains("scopes/client/alehouse"), "{fault}");
    assert_eq!(world.get("/v1/policy/documents").await.body, before);

    let twice = r#"{"documents": {"scopes/platform": {}, "scopes/platform": {}}}"#;
    assert!(world.post("/v1/policy/versions", twice).await.refused(422).contains("stands twice"));
    world.post("/v1/policy/versions", "{").await.refused(400);
    let large = json!({"documents": {}, "x": "x".repeat(10_000_000)});
    create(&world, &[], large).await.refused(413);
    assert_eq!(world.get("/readyz").await.json()["policy_version"], 5);
}

#[tokio::test]
async fn a_version_is_made_of_the_one_that_the_caller_has_seen() {
    let world = World::new().await;
    let stale = create(&world, &[("if-match", "\"4\"")], three()).await;
    assert!(stale.refused(412).contains("\"5\""));
    create(&world, &[("if-match", "5")], three()).await.refused(412);
    assert_eq!(create(&world, &[("if-match", "*")], three()).await.status, 201);
}

#[tokio::test]
async fn a_dry_run_shows_the_changes_and_makes_none() {
    let world = World::new().await;
    let mut body = three();
    body["dry_run"] = json!(true);
    let dry = create(&world, &[], body).await;
    assert_eq!((dry.status.as_u16(), dry.json()["version"].clone()), (200, json!(5)));
    assert_eq!(world.get("/readyz").await.json()["policy_version"], 5);
    assert_eq!(dry.json()["changes"], create(&world, &[], three()).await.json()["changes"]);
    let broken = json!({"documents": {"scopes/platform": null}, "dry_run": true});
    assert!(create(&world, &[], broken).await.status.is_client_error());
}

#[tokio::test]
async fn what_says_nothing_new_makes_no_version() {
    let world = World::new().await;
    let same = json!({"documents": {"scopes/client/alehouse": {"parent": "industry/beer"},
                                    "scopes/client/none": null}});
    let answer = create(&world, &[], same).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json(), json!({"version": 5, "changes": []}));
}

#[tokio::test]
async fn documents_are_kept_byte_for_byte() {
    let world = World::new().await;
    let body = r#"{"documents": {"scopes/client/plainstore" :  {"rules" :{"spam": {"review_at":0.70}}} }}"#;
    assert_eq!(world.post("/v1/policy/versions", body).await.status, 201);
    let kept = world.get("/v1/scopes/client/plainstore").await;
    assert_eq!(kept.body, r#"{"rules" :{"spam": {"review_at":0.70}}}"#);
    assert_eq!(kept.headers["etag"], "\"6\"");
}

#[tokio::test]
async fn versions_are_listed_page_by_page() {
    let world = World::new().await;
    let list = async |query: &str| {
        let page = world.get(&format!("/v1/policy/versions{query}")).await.json();
        let versions = page["versions"].as_array().unwrap();
        let versions: Vec<_> = versions.iter().map(|v| v["version"].as_i64().unwrap()).collect();
        (versions, page["next"].as_i64())
    };
    assert_eq!(list("").await, (vec![5, 4, 3, 2, 1], None));
    assert_eq!(list("?limit=2").await, (vec![5, 4], Some(4)));
    assert_eq!(list("?limit=2&before=4").await, (vec![3, 2], Some(2)));
    assert_eq!(list("?limit=2&before=2").await, (vec![1], None));
    for query in ["limit=0", "limit=501"] {
        world.get(&format!("/v1/policy/versions?{query}")).await.refused(422);
    }
    for query in ["limit=x", "after=3", "limit=1&limit=2"] {
        world.get(&format!("/v1/policy/versions?{query}")).await.refused(400);
    }
    for version in ["0", "6", "-1", "9223372036854775807"] {
        let answer = world.get(&format!("/v1/policy/versions/{version}")).await;
        assert!(answer.refused(404).contains(version));
        assert_eq!(answer.json()["type"], "/problems/unknown-version");
    }
    world.get("/v1/policy/versions/x").await.refused(422);
}

#[tokio::test]
async fn the_documents_of_any_version_can_be_seen() {
    let world = World::new().await;
    create(&world, &[], three()).await;
    let at = async |version: i64| {
        let answer = world.get(&format!("/v1/policy/documents?version={version}")).await;
        assert_eq!(answer.headers["etag"], format!("\"{version}\""));
        answer.json()
    };
    assert_eq!(at(0).await, json!({"version": 0, "documents": {}}));
    let third = at(3).await;
    let documents = third["documents"].as_object().unwrap();
    assert_eq!(
        documents.keys().collect::<Vec<_>>(),
        ["models/spam", "scopes/industry/beer", "scopes/platform"]
    );
    assert_eq!(documents["scopes/industry/beer"], json!({"rules": {"spam": {"review_at": 0.6}}}));
    assert_eq!(world.get("/v1/policy/documents").await.json(), at(6).await);
    world.get("/v1/policy/documents?version=7").await.refused(404);
    world.get("/v1/policy/documents?version=x").await.refused(400);
}

#[tokio::test]
async fn two_versions_are_compared_either_way() {
    let world = World::new().await;
    let rules = |at: f64| json!({"rules": {"spam": {"review_at": at}}});
    world.change("scopes/client/plainstore", rules(0.5)).await;
    world.change("scopes/client/plainstore", rules(0.4)).await;
    let diff = async |from: i64, to: i64| {
        world.get(&format!("/v1/policy/diff?from={from}&to={to}")).await.json()
    };
    let field = |before: Value, after: Value| json!([{"path": "rules.spam.review_at", "before": before, "after": after}]);
    assert_eq!(diff(6, 7).await["changes"][0]["fields"], field(json!(0.5), json!(0.4)));
    assert_eq!(diff(7, 6).await["changes"][0]["fields"], field(json!(0.4), json!(0.5)));
    assert_eq!(diff(7, 7).await, json!({"from": 7, "to": 7, "changes": []}));
    assert_eq!(diff(0, 7).await["changes"].as_array().unwrap().len(), 5);
    world.change("scopes/client/plainstore", rules(0.5)).await;
    assert_eq!(diff(6, 8).await["changes"], json!([]));
    world.get("/v1/policy/diff?from=6&to=9").await.refused(404);
    world.get("/v1/policy/diff?from=6").await.refused(400);
}

#[tokio::test]
async fn a_revert_is_a_version_with_the_documents_of_an_old_one() {
    let world = World::new().await;
    let before = world.get("/v1/policy/documents").await.json();
    create(&world, &[], three()).await;
    world.change("scopes/client/alehouse", json!({})).await;
    let revert = async |body: Value| world.post("/v1/policy/revert", body.to_string()).await;

    let dry = revert(json!({"version": 5, "dry_run": true})).await;
    assert_eq!((dry.status.as_u16(), dry.json()["version"].clone()), (200, json!(7)));
    let done = revert(json!({"version": 5})).await;
    assert_eq!((done.status.as_u16(), done.json()["version"].clone()), (201, json!(8)));
    assert_eq!(done.json()["changes"], dry.json()["changes"]);
    assert_eq!(world.get("/v1/policy/documents").await.json()["documents"], before["documents"]);
    assert_eq!(world.get("/v1/policy/versions/8").await.json()["reason"], "revert to version 5");
    assert_eq!(world.moderate("spam=0.95").await["decision"], "reject");

    assert_eq!(revert(json!({"version": 8})).await.status, 200);
    revert(json!({"version": 9})).await.refused(404);
    revert(json!({"version": -1})).await.refused(404);
    revert(json!({})).await.refused(422);
    assert_eq!(revert(json!({"version": 0})).await.status, 201);
    assert_eq!(world.get("/v1/policy/documents").await.json()["documents"], json!({}));
}

#[tokio::test]
async fn a_document_that_says_nothing_new_must_be_well_formed_too() {
    let world = World::new().await;
    let twice = r#"{"rules": {"zz": {"bogus": 1}}, "rules": {}}"#;
    world.change("scopes/client/plainstore", json!({"rules": {}})).await;
    let body = format!(r#"{{"documents": {{"scopes/client/plainstore": {twice}}}}}"#);
    let fault = world.post("/v1/policy/versions", body).await.refused(422);
    assert!(fault.starts_with("`scopes/client/plainstore`: "), "{fault}");
}

/// Announces a body of 8 MiB to this path, and returns what is said to that: 100 if it is awaited.
async fn announce(world: &World, path: &str, header: &str) -> (TcpStream, String) {
    announce_bytes(world, path, header, 8 << 20).await
}

async fn announce_bytes(
    world: &World,
    path: &str,
    header: &str,
    bytes: usize,
) -> (TcpStream, String) {
    let mut connection = TcpStream::connect(world.address()).await.unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {bytes}\r\nexpect: 100-continue\r\n{header}\r\n"
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    connection.read_exact(&mut answer).await.unwrap();
    (connection, String::from_utf8(answer.to_vec()).unwrap())
}

#[tokio::test]
async fn few_large_bodies_are_awaited_at_once_and_small_ones_come_through() {
    let world = World::new().await;
    let next = async || announce(&world, "/v1/policy/versions", "").await;
    let mut awaited = Vec::new();
    for _ in 0..4 {
        let (connection, said) = next().await;
        assert_eq!(said, "HTTP/1.1 100");
        awaited.push(connection);
    }
    let (refused, said) = next().await;
    assert_eq!(said, "HTTP/1.1 503");
    assert_eq!(create(&world, &[], three()).await.status, 201);
    drop((awaited, refused));
    until(async || next().await.1 == "HTTP/1.1 100").await;
}

#[tokio::test]
async fn the_holder_of_one_key_keeps_no_other_from_large_changes_and_what_ifs() {
    let world = World::new().await;
    let admin = world.admin().await;
    let spy = admin.make("spy", &["options:client/alehouse"]).await;
    let other = admin.make("other", &["options:*"]).await;
    let bearer = |holder: &Holder<'_>| format!("authorization: Bearer {}\r\n", holder.key);
    let mut held = Vec::new();
    for expected in ["100", "503", "503", "503"] {
        let (connection, said) = announce(&world, "/v1/policy/versions", &bearer(&spy)).await;
        assert_eq!(said, format!("HTTP/1.1 {expected}"));
        held.push(connection);
    }
    let (_connection, said) = announce(&world, "/v1/policy/versions", &bearer(&other)).await;
    assert_eq!(said, "HTTP/1.1 100");
    for _ in 0..4 {
        let path = "/v1/policy/what-if";
        let (connection, said) = announce_bytes(&world, path, &bearer(&spy), 100_000).await;
        assert_eq!(said, "HTTP/1.1 100");
        held.push(connection);
    }
    let contents = [content(json!({"fields": {"text": ""}}))];
    let question = json!({"documents": {"scopes/client/plainstore": {}}, "contents": contents});
    assert_eq!(other.post("/v1/policy/what-if", question).await.status, 200);
}

#[tokio::test]
async fn a_large_change_is_taken_while_a_large_what_if_of_the_same_owner_is_in_work() {
    let world = World::new().await;
    let admin = world.admin().await;
    let ann = admin.make("ann", &["options:*", "models", "ingest:*"]).await;
    let gate = json!({"endpoint": {"sagemaker": "gate"}, "version": "7"});
    let question = json!({
        "documents": {"models/spam": gate},
        "contents": [content(json!({"fields": {"text": "x".repeat(300_000)}}))],
    });
    let asked = async { ann.post("/v1/policy/what-if", question).await.status.as_u16() };
    let large = async {
        world.sagemaker.reached("gate", 1).await;
        let header = format!("authorization: Bearer {}\r\n", ann.key);
        let (_connection, said) = announce(&world, "/v1/policy/versions", &header).await;
        world.sagemaker.open_gate(1);
        said
    };
    assert_eq!(tokio::join!(asked, large), (200, "HTTP/1.1 100".to_owned()));
}

#[tokio::test]
async fn no_body_is_awaited_of_who_may_change_nothing() {
    let world = World::new().await;
    let admin = world.admin().await;
    let reader = admin.make("reader", &["read:*", "ingest:*"]).await;
    let changer = admin.make("changer", &["options:client/plainstore"]).await;
    for path in ["/v1/policy/versions", "/v1/policy/what-if", "/v1/policy/revert"] {
        for (holder, expected) in [(&reader, "403"), (&changer, "100")] {
            let header = format!("authorization: Bearer {}\r\n", holder.key);
            let (_connection, said) = announce(&world, path, &header).await;
            assert_eq!(said, format!("HTTP/1.1 {expected}"), "{path}");
        }
    }
}
