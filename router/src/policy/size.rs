//! How much one scope's rules may take, its own and those of the scopes above it.

use super::condition::Condition;
use super::merge::Merged;

/// What some rules take, or may take.
#[derive(Debug, Default)]
pub(super) struct Size {
    /// A plan's making and each verdict go through them all.
    rules: usize,
    /// Those whose `when` has patterns: five milliseconds for each is what the worst of all contents
    /// may cost.
    pattern_rules: usize,
    /// The bytes of all their `when`.
    when_bytes: usize,
    /// What all their patterns take when they are compiled.
    pattern_bytes: usize,
}

/// What somebody may write.
const WRITTEN: Size =
    Size { rules: 200, pattern_rules: 20, when_bytes: 64 * 1024, pattern_bytes: 1024 * 1024 };

/// What may be stored: it was accepted by other limits, or what its patterns take was counted by
/// other versions of the libraries.
const STORED: Size = Size {
    rules: 4 * WRITTEN.rules,
    pattern_rules: 10 * WRITTEN.pattern_rules,
    when_bytes: 4 * WRITTEN.when_bytes,
    pattern_bytes: 4 * WRITTEN.pattern_bytes,
};

/// What a scope may come to have by what is written above it.
const INHERITED: Size = Size { pattern_rules: 4 * WRITTEN.pattern_rules, ..STORED };

impl Size {
    /// Of the rules that hold on a scope.
    pub(super) fn of(options: &Merged) -> Self {
        let mut size = Self::default();
        let whens = options.rules.values().map(|rule| rule.when.as_ref().map(|when| &when.value));
        whens.for_each(|when| size.add(when));
        size
    }

    /// Adds a rule.
    pub(super) fn add(&mut self, when: Option<&Condition>) {
        self.rules += 1;
        self.pattern_rules += usize::from(when.is_some_and(|when| when.pattern_count() > 0));
        self.when_bytes += when.map_or(0, |when| when.as_str().len());
        self.pattern_bytes += when.map_or(0, Condition::pattern_bytes);
    }

    /// Refuses in words what no stored document has.
    pub(super) fn check_stored(&self) -> Result<(), String> {
        self.check(&STORED, &Self::default())
    }

    /// Refuses in words what is too much for the scope whose document is written, where it is more
    /// than `before`.
    pub(super) fn check_written(&self, before: &Self) -> Result<(), String> {
        self.check(&WRITTEN, before)
    }

    /// The same for a scope below.
    pub(super) fn check_inherited(&self, before: &Self) -> Result<(), String> {
        self.check(&INHERITED, before)
    }

    fn check(&self, limits: &Self, before: &Self) -> Result<(), String> {
        let is_more = |of: fn(&Self) -> usize| of(self) > of(limits) && of(self) > of(before);
        if is_more(|size| size.rules) {
            return Err(format!("more than {} rules; take some out, or merge them", WRITTEN.rules));
        }
        if is_more(|size| size.pattern_rules) {
            return Err(format!(
                "more than {} rules have patterns in their `when`; join some with |, as in \
                 'beer|wine', or use contains",
                WRITTEN.pattern_rules
            ));
        }
        if is_more(|size| size.when_bytes) {
            return Err(format!(
                "the `when` of all rules together have more than {} bytes; shorten some",
                WRITTEN.when_bytes
            ));
        }
        if is_more(|size| size.pattern_bytes) {
            return Err(format!(
                "the patterns in the `when` of all rules together take more than {} bytes of \
                 memory; use smaller repetitions, and [0-9] or [a-z] in place of \\d or \\w",
                WRITTEN.pattern_bytes
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Policy;
    use super::super::example::{MODEL, policy};

    /// A document of rules `PREFIX0` and so on, each with this `when`.
    fn document(prefix: &str, rules: usize, when: &str) -> String {
        let rule = serde_json::json!({"model": "m", "label": "x", "when": when});
        let rules = (0..rules).map(|i| (format!("{prefix}{i}"), rule.clone()));
        serde_json::json!({"rules": serde_json::Map::from_iter(rules)}).to_string()
    }

    /// What is wrong with these documents of the platform and a client, if anything.
    fn fault(platform: &str, client: &str) -> Option<String> {
        let documents = [MODEL, ("scopes/platform", platform), ("scopes/client/a", client)];
        let edits = documents.map(|(s, text)| (s.parse().unwrap(), Some(text.into())));
        let fault = Policy::default().apply(&edits).err().map(|problem| problem.detail);
        // What is stored already is loaded all the same.
        let is_far_too_much = fault.as_ref().is_some_and(|fault| fault.starts_with("`scopes/"));
        assert!(is_far_too_much || policy(&documents).is_ok());
        fault
    }

    #[test]
    fn a_scope_has_its_own_and_inherited_rules_up_to_a_limit() {
        let inherited = document("p", 150, "true");
        assert_eq!(fault(&inherited, &document("c", 50, "true")), None);
        assert_eq!(fault(&inherited, &document("p", 150, "true")), None);
        let too_many = fault(&inherited, &document("c", 51, "true")).unwrap();
        assert!(too_many.starts_with("`client/a`: rules: more than 200 rules;"), "{too_many}");
        let too_many = fault(&document("p", 201, "true"), "{}").unwrap();
        assert!(too_many.starts_with("`platform`: rules: more than 200 "), "{too_many}");
    }

    #[test]
    fn a_scopes_expressions_have_so_many_bytes_at_most() {
        let when = format!("true{}", " ".repeat(1_000));
        assert_eq!(fault(&document("p", 40, &when), &document("c", 25, &when)), None);
        let too_long = fault(&document("p", 40, &when), &document("c", 26, &when)).unwrap();
        assert!(too_long.starts_with("`client/a`: rules: the `when` of all rules"), "{too_long}");
        let too_long = fault(&document("p", 66, &when), "{}").unwrap();
        assert!(too_long.starts_with("`platform`: rules: the `when` of"), "{too_long}");
    }

    #[test]
    fn so_many_rules_of_a_scope_may_have_patterns() {
        let when = "client.matches('a')";
        assert_eq!(fault(&document("p", 12, when), &document("c", 8, when)), None);
        let too_many = fault(&document("p", 12, when), &document("c", 9, when)).unwrap();
        assert!(too_many.starts_with("`client/a`: rules: more than 20 rules have"), "{too_many}");
        let far_too_many = fault(&document("p", 201, when), "{}").unwrap();
        assert!(far_too_many.contains("more than 20 rules have patterns"), "{far_too_many}");
    }

    #[test]
    fn a_scopes_patterns_take_so_much_memory_at_most() {
        // Some 60 KiB.
        let when = r"client.matches(r'\w\w\w')";
        assert_eq!(fault(&document("p", 8, when), &document("c", 6, when)), None);
        let too_much = fault(&document("p", 20, when), "{}").unwrap();
        assert!(
            too_much.starts_with("`platform`: rules: the patterns in the `when`"),
            "{too_much}"
        );
        let merged = fault(&document("p", 10, when), &document("c", 10, when)).unwrap();
        assert!(merged.starts_with("`client/a`: rules: the patterns in the `when`"), "{merged}");
    }

    #[test]
    fn a_pattern_that_is_too_large_to_be_written_is_loaded_and_may_stay() {
        let large = document("p", 1, r"client.matches(r'\w{8}')");
        let too_large = fault(&large, "{}").unwrap();
        let start = r"`scopes/platform`: rules.p0.when: '\w{8}': this pattern takes";
        assert!(too_large.starts_with(start), "{too_large}");
        let stored = policy(&[MODEL, ("scopes/platform", &large)]).unwrap();
        let with = large.replacen('{', r#"{"defaults": {"deadline_ms": 500}, "#, 1);
        assert!(put(&stored, "scopes/platform", &with).is_ok());
        assert!(put(&stored, "scopes/platform", &large.replace("{8}", "{9}")).is_err());
    }

    fn put(policy: &Policy, subject: &str, text: &str) -> Result<Policy, String> {
        let edit = (subject.parse().unwrap(), Some(text.into()));
        policy.apply(&[edit]).map_err(|problem| problem.detail)
    }

    #[test]
    fn what_is_stored_above_the_limits_hinders_nobody_and_may_not_grow() {
        let when = "client.matches('a')";
        let client = document("c", 60, when);
        let documents = [MODEL, ("scopes/platform", "{}"), ("scopes/client/a", &client)];
        let policy = policy(&documents).unwrap();
        let off = MODEL.1.replacen('{', r#"{"enabled": false, "#, 1);
        assert!(put(&policy, "models/m", &off).is_ok());
        let deadline = r#"{"defaults": {"deadline_ms": 500}}"#;
        assert!(put(&policy, "scopes/platform", deadline).is_ok());
        assert!(put(&policy, "scopes/client/a", &document("c", 59, when)).is_ok());
        assert!(put(&policy, "scopes/client/a", &document("d", 60, when)).is_ok());
        assert!(put(&policy, "scopes/client/a", &document("c", 61, when)).is_err());
    }

    #[test]
    fn what_scopes_below_have_used_up_is_no_matter_above_within_reason() {
        let when = "client.matches('a')";
        let of = |clients: usize| {
            let client = document("c", clients, when);
            policy(&[MODEL, ("scopes/platform", "{}"), ("scopes/client/a", &client)]).unwrap()
        };
        let platform = document("p", 20, when);
        let grown = put(&of(20), "scopes/platform", &platform).unwrap();
        assert!(put(&grown, "scopes/client/a", &document("c", 20, "client.matches('b')")).is_ok());
        assert!(put(&grown, "scopes/client/a", &document("c", 21, when)).is_err());
        let fault = put(&of(61), "scopes/platform", &platform).unwrap_err();
        assert!(fault.starts_with("`client/a`: rules: more than 20 rules have"), "{fault}");
    }
}
