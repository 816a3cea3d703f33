//! Shadow models: asked on a share of the contents after the answer is given, heard by no verdict.
//!
//! A shadow is asked only where it keeps no live call waiting; contents are left out otherwise.
//! The registration `NAME-shadow` at stage `shadow` is the shadow of the model `NAME`. What it
//! says beside the live model is summed up here, in this router, as long as neither changes.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use utoipa::ToSchema;

use crate::fanout::call::{Call, Status};
use crate::fanout::{Fanout, Payloads, Until};
use crate::moderation::Content;
use crate::policy::Policy;
use crate::policy::model::{Model, Stage};
use crate::policy::name::Name;
use crate::policy::plan::PlannedCall;
use crate::policy::scope::Label;

/// What a shadow's name ends with.
const SUFFIX: &str = "-shadow";
/// The most contents that shadows look at at once; more are left out.
const AT_ONCE: usize = 256;
/// How long a shadow may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// The most flips, and labels, that are told apart: endpoints may invent labels without end.
const MAX_KINDS: usize = 100;
/// What the rest of the flips is counted as.
const OTHER: &str = "other";

/// The shadows in force.
#[derive(Debug)]
pub(crate) struct Shadows {
    /// By the live model's name.
    pairs: ArcSwap<HashMap<Name, Arc<Pair>>>,
    room: Arc<Semaphore>,
}

/// A live model and its shadow.
#[derive(Debug)]
pub(crate) struct Pair {
    live: Arc<Model>,
    shadow: Arc<Model>,
    tally: Mutex<Tally>,
}

/// How a shadow's answers compare with the live model's.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
#[schema(as = ShadowTally)]
pub(crate) struct Tally {
    /// Contents that both have scored.
    pub(crate) compared: u64,
    /// Contents that the shadow has not scored, or not all labels of.
    pub(crate) failed: u64,
    /// Contents that were drawn, but for which the shadow had no time.
    pub(crate) left_out: u64,
    /// Contents with the same label on top.
    pub(crate) agreed: u64,
    /// How often another label was on top, by the live one's and the shadow's; those beyond the
    /// first hundred pairs count as `other`.
    pub(crate) flips: BTreeMap<String, u64>,
    /// How the scores of each label differ, of a hundred labels at most.
    pub(crate) labels: BTreeMap<String, Shift>,
}

/// How scores differ: the shadow's less the live one's.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
#[schema(as = ScoreShift)]
pub(crate) struct Shift {
    /// How many were compared.
    pub(crate) compared: u64,
    /// The mean difference.
    pub(crate) mean: f64,
    /// The mean of the differences without their signs.
    pub(crate) mean_absolute: f64,
    /// The largest difference without its sign.
    pub(crate) largest: f64,
}

impl Default for Shadows {
    fn default() -> Self {
        Self { pairs: ArcSwap::default(), room: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

impl Shadows {
    /// Takes up what is in force from now on; a pair that is as it was goes on being counted.
    pub(crate) fn follow(&self, policy: &Policy) {
        let known = self.pairs.load();
        let pair = |shadow: &Arc<Model>| {
            let name: Name = shadow.name.as_str().strip_suffix(SUFFIX)?.parse().ok()?;
            let live = policy.shared_model(&name)?;
            let is_pair = shadow.document.stage == Stage::Shadow && shadow.document.enabled;
            let same = known.get(&name).filter(|pair| pair.is_of(live, shadow));
            let pair = || same.cloned().unwrap_or_else(|| Arc::new(Pair::new(live, shadow)));
            (is_pair && live.document.enabled).then(|| (name, pair()))
        };
        let pairs = policy.shared_models().filter_map(pair).collect();
        self.pairs.store(Arc::new(pairs));
    }

    /// The pair of a live model.
    pub(crate) fn of(&self, live: &Name) -> Option<Arc<Pair>> {
        self.pairs.load().get(live).cloned()
    }

    /// Lets shadows look at what live models have answered, in tasks of their own.
    pub(crate) fn look_at<'a>(
        &self,
        fanout: &Arc<Fanout>,
        content: &Arc<Content>,
        calls: impl Iterator<Item = (&'a PlannedCall, &'a Call)>,
    ) {
        let pairs = self.pairs.load();
        if pairs.is_empty() {
            return;
        }
        for (planned, call) in calls {
            let pair = pairs.get(&planned.model.name);
            let Some(pair) = pair.filter(|pair| pair.draws(content, call)) else { continue };
            let room = Arc::clone(&self.room).try_acquire_owned().ok();
            let Some(room) = room.filter(|_| fanout.has_spare(&pair.shadow)) else {
                pair.lock().left_out += 1;
                continue;
            };
            let (pair, fanout) = (Arc::clone(pair), Arc::clone(fanout));
            let (content, live) = (Arc::clone(content), call.clone());
            let labels = planned.labels.clone();
            tokio::spawn(async move {
                pair.compare(&fanout, &content, (labels, live)).await;
                drop(room);
            });
        }
    }
}

impl Pair {
    fn new(live: &Arc<Model>, shadow: &Arc<Model>) -> Self {
        Self { live: Arc::clone(live), shadow: Arc::clone(shadow), tally: Mutex::default() }
    }

    fn is_of(&self, live: &Arc<Model>, shadow: &Arc<Model>) -> bool {
        Arc::ptr_eq(&self.live, live) && Arc::ptr_eq(&self.shadow, shadow)
    }

    /// The shadow's name.
    pub(crate) fn shadow(&self) -> &Name {
        &self.shadow.name
    }

    /// The share of the contents that the shadow looks at.
    pub(crate) fn share(&self) -> f64 {
        self.shadow.document.share()
    }

    /// How they compare so far.
    pub(crate) fn tally(&self) -> Tally {
        self.lock().clone()
    }

    fn draws(&self, content: &Content, call: &Call) -> bool {
        call.status.has_scores() && content.content_id.is_drawn(self.share())
    }

    async fn compare(
        &self,
        fanout: &Arc<Fanout>,
        content: &Content,
        (labels, live): (Vec<Label>, Call),
    ) {
        let planned = PlannedCall { model: Arc::clone(&self.shadow), labels };
        let until = Until::idly(Instant::now() + PATIENCE);
        let asked = fanout.call(&planned, &mut Payloads::new(content), until).await;
        self.lock().note(&live, &asked.call);
    }

    fn lock(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tally {
    fn note(&mut self, live: &Call, shadow: &Call) {
        match shadow.status {
            Status::Ok | Status::Cached => {}
            Status::Skipped => return self.left_out += 1,
            Status::Timeout | Status::Throttled | Status::Failed => return self.failed += 1,
        }
        self.compared += 1;
        match (top(live), top(shadow)) {
            (Some(live), Some(shadow)) if live != shadow => {
                let flip = format!("{live} -> {shadow}");
                let is_known = self.flips.contains_key(&flip) || self.flips.len() < MAX_KINDS;
                let flip = if is_known { flip } else { OTHER.to_owned() };
                *self.flips.entry(flip).or_default() += 1;
            }
            _ => self.agreed += 1,
        }
        for (label, score) in &*live.all_scores {
            let Some(other) = shadow.all_scores.get(label) else { continue };
            if self.labels.contains_key(label) || self.labels.len() < MAX_KINDS {
                self.labels.entry(label.clone()).or_default().note(other - score);
            }
        }
    }

    /// The share of contents with the same label on top.
    pub(crate) fn agreement(&self) -> Option<f64> {
        (self.compared > 0).then(|| self.agreed as f64 / self.compared as f64)
    }

    /// The mean of all differences of scores without their signs.
    fn shift(&self) -> f64 {
        let compared: u64 = self.labels.values().map(|shift| shift.compared).sum();
        let sum: f64 = self.labels.values().map(|it| it.mean_absolute * it.compared as f64).sum();
        if compared > 0 { sum / compared as f64 } else { 0.0 }
    }
}

impl Shift {
    fn note(&mut self, difference: f64) {
        self.compared += 1;
        let weight = 1.0 / self.compared as f64;
        self.mean += (difference - self.mean) * weight;
        self.mean_absolute += (difference.abs() - self.mean_absolute) * weight;
        self.largest = self.largest.max(difference.abs());
    }
}

/// A count of a tally: its name, what it says, where it stands.
type Count = (&'static str, &'static str, fn(&Tally) -> u64);

/// The counts that Prometheus gets.
const COUNTS: [Count; 5] = [
    ("compared", "Contents that a model and its shadow have scored", |tally| tally.compared),
    ("failed", "Contents that a model has scored and its shadow has not", |tally| tally.failed),
    ("left_out", "Contents that a shadow had no time for", |tally| tally.left_out),
    ("agreed", "Contents with the same label on top", |tally| tally.agreed),
    ("flips", "Contents with another label on top", |tally| tally.compared - tally.agreed),
];

impl Collector for Shadows {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let pairs = self.pairs.load();
        let tallies: BTreeMap<_, _> =
            pairs.iter().map(|(model, pair)| (model.as_str(), pair.tally())).collect();
        for (name, help, count) in COUNTS {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (model, tally) in &tallies {
                let counter = ConstCounter::new(count(tally));
                counter.encode(metric.encode_family(&[("model", *model)])?)?;
            }
        }
        let help = "How far a shadow's scores are from its model's, in the mean";
        let mut metric =
            encoder.encode_descriptor("mean_score_shift", help, None, MetricType::Gauge)?;
        for (model, tally) in &tallies {
            let gauge = ConstGauge::new(tally.shift());
            gauge.encode(metric.encode_family(&[("model", *model)])?)?;
        }
        Ok(())
    }
}

/// The label with the highest score.
fn top(call: &Call) -> Option<&str> {
    let best = call.all_scores.iter().max_by(|(_, one), (_, other)| one.total_cmp(other));
    best.map(|(label, _)| label.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fanout::call::Status;

    fn call(scores: &[(&str, f64)]) -> Call {
        let all_scores = scores.iter().map(|(label, score)| ((*label).to_owned(), *score));
        let nothing = Call::without_scores(Status::Ok, Duration::ZERO);
        Call { all_scores: Arc::new(all_scores.collect()), ..nothing }
    }

    #[test]
    fn labels_that_endpoints_invent_take_no_more_room_than_a_hundred() {
        let mut tally = Tally::default();
        for n in 0..250 {
            let invented = format!("label-{n}");
            tally.note(&call(&[("ham", 0.6), (&invented, 0.0)]), &call(&[(&invented, 1.0)]));
        }
        assert_eq!((tally.compared, tally.agreed), (250, 0));
        assert_eq!((tally.flips.len(), tally.flips[OTHER]), (MAX_KINDS + 1, 150));
        assert_eq!((tally.labels.len(), tally.shift()), (MAX_KINDS, 1.0));
    }

    #[test]
    fn what_a_shadow_lacks_is_no_comparison() {
        let mut tally = Tally::default();
        tally.note(&call(&[("ham", 0.6)]), &Call::skipped());
        tally.note(&call(&[("ham", 0.6)]), &Call::without_scores(Status::Failed, Duration::ZERO));
        assert_eq!((tally.left_out, tally.failed), (1, 1));
        assert_eq!((tally.compared, tally.agreement()), (0, None));
        tally.note(&call(&[("ham", 0.75)]), &call(&[("ham", 0.5)]));
        assert_eq!((tally.agreement(), tally.shift()), (Some(1.0), 0.25));
    }
}
