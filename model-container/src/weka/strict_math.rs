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
    fn the_bits_are_those_of_strict_math() {
        for (x, expected) in STRICT_MATH_LOG {
            let x = f64::from_bits(x);
            assert_eq!(ln(x).to_bits(), expected, "ln({x})");
        }
    }

    /// Arguments and results of Java's `StrictMath.log`.
    const STRICT_MATH_LOG: [(u64, u64); 95] = [
        (0x4000_0000_0000_0000, 0x3FE6_2E42_FEFA_39EF),
        (0x4008_0000_0000_0000, 0x3FF1_93EA_7AAD_030A),
        (0x4010_0000_0000_0000, 0x3FF6_2E42_FEFA_39EF),
        (0x4014_0000_0000_0000, 0x3FF9_C041_F7ED_8D33),
        (0x401C_0000_0000_0000, 0x3FFF_2272_AE32_5A57),
        (0x4024_0000_0000_0000, 0x4002_6BB1_BBB5_5516),
        (0x4026_0000_0000_0000, 0x4003_2EE3_B77F_374C),
        (0x4059_0000_0000_0000, 0x4012_6BB1_BBB5_5516),
        (0x408F_4000_0000_0000, 0x401B_A18A_998F_FFA0),
        (0x40B1_6A00_0000_0000, 0x4020_CE0E_A62C_FBFA),
        (0x3FE0_0000_0000_0000, 0xBFE6_2E42_FEFA_39EF),
        (0x3FB9_9999_9999_999A, 0xC002_6BB1_BBB5_5515),
        (0x3FE6_7EF9_DB22_D0E5, 0xBFD6_8DB1_F704_22B8),
        (0x3FF0_0068_DB8B_AC71, 0x3F1A_368D_0657_FCD4),
        (0x3FF0_0000_1AD7_F29B, 0x3E7A_D7F2_847B_6492),
        (0x3FEF_FFFD_E721_0BE9, 0xBEB0_C6F8_2D74_D230),
        (0x3FF6_8F5C_28F5_C28F, 0x3FD5_FD5F_ABE6_4084),
        (0x3FF6_B851_EB85_1EB8, 0x3FD6_7129_84EC_8F15),
        (0x3FF6_147A_E147_AE14, 0x3FD4_9D04_1BE0_CE30),
        (0x3FF8_0000_0000_0000, 0x3FD9_F323_ECBF_984C),
        (0x400D_9999_9999_999A, 0x3FF4_EEEE_650A_E550),
        (0x4028_8000_0000_0000, 0x4004_0B51_2EB5_3D60),
        (0x4083_E6DB_6DB6_DB6E, 0x4019_D380_A0CD_615F),
        (0x4075_6EC4_EC4E_C4EC, 0x4017_599B_36C1_31CC),
        (0x40C0_2280_0000_0000, 0x4022_09E1_CF8F_8E9B),
        (0x4096_C74B_4B4B_4B4B, 0x401D_2388_5CCD_1E3B),
        (0x4028_CB9F_2EFF_DF37, 0x4004_23DC_BE5B_C393),
        (0x4091_6B33_3333_3333, 0x401C_10D3_1A79_3243),
        (0x4027_5555_5555_5555, 0x4003_A765_15B9_7240),
        (0x4011_8000_0000_0000, 0x3FF7_9D50_27A8_90A4),
        (0x01A5_6E1F_C2F8_F359, 0xC085_9634_47F8_7FB5),
        (0x0000_0000_0000_0001, 0xC087_4385_446D_71C3),
        (0x7FEF_FFFF_FFFF_FFFF, 0x4086_2E42_FEFA_39EF),
        (0x4005_BF0A_8B14_5769, 0x3FF0_0000_0000_0000),
        (0x3FD5_5555_5555_5555, 0xBFF1_93EA_7AAD_030B),
        (0x4055_D1D7_A91D_7A92, 0x4011_E05D_B44F_C01A),
        (0x4025_0E65_6606_4259, 0x4002_D517_EA6D_2A00),
        (0x402C_0EC2_20EC_220F, 0x4005_2100_71DE_9A5B),
        (0x4027_C786_5C78_65C8, 0x4003_CE2D_3D35_7473),
        (0x4031_8AC4_2FD9_B839, 0x4006_EAB4_08F9_A8DE),
        (0x3FF7_13B8_A9D9_4FEC, 0x3FD7_70A0_F1AD_3237),
        (0x401D_B2A3_2A32_A32A, 0x4000_09C9_67D3_0650),
        (0x4005_80E9_CB20_96BC, 0x3FEF_A410_4DC6_704A),
        (0x4014_06ED_A3DA_9658, 0x3FF9_C5CB_EBDD_F0D7),
        (0x4044_B0EA_0EA0_EA0F, 0x400D_C865_4BA5_B1E0),
        (0x401C_6639_96CC_9FFD, 0x3FFF_5C73_1A35_204D),
        (0x4022_E349_00F9_2FB2, 0x4001_F684_F226_C3FC),
        (0x403D_933B_59EB_1CC9, 0x400B_1870_A6BD_EC1A),
        (0x404F_F856_D2AC_5E7C, 0x4010_A1BC_FC34_63C0),
        (0x4012_843D_087A_10F4, 0x3FF8_8497_5AC1_DB3C),
        (0x3FF0_F2EA_85CD_2547, 0x3FAD_7F8A_6DAF_B8EC),
        (0x4035_F0CA_0B7A_D586, 0x4008_B4EA_9107_3D4B),
        (0x401B_5240_B171_ACD3, 0x3FFE_BDF0_D24F_347D),
        (0x4021_AF23_D7E8_E5AC, 0x4001_6FA8_BB83_8D4D),
        (0x400C_359A_F978_9CB1, 0x3FF4_29D5_B4AB_C0B7),
        (0x4023_5B98_0571_A445, 0x4002_28DA_5192_8D4B),
        (0x4031_DD11_9679_290A, 0x4007_0FE5_AE9B_F87C),
        (0x4022_2342_3E65_B758, 0x4001_A386_DF7E_81AE),
        (0x4012_DE3D_42D9_C487, 0x3FF8_D1A1_9449_A496),
        (0x4020_880E_AACB_9A7D, 0x4000_E59E_9639_A9CD),
        (0x402A_18A7_A73E_0C54, 0x4004_8C96_A0BF_6DB0),
        (0x4039_86BC_A1AF_286C, 0x4009_EAED_07BC_AB5D),
        (0x400E_5207_4E2A_C9D6, 0x3FF5_516D_B174_8382),
        (0x4028_C3F0_D5E6_0F90, 0x4004_2161_EF95_678A),
        (0x400B_5F9D_4D1B_C250, 0x3FF3_AEA0_9A02_030C),
        (0x404C_B50C_A76C_0BAE, 0x4010_3380_CACB_6BE8),
        (0x4038_F898_FBAE_92D1, 0x4009_BDE3_364C_B571),
        (0x4017_35B5_8355_126D, 0x3FFC_21EA_8134_8C6E),
        (0x4030_353C_A4CD_8A6A, 0x4006_48B5_69FF_006D),
        (0x402C_075B_37E8_75B3, 0x4005_1EE3_E02E_EE5F),
        (0x4016_C6F8_C34E_1067, 0x3FFB_D4DB_7E3A_01D2),
        (0x4026_7F08_7A92_12BE, 0x4003_5C91_F354_5758),
        (0x402B_C362_A8F2_755C, 0x4005_0B65_B62A_35AB),
        (0x4021_4895_506A_EA92, 0x4001_40BB_0A0C_4BB3),
        (0x3FF0_4F68_DD94_17B2, 0x3F93_A994_4922_F3D0),
        (0x4024_F6EC_A671_5BF4, 0x4002_CC27_FF4B_B7ED),
        (0x401E_6246_3223_D070, 0x4000_388F_C420_2906),
        (0x4010_B81B_B29C_00D0, 0x3FF6_E25A_2830_751D),
        (0x401B_6102_2A1B_F10C, 0x3FFE_C692_AAFF_111B),
        (0x4006_2242_EBFC_CC4A, 0x3FF0_485B_F73B_02C2),
        (0x4011_58B9_41D6_C56D, 0x3FF7_793E_B67B_3FBD),
        (0x4033_3102_DAE2_7F86, 0x4007_A2BE_78A6_E766),
        (0x4025_95D1_2453_6619, 0x4003_07E8_AC31_9704),
        (0x4026_34B4_B4B4_B4B5, 0x4003_41F7_56EF_2ACE),
        (0x3FF6_6C23_4F72_C235, 0x3FD5_9925_A2E5_67C6),
        (0x402E_0344_73AA_64F6, 0x4005_AAF5_3AEF_A398),
        (0x4034_C807_F2C0_BEC2, 0x4008_45BF_A9A8_F2CB),
        (0x4033_9594_49C6_7491, 0x4007_CC3E_2647_ADBD),
        (0x4033_C6C4_7277_1B12, 0x4007_E03C_DBF3_9302),
        (0x4053_05FA_5FA5_FA60, 0x4011_53ED_BF31_AFF3),
        (0x4010_C368_33FF_294E, 0x3FF6_ED26_9830_3051),
        (0x4009_01F3_8C67_B36F, 0x3FF2_3C5F_1AEF_1E58),
        (0x4027_2039_BF8C_80E7, 0x4003_951A_E56D_6F8E),
        (0x4023_D4BA_1314_5BA9, 0x4002_5A4F_BB30_B4BB),
        (0x4049_4832_717F_5E95, 0x400F_62CB_FD19_C0DF),
    ];
}
