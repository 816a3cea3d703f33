//! Makes one stored decision again, by the options in force and by the changed ones.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::sides::Sides;
use super::tally::{Known, Tally};
use crate::fanout::call::Call;
use crate::moderation::{Cause, Content, Finding, StoredCalls, Verdict, decide};
use crate::policy::Policy;
use crate::policy::name::Name;
use crate::policy::plan::{Plan, PlannedCall};
use crate::policy::scope::Outcome;
use crate::store::recent::Recorded;

/// What a rule demanded on both sides; nothing where it took no part.
pub(super) type Demands = Sides<Option<Outcome>>;

/// Makes the decision again and counts what comes of it.
pub(super) fn replay(policies: &Sides<Arc<Policy>>, recorded: &Recorded, tally: &mut Tally) {
    tally.see(recorded);
    let calls =
        recorded.calls.as_deref().map_or_else(|| Ok(StoredCalls::default()), StoredCalls::parse);
    let content = Content::parse(&recorded.request, "stored request");
    let (Ok(content), Ok(calls)) = (content, calls) else {
        return tally.count_unknown(&BTreeSet::new());
    };
    let plans = policies.as_ref().map(|p| p.plan_for(&content.client, content.site.as_ref()));
    let verdicts = plans.as_ref().map(|plan| {
        let plan: &Plan = plan.as_deref()?;
        Some(decide(plan, &content, calls.recall(plan, &content)))
    });
    let all = || verdicts.as_ref().into_iter().flatten();
    // Without options on either side there is nothing to compare.
    if all().next().is_none() || all().any(|verdict| !verdict.is_known) {
        return tally.count_unknown(&all().flat_map(missing).collect());
    }
    let used: Vec<_> = all().flat_map(|verdict| &verdict.calls).collect();
    let known = Known {
        recorded,
        decisions: verdicts.as_ref().map(|verdict| verdict.as_ref().map(|v| v.decision)),
        rules: demands(&verdicts),
        is_of_other_version: used.into_iter().fold(false, |other, (planned, call)| {
            is_of_other_version(planned, call, tally) || other
        }),
    };
    tally.count_known(&known);
}

/// The models whose scores the verdict lacks.
fn missing<'a>(verdict: &'a Verdict<'_>) -> impl Iterator<Item = &'a Name> {
    let unknown = |finding: &&Finding<'_>| finding.cause == Some(Cause::Unknown);
    let model = |finding: &Finding<'_>| &verdict.calls[finding.rule.call].0.model.name;
    let lacking = verdict.findings.iter().filter(unknown).map(model);
    lacking.collect::<Vec<_>>().into_iter()
}

/// What each rule demanded; those are left out of which one side does not know it, as it could not
/// have mattered there.
fn demands<'a>(verdicts: &'a Sides<Option<Verdict<'_>>>) -> BTreeMap<&'a Name, Demands> {
    let mut demands: BTreeMap<&Name, Demands> = BTreeMap::new();
    let findings = |verdict: &'a Option<Verdict<'_>>| verdict.iter().flat_map(|v| &v.findings);
    for finding in findings(&verdicts.before) {
        demands.entry(&finding.rule.name).or_default().before = demand(finding);
    }
    for finding in findings(&verdicts.after) {
        demands.entry(&finding.rule.name).or_default().after = demand(finding);
    }
    for finding in verdicts.as_ref().into_iter().flat_map(findings) {
        if matches!(finding.cause, Some(Cause::Spared | Cause::Unknown)) {
            demands.remove(&finding.rule.name);
        }
    }
    demands
}

fn demand(finding: &Finding<'_>) -> Option<Outcome> {
    finding.took_part().then_some(finding.outcome)
}

/// Whether the call's scores are those of another version than the one that would be asked: than
/// the registered one, or where none is registered, than that of the newest decision.
fn is_of_other_version(planned: &PlannedCall, call: &Call, tally: &mut Tally) -> bool {
    if !call.status.has_scores() {
        return false;
    }
    let (model, version) = (&planned.model, call.version.as_deref());
    let newest = tally.newest_version(&model.name, version);
    version != model.document.version.as_deref().or(newest)
}
