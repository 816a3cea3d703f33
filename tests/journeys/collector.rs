//! An OpenTelemetry collector that keeps what it is sent.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

/// The collector, which goes on until the test ends.
pub(crate) struct Collector {
    pub(crate) url: String,
    taken: Arc<Mutex<Vec<Taken>>>,
}

/// One request, of which one resource's spans are looked at.
#[derive(Clone, Debug)]
struct Taken {
    head: String,
    resource: BTreeMap<String, String>,
    spans: Vec<Span>,
}

impl Collector {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let taken = Arc::<Mutex<Vec<Taken>>>::default();
        let record = Arc::clone(&taken);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let record = Arc::clone(&record);
                thread::spawn(move || while take(stream.as_ref().unwrap(), &record).is_some() {});
            }
        });
        Self { url, taken }
    }

    /// All spans, in the order of their beginning.
    pub(crate) fn spans(&self) -> Vec<Span> {
        let taken = self.taken.lock().unwrap();
        let mut spans: Vec<_> = taken.iter().flat_map(|taken| taken.spans.clone()).collect();
        spans.sort_by_key(|span| span.start_time_unix_nano);
        spans
    }

    /// The heads of all requests, in small letters, and what their spans' origins say.
    pub(crate) fn origins(&self) -> Vec<(String, BTreeMap<String, String>)> {
        let taken = self.taken.lock().unwrap();
        taken.iter().map(|taken| (taken.head.clone(), taken.resource.clone())).collect()
    }
}

/// Takes one request from a connection, which stays open.
fn take(mut stream: &TcpStream, record: &Mutex<Vec<Taken>>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let head = head.to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    reader.read_exact(&mut body).ok()?;
    for of_resource in ExportTraceServiceRequest::decode(&*body).unwrap().resource_spans {
        let resource = attributes(&of_resource.resource.unwrap().attributes);
        let spans = of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans).collect();
        record.lock().unwrap().push(Taken { head: head.clone(), resource, spans });
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").ok()
}

/// What a span or a resource says of itself.
pub(crate) fn attributes(of: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |attribute: &KeyValue| {
        let value = match attribute.value.clone().unwrap().value.unwrap() {
            Value::StringValue(text) => text,
            Value::IntValue(number) => number.to_string(),
            Value::BoolValue(is_so) => is_so.to_string(),
            other => panic!("{attribute:?}: {other:?}"),
        };
        (attribute.key.clone(), value)
    };
    of.iter().map(text).collect()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}
