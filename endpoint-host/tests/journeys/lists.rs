//! Lists: filtered, sorted, in pages, with tokens that belong to one list alone.

use serde_json::{Value, json};

use crate::host::Host;

#[tokio::test]
async fn every_list_is_the_newest_first_unless_told_otherwise() {
    let host = Host::start().await;
    for name in ["b", "c", "a"] {
        host.prepare(name, json!({}), 5).await;
    }
    for (operation, list, name) in [
        ("ListModels", "Models", "ModelName"),
        ("ListEndpointConfigs", "EndpointConfigs", "EndpointConfigName"),
    ] {
        for (request, expected) in [
            (json!({}), ["a", "c", "b"]),
            (json!({"SortOrder": "Ascending"}), ["b", "c", "a"]),
            (json!({"SortBy": "Name"}), ["c", "b", "a"]),
            (json!({"SortBy": "Name", "SortOrder": "Ascending"}), ["a", "b", "c"]),
        ] {
            assert_eq!(all(&host, operation, list, name, request).await, expected);
        }
    }
    host.stop().await;
}

#[tokio::test]
async fn lists_are_filtered_by_name_and_time() {
    let host = Host::start().await;
    for name in ["spam-1", "ham", "spam-2"] {
        host.prepare(name, json!({}), 5).await;
    }
    let ham = host.control("DescribeModel", json!({"ModelName": "ham"})).await.body;
    let created = &ham["CreationTime"];
    let models = async |request| all(&host, "ListModels", "Models", "ModelName", request).await;
    assert_eq!(models(json!({"NameContains": "spam"})).await, ["spam-2", "spam-1"]);
    let since = models(json!({"CreationTimeAfter": created})).await;
    assert_eq!(since, ["spam-2", "ham"], "the instant itself belongs to it");
    assert_eq!(models(json!({"CreationTimeBefore": created})).await, ["spam-1"]);
    for (request, words) in [
        (json!({"NameContains": "a_b"}), "regular expression pattern"),
        (json!({"NameContains": "a".repeat(64)}), "less than or equal to 63"),
        (json!({"MaxResults": 0}), "greater than or equal to 1"),
        (json!({"MaxResults": 101}), "less than or equal to 100"),
        (json!({"SortOrder": "Up"}), "[Ascending, Descending]"),
        (json!({"SortBy": "Status"}), "[Name, CreationTime]"),
        (json!({"StatusEquals": "InService"}), "only endpoints have a status"),
    ] {
        host.control("ListModels", request).await.expect_error("ValidationException", words);
    }
    host.stop().await;
}

#[tokio::test]
async fn endpoints_are_also_sorted_and_filtered_by_status_and_last_change() {
    let host = Host::start().await;
    host.deploy("a", 5).await;
    host.create("b", json!({"MODE": "fail"}), 5).await;
    host.settled("b").await;
    host.deploy("c", 5).await;
    let endpoints =
        async |request| all(&host, "ListEndpoints", "Endpoints", "EndpointName", request).await;
    let by_status = json!({"SortBy": "Status", "SortOrder": "Ascending"});
    assert_eq!(endpoints(by_status).await, ["b", "a", "c"], "Failed, then InService");
    assert_eq!(endpoints(json!({"StatusEquals": "Failed"})).await, ["b"]);
    assert_eq!(endpoints(json!({"StatusEquals": "OutOfService"})).await, Vec::<String>::new());
    let changed = &host.describe("c").await["LastModifiedTime"];
    assert_eq!(endpoints(json!({"LastModifiedTimeAfter": changed})).await, ["c"]);
    assert_eq!(endpoints(json!({"LastModifiedTimeBefore": changed})).await, ["b", "a"]);
    let refused = host.control("ListEndpoints", json!({"StatusEquals": "Fine"})).await;
    refused.expect_error("ValidationException", "OutOfService, Creating, Updating");
    host.stop().await;
}

#[tokio::test]
async fn a_token_leads_on_in_its_own_list_alone() {
    let host = Host::start().await;
    for name in ["a", "b", "c"] {
        host.prepare(name, json!({}), 5).await;
    }
    let request = json!({"MaxResults": 1, "SortBy": "Name", "SortOrder": "Ascending"});
    let first = host.control("ListModels", request.clone()).await.expect_status(200).body;
    let token = first["NextToken"].as_str().unwrap().to_owned();
    let with = |token: &str, change: Value| {
        let mut request = request.clone();
        request["NextToken"] = token.into();
        for (field, value) in change.as_object().unwrap() {
            request[field] = value.clone();
        }
        request
    };
    host.control("DeleteModel", json!({"ModelName": "b"})).await.expect_status(200);
    let larger = host.control("ListModels", with(&token, json!({"MaxResults": 9}))).await;
    assert_eq!(larger.expect_status(200).body["Models"][0]["ModelName"], "c");
    let mut altered = token.clone();
    altered.replace_range(20..21, if token[20..21] == *"0" { "1" } else { "0" });
    for (operation, request) in [
        ("ListModels", with("mine", json!({}))),
        ("ListModels", with("", json!({}))),
        ("ListModels", with(&"é".repeat(20), json!({}))),
        ("ListModels", with(&altered, json!({}))),
        ("ListModels", with(&token, json!({"SortOrder": "Descending"}))),
        ("ListModels", with(&token, json!({"NameContains": "a"}))),
        ("ListEndpointConfigs", with(&token, json!({}))),
    ] {
        let refused = host.control(operation, request).await.expect_status(400);
        refused.expect_error("ValidationException", "Invalid NextToken");
    }
    host.stop().await;
}

/// The names in a list, gathered from pages of two.
async fn all(host: &Host, operation: &str, list: &str, name: &str, request: Value) -> Vec<String> {
    let mut request = request;
    request["MaxResults"] = json!(2);
    let mut names = Vec::new();
    loop {
        let page = host.control(operation, request.clone()).await.expect_status(200).body;
        let items = page[list].as_array().unwrap();
        names.extend(items.iter().map(|item| item[name].as_str().unwrap().to_owned()));
        if page["NextToken"].is_null() {
            return names;
        }
        request["NextToken"] = page["NextToken"].clone();
    }
}
