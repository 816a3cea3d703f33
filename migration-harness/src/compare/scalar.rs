//! How two values differ that hold no others.

use unicode_normalization::UnicodeNormalization;

use crate::difference::Kind;
use crate::json::{Number, Quantity, Text, Value};

/// How many representable doubles apart two numbers may be to count as the same bar rounding.
const MAX_ULPS: u64 = 4;

/// How many digits a single always has.
const FLOAT32_DIGITS: usize = 6;

/// How two values differ, or `None` where they are even written alike.
pub(super) fn kind(old: &Value<'_>, new: &Value<'_>) -> Option<Kind> {
    match (old, new) {
        (Value::Number(old), Value::Number(new)) => number_kind(*old, *new),
        (Value::Text(old), Value::Text(new)) => text_kind(*old, *new),
        (Value::Bool(old), Value::Bool(new)) => (old != new).then_some(Kind::Value),
        (Value::Null, Value::Null) => None,
        (Value::Null, _) | (_, Value::Null) => Some(Kind::Null),
        _ => Some(Kind::Type),
    }
}

fn number_kind(old: Number<'_>, new: Number<'_>) -> Option<Kind> {
    if old.as_str() == new.as_str() {
        return None;
    }
    if old == new {
        return Some(Kind::NumberFormat);
    }
    Some(match (old.quantity(), new.quantity()) {
        (Quantity::Double(old), Quantity::Double(new)) => double_kind(old, new),
        (old, new) if is_integer(&old) != is_integer(&new) => Kind::Type,
        _ => Kind::Value,
    })
}

fn is_integer(quantity: &Quantity<'_>) -> bool {
    matches!(quantity, Quantity::Integer(_) | Quantity::Long(_))
}

fn double_kind(old: f64, new: f64) -> Kind {
    if !old.is_finite() || !new.is_finite() {
        Kind::Value
    } else if ulps(old, new) <= MAX_ULPS {
        Kind::Ulp
    } else if is_float32_of(new, old) {
        Kind::Float32
    } else if is_rounded_from(new, old) {
        Kind::Rounded
    } else {
        Kind::Value
    }
}

/// Whether `new` went through single precision: printed as the double that it is, or as the
/// shortest text of a single. A text of few digits is taken for that of a rounded number.
fn is_float32_of(new: f64, old: f64) -> bool {
    let single = old as f32;
    let has_many_digits = || {
        let text = new.abs().to_string();
        text.trim_start_matches(['0', '.']).len() > FLOAT32_DIGITS
    };
    f64::from(single) == new || (has_many_digits() && single.to_string().parse() == Ok(new))
}

/// Whether `new` is `old` at fewer decimals, but at least one.
fn is_rounded_from(new: f64, old: f64) -> bool {
    let decimals = |value: f64| value.to_string().split_once('.').map_or(0, |(_, it)| it.len());
    let kept = decimals(new);
    // Halves go up in some languages and to the even digit in others.
    let half_step = 0.5 * 10f64.powi(-i32::try_from(kept).unwrap_or(i32::MAX)) * (1.0 + 1e-9);
    (1..decimals(old)).contains(&kept) && (new - old).abs() <= half_step
}

/// How two strings differ, which may be whole bodies.
pub(super) fn text_kind(old: Text<'_>, new: Text<'_>) -> Option<Kind> {
    if old.is_written_as(new) {
        return None;
    }
    if old == new {
        return Some(Kind::Escape);
    }
    let (old, new) = (old.read(), new.read());
    let is_ascii = old.is_ascii() && new.is_ascii();
    if !is_ascii && old.nfc().eq(new.nfc()) {
        return Some(Kind::Unicode);
    }
    let lower = |text: &str| text.to_lowercase().nfc().collect::<String>();
    let is_case =
        if is_ascii { old.eq_ignore_ascii_case(&new) } else { lower(&old) == lower(&new) };
    Some(if is_case { Kind::Case } else { Kind::Value })
}

/// How many steps from one representable double to the next lie between two; -0.0 and 0.0 are one
/// apart.
pub(crate) fn ulps(old: f64, new: f64) -> u64 {
    rank(old).abs_diff(rank(new))
}

/// The double's place among all doubles.
fn rank(value: f64) -> u64 {
    const SIGN: u64 = 1 << 63;
    let bits = value.to_bits();
    if bits & SIGN == 0 { bits | SIGN } else { !bits }
}
