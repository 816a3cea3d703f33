//! What a process must answer before it gets calls: the package's canaries, or at least anything.

use serde_json::Value;

use super::call::{Call, Reply};
use super::contract::Contract;
use super::process::{Event, Process};
use super::wire::Spoken;
use crate::document::{Document, Field};
use crate::package::{Canary, CanaryField, Manifest};

/// A request that is sent to every process when it starts.
pub(super) struct Probe {
    call: Call,
    /// What it is called in a sentence.
    name: String,
    expected: Expected,
}

/// What has to come back.
enum Expected {
    /// Anything of the documented form, an error as well; it proves that the process lives.
    Life,
    /// An answer.
    Answer,
    /// An answer with this label.
    Label(String),
}

impl Probe {
    /// The canaries, or without any, a request with an empty text.
    pub(super) fn all(manifest: &Manifest) -> Result<Vec<Self>, String> {
        if manifest.canaries.is_empty() {
            let call = Call::of_fields(&empty(manifest), manifest.raw);
            let name = "its first request, an empty text".to_owned();
            return Ok(vec![Self { call, name, expected: Expected::Life }]);
        }
        let canaries = manifest.canaries.iter().enumerate();
        canaries.map(|(index, canary)| Self::canary(manifest, index, canary)).collect()
    }

    fn canary(manifest: &Manifest, index: usize, canary: &Canary) -> Result<Self, String> {
        let name = format!("canary {}", index + 1);
        let field = |name| canary.input.get(name).map_or(Field::Absent, CanaryField::as_field);
        let fields: Vec<_> = manifest.input.names().map(field).collect();
        let call = if manifest.raw {
            Call::of_fields(&canary.input, true)
        } else {
            let document = Document::of_fields(&manifest.input, &fields)
                .map_err(|error| format!("{name}: {error}"))?;
            Call::of_fields(&document.fields(&manifest.input), false)
        };
        let expected = canary.label.clone().map_or(Expected::Answer, Expected::Label);
        Ok(Self { call, name, expected })
    }

    /// Asks a process; the error is the predicate of a sentence about it.
    ///
    /// A line that is no reply is put into `garbage` and then either fails the probe or doesn't:
    /// many programs greet on standard output before they are asked anything.
    pub(super) async fn ask(
        &self,
        process: &mut Process,
        contract: &Contract,
        garbage: &mut Garbage,
    ) -> Result<(), String> {
        let sent = process.send(&self.call);
        loop {
            match process.event().await {
                Event::Spoken(Spoken::Reply { id, reply }) if id == sent => {
                    let name = &self.name;
                    return self
                        .check(reply, contract)
                        .map_err(|reason| format!("failed {name}: {reason}"));
                }
                Event::Spoken(Spoken::Reply { .. }) => {}
                Event::Spoken(Spoken::Garbage(sentence)) => garbage.note(&self.name, &sentence)?,
                Event::Ended(death) => return Err(death.how),
            }
        }
    }

    fn check(&self, reply: Result<Reply, String>, contract: &Contract) -> Result<(), String> {
        let reply = match (&self.expected, reply) {
            (Expected::Life, Err(_)) => return Ok(()),
            (_, reply) => contract.check(reply?)?,
        };
        let Expected::Label(expected) = &self.expected else { return Ok(()) };
        let label = match reply {
            Reply::Scores(scores) => best(scores),
            Reply::Raw { body, .. } => label_of(&body)?,
        };
        if label == *expected {
            return Ok(());
        }
        Err(format!("expected label `{expected}`, got `{label}`"))
    }
}

/// Lines that are no replies, seen while a process started.
#[derive(Default)]
pub(super) struct Garbage {
    /// Whether one was there.
    pub(super) was_seen: bool,
    /// Whether another one fails the start.
    pub(super) is_fatal: bool,
}

impl Garbage {
    fn note(&mut self, probe: &str, sentence: &str) -> Result<(), String> {
        if self.is_fatal {
            return Err(format!("failed {probe}: {sentence}"));
        }
        if !self.was_seen {
            tracing::warn!(target: "worker", "{sentence}");
        }
        self.was_seen = true;
        Ok(())
    }
}

/// Empty texts, and zeros.
fn empty(manifest: &Manifest) -> Value {
    let texts = manifest.input.text.iter().map(|name| (name.clone(), Value::from("")));
    let numbers = manifest.input.numbers.iter().map(|name| (name.clone(), Value::from(0)));
    texts.chain(numbers).collect()
}

/// The label with the highest score, the first of equals.
fn best(scores: Vec<(String, f64)>) -> String {
    let better =
        |best: (String, f64), next: (String, f64)| if next.1 > best.1 { next } else { best };
    scores.into_iter().reduce(better).map(|(label, _)| label).unwrap_or_default()
}

/// The label in a body of a worker's own form.
fn label_of(body: &[u8]) -> Result<String, String> {
    let body: Value = serde_json::from_slice(body)
        .map_err(|error| format!("its answer is not JSON, so that no label is seen: {error}"))?;
    let places = ["/label", "/predictions/0/label", "/0/label"];
    let label = places.iter().find_map(|place| body.pointer(place)?.as_str());
    label.map(str::to_owned).ok_or_else(|| {
        "its answer has no `label`; leave the canary out where there are no labels".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(label: Option<&str>) -> Probe {
        let call = Call::of_fields(&serde_json::json!({"text": "x"}), false);
        let expected = label.map_or(Expected::Life, |label| Expected::Label(label.to_owned()));
        Probe { call, name: "canary 1".to_owned(), expected }
    }

    fn raw(body: &'static str) -> Result<Reply, String> {
        let content_type = "application/json".to_owned();
        Ok(Reply::Raw { content_type, body: body.into() })
    }

    #[test]
    fn a_raw_answers_label_is_found_in_the_usual_places() {
        let contract = Contract { labels: None, is_raw: true };
        let check = |body| probe(Some("spam")).check(raw(body), &contract);
        assert_eq!(check(r#"{"label": "spam"}"#), Ok(()));
        assert_eq!(check(r#"[{"label": "spam", "score": 1}]"#), Ok(()));
        let error = check(r#"{"predictions": [{"label": "ham"}]}"#).unwrap_err();
        assert_eq!(error, "expected label `spam`, got `ham`");
        assert!(check("[0.5]").unwrap_err().contains("has no `label`"));
        assert!(check("0.1,").unwrap_err().contains("not JSON"));
    }

    #[test]
    fn without_a_canary_an_error_proves_life_but_not_with_one() {
        let labels = Some(vec!["ham".to_owned()]);
        let contract = Contract { labels, is_raw: false };
        assert_eq!(probe(None).check(Err("no text".to_owned()), &contract), Ok(()));
        assert!(probe(Some("ham")).check(Err("no text".to_owned()), &contract).is_err());
        let other = Ok(Reply::Scores(vec![("spam".to_owned(), 1.0)]));
        assert!(probe(None).check(other, &contract).is_err());
    }
}
