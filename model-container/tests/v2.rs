//! The Open Inference Protocol as its own clients speak it, and as hostile ones do.

#![expect(clippy::unwrap_used, reason = "a step that fails is to end its test")]

#[expect(dead_code, reason = "other tests use the rest of it")]
mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use support::{Container, example};

const SPAM: &str = "WINNER!! Claim your free prize now, call 09061701461";
const INFER: &str = "/v2/models/spam/infer";

/// A response whose body may hold more than JSON.
#[derive(Debug)]
struct Reply {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Reply {
    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn json(&self) -> Value {
        assert_eq!((self.status, self.header("content-type")), (200, Some("application/json")));
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The sentence of an error with this status.
    fn error(&self, status: u16) -> String {
        assert_eq!((self.status, self.header("content-type")), (status, Some("application/json")));
        let body: Value = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(body.as_object().unwrap().len(), 1, "{body}");
        body["error"].as_str().unwrap().to_owned()
    }
}

fn send(container: &Container, method: &str, path: &str, headers: &str, body: &[u8]) -> Reply {
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
         content-length: {length}\r\n{headers}\r\n"
    );
    let mut stream = TcpStream::connect(&container.address).unwrap();
    stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Reply { status, head, body: bytes[end + 4..].to_vec() }
}

fn get(container: &Container, path: &str) -> Reply {
    send(container, "GET", path, "", b"")
}

fn infer(container: &Container, request: &Value) -> Reply {
    send(container, "POST", INFER, "", request.to_string().as_bytes())
}

/// Sends JSON with bytes behind it.
fn infer_binary(container: &Container, request: &Value, binary: &[u8]) -> Reply {
    let json = request.to_string();
    let header = format!("Inference-Header-Content-Length: {}\r\n", json.len());
    send(container, "POST", INFER, &header, &[json.as_bytes(), binary].concat())
}

fn text(data: &Value) -> Value {
    json!({"name": "text", "datatype": "BYTES", "shape": [data.as_array().unwrap().len()], "data": data})
}

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

#[test]
fn the_clients_of_triton_and_kserve_work_unchanged() {
    let spam = Container::start(&example("spam"));
    let python = root(".tools/v2/bin/python");
    assert!(python.exists(), "the clients are missing; run `tests/install-tools v2`");
    let script = root("model-container/tests/v2/clients.py");
    let output = Command::new(python).arg(script).arg(&spam.address).output().unwrap();
    let (out, error) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{error}");
}

#[test]
fn metadata_tells_what_to_send_and_what_comes_back() {
    let spam = Container::start(&example("spam"));
    let server = get(&spam, "/v2").json();
    assert_eq!(server["extensions"], json!(["binary_tensor_data"]));
    let model = get(&spam, "/v2/models/spam").json();
    assert_eq!((&model["name"], &model["platform"]), (&json!("spam"), &json!("gatehouse_weka")));
    assert_eq!(model["inputs"][1], json!({"name": "text", "datatype": "BYTES", "shape": [-1]}));
    assert_eq!(
        model["outputs"][2],
        json!({"name": "scores", "datatype": "FP64", "shape": [-1, 2],
               "parameters": {"labels": r#"["ham","spam"]"#}})
    );
    let version = model["versions"][0].as_str().unwrap();
    assert_eq!(get(&spam, &format!("/v2/models/spam/versions/{version}")).json(), model);
    let path = format!("/v2/models/spam/versions/{version}/ready");
    assert_eq!(get(&spam, &path).json(), json!({"name": "spam", "ready": true}));
    assert_eq!(get(&spam, "/v2/health/ready").json(), json!({"ready": true}));
    assert_eq!(get(&spam, "/v2/health/live").json(), json!({"live": true}));
}

#[test]
fn a_batch_is_scored_as_invocations_scores_it_bit_by_bit() {
    let spam = Container::start(&example("spam"));
    let texts = [SPAM, "see you at home", ""];
    let instances: Vec<_> = texts.iter().map(|text| json!({"text": text})).collect();
    let expected = spam.post("application/json", json!({"instances": instances}).to_string());
    let expected = expected.json()["predictions"].clone();

    let request = json!({"id": "7", "inputs": [text(&json!(texts))]});
    let answer = infer(&spam, &request).json();
    assert_eq!((&answer["id"], &answer["model_name"]), (&json!("7"), &json!("spam")));
    let [label, score, scores] = [0, 1, 2].map(|index| &answer["outputs"][index]);
    assert_eq!((&label["shape"], &scores["shape"]), (&json!([3]), &json!([3, 2])));
    for row in 0..texts.len() {
        assert_eq!(label["data"][row], expected[row]["label"]);
        assert_eq!(score["data"][row], expected[row]["score"]);
        assert_eq!(scores["data"][2 * row], expected[row]["scores"]["ham"]);
        assert_eq!(scores["data"][2 * row + 1], expected[row]["scores"]["spam"]);
    }
}

#[test]
fn a_column_may_be_nested_and_a_missing_field_is_absent() {
    let spam = Container::start(&example("spam"));
    let both = |data: Value| {
        let title = json!({"name": "title", "datatype": "BYTES", "shape": [2, 1], "data": data});
        infer(&spam, &json!({"inputs": [text(&json!(["free prize", "hi"])), title]}))
    };
    let nested = both(json!([["WINNER!!"], ["Claim"]])).json();
    assert_eq!(both(json!(["WINNER!!", "Claim"])).json(), nested);
    let without = infer(&spam, &json!({"inputs": [text(&json!(["free prize", "hi"]))]})).json();
    assert_eq!(both(json!([[null], [null]])).json()["outputs"], without["outputs"]);
    assert_ne!(nested["outputs"], without["outputs"]);
}

#[test]
fn the_outputs_asked_for_come_in_their_order_and_form() {
    let spam = Container::start(&example("spam"));
    let outputs = json!([
        {"name": "scores", "parameters": {"binary_data": true}},
        {"name": "label", "parameters": {"binary_data": false}},
    ]);
    let plain = infer(&spam, &json!({"inputs": [text(&json!([SPAM]))]})).json();
    let request = json!({"inputs": [text(&json!([SPAM]))], "outputs": outputs,
                         "parameters": {"binary_data_output": true}});
    let reply = infer(&spam, &request);
    let length: usize = reply.header("Inference-Header-Content-Length").unwrap().parse().unwrap();
    assert_eq!(reply.header("content-type"), Some("application/octet-stream"));
    let (json, binary) = reply.body.split_at(length);
    let answer: Value = serde_json::from_slice(json).unwrap();
    assert_eq!(answer["outputs"].as_array().unwrap().len(), 2);
    assert_eq!(answer["outputs"][0]["parameters"]["binary_data_size"], 16);
    assert_eq!(answer["outputs"][0].get("data"), None);
    assert_eq!(answer["outputs"][1]["data"], json!(["spam"]));
    let scores: Vec<_> =
        binary.chunks(8).map(|bytes| f64::from_le_bytes(bytes.try_into().unwrap())).collect();
    assert_eq!(json!(scores), plain["outputs"][2]["data"]);
}

#[test]
fn a_request_that_does_not_fit_the_model_is_told_what_would() {
    let spam = Container::start(&example("spam"));
    let error = |request: Value| infer(&spam, &request).error(400);
    let input = |changes: Value| {
        let mut input = text(&json!(["a", "b"]));
        for (key, value) in changes.as_object().unwrap() {
            input[key] = value.clone();
        }
        error(json!({"inputs": [input]}))
    };
    let unknown = input(json!({"name": "body"}));
    assert!(unknown.contains("no input `body`; the model's are `title`, `text`"), "{unknown}");
    assert!(error(json!({"inputs": []})).contains("no inputs; the model's are `title`, `text`"));
    assert!(error(json!({"id": 7})).contains("line 1 column"));
    let twice = json!({"inputs": [text(&json!(["a"])), text(&json!(["a"]))]});
    assert!(error(twice).contains("input `text` is given twice"));
    assert!(input(json!({"shape": [2, 2]})).contains("`text`: its shape is [2, 2], not [n]"));
    assert!(input(json!({"shape": []})).contains("not [n] or [n, 1]"));
    assert!(input(json!({"shape": [-1]})).contains("expected u64"));
    assert!(input(json!({"shape": [3]})).contains("2 elements, and its shape says 3"));
    assert!(input(json!({"data": ["a", 5]})).contains("element 1 is not a string"));
    assert!(input(json!({"data": "ab"})).contains("`text`: its `data`: invalid type"));
    assert!(input(json!({"data": [["a"], ["b"]]})).contains("element 0 is not a string"));
    assert!(input(json!({"data": null})).contains("either `data` or a `binary_data_size`"));
    assert!(input(json!({"datatype": "FP16"})).contains("unknown variant `FP16`"));
    let numbers = input(json!({"datatype": "INT64", "data": [1, 2]}));
    assert!(numbers.contains("input `text` is a text; its datatype must be BYTES"), "{numbers}");
    let title = json!({"name": "title", "datatype": "BYTES", "shape": [1], "data": ["a"]});
    let uneven = error(json!({"inputs": [text(&json!(["a", "b"])), title]}));
    assert!(uneven.contains("input `title` has 1 rows, and the first has 2"), "{uneven}");
    let absent = error(json!({"inputs": [text(&json!(["a", null]))]}));
    assert!(absent.contains("row 1: none of the fields `title`, `text` is present"), "{absent}");
    let outputs =
        |outputs: Value| error(json!({"inputs": [text(&json!(["a"]))], "outputs": outputs}));
    let unknown = outputs(json!([{"name": "spam"}]));
    assert!(unknown.contains("no output `spam`; the outputs are `label`, `score`"), "{unknown}");
    assert!(outputs(json!([{"name": "label"}, {"name": "label"}])).contains("asked for twice"));
    assert_eq!(get(&spam, "/ping").status, 200);
}

#[test]
fn binary_tensors_of_wrong_sizes_are_refused() {
    let spam = Container::start(&example("spam"));
    let request = |size: u64| {
        json!({"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1],
                           "parameters": {"binary_data_size": size}}]})
    };
    let error = |size, binary: &[u8]| infer_binary(&spam, &request(size), binary).error(400);
    assert_eq!(infer_binary(&spam, &request(5), b"\x01\0\0\0a").status, 200);
    assert!(error(6, b"\x01\0\0\0a").contains("is 6, but 5 bytes are left"));
    assert!(error(u64::MAX, b"\x01\0\0\0a").contains("18446744073709551615, but 5 bytes"));
    assert!(error(5, b"\xFF\xFF\xFF\xFFa").contains("its bytes end within element 0"));
    assert!(error(3, b"\x01\0\0").contains("its bytes end within element 0"));
    assert!(error(6, b"\x01\0\0\0ab").contains("1 bytes are left behind its 1 elements"));
    assert!(error(5, b"\x01\0\0\0ab").contains("1 bytes behind the JSON belong to no input"));
    assert!(error(5, b"\x01\0\0\0\xFF").contains("element 0 is not UTF-8"));
    let body = request(5).to_string();
    let sent = |header: &str| {
        let header = format!("inference-header-content-length: {header}\r\n");
        send(&spam, "POST", INFER, &header, body.as_bytes()).error(400)
    };
    assert!(sent("99999").contains("is 99999, but the body has"));
    assert!(sent("99999999999999999999999").contains("must be a number of bytes"));
    assert!(sent("-1").contains("must be a number of bytes"));
    assert!(sent("0").contains("this is no inference request: EOF"));
    let plain = send(&spam, "POST", INFER, "", body.as_bytes()).error(400);
    assert!(plain.contains("is 5, but 0 bytes are left"), "{plain}");
}

#[test]
fn more_rows_than_one_request_may_have_are_refused_by_their_count() {
    let spam = Container::start(&example("spam"));
    let rows = |count| infer(&spam, &json!({"inputs": [text(&json!(vec![""; count]))]}));
    assert!(rows(10_001).error(413).contains("10001"));
    let huge =
        json!({"inputs": [{"name": "text", "datatype": "BYTES", "shape": [u64::MAX], "data": []}]});
    assert!(infer(&spam, &huge).error(413).contains("10000"));
    let lying = json!({"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": vec![0; 10_001]}]});
    assert!(infer(&spam, &lying).error(400).contains("at most 10000 elements"));
    assert_eq!(rows(10_000).json()["outputs"][2]["shape"], json!([10_000, 2]));
    assert_eq!(rows(0).json()["outputs"][2]["shape"], json!([0, 2]));
    let body = "x".repeat(7 << 20);
    assert!(send(&spam, "POST", INFER, "", body.as_bytes()).error(413).contains("6291456"));
}

#[test]
fn what_is_not_there_is_404_and_another_method_405() {
    let spam = Container::start(&example("spam"));
    let missing = get(&spam, "/v2/models/ham").error(404);
    assert!(missing.contains("no model `ham`; this container serves `spam`"), "{missing}");
    let version = send(&spam, "POST", "/v2/models/spam/versions/0/infer", "", b"").error(404);
    assert!(version.contains("model `spam` has no version `0`; it is version `"), "{version}");
    assert!(get(&spam, "/v2/repository/index").error(404).contains("/v2/repository/index"));
    let reply = get(&spam, INFER);
    assert!(reply.error(405).contains("POST"));
    assert_eq!(reply.header("allow"), Some("POST"));
    assert_eq!(send(&spam, "POST", "/v2", "", b"").header("allow"), Some("GET"));
    let zipped = send(&spam, "POST", INFER, "content-encoding: gzip\r\n", b"\x1F\x8B");
    assert!(zipped.error(415).contains("Content-Encoding"));
    assert_eq!(get(&spam, "/v2x").status, 404);
}

#[test]
fn metrics_count_the_protocol_under_two_paths() {
    let spam = Container::start(&example("spam"));
    get(&spam, "/v2/models/anything/at/all");
    infer(&spam, &json!({"inputs": [text(&json!(["a"]))]}));
    let metrics = spam.get("/metrics").body;
    assert!(metrics.contains(r#"path="/v2",status="404""#), "{metrics}");
    assert!(metrics.contains(r#"path="/v2/infer",status="200""#), "{metrics}");
    assert!(!metrics.contains("anything"), "{metrics}");
}
