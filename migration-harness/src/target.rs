//! Where calls are replayed to: a URL that may hold `{model}` and `{client}`.

use hyper::Uri;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::record::Record;

/// What stays as it is inside a path segment.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A checked target.
#[derive(Debug)]
pub(crate) struct Target {
    template: String,
    /// Whether the record's path is put behind the URL.
    append_path: bool,
}

impl Target {
    /// Takes an `http://` URL. With a path it is used as it is, else the record's path is appended.
    ///
    /// # Errors
    /// A sentence for the user, when the target is of a kind that isn't built or no URL.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        for scheme in ["sagemaker:", "https:"] {
            if text.starts_with(scheme) {
                return Err(format!(
                    "targets of the kind `{scheme}` are not built yet; use http://…"
                ));
            }
        }
        let Some(rest) = text.strip_prefix("http://") else {
            return Err(format!("target `{text}` must begin with http://"));
        };
        if text.replace("{model}", "").replace("{client}", "").contains(['{', '}']) {
            return Err(format!(
                "target `{text}` may hold {{model}} and {{client}}, and no other braces"
            ));
        }
        let append_path = matches!(rest.split_once('/'), None | Some((_, "")));
        let template = text.strip_suffix('/').filter(|_| append_path).unwrap_or(text).to_owned();
        let target = Self { template, append_path };
        target.fill("model", Some("client"), "/")?;
        Ok(target)
    }

    /// The URL for one call.
    ///
    /// # Errors
    /// A sentence for the user, when the record lacks what the target needs.
    pub(crate) fn url(&self, record: &Record) -> Result<Uri, String> {
        self.fill(&record.model, record.client.as_deref(), &record.request.path)
    }

    fn fill(&self, model: &str, client: Option<&str>, path: &str) -> Result<Uri, String> {
        let mut url = self.template.replace("{model}", &encode(model));
        if url.contains("{client}") {
            let client = client.ok_or("the target holds {client}, and the record names none")?;
            url = url.replace("{client}", &encode(client));
        }
        if self.append_path {
            if !path.starts_with('/') {
                return Err(format!("`path` must begin with a slash, not `{path}`"));
            }
            url.push_str(path);
        }
        url.parse().map_err(|error| format!("`{url}` is no URL: {error}"))
    }
}

fn encode(value: &str) -> String {
    utf8_percent_encode(value, ENCODED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(target: &str, client: Option<&str>) -> Result<String, String> {
        let uri = Target::parse(target)?.fill("sp am/1", client, "/score/x?y=1")?;
        Ok(uri.to_string())
    }

    #[test]
    fn a_url_without_a_path_gets_the_paths_of_the_records() {
        for target in ["http://h:1", "http://h:1/"] {
            assert_eq!(filled(target, None).unwrap(), "http://h:1/score/x?y=1");
        }
    }

    #[test]
    fn a_url_with_a_path_is_used_as_it_is() {
        assert_eq!(filled("http://h:1/a/b", None).unwrap(), "http://h:1/a/b");
        assert_eq!(filled("http://h:1/a/", None).unwrap(), "http://h:1/a/");
    }

    #[test]
    fn model_and_client_are_percent_encoded_into_the_target() {
        let filled = filled("http://h:1/{client}/e/{model}/i", Some("ä&b")).unwrap();
        assert_eq!(filled, "http://h:1/%C3%A4%26b/e/sp%20am%2F1/i");
    }

    #[test]
    fn a_record_without_the_client_that_the_target_needs_is_refused() {
        assert!(filled("http://h:1/{client}", None).unwrap_err().contains("{client}"));
    }

    #[test]
    fn other_kinds_of_targets_and_placeholders_are_refused() {
        for (target, reason) in [
            ("sagemaker:spam", "`sagemaker:` are not built yet"),
            ("https://h", "`https:` are not built yet"),
            ("127.0.0.1:80", "must begin with http://"),
            ("http://", "no URL"),
            ("http://h/{modle}", "no other braces"),
        ] {
            let error = Target::parse(target).unwrap_err();
            assert!(error.contains(reason), "{target}: {error}");
        }
    }
}
