//! The rules for a container that runs, each a function that tries one thing.
//!
//! Their source, unless another is named, is AWS's page "Custom Inference Code with Hosting
//! Services" (docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html).

use std::pin::Pin;
use std::time::Duration;

use tokio::time::timeout;

use super::answer::Answer;
use super::client::{Fault, Request};
use super::report::{Finding, Flaw, broken, shown, untested};
use super::site::{Example, Site};

type Rule = for<'a> fn(&'a Site) -> Pin<Box<dyn Future<Output = Finding> + Send + 'a>>;

/// In the order in which they are tried.
pub(crate) const RULES: &[(&str, Rule)] = &[
    ("ping", |site| Box::pin(ping(site))),
    ("accept", |site| Box::pin(accept(site))),
    ("invocations", |site| Box::pin(invocations(site))),
    ("unknown-headers", |site| Box::pin(unknown_headers(site))),
    ("sagemaker-headers", |site| Box::pin(sagemaker_headers(site))),
    ("accept-header", |site| Box::pin(accept_header(site))),
    ("content-type", |site| Box::pin(content_type(site))),
    ("empty-body", |site| Box::pin(empty_body(site))),
    ("malformed-body", |site| Box::pin(malformed_body(site))),
    ("large-body", |site| Box::pin(large_body(site))),
    ("chunked-body", |site| Box::pin(chunked_body(site))),
    ("expect-continue", |site| Box::pin(expect_continue(site))),
    ("keep-alive", |site| Box::pin(keep_alive(site))),
    ("healthy-after", |site| Box::pin(healthy_after(site))),
];

/// The largest body of a serverless endpoint.
const LARGE_BYTES: usize = 4 << 20;
/// How long clients usually wait for `100 Continue` before they send the body anyway.
const CONTINUE_LIMIT: Duration = Duration::from_secs(1);

/// "respond with an HTTP 200 status code and an empty body", "within 2 seconds".
async fn ping(site: &Site) -> Finding {
    let answer = site.ping().await.or_else(advise("answer GET /ping whatever the model does"))?;
    if answer.status != 200 {
        let seen = format!("/ping answered {}", answer.summary());
        return broken(seen, "answer 200 once the model is loaded");
    }
    let note = match answer.body.len() {
        0 => String::new(),
        length => format!("; nobody reads its body of {length} bytes, SageMaker wants it empty"),
    };
    Ok(format!("200 in {}{note}", shown(answer.took)))
}

/// "accept socket connection requests within 250 ms".
///
/// What a caller sees is the system's handshake, which fails once the queue of new connections is
/// full.
async fn accept(site: &Site) -> Finding {
    let advice = "listen before anything else, with a longer backlog";
    match site.connected_in().await.or_else(advise(advice))? {
        time if time <= site.limits.accept => Ok(format!("a connection in {}", shown(time))),
        time => broken(format!("a connection took {}", shown(time)), advice),
    }
}

/// "POST requests to the /invocations endpoint", answered "within 60 seconds".
async fn invocations(site: &Site) -> Finding {
    let seen = || {
        let tried = site.tried.iter().map(|(example, result)| match result {
            Ok(answer) => format!("{} gave {}", example.content_type, answer.summary()),
            Err(fault) => format!("{}: {fault}", example.content_type),
        });
        tried.collect::<Vec<_>>().join(", ")
    };
    match site.tried.last() {
        Some((example, Ok(answer))) if answer.is_good() => {
            Ok(format!("{} for {} in {}", answer.status, example.content_type, shown(answer.took)))
        }
        Some((_, Ok(answer))) if matches!(answer.status, 404 | 405 | 501) => {
            broken(seen(), "take POST at /invocations")
        }
        Some((_, Err(_))) => broken(seen(), "answer every request within 60 s"),
        _ if site.is_given => broken(seen(), "answer the example 2xx"),
        _ => untested(format!("{}; give --body and --content-type", seen())),
    }
}

/// "SageMaker might add additional headers. Inference containers must be able to safely ignore
/// these additional headers."
async fn unknown_headers(site: &Site) -> Finding {
    let request = Request::from(site.good()?)
        .header("X-Amzn-Trace-Id", "Root=1-67891233-abcdef012345678912345678")
        .header("X-Amzn-SageMaker-Something-New", "1")
        .header("X-Gatehouse-Check", "~!@#$%^&*()")
        .header("Forwarded", "for=192.0.2.60;proto=http");
    must_be_good(site, &request, "ignore headers that you don't know").await
}

/// The headers of InvokeEndpoint (runtime API reference): custom attributes of up to 1024 visible
/// ASCII characters, an inference id of up to 64, and those that choose a target.
async fn sagemaker_headers(site: &Site) -> Finding {
    let request = Request::from(site.good()?)
        .header("X-Amzn-SageMaker-Custom-Attributes", &"c".repeat(1024))
        .header("X-Amzn-SageMaker-Inference-Id", &"i".repeat(64))
        .header("X-Amzn-SageMaker-Target-Model", "model.tar.gz")
        .header("X-Amzn-SageMaker-Target-Variant", "AllTraffic")
        .header("X-Amzn-SageMaker-Target-Container-Hostname", "container-1")
        .header("X-Amzn-SageMaker-Inference-Component", "component")
        .header("X-Amzn-SageMaker-Enable-Explanations", "`false`")
        .header("X-Amzn-SageMaker-Session-Id", &"s".repeat(64));
    must_be_good(site, &request, "take every header that InvokeEndpoint passes on").await
}

/// InvokeEndpoint, Accept: "the desired MIME type of the inference response from the model
/// container".
async fn accept_header(site: &Site) -> Finding {
    let mut seen = Vec::new();
    for wanted in ["application/json", "text/csv", "application/x-gatehouse-unknown"] {
        let request = Request::from(site.good()?).header("accept", wanted);
        let advice = "answer in the type that is asked for, in your own, or 406";
        let answer = not_failing(site, &request, advice).await?;
        seen.push(match answer.is_good() {
            true => format!("{wanted} gave {}", answer.content_type),
            false => format!("{wanted} gave {}", answer.status),
        });
    }
    Ok(seen.join(", "))
}

/// A 4xx reaches the caller as its own fault; a 5xx counts in Invocation5XXErrors and looks like an
/// ill model (InvokeEndpoint, ModelError).
async fn content_type(site: &Site) -> Finding {
    let example = site.good()?;
    let request = Request::invocation("application/x-gatehouse-unknown", example.body.clone());
    let answer = not_failing(site, &request, "answer 415 to a type that you can't read").await?;
    let note = if answer.is_good() { ": the content type is not looked at" } else { "" };
    Ok(format!("{} for an unknown type{note}", answer.status))
}

/// As for `content_type`: a caller's fault is a 4xx.
async fn empty_body(site: &Site) -> Finding {
    let request = Request::invocation(&site.good()?.content_type, "");
    let answer = not_failing(site, &request, "answer 400 to a body without a content").await?;
    Ok(format!("{} for an empty body", answer.status))
}

/// As for `content_type`: a caller's fault is a 4xx.
async fn malformed_body(site: &Site) -> Finding {
    let example = site.good()?;
    let advice = "answer 400 to a body that can't be read";
    let body: &[u8] = if example.is_json() { b"{\"text\": " } else { b"\xFF\xFE\0\x80" };
    let request = Request::invocation(&example.content_type, body);
    let answer = not_failing(site, &request, advice).await?;
    if example.is_json() && answer.is_good() {
        return broken(format!("half a JSON object was answered {}", answer.status), advice);
    }
    Ok(format!("{} for a body that can't be read", answer.status))
}

/// "the request and response payload size is 4 MB" (serverless-endpoints-invoke.html).
async fn large_body(site: &Site) -> Finding {
    let example = site.good()?;
    let request = Request::invocation(&example.content_type, example.enlarged(LARGE_BYTES));
    let advice = "read the whole body before you answer, also where the answer is 413";
    let answer = not_failing(site, &request, advice).await?;
    Ok(format!("{} for {LARGE_BYTES} bytes in {}", answer.status, shown(answer.took)))
}

/// RFC 9112, 6.1: "A recipient MUST be able to parse the chunked transfer coding"; 411 is allowed.
async fn chunked_body(site: &Site) -> Finding {
    let request = Request::from(site.good()?);
    let bytes = request.chunked();
    let advice = "read bodies with Transfer-Encoding: chunked, or answer 411";
    let answer = site.exchange(&bytes, site.limits.answer).await.or_else(advise(advice))?;
    match answer.status {
        200..300 => {
            let sized = [site.invoke(&request).await, site.invoke(&request).await];
            let [Ok(first), Ok(second)] = sized else {
                return untested("the same body with its length was not answered");
            };
            // Where answers vary by themselves, a difference says nothing.
            if first.body == second.body && first.body != answer.body {
                let seen = format!("a body in chunks was answered {}", answer.summary());
                return broken(format!("{seen}, with its length {}", first.summary()), advice);
            }
            Ok(format!("{} for a body in chunks", answer.status))
        }
        411 => Ok("411: bodies need a length".to_owned()),
        _ => broken(format!("a body in chunks was answered {}", answer.summary()), advice),
    }
}

/// RFC 9110, 10.1.1: a server answers 100 or a final status; clients wait a while and go on.
async fn expect_continue(site: &Site) -> Finding {
    let request = Request::from(site.good()?).header("expect", "100-continue");
    let (head, body) = request.parts();
    let exchange = async {
        let mut connection = site.connect().await?;
        connection.send(&head).await?;
        let continues = connection.continues(CONTINUE_LIMIT).await?;
        connection.exchange(body).await.map(|answer| (continues, answer))
    };
    let advice = "answer `100 Continue`, or read the body without it";
    let limit = site.limits.answer + CONTINUE_LIMIT;
    let result = timeout(limit, exchange).await.unwrap_or(Err(Fault::Late(limit)));
    match result.or_else(advise(advice))? {
        (true, answer) if answer.is_good() => Ok(format!("100 and {}", answer.status)),
        (false, answer) if answer.is_good() => {
            Ok(format!("{}, but no 100 within a second: some clients wait", answer.status))
        }
        (_, answer) => broken(format!("answered {}", answer.summary()), advice),
    }
}

/// RFC 9112, 9.3 and 9.6: a connection stays open unless the server says that it closes it.
async fn keep_alive(site: &Site) -> Finding {
    let bytes = Request::from(site.good()?).bytes();
    let (limit, advice) = (site.limits.answer, "keep connections, or say `Connection: close`");
    let twice = async {
        let mut connection = site.connect().await?;
        let first = connection.exchange(&bytes).await?;
        if first.closes {
            return Ok(None);
        }
        // A server that closes without a word does so by now.
        tokio::time::sleep(Duration::from_millis(100)).await;
        connection.exchange(&bytes).await.map(Some)
    };
    match timeout(limit, twice).await.unwrap_or(Err(Fault::Late(limit))) {
        Ok(Some(answer)) if answer.is_good() => {
            Ok(format!("the second request took {}", shown(answer.took)))
        }
        Ok(Some(answer)) => broken(format!("the second request gave {}", answer.summary()), advice),
        Ok(None) => Ok("closes each connection, and says so".to_owned()),
        Err(fault) => broken(format!("the second request on a connection: {fault}"), advice),
    }
}

/// A container that is gone, or serves no more, after one bad caller fails all the others.
async fn healthy_after(site: &Site) -> Finding {
    let example = site.good()?;
    let request = Request::from(example);
    let (head, body) = request.parts();
    let half_a_body = [&head, &body[..body.len() / 2]].concat();
    let half_a_head = &head[..head.len() / 2];
    let noise = [b"\x16\x03\x01\x02\0\x01", b"GET\r\n\r\n".as_slice(), half_a_head, &half_a_body];
    for bytes in noise {
        let mut connection = site.connect().await.or_else(advise("keep accepting"))?;
        // What comes of it is the container's affair, as long as it serves the next one.
        let _ = connection.send(bytes).await;
        let _ = timeout(Duration::from_millis(100), connection.answer()).await;
    }
    let advice = "let no caller harm the others";
    let pinged = site.ping().await.or_else(advise(advice))?;
    if pinged.status != 200 {
        return broken(format!("/ping answered {} after noise", pinged.summary()), advice);
    }
    must_be_good(site, &Request::from(example), advice).await?;
    Ok("well after noise, half a head and half a body".to_owned())
}

/// Makes a missing answer a broken rule.
fn advise<T>(advice: &str) -> impl Fn(Fault) -> Result<T, Flaw> {
    move |fault| broken(fault, advice)
}

async fn must_be_good(site: &Site, request: &Request, advice: &str) -> Finding {
    let answer = site.invoke(request).await.or_else(advise(advice))?;
    match answer.is_good() {
        true => Ok(format!("{} in {}", answer.status, shown(answer.took))),
        false => broken(format!("answered {}", answer.summary()), advice),
    }
}

async fn not_failing(site: &Site, request: &Request, advice: &str) -> Result<Answer, Flaw> {
    let answer = site.invoke(request).await.or_else(advise(advice))?;
    match answer.status {
        200..500 => Ok(answer),
        _ => broken(format!("answered {}", answer.summary()), advice),
    }
}

impl Example {
    fn is_json(&self) -> bool {
        self.content_type.to_ascii_lowercase().starts_with("application/json")
    }

    /// As many bytes, of the same kind: JSON ignores spaces, other types are repeated.
    fn enlarged(&self, bytes: usize) -> Vec<u8> {
        let mut body = self.body.clone();
        if self.is_json() || body.is_empty() {
            body.resize(bytes.max(body.len()), b' ');
            return body;
        }
        while body.len() < bytes {
            body.push(b'\n');
            body.extend_from_within(..self.body.len());
        }
        body.truncate(bytes.max(self.body.len()));
        body
    }
}
