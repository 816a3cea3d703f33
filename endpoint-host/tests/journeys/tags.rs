//! Tags: noted with a creation or later, listed, deleted, and gone with their resource.

use serde_json::{Value, json};

use crate::host::{Answer, Host};

#[tokio::test]
async fn every_kind_of_resource_has_tags_until_it_goes() {
    let host = Host::start().await;
    host.deploy("spam", 5).await;
    for (kind, part) in
        [("Model", "model"), ("EndpointConfig", "endpoint-config"), ("Endpoint", "endpoint")]
    {
        let arn = format!("arn:aws:sagemaker:us-east-1:000000000000:{part}/spam");
        let added = add(&host, &arn, &[("team", "trust"), ("stage", "live")]).await;
        assert_eq!(
            added.expect_status(200).body,
            json!({"Tags": pairs(&[("stage", "live"), ("team", "trust")])})
        );
        add(&host, &arn, &[("stage", "")]).await.expect_status(200);
        let keys = json!({"ResourceArn": arn, "TagKeys": ["team", "never there"]});
        assert_eq!(host.control("DeleteTags", keys).await.expect_status(200).body, json!({}));
        let listed = list(&host, &arn).await.expect_status(200);
        assert_eq!(listed.body, json!({"Tags": pairs(&[("stage", "")])}));
        let described =
            host.control(&format!("Describe{kind}"), json!({format!("{kind}Name"): "spam"})).await;
        assert_eq!(described.expect_status(200).body["Tags"], Value::Null);
        host.control(&format!("Delete{kind}"), json!({format!("{kind}Name"): "spam"})).await;
        if kind == "Endpoint" {
            host.wait_until_gone("spam").await;
        }
        list(&host, &arn).await.expect_error("ValidationException", "Could not find");
    }
    host.stop().await;
}

#[tokio::test]
async fn tags_come_with_a_creation() {
    let host = Host::start().await;
    let container = json!({"Image": "gatehouse/model-container", "ModelDataUrl": host.model_url()});
    let tags = pairs(&[("équipe", "a b/c:d=e+f-g@h_i.j")]);
    let model = json!({"ModelName": "m", "PrimaryContainer": container, "Tags": tags});
    let arn = host.control("CreateModel", model).await.expect_status(200).body["ModelArn"].clone();
    let listed = list(&host, arn.as_str().unwrap()).await;
    assert_eq!(listed.body["Tags"], tags);
    host.stop().await;
}

#[tokio::test]
async fn tags_beyond_awss_limits_are_refused_and_change_nothing() {
    let host = Host::start().await;
    host.prepare("m", json!({}), 5).await;
    let arn = "arn:aws:sagemaker:us-east-1:000000000000:model/m";
    let many: Vec<_> = (0..50).map(|n| (format!("k{n}"), "v")).collect();
    let many: Vec<_> = many.iter().map(|(key, value)| (key.as_str(), *value)).collect();
    add(&host, arn, &many).await.expect_status(200);
    let long_key = "k".repeat(129);
    let long_value = "v".repeat(257);
    for (tags, words) in [
        (&[("one more", "")][..], "at most 50 tags"),
        (&[("", "v")], "greater than or equal to 1"),
        (&[(&long_key, "v")], "less than or equal to 128"),
        (&[("k1", &long_value)], "less than or equal to 256"),
        (&[("k1", "a"), ("k1", "b")], "given twice"),
        (&[("aws:name", "v")], "reserved"),
        (&[("AWS:name", "v")], "reserved"),
        (&[("k1", "semi;colon")], "regular expression pattern"),
    ] {
        add(&host, arn, tags).await.expect_error("ValidationException", words);
    }
    let listed = list(&host, arn).await.body;
    assert_eq!(listed["Tags"].as_array().unwrap().len(), 50);
    assert!(listed["Tags"].as_array().unwrap().iter().all(|tag| tag["Value"] == "v"));
    for (operation, request, words) in [
        ("ListTags", json!({"ResourceArn": arn, "MaxResults": 49}), "greater than or equal to 50"),
        ("ListTags", json!({"ResourceArn": arn, "NextToken": "x"}), "NextToken"),
        ("ListTags", json!({"ResourceArn": "spam"}), "regular expression pattern"),
        ("ListTags", json!({}), "resourceArn"),
        ("DeleteTags", json!({"ResourceArn": arn, "TagKeys": []}), "tagKeys"),
        ("AddTags", json!({"ResourceArn": arn}), "tags"),
        (
            "ListTags",
            json!({"ResourceArn": "arn:aws:sagemaker:us-east-1:000000000000:app/m"}),
            "can't be tagged",
        ),
        (
            "ListTags",
            json!({"ResourceArn": "arn:aws:sagemaker:eu-west-1:000000000000:model/m"}),
            "Could not find model",
        ),
    ] {
        let refused = host.control(operation, request).await.expect_status(400);
        refused.expect_error("ValidationException", words);
    }
    host.stop().await;
}

async fn add(host: &Host, arn: &str, tags: &[(&str, &str)]) -> Answer {
    host.control("AddTags", json!({"ResourceArn": arn, "Tags": pairs(tags)})).await
}

async fn list(host: &Host, arn: &str) -> Answer {
    host.control("ListTags", json!({"ResourceArn": arn})).await
}

fn pairs(tags: &[(&str, &str)]) -> Value {
    tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect()
}
