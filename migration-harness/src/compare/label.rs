//! Which strings are labels: what models decide for.

use crate::json::{Member, Text};

/// The member that holds the scores of labels.
const SCORES: &str = "scores";
/// The member that is a label whatever it holds.
const LABEL: &str = "label";

/// Whether a string is a label: by its name, or as it is one of those that its siblings have
/// scores for.
pub(super) fn is_label(name: Text<'_>, value: Text<'_>, siblings: &[Member<'_>]) -> bool {
    name == Text::plain(LABEL)
        || scores(siblings).is_some_and(|scores| scores.iter().any(|score| score.name == value))
}

/// How far the first two scores are apart.
pub(super) fn margin(siblings: &[Member<'_>]) -> Option<f64> {
    let scores = scores(siblings)?.iter().filter_map(|score| Some(score.value.number()?.as_f64()));
    let mut scores: Vec<f64> = scores.collect();
    scores.sort_by(|one, other| other.total_cmp(one));
    Some(scores.first()? - scores.get(1)?)
}

fn scores<'v>(siblings: &'v [Member<'v>]) -> Option<&'v [Member<'v>]> {
    siblings.iter().find(|sibling| sibling.name == Text::plain(SCORES))?.value.members()
}
