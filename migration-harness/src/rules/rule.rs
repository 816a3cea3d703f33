//! One rule: what it is about and what it permits.

use std::time::Duration;

use super::number::Numbers;
use super::pattern::{Glob, Pattern};
use super::string::Strings;
use crate::compare::pair::Pair;
use crate::compare::path::Path;
use crate::difference::Kind;
use crate::json::{Quantity, Value};

/// A rule.
#[derive(Debug)]
pub(crate) struct Rule {
    /// Its name in reports.
    pub(crate) name: String,
    /// The models and clients that it is about.
    pub(crate) scope: Scope,
    /// The fields.
    pub(crate) field: Pattern,
    /// The field as it was written.
    pub(crate) written_field: String,
    /// The kinds of differences; none for all.
    pub(crate) kinds: Option<Vec<Kind>>,
    /// What it does.
    pub(crate) terms: Terms,
}

/// The models and clients that a rule is about.
#[derive(Debug, Default)]
pub(crate) struct Scope {
    /// None for all.
    pub(crate) models: Option<Vec<Glob>>,
    /// None for all, also where a record names no client.
    pub(crate) clients: Option<Vec<Glob>>,
}

/// What a rule permits or demands.
#[derive(Debug, Default)]
pub(crate) struct Terms {
    /// Anything may differ.
    pub(crate) ignore: bool,
    /// How numbers may differ.
    pub(crate) numbers: Numbers,
    /// How strings may differ.
    pub(crate) strings: Strings,
    /// Whether a null is as good as an absent member.
    pub(crate) null_is_missing: bool,
    /// How close the captured scores of two labels are for one to become the other.
    pub(crate) margin: Option<f64>,
    /// Old and new values that are the same thing under two names.
    pub(crate) values: Vec<(Scalar, Scalar)>,
    /// How the elements of arrays find each other.
    pub(crate) order: Option<Order>,
    /// How late is late.
    pub(crate) late: Late,
    /// Whether differences of text only are mismatches.
    pub(crate) is_text_exact: bool,
}

/// How the elements of two arrays find each other.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Order {
    /// By being the same.
    Any,
    /// By the same value of this member.
    Key(String),
}

/// How late is late: later than any of these.
#[derive(Debug, Default)]
pub(crate) struct Late {
    /// Than this.
    pub(crate) at_most: Option<Duration>,
    /// Than so many times the captured latency.
    pub(crate) ratio: Option<f64>,
}

/// A value in a file of rules.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(untagged, expecting = "a string, a number, `true` or `false`")]
pub(crate) enum Scalar {
    /// `true` or `false`.
    Bool(bool),
    /// An integer.
    Integer(i64),
    /// A double.
    Double(f64),
    /// A string.
    Text(String),
}

/// What a rule says on a difference that it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ruling {
    /// It is permitted.
    Permitted,
    /// It is a mismatch, though it is of text only.
    Refused,
}

impl Rule {
    /// What it says on a difference, or `None` where it has nothing to say.
    pub(crate) fn ruling(&self, path: &Path<'_>, kind: Kind, pair: &Pair<'_>) -> Option<Ruling> {
        let is_asked = |kinds: &Vec<Kind>| kinds.contains(&kind);
        if !self.kinds.as_ref().is_none_or(is_asked) {
            return None;
        }
        if self.terms.ignore {
            return self.field.covers(path).then_some(Ruling::Permitted);
        }
        if !self.field.matches(path) {
            return None;
        }
        if kind.is_of_text_only() {
            return self.terms.is_text_exact.then_some(Ruling::Refused);
        }
        self.terms.permit(kind, pair).then_some(Ruling::Permitted)
    }
}

impl Scope {
    /// Whether a call is in it.
    pub(crate) fn holds(&self, model: &str, client: Option<&str>) -> bool {
        let fits = |globs: &Vec<Glob>| client.is_some_and(|client| any(globs, client));
        self.is_about_model(model) && self.clients.as_ref().is_none_or(fits)
    }

    /// Whether the calls of a model can be in it.
    pub(super) fn is_about_model(&self, model: &str) -> bool {
        self.models.as_ref().is_none_or(|globs| any(globs, model))
    }
}

fn any(globs: &[Glob], name: &str) -> bool {
    globs.iter().any(|glob| glob.matches(name))
}

impl Terms {
    fn permit(&self, kind: Kind, pair: &Pair<'_>) -> bool {
        match kind {
            Kind::Label if self.is_close(pair) => true,
            Kind::Missing => {
                self.null_is_missing && matches!((pair.old, pair.new), (Some(Value::Null), None))
            }
            Kind::Extra => {
                self.null_is_missing && matches!((pair.old, pair.new), (None, Some(Value::Null)))
            }
            _ => match (pair.old, pair.new) {
                (Some(old), Some(new)) => self.permit_values(old, new),
                _ => false,
            },
        }
    }

    fn is_close(&self, pair: &Pair<'_>) -> bool {
        self.margin.zip(pair.margin).is_some_and(|(limit, margin)| margin < limit)
    }

    fn permit_values(&self, old: &Value<'_>, new: &Value<'_>) -> bool {
        self.numbers.permit(old, new)
            || self.strings.permit(old, new)
            || self.values.iter().any(|(one, other)| one.is(old) && other.is(new))
    }
}

impl Late {
    /// Whether there is nothing to hold latencies against.
    pub(crate) fn is_empty(&self) -> bool {
        self.at_most.is_none() && self.ratio.is_none()
    }

    /// By how many microseconds a call was too late.
    pub(crate) fn excess_us(&self, old: Option<u64>, new: u64) -> Option<f64> {
        let limits = [
            self.at_most.map(|limit| limit.as_secs_f64() * 1e6),
            self.ratio.zip(old).map(|(ratio, old)| ratio * old as f64),
        ];
        let limit = limits.into_iter().flatten().reduce(f64::min)?;
        (new as f64 > limit).then_some(new as f64 - limit)
    }
}

impl Scalar {
    fn is(&self, value: &Value<'_>) -> bool {
        match (self, value) {
            (Self::Bool(one), Value::Bool(other)) => one == other,
            (Self::Text(one), Value::Text(other)) => *one == other.read(),
            (Self::Integer(one), Value::Number(other)) => {
                other.quantity() == Quantity::Integer((*one).into())
            }
            (Self::Double(one), Value::Number(other)) => other.quantity() == Quantity::Double(*one),
            _ => false,
        }
    }
}
