//! What must be known before what, where a `when` looks at the scores of other rules.

use std::collections::BTreeSet;

use super::merge::{Merged, MergedRule};
use super::name::Name;

/// Puts nodes into an order in which each comes after those that it waits for; where some wait for
/// each other, gives such a circle, each waiting for the next and the last for the first.
pub(super) fn sort(waits: &[Vec<usize>]) -> Result<Vec<usize>, Vec<usize>> {
    let mut awaited_by = vec![Vec::new(); waits.len()];
    for (node, others) in waits.iter().enumerate() {
        others.iter().for_each(|&other| awaited_by[other].push(node));
    }
    let mut open: Vec<usize> = waits.iter().map(Vec::len).collect();
    let mut sorted: Vec<usize> = (0..waits.len()).filter(|&node| open[node] == 0).collect();
    let mut next = 0;
    while let Some(&node) = sorted.get(next) {
        next += 1;
        for &waiting in &awaited_by[node] {
            open[waiting] -= 1;
            if open[waiting] == 0 {
                sorted.push(waiting);
            }
        }
    }
    match open.iter().position(|&waits| waits > 0) {
        None => Ok(sorted),
        Some(stuck) => Err(circle(waits, &open, stuck)),
    }
}

/// From a node that waits for ever, on to what it waits for, until one comes again.
fn circle(waits: &[Vec<usize>], open: &[usize], stuck: usize) -> Vec<usize> {
    let mut path = vec![stuck];
    loop {
        let last = path[path.len() - 1];
        let next = waits[last].iter().copied().find(|&other| open[other] > 0);
        let next = next.expect("who waits for ever waits for one that does");
        if let Some(begin) = path.iter().position(|&seen| seen == next) {
            return path.split_off(begin);
        }
        path.push(next);
    }
}

/// A rule that looks at the score of another in its `when`.
struct Look<'a> {
    rule: Named<'a>,
    seen: Named<'a>,
}

type Named<'a> = (&'a Name, &'a MergedRule);

/// The rule whose `when` is at fault, and what is wrong with it.
type Fault<'a> = (&'a Name, String);

/// Refuses a `when` that looks at a score which it could never know.
pub(super) fn check_order(options: &Merged) -> Result<(), Fault<'_>> {
    let mut looks = Vec::new();
    for (name, rule) in &options.rules {
        let when = rule.when.as_ref().filter(|_| rule.is_enabled());
        for seen in when.iter().flat_map(|when| when.value.rules()) {
            let seen = find(name, seen, options).map_err(|detail| (name, detail))?;
            looks.push(Look { rule: (name, rule), seen });
        }
    }
    match circle_of(&looks, |(name, _)| name) {
        Some(circle) => return Err((circle[0].rule.0, rules_wait(&circle))),
        None => looks.retain(|look| model(look.rule) != model(look.seen)),
    }
    // Rules of one model share its call and may look at each other's scores; calls cannot wait for
    // each other.
    match circle_of(&looks, model) {
        Some(circle) => Err((circle[0].rule.0, models_wait(&circle))),
        None => Ok(()),
    }
}

/// The rule that the `when` of `rule` looks at.
fn find<'a>(rule: &Name, seen: &Name, options: &'a Merged) -> Result<Named<'a>, String> {
    if rule == seen {
        return Err(format!(
            "looks at scores.{seen}, the rule's own score, which is only known once it has run; \
             use its thresholds instead"
        ));
    }
    match options.rules.get_key_value(seen) {
        None => Err(format!(
            "looks at scores.{seen}, but there is no rule `{seen}` here or in a scope above"
        )),
        Some((_, found)) if !found.is_enabled() => {
            let by = found.enabled.as_ref().map(|enabled| enabled.set_by.to_string());
            Err(format!(
                "looks at scores.{seen}, but the rule `{seen}` is disabled here (set by `{}`), so \
                 it has no score; enable it, or take it out of the expression",
                by.unwrap_or_default()
            ))
        }
        Some((name, found)) => Ok((name, found)),
    }
}

fn model(rule: Named<'_>) -> &Name {
    let model = rule.1.model.as_ref();
    // An enabled rule without a model has been refused before.
    model.map_or(rule.0, |model| &model.value)
}

/// Looks that form a circle between what `node` makes of rules, if there are any.
fn circle_of<'l, 'a>(
    looks: &'l [Look<'a>],
    node: impl Fn(Named<'a>) -> &'a Name,
) -> Option<Vec<&'l Look<'a>>> {
    let ends = looks.iter().flat_map(|look| [node(look.rule), node(look.seen)]);
    let nodes: Vec<&Name> = ends.collect::<BTreeSet<_>>().into_iter().collect();
    let index = |name| nodes.binary_search(&name).expect("each end of a look is a node");
    let mut waits = vec![Vec::new(); nodes.len()];
    for look in looks {
        waits[index(node(look.rule))].push(index(node(look.seen)));
    }
    let circle = sort(&waits).err()?;
    let next = circle.iter().cycle().skip(1);
    let look = |(from, to): (&usize, &usize)| {
        looks.iter().find(|l| node(l.rule) == nodes[*from] && node(l.seen) == nodes[*to])
    };
    circle.iter().zip(next).map(look).collect()
}

fn rules_wait(circle: &[&Look<'_>]) -> String {
    let looks = circle.iter().map(|l| format!("`{}` looks at scores.{}", l.rule.0, l.seen.0));
    format!(
        "these rules wait for each other's scores: {}; take one of them out of its `when`",
        looks.collect::<Vec<_>>().join(", ")
    )
}

fn models_wait(circle: &[&Look<'_>]) -> String {
    let waits = circle.iter().map(|l| {
        let (waiting, awaited) = (model(l.rule), model(l.seen));
        format!("`{waiting}` for `{awaited}` (rule `{}` looks at scores.{})", l.rule.0, l.seen.0)
    });
    format!(
        "these models would wait for each other, since each is asked once for all its rules: {}; \
         take one of these scores out of its `when`",
        waits.collect::<Vec<_>>().join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::super::example::policy;
    use super::*;

    #[test]
    fn each_comes_after_those_that_it_waits_for() {
        let order = sort(&[vec![2], vec![0, 2], vec![], vec![1, 1]]).unwrap();
        assert_eq!(order, [2, 0, 1, 3]);
        assert_eq!(sort(&[]), Ok(vec![]));
    }

    #[test]
    fn those_that_wait_for_each_other_are_given_as_a_circle() {
        assert_eq!(sort(&[vec![1], vec![2], vec![1]]), Err(vec![1, 2]));
        assert_eq!(sort(&[vec![0]]), Err(vec![0]));
    }

    /// What is wrong with rules on the models m1 and m2, if anything.
    fn fault(rules: &str) -> Option<String> {
        let model = r#"{"endpoint": {"sagemaker": "m"}}"#;
        let platform = format!(r#"{{"rules": {rules}}}"#);
        let documents =
            [("models/m1", model), ("models/m2", model), ("scopes/platform", &*platform)];
        policy(&documents).err().map(|problem| problem.detail)
    }

    #[test]
    fn a_when_that_could_never_be_known_is_refused_in_words() {
        let cases = [
            (
                r#"{"a": {"model": "m1", "label": "x", "when": "scores.a > 0.5"}}"#,
                "rules.a.when: looks at scores.a, the rule's own score",
            ),
            (
                r#"{"a": {"model": "m1", "label": "x", "when": "scores.b > 0.5"}}"#,
                "rules.a.when: looks at scores.b, but there is no rule `b`",
            ),
            (
                r#"{"a": {"model": "m1", "label": "x", "when": "scores.b > 0.5"},
                    "b": {"enabled": false}}"#,
                "rules.a.when: looks at scores.b, but the rule `b` is disabled here (set by `platform`)",
            ),
            (
                r#"{"a": {"model": "m1", "label": "x", "when": "scores.b > 0.5"},
                    "b": {"model": "m1", "label": "x", "when": "scores.a > 0.5"}}"#,
                "rules.a.when: these rules wait for each other's scores: `a` looks at scores.b, \
                 `b` looks at scores.a;",
            ),
            (
                r#"{"a": {"model": "m1", "label": "x", "when": "scores.b > 0.5"},
                    "b": {"model": "m2", "label": "x"},
                    "c": {"model": "m2", "label": "x", "when": "scores.d > 0.5"},
                    "d": {"model": "m1", "label": "x"}}"#,
                "rules.a.when: these models would wait for each other, since each is asked once \
                 for all its rules: `m1` for `m2` (rule `a` looks at scores.b), `m2` for `m1` \
                 (rule `c` looks at scores.d);",
            ),
        ];
        for (rules, expected) in cases {
            let fault = fault(rules).unwrap();
            assert!(fault.starts_with(&format!("`platform`: {expected}")), "{fault}");
        }
    }

    #[test]
    fn rules_of_one_model_and_disabled_rules_may_look_where_they_like() {
        let same = r#"{"a": {"model": "m1", "label": "x", "when": "scores.b > 0.5"},
                       "b": {"model": "m1", "label": "y"}}"#;
        assert_eq!(fault(same), None);
        let disabled = r#"{"a": {"enabled": false, "when": "scores.b > 0.5"}}"#;
        assert_eq!(fault(disabled), None);
    }

    #[test]
    fn a_scope_below_cannot_disable_what_a_rule_looks_at() {
        let model = ("models/m", r#"{"endpoint": {"sagemaker": "m"}}"#);
        let rules = r#"{"rules": {"a": {"model": "m", "label": "x", "when": "scores.b > 0.5"},
                                  "b": {"model": "m", "label": "x"}}}"#;
        let below = r#"{"rules": {"b": {"enabled": false}}}"#;
        let documents = [model, ("scopes/platform", rules), ("scopes/client/a", below)];
        let fault = policy(&documents).unwrap_err().detail;
        assert!(fault.starts_with("`client/a`: rules.a.when: looks at scores.b"), "{fault}");
        assert!(fault.contains("(set by `client/a`)"), "{fault}");
    }
}
