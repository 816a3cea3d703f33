//! Names with what is selected from them, such as `content.fields.title`.

use cel::common::ast::{Expr, IdedExpr, LiteralValue, operators};

use super::facts::{Fact, Part};

/// `a.b['c']` as `["a", "b", "c"]`; nothing else is a path.
pub(super) fn segments(expr: &IdedExpr) -> Option<Vec<&str>> {
    let mut segments = Vec::new();
    let mut expr = expr;
    loop {
        let (rest, segment) = step(expr)?;
        segments.push(segment);
        match rest {
            Some(rest) => expr = rest,
            None => break,
        }
    }
    segments.reverse();
    Some(segments)
}

/// The last segment of a path, and what is before it.
fn step(expr: &IdedExpr) -> Option<(Option<&IdedExpr>, &str)> {
    match &expr.expr {
        Expr::Ident(name) => Some((None, name)),
        Expr::Select(select) => Some((Some(&select.operand), &select.field)),
        Expr::Call(call) if call.func_name == operators::INDEX => match &call.args[..] {
            [rest, IdedExpr { expr: Expr::Literal(LiteralValue::String(key)), .. }] => {
                Some((Some(rest), key.inner()))
            }
            _ => None,
        },
        _ => None,
    }
}

/// The node whose place is the beginning of `expr`; operators stand where their sign does.
pub(super) fn begin(expr: &IdedExpr) -> u64 {
    let before = match &expr.expr {
        Expr::Select(select) => Some(&*select.operand),
        Expr::Call(call) if call.func_name == operators::INDEX => call.args.first(),
        Expr::Call(call) => call.target.as_deref(),
        _ => None,
    };
    before.map_or(expr.id, begin)
}

/// The fact of that name, or what is wrong with it.
pub(super) fn fact(segments: &[&str]) -> Result<Fact, String> {
    match segments {
        ["client"] => Ok(Fact::Client),
        ["content", "fields", name] => Ok(Fact::Field((*name).to_owned())),
        ["content", "fields"] => Err("name a field, as in `content.fields.title`".to_owned()),
        ["content", part] => part_named(part).map(Fact::Part),
        ["scores", rule] => rule.parse().map(Fact::Score),
        ["content"] => Err(format!("name a part of `content`: {}", parts())),
        ["scores"] => Err("name a rule, as in `scores.spam`".to_owned()),
        ["client" | "content" | "scores", ..] => Err(too_long(segments)),
        _ => Err(format!(
            "`{}` is unknown; a condition can look at content, client and scores; \
             put quotes around text; a name with `-` is written as in scores['my-rule']",
            segments.first().unwrap_or(&"")
        )),
    }
}

fn part_named(name: &str) -> Result<Part, String> {
    let part = Part::ALL.into_iter().find(|part| part.name() == name);
    part.ok_or_else(|| format!("`content.{name}` is unknown; content has {}", parts()))
}

fn parts() -> String {
    let names: Vec<_> = Part::ALL.into_iter().map(Part::name).collect();
    format!("{} and fields.NAME", names.join(", "))
}

fn too_long(segments: &[&str]) -> String {
    let value = if segments.starts_with(&["content", "fields"]) { 3 } else { 2 };
    let value = if segments[0] == "client" { 1 } else { value };
    format!("`{}` has no parts", segments[..value.min(segments.len())].join("."))
}
