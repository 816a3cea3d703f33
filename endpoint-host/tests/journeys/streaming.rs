//! Answers in parts: each is with the caller before the next is made, and one that breaks off says
//! so.

use std::fs;
use std::time::{Duration, Instant};

use aws_smithy_eventstream::frame::{DecodedFrame, MessageFrameDecoder};
use aws_smithy_types::event_stream::Message;
use bytes::BytesMut;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::{Value, json};

use crate::host::Host;

/// The frames of an answer.
struct Frames {
    body: Incoming,
    decoder: MessageFrameDecoder,
    buffer: BytesMut,
}

impl Frames {
    fn of(body: Incoming) -> Self {
        Self { body, decoder: MessageFrameDecoder::new(), buffer: BytesMut::new() }
    }

    /// The next frame; nothing after the last.
    async fn next(&mut self) -> Option<Message> {
        loop {
            if let DecodedFrame::Complete(message) =
                self.decoder.decode_frame(&mut self.buffer).unwrap()
            {
                return Some(message);
            }
            let frame = self.body.frame().await?.unwrap();
            self.buffer.extend_from_slice(&frame.into_data().unwrap());
        }
    }

    /// Whether the answer ends as one that is whole does, once all that is left of it was read.
    async fn end_well(mut self) -> bool {
        while let Some(frame) = self.body.frame().await {
            if frame.is_err() {
                return false;
            }
        }
        true
    }

    /// The payloads up to the end.
    async fn rest(&mut self) -> String {
        let mut text = String::new();
        while let Some(message) = self.next().await {
            assert_eq!(header(&message, ":event-type"), "PayloadPart");
            text += std::str::from_utf8(message.payload()).unwrap();
        }
        text
    }
}

fn header(message: &Message, name: &str) -> String {
    let header = message.headers().iter().find(|header| header.name().as_str() == name);
    header.unwrap().value().as_string().unwrap().as_str().to_owned()
}

#[tokio::test]
async fn parts_reach_the_caller_before_the_answer_is_whole() {
    let host = Host::start().await;
    host.deploy("spam", 1).await;
    let home = host.invoke("spam", "x").await.body["folder"].as_str().unwrap().to_owned();
    let headers = [("x-amzn-sagemaker-accept", "text/plain")];
    let answer = host.stream("spam", &headers, "stream until told").await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "application/vnd.amazon.eventstream");
    assert_eq!(answer.headers()["x-amzn-sagemaker-content-type"], "text/plain");
    assert_eq!(answer.headers()["x-amzn-invoked-production-variant"], "all");
    assert_eq!(answer.headers()["x-amzn-sagemaker-custom-attributes"], "from-container");
    let mut frames = Frames::of(answer.into_body());
    let first = frames.next().await.unwrap();
    assert_eq!(header(&first, ":message-type"), "event");
    assert_eq!(header(&first, ":content-type"), "application/octet-stream");
    assert_eq!(first.payload().as_ref(), b"one");
    let throttled = host.invoke("spam", "x").await;
    throttled.expect_status(400).expect_error("ThrottlingException", "null");
    fs::write(format!("{home}/go on"), "").unwrap();
    assert_eq!(frames.rest().await, "twothree");
    host.invoke("spam", "x").await.expect_status(200);
    host.stop().await;
}

#[tokio::test]
async fn an_answer_that_breaks_off_ends_with_an_exception() {
    let host = Host::start().await;
    host.deploy("spam", 5).await;
    let mut frames = Frames::of(host.stream("spam", &[], "stream and break off").await.into_body());
    let mut text = String::new();
    let exception = loop {
        let message = frames.next().await.unwrap();
        if header(&message, ":message-type") == "exception" {
            break message;
        }
        text += std::str::from_utf8(message.payload()).unwrap();
    };
    assert_eq!(text, "onetwo");
    assert_eq!(header(&exception, ":exception-type"), "ModelStreamError");
    let body: Value = serde_json::from_slice(exception.payload()).unwrap();
    assert_eq!(body["ErrorCode"], "StreamBroken");
    assert!(body["Message"].as_str().unwrap().contains("broke off"));
    assert!(frames.next().await.is_none());
    host.stop().await;
}

#[tokio::test]
async fn an_error_before_the_first_part_is_a_model_error() {
    let host = Host::start().await;
    host.deploy("spam", 5).await;
    let path = "/endpoints/spam/invocations-response-stream";
    let refused = host.post(path, &[], "unscorable").await.expect_status(424);
    let refused = refused.expect_error("ModelError", "Received client error (422)");
    assert_eq!(refused.body["OriginalMessage"], "field `text` is missing");
    let rude = host.post(path, &[], "hang up").await.expect_status(424);
    rude.expect_error("ModelError", "broke off its answer");
    let unknown = host.post("/endpoints/ham/invocations-response-stream", &[], "x").await;
    unknown.expect_status(400).expect_error("ValidationError", "not found");
    host.stop().await;
}

#[tokio::test]
async fn a_caller_who_leaves_makes_room_for_the_next() {
    let host = Host::start().await;
    host.deploy("spam", 1).await;
    let pid = host.pid("spam").await;
    let mut frames = Frames::of(host.stream("spam", &[], "stream until told").await.into_body());
    frames.next().await.unwrap();
    drop(frames);
    let deadline = Instant::now() + Duration::from_secs(10);
    while host.invoke("spam", "x").await.status != 200 {
        assert!(Instant::now() < deadline, "the place of a caller who left is still taken");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(host.pid("spam").await, pid);
    host.stop().await;
}

#[tokio::test]
async fn a_caller_who_stops_reading_keeps_no_endpoint_from_being_deleted_and_is_cut_off() {
    let host = Host::start().await;
    host.deploy("spam", 1).await;
    let mut frames = Frames::of(host.stream("spam", &[], "stream without end").await.into_body());
    frames.next().await.unwrap();
    // Lets every buffer on the way fill up.
    tokio::time::sleep(Duration::from_millis(500)).await;
    host.control("DeleteEndpoint", json!({"EndpointName": "spam"})).await.expect_status(200);
    host.wait_until_gone("spam").await;
    assert!(!frames.end_well().await, "part of an answer looks like the whole");
    host.stop().await;
}
