//! What a path below `/v2` asks for.

use hyper::StatusCode;
use percent_encoding::percent_decode_str;

use crate::prediction::Identity;
use crate::problem::Problem;

/// What a path asks for.
#[derive(Debug, PartialEq)]
pub(crate) enum Route {
    /// The server's name, version and extensions.
    Server,
    /// Whether the process runs.
    Live,
    /// Whether its model can answer.
    Ready,
    /// Something of a model.
    Model(Target, Question),
}

/// The model that a path names.
#[derive(Debug, PartialEq)]
pub(crate) struct Target {
    name: String,
    version: Option<String>,
}

/// What is asked of a model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Question {
    /// Its inputs and outputs.
    Metadata,
    /// Whether it can answer.
    Ready,
    /// Its predictions.
    Infer,
}

impl Route {
    /// Reads a path, with or without a version.
    pub(crate) fn parse(path: &str) -> Option<Self> {
        let path = path.strip_prefix("/v2")?;
        let segments = path.strip_prefix('/').unwrap_or(path).split('/');
        let segments = segments.map(|segment| percent_decode_str(segment).decode_utf8().ok());
        let segments: Vec<_> = segments.collect::<Option<_>>()?;
        let segments: Vec<_> = segments.iter().map(AsRef::as_ref).collect();
        let model = |name: &str, version: Option<&str>, question| {
            let target = Target { name: name.to_owned(), version: version.map(str::to_owned) };
            Some(Self::Model(target, question))
        };
        match segments[..] {
            [""] => Some(Self::Server),
            ["health", "live"] => Some(Self::Live),
            ["health", "ready"] => Some(Self::Ready),
            ["models", name] => model(name, None, Question::Metadata),
            ["models", name, question] => model(name, None, Question::parse(question)?),
            ["models", name, "versions", version] => model(name, Some(version), Question::Metadata),
            ["models", name, "versions", version, question] => {
                model(name, Some(version), Question::parse(question)?)
            }
            _ => None,
        }
    }

    /// The one method that is allowed.
    pub(crate) fn method(&self) -> &'static str {
        match self {
            Self::Model(_, Question::Infer) => "POST",
            _ => "GET",
        }
    }
}

impl Question {
    fn parse(segment: &str) -> Option<Self> {
        match segment {
            "ready" => Some(Self::Ready),
            "infer" => Some(Self::Infer),
            _ => None,
        }
    }
}

impl Target {
    /// Whether it is the model that is served, or a 404 that says which one is.
    pub(crate) fn check(&self, served: &Identity) -> Result<(), Problem> {
        let Identity { name, version, .. } = served;
        let detail = match &self.version {
            _ if self.name != *name => {
                format!("there is no model `{}`; this container serves `{name}`", self.name)
            }
            Some(wanted) if wanted != version => {
                format!("model `{name}` has no version `{wanted}`; it is version `{version}`")
            }
            _ => return Ok(()),
        };
        Err(Problem::new(StatusCode::NOT_FOUND, detail))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(name: &str, version: Option<&str>, question: Question) -> Option<Route> {
        let target = Target { name: name.to_owned(), version: version.map(str::to_owned) };
        Some(Route::Model(target, question))
    }

    #[test]
    fn every_path_of_the_protocol_is_known() {
        assert_eq!(Route::parse("/v2"), Some(Route::Server));
        assert_eq!(Route::parse("/v2/"), Some(Route::Server));
        assert_eq!(Route::parse("/v2/health/live"), Some(Route::Live));
        assert_eq!(Route::parse("/v2/health/ready"), Some(Route::Ready));
        assert_eq!(Route::parse("/v2/models/a"), model("a", None, Question::Metadata));
        assert_eq!(Route::parse("/v2/models/a/ready"), model("a", None, Question::Ready));
        assert_eq!(Route::parse("/v2/models/a/infer"), model("a", None, Question::Infer));
        let path = "/v2/models/a/versions/3";
        assert_eq!(Route::parse(path), model("a", Some("3"), Question::Metadata));
        let path = "/v2/models/a/versions/3/infer";
        assert_eq!(Route::parse(path), model("a", Some("3"), Question::Infer));
    }

    #[test]
    fn names_are_percent_decoded() {
        let route = Route::parse("/v2/models/beer%20%26%20b%C3%BCcher%2F2/infer");
        assert_eq!(route, model("beer & bücher/2", None, Question::Infer));
        assert_eq!(Route::parse("/v2/models/%FF"), None);
    }

    #[test]
    fn other_paths_are_unknown() {
        for path in ["/v2/health", "/v2/models/a/versions", "/v2/models/a/config", "/v2/x/y/z"] {
            assert_eq!(Route::parse(path), None, "{path}");
        }
    }
}
