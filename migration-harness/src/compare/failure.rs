//! Whether two calls without an answer failed in the same way.

/// Whether two calls failed in the same way: a known one, or one that is told in the same words.
pub(super) fn are_alike(old: &str, new: &str) -> bool {
    match (Failure::of(old), Failure::of(new)) {
        (Failure::Other, Failure::Other) => old == new,
        (old, new) => old == new,
    }
}

/// Why there is no answer, as far as its description tells.
#[derive(Debug, PartialEq, Eq)]
enum Failure {
    /// It took too long.
    Late,
    /// Nobody listens.
    Refused,
    /// The connection ended in the middle.
    Cut,
    /// Anything else.
    Other,
}

impl Failure {
    /// The failure that the words of any system describe.
    fn of(reason: &str) -> Self {
        let reason = reason.to_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| reason.contains(word));
        if says(&["timed out", "timeout", "time out", "no answer within", "deadline"]) {
            Self::Late
        } else if says(&["refused", "no connection", "unreachable", "no route", "dns"]) {
            Self::Refused
        } else if says(&[
            "reset",
            "closed",
            "broken pipe",
            "incomplete",
            "broke off",
            "eof",
            "aborted",
        ]) {
            Self::Cut
        } else {
            Self::Other
        }
    }
}
