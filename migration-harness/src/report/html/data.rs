//! What the page's script draws: examples and distributions, cut to a size that browsers like.

use serde_json::{Map, Value, json};

use super::clusters;
use crate::report::figures::cut;
use crate::report::{ClusterDetail, Latencies, Report};

/// How many characters of a body are shown.
const MAX_BODY: usize = 16_000;
/// How many characters of any other text are shown.
const MAX_TEXT: usize = 500;
/// How many characters a command to copy may have; a longer one would be useless when cut.
const MAX_COMMAND: usize = 32_000;
/// How many characters all examples have together; later clusters are without one.
const MAX_EXAMPLES: usize = 4_000_000;

/// The data of the page.
pub(super) fn of(report: &Report) -> Value {
    let mut room = MAX_EXAMPLES;
    let clusters: Map<_, _> = clusters::shown(report)
        .map(|(place, cluster)| (place.to_string(), self::cluster(cluster, &mut room)))
        .collect();
    let latencies = report.timing.as_ref().map(|timing| {
        json!({
            "captured": timing.captured.as_ref().map(latencies),
            "service": latencies(&timing.service),
            "response": latencies(&timing.response),
        })
    });
    json!({"clusters": clusters, "latency": latencies})
}

fn cluster(cluster: &ClusterDetail, room: &mut usize) -> Value {
    let mut cluster_data = json!({
        "field": text(&cluster.field.as_str().into(), MAX_TEXT),
        "distances": cluster.distances.as_ref().map(|distances| &distances.powers_of_ten),
    });
    let example = example(cluster);
    let size = example.to_string().len();
    if size <= *room {
        *room -= size;
        cluster_data["example"] = example;
    }
    cluster_data
}

fn example(cluster: &ClusterDetail) -> Value {
    let (record, reply) = (&cluster.example.record, &cluster.example.reply);
    let request = &record["request"];
    let curl = cluster.example.curl.as_deref().filter(|curl| curl.len() <= MAX_COMMAND);
    json!({
        "request": {
            "method": text(&request["method"], MAX_TEXT),
            "path": text(&request["path"], MAX_TEXT),
            "content_type": text(&request["content_type"], MAX_TEXT),
            "encoding": text(&request["encoding"], MAX_TEXT),
            "body": text(&request["body"], MAX_BODY),
            "cut": is_cut(request),
        },
        "old": self::reply(record),
        "new": self::reply(reply),
        "curl": curl,
    })
}

fn reply(reply: &Value) -> Value {
    let response = &reply["response"];
    json!({
        "status": response["status"].as_u64(),
        "content_type": text(&response["content_type"], MAX_TEXT),
        "encoding": text(&response["encoding"], MAX_TEXT),
        "body": text(&response["body"], MAX_BODY),
        "cut": is_cut(response),
        "error": text(&reply["error"], MAX_TEXT),
        "latency_us": reply["latency_us"].as_u64(),
    })
}

/// Whether a message's body is shown in part only, by this page or by the report already.
fn is_cut(message: &Value) -> bool {
    let is_long = |body: &str| cut(body, MAX_BODY).len() < body.len();
    message["cut"] == true || message["body"].as_str().is_some_and(is_long)
}

/// A string, cut; null for anything else.
fn text(value: &Value, most: usize) -> Value {
    value.as_str().map_or(Value::Null, |text| cut(text, most).into())
}

fn latencies(latencies: &Latencies) -> Value {
    json!({
        "buckets": latencies.buckets, "p50_us": latencies.p50_us, "p99_us": latencies.p99_us,
    })
}
