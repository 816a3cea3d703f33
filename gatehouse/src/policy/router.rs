//! The router's options as its API gives and takes them, whole and by version.

use deployer::http::{Answer, Call, Http, Method, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::change::Change;
use super::folder::Documents;
use super::subject::Subject;
use super::{Fault, output};
use crate::router_key::RouterKey;

/// What the router takes in one request.
pub(super) const MAX_REQUEST_BYTES: usize = 8 << 20;
/// The options of ten thousand clients take a tenth of it.
const MAX_ANSWER_BYTES: usize = 256 << 20;

/// A router at a URL.
#[derive(Debug)]
pub(super) struct Router {
    http: Http,
    url: String,
    key: RouterKey,
}

/// All options of one version.
#[derive(Debug)]
pub(super) struct InForce {
    /// The version's number.
    pub(super) version: u64,
    /// What it consists of.
    pub(super) documents: Documents,
}

/// Documents to put, or with null to delete, in one version that follows `version`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Proposal<'a> {
    /// The version that they were compared with.
    pub(super) version: u64,
    /// By subject.
    pub(super) documents: &'a Map<String, Value>,
}

/// What became of a proposal.
#[derive(Debug)]
pub(super) enum Proposed {
    /// It is, or would be, this version.
    Taken(Version),
    /// Somebody else has changed the options since they were compared.
    Overtaken,
}

/// A version, and what it changes.
#[derive(Debug, Deserialize)]
pub(super) struct Version {
    /// Its number; for a dry run that of the version in force.
    pub(super) version: u64,
    /// Empty where nothing differs.
    pub(super) changes: Vec<Change>,
}

/// What the router thinks of contents with other options than those in force.
#[derive(Debug, Deserialize)]
pub(super) struct WhatIf {
    /// The version that the other options were put on.
    pub(super) policy_version: u64,
    /// One for each content, in order.
    pub(super) contents: Vec<Value>,
}

impl Router {
    /// A router that is asked with this key.
    pub(super) fn open(url: &str, key: RouterKey) -> Result<Self, Fault> {
        let http = Http::to(url).map_err(|reason| Fault::Given(format!("--router: {reason}")))?;
        let url = url.trim_end_matches('/').to_owned();
        Ok(Self { http: http.taking(MAX_ANSWER_BYTES), url, key })
    }

    /// The options in force.
    pub(super) async fn in_force(&self) -> Result<InForce, Fault> {
        #[derive(Deserialize)]
        struct Answered {
            version: u64,
            documents: Map<String, Value>,
        }
        let path = "/v1/policy/documents";
        let answer = self.send(Method::GET, path, &[], None).await?;
        let Answered { version, documents } = self.read(answer, "reading the options")?;
        let documents = documents.into_iter().map(|(subject, document)| {
            let told = |fault| {
                let subject = output::plain(&subject);
                Fault::Failed(format!("`{}` has options of `{subject}`, which {fault}", self.url))
            };
            Ok((Subject::parse(&subject).map_err(told)?, document))
        });
        Ok(InForce { version, documents: documents.collect::<Result<_, Fault>>()? })
    }

    /// What a proposal would change; nothing is changed.
    pub(super) async fn rehearse(&self, proposal: Proposal<'_>) -> Result<Proposed, Fault> {
        self.propose(proposal, true, None).await
    }

    /// Makes a proposal the next version.
    pub(super) async fn make(
        &self,
        proposal: Proposal<'_>,
        reason: &str,
    ) -> Result<Proposed, Fault> {
        self.propose(proposal, false, Some(reason)).await
    }

    async fn propose(
        &self,
        proposal: Proposal<'_>,
        dry_run: bool,
        reason: Option<&str>,
    ) -> Result<Proposed, Fault> {
        let body = json!({"documents": proposal.documents, "dry_run": dry_run});
        let version = format!("\"{}\"", proposal.version);
        let mut headers = vec![("if-match", version.as_str())];
        headers.extend(reason.map(|reason| ("gatehouse-reason", reason)));
        let answer = self.send(Method::POST, "/v1/policy/versions", &headers, Some(&body)).await?;
        if answer.status == StatusCode::PRECONDITION_FAILED {
            return Ok(Proposed::Overtaken);
        }
        self.read(answer, "changing the options").map(Proposed::Taken)
    }

    /// Has contents judged with other documents; nothing is changed.
    pub(super) async fn what_if(
        &self,
        documents: &Map<String, Value>,
        contents: &[Value],
    ) -> Result<WhatIf, Fault> {
        let body = json!({"documents": documents, "decisions": 0, "contents": contents});
        let answer = self.send(Method::POST, "/v1/policy/what-if", &[], Some(&body)).await?;
        let judged: WhatIf = self.read(answer, "judging the contents")?;
        let (asked, answered) = (contents.len(), judged.contents.len());
        if asked == answered {
            return Ok(judged);
        }
        Err(Fault::Failed(format!("`{}` judged {answered} of {asked} contents", self.url)))
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&'static str, &str)],
        body: Option<&Value>,
    ) -> Result<Answer, Fault> {
        let bytes = body.map_or(0, |body| body.to_string().len());
        if bytes > MAX_REQUEST_BYTES {
            let (size, limit) = (bytes.div_ceil(1 << 20), MAX_REQUEST_BYTES >> 20);
            return Err(Fault::Given(format!(
                "the changes are {size} MiB, and a router takes {limit} MiB at once; change less \
                 at a time, first the models, say, with the new scopes kept out of the folder"
            )));
        }
        let mut headers = headers.to_vec();
        headers.extend(body.map(|_| ("content-type", "application/json")));
        headers.extend(self.key.header());
        let call = Call { method, url: format!("{}{path}", self.url), headers: &headers, body };
        let sent = self.http.send(call).await;
        sent.map_err(|error| {
            Fault::Failed(format!("{error}; --router or GATEHOUSE_ROUTER names the router"))
        })
    }

    /// The answer's body, or what the router says that is wrong.
    fn read<T: for<'de> Deserialize<'de>>(&self, answer: Answer, action: &str) -> Result<T, Fault> {
        let status = answer.status;
        if status.is_success() {
            return serde_json::from_value(answer.body).map_err(|error| {
                Fault::Failed(format!("`{}` is no router, or an older one: {error}", self.url))
            });
        }
        let said = output::plain_lines(&answer.reason());
        let advice = self.key.advice(status);
        let message = format!("{action} was refused ({}): {said}{advice}", status.as_u16());
        Err(match status {
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => Fault::Failed(format!(
                "{message}\nis `{}` a router, and of this version?",
                self.url
            )),
            _ if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS => {
                Fault::Given(message)
            }
            _ => Fault::Failed(message),
        })
    }
}

#[cfg(test)]
mod tests;
