//! Whether two calls without an answer failed in the same way.

/// Why there is no answer, as far as its description tells.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
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
    pub(super) fn of(reason: &str) -> Self {
        let reason = reason.to_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| reason.contains(word));
        if says(&["timed out", "timeout", "time out", "no answer within", "deadline"]) {
            Self::Late
        } else if says(&["refused", "unreachable", "no route", "dns"]) {
            Self::Refused
        } else if says(&["reset", "closed", "broken pipe", "incomplete", "cut", "eof", "aborted"]) {
            Self::Cut
        } else {
            Self::Other
        }
    }
}
