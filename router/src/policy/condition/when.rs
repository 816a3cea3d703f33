//! A condition with its patterns compiled, ready to be evaluated.

use std::sync::Arc;

use cel::{Context, ExecutionError, Value};

use super::operand::{ENV, MATCHES, Operand, Operands};
use super::pattern::{Compiled, Pattern};
use super::work::Work;
use super::{Condition, Facts};

/// The error where a content's texts are too long for all that is to be found in them.
const TOO_MUCH: &str = "the texts are too long for all these patterns and searches";

/// A condition that a plan has.
#[derive(Debug)]
pub(crate) struct When {
    /// The condition.
    pub(crate) condition: Condition,
    /// Its patterns, in their order.
    patterns: Box<[Arc<Compiled>]>,
}

impl When {
    /// Compiles those of the condition's patterns that nobody else uses.
    pub(crate) fn new(condition: &Condition) -> Self {
        let patterns = condition.patterns().map(Pattern::compiled).collect();
        Self { patterns, condition: condition.clone() }
    }

    /// About how much memory the patterns take; others may use them too.
    pub(crate) fn pattern_bytes(&self) -> usize {
        let compiled = self.patterns.iter().map(|pattern| pattern.bytes());
        size_of_val(&*self.patterns) + compiled.sum::<usize>()
    }

    /// Whether it is true of these facts.
    ///
    /// The error says in a few words, without any of the content, why it could not be evaluated.
    pub(crate) fn holds(&self, facts: &Facts<'_>) -> Result<bool, String> {
        self.holds_within(facts, &Work::with_patterns(self.patterns.len()))
    }

    pub(super) fn holds_within(&self, facts: &Facts<'_>, work: &Work) -> Result<bool, String> {
        let checked = &*self.condition.0;
        let operands = Operands { all: &checked.operands, patterns: &self.patterns, facts, work };
        let mut context = Context::with_env(Arc::clone(&ENV));
        context.set_variable_resolver(&operands);
        match Value::resolve(&checked.expr, &context) {
            Ok(Value::Bool(holds)) => Ok(holds),
            Ok(_) => Err("it is neither true nor false".to_owned()),
            Err(_) if work.was_refused() => Err(TOO_MUCH.to_owned()),
            Err(error) => Err(self.explain(&error)),
        }
    }

    fn explain(&self, error: &ExecutionError) -> String {
        match error {
            ExecutionError::UndeclaredReference(place) => self.absent(place),
            ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
                "a division by zero".to_owned()
            }
            ExecutionError::Overflow(..) => "a number is too large".to_owned(),
            ExecutionError::FunctionError { function, .. } if function == MATCHES => {
                "a text is too long for `matches`".to_owned()
            }
            ExecutionError::FunctionError { function, .. } => {
                format!("{function}() got what it cannot turn into a number")
            }
            // All that is left of the comparison of a NaN.
            ExecutionError::NoSuchOverload(it)
                if it.argument_types().iter().all(|kind| is_number(kind)) =>
            {
                "a result is not a number".to_owned()
            }
            _ => "it cannot be evaluated".to_owned(),
        }
    }

    /// That an operand is absent, by the name that the expression has for it.
    fn absent(&self, place: &str) -> String {
        match place.parse().ok().and_then(|place: usize| self.condition.0.operands.get(place)) {
            Some(Operand::Value(fact)) => format!("`{fact}` is absent"),
            _ => "it cannot be evaluated".to_owned(),
        }
    }
}

impl PartialEq for When {
    fn eq(&self, other: &Self) -> bool {
        self.condition == other.condition
    }
}

fn is_number(r#type: &str) -> bool {
    ["int", "double"].contains(&r#type)
}
