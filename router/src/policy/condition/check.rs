//! The type checker: walks an expression's syntax tree, refuses what cannot run, and puts the
//! place of an operand wherever a fact, a pattern or a list is named.

use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, SourceInfo, operators as op};

use super::fault::Fault;
use super::operand::Operand;
use super::{function, path};
use crate::policy::condition::facts::Fact;

/// What an expression evaluates to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Bool,
    Int,
    Double,
    Text,
}

impl Type {
    pub(super) fn is_number(self) -> bool {
        matches!(self, Self::Int | Self::Double)
    }

    /// Whether values of both types can be equal.
    fn compares_with(self, other: Self) -> bool {
        self == other || (self.is_number() && other.is_number())
    }

    /// In the words of who writes rules.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Bool => "true or false",
            Self::Int => "a whole number",
            Self::Double => "a number",
            Self::Text => "text",
        }
    }
}

/// Checks one expression.
pub(super) struct Check<'a> {
    pub(super) places: &'a SourceInfo,
    /// What the expression names, collected on the way.
    pub(super) operands: Vec<Operand>,
}

impl Check<'_> {
    /// The type of a whole expression, which must be true or false.
    pub(super) fn whole(&mut self, expr: &mut IdedExpr) -> Result<(), Fault> {
        let begin = path::begin(expr);
        match self.expr(expr)? {
            Type::Bool => Ok(()),
            other => Err(self.fault(
                begin,
                format!("the condition must be true or false, but this is {}", other.words()),
            )),
        }
    }

    pub(super) fn expr(&mut self, expr: &mut IdedExpr) -> Result<Type, Fault> {
        match &mut expr.expr {
            Expr::Literal(literal) => {
                literal_type(literal).map_err(|what| Fault::new(self.at(expr.id), what))
            }
            Expr::Call(call) if call.func_name == op::INDEX => self.fact(expr),
            Expr::Ident(_) | Expr::Select(_) => self.fact(expr),
            Expr::Call(_) => self.call(expr),
            Expr::List(_) => Err(self.fault(expr.id, "a list can only stand after `in`")),
            Expr::Map(_) | Expr::Struct(_) => Err(self.fault(expr.id, "maps are not supported")),
            Expr::Comprehension(_) | Expr::Unspecified => {
                Err(self.fault(expr.id, "this is not supported"))
            }
        }
    }

    /// A name, with what is selected from it.
    fn fact(&mut self, expr: &mut IdedExpr) -> Result<Type, Fault> {
        let fact = self.named(expr)?;
        let r#type = fact.r#type();
        self.replace(expr, Operand::Value(fact));
        Ok(r#type)
    }

    /// The fact that an expression names.
    pub(super) fn named(&self, expr: &IdedExpr) -> Result<Fact, Fault> {
        let begin = self.at(path::begin(expr));
        let Some(segments) = path::segments(expr) else {
            return Err(Fault::new(begin, "only content, client and scores have parts to select"));
        };
        path::fact(&segments).map_err(|what| Fault::new(begin, what))
    }

    /// Puts an operand's place where `expr` was.
    pub(super) fn replace(&mut self, expr: &mut IdedExpr, operand: Operand) {
        expr.expr = Expr::Ident(self.operands.len().to_string());
        self.operands.push(operand);
    }

    fn call(&mut self, expr: &mut IdedExpr) -> Result<Type, Fault> {
        let id = expr.id;
        let Expr::Call(call) = &mut expr.expr else {
            return Err(self.fault(id, "this is not supported"));
        };
        let CallExpr { func_name, target, args } = call;
        match (func_name.as_str(), target, args.as_mut_slice()) {
            (name @ (op::LOGICAL_AND | op::LOGICAL_OR | op::LOGICAL_NOT), None, args) => {
                let sign = name.trim_matches('_');
                args.iter_mut().try_for_each(|arg| self.expect(arg, Type::Bool, sign))?;
                Ok(Type::Bool)
            }
            (op::EQUALS | op::NOT_EQUALS, None, [left, right]) => self.equality(id, left, right),
            (
                op::LESS | op::LESS_EQUALS | op::GREATER | op::GREATER_EQUALS,
                None,
                [left, right],
            ) => self.order(id, left, right),
            (op::IN, None, [value, list]) => self.membership(id, value, list),
            (op::CONDITIONAL, None, [test, yes, no]) => self.choice(id, test, yes, no),
            (op::NEGATE, None, [value]) => self.negation(id, value),
            (op::ADD | op::SUBSTRACT | op::MULTIPLY | op::DIVIDE, None, [left, right]) => {
                self.arithmetic(id, left, right)
            }
            (op::MODULO, None, [left, right]) => self.remainder(id, left, right),
            _ => function::check(self, expr),
        }
    }

    /// Checks that an operand of `user` has this type.
    pub(super) fn expect(
        &mut self,
        expr: &mut IdedExpr,
        wanted: Type,
        user: &str,
    ) -> Result<(), Fault> {
        let begin = path::begin(expr);
        let found = self.expr(expr)?;
        if found == wanted {
            return Ok(());
        }
        let what = format!("`{user}` needs {}, but this is {}", wanted.words(), found.words());
        Err(self.fault(begin, what))
    }

    fn equality(&mut self, id: u64, l: &mut IdedExpr, r: &mut IdedExpr) -> Result<Type, Fault> {
        let (left, right) = (self.expr(l)?, self.expr(r)?);
        if left.compares_with(right) {
            return Ok(Type::Bool);
        }
        let what = format!("{} never equals {}", left.words(), right.words());
        Err(self.fault(id, what))
    }

    fn order(&mut self, id: u64, l: &mut IdedExpr, r: &mut IdedExpr) -> Result<Type, Fault> {
        let (left, right) = (self.expr(l)?, self.expr(r)?);
        if left.compares_with(right) && left != Type::Bool {
            return Ok(Type::Bool);
        }
        let what = format!(
            "two numbers or two texts have an order, but not {} and {}",
            left.words(),
            right.words()
        );
        Err(self.fault(id, what))
    }

    /// `value in [literals]`; the list is built once.
    fn membership(
        &mut self,
        id: u64,
        value: &mut IdedExpr,
        list: &mut IdedExpr,
    ) -> Result<Type, Fault> {
        let wanted = self.expr(value)?;
        let Expr::List(elements) = &list.expr else {
            return Err(self.fault(id, "`in` needs a list after it, such as ['a', 'b']"));
        };
        let mut values = Vec::new();
        for element in &elements.elements {
            let Expr::Literal(literal) = &element.expr else {
                let what = "a list can only hold texts, numbers, true and false as such";
                return Err(self.fault(path::begin(element), what));
            };
            let found = literal_type(literal).map_err(|what| self.fault(element.id, what))?;
            if !wanted.compares_with(found) {
                let what = format!("{} is never {}", wanted.words(), found.words());
                return Err(self.fault(element.id, what));
            }
            values.push(owned(literal));
        }
        self.replace(list, Operand::List(values.into()));
        Ok(Type::Bool)
    }

    fn choice(
        &mut self,
        id: u64,
        test: &mut IdedExpr,
        yes: &mut IdedExpr,
        no: &mut IdedExpr,
    ) -> Result<Type, Fault> {
        self.expect(test, Type::Bool, "?")?;
        let (yes, no) = (self.expr(yes)?, self.expr(no)?);
        if yes == no {
            return Ok(yes);
        }
        let what = format!(
            "both sides of `:` must be of one kind, not {} and {}{}",
            yes.words(),
            no.words(),
            number_hint(yes, no)
        );
        Err(self.fault(id, what))
    }

    fn negation(&mut self, id: u64, value: &mut IdedExpr) -> Result<Type, Fault> {
        match self.expr(value)? {
            number if number.is_number() => Ok(number),
            other => Err(self.fault(id, format!("`-` needs a number, not {}", other.words()))),
        }
    }

    fn arithmetic(&mut self, id: u64, l: &mut IdedExpr, r: &mut IdedExpr) -> Result<Type, Fault> {
        let left = self.expr(l)?;
        let right = self.expr(r)?;
        if left == right && left.is_number() {
            return Ok(left);
        }
        let what = format!(
            "this needs two numbers, not {} and {}{}",
            left.words(),
            right.words(),
            number_hint(left, right)
        );
        Err(self.fault(id, what))
    }

    fn remainder(&mut self, id: u64, l: &mut IdedExpr, r: &mut IdedExpr) -> Result<Type, Fault> {
        if (self.expr(l)?, self.expr(r)?) == (Type::Int, Type::Int) {
            return Ok(Type::Int);
        }
        Err(self.fault(id, "`%` needs two whole numbers, as in int(content.rating) % 2"))
    }

    /// Where a node of the tree stands.
    pub(super) fn at(&self, id: u64) -> usize {
        self.places.offset_for(id).map_or(0, |(begin, _)| begin as usize)
    }

    pub(super) fn fault(&self, id: u64, what: impl Into<String>) -> Fault {
        Fault::new(self.at(id), what)
    }
}

/// CEL compares whole numbers with others, but calculates with one sort only.
fn number_hint(left: Type, right: Type) -> &'static str {
    if left.is_number() && right.is_number() { "; write 2.0 for 2, or use int(…)" } else { "" }
}

fn literal_type(literal: &LiteralValue) -> Result<Type, &'static str> {
    match literal {
        LiteralValue::Boolean(_) => Ok(Type::Bool),
        LiteralValue::Int(_) => Ok(Type::Int),
        LiteralValue::Double(_) => Ok(Type::Double),
        LiteralValue::String(_) => Ok(Type::Text),
        LiteralValue::UInt(_) => Err("write the number without `u`"),
        LiteralValue::Bytes(_) => Err("bytes are not supported"),
        LiteralValue::Null => Err("nothing is ever null; ask has(…) whether it was sent"),
    }
}

fn owned(literal: &LiteralValue) -> Box<dyn cel::common::value::Val> {
    literal.to_val().into_owned()
}
