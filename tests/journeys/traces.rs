//! What a router tells of its verdicts besides answering: traces for a collector, and its log.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::thread;

use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::collector::{Collector, attributes, hex};
use crate::support::{Server, gatehouse, send};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const LATER: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "00f067aa0ba902b7";
const TEXT: &str = "nobody else's business";

/// A router, on a folder with its database and what it logs.
struct Router {
    server: Server,
    url: String,
    folder: TempDir,
}

impl Router {
    /// Two models for one client: `spam` answers, `hate` is not there.
    fn start(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = gatehouse();
        command.args(["router", "--listen", "127.0.0.1:0", "--allow-net", "127.0.0.0/8"]);
        command.args(["--sagemaker-endpoint-url", "http://127.0.0.1:9"]);
        command.arg("--database").arg(format!("sqlite://{}/a.db", folder.path().display()));
        command.arg("--spool").arg(folder.path().join("spool")).args(arguments);
        clear(&mut command).envs(environment.iter().copied());
        command.stderr(File::create(folder.path().join("log")).unwrap());
        let mut server = Server::start(&mut command);
        let url = server.line("router listening on ");
        let router = Self { server, url, folder };
        router.put("models/spam", &json!({"endpoint": {"http": model()}, "digest": digest()}));
        router.put("models/hate", &json!({"endpoint": {"http": "http://127.0.0.1:9/hate?key=k"}}));
        let rule = |model| json!({"model": model, "label": model, "review_at": 0.5});
        let rules = json!({"spam": rule("spam"), "hate": rule("hate")});
        router.put("scopes/platform", &json!({"rules": rules}));
        router.put("scopes/client/shop", &json!({}));
        router
    }

    fn put(&self, subject: &str, document: &Value) {
        let headers = [("content-type", "application/json"), ("if-none-match", "*")];
        let path = format!("/v1/{subject}");
        let answer = send(&self.url, "PUT", &path, &headers, document.to_string());
        assert_eq!(answer.status, 201, "{answer:?}");
    }

    fn moderate(&self, traceparent: &str) -> Value {
        let content = json!({"client": "shop", "content_id": "r-1", "fields": {"text": TEXT}});
        let headers = [("content-type", "application/json"), ("traceparent", traceparent)];
        let answer = send(&self.url, "POST", "/v1/moderate", &headers, content.to_string());
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    /// Stops it, and returns all that it has logged.
    fn stop(self) -> String {
        drop(self.server);
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }
}

/// Takes out what the tests' own surroundings say.
fn clear(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("OTEL_")) {
        command.env_remove(name);
    }
    command.env_remove("GATEHOUSE_LOG_FORMAT").env("RUST_LOG", "info")
}

/// A model that answers all that it is asked.
fn model() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/spam", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let (mut request, mut piece) = (Vec::new(), [0; 4096]);
            // The payload is an object, and ends as nothing in the head does.
            while !request.ends_with(b"}") {
                let read = stream.read(&mut piece).unwrap();
                request.extend_from_slice(&piece[..read]);
            }
            let model = json!({"version": "7", "digest": digest()});
            let body = json!({"scores": {"spam": 0.25}, "model": model}).to_string();
            let length = body.len();
            let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}");
            stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).unwrap();
        }
    });
    url
}

fn digest() -> String {
    format!("sha256:{}", "7".repeat(64))
}

fn named<'s>(spans: &'s [Span], name: &str) -> &'s Span {
    let mut found = spans.iter().filter(|span| span.name == name);
    let span = found.next().unwrap_or_else(|| panic!("no {name} in {spans:?}"));
    assert_eq!(found.count(), 0, "{spans:?}");
    span
}

#[test]
fn a_verdict_is_a_span_of_its_callers_trace_with_one_child_for_each_call() {
    let collector = Collector::start();
    let router = Router::start(
        &[],
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url),
            ("OTEL_EXPORTER_OTLP_HEADERS", "dd-api-key=very-secret"),
            ("OTEL_SERVICE_NAME", "moderation"),
            ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test"),
        ],
    );
    let verdict = router.moderate(&format!("00-{TRACE}-{CALLER}-01"));
    // The caller's trace is not to be kept, by its own word.
    router.moderate(&format!("00-{}-{CALLER}-00", "1".repeat(32)));
    // The same content again: one of its scores is known by now.
    router.moderate(&format!("00-{LATER}-{CALLER}-01"));
    let log = router.stop();

    let all = collector.spans();
    let of = |trace| all.iter().filter(move |span| hex(&span.trace_id) == trace).cloned();
    let known = of(LATER).find(|span| span.name == "ask spam").unwrap();
    let known = attributes(&known.attributes);
    assert_eq!((&*known["gatehouse.status"], &*known["gatehouse.cached"]), ("cached", "true"));
    let spans: Vec<_> = of(TRACE).collect();
    assert_eq!(all.len() - of(LATER).count(), spans.len(), "{all:?}");
    assert_eq!(spans.len(), 3, "{spans:?}");
    let review = named(&spans, "POST /v1/moderate");
    assert_eq!((hex(&review.parent_span_id), review.kind), (CALLER.to_owned(), server()));
    let said = attributes(&review.attributes);
    assert_eq!(said["gatehouse.decision_id"], verdict["decision_id"].as_str().unwrap());
    let rest = ["client", "decision", "degraded", "policy_version"];
    let rest = rest.map(|name| said[&format!("gatehouse.{name}")].as_str());
    assert_eq!(rest, ["shop", "review", "true", "4"]);

    let [spam, hate] = ["ask spam", "ask hate"].map(|name| named(&spans, name));
    for call in [spam, hate] {
        assert_eq!((&call.parent_span_id, call.kind), (&review.span_id, SpanKind::Client as i32));
        assert!(review.start_time_unix_nano <= call.start_time_unix_nano, "{spans:?}");
        assert!(call.start_time_unix_nano <= call.end_time_unix_nano, "{spans:?}");
        assert!(call.end_time_unix_nano <= review.end_time_unix_nano, "{spans:?}");
    }
    let (said, failed) = (attributes(&spam.attributes), attributes(&hate.attributes));
    assert_eq!(said["gatehouse.model"], "spam");
    assert_eq!((&*said["gatehouse.status"], &*said["gatehouse.cached"]), ("ok", "false"));
    assert_eq!(said["gatehouse.model.version"], "7");
    assert_eq!(failed["gatehouse.endpoint"], "http://127.0.0.1:9/hate");
    assert_eq!((&*failed["gatehouse.status"], &*failed["error.type"]), ("failed", "failed"));
    let fault = hate.status.clone().unwrap().message;
    assert!(fault.contains("refused"), "{fault}");

    let (head, origin) = &collector.origins()[0];
    assert!(head.starts_with("post /v1/traces http/1.1\r\n"), "{head}");
    assert!(head.contains("\r\ndd-api-key: very-secret\r\n"), "{head}");
    assert_eq!(origin["service.name"], "moderation");
    assert_eq!(origin["deployment.environment.name"], "test");
    assert!(!log.contains("very-secret") && !log.contains(TEXT), "{log}");
}

fn server() -> i32 {
    SpanKind::Server as i32
}

#[test]
fn a_collector_that_is_away_or_cannot_be_meant_harms_no_verdict() {
    for (endpoint, told) in [
        ("http://127.0.0.1:9", "the collector takes no spans"),
        ("127.0.0.1:4317", "verdicts are not traced"),
    ] {
        let router = Router::start(&[], &[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", endpoint)]);
        assert_eq!(router.moderate("no trace at all")["decision"], "review");
        let log = router.stop();
        assert_eq!(log.matches(told).count(), 1, "{log}");
    }
}

#[test]
fn a_degraded_verdict_is_logged_by_its_id_with_what_was_lacking_and_nothing_of_the_content() {
    let router = Router::start(&["--log-format", "json"], &[]);
    let verdict = router.moderate("");
    let log = router.stop();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut told = lines.iter().filter(|line| line["fields"]["message"] == "a degraded verdict");
    let fields = &told.next().unwrap_or_else(|| panic!("{log}"))["fields"];
    assert_eq!(fields["decision_id"], verdict["decision_id"]);
    assert_eq!((&fields["client"], &fields["decision"]), (&json!("shop"), &json!("review")));
    let calls = fields["calls"].as_str().unwrap();
    assert!(calls.starts_with("hate failed: ") && !calls.contains("spam"), "{calls}");
    assert!(told.next().is_none() && !log.contains(TEXT), "{log}");
}

#[test]
fn the_log_is_for_people_where_they_want_it_so() {
    let router = Router::start(&[], &[("GATEHOUSE_LOG_FORMAT", "text")]);
    let verdict = router.moderate("");
    let log = router.stop();
    let line = log.lines().find(|line| line.contains("a degraded verdict"));
    let line = line.unwrap_or_else(|| panic!("{log}"));
    assert!(line.contains(verdict["decision_id"].as_str().unwrap()), "{line}");
    assert!(serde_json::from_str::<Value>(line).is_err(), "{line}");
}
