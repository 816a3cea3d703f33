//! The frames of a streamed answer, in AWS's binary event stream encoding.

use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use bytes::Bytes;
use serde_json::json;

/// Why a stream ends before the answer does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Broken {
    /// The container broke it off.
    Off,
    /// It took longer than SageMaker allows.
    TooLate,
}

/// A part of the answer.
pub(super) fn part(bytes: Bytes) -> Bytes {
    frame(
        bytes,
        [
            (":message-type", "event"),
            (":event-type", "PayloadPart"),
            (":content-type", "application/octet-stream"),
        ],
    )
}

/// The end of an answer that is not whole.
pub(super) fn broken(how: Broken, message: &str) -> Bytes {
    let code = match how {
        Broken::Off => "StreamBroken",
        Broken::TooLate => "ModelInvocationTimeExceeded",
    };
    let body = json!({"Message": message, "ErrorCode": code}).to_string();
    frame(
        Bytes::from(body),
        [
            (":message-type", "exception"),
            (":exception-type", "ModelStreamError"),
            (":content-type", "application/json"),
        ],
    )
}

fn frame(payload: Bytes, headers: [(&'static str, &'static str); 3]) -> Bytes {
    let mut message = Message::new(payload);
    for (name, value) in headers {
        message = message.add_header(Header::new(name, HeaderValue::String(value.into())));
    }
    let mut frame = Vec::new();
    write_message_to(&message, &mut frame).expect("headers are short and parts fit a frame");
    frame.into()
}
