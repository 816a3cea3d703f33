//! What the interpreter looks up while it evaluates a checked expression.

use std::any::Any;
use std::sync::{Arc, LazyLock};

use cel::common::types::{CelBool, CelList, CelString, Type};
use cel::common::value::{CowVal, StaticVal, Val};
use cel::context::VariableResolver;
use cel::{Env, ExecutionError, add_member_overload};
use regex::Regex;

use super::facts::{Fact, Facts};

/// What stands behind a name in a checked expression; the name is its place among the operands.
#[derive(Debug)]
pub(super) enum Operand {
    Value(Fact),
    Presence(Fact),
    Pattern(Pattern),
    List(CelList<'static>),
}

/// The operands of an expression for one piece of content.
pub(super) struct Operands<'a> {
    pub(super) all: &'a [Operand],
    pub(super) facts: &'a Facts<'a>,
}

impl VariableResolver for Operands<'_> {
    fn resolve<'b>(&'b self, name: &str) -> Option<CowVal<'b, 'b>> {
        match self.all.get(name.parse::<usize>().ok()?)? {
            Operand::Value(fact) => fact.of(self.facts),
            Operand::Presence(fact) => {
                Some(CowVal::owned(CelBool::from(fact.of(self.facts).is_some())))
            }
            Operand::Pattern(pattern) => Some(CowVal::Borrowed(pattern)),
            Operand::List(list) => Some(CowVal::Borrowed(list)),
        }
    }
}

/// The longest text that is held against a pattern: the worst pattern takes microseconds for each
/// byte.
const MAX_MATCHED_BYTES: usize = 32 * 1024;

pub(super) const MATCHES: &str = "matches";

/// A regular expression that is compiled already; CEL's own would be at each evaluation.
#[derive(Clone, Debug)]
pub(super) struct Pattern(pub(super) Regex);

static PATTERN: Type = Type::new_unspecified_type("pattern");

impl Val for Pattern {
    fn get_type(&self) -> &Type {
        &PATTERN
    }

    fn cel_type() -> &'static Type {
        &PATTERN
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v> {
        Box::new(self.clone())
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl StaticVal for Pattern {}

/// CEL's functions, without macros: `has` is left to the checker, the others are refused.
pub(super) static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::default().with_optional_support(false).with_stdlib();
    add_member_overload!(env, fn matches: (CelString<'_>, Pattern) -> Result<CelBool>, id = "matches_pattern")
        .expect("no other function takes a pattern");
    Arc::new(env)
});

fn matches(text: &CelString<'_>, pattern: &Pattern) -> Result<CelBool, ExecutionError> {
    if text.inner().len() > MAX_MATCHED_BYTES {
        return Err(ExecutionError::function_error(MATCHES, "too long a text"));
    }
    Ok(CelBool::from(pattern.0.is_match(text.inner())))
}
