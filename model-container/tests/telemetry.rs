//! What the container tells those who run it: traces, metrics, and its log.

#![expect(clippy::unwrap_used, reason = "a step that fails is to end its test")]

#[expect(dead_code, reason = "other journeys need more of it")]
mod support;
#[path = "telemetry/collector.rs"]
mod collector;
#[path = "telemetry/observed.rs"]
mod observed;

use std::collections::HashMap;
use std::net::TcpListener;

use collector::Collector;
use observed::Observed;
use serde_json::Value;
use support::example;

const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT_ID: &str = "00f067aa0ba902b7";

#[test]
fn a_request_becomes_a_span_below_the_callers() {
    let collector = Collector::start();
    let spam = Observed::start(&example("spam"), |command| {
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url);
        command.env("OTEL_SERVICE_NAME", "spam-eu");
        command.env("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test");
    });
    let traceparent = format!("traceparent: 00-{TRACE_ID}-{PARENT_ID}-01");
    let custom = "x-amzn-sagemaker-custom-attributes: tenant=7";
    assert_eq!(spam.post(&[&traceparent, custom], b"hello").status, 200);
    let log = spam.stop();

    let request = collector.span("POST /invocations");
    assert_eq!((request.trace.as_str(), request.parent.as_str()), (TRACE_ID, PARENT_ID));
    assert_eq!(request.kind, "Server");
    for (key, value) in [
        ("http.request.method", "POST"),
        ("http.route", "/invocations"),
        ("http.response.status_code", "200"),
        ("gatehouse.model.name", "spam"),
        ("gatehouse.documents", "1"),
        ("service.name", "spam-eu"),
        ("deployment.environment.name", "test"),
    ] {
        assert_eq!(request.attributes.get(key).map(String::as_str), Some(value), "{key}");
    }
    for stage in ["read body", "inference"] {
        let stage = collector.span(stage);
        assert_eq!((&stage.trace, &stage.parent), (&request.trace, &request.id));
        assert!(request.from <= stage.from && stage.from <= stage.until);
        assert!(stage.until <= request.until);
    }
    assert_eq!(log.line("request")["trace_id"], TRACE_ID);
}

#[test]
fn a_request_that_waits_shows_its_queue_and_a_failed_one_its_status() {
    let collector = Collector::start();
    let spam = Observed::start(&example("spam"), |command| {
        command.env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", format!("{}/v1/traces", collector.url));
    });
    assert_eq!(spam.post(&[], "long ".repeat(20_000).as_bytes()).status, 200);
    assert_eq!(spam.post(&["accept: image/png"], b"hello").status, 406);
    assert_eq!(spam.get("/ping", &[]).status, 200);
    spam.stop();

    let waited = collector.span("queue");
    let requests = collector.spans("POST /invocations");
    assert!(requests.iter().any(|request| request.id == waited.parent));
    assert!(requests.iter().all(|request| request.attributes["service.name"] == "model-container"));
    let statuses: Vec<_> =
        requests.iter().map(|request| &request.attributes["http.response.status_code"]).collect();
    assert_eq!(statuses, ["200", "406"]);
    assert!(collector.spans("GET /ping").is_empty());
}

#[test]
fn a_caller_that_does_not_sample_is_not_traced() {
    let collector = Collector::start();
    let spam = Observed::start(&example("spam"), |command| {
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url);
    });
    let traceparent = format!("traceparent: 00-{TRACE_ID}-{PARENT_ID}-00");
    assert_eq!(spam.post(&[&traceparent], b"hello").status, 200);
    assert_eq!(spam.post(&["traceparent: nonsense"], b"hello").status, 200);
    spam.stop();
    let requests = collector.spans("POST /invocations");
    assert_eq!(requests.len(), 1);
    assert_ne!(requests[0].trace, TRACE_ID);
}

#[test]
fn a_collector_that_is_away_costs_no_request_and_one_line_in_the_log() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    for address in [closed, silent.local_addr().unwrap()] {
        let spam = Observed::start(&example("spam"), |command| {
            command.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{address}"));
            command.env("OTEL_EXPORTER_OTLP_TIMEOUT", "100");
            command.env("OTEL_BSP_SCHEDULE_DELAY", "20");
        });
        for _ in 0..20 {
            assert_eq!(spam.post(&[], b"hello").status, 200);
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        assert_eq!(spam.stop().count("the collector takes no spans"), 1);
    }
}

#[test]
fn a_collector_that_would_need_tls_is_refused_in_the_log_and_the_model_serves() {
    let traced = |name: &str, value: &str| {
        let spam = Observed::start(&example("spam"), |command| {
            command.env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9").env(name, value);
        });
        assert_eq!(spam.post(&[], b"hello").status, 200);
        spam.stop().line("requests are not traced")["reason"].as_str().unwrap().to_owned()
    };
    let reason =
        traced("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://collector.example/v1/traces");
    assert!(reason.contains("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is `https://"), "{reason}");
    assert!(reason.contains("http://localhost:4318"), "{reason}");
    let reason = traced("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    assert!(reason.contains("`grpc`") && reason.contains("http/protobuf"), "{reason}");
}

#[test]
fn the_start_is_broken_down_in_one_line_and_in_metrics() {
    let spam = Observed::start(&example("spam"), |_| {});
    let metrics = spam.get("/metrics", &[]).body;
    let line = spam.stop().line("model loaded");
    let mut sum = 0.0;
    for stage in ["spawn", "read", "load", "canary"] {
        let ms = line[format!("{stage}_ms")].as_f64().unwrap();
        assert!(ms > 0.0, "{line}");
        let metric = format!("model_container_cold_start_seconds{{stage=\"{stage}\"}} ");
        let metric = metrics.lines().find_map(|line| line.strip_prefix(&metric)).unwrap();
        assert_eq!(metric.parse::<f64>().unwrap() * 1000.0, ms);
        sum += ms;
    }
    assert!(sum <= line["total_ms"].as_f64().unwrap(), "{line}");
    assert_eq!((&line["model"], &line["level"]), (&Value::from("spam"), &Value::from("INFO")));
}

#[test]
fn a_plain_scraper_gets_the_older_text_and_prometheus_open_metrics() {
    let spam = Observed::start(&example("spam"), |_| {});
    spam.post(&[], b"hello");
    let plain = spam.get("/metrics", &[]);
    assert_eq!(plain.content_type, "text/plain; version=0.0.4; charset=utf-8");
    let samples = check(&plain.body, "");
    assert_eq!(
        samples["model_container_requests_total{path=\"/invocations\",status=\"200\"}"],
        1.0
    );
    assert_eq!(samples["model_container_ready"], 1.0);
    assert_eq!(samples["model_container_queue_length"], 0.0);
    assert_eq!(samples["model_container_requests_in_flight"], 1.0);
    assert_eq!(samples["model_container_request_duration_seconds_bucket{le=\"+Inf\"}"], {
        samples["model_container_request_duration_seconds_count"]
    });
    for held in ["cpu_seconds_total", "resident_memory_bytes", "open_fds", "threads", "max_fds"] {
        assert!(samples[format!("process_{held}").as_str()] > 0.0, "{held}");
    }
    let model =
        samples.keys().find(|name| name.starts_with("model_container_model_info{")).unwrap();
    for label in ["name=\"spam\"", "version=\"", "digest=\"sha256:", "runtime=\"weka\""] {
        assert!(model.contains(label), "{model}");
    }

    let prometheus = "accept: application/openmetrics-text;version=1.0.0;q=0.6,text/plain;q=0.3";
    let open_metrics = spam.get("/metrics", &[prometheus]);
    assert_eq!(
        open_metrics.content_type,
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    let body = open_metrics.body.strip_suffix("# EOF\n").unwrap();
    assert!(!check(body, "_total").is_empty());
}

/// Checks each line against the format, and that each sample belongs to the family above it;
/// `of_counter` is what the form adds to a counter's name in its samples.
fn check<'a>(text: &'a str, of_counter: &str) -> HashMap<&'a str, f64> {
    let mut samples = HashMap::new();
    let (mut helped, mut family, mut kind) = ("", "", "");
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            helped = help.split_once(' ').unwrap().0;
        } else if let Some(described) = line.strip_prefix("# TYPE ") {
            (family, kind) = described.split_once(' ').unwrap();
            assert_eq!(helped, family);
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            let is_new =
                samples.keys().all(|name: &&str| !name.starts_with(&format!("{family}{{")));
            assert!(is_new, "{family} comes twice");
        } else if let Some(unit) = line.strip_prefix("# UNIT ") {
            let (name, unit) = unit.split_once(' ').unwrap();
            assert!(name == family && family.ends_with(&format!("_{unit}")), "{line}");
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let name = series.split('{').next().unwrap();
            let rest = name.strip_prefix(family).unwrap_or_else(|| panic!("{line}"));
            let suffixes: &[&str] = match kind {
                "counter" => &[of_counter],
                "histogram" => &["_bucket", "_sum", "_count"],
                _ => &[""],
            };
            assert!(suffixes.contains(&rest), "{line}");
            assert!(kind != "counter" || name.ends_with("_total"), "{line}");
            assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'), "{line}");
            assert!(samples.insert(series, value.parse().unwrap()).is_none(), "{line}");
        }
    }
    samples
}

#[test]
fn a_callers_id_is_in_the_answer_the_problem_and_the_log() {
    let spam = Observed::start(&example("spam"), |_| {});
    let id = "x-request-id: order-66";
    let scored = spam.post(&[id, "x-amzn-sagemaker-custom-attributes: tenant=7"], b"hello");
    assert_eq!(scored.header("x-request-id"), Some("order-66"));
    let refused = spam.post(&["X-Amzn-SageMaker-Inference-Id: i-1", "accept: image/png"], b"hello");
    assert_eq!(refused.header("x-request-id"), Some("i-1"));
    assert_eq!((refused.status, &refused.json()["request_id"]), (406, &Value::from("i-1")));

    let anonymous = spam.post(&["accept: image/png"], b"hello");
    assert_eq!(anonymous.header("x-request-id"), None);
    assert_eq!(anonymous.json().get("request_id"), None);
    let line = spam.stop().line("request");
    assert_eq!(line["request_id"], "order-66");
    assert_eq!((&line["custom_attributes"], &line["status"]), (&"tenant=7".into(), &200.into()));
    assert_eq!((&line["path"], line.get("trace_id")), (&"/invocations".into(), None));
}

#[test]
fn an_id_that_could_forge_or_flood_the_log_is_not_taken() {
    let spam = Observed::start(&example("spam"), |_| {});
    let long = format!("x-request-id: {}", "7".repeat(129));
    for id in ["x-request-id: two words", "x-request-id: caf\u{e9}", "x-request-id: ", &long] {
        let answer = spam.post(&[id, "x-amzn-requestid: second"], b"hello");
        assert_eq!((answer.status, answer.header("x-request-id")), (200, Some("second")), "{id}");
    }
    let attributes = format!("x-amzn-sagemaker-custom-attributes: \t\"{}", "a".repeat(3000));
    let answer = spam.post(&[&attributes], b"hello");
    let own = answer.header("x-request-id").unwrap().to_owned();
    let line = spam.stop().line("request");
    assert_eq!(line["request_id"], own.as_str());
    assert_eq!(line["custom_attributes"].as_str().unwrap().len(), 1024);
}

#[test]
fn a_failure_has_an_id_of_its_own_in_the_answer_and_in_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = "name = 'slow'\nruntime = 'lexicon'\nartifact = 'terms.toml'\n";
    std::fs::write(dir.path().join("model.toml"), manifest).unwrap();
    // Each `a` begins a match that fails hundreds of characters later, all of them at once.
    let terms = "label = 'a'\n[[term]]\npattern = 'a[ab]{400}\\p{Greek}'\nweight = 1.0\n";
    std::fs::write(dir.path().join("terms.toml"), terms).unwrap();
    let slow = Observed::start(dir.path(), |command| {
        command.args(["--deadline", "1s"]);
    });
    let mut random = 1_u32;
    let text: String = std::iter::repeat_with(|| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        if random >> 31 == 0 { 'a' } else { 'b' }
    })
    .take(6 << 20)
    .collect();
    let answer = slow.post(&[], text.as_bytes());
    let id = answer.header("x-request-id").unwrap().to_owned();
    assert_eq!((answer.status, &answer.json()["request_id"]), (500, &Value::from(id.as_str())));
    let line = slow.kill().line("request failed");
    assert_eq!((&line["request_id"], &line["level"]), (&Value::from(id), &Value::from("WARN")));
    assert!(line["detail"].as_str().unwrap().contains("model `slow` failed"), "{line}");
}
