//! Numbers as they are written, and what they stand for.

/// A number of JSON, or `NaN`, `nan`, `Infinity` or `inf`, with or without a minus.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Number<'a>(&'a str);

/// What a number stands for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Quantity<'a> {
    /// An integer.
    Integer(i128),
    /// An integer of more than 127 bits, by its digits.
    Long(&'a str),
    /// A double, finite or not.
    Double(f64),
    /// A number that is beyond doubles, by its text.
    Beyond(&'a str),
}

impl<'a> Number<'a> {
    /// The number that all of the text is.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        (Self::length(text.as_bytes())? == text.len()).then_some(Self(text))
    }

    /// The number that the text begins with.
    pub(super) fn beginning(text: &'a str) -> Option<Self> {
        Some(Self(&text[..Self::length(text.as_bytes())?]))
    }

    /// As it is written.
    pub(crate) fn as_str(self) -> &'a str {
        self.0
    }

    /// What it stands for.
    pub(crate) fn quantity(self) -> Quantity<'a> {
        if self.0.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
            return self.0.parse().map_or(Quantity::Long(self.0), Quantity::Integer);
        }
        match self.as_f64() {
            value if value.is_infinite() && !self.0.ends_with(['f', 'y']) => {
                Quantity::Beyond(self.0)
            }
            value => Quantity::Double(value),
        }
    }

    /// The nearest double.
    pub(crate) fn as_f64(self) -> f64 {
        self.0.parse().expect("numbers of JSON and these words are among those of Rust")
    }

    /// Whether it stands for no number.
    pub(crate) fn is_nan(self) -> bool {
        self.0.ends_with(['N', 'n'])
    }

    /// How long the number is that the text begins with.
    fn length(text: &[u8]) -> Option<usize> {
        let sign = usize::from(text.first() == Some(&b'-'));
        let unsigned = &text[sign..];
        let whole = digits(unsigned);
        if whole == 0 {
            let words = ["NaN", "nan", "Infinity", "inf"].into_iter();
            let mut begun = words.filter(|word| unsigned.starts_with(word.as_bytes()));
            return begun.next().map(|word| sign + word.len());
        }
        if whole > 1 && unsigned[0] == b'0' {
            return None;
        }
        let mut at = sign + whole;
        if text.get(at) == Some(&b'.') {
            let decimals = digits(&text[at + 1..]);
            at += 1 + (decimals > 0).then_some(decimals)?;
        }
        if matches!(text.get(at), Some(b'e' | b'E')) {
            at += 1 + usize::from(matches!(text.get(at + 1), Some(b'+' | b'-')));
            let exponent = digits(&text[at..]);
            at += (exponent > 0).then_some(exponent)?;
        }
        Some(at)
    }
}

/// By value: integers by their digits, doubles by their bits.
impl PartialEq for Number<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
            || match (self.quantity(), other.quantity()) {
                (Quantity::Double(one), Quantity::Double(two)) => one.to_bits() == two.to_bits(),
                (one, two) => one == two,
            }
    }
}

fn digits(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_digit()).count()
}
