//! Compares two replies and says where and how they differ.

mod body;
mod failure;
mod form;
mod found;
mod label;
mod object;
pub(crate) mod pair;
pub(crate) mod path;
pub(crate) mod scalar;
mod sequence;
mod table;

use crate::difference::{Difference, Kind, Permit};
use crate::json::{Number, Text, Value};
use crate::record::{Answer, Reply};
use crate::rules::{Rules, Side};

pub(crate) use body::each_value;
pub(crate) use form::Form;
pub(crate) use table::Csv;

use found::Found;
use pair::Pair;
use path::Path;
use sequence::Sequence;

/// What is compared: two replies to one request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case<'a> {
    /// The model that was called.
    pub(crate) model: &'a str,
    /// On whose behalf, where that is known.
    pub(crate) client: Option<&'a str>,
    /// What was captured: the reference side of every tolerance.
    pub(crate) old: &'a Reply,
    /// What the target replied.
    pub(crate) new: &'a Reply,
    /// What the legacy system replied when it was asked once more, where it was.
    pub(crate) noise: Option<&'a Reply>,
}

impl Case<'_> {
    /// The distinct ways in which the new reply differs from the old one, one for each field, kind
    /// and permit, in the order of the fields.
    ///
    /// Two calls without an answer are the same if they failed in the same way. A body that equals
    /// the captured one byte for byte does not differ, whatever the rules say.
    pub(crate) fn differences(&self, rules: &Rules) -> Vec<Difference> {
        rules.meet(self);
        let mut differences = self.to(self.new, rules, Side::Target);
        // A legacy system that failed when it was asked once more says nothing of its answers.
        if let Some(noise) = self.noise.filter(|noise| noise.answer.is_ok())
            && differences.iter().any(Difference::is_mismatch)
        {
            permit_noise(&mut differences, &self.to(noise, rules, Side::Legacy));
        }
        differences
    }

    /// From the captured reply to another one, of the target or of the legacy system itself.
    fn to(&self, other: &Reply, rules: &Rules, side: Side) -> Vec<Difference> {
        let found = Found::new(rules.judge(self.model, self.client));
        let mut comparison = Comparison { found, side };
        comparison.replies(self.old, other);
        comparison.found.differences()
    }
}

/// Where the legacy system's own values differ from time to time, the target's may in the same way,
/// numbers by as much.
fn permit_noise(differences: &mut [Difference], noise: &[Difference]) {
    for difference in differences.iter_mut().filter(|difference| difference.is_mismatch()) {
        if noise.iter().any(|noise| noise.is_mismatch() && covers(noise, difference)) {
            difference.permit = Some(Permit::Noise);
        }
    }
}

fn covers(noise: &Difference, difference: &Difference) -> bool {
    let is_numeric = |it: &Difference| it.distance.is_some() && it.kind != Kind::Label;
    let is_alike = noise.kind == difference.kind || is_numeric(noise) && is_numeric(difference);
    noise.field == difference.field && is_alike && noise.distance >= difference.distance
}

/// A comparison under way.
struct Comparison<'r> {
    found: Found<'r>,
    side: Side,
}

impl Comparison<'_> {
    fn replies(&mut self, old: &Reply, new: &Reply) {
        let unpaired = Pair::default();
        match (&old.answer, &new.answer) {
            (Ok(answer), Ok(other)) => {
                self.latency(old.latency_us, new.latency_us);
                self.answers(answer, other);
            }
            (Err(reason), Err(other)) if failure::are_alike(reason, other) => {}
            (Err(_), Ok(_)) => {
                self.found.add(&Path::Response, Kind::Unanswered, &unpaired);
            }
            (_, Err(_)) => {
                self.found.add(&Path::Response, Kind::Error, &unpaired);
            }
        }
    }

    fn latency(&mut self, old: Option<u64>, new: Option<u64>) {
        let judge = self.found.judge();
        if let Some(new) = new
            && let Some(excess_us) =
                judge.late().filter_map(|late| late.excess_us(old, new)).reduce(f64::max)
        {
            let permit = judge.permit(&Path::Latency, Kind::Late, &Pair::default());
            self.found.insert(&Path::Latency, Kind::Late, permit, Some(excess_us));
        }
    }

    /// Bodies are compared only where status and media type agree: a different kind of answer
    /// differs in every field, which would say nothing more.
    fn answers(&mut self, old: &Answer, new: &Answer) {
        if old.status != new.status {
            let texts = [old.status, new.status].map(|status| status.to_string());
            let [old, new] = texts.each_ref().map(|text| Number::parse(text).map(Value::Number));
            let pair = Pair { old: old.as_ref(), new: new.as_ref(), margin: None };
            self.found.add(&Path::Status, Kind::Status, &pair);
            return;
        }
        self.headers(old, new);
        let (media, other) = (form::media_type(old), form::media_type(new));
        let is_alike = match (media, other) {
            (Some(media), Some(other)) => media.eq_ignore_ascii_case(other),
            (media, other) => media == other,
        };
        if (is_alike || self.texts(&Path::ContentType, Kind::ContentType, media, other))
            && old.body != new.body
        {
            self.bodies(&old.unpacked(), &new.unpacked());
        }
    }

    /// Compressed or not, by what they hold.
    fn bodies(&mut self, old: &Answer, new: &Answer) {
        if old.body != new.body {
            self.body(Form::of_answers(old, new), &old.body, &new.body);
        }
    }

    fn headers(&mut self, old: &Answer, new: &Answer) {
        for name in self.found.judge().headers() {
            let [old, new] = [old, new].map(|answer| answer.header(name));
            if old != new {
                self.texts(&Path::Header(name), Kind::Header, old, new);
            }
        }
    }

    /// Adds a difference between two texts, and says whether something permits it.
    fn texts(&mut self, path: &Path<'_>, kind: Kind, old: Option<&str>, new: Option<&str>) -> bool {
        let [old, new] = [old, new].map(|text| text.map(|text| Value::Text(Text::plain(text))));
        let pair = Pair { old: old.as_ref(), new: new.as_ref(), margin: None };
        self.found.add(path, kind, &pair)
    }

    fn value(&mut self, path: &Path<'_>, old: &Value<'_>, new: &Value<'_>) {
        match (old, new) {
            (Value::Object(old), Value::Object(new)) => self.object(path, old, new),
            (Value::Array(old), Value::Array(new)) => {
                let elements = Path::Elements(path);
                self.sequence(Sequence { list: path, elements: &elements, old, new });
            }
            _ => {
                if let Some(kind) = scalar::kind(old, new) {
                    self.found.add(path, kind, &Pair::of(old, new));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
