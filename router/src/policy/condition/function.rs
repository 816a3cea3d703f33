//! The functions that expressions may call.

use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue};

use super::check::{Check, Type};
use super::fault::Fault;
use super::operand::Operand;
use super::path;
use super::pattern::Pattern;

const MAX_PATTERNS: usize = 4;

const KNOWN: &str = "has, size, contains, startsWith, endsWith, matches, int and double";

/// Checks a call of a function by name.
pub(super) fn check(check: &mut Check<'_>, expr: &mut IdedExpr) -> Result<Type, Fault> {
    let at = name_at(check, expr);
    let Expr::Call(CallExpr { func_name, target, args }) = &mut expr.expr else {
        return Err(Fault::new(at, "this is not supported"));
    };
    match (func_name.as_str(), target.as_deref_mut(), args.as_mut_slice()) {
        ("has", None, [arg]) => {
            let fact = check.named(arg)?;
            check.replace(expr, Operand::Presence(fact));
            Ok(Type::Bool)
        }
        ("size", None, [text]) | ("size", Some(text), []) => {
            check.expect(text, Type::Text, "size")?;
            Ok(Type::Int)
        }
        (name @ ("contains" | "startsWith" | "endsWith"), Some(text), [part]) => {
            check.expect(text, Type::Text, name)?;
            check.expect(part, Type::Text, name)?;
            Ok(Type::Bool)
        }
        ("matches", Some(text), [pattern]) => {
            check.expect(text, Type::Text, "matches")?;
            take_pattern(check, pattern)?;
            Ok(Type::Bool)
        }
        (name @ ("int" | "double"), None, [value]) => {
            if check.expr(value)? == Type::Bool {
                let what = format!("`{name}` needs a number or text, not true or false");
                return Err(Fault::new(at, what));
            }
            Ok(if name == "int" { Type::Int } else { Type::Double })
        }
        (name, ..) => Err(Fault::new(at, misuse(name))),
    }
}

fn misuse(name: &str) -> String {
    match name {
        "has" => "`has` takes one name, as in has(content.rating)".to_owned(),
        "size" => "`size` takes one text, as in size(content.fields.title)".to_owned(),
        "contains" | "startsWith" | "endsWith" | "matches" => {
            format!("`{name}` stands behind a text, as in content.fields.title.{name}('beer')")
        }
        "int" | "double" => format!("`{name}` takes one value, as in {name}(content.rating)"),
        "all" | "exists" | "exists_one" | "existsOne" | "map" | "filter" => {
            format!("`{name}` goes through lists, which conditions do not have")
        }
        _ => format!("`{name}` is unknown; there are the functions {KNOWN}"),
    }
}

/// Where the function's name stands: the tree has the place of the bracket behind it.
fn name_at(check: &Check<'_>, expr: &IdedExpr) -> usize {
    let bracket = check.at(expr.id);
    let Expr::Call(call) = &expr.expr else { return bracket };
    let before = check.places.source.get(..bracket).unwrap_or_default();
    before.rfind(call.func_name.trim_start_matches('.')).unwrap_or(bracket)
}

fn take_pattern(check: &mut Check<'_>, pattern: &mut IdedExpr) -> Result<(), Fault> {
    let begin = path::begin(pattern);
    let Expr::Literal(LiteralValue::String(text)) = &pattern.expr else {
        return Err(check.fault(begin, "`matches` takes its pattern in quotes only"));
    };
    let patterns = check.operands.iter().filter(|operand| operand.is_pattern()).count();
    if patterns == MAX_PATTERNS {
        let what = format!("at most {MAX_PATTERNS} patterns; join some with |, as in 'beer|wine'");
        return Err(check.fault(begin, what));
    }
    let parsed = Pattern::parse(text.inner()).map_err(|what| check.fault(begin, what))?;
    check.replace(pattern, Operand::Pattern(parsed));
    Ok(())
}
