//! What a generated `when` means, read from its text: comparisons of one fact with one literal,
//! `has(…)`, two patterns, `!(…)` around one of these, and `&&` and `||` between them.

use serde_json::Value;

/// A pattern that is quickly found.
pub(in crate::moderation) const EASY: &str = "b{3}a";

/// A pattern that takes too long to find in so long a text as there is.
pub(in crate::moderation) const HARD: &str = "b[ab]{90}c";

/// The length of that text; the other texts have far fewer letters.
pub(in crate::moderation) const LONG: usize = 8_000;

/// What is wrong where it takes too long.
pub(in crate::moderation) const TOO_MUCH: &str =
    "the texts are too long for all these patterns and searches";

/// Whether it holds, or what is wrong with it.
pub(super) type Truth = Result<bool, String>;

/// The facts by the names that expressions have for them.
pub(super) type Facts<'a> = &'a dyn Fn(&str) -> Option<Value>;

pub(super) fn holds(text: &str, facts: Facts<'_>) -> Truth {
    if text.contains(" || ") {
        return weigh(text.split(" || ").map(|side| holds(side, facts)), true);
    }
    if text.contains(" && ") {
        return weigh(text.split(" && ").map(|side| holds(side, facts)), false);
    }
    let inside = |before: &str| text.strip_prefix(before)?.strip_suffix(')');
    if let Some(inside) = inside("!(") {
        return holds(inside, facts).map(|holds| !holds);
    }
    if let Some((fact, pattern)) = text.split_once(".matches(") {
        return matches(facts(fact), pattern.trim_matches(['\'', ')']));
    }
    match inside("has(") {
        Some(fact) => Ok(facts(fact).is_some()),
        None => compare(text, facts),
    }
}

/// The rules whose scores it looks at.
pub(super) fn rules(text: &str) -> impl Iterator<Item = &str> {
    text.split("scores.").skip(1).filter_map(|rest| rest.split([' ', ')']).next())
}

/// One side that is `decisive` is enough, whatever is wrong with the others.
fn weigh(sides: impl Iterator<Item = Truth>, decisive: bool) -> Truth {
    let mut all = Ok(!decisive);
    for side in sides {
        match side {
            Ok(holds) if holds == decisive => return Ok(decisive),
            Ok(_) => {}
            Err(_) if all.as_ref().is_err_and(|error| error == TOO_MUCH) => {}
            Err(error) => all = Err(error),
        }
    }
    all
}

fn matches(text: Option<Value>, pattern: &str) -> Truth {
    let text = text.expect("each content has a text");
    let text = text.as_str().unwrap();
    match pattern {
        HARD if text.len() == LONG => Err(TOO_MUCH.to_owned()),
        _ => Ok(regex::Regex::new(pattern).unwrap().is_match(text)),
    }
}

fn compare(text: &str, facts: Facts<'_>) -> Truth {
    let mut words = text.splitn(3, ' ');
    let mut word = || words.next().unwrap();
    let (fact, operator, literal) = (word(), word(), word().replace('\'', "\""));
    let literal: Value = serde_json::from_str(&literal).unwrap();
    let value = facts(fact).ok_or_else(|| format!("`{fact}` is absent"))?;
    let (left, right) = (value.as_f64(), literal.as_f64());
    Ok(match operator {
        "in" => literal.as_array().unwrap().contains(&value),
        "==" => value == literal,
        "!=" => value != literal,
        "<" => left < right,
        "<=" => left <= right,
        ">" => left > right,
        ">=" => left >= right,
        other => panic!("`{other}` is never generated"),
    })
}
