//! How large a mismatch rate may be that a sample of calls still leaves possible.

use statrs::function::beta::inv_beta_reg;

/// The one-sided Clopper-Pearson upper bound on a rate, after `mismatches` among `calls`
/// independent ones.
pub(crate) fn mismatch_rate(mismatches: u64, calls: u64, confidence: f64) -> f64 {
    let (k, n) = (mismatches as f64, calls as f64);
    if mismatches >= calls {
        1.0
    } else if mismatches == 0 {
        // 1 - (1 - confidence)^(1/n), without cancellation.
        -((-confidence).ln_1p() / n).exp_m1()
    } else {
        inv_beta_reg(k + 1.0, n - k, confidence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_bound(mismatches: u64, calls: u64, expected: f64) {
        let bound = mismatch_rate(mismatches, calls, 0.95);
        assert!((bound / expected - 1.0).abs() < 1e-4, "{mismatches}/{calls}: {bound}, {expected}");
    }

    #[test]
    fn without_mismatches_it_is_about_three_in_n() {
        assert_bound(0, 1, 0.95);
        assert_bound(0, 2_995, 0.000_999_75);
        assert_bound(0, 2_995_731, 1.0e-6);
        assert!(mismatch_rate(0, 2_994, 0.95) > 0.001);
        assert!(mismatch_rate(0, 2_995, 0.95) <= 0.001);
    }

    #[test]
    fn with_mismatches_it_is_the_quantile_of_the_beta_distribution() {
        assert_bound(1, 2, 9.746794e-01);
        assert_bound(1, 100, 4.655981e-02);
        assert_bound(5, 1_000, 1.048408e-02);
        assert_bound(10, 1_000_000, 1.696216e-05);
        assert_bound(3, 2_995, 2.586813e-03);
        assert_bound(200, 20_000, 1.123671e-02);
        assert_bound(999, 1_000, 9.999487e-01);
    }

    #[test]
    fn nothing_is_shown_by_no_calls_or_by_mismatches_alone() {
        assert_eq!(mismatch_rate(0, 0, 0.95), 1.0);
        assert_eq!(mismatch_rate(5, 5, 0.95), 1.0);
    }
}
