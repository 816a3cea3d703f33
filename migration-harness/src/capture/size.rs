//! Sizes on the command line: `65536`, `64KiB`, `1MB`.

/// The number of bytes, which is above zero.
///
/// # Errors
/// A sentence for the user.
pub(super) fn bytes(text: &str) -> Result<usize, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit: usize = match unit.trim() {
        "" | "B" => 1,
        "kB" | "KB" => 1_000,
        "KiB" => 1 << 10,
        "MB" => 1_000_000,
        "MiB" => 1 << 20,
        "GB" => 1_000_000_000,
        "GiB" => 1 << 30,
        other => return Err(format!("unit `{other}` is not known; use KB, MB, GB, KiB, MiB, GiB")),
    };
    let number = number.parse().ok().and_then(|number: usize| number.checked_mul(unit));
    let number = number.filter(|number| *number > 0);
    number.ok_or_else(|| format!("`{text}` is no size above zero, such as 1MiB"))
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn sizes_have_units_of_both_kinds() {
        assert_eq!(bytes("512"), Ok(512));
        assert_eq!(bytes("64KiB"), Ok(65_536));
        assert_eq!(bytes("2 MB"), Ok(2_000_000));
        for bad in ["", "0", "MB", "1x", "-1", "99999999999999GiB"] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
    }
}
