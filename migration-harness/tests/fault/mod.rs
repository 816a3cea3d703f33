//! A model's sound answers, and the faults that are planted in them.

use serde_json::{Value, json};

/// What a call asks for.
#[derive(Clone, Copy)]
pub(crate) struct Call {
    pub(crate) number: usize,
    pub(crate) client: &'static str,
}

/// What a model answers.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) value: Value,
    /// What is sent in place of the value.
    pub(crate) text: Option<String>,
    pub(crate) is_cut: bool,
    pub(crate) is_late: bool,
}

/// The clients, each with a third of the calls.
pub(crate) const CLIENTS: [&str; 3] = ["alehouse", "toybox", "plainstore"];

impl Call {
    /// The call of that number.
    pub(crate) fn new(number: usize) -> Self {
        Self { number, client: CLIENTS[number % 3] }
    }

    /// The same at each run, and different for each purpose.
    fn random(self, purpose: u64) -> u64 {
        let mut x = (self.number as u64) << 8 | purpose;
        for _ in 0..3 {
            x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
            x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            x ^= x >> 27;
        }
        x
    }

    /// Whether it is one of so many.
    fn is_one_in(self, many: u64) -> bool {
        self.random(1).is_multiple_of(many)
    }

    /// Whether the text can't be scored, so that the sound answer is an error.
    fn is_refused(self) -> bool {
        self.is_one_in(11)
    }

    /// What the model answers as it should.
    pub(crate) fn sound(self) -> Answer {
        let (status, content_type, value) = if self.is_refused() {
            let value = json!({"type": "about:blank", "status": 422, "code": "no-text"});
            (422, "application/problem+json", value)
        } else {
            (200, "application/json", self.prediction())
        };
        Answer { status, content_type, value, text: None, is_cut: false, is_late: false }
    }

    fn prediction(self) -> Value {
        // Between a half and one, with all of a double's digits, and not one of single precision.
        let score = 0.5 + (self.random(2) >> 12 | 1) as f64 / (1_u64 << 53) as f64;
        let words: Vec<_> = (0..4).map(|n| format!("word{}", self.random(3) % 1_000 + n)).collect();
        json!({
            "label": "spam",
            "score": score,
            "scores": {"ham": 1.0 - score, "spam": score},
            "words": words,
            "length": self.random(4) % 500,
            "weight": (self.random(5) % 9) as f64,
            "bias": 0.0,
            "is_long": self.number.is_multiple_of(2),
            "note": "café, naïve, 한국어",
            "evidence": [{"field": "text", "start": 3, "end": 9}, {"field": "title", "start": 0, "end": 4}],
            "locale": "en_GB",
        })
    }
}

impl Answer {
    /// The bytes that are sent.
    pub(crate) fn body(&self) -> String {
        self.text.clone().unwrap_or_else(|| self.value.to_string())
    }
}

/// A fault of a model, and how it is to be found.
pub(crate) struct Fault {
    /// The model that has it.
    pub(crate) model: &'static str,
    /// The clusters of it: field and kind.
    pub(crate) clusters: &'static [(&'static str, &'static str)],
    /// How many records the model has.
    pub(crate) records: usize,
    /// Which calls have it.
    pub(crate) is_planted: fn(Call) -> bool,
    /// What is wrong with their answers.
    pub(crate) plant: fn(Call, &mut Answer),
}

impl Fault {
    /// The numbers of the calls that have it.
    pub(crate) fn planted(&self) -> impl Iterator<Item = Call> {
        (0..self.records).map(Call::new).filter(|call| (self.is_planted)(*call))
    }
}

fn some(call: Call) -> bool {
    call.is_one_in(7) && !call.is_refused()
}

fn refused(call: Call) -> bool {
    call.is_refused()
}

fn toybox(call: Call) -> bool {
    call.client == "toybox" && !call.is_refused()
}

/// The four first, which are under way at the same time.
fn first(call: Call) -> bool {
    call.number < 4
}

/// The 7,000th of 10,000, where no text is refused.
fn rare(call: Call) -> bool {
    call.number == 7_002
}

fn score(answer: &Answer) -> f64 {
    answer.value["score"].as_f64().unwrap()
}

fn swap(value: &mut Value, one: usize, other: usize) {
    value.as_array_mut().unwrap().swap(one, other);
}

const fn fault(
    model: &'static str,
    clusters: &'static [(&'static str, &'static str)],
    is_planted: fn(Call) -> bool,
    plant: fn(Call, &mut Answer),
) -> Fault {
    Fault { model, clusters, records: 340, is_planted, plant }
}

/// One fault a model.
pub(crate) const FAULTS: &[Fault] = &[
    fault("one-ulp", &[("score", "ulp")], some, |_, it| {
        it.value["score"] = f64::from_bits(score(it).to_bits() + 1).into();
    }),
    fault("float32", &[("score", "float32")], some, |_, it| {
        it.value["score"] = f64::from(score(it) as f32).into();
    }),
    fault("rounded", &[("score", "rounded")], some, |_, it| {
        it.value["score"] = ((score(it) * 1e6).round() / 1e6).into();
    }),
    fault("swapped", &[("scores.ham", "swapped"), ("scores.spam", "swapped")], some, |_, it| {
        let [ham, spam] = ["ham", "spam"].map(|label| it.value["scores"][label].clone());
        it.value["scores"] = json!({"ham": spam, "spam": ham});
    }),
    fault("flipped", &[("label", "label")], some, |_, it| it.value["label"] = "ham".into()),
    fault("negative-zero", &[("bias", "ulp")], some, |_, it| it.value["bias"] = (-0.0).into()),
    fault("not-a-number", &[("score", "value")], some, |_, it| {
        it.text = Some(
            it.value
                .to_string()
                .replace(&format!("\"score\":{}", it.value["score"]), "\"score\":NaN"),
        );
    }),
    fault("dropped", &[("score", "missing")], some, |_, it| {
        it.value.as_object_mut().unwrap().remove("score");
    }),
    fault("extra", &[("debug", "extra")], some, |_, it| it.value["debug"] = true.into()),
    fault("renamed", &[("probability", "extra"), ("score", "missing")], some, |_, it| {
        let score = it.value.as_object_mut().unwrap().remove("score").unwrap();
        it.value["probability"] = score;
    }),
    fault("nulled", &[("score", "null")], some, |_, it| it.value["score"] = Value::Null),
    fault("quoted", &[("length", "type")], some, |_, it| {
        it.value["length"] = it.value["length"].to_string().into();
    }),
    fault("integer", &[("weight", "type")], some, |_, it| {
        it.value["weight"] = (it.value["weight"].as_f64().unwrap() as u64).into();
    }),
    fault("decomposed", &[("note", "unicode")], some, |_, it| {
        it.value["note"] = "cafe\u{301}, nai\u{308}ve, 한국어".into();
    }),
    fault("upper-case", &[("label", "case")], some, |_, it| it.value["label"] = "SPAM".into()),
    fault("negated", &[("is_long", "value")], some, |_, it| {
        it.value["is_long"] = (!it.value["is_long"].as_bool().unwrap()).into();
    }),
    fault("reordered", &[("words[]", "order")], some, |_, it| swap(&mut it.value["words"], 0, 3)),
    fault("duplicated", &[("words[]", "length")], some, |_, it| {
        let words = it.value["words"].as_array_mut().unwrap();
        words.insert(1, words[1].clone());
    }),
    fault("shifted", &[("evidence[].start", "value")], some, |_, it| {
        it.value["evidence"][0]["start"] = 4.into();
    }),
    fault("error-code", &[("code", "value")], refused, |_, it| {
        it.value["code"] = "bad-request".into();
    }),
    fault("failing", &[("status", "status")], some, |_, it| {
        (it.status, it.value) = (500, json!({"title": "the model failed"}));
    }),
    fault("accepting", &[("status", "status")], refused, |call, it| {
        (it.status, it.content_type) = (200, "application/json");
        it.value = call.prediction();
    }),
    fault("mistyped", &[("content_type", "content_type")], some, |_, it| {
        it.content_type = "text/plain";
    }),
    fault("truncated", &[("body", "truncated")], some, |_, it| {
        let text = it.value.to_string();
        it.text = Some(text[..text.find("score").unwrap()].to_owned());
    }),
    fault("empty", &[("body", "truncated")], some, |_, it| it.text = Some(String::new())),
    fault("garbage", &[("body", "text")], some, |_, it| {
        it.text = Some("<html><h1>It works!</h1></html>".to_owned());
    }),
    fault("cut", &[("response", "error")], some, |_, it| it.is_cut = true),
    fault("late", &[("latency", "late")], first, |_, it| it.is_late = true),
    fault("one-client", &[("locale", "value")], toybox, |_, it| {
        it.value["locale"] = "en_US".into();
    }),
    fault("other-client", &[("score", "value")], some, |call, it| {
        it.value["score"] = Call::new(call.number + 10_007).prediction()["score"].clone();
    }),
    Fault {
        model: "one-in-ten-thousand",
        clusters: &[("score", "value")],
        records: 10_000,
        is_planted: rare,
        plant: |_, it| it.value["score"] = 0.123.into(),
    },
];
