//! The regularized incomplete beta function and its quantiles, also where both sides are large.

use statrs::function::gamma::ln_gamma;

/// More than any two parameters whose sum fits into a double's integers need.
const MAX_TERMS: u32 = 1_000_000;
/// Where a further term of the continued fraction changes nothing.
const ENOUGH: f64 = 1e-15;
/// Stands for zero where it would be divided by.
const TINY: f64 = 1e-300;

/// The logarithm of B(a, b).
pub(super) fn ln_beta(a: f64, b: f64) -> f64 {
    ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b)
}

/// I_x(a, b): the probability that a value of the distribution Beta(a, b) is at most `x`.
pub(super) fn cumulated(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 {
        0.0
    } else if x >= 1.0 {
        1.0
    } else if x < (a + 1.0) / (a + b + 2.0) {
        left(x, a, b)
    } else {
        // The fraction converges fast on one side of the mean only.
        1.0 - left(1.0 - x, b, a)
    }
}

/// The value below which a share of the distribution Beta(a, b) lies.
pub(super) fn quantile(share: f64, a: f64, b: f64) -> f64 {
    root(0.0, 1.0, |x| cumulated(x, a, b) >= share)
}

/// The least value between two, within a double's precision, for which a condition holds that
/// holds for all larger ones.
pub(super) fn root(mut low: f64, mut high: f64, holds: impl Fn(f64) -> bool) -> f64 {
    loop {
        let middle = f64::midpoint(low, high);
        if middle <= low || middle >= high || high - low <= high * 1e-13 {
            return high;
        }
        if holds(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
}

fn left(x: f64, a: f64, b: f64) -> f64 {
    let ln_front = a * x.ln() + b * (-x).ln_1p() - ln_beta(a, b);
    ln_front.exp() * fraction(x, a, b) / a
}

/// The continued fraction of the function by Lentz's method (Numerical Recipes, section 6.4).
fn fraction(x: f64, a: f64, b: f64) -> f64 {
    let not_zero = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / not_zero(1.0 - (a + b) * x / (a + 1.0));
    let mut result = d;
    for term in 1..MAX_TERMS {
        let m = f64::from(term);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let mut change = 1.0;
        for step in [even, odd] {
            d = 1.0 / not_zero(1.0 + step * d);
            c = not_zero(1.0 + step / c);
            change = c * d;
            result *= change;
        }
        if (change - 1.0).abs() < ENOUGH {
            break;
        }
    }
    result
}
