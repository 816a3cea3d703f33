//! The natural logarithm of Java's `StrictMath`; its exponential is that of the `libm` crate.
//!
//! ```text
//! Copyright (C) 1993 by Sun Microsystems, Inc. All rights reserved.
//!
//! Developed at SunSoft, a Sun Microsystems, Inc. business.
//! Permission to use, copy, modify, and distribute this
//! software is freely granted, provided that this notice
//! is preserved.
//! ```
//!
//! After `e_log.c` of fdlibm 5.3; the `libm` crate's `log` differs from it in 0.2 % of results.

const LN2_HIGH: f64 = f64::from_bits(0x3FE6_2E42_FEE0_0000);
const LN2_LOW: f64 = f64::from_bits(0x3DEA_39EF_3579_3C76);
const TWO_54: f64 = 18_014_398_509_481_984.0;
const LG: [f64; 7] = [
    f64::from_bits(0x3FE5_5555_5555_5593),
    f64::from_bits(0x3FD9_9999_9997_FA04),
    f64::from_bits(0x3FD2_4924_9422_9359),
    f64::from_bits(0x3FCC_71C5_1D8E_78AF),
    f64::from_bits(0x3FC7_4664_96CB_03DE),
    f64::from_bits(0x3FC3_9A09_D078_C69F),
    f64::from_bits(0x3FC2_F112_DF3E_5244),
];

/// ln(x), to the bit as fdlibm has it.
pub(super) fn ln(x: f64) -> f64 {
    if x == 0.0 {
        return f64::NEG_INFINITY;
    }
    if x.is_nan() || x < 0.0 {
        return f64::NAN;
    }
    if x.is_infinite() {
        return x;
    }
    let (x, scale) = if x < f64::MIN_POSITIVE { (x * TWO_54, -54) } else { (x, 0) };
    let bits = x.to_bits();
    let high = (bits >> 32) as i32;
    let fraction = high & 0x000F_FFFF;
    // Reduces to 2^k * (1 + f) with sqrt(2)/2 < 1 + f < sqrt(2).
    let carry = (fraction + 0x9_5F64) & 0x10_0000;
    let k = f64::from(scale + (high >> 20) - 1023 + (carry >> 20));
    let reduced_high = (fraction | (carry ^ 0x3FF0_0000)) as u64;
    let f = f64::from_bits(reduced_high << 32 | bits & 0xFFFF_FFFF) - 1.0;
    if 0x000F_FFFF & (2 + fraction) < 3 {
        return near_one(f, k);
    }
    let s = f / (2.0 + f);
    let r = series(s * s);
    if (fraction - 0x6_147A) | (0x6_B851 - fraction) > 0 {
        let half_square = 0.5 * f * f;
        return if k == 0.0 {
            f - (half_square - s * (half_square + r))
        } else {
            k * LN2_HIGH - ((half_square - (s * (half_square + r) + k * LN2_LOW)) - f)
        };
    }
    if k == 0.0 { f - s * (f - r) } else { k * LN2_HIGH - ((s * (f - r) - k * LN2_LOW) - f) }
}

/// For |f| below 2^-20.
fn near_one(f: f64, k: f64) -> f64 {
    if f == 0.0 {
        return if k == 0.0 { 0.0 } else { k * LN2_HIGH + k * LN2_LOW };
    }
    let r = f * f * (0.5 - 0.333_333_333_333_333_3 * f);
    if k == 0.0 { f - r } else { k * LN2_HIGH - ((r - k * LN2_LOW) - f) }
}

fn series(z: f64) -> f64 {
    let w = z * z;
    let even = w * (LG[1] + w * (LG[3] + w * LG[5]));
    let odd = z * (LG[0] + w * (LG[2] + w * (LG[4] + w * LG[6])));
    odd + even
}

#[cfg(test)]
mod tests {
    use super::ln;

    #[test]
    fn the_edges_are_those_of_ieee_754() {
        assert_eq!(ln(1.0), 0.0);
        assert_eq!(ln(0.0), f64::NEG_INFINITY);
        assert_eq!(ln(f64::INFINITY), f64::INFINITY);
        assert!(ln(-1.0).is_nan() && ln(f64::NAN).is_nan());
    }

    #[test]
    fn it_is_within_an_ulp_of_the_true_logarithm() {
        for x in (1..100_000).map(|n| f64::from(n) * 0.037).chain([5e-324, f64::MAX, 1.0 + 1e-9]) {
            let difference = ln(x).to_bits().abs_diff(x.ln().to_bits());
            assert!(difference <= 1, "ln({x}) is {difference} ulps off");
        }
    }
}
