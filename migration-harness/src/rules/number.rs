//! How numbers may differ. The captured one is the reference.

use crate::compare::scalar::ulps;
use crate::json::{Number, Quantity, Value};

/// The tolerances of a rule; what any of them permits is permitted.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    /// How many representable doubles apart.
    pub(crate) ulp: Option<u64>,
    /// |new - old| <= absolute + relative * |old|.
    pub(crate) absolute: Option<f64>,
    /// See `absolute`.
    pub(crate) relative: Option<f64>,
    /// The same when both are rounded to so many decimals.
    pub(crate) decimals: Option<u8>,
    /// Whether integers and doubles are of one type.
    pub(crate) any_type: bool,
    /// Whether everything that is no number is the same, also as a string.
    pub(crate) nan_is_equal: bool,
}

impl Numbers {
    /// Whether these two may stand for each other.
    pub(super) fn permit(&self, old: &Value<'_>, new: &Value<'_>) -> bool {
        if self.nan_is_equal && is_nan(old) && is_nan(new) {
            return true;
        }
        let (Value::Number(old), Value::Number(new)) = (old, new) else { return false };
        match (old.quantity(), new.quantity()) {
            (Quantity::Double(old), Quantity::Double(new)) => self.permit_doubles(old, new),
            (Quantity::Integer(old), Quantity::Integer(new)) => self.permit_integers(old, new),
            (Quantity::Integer(_), Quantity::Double(_))
            | (Quantity::Double(_), Quantity::Integer(_)) => {
                self.any_type && self.permit_mixed(*old, *new)
            }
            _ => false,
        }
    }

    fn permit_doubles(&self, old: f64, new: f64) -> bool {
        // Whatever isn't finite is near nothing but itself.
        if !old.is_finite() || !new.is_finite() {
            return false;
        }
        self.ulp.is_some_and(|limit| ulps(old, new) <= limit)
            || self.is_within((new - old).abs(), old)
            || self.decimals.is_some_and(|n| rounded(old, n) == rounded(new, n))
    }

    fn permit_integers(&self, old: i128, new: i128) -> bool {
        self.is_within(old.abs_diff(new) as f64, old as f64)
    }

    fn permit_mixed(&self, old: Number<'_>, new: Number<'_>) -> bool {
        are_equal(old, new) || self.permit_doubles(old.as_f64(), new.as_f64())
    }

    fn is_within(&self, distance: f64, old: f64) -> bool {
        if self.absolute.is_none() && self.relative.is_none() {
            return false;
        }
        let (absolute, relative) = (self.absolute.unwrap_or(0.0), self.relative.unwrap_or(0.0));
        distance <= absolute + relative * old.abs()
    }
}

/// Whether an integer and a double have the same value, to the last digit.
fn are_equal(one: Number<'_>, other: Number<'_>) -> bool {
    match (one.quantity(), other.quantity()) {
        (Quantity::Integer(integer), Quantity::Double(double))
        | (Quantity::Double(double), Quantity::Integer(integer)) => {
            // Beyond this, the conversion would not be exact.
            double.fract() == 0.0 && double.abs() < 1e38 && double as i128 == integer
        }
        _ => false,
    }
}

fn is_nan(value: &Value<'_>) -> bool {
    match value {
        Value::Number(number) => number.is_nan(),
        Value::Text(text) => Number::parse(&text.read()).is_some_and(Number::is_nan),
        _ => false,
    }
}

fn rounded(value: f64, decimals: u8) -> f64 {
    let text = format!("{value:.*}", usize::from(decimals));
    text.parse().expect("a printed double is one")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permits(numbers: &Numbers, old: &str, new: &str) -> bool {
        let [old, new] = [old, new].map(|text| Value::Number(Number::parse(text).unwrap()));
        numbers.permit(&old, &new)
    }

    #[test]
    fn the_captured_number_is_the_reference() {
        let numbers = Numbers { relative: Some(0.1), ..Numbers::default() };
        assert!(permits(&numbers, "100.0", "90.0") && !permits(&numbers, "90.0", "100.0"));
        assert!(permits(&numbers, "100", "110") && !permits(&numbers, "100", "111"));
        assert!(permits(&numbers, "-100.0", "-109.0") && !permits(&numbers, "0.0", "1e-300"));
    }

    #[test]
    fn tolerances_add_up_and_ulps_and_decimals_stand_beside_them() {
        let numbers = Numbers { absolute: Some(1.0), relative: Some(0.01), ..Numbers::default() };
        assert!(permits(&numbers, "100.0", "102.0") && !permits(&numbers, "100.0", "102.1"));
        let numbers = Numbers { ulp: Some(1), decimals: Some(2), ..Numbers::default() };
        assert!(permits(&numbers, "0.1", "0.10000000000000002"));
        assert!(permits(&numbers, "0.101", "0.104") && !permits(&numbers, "0.104", "0.106"));
        assert!(!permits(&numbers, "1", "2") && permits(&numbers, "-0.001", "0.001"));
    }

    #[test]
    fn what_is_not_finite_is_near_nothing() {
        let numbers = Numbers {
            absolute: Some(f64::MAX),
            relative: Some(1.0),
            ulp: Some(u64::MAX),
            decimals: Some(0),
            any_type: true,
            nan_is_equal: true,
        };
        for new in ["Infinity", "-Infinity", "NaN", "1e400"] {
            assert!(!permits(&numbers, "1.0", new) && !permits(&numbers, new, "1.0"), "{new}");
        }
        assert!(!permits(&numbers, "Infinity", "-Infinity") && permits(&numbers, "NaN", "-nan"));
    }

    #[test]
    fn integers_and_doubles_are_of_one_type_where_a_rule_says_so() {
        let any = Numbers { any_type: true, ..Numbers::default() };
        assert!(permits(&any, "1", "1.0") && !permits(&any, "1", "1.5"));
        assert!(!permits(&Numbers { ulp: Some(9), ..Numbers::default() }, "1", "1.0"));
        assert!(permits(&Numbers { absolute: Some(0.5), ..any }, "1", "1.5"));
    }
}
