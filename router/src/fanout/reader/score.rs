//! Reads what stands in a score's place, without keeping what is none.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A number from 0 to 1; none where there is anything else.
#[derive(Debug)]
pub(super) struct Score(pub(super) Option<f64>);

impl Score {
    pub(super) fn of(number: f64) -> Self {
        Self(Some(number).filter(|score| (0.0..=1.0).contains(score)))
    }
}

impl<'de> Deserialize<'de> for Score {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Anything)
    }
}

struct Anything;

impl<'de> Visitor<'de> for Anything {
    type Value = Score;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_f64<E>(self, number: f64) -> Result<Score, E> {
        Ok(Score::of(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Score, E> {
        Ok(Score::of(number as f64))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Score, E> {
        Ok(Score::of(number as f64))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Score, E> {
        Ok(Score(None))
    }

    fn visit_unit<E>(self) -> Result<Score, E> {
        Ok(Score(None))
    }

    fn visit_str<E>(self, _: &str) -> Result<Score, E> {
        Ok(Score(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Score, A::Error> {
        IgnoredAny.visit_seq(list).map(|_| Score(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Score, A::Error> {
        IgnoredAny.visit_map(object).map(|_| Score(None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_stands_there_is_a_number_from_0_to_1_or_no_score() {
        for (text, expected) in [
            ("0.25", Some(0.25)),
            ("0", Some(0.0)),
            ("1", Some(1.0)),
            ("-0.0", Some(-0.0)),
            ("2", None),
            ("-1", None),
            ("1.0000000000000002", None),
            ("null", None),
            ("true", None),
            (r#""0.5""#, None),
            ("[0.5, [1]]", None),
            (r#"{"a": {"a": 1}}"#, None),
        ] {
            let Score(score) = serde_json::from_str(text).unwrap();
            assert_eq!(score, expected, "{text}");
        }
        assert!(serde_json::from_str::<Score>("[0.5").is_err());
        assert!(serde_json::from_str::<Score>("1e999").is_err());
    }
}
