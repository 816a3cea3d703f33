//! The two values that stand at one place.

use crate::json::Value;

/// What stands at a place in the captured reply and in the new one.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Pair<'v> {
    /// In the captured one; none where it isn't there, or no value.
    pub(crate) old: Option<&'v Value<'v>>,
    /// In the new one.
    pub(crate) new: Option<&'v Value<'v>>,
    /// How far the captured answer's scores for the two are apart, where they are labels.
    pub(crate) margin: Option<f64>,
}

impl<'v> Pair<'v> {
    /// Both are there.
    pub(crate) fn of(old: &'v Value<'v>, new: &'v Value<'v>) -> Self {
        Self { old: Some(old), new: Some(new), margin: None }
    }

    /// How far two numbers are apart, or for labels how narrowly the old one was decided.
    pub(crate) fn distance(&self) -> Option<f64> {
        let number = |value: Option<&Value<'_>>| Some(value?.number()?.as_f64());
        let apart = || Some((number(self.new)? - number(self.old)?).abs());
        self.margin.or_else(apart).filter(|distance| distance.is_finite())
    }
}
