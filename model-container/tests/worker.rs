//! Worker packages as a client sees them: a container process, its children, bytes.

#![expect(clippy::unwrap_used, reason = "a step that fails is to end its test")]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use support::{Container, example, model_container, run};

const SPAM: &str = "WINNER!! Claim your free prize now, call 09061701461";

fn crate_file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A package with this `model.toml` and these files.
fn package(toml: &str, files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let toml = format!("name = 'test'\nversion = '1'\nruntime = 'worker'\n{toml}");
    for (name, contents) in files.iter().chain(&[("model.toml", toml.as_str())]) {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, contents).unwrap();
    }
    dir
}

/// A package around the worker that does as the text says.
fn echo(options: &str) -> tempfile::TempDir {
    let script = crate_file("tests/worker/worker.py");
    package(&format!("command = ['python3', {script:?}]\nlabels = ['ham', 'spam']\n{options}"), &[])
}

fn ask(container: &Container, text: &str) -> Value {
    container.post("application/json", json!({"text": text}).to_string()).json()
}

fn kill(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

fn runs(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(60), "never so: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_worker_answers_as_any_model_does_and_ping_tells_the_truth_about_it() {
    let dir = echo("[worker]\nprocesses = 1");
    let container = Container::start(dir.path());
    let answer = ask(&container, "1234567890");
    assert_eq!(answer["label"], "ham");
    assert_eq!(answer["scores"], json!({"ham": 0.99, "spam": 0.01}));
    assert_eq!(answer["model"]["version"], "1");
    let lines = container
        .post("application/jsonlines", "{\"text\": \"12345\"}\n{\"text\": \"error no\"}\n");
    let lines: Vec<Value> = lines.body.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(lines[0]["scores"]["spam"], 0.005);
    assert_eq!(lines[1]["error"]["detail"], "model `test` failed: no");

    let pid = ask(&container, "pid")["scores"]["spam"].as_f64().unwrap() as i32;
    kill(pid, Signal::KILL);
    let mut reason = String::new();
    until("ill", || {
        let ping = container.get("/ping");
        reason = ping.body;
        ping.status == 503
    });
    assert!(
        reason.contains("no worker is running: the last one was ended by signal 9"),
        "{reason}"
    );
    assert_eq!(container.get("/livez").status, 200);
    until("well again", || container.get("/ping").status == 200);
    assert_eq!(ask(&container, "12345")["scores"]["spam"], 0.005);
    let metrics = container.get("/metrics").body;
    assert!(metrics.contains("model_container_worker_restarts_total 1\n"), "{metrics}");
}

#[test]
fn failures_have_their_status() {
    let dir = echo("[worker]\nprocesses = 1");
    let container = Container::start(dir.path());
    let post = |text: &str| container.post("application/json", json!({"text": text}).to_string());
    let nan = post("nan").problem(500);
    assert!(nan.contains("model `test`") && nan.contains("NaN"), "{nan}");
    assert!(post("garbage").problem(500).contains("`Loading layer 7 of 12`"));
    assert!(post("die").problem(422).contains("(SHA-256 "));
    assert_eq!(post("12345").json()["scores"]["spam"], 0.005);
}

/// A worker that breaks for good when asked to `break`, and forgets all else over `flood`.
const FRAGILE: &str = r#"
import json, os, sys
for line in sys.stdin:
    request = json.loads(line)
    text = request["input"]["text"]
    while text == "flood":
        print("Loading layer 7 of 12", flush=True)
    if text == "break":
        open("broken", "w").close()
    reply = {"error": "out of order"} if os.path.exists("broken") else {"scores": {"spam": 1, "ham": 0}}
    print(json.dumps({"id": request["id"], **reply}), flush=True)
"#;

fn fragile() -> tempfile::TempDir {
    let toml = "command = ['python3', 'fragile.py']\nlabels = ['ham', 'spam']\n\
                [worker]\nprocesses = 1\n[[canary]]\ninput = { text = 'x' }\nlabel = 'spam'";
    package(toml, &[("fragile.py", FRAGILE)])
}

#[test]
fn a_worker_that_fails_every_call_and_its_canary_too_is_not_well() {
    let dir = fragile();
    let container = Container::start(dir.path());
    let post = |text: &str| container.post("application/json", json!({"text": text}).to_string());
    for _ in 0..5 {
        assert_eq!(container.get("/ping").status, 200);
        assert!(post("break").problem(500).contains("out of order"));
    }
    let mut ping = String::new();
    until("ill", || {
        ping = container.get("/ping").body;
        ping.contains("failed canary 1: out of order")
    });
    assert_eq!(container.get("/ping").status, 503);
}

#[test]
fn a_worker_whose_canary_still_passes_may_fail_as_many_calls_as_it_likes() {
    let dir =
        echo("[worker]\nprocesses = 1\n[[canary]]\ninput = { text = '12345' }\nlabel = 'ham'");
    let container = Container::start(dir.path());
    let pid = ask(&container, "pid");
    for number in 0..12 {
        let call = json!({"text": format!("error {number}")}).to_string();
        container.post("application/json", call).problem(500);
        assert_eq!(container.get("/ping").status, 200);
    }
    assert_eq!(ask(&container, "pid")["scores"], pid["scores"]);
}

#[test]
fn a_worker_that_prints_without_end_is_replaced() {
    let dir = fragile();
    let container = Container::start(dir.path());
    let flood = container.post("application/json", r#"{"text": "flood"}"#).problem(500);
    assert!(flood.contains("`Loading layer 7 of 12`"), "{flood}");
    until("replaced", || {
        container.get("/metrics").body.contains("model_container_worker_restarts_total 1\n")
    });
    until("well again", || container.get("/ping").status == 200);
    assert_eq!(ask(&container, "x")["scores"]["spam"], 1.0);
}

#[test]
fn a_worker_that_is_stopped_while_idle_is_found_out() {
    let dir =
        echo("[worker]\nprocesses = 1\n[[canary]]\ninput = { text = '12345' }\nlabel = 'ham'");
    let container = Container::start(dir.path());
    let pid = ask(&container, "pid")["scores"]["spam"].as_f64().unwrap() as i32;
    kill(pid, Signal::STOP);
    until("killed", || !runs(pid));
    until("well again", || container.get("/ping").status == 200);
    assert_eq!(ask(&container, "12345")["scores"]["spam"], 0.005);
}

#[test]
fn while_all_are_busy_and_the_queue_is_full_ping_is_answered_and_more_is_refused() {
    let dir = echo("[worker]\nprocesses = 1");
    let container = Container::start_with(dir.path(), &["--queue", "1"]);
    thread::scope(|scope| {
        let busy = scope.spawn(|| ask(&container, "sleep 3"));
        thread::sleep(Duration::from_millis(500));
        let waiting = scope.spawn(|| ask(&container, "sleep 0.1"));
        thread::sleep(Duration::from_millis(500));
        assert_eq!(container.get("/ping").status, 200);
        let refused = container.post("application/json", r#"{"text": "x"}"#);
        assert!(refused.problem(503).contains("waiting already"));
        for answer in [busy, waiting] {
            assert_eq!(answer.join().unwrap()["scores"]["spam"], 0.5);
        }
    });
}

#[test]
fn sigterm_ends_the_container_and_its_workers_and_so_does_their_orphanage() {
    for signal in [Signal::TERM, Signal::KILL] {
        let dir = echo("[worker]\nprocesses = 2");
        let mut container = Container::start(dir.path());
        let pid = ask(&container, "pid")["scores"]["spam"].as_f64().unwrap() as i32;
        kill(container.process.id().try_into().unwrap(), signal);
        container.process.wait().unwrap();
        if signal == Signal::TERM {
            assert!(!runs(pid));
        }
        until("ended", || !runs(pid));
    }
}

#[test]
fn a_raw_worker_gets_the_requests_bytes_and_its_answer_is_passed_on() {
    let script = crate_file("tests/worker/worker.py");
    let dir = package(&format!("command = ['python3', {script:?}]\nraw = true"), &[]);
    let container = Container::start(dir.path());
    let answer = container.post("image/x-raw", "any \u{1F37A} bytes");
    assert_eq!((answer.status, answer.content_type.as_str()), (200, "image/x-raw"));
    assert_eq!(answer.body, "any \u{1F37A} bytes");
}

const INFERENCE: &str = r#"
import json

print("loading")


def model_fn(model_dir):
    with open(model_dir + "/words.json") as words:
        return json.load(words)


def input_fn(body, content_type):
    if content_type != "application/json":
        raise ValueError("what is " + content_type + "?")
    return json.loads(body)["text"].split()


def predict_fn(data, model):
    print("predicting")
    return sum(model.get(word, 0) for word in data)


def output_fn(prediction, accept):
    label = "spam" if prediction > 1 else "ham"
    return json.dumps({"label": label, "weight": prediction}), accept
"#;

const SAGEMAKER: &str = "raw = true\ncommand = ['python3', '{sagemaker_inference.py}']\n";

#[test]
fn an_unchanged_inference_script_runs_as_on_sagemaker() {
    let canary = "[[canary]]\ninput = { text = 'win win' }\nlabel = 'spam'";
    let files = [("code/inference.py", INFERENCE), ("words.json", r#"{"win": 1, "wine": 0.5}"#)];
    let dir = package(&format!("{SAGEMAKER}{canary}"), &files);
    let container = Container::start(dir.path());
    let answer = container.post("application/json", r#"{"text": "a wine to win"}"#);
    assert_eq!(answer.content_type, "application/json");
    assert_eq!(answer.json(), json!({"label": "spam", "weight": 1.5}));
    let fault = container.post("text/csv", "1,2").problem(500);
    assert_eq!(fault, "model `test` failed: ValueError: what is text/csv?");
}

#[test]
fn what_an_inference_script_lacks_is_as_in_sagemakers_toolkits() {
    let script = "class Model:\n    def predict(self, rows):\n        \
                  return [sum(row) for row in rows]\n\n\n\
                  def model_fn(model_dir, context):\n    \
                  assert context.system_properties['model_dir'] == model_dir\n    return Model()\n";
    let dir = package(SAGEMAKER, &[("inference.py", script)]);
    let container = Container::start(dir.path());
    let sums = container.post("application/json", "[[1, 2], [3, 4]]").json();
    assert_eq!(sums, json!([3, 7]));
    let answer = container.send(
        b"POST /invocations HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: text/csv\r\n\
          accept: text/csv\r\ncontent-length: 7\r\n\r\n1,2\n3,4",
    );
    assert_eq!((answer.content_type.as_str(), answer.body.as_str()), ("text/csv", "3.0\n7.0\n"));
}

#[test]
fn an_inference_script_may_transform_by_itself_and_answer_with_a_type_of_its_own() {
    let script = "def model_fn(model_dir):\n    return 'model'\n\n\n\
                  def transform_fn(model, body, content_type, accept, context):\n    \
                  return bytes(reversed(body)), 'text/x-' + model\n";
    let dir = package(SAGEMAKER, &[("inference.py", script)]);
    let container = Container::start(dir.path());
    let answer = container.post("application/octet-stream", "abc");
    assert_eq!((answer.content_type.as_str(), answer.body.as_str()), ("text/x-model", "cba"));
}

#[test]
fn a_package_without_a_script_says_which_one_is_missing() {
    let dir = package(SAGEMAKER, &[]);
    let output = run(model_container().args(["check", "--model-dir"]).arg(dir.path()), b"");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(error.contains("neither code/inference.py nor inference.py"), "{error}");
}

/// Where weka.jar is, once `tests/install-tools` has seen to it.
fn weka_jar() -> &'static Path {
    static JAR: OnceLock<PathBuf> = OnceLock::new();
    JAR.get_or_init(|| {
        let root = crate_file("..");
        let tools = root.join("tests/install-tools");
        assert!(Command::new(tools).args(["java", "weka"]).status().unwrap().success());
        root.join(".tools/weka/weka.jar").canonicalize().unwrap()
    })
}

/// A package of a WEKA model that Java runs.
fn weka(model: &Path, labels: &str, more: &str) -> tempfile::TempDir {
    let jar = weka_jar();
    let toml = format!(
        "labels = {labels}\ninput.text = ['title', 'text']\n\
         command = ['java', '-XX:+UnlockDiagnosticVMOptions', '-XX:-UseLibmIntrinsic', '-cp', {jar:?}, \
         '--source', '17', '{{WekaWorker.java}}', 'it.model']\n[worker]\nprocesses = 1\n{more}"
    );
    let dir = package(&toml, &[]);
    std::fs::copy(model, dir.path().join("it.model")).unwrap();
    dir
}

#[test]
fn the_java_worker_scores_with_the_bits_of_the_native_reader() {
    let canary = format!("[[canary]]\ninput = {{ text = '{SPAM}' }}\nlabel = 'spam'");
    let dir = weka(&example("spam").join("spam.model"), "['ham', 'spam']", &canary);
    let lines = std::fs::read(crate_file("../examples/content/reviews.jsonl")).unwrap();
    let reviews = String::from_utf8(lines).unwrap();
    let fields = reviews.lines().map(|line| {
        let review: Value = serde_json::from_str(line).unwrap();
        format!("{}\n", review.get("fields").unwrap_or(&review))
    });
    let input: String = fields.collect();
    let score = |dir: &Path| {
        let output =
            run(model_container().args(["score", "--model-dir"]).arg(dir), input.as_bytes());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let lines = String::from_utf8(output.stdout).unwrap();
        let scores =
            lines.lines().map(|l| serde_json::from_str::<Value>(l).unwrap()["scores"].clone());
        scores.collect::<Vec<_>>()
    };
    let java = score(dir.path());
    assert!(java.len() > 20);
    assert_eq!(java, score(&example("spam")));
}

#[test]
fn the_java_worker_runs_a_classifier_that_the_native_reader_refuses() {
    let model = crate_file("tests/worker/forest.model");
    let native = tempfile::tempdir().unwrap();
    std::fs::copy(&model, native.path().join("forest.model")).unwrap();
    let refused = run(model_container().args(["check", "--model-dir"]).arg(native.path()), b"");
    assert!(!refused.status.success());

    let dir = weka(&model, "['clean', 'ad']", "");
    let container = Container::start(dir.path());
    let expected =
        std::fs::read_to_string(crate_file("tests/worker/forest.expected.jsonl")).unwrap();
    for line in expected.lines() {
        let expected: Value = serde_json::from_str(line).unwrap();
        let answer = ask(&container, expected["text"].as_str().unwrap());
        assert_eq!(answer["scores"], expected["scores"], "{line}");
    }
}
