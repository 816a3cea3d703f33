//! What a report says in words: what came out, what that means, and what to do next.

use crate::difference::{Kind, Permit};
use crate::outcome::{Looks, Outcome};

use super::figures::{self, count, records, short};
use super::{ClusterDetail, Report, Statistics};

/// Beyond this nobody waits for a proof.
const MOST_CALLS: u64 = 1 << 40;
/// How many characters of a name are shown.
const MAX_NAME: usize = 200;

/// The outcome in one sentence, without the outcome's name.
pub(crate) fn headline(report: &Report) -> String {
    let verdict = &report.verdict;
    let differ = format!("{} of {} differ", count(verdict.mismatches), records(verdict.records));
    match verdict.outcome {
        Outcome::Parity => differ,
        Outcome::Broken if report.limits.allow == 0 => format!("{differ}, and none may"),
        Outcome::Broken => format!("{differ}, and only {} may", count(report.limits.allow)),
        Outcome::Unproven => match calls_needed(report) {
            Some(needed) => format!(
                "{differ}, but {} distinct ones are needed for a bound of {}",
                count(needed),
                figures::limit(report.limits.max_rate)
            ),
            None => format!(
                "{differ}, but no number of them shows a rate of at most {}",
                figures::limit(report.limits.max_rate)
            ),
        },
    }
}

/// The bound in one sentence.
pub(crate) fn bound_sentence(report: &Report) -> String {
    let verdict = &report.verdict;
    format!(
        "After {} distinct requests, the mismatch rate is at most {} at {} confidence{}; {} is asked for.",
        count(verdict.distinct),
        figures::bound(verdict.bound.mismatch_rate),
        figures::confidence(verdict.bound.confidence),
        match report.limits.looks {
            Looks::Once => "",
            Looks::Anytime => ", whenever one looks",
        },
        figures::limit(report.limits.max_rate),
    )
}

/// The other bounds that are known.
pub(crate) fn other_bounds(report: &Report) -> Option<String> {
    let Statistics { wilson, weighted, worst, .. } = &report.statistics;
    let worst = worst.as_ref()?;
    let client = worst.client.as_ref().map(|client| format!(" for {}", short(client, MAX_NAME)));
    Some(format!(
        "If the bounds of all models and clients are to hold together, the largest is {}, of {}{}, and \
         {} is their mean, weighted by records. Wilson's bound, which other tools show, is {}.",
        figures::bound(worst.mismatch_rate),
        short(&worst.model, MAX_NAME),
        client.unwrap_or_default(),
        figures::bound(*weighted),
        figures::bound(*wilson),
    ))
}

/// What else has to be known: calls without an answer, answers without a call.
pub(crate) fn warnings(report: &Report) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some(failure) = &report.failure {
        warnings.push(format!(
            "The first call without an answer is record {}: {}",
            count(failure.sequence + 1),
            short(&failure.reason, MAX_NAME)
        ));
    }
    match report.only_in_new {
        0 => {}
        1 => warnings.push("1 new answer belongs to no record and was not compared.".to_owned()),
        more => warnings.push(format!(
            "{} new answers belong to no record and were not compared.",
            count(more)
        )),
    }
    match report.incomplete {
        0 => {}
        1 => warnings.push("1 call was not captured whole and was not compared.".to_owned()),
        more => warnings
            .push(format!("{} calls were not captured whole and were not compared.", count(more))),
    }
    if !report.not_compared.is_empty() {
        let calls = |(reason, calls): (&String, &u64)| format!("{}, as {reason}", count(*calls));
        let all: Vec<_> = report.not_compared.iter().map(calls).collect();
        warnings.push(format!("Calls that were not compared: {}.", all.join("; ")));
    }
    warnings
}

/// What the outcome means.
pub(crate) fn meaning(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Parity => {
            "The target answers as the captured system did, as far as was asked to be shown."
        }
        Outcome::Unproven => "Nothing speaks against the target, and too few calls speak for it.",
        Outcome::Broken => "The target answers otherwise than the captured system did.",
    }
}

/// What to do next, the most useful first; code stands between backticks.
pub(crate) fn next_steps(report: &Report) -> Vec<String> {
    match report.verdict.outcome {
        Outcome::Parity => after_parity(report),
        Outcome::Unproven => after_unproven(report),
        Outcome::Broken => after_broken(report),
    }
}

fn after_parity(report: &Report) -> Vec<String> {
    let verdict = &report.verdict;
    let mut steps = Vec::new();
    if verdict.mismatches > 0 {
        let differ = if verdict.mismatches == 1 { "differs" } else { "differ" };
        let named = records(verdict.mismatches);
        steps.push(format!("{named} {differ}, as `--allow` permits; see the mismatches below."));
    }
    let weak = verdict.groups.iter().filter(|group| group.outcome != Outcome::Parity).count();
    if weak > 0 {
        steps.push(format!(
            "{weak} of {} groups are not proven on their own; `--require groups` would ask that of each.",
            verdict.groups.len()
        ));
    }
    if !report.is_live() {
        steps.push("Make a small suite for CI out of these records: `parity select`.".to_owned());
    }
    steps
}

fn after_unproven(report: &Report) -> Vec<String> {
    let verdict = &report.verdict;
    if verdict.records == 0 {
        let missing = if report.is_live() {
            "No call was compared yet; see that callers use the address of the watch, and that the \
             target is up."
        } else {
            "No record was compared; see that the records are those you meant."
        };
        return vec![missing.to_owned()];
    }
    let mut steps = Vec::new();
    if let Some(needed) = calls_needed(report) {
        let more = if report.is_live() { "Let it go on" } else { "Capture more" };
        steps.push(format!(
            "{more}: {} distinct requests are needed, {} are here. Repeated ones prove no more than one.",
            count(needed),
            count(verdict.distinct)
        ));
    }
    if verdict.bound.mismatch_rate < 1.0 {
        let reached = figures::bound(verdict.bound.mismatch_rate);
        steps
            .push(format!("Or ask for less: these records are enough for `--max-rate {reached}`."));
    }
    steps
}

fn after_broken(report: &Report) -> Vec<String> {
    let mut steps = Vec::new();
    if let Some(largest) = report.mismatches().max_by_key(|cluster| cluster.records) {
        steps.push(format!(
            "Begin with the largest group of differences, {}: its example is the smallest request that shows it.",
            records(largest.records)
        ));
        steps.extend(remedy(largest.kind).map(str::to_owned));
        if largest.noise > 0 {
            steps.push(noise_sentence(largest));
        }
    }
    if !report.is_live() {
        steps.push(
            "Tell what differs every time from what comes and goes: `parity replay --only mismatches`."
                .to_owned(),
        );
    }
    steps
}

/// That the legacy system isn't steady in this field either.
pub(crate) fn noise_sentence(cluster: &ClusterDetail) -> String {
    format!(
        "The legacy system itself answers otherwise in this field when it is asked again, in {}.",
        records(cluster.noise)
    )
}

/// How many distinct requests would do, with as many mismatches as there are.
pub(crate) fn calls_needed(report: &Report) -> Option<u64> {
    let (limits, mismatches) = (report.limits, report.statistics.distinct_mismatches);
    let do_suffice = |calls| limits.bound(mismatches, calls, limits.confidence) <= limits.max_rate;
    let mut enough = mismatches.max(1);
    while !do_suffice(enough) {
        enough = enough.checked_mul(2).filter(|calls| *calls <= MOST_CALLS)?;
    }
    let (mut too_few, mut enough) = (enough / 2, enough);
    while enough - too_few > 1 {
        let middle = too_few + (enough - too_few) / 2;
        if do_suffice(middle) { enough = middle } else { too_few = middle }
    }
    Some(enough)
}

/// What permits a difference.
pub(crate) fn permit(permit: &Permit) -> String {
    match permit {
        Permit::TextOnly => "text only".to_owned(),
        Permit::Rule(name) => format!("rule {name}"),
        Permit::Noise => "noise of the legacy system".to_owned(),
    }
}

/// How two answers differ.
pub(crate) fn difference(kind: Kind) -> &'static str {
    match kind {
        Kind::Error => "no answer from the target",
        Kind::Unanswered => "no captured answer to compare with",
        Kind::Late => "later than a rule allows",
        Kind::Status => "another status",
        Kind::ContentType => "another media type",
        Kind::Header => "another header",
        Kind::Truncated => "the answer is cut off",
        Kind::Text => "another text",
        Kind::NumberFormat => "the same number, written differently",
        Kind::KeyOrder => "the same members in another order",
        Kind::Whitespace => "other white space",
        Kind::Escape => "the same characters, escaped differently",
        Kind::Value => "another value",
        Kind::Label => "another label",
        Kind::Unicode => "the same text in another Unicode form",
        Kind::Case => "the same but for upper and lower case",
        Kind::Ulp => "at most four representable doubles apart",
        Kind::Float32 => "rounded to single precision",
        Kind::Rounded => "rounded to fewer decimals",
        Kind::Swapped => "the values of two fields are exchanged",
        Kind::Type => "another type",
        Kind::Null => "null on one side",
        Kind::Missing => "missing in the new answer",
        Kind::Extra => "only in the new answer",
        Kind::Length => "not equally many elements",
        Kind::Order => "the same elements in another order",
    }
}

/// Where to look, or which rule would permit the difference; code stands between backticks.
pub(crate) fn remedy(kind: Kind) -> Option<&'static str> {
    Some(match kind {
        Kind::Error => {
            "See in the target's log why it gave no answer; a slow one may need `--timeout`."
        }
        Kind::Unanswered => {
            "The legacy system failed here; leave these records out of the capture."
        }
        Kind::Status => "Compare both bodies: they say why one side refused.",
        Kind::Late => "If that is quick enough, a rule's `at_most` says so.",
        Kind::Ulp => {
            "Both sides probably add in another order; if that is of no account, a rule says `ulp = 4`."
        }
        Kind::Float32 => {
            "The target computes in single precision; a rule with `relative = 1e-6` permits it."
        }
        Kind::Rounded => "The target writes fewer decimals; a rule with `decimals = …` permits it.",
        Kind::Label => {
            "If the scores were nearly equal, a rule with `margin = …` permits the flip."
        }
        Kind::Unicode => "If the form is of no account, a rule says `unicode = \"nfc\"`.",
        Kind::Case => "If case is of no account, a rule says `case = \"any\"`.",
        Kind::Order => "If the order is of no account, a rule says `order = \"any\"`.",
        Kind::Swapped => "If a field has a new name, a `[[rename]]` in the rules says so.",
        Kind::Type => {
            "If integers and doubles are the same to callers, a rule says `type = \"any-number\"`."
        }
        Kind::Null => "If callers treat both alike, a rule says `null = \"missing\"`.",
        Kind::Missing => "If the field has a new name, a `[[rename]]` in the rules says so.",
        Kind::Extra => "If callers pass over what they don't know, a rule says `ignore = true`.",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::report::fixture;

    fn unproven(max_rate: f64, distinct_mismatches: u64) -> Report {
        let mut report = fixture::calm("unproven", 412, 0.01);
        report["limits"]["max_rate"] = json!(max_rate);
        report["statistics"]["distinct_mismatches"] = json!(distinct_mismatches);
        serde_json::from_value(report).unwrap()
    }

    #[test]
    fn the_number_of_calls_that_would_do_is_exact() {
        assert_eq!(calls_needed(&unproven(0.001, 0)), Some(2_995));
        assert_eq!(calls_needed(&unproven(0.001, 1)), Some(4_742));
        assert_eq!(calls_needed(&unproven(1.0, 0)), Some(1));
    }

    #[test]
    fn no_number_of_calls_shows_a_rate_of_nothing() {
        let report = unproven(0.0, 0);
        assert_eq!(calls_needed(&report), None);
        assert!(headline(&report).ends_with("no number of them shows a rate of at most 0"));
    }

    #[test]
    fn allowed_mismatches_are_not_hidden_by_parity() {
        let mut report = fixture::calm("parity", 20_000, 0.000_3);
        report["verdict"]["mismatches"] = json!(1);
        let steps = next_steps(&serde_json::from_value(report).unwrap());
        assert_eq!(steps[0], "1 record differs, as `--allow` permits; see the mismatches below.");
    }
}
