//! What a worker's answers must have, whatever the worker thinks.

use super::call::Reply;
use super::wire::quoted;

/// The package's labels, and whether bodies are allowed.
pub(super) struct Contract {
    /// Every answer has a score for each of these, and for no other.
    pub(super) labels: Option<Vec<String>>,
    /// Whether an answer may be a body for the client.
    pub(super) is_raw: bool,
}

impl Contract {
    /// Puts the scores into the labels' order, or says what is wrong with them.
    pub(super) fn check(&self, reply: Reply) -> Result<Reply, String> {
        match reply {
            Reply::Raw { .. } if self.is_raw => Ok(reply),
            Reply::Raw { .. } => {
                Err("its reply is a `body`, which needs `raw = true` in model.toml".to_owned())
            }
            Reply::Scores(scores) => self.arrange(scores).map(Reply::Scores),
        }
    }

    fn arrange(&self, mut scores: Vec<(String, f64)>) -> Result<Vec<(String, f64)>, String> {
        let Some(labels) = &self.labels else {
            return Err("its reply has `scores`, which need `labels` in model.toml".to_owned());
        };
        let position = |name: &String| labels.iter().position(|label| label == name);
        if let Some((name, _)) = scores.iter().find(|(name, _)| position(name).is_none()) {
            let name = quoted(name);
            return Err(format!(
                "its reply scores `{name}`, which is none of the package's labels"
            ));
        }
        scores.sort_by_key(|(name, _)| position(name));
        let missing = |label: &&String| !scores.iter().any(|(name, _)| name == *label);
        match labels.iter().find(missing) {
            Some(label) => Err(format!("its reply has no score for label `{label}`")),
            None => Ok(scores),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(scores: &[&str]) -> Result<Vec<String>, String> {
        let labels = Some(vec!["spam".to_owned(), "ham".to_owned()]);
        let scores = scores.iter().map(|label| ((*label).to_owned(), 0.5)).collect();
        match (Contract { labels, is_raw: false }).check(Reply::Scores(scores))? {
            Reply::Scores(scores) => Ok(scores.into_iter().map(|(label, _)| label).collect()),
            Reply::Raw { .. } => panic!("scores stay scores"),
        }
    }

    #[test]
    fn scores_come_in_the_order_of_the_packages_labels() {
        assert_eq!(check(&["ham", "spam"]).unwrap(), ["spam", "ham"]);
    }

    #[test]
    fn a_label_too_many_or_too_few_is_named() {
        assert_eq!(check(&["ham"]).unwrap_err(), "its reply has no score for label `spam`");
        let error = check(&["ham", "spam", "eggs"]).unwrap_err();
        assert_eq!(error, "its reply scores `eggs`, which is none of the package's labels");
    }

    #[test]
    fn a_body_is_for_raw_workers_only() {
        let body = Reply::Raw { content_type: "text/csv".to_owned(), body: "1".into() };
        assert!(Contract { labels: None, is_raw: true }.check(body.clone()).is_ok());
        let error = Contract { labels: None, is_raw: false }.check(body).unwrap_err();
        assert!(error.contains("`raw = true`"), "{error}");
    }
}
