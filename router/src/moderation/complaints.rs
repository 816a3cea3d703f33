//! Says that a `when` could not be evaluated: once a minute, however many contents it is so for.

use std::time::Duration;

use moka::sync::Cache;

use crate::policy::name::Name;

const INTERVAL: Duration = Duration::from_secs(60);

/// More expressions than these, and one that made room for others is complained of again.
const MAX_KNOWN: u64 = 1000;

/// What was complained of lately: rules with the texts of their expressions.
#[derive(Debug)]
pub(crate) struct Complaints(Cache<(Name, String), ()>);

impl Default for Complaints {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(MAX_KNOWN).time_to_live(INTERVAL).build())
    }
}

impl Complaints {
    /// Whether it is time to complain of a rule's expression.
    pub(super) fn is_due(&self, rule: &Name, when: &str) -> bool {
        self.0.entry((rule.clone(), when.to_owned())).or_insert(()).is_fresh()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_complained_of_once() {
        let complaints = Complaints::default();
        let (spam, hate) = ("spam".parse().unwrap(), "hate".parse().unwrap());
        let due = [
            complaints.is_due(&spam, "content.rating < 2"),
            complaints.is_due(&spam, "content.rating < 2"),
            complaints.is_due(&hate, "content.rating < 2"),
            complaints.is_due(&spam, "content.rating < 3"),
            complaints.is_due(&spam, "content.rating < 2"),
        ];
        assert_eq!(due, [true, false, true, true, false]);
    }
}
