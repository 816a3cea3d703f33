//! Putting, getting, deleting and seeing options.

use serde_json::json;

use crate::support::World;

#[tokio::test]
async fn get_gives_exactly_what_was_put() {
    let world = World::new().await;
    let text = "{ \"rules\" : {\"spam\":{\"review_at\":0.70}} }\n";
    let headers = [("content-type", "application/json"), ("if-match", "*")];
    let put = world.send("PUT", "/v1/scopes/client/plainstore", &headers, text).await;
    let got = world.get("/v1/scopes/client/plainstore").await;
    assert_eq!(got.body, text);
    assert_eq!(got.headers["etag"], put.headers["etag"]);
    assert_eq!(got.headers["content-type"], "application/json");
}

#[tokio::test]
async fn a_change_must_name_the_version_that_it_replaces() {
    let world = World::new().await;
    let put = async |headers: &[(&str, &str)]| {
        world.put("scopes/client/plainstore", headers, json!({})).await
    };
    assert!(put(&[]).await.refused(428).contains("If-None-Match"));
    put(&[("if-none-match", "*")]).await.refused(412);
    assert!(put(&[("if-match", "\"4\"")]).await.refused(412).contains("\"5\""));
    put(&[("if-match", "*"), ("if-none-match", "*")]).await.refused(400);
    assert_eq!(put(&[("if-match", "\"5\"")]).await.headers["etag"], "\"6\"");
    world.put("scopes/client/new", &[("if-match", "*")], json!({})).await.refused(412);
}

#[tokio::test]
async fn what_is_in_use_is_not_deleted() {
    let world = World::new().await;
    let delete =
        async |subject: &str| world.send("DELETE", &format!("/v1/{subject}"), &[], "").await;
    assert!(delete("models/spam").await.refused(409).contains("scopes/platform"));
    assert!(delete("scopes/industry/beer").await.refused(409).contains("client/alehouse"));
    assert_eq!(delete("scopes/client/alehouse").await.status, 204);
    assert_eq!(delete("scopes/industry/beer").await.status, 204);
    delete("scopes/industry/beer").await.refused(404);
    delete("models/none").await.refused(404);
    let stale = [("if-match", "\"1\"")];
    world.send("DELETE", "/v1/scopes/client/plainstore", &stale, "").await.refused(412);
}

#[tokio::test]
async fn a_deleted_client_is_unknown() {
    let world = World::new().await;
    world.send("DELETE", "/v1/scopes/client/plainstore", &[], "").await;
    let content = crate::support::content(json!({"fields": {"text": ""}})).to_string();
    world.post("/v1/moderate", content).await.refused(404);
}

#[tokio::test]
async fn locked_fields_stay_as_they_are() {
    let world = World::new().await;
    let locking = json!({"locked": ["spam.review_at"], "rules": {"spam": {"review_at": 0.6}}});
    assert_eq!(world.change("scopes/industry/beer", locking).await.status, 204);
    let overriding = json!({"parent": "industry/beer", "rules": {"spam": {"review_at": 0.9}}});
    let fault = world.change("scopes/client/alehouse", overriding).await.refused(422);
    for part in ["client/alehouse", "spam.review_at", "industry/beer"] {
        assert!(fault.contains(part), "{fault}");
    }
    let mine = json!({"rules": {"spam": {"reject_at": 0.9}}});
    assert_eq!(world.change("scopes/client/plainstore", mine).await.status, 204);
    let platform = world.get("/v1/scopes/platform").await.json();
    let mut locking = platform.clone();
    locking["locked"] = json!(["spam.reject_at"]);
    let fault = world.change("scopes/platform", locking).await.refused(422);
    assert!(fault.contains("client/plainstore") && fault.contains("spam.reject_at"), "{fault}");
    assert_eq!(world.get("/v1/scopes/platform").await.json(), platform);
}

#[tokio::test]
async fn a_tree_that_cannot_run_is_refused_whole() {
    let world = World::new().await;
    let put = async |subject: &str, document| world.change(subject, document).await.refused(422);

    let orphan = put("scopes/client/alehouse", json!({"parent": "industry/wine"})).await;
    assert!(orphan.contains("client/alehouse") && orphan.contains("industry/wine"), "{orphan}");
    let cycle = put("scopes/industry/beer", json!({"parent": "industry/beer"})).await;
    assert!(cycle.contains("industry/beer"), "{cycle}");
    let site = put("scopes/client/alehouse", json!({"parent": "client/a/site/b"})).await;
    assert!(site.contains("client/alehouse") && site.contains("client/a/site/b"), "{site}");
    let model = put("scopes/client/alehouse", json!({"rules": {"spam": {"model": "none"}}})).await;
    assert!(model.contains("rules.spam.model") && model.contains("`none`"), "{model}");
    // The fault is in a scope below the one that is put.
    let above = put("scopes/platform", json!({"rules": {"spam": {"model": "spam"}}})).await;
    assert!(above.contains("rules.spam.label"), "{above}");
    let order = put("scopes/industry/beer", json!({"rules": {"spam": {"reject_at": 0.1}}})).await;
    assert!(order.contains("rules.spam.review_at") && order.contains("platform"), "{order}");
    let range = put("scopes/industry/beer", json!({"rules": {"spam": {"reject_at": 1.1}}})).await;
    assert!(range.contains("rules.spam.reject_at"), "{range}");

    assert_eq!(world.get("/readyz").await.json()["policy_version"], 5);
    let verdict =
        world.moderate_with(json!({"client": "alehouse", "fields": {"text": "spam=0.65"}}));
    assert_eq!(verdict.await["decision"], "review");
}

#[tokio::test]
async fn effective_options_name_the_scope_that_set_each_field() {
    let world = World::new().await;
    let effective = world.get("/v1/clients/alehouse/effective").await.json();
    assert_eq!(effective["scope"], "client/alehouse");
    let spam = &effective["rules"]["spam"];
    assert_eq!(spam["review_at"], json!({"value": 0.6, "set_by": "industry/beer"}));
    assert_eq!(spam["reject_at"], json!({"value": 0.95, "set_by": "platform"}));
    assert_eq!(spam.get("on_failure"), None);
    world.add("scopes/client/alehouse/site/uk", json!({"defaults": {"decision": "review"}})).await;
    let effective = world.get("/v1/clients/alehouse/effective?site=uk").await.json();
    let decision = json!({"value": "review", "set_by": "client/alehouse/site/uk"});
    assert_eq!(effective["defaults"]["decision"], decision);
    world.get("/v1/clients/nobody/effective").await.refused(404);
}

#[tokio::test]
async fn lists_name_what_there_is() {
    let world = World::new().await;
    assert_eq!(world.get("/v1/models").await.json(), json!({"models": ["spam"]}));
    let scopes =
        json!({"scopes": ["platform", "industry/beer", "client/alehouse", "client/plainstore"]});
    assert_eq!(world.get("/v1/scopes").await.json(), scopes);
}

#[tokio::test]
async fn changes_side_by_side_are_all_kept_in_turn() {
    let world = World::new().await;
    let names: Vec<String> = (0..20).map(|i| format!("scopes/client/c{i}")).collect();
    let added = names.iter().map(|name| world.add(name, json!({})));
    let mut etags = futures_util::future::join_all(added).await;
    etags.sort();
    etags.dedup();
    assert_eq!(etags.len(), 20);
    assert_eq!(world.get("/readyz").await.json()["policy_version"], 25);
}
