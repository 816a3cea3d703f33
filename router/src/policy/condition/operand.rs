//! What the interpreter looks up while it evaluates a checked expression.

use std::any::Any;
use std::sync::{Arc, LazyLock};

use cel::common::types::{CelBool, CelList, CelString, Type};
use cel::common::value::{CowVal, StaticVal, Val};
use cel::context::VariableResolver;
use cel::{Env, ExecutionError, add_member_overload};

use super::facts::{Fact, Facts};
use super::pattern::{Compiled, Pattern};
use super::work::Work;

/// What stands behind a name in a checked expression; the name is its place among the operands.
#[derive(Debug)]
pub(super) enum Operand {
    Value(Fact),
    Presence(Fact),
    Pattern(Pattern),
    List(CelList<'static>),
}

impl Operand {
    pub(super) fn is_pattern(&self) -> bool {
        self.as_pattern().is_some()
    }

    pub(super) fn as_pattern(&self) -> Option<&Pattern> {
        match self {
            Self::Pattern(pattern) => Some(pattern),
            Self::Value(_) | Self::Presence(_) | Self::List(_) => None,
        }
    }
}

/// The operands of an expression for one piece of content.
pub(super) struct Operands<'a> {
    pub(super) all: &'a [Operand],
    /// Those of the operands that are patterns, in their order.
    pub(super) patterns: &'a [Arc<Compiled>],
    pub(super) facts: &'a Facts<'a>,
    pub(super) work: &'a Work,
}

impl VariableResolver for Operands<'_> {
    fn resolve<'b>(&'b self, name: &str) -> Option<CowVal<'b, 'b>> {
        let place = name.parse::<usize>().ok()?;
        match self.all.get(place)? {
            Operand::Value(fact) => {
                self.look_at(fact)?;
                fact.of(self.facts)
            }
            Operand::Presence(fact) => {
                Some(CowVal::owned(CelBool::from(fact.of(self.facts).is_some())))
            }
            Operand::Pattern(_) => {
                let before = self.all[..place].iter().filter(|operand| operand.is_pattern());
                let pattern = Arc::clone(self.patterns.get(before.count())?);
                Some(CowVal::owned(Wanted { pattern, work: self.work.clone() }))
            }
            Operand::List(list) => Some(CowVal::Borrowed(list)),
        }
    }
}

impl Operands<'_> {
    /// Pays for whatever an expression may do with a fact: the longer the text, the more. Nothing
    /// where that is too much.
    fn look_at(&self, fact: &Fact) -> Option<()> {
        let bytes = fact.text(self.facts).map_or(0, str::len);
        self.work.look(bytes / BYTES_IN_A_STEP).ok()
    }
}

/// How much text is compared, searched for a word or counted in the time of a step.
const BYTES_IN_A_STEP: usize = 16;

/// The longest text that is held against a pattern.
const MAX_MATCHED_BYTES: usize = 32 * 1024;

pub(super) const MATCHES: &str = "matches";

/// A pattern, and the work that may go into finding it.
#[derive(Clone, Debug)]
struct Wanted {
    pattern: Arc<Compiled>,
    work: Work,
}

static PATTERN: Type = Type::new_unspecified_type("pattern");

impl Val for Wanted {
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

impl StaticVal for Wanted {}

/// CEL's functions, without macros: `has` is left to the checker, the others are refused.
pub(super) static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::default().with_optional_support(false).with_stdlib();
    add_member_overload!(env, fn matches: (CelString<'_>, Wanted) -> Result<CelBool>, id = "matches_pattern")
        .expect("no other function takes a pattern");
    Arc::new(env)
});

fn matches(text: &CelString<'_>, wanted: &Wanted) -> Result<CelBool, ExecutionError> {
    if text.inner().len() > MAX_MATCHED_BYTES {
        return Err(ExecutionError::function_error(MATCHES, "too long a text"));
    }
    let found = wanted.pattern.is_in(text.inner(), &wanted.work);
    let found = found.map_err(|_| ExecutionError::function_error(MATCHES, "too much work"))?;
    Ok(CelBool::from(found))
}
