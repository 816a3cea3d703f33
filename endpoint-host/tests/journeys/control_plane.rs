//! The control plane: what is created, described, listed and deleted, and what is refused.

use std::fs::File;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::host::Host;

fn model(host: &Host, name: &str) -> Value {
    let container =
        json!({"Image": "gatehouse/model-container:1", "ModelDataUrl": host.model_url()});
    json!({"ModelName": name, "PrimaryContainer": container})
}

fn endpoint_config(name: &str, model: &str) -> Value {
    let size = json!({"MemorySizeInMB": 2048, "MaxConcurrency": 20});
    let variant = json!({"VariantName": "all", "ModelName": model, "ServerlessConfig": size});
    json!({"EndpointConfigName": name, "ProductionVariants": [variant]})
}

#[tokio::test]
async fn what_is_created_is_described_and_then_deleted() {
    let host = Host::start().await;
    let mut request = model(&host, "spam");
    request["ExecutionRoleArn"] = json!("arn:aws:iam::000000000000:role/any");
    request["Tags"] = json!([{"Key": "team", "Value": "trust"}]);
    let created = host.control("CreateModel", request).await.expect_status(200);
    assert_eq!(created.body["ModelArn"], "arn:aws:sagemaker:us-east-1:000000000000:model/spam");
    let found = host.control("DescribeModel", json!({"ModelName": "spam"})).await.body;
    assert_eq!(found["PrimaryContainer"]["ModelDataUrl"], host.model_url());
    assert!(found["CreationTime"].as_f64().unwrap() > 1.7e9);
    let config = endpoint_config("spam", "spam");
    host.control("CreateEndpointConfig", config).await.expect_status(200);
    let found = host.control("DescribeEndpointConfig", json!({"EndpointConfigName": "spam"})).await;
    let size = &found.body["ProductionVariants"][0]["ServerlessConfig"];
    assert_eq!(*size, json!({"MemorySizeInMB": 2048, "MaxConcurrency": 20}));
    for (kind, key) in [("EndpointConfig", "EndpointConfigName"), ("Model", "ModelName")] {
        let name = json!({key: "spam"});
        let deleted = host.control(&format!("Delete{kind}"), name.clone()).await;
        assert_eq!(deleted.expect_status(200).body, Value::Null);
        let gone = host.control(&format!("Describe{kind}"), name.clone()).await;
        gone.expect_status(400).expect_error("ValidationException", "Could not find");
        let again = host.control(&format!("Delete{kind}"), name).await;
        again.expect_error("ValidationException", "Could not find");
    }
    host.stop().await;
}

#[tokio::test]
async fn an_endpoint_outlives_the_model_and_configuration_it_was_made_from() {
    let host = Host::start().await;
    host.deploy("spam", 7).await;
    let config = json!({"EndpointConfigName": "spam"});
    host.control("DeleteEndpointConfig", config).await.expect_status(200);
    host.control("DeleteModel", json!({"ModelName": "spam"})).await.expect_status(200);
    host.pid("spam").await;
    let found = host.control("DescribeEndpoint", json!({"EndpointName": "spam"})).await.body;
    let variant = &found["ProductionVariants"][0];
    assert_eq!(variant["CurrentServerlessConfig"]["MaxConcurrency"], 7);
    host.stop().await;
}

#[tokio::test]
async fn names_that_are_taken_and_references_that_lead_nowhere_are_refused_in_awss_words() {
    let host = Host::start().await;
    host.deploy("spam", 5).await;
    let endpoint = json!({"EndpointName": "spam", "EndpointConfigName": "spam"});
    for (operation, body, words) in [
        ("CreateModel", model(&host, "spam"), "Cannot create already existing model"),
        (
            "CreateEndpointConfig",
            endpoint_config("spam", "spam"),
            "Cannot create already existing endpoint configuration",
        ),
        ("CreateEndpoint", endpoint, "Cannot create already existing endpoint"),
        ("CreateEndpointConfig", endpoint_config("ham", "ham"), "Could not find model"),
        (
            "CreateEndpoint",
            json!({"EndpointName": "ham", "EndpointConfigName": "ham"}),
            "Could not find endpoint configuration",
        ),
        ("DeleteEndpoint", json!({"EndpointName": "ham"}), "Could not find endpoint"),
    ] {
        let answer = host.control(operation, body).await.expect_status(400);
        answer.expect_error("ValidationException", words);
    }
    host.stop().await;
}

#[tokio::test]
async fn fields_that_would_change_what_happens_are_refused_by_name() {
    let host = Host::start().await;
    host.control("CreateModel", model(&host, "spam")).await.expect_status(200);
    let with = |mut request: Value, pointer: &str, field: &str, value: Value| {
        request.pointer_mut(pointer).unwrap()[field] = value;
        request
    };
    let (a_model, config) = (model(&host, "other"), endpoint_config("c", "spam"));
    let variants = json!([config["ProductionVariants"][0], config["ProductionVariants"][0]]);
    let variant = "/ProductionVariants/0";
    for (operation, request, words) in [
        (
            "CreateModel",
            with(a_model.clone(), "", "VpcConfig", json!({"Subnets": []})),
            "VpcConfig",
        ),
        ("CreateModel", with(a_model.clone(), "", "Containers", json!([])), "Containers"),
        ("CreateModel", with(a_model.clone(), "", "Typo", json!(1)), "`Typo`"),
        (
            "CreateModel",
            with(a_model, "/PrimaryContainer", "Mode", json!("MultiModel")),
            "primaryContainer.Mode",
        ),
        (
            "CreateEndpointConfig",
            with(config.clone(), "", "DataCaptureConfig", json!({})),
            "do not capture data",
        ),
        (
            "CreateEndpointConfig",
            with(config.clone(), variant, "InstanceType", json!("ml.m5.large")),
            "InstanceType",
        ),
        (
            "CreateEndpointConfig",
            with(config, "", "ProductionVariants", variants),
            "exactly one variant",
        ),
    ] {
        let answer = host.control(operation, request).await.expect_status(400);
        answer.expect_error("ValidationException", words);
    }
    host.stop().await;
}

#[tokio::test]
async fn models_that_the_host_may_not_read_or_run_are_refused() {
    let host = Host::start().await;
    for (url, image, environment, words) in [
        ("file:///etc", "gatehouse/model-container", json!({}), "outside the model roots"),
        (&host.model_url(), "nginx:latest", json!({}), "image `nginx:latest` is not known"),
        (&host.model_url(), "gatehouse/model-container", json!({"LD_PRELOAD": "x"}), "LD_PRELOAD"),
        (&host.model_url(), "gatehouse/model-container", json!({"LIFELINE": "1"}), "sets this"),
    ] {
        let container = json!({"Image": image, "ModelDataUrl": url, "Environment": environment});
        let request = json!({"ModelName": "m", "PrimaryContainer": container});
        let answer = host.control("CreateModel", request).await.expect_status(400);
        answer.expect_error("ValidationException", words);
    }
    host.stop().await;
}

#[tokio::test]
async fn an_archive_is_unpacked_for_the_endpoint() {
    let host = Host::start().await;
    let path = host.data.path().join("model.tar.gz");
    let gzip = GzEncoder::new(File::create(&path).unwrap(), Compression::fast());
    let mut archive = tar::Builder::new(gzip);
    archive.append_dir_all(".", host.data.path().join("model")).unwrap();
    archive.into_inner().unwrap().finish().unwrap();
    let mut request = model(&host, "spam");
    request["PrimaryContainer"]["ModelDataUrl"] = format!("file://{}", path.display()).into();
    host.control("CreateModel", request).await.expect_status(200);
    host.control("CreateEndpointConfig", endpoint_config("spam", "spam")).await.expect_status(200);
    let endpoint = json!({"EndpointName": "spam", "EndpointConfigName": "spam"});
    host.control("CreateEndpoint", endpoint).await.expect_status(200);
    assert_eq!(host.settled("spam").await["EndpointStatus"], "InService");
    let answer = host.invoke("spam", "hello").await.expect_status(200);
    assert_eq!(answer.body["model"], json!(["model.toml"]));
    host.stop().await;
}

#[tokio::test]
async fn lists_are_newest_first_by_part_of_the_name_and_in_pages() {
    let host = Host::start().await;
    for name in ["spam-1", "ham", "spam-2", "spam-3"] {
        host.control("CreateModel", model(&host, name)).await.expect_status(200);
    }
    let query = json!({"NameContains": "spam", "MaxResults": 2});
    let first = host.control("ListModels", query.clone()).await.expect_status(200).body;
    let names = |page: &Value| -> Vec<String> {
        let models = page["Models"].as_array().unwrap();
        models.iter().map(|model| model["ModelName"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&first), ["spam-3", "spam-2"]);
    let mut next = query;
    next["NextToken"] = first["NextToken"].clone();
    let second = host.control("ListModels", next).await.body;
    assert_eq!(names(&second), ["spam-1"]);
    assert_eq!(second["NextToken"], Value::Null);
    let refused = host.control("ListModels", json!({"SortBy": "Size"})).await;
    refused.expect_error("ValidationException", "enum value set: [Name, CreationTime]");
    let refused = host.control("ListModels", json!({"MaxResults": 101})).await;
    refused.expect_error("ValidationException", "maxResults");
    host.stop().await;
}

#[tokio::test]
async fn unknown_operations_and_unreadable_bodies_are_told_apart() {
    let host = Host::start().await;
    let unknown = host.control("CreateTrainingJob", json!({})).await.expect_status(400);
    unknown.expect_error("UnknownOperationException", "CreateTrainingJob");
    let target = [("x-amz-target", "SageMaker.ListModels".to_owned())];
    for body in ["{", "[]", "{\"MaxResults\": \"two\"}"] {
        let answer = host.post("/", &target, body).await.expect_status(400);
        answer.expect_error("SerializationException", "");
    }
    host.post("/", &[], "{}").await.expect_error("UnknownOperationException", "");
    let huge = vec![b' '; 2 * 1024 * 1024];
    host.post("/", &target, huge).await.expect_error("SerializationException", "1 MiB");
    host.stop().await;
}

#[tokio::test]
async fn what_aws_leaves_out_is_refused_unless_the_host_goes_beyond_it() {
    let host = Host::start().await;
    host.control("CreateModel", model(&host, "m")).await.expect_status(200);
    for (name, request) in beyond_aws(&host) {
        let refused = host.control("CreateEndpointConfig", request).await.expect_status(400);
        refused.expect_error("ValidationException", "--beyond-aws");
        let missing = host.control("DescribeEndpointConfig", json!({"EndpointConfigName": name}));
        missing.await.expect_error("ValidationException", "Could not find");
    }
    host.stop().await;
    let beyond = |config: &mut endpoint_host::Config| config.beyond_aws = true;
    let host = Host::start_in_with(tempfile::tempdir().unwrap(), beyond).await;
    host.control("CreateModel", model(&host, "m")).await.expect_status(200);
    for (name, request) in beyond_aws(&host) {
        host.control("CreateEndpointConfig", request.clone()).await.expect_status(200);
        let name = json!({"EndpointConfigName": name});
        let found = host.control("DescribeEndpointConfig", name).await.expect_status(200).body;
        for (field, value) in request.as_object().unwrap() {
            assert_eq!(found[field], *value);
        }
    }
    host.control("CreateEndpoint", json!({"EndpointName": "e", "EndpointConfigName": "capture"}))
        .await
        .expect_status(200);
    let endpoint = host.settled("e").await;
    let capture = &endpoint["DataCaptureConfig"];
    assert_eq!(capture["CaptureStatus"], "Started", "{endpoint}");
    assert_eq!(capture["CurrentSamplingPercentage"], 25);
    host.stop().await;
}

/// A configuration of each kind that AWS refuses for serverless endpoints.
fn beyond_aws(host: &Host) -> [(&'static str, Value); 3] {
    let variant = |name: &str, weight: f64| {
        let mut variant = endpoint_config("c", "m")["ProductionVariants"][0].clone();
        variant["VariantName"] = name.into();
        variant["InitialVariantWeight"] = weight.into();
        variant
    };
    let with = |name: &str, more: Value| {
        let mut config =
            json!({"EndpointConfigName": name, "ProductionVariants": [variant("a", 1.0)]});
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        config
    };
    let capture = json!({
        "EnableCapture": true,
        "InitialSamplingPercentage": 25,
        "DestinationS3Uri": host.model_url(),
        "CaptureOptions": [{"CaptureMode": "InputAndOutput"}],
        "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"], "JsonContentTypes": ["application/json"]},
    });
    [
        ("capture", with("capture", json!({"DataCaptureConfig": capture}))),
        ("shadow", with("shadow", json!({"ShadowProductionVariants": [variant("b", 0.5)]}))),
        ("two", with("two", json!({"ProductionVariants": [variant("a", 3.0), variant("b", 1.0)]}))),
    ]
}

#[tokio::test]
async fn what_is_to_be_captured_is_read_as_sagemaker_has_it() {
    let beyond = |config: &mut endpoint_host::Config| config.beyond_aws = true;
    let host = Host::start_in_with(tempfile::tempdir().unwrap(), beyond).await;
    host.control("CreateModel", model(&host, "m")).await.expect_status(200);
    let [(_, good), ..] = beyond_aws(&host);
    let eleven: Vec<_> = (0..11).map(|n| format!("text/t{n}")).collect();
    for (pointer, value, words) in [
        ("/InitialSamplingPercentage", json!(101), "less than or equal to 100"),
        ("/InitialSamplingPercentage", Value::Null, "initialSamplingPercentage"),
        ("/DestinationS3Uri", json!("ftp://x"), "(https|s3)://"),
        ("/DestinationS3Uri", json!("s3://"), "(https|s3)://"),
        ("/DestinationS3Uri", json!("file:///etc"), "DestinationS3Uri `file:///etc` is outside"),
        ("/CaptureOptions", json!([]), "captureOptions"),
        ("/CaptureOptions/0/CaptureMode", json!("Both"), "[Input, Output, InputAndOutput]"),
        ("/CaptureContentTypeHeader/CsvContentTypes", json!(eleven), "less than or equal to 10"),
        ("/CaptureContentTypeHeader/JsonContentTypes", json!(["json"]), "regular expression"),
    ] {
        let mut bad = good.clone();
        *bad["DataCaptureConfig"].pointer_mut(pointer).unwrap() = value;
        let refused = host.control("CreateEndpointConfig", bad).await.expect_status(400);
        refused.expect_error("ValidationException", words);
    }
    host.stop().await;
}

#[tokio::test]
async fn a_host_for_aws_alone_takes_no_addresses_that_aws_does_not_know() {
    let strict = |config: &mut endpoint_host::Config| {
        config.aws_only = true;
        config.beyond_aws = true;
        config.images.push("own/image=/bin/false".parse().unwrap());
    };
    let host = Host::start_in_with(tempfile::tempdir().unwrap(), strict).await;
    let mut own = model(&host, "m");
    own["PrimaryContainer"]["Image"] = "own/image".into();
    let refused = host.control("CreateModel", own).await.expect_status(400);
    refused.expect_error("ValidationException", "pattern: (https|s3)://");
    let [(_, capture), ..] = beyond_aws(&host);
    let refused = host.control("CreateEndpointConfig", capture).await.expect_status(400);
    refused.expect_error("ValidationException", "at 'dataCaptureConfig.destinationS3Uri'");
    host.stop().await;
}

#[tokio::test]
async fn provisioned_concurrency_is_part_of_a_size() {
    let host = Host::start().await;
    host.control("CreateModel", model(&host, "m")).await.expect_status(200);
    let mut config = endpoint_config("c", "m");
    let size = "/ProductionVariants/0/ServerlessConfig/ProvisionedConcurrency";
    config["ProductionVariants"][0]["ServerlessConfig"]["ProvisionedConcurrency"] = json!(21);
    let refused = host.control("CreateEndpointConfig", config.clone()).await;
    refused.expect_error("ValidationException", "less than or equal to MaxConcurrency 20");
    *config.pointer_mut(size).unwrap() = json!(2);
    host.control("CreateEndpointConfig", config).await.expect_status(200);
    let found = host.control("DescribeEndpointConfig", json!({"EndpointConfigName": "c"})).await;
    assert_eq!(*found.body.pointer(size).unwrap(), 2);
    host.stop().await;
}
