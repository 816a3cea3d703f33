use super::*;

fn fault(text: &str) -> String {
    ModelDocument::parse(text).unwrap_err().detail
}

#[test]
fn an_arn_gives_region_and_name() {
    let arn = "arn:aws:sagemaker:eu-west-1:123456789012:endpoint/spam-3".to_owned();
    let endpoint = SageMakerEndpoint::try_from(arn).unwrap();
    assert_eq!((endpoint.name.as_str(), endpoint.region.as_deref()), ("spam-3", Some("eu-west-1")));
}

#[test]
fn what_is_no_endpoint_is_refused_with_its_path() {
    for bad in ["", "-a", "a_b", "a/b", "arn:aws:s3:::x", "arn:aws:sagemaker:x:1:endpoint/a"] {
        let fault = fault(&format!(r#"{{"endpoint": {{"sagemaker": "{bad}"}}}}"#));
        assert!(fault.starts_with("endpoint.sagemaker: "), "{bad}: {fault}");
    }
}

#[test]
fn a_model_answers_at_one_place() {
    let http = ModelDocument::parse(r#"{"endpoint": {"http": "https://x/y"}}"#).unwrap();
    assert!(matches!(http.endpoint, Endpoint::Http(url) if url.uri() == "https://x/y"));
    let both = r#"{"endpoint": {"sagemaker": "a", "http": "http://x"}}"#;
    for text in [both, r#"{"endpoint": {}}"#, r#"{"endpoint": {"http": null}}"#] {
        let fault = fault(text);
        assert!(fault.starts_with("endpoint: must have either"), "{fault}");
    }
    let fault = fault(r#"{"endpoint": {"http": "http://me:secret@x"}}"#);
    assert!(fault.starts_with("endpoint.http: must not hold"), "{fault}");
    assert!(!fault.contains("secret"), "{fault}");
}

#[test]
fn what_is_not_honoured_is_refused_by_name() {
    let with = |rest: &str| fault(&format!(r#"{{"endpoint": {{"sagemaker": "a"}}, {rest}}}"#));
    assert!(with(r#""protocol": "v1""#).starts_with("protocol: unknown variant `v1`"));
    let role = r#"{"endpoint": {"sagemaker": "a", "role_arn": "arn:aws:iam::1:role/x"}}"#;
    assert_eq!(fault(role), "endpoint.role_arn: not supported yet");
    assert!(with(r#""stage": "canary""#).starts_with("stage: unknown variant `canary`"));
}

#[test]
fn labels_are_some_and_differ() {
    let with = |rest: &str| fault(&format!(r#"{{"endpoint": {{"sagemaker": "a"}}, {rest}}}"#));
    assert!(with(r#""labels": []"#).starts_with("labels: must be from 1"));
    assert!(with(r#""labels": ["a", "b", "a"]"#).starts_with("labels: `a` stands twice"));
    assert!(with(r#""labels": ["ham", ""]"#).starts_with("labels[1]: must be from 1"));
}

#[test]
fn numbers_out_of_range_are_refused_with_their_path() {
    let with = |rest: &str| fault(&format!(r#"{{"endpoint": {{"sagemaker": "a"}}, {rest}}}"#));
    assert!(with(r#""cost": 0"#).starts_with("cost: must be greater than 0"));
    assert!(with(r#""cost": -1"#).starts_with("cost: must be greater than 0"));
    assert!(with(r#""timeout_ms": 0"#).starts_with("timeout_ms: must be from 1"));
    assert!(with(r#""max_concurrency": 0"#).starts_with("max_concurrency: must be from 1"));
    assert!(with(r#""inputs": ["author"]"#).starts_with("inputs[0]: unknown variant"));
    assert!(with(r#""colour": 1"#).contains("unknown field `colour`"));
}

#[test]
fn a_v2_url_is_the_whole_one() {
    let with = |url: &str| {
        ModelDocument::parse(&format!(r#"{{"endpoint": {{"http": "{url}"}}, "protocol": "v2"}}"#))
    };
    for base in ["http://k", "http://k/v2", "http://k/v2/", "http://k/x/v2/models/spam"] {
        let fault = with(base).unwrap_err().detail;
        assert!(fault.starts_with("endpoint.http: must be the whole URL"), "{base}: {fault}");
    }
    for whole in ["http://k/v2/models/spam/infer", "http://k/invocations", "http://k/spam"] {
        assert!(with(whole).is_ok(), "{whole}");
    }
}

#[test]
fn a_tensor_has_a_shape_in_the_v2_protocol_alone() {
    let with = |rest: &str| format!(r#"{{"endpoint": {{"sagemaker": "a"}}, {rest}}}"#);
    let sending = |rest: &str| ModelDocument::parse(&with(rest)).unwrap().sending();
    let batch = sending(r#""protocol": "v2", "tensor_shape": [1, 1]"#);
    assert_eq!(batch.writing, Writing::Tensors(TensorShape::Batch));
    assert_eq!(sending(r#""protocol": "v2""#).writing, Writing::Tensors(TensorShape::Value));
    let odd = fault(&with(r#""protocol": "v2", "tensor_shape": [2]"#));
    assert!(odd.starts_with("tensor_shape: must be [1] or [1, 1]"), "{odd}");
    let alone = fault(&with(r#""tensor_shape": [1]"#));
    assert_eq!(alone, "tensor_shape: is only for the protocol `v2`");
}

#[test]
fn fields_are_some_and_differ() {
    let with = |rest: &str| fault(&format!(r#"{{"endpoint": {{"sagemaker": "a"}}, {rest}}}"#));
    assert!(with(r#""fields": []"#).starts_with("fields: must be from 1 to 100"));
    assert!(with(r#""fields": [""]"#).starts_with("fields: must be from 1 to 100"));
    assert!(with(r#""fields": ["text", "text"]"#).starts_with("fields: `text` stands twice"));
}

#[test]
fn places_of_scores_are_checked_when_they_are_written() {
    let with = |rest: &str| fault(&format!(r#"{{"endpoint": {{"sagemaker": "a"}}, {rest}}}"#));
    let long = format!(r#""scores": {{"spam": "/{}"}}"#, "x".repeat(500));
    for (rest, start) in [
        (r#""scores": {}"#, "scores: must have from 1 to 1000 labels"),
        (r#""scores": {"": "/p"}"#, "scores: a label must be from 1 to 200 bytes"),
        (r#""scores": {"spam": "p"}"#, "scores.spam: must be a JSON Pointer such as"),
        (r#""scores": {"spam": "/a~2"}"#, "scores.spam: must write `~`"),
        (r#""scores": {"spam": "/a~"}"#, "scores.spam: must write `~`"),
        (r#""scores": {"spam": 1}"#, "scores.spam: invalid type"),
        (r#""scores": {"spam": "/a", "spam": "/b"}"#, "scores: `spam` stands twice"),
        (r#""scores": [["spam", "/a"]]"#, "scores: invalid type"),
        (&long, "scores.spam: a pointer has 500 bytes at most"),
        (r#""labels": ["ham"], "scores": {"spam": "/a"}"#, "scores: `spam` is none of `labels`"),
        (r#""labels": ["ham", "spam"], "scores": {"spam": "/a"}"#, "scores: lacks the label `ham`"),
    ] {
        let fault = with(rest);
        assert!(fault.starts_with(start), "{rest}: {fault}");
    }
}

#[test]
fn the_labels_of_a_model_are_those_that_have_a_place() {
    let text = r#"{"endpoint": {"sagemaker": "a"}, "scores": {"spam": "/a~1b/0", "all": ""}}"#;
    let document = ModelDocument::parse(text).unwrap();
    assert_eq!(document.labels.unwrap().iter().collect::<Vec<_>>(), ["all", "spam"]);
}

#[test]
fn another_way_to_ask_or_to_read_gives_other_scores() {
    let with = |rest: &str| {
        let text = format!(r#"{{"endpoint": {{"sagemaker": "a"}}{rest}}}"#);
        ModelDocument::parse(&text).unwrap()
    };
    let scores_as = |one: &str, other: &str| with(one).scoring() == with(other).scoring();
    let v2 = r#", "protocol": "v2", "labels": ["a", "b"]"#;
    assert!(scores_as("", r#", "labels": ["a"], "timeout_ms": 5"#));
    assert!(scores_as(v2, v2));
    assert!(!scores_as(v2, r#", "protocol": "v2", "labels": ["b", "a"]"#));
    for other in [v2, r#", "scores": {"a": "/a"}"#, r#", "fields": ["text"]"#] {
        assert!(!scores_as("", other), "{other}");
    }
    assert!(!scores_as(r#", "scores": {"a": "/a"}"#, r#", "scores": {"a": "/b"}"#));
}

#[test]
fn scores_depend_on_who_is_asked_and_for_what_and_on_nothing_else() {
    let scoring = |rest: &str| ModelDocument::parse(&format!("{{{rest}}}")).unwrap().scoring();
    let spam = r#""endpoint": {"sagemaker": "spam"}"#;
    let same = r#""version": "8", "timeout_ms": 9, "max_concurrency": 1, "cost": 2,
                  "labels": ["x"], "inputs": [], "enabled": false, "stage": "shadow""#;
    assert_eq!(scoring(&format!("{spam}, {same}")), scoring(spam));
    // As written into decisions that are to be made again by later routers.
    assert_eq!(serde_json::to_value(scoring(spam)).unwrap(), "7599eb020e7a0551");
    for other in [
        r#""endpoint": {"sagemaker": "ham"}"#,
        r#""endpoint": {"sagemaker": "arn:aws:sagemaker:x:123456789012:endpoint/spam"}"#,
        r#""endpoint": {"http": "http://spam"}"#,
        r#""endpoint": {"sagemaker": "spam"}, "inputs": ["rating"]"#,
        r#""endpoint": {"sagemaker": "spam"}, "fields": ["text"]"#,
        r#""endpoint": {"sagemaker": "spam"}, "protocol": "v2""#,
        r#""endpoint": {"sagemaker": "spam"}, "scores": {"spam": "/x"}"#,
    ] {
        assert_ne!(scoring(other), scoring(spam), "{other}");
    }
}
