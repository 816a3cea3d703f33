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

/// How much less the old answer gave the new label than its own; none where it didn't know it.
pub(super) fn margin(old: Text<'_>, new: Text<'_>, siblings: &[Member<'_>]) -> Option<f64> {
    let scores = scores(siblings)?;
    let score = |label: Text<'_>| {
        let found = scores.iter().find(|score| score.name == label)?;
        Some(found.value.number()?.as_f64())
    };
    Some((score(old)? - score(new)?).abs())
}

fn scores<'v>(siblings: &'v [Member<'v>]) -> Option<&'v [Member<'v>]> {
    siblings.iter().find(|sibling| sibling.name == Text::plain(SCORES))?.value.members()
}
