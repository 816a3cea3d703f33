//! `when`: whether a rule takes part, as an expression in CEL that is checked when it is written.
//!
//! - Names: `content.type`, `.locale`, `.site`, `.author_id`, `.product_id` and `.content_id`
//!   (text), `content.rating` (a number), `content.fields.NAME` (text), `client` (text) and
//!   `scores.RULE` (a number). A name that is no identifier goes into brackets:
//!   `scores['my-rule']`.
//! - Literals: `'text'` as CEL has it, numbers, `true`, `false`, and lists of them after `in`.
//! - Operators: `&& || ! ?: == != < <= > >= in + - * / %`. Whole numbers compare with others;
//!   to calculate, both sides are whole or both are not.
//! - Functions: `has(name)`, `size(text)`, `text.contains(text)`, `.startsWith`, `.endsWith`,
//!   `.matches('pattern')`, `int(x)` and `double(x)` of a number or text. A pattern is a regular
//!   expression in quotes, `(?i)` first where case is nothing; at most four, and an error for
//!   a text of more than 32 KiB.
//!
//! What an expression does with the content's texts is counted, and an error once it is too much.
//! Each has steps of its own, so that none fails for what another one does.
//!
//! What is absent or too much is an error, which `||` and `&&` pass over where their other side
//! decides: `true || absent` is true, in either order.

mod check;
mod facts;
mod fault;
mod function;
mod operand;
mod path;
mod pattern;
mod search;
mod shape;
mod walk;
mod when;
mod work;

use std::sync::Arc;

use cel::{IdedExpr, ParseError, ParseErrors};
use serde::{Deserialize, Serialize};

use self::check::Check;
use self::facts::Fact;
use self::fault::Fault;
use self::operand::{ENV, Operand};
use self::pattern::Pattern;
use super::name::Name;

pub(crate) use self::facts::Facts;
pub(crate) use self::when::When;

/// A checked `when` expression; cheap to clone.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Condition(Arc<Checked>);

#[derive(Debug)]
struct Checked {
    text: String,
    expr: IdedExpr,
    operands: Vec<Operand>,
    rules: Vec<Name>,
}

impl Condition {
    /// Refuses what cannot run, naming the position ("column 14: …").
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        checked(text).map(|it| Self(Arc::new(it))).map_err(|fault| fault.in_text(text))
    }

    /// The rules whose scores it looks at.
    pub(crate) fn rules(&self) -> &[Name] {
        &self.0.rules
    }

    /// How many patterns it has.
    pub(crate) fn pattern_count(&self) -> usize {
        self.patterns().count()
    }

    /// What its patterns take when they are compiled.
    pub(crate) fn pattern_bytes(&self) -> usize {
        self.patterns().map(Pattern::bytes).sum()
    }

    /// Refuses in words a pattern that is too large to be written.
    pub(crate) fn check_patterns(&self) -> Result<(), String> {
        self.patterns().try_for_each(Pattern::check_size)
    }

    fn patterns(&self) -> impl Iterator<Item = &Pattern> {
        self.0.operands.iter().filter_map(Operand::as_pattern)
    }

    /// As it was written.
    pub(crate) fn as_str(&self) -> &str {
        &self.0.text
    }
}

impl PartialEq for Condition {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl TryFrom<String> for Condition {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl From<Condition> for String {
    fn from(condition: Condition) -> Self {
        condition.as_str().to_owned()
    }
}

fn checked(text: &str) -> Result<Checked, Fault> {
    shape::check_shape(text)?;
    let parsed = ENV.parser().parse_with_source_info(text);
    let (mut expr, places) = parsed.map_err(|errors| syntax(text, &errors))?;
    let mut check = Check { places: &places, operands: Vec::new() };
    check.whole(&mut expr)?;
    let operands = check.operands;
    let rules = rules(&operands);
    Ok(Checked { text: text.to_owned(), expr, operands, rules })
}

fn rules(operands: &[Operand]) -> Vec<Name> {
    let rule = |operand: &Operand| match operand {
        Operand::Value(Fact::Score(rule)) | Operand::Presence(Fact::Score(rule)) => {
            Some(rule.clone())
        }
        _ => None,
    };
    let mut rules: Vec<_> = operands.iter().filter_map(rule).collect();
    rules.sort();
    rules.dedup();
    rules
}

/// The first fault that the parser found; what it says of its grammar is of no use to a reader.
fn syntax(text: &str, errors: &ParseErrors) -> Fault {
    let in_grammar = |error: &&ParseError| error.msg.starts_with("Syntax error");
    let Some(error) = errors.errors.iter().find(in_grammar) else { return literal(text, errors) };
    let at = offset(text, error.pos);
    match text[at..].split_whitespace().next() {
        None => Fault::new(at, "something is missing at the end"),
        Some(word) => {
            let word: String = word.chars().take(20).collect();
            Fault::new(at, format!("`{word}` is not expected here"))
        }
    }
}

/// What is right by the grammar but not as such, as a number of too many digits.
fn literal(text: &str, errors: &ParseErrors) -> Fault {
    match errors.errors.first() {
        Some(error) => Fault::new(offset(text, error.pos), error.msg.as_str()),
        None => Fault::new(0, "this is no expression"),
    }
}

/// Where a line and column of the parser's, both from 1, are in the text.
fn offset(text: &str, (line, column): (isize, isize)) -> usize {
    let line = usize::try_from(line - 1).unwrap_or(0);
    let column = usize::try_from(column - 1).unwrap_or(0);
    let begin: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
    text.char_indices()
        .map(|(at, _)| at)
        .filter(|at| *at >= begin)
        .nth(column)
        .unwrap_or(text.len())
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
