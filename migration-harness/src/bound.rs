//! How large a mismatch rate may be that a sample of calls still leaves possible.

mod beta;

use statrs::function::erf::erf_inv;

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
        beta::quantile(confidence, k + 1.0, n - k)
    }
}

/// The one-sided Wilson upper bound: what many tools show. It errs on the wrong side where there
/// are few mismatches, so nothing is decided by it.
pub(crate) fn wilson(mismatches: u64, calls: u64, confidence: f64) -> f64 {
    if calls == 0 {
        return 1.0;
    }
    let (n, rate) = (calls as f64, mismatches as f64 / calls as f64);
    let z = std::f64::consts::SQRT_2 * erf_inv(2.0 * confidence - 1.0);
    let spread = (rate * (1.0 - rate) / n + z * z / (4.0 * n * n)).sqrt();
    ((rate + z * z / (2.0 * n) + z * spread) / (1.0 + z * z / n)).min(1.0)
}

/// An upper bound that holds at every moment of a growing sample at once, so that it may be looked
/// at as often as one likes.
///
/// It excludes each rate against which the calls bet successfully: for a rate p, the likelihood of
/// all smaller rates, mixed evenly, over that of p, is a supermartingale that starts at 1 if the
/// rate is at least p. By Ville's inequality it ever reaches 1 / (1 - confidence) with a
/// probability of at most 1 - confidence.
pub(crate) fn anytime(mismatches: u64, calls: u64, confidence: f64) -> f64 {
    let (k, n) = (mismatches as f64, calls as f64);
    if mismatches >= calls {
        return 1.0;
    }
    let (a, b) = (k + 1.0, n - k + 1.0);
    let ln_all = beta::ln_beta(a, b);
    let ln_gain = |p: f64| {
        let ln_smaller = ln_all + beta::cumulated(p, a, b).ln() - p.ln();
        ln_smaller - k * p.ln() - (n - k) * (-p).ln_1p()
    };
    let enough = -(-confidence).ln_1p();
    beta::root(k / n, 1.0, |p| ln_gain(p) >= enough)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_close(found: f64, expected: f64, what: &str) {
        assert!((found / expected - 1.0).abs() < 1e-4, "{what}: {found}, {expected}");
    }

    fn assert_bound(mismatches: u64, calls: u64, expected: f64) {
        let bound = mismatch_rate(mismatches, calls, 0.95);
        assert_close(bound, expected, &format!("{mismatches}/{calls}"));
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
    fn the_published_sample_sizes_are_met_to_the_call() {
        for (calls, rate, confidence) in [
            (2_995, 1e-3, 0.95),
            (29_956, 1e-4, 0.95),
            (2_995_731, 1e-6, 0.95),
            (46_050, 1e-4, 0.99),
        ] {
            assert!(mismatch_rate(0, calls, confidence) <= rate, "{calls}");
            assert!(mismatch_rate(0, calls - 1, confidence) > rate, "{calls}");
        }
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
    fn many_mismatches_among_very_many_calls_are_bounded_as_the_normal_distribution_would() {
        for (mismatches, calls) in [(1_000_000, 100_000_000), (500_000_000, 1_000_000_000_u64)] {
            let (n, rate) = (calls as f64, mismatches as f64 / calls as f64);
            let normal = rate + 1.644_854 * (rate * (1.0 - rate) / n).sqrt();
            let bound = mismatch_rate(mismatches, calls, 0.95);
            assert!(((bound - rate) / (normal - rate) - 1.0).abs() < 0.01, "{bound} {normal}");
        }
    }

    #[test]
    fn nothing_is_shown_by_no_calls_or_by_mismatches_alone() {
        assert_eq!(mismatch_rate(0, 0, 0.95), 1.0);
        assert_eq!(mismatch_rate(5, 5, 0.95), 1.0);
        assert_eq!((wilson(0, 0, 0.95), anytime(0, 0, 0.95), anytime(5, 5, 0.95)), (1.0, 1.0, 1.0));
    }

    #[test]
    fn wilson_is_below_the_exact_bound_without_mismatches_and_near_it_with_many() {
        assert_close(wilson(0, 1_000_000, 0.95), 2.705_54e-6, "0 in a million");
        assert!(wilson(0, 2_995, 0.95) < mismatch_rate(0, 2_995, 0.95));
        assert_close(wilson(200, 20_000, 0.95), 0.011_226, "200 in 20,000");
    }

    #[test]
    fn the_price_of_looking_at_any_moment_is_about_a_half() {
        // (e^x - 1) / x = 20 has the solution 4.5139.
        assert_close(anytime(0, 1_000_000, 0.95), 4.513_9e-6, "0 in a million");
        for (mismatches, calls) in [(1, 100), (5, 1_000), (200, 20_000), (40_000, 20_000_000)] {
            let (any, fixed) =
                (anytime(mismatches, calls, 0.95), mismatch_rate(mismatches, calls, 0.95));
            let rate = mismatches as f64 / calls as f64;
            assert!(fixed < any && any - rate < 3.0 * (fixed - rate), "{mismatches}/{calls} {any}");
        }
    }

    /// A generator of pseudo-random numbers (SplitMix64), so that a simulation repeats itself.
    fn random(state: &mut u64) -> f64 {
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    #[test]
    fn the_bound_for_every_moment_fails_no_more_often_than_it_says_however_often_it_is_looked_at() {
        let (rate, mut seed) = (0.05, 7);
        let fails = |seed: &mut u64| {
            let mut mismatches = 0;
            (1..=200).any(|calls| {
                mismatches += u64::from(random(seed) < rate);
                anytime(mismatches, calls, 0.9) < rate
            })
        };
        let failures = (0..200).filter(|_| fails(&mut seed)).count();
        assert!(failures <= 20, "{failures} of 200 runs");
    }
}
