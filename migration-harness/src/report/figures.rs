//! Numbers and names from outside as people read them.

use std::borrow::Cow;

/// What stands where a text was cut.
pub(crate) const CUT: char = '…';

/// A count with its thousands apart.
pub(crate) fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.char_indices() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// An upper bound on a rate, with three digits that count; rounded up, so that it stays a bound.
pub(crate) fn bound(rate: f64) -> String {
    if rate <= 0.0 || !rate.is_finite() {
        return "0".to_owned();
    }
    let exponent = rate.log10().floor();
    let unit = 10_f64.powf(exponent - 2.0);
    // What computing adds to a round number is no reason to round it up.
    let rounded = (rate / unit - 1e-6).ceil() * unit;
    if rate < 1e-5 {
        return format!("{rounded:.2e}");
    }
    let decimals = (2.0 - exponent).clamp(0.0, 7.0) as usize;
    without_zeros(&format!("{rounded:.decimals$}"))
}

/// A rate that a person chose, as it was written.
pub(crate) fn limit(rate: f64) -> String {
    if rate > 0.0 && rate < 1e-5 { format!("{rate:e}") } else { rate.to_string() }
}

/// A confidence as percents, with all of its digits: 0.975 is not 98 %.
pub(crate) fn confidence(confidence: f64) -> String {
    format!("{} %", without_zeros(&format!("{:.6}", confidence * 100.0)))
}

/// A share as percents, which are 0 or 100 only where nothing or everything is meant.
pub(crate) fn percent(share: f64) -> String {
    match share * 100.0 {
        percents if percents <= 0.0 => "0 %".to_owned(),
        percents if percents < 0.1 => "<0.1 %".to_owned(),
        percents if percents < 10.0 => format!("{} %", without_zeros(&format!("{percents:.1}"))),
        percents if percents < 99.5 => format!("{percents:.0} %"),
        percents if percents < 100.0 => ">99 %".to_owned(),
        _ => "100 %".to_owned(),
    }
}

/// A time with a unit that suits it.
pub(crate) fn time(us: f64) -> String {
    match us {
        us if us < 1e3 => format!("{us:.0} µs"),
        us if us < 1e4 => format!("{:.1} ms", us / 1e3),
        us if us < 1e6 => format!("{:.0} ms", us / 1e3),
        us if us < 6e7 => format!("{:.1} s", us / 1e6),
        us => format!("{:.0} min {:02.0} s", (us / 6e7).floor(), us % 6e7 / 1e6),
    }
}

/// A distance between two numbers.
pub(crate) fn distance(distance: f64) -> String {
    if distance == 0.0 || (1e-3..1e6).contains(&distance.abs()) {
        without_zeros(&format!("{distance:.4}"))
    } else {
        format!("{distance:.1e}")
    }
}

/// `1 record`, `2 records`.
pub(crate) fn records(number: u64) -> String {
    format!("{} {}", count(number), if number == 1 { "record" } else { "records" })
}

fn without_zeros(text: &str) -> String {
    if !text.contains('.') {
        return text.to_owned();
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The text on one line, without commands to a terminal, marks that turn its direction, or what
/// XML can't hold; each stands as its code instead.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unseen) {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_unseen(c) { plain.extend(c.escape_default()) } else { plain.push(c) }
    }
    Cow::Owned(plain)
}

/// Whether a character acts instead of being seen; all of these are of the basic plane.
pub(crate) fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// The same of at most so many characters.
pub(crate) fn short(text: &str, most: usize) -> String {
    let start = cut(text, most);
    let mut short = plain(start).into_owned();
    if start.len() < text.len() {
        short.push(CUT);
    }
    short
}

/// The first characters of a text, at most so many.
pub(crate) fn cut(text: &str, most: usize) -> &str {
    text.char_indices().nth(most).map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_their_thousands_apart() {
        assert_eq!([0, 999, 1_000, 2_995_731].map(count), ["0", "999", "1,000", "2,995,731"]);
    }

    #[test]
    fn a_bound_is_never_rounded_down() {
        let rates = [1.0, 0.001, 0.001_000_4, 0.000_999_75, 0.018_871_3, 1.000_2e-6, 0.0];
        let expected = ["1", "0.001", "0.00101", "0.001", "0.0189", "1.01e-6", "0"];
        assert_eq!(rates.map(bound), expected);
    }

    #[test]
    fn limits_stay_as_they_were_chosen() {
        assert_eq!(
            [0.001, 0.000_123_45, 1e-6, 0.0].map(limit),
            ["0.001", "0.00012345", "1e-6", "0"]
        );
    }

    #[test]
    fn nearly_all_is_not_all_and_nearly_nothing_is_something() {
        let shares = [0.0, 0.000_2, 0.034, 0.2, 0.999_9, 1.0];
        assert_eq!(shares.map(percent), ["0 %", "<0.1 %", "3.4 %", "20 %", ">99 %", "100 %"]);
    }

    #[test]
    fn times_have_units_that_suit_them() {
        let times = [812.0, 3_100.0, 41_000.0, 41_250_000.0, 125_000_000.0];
        assert_eq!(times.map(time), ["812 µs", "3.1 ms", "41 ms", "41.2 s", "2 min 05 s"]);
    }

    #[test]
    fn distances_are_short() {
        assert_eq!(
            [0.25, 4.4e-16, 3.0, 2e9, 0.0].map(distance),
            ["0.25", "4.4e-16", "3", "2.0e9", "0"]
        );
    }

    #[test]
    fn what_is_not_seen_is_shown_as_its_code() {
        assert_eq!(plain("a\u{1b}[31m\0\u{202e}é"), "a\\u{1b}[31m\\u{0}\\u{202e}é");
        assert_eq!(short("añb\nc", 2), "añ…");
        assert_eq!(short("añ", 2), "añ");
    }
}
