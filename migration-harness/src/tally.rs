//! Counts what the calls of a run showed, in memory of a fixed size: in all, by model and client, and
//! by kind of difference.

mod groups;
mod ledger;
mod cluster;
mod differing;
mod example;
mod curl;
mod sample;
mod features;
mod text;
mod contrast;
mod sum;
mod state;
#[cfg(test)]
pub(crate) mod tests;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::difference::{Difference, Permit};
use crate::error::Error;
use crate::outcome::{Limits, Outcome};
use crate::record::{Fingerprint, Record, Reply};
use crate::sequential::OverDistinct;

pub(crate) use cluster::{Cluster, Key};
pub(crate) use differing::{Differing, FILE as DIFFERING};
pub(crate) use example::Example;
pub(crate) use groups::Group;
pub(crate) use ledger::{Entry, Ledger, Totals};

use cluster::Clusters;
pub(crate) use features::Dictionary;
use groups::Groups;
use sample::{Draw, Sample, Sampled};

/// What stands for everything that there are too many of to tell apart.
pub(crate) const OTHERS: &str = "…and others";
/// How many models have a sample that clusters are held against.
const MAX_SAMPLED_MODELS: usize = 256;

/// What one replayed record showed.
#[derive(Debug)]
pub(crate) struct Finding<'a> {
    /// How many records stand before it.
    pub(crate) sequence: u64,
    /// The captured call.
    pub(crate) record: &'a Record,
    /// What the target replied.
    pub(crate) new: &'a Reply,
    /// The distinct differences; none for parity.
    pub(crate) differences: Vec<Difference>,
}

/// What is counted of every call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'a> {
    /// How many records stand before it.
    pub(crate) sequence: u64,
    /// Names the call.
    pub(crate) id: &'a str,
    /// The model that was called.
    pub(crate) model: &'a str,
    /// On whose behalf, where that is known.
    pub(crate) client: Option<&'a str>,
    /// What was sent, told from other requests.
    pub(crate) request: Fingerprint,
    /// Whether the bound counts on it: the record was drawn at random, and had an answer that the
    /// target's could have differed from.
    pub(crate) is_evidence: bool,
}

impl Finding<'_> {
    fn call(&self) -> Call<'_> {
        let Record { id, model, client, request, .. } = self.record;
        Call {
            sequence: self.sequence,
            id,
            model,
            client: client.as_deref(),
            request: Fingerprint::of(model, request),
            is_evidence: !self.record.is_chosen() && self.record.reply.answer.is_ok(),
        }
    }

    /// Whether nothing permits what differs.
    pub(crate) fn is_mismatch(&self) -> bool {
        self.differences.iter().any(Difference::is_mismatch)
    }
}

/// A record without an answer from the target, and why.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Failure {
    /// How many records stand before it.
    pub(crate) sequence: u64,
    /// Why there is no answer.
    pub(crate) reason: String,
}

/// Everything that is remembered of a run. The order in which records are added doesn't matter.
#[derive(Debug)]
pub(crate) struct Tally {
    folder: PathBuf,
    groups: Groups,
    ledger: Ledger,
    clusters: Clusters,
    differing: Differing,
    dictionary: Dictionary,
    /// By the numbers of models.
    samples: Vec<Sample>,
    failure: Option<Failure>,
    /// Records that were passed over, as their calls were not recorded whole.
    incomplete: u64,
    sequential: Option<OverDistinct>,
}

impl Tally {
    /// A tally of nothing, which puts what doesn't fit into memory into the report's folder.
    pub(crate) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            groups: Groups::default(),
            ledger: Ledger::new(ledger_of(folder)),
            clusters: Clusters::default(),
            differing: Differing::default(),
            dictionary: Dictionary::default(),
            samples: Vec::new(),
            failure: None,
            incomplete: 0,
            sequential: None,
        }
    }

    /// From now on, tells as soon as the outcome is known.
    pub(crate) fn sequential(self, limits: Limits) -> Self {
        Self { sequential: Some(OverDistinct::new(limits)), ..self }
    }

    /// The outcome, once it is known; always unknown if the tally isn't sequential.
    pub(crate) fn known_outcome(&self) -> Option<Outcome> {
        self.sequential.as_ref()?.outcome()
    }

    /// Counts one record.
    ///
    /// # Errors
    /// When what doesn't fit into memory can't be written to disk.
    pub(crate) fn add(&mut self, finding: &Finding<'_>) -> Result<(), Error> {
        let Record { model, client, .. } = finding.record;
        let group = self.groups.number(model, client.as_deref());
        self.count(finding.call(), group, finding.is_mismatch())?;
        self.describe(finding, group);
        if let Err(reason) = &finding.new.answer {
            self.add_failure(Failure { sequence: finding.sequence, reason: reason.clone() });
        }
        Ok(())
    }

    /// Counts one record that showed no difference, if that is all to be known of it.
    ///
    /// # Errors
    /// As when a finding is added.
    pub(crate) fn add_equal(&mut self, call: Call<'_>) -> Result<bool, Error> {
        let draw = Draw::of(call.id, call.sequence);
        let group = self.groups.number(call.model, call.client);
        let is_sampled = self.is_sampled(group, draw);
        if !is_sampled {
            self.count(call, group, false)?;
        }
        Ok(!is_sampled)
    }

    fn count(&mut self, call: Call<'_>, group: u32, differs: bool) -> Result<(), Error> {
        let Call { request, is_evidence, .. } = call;
        // First of all, since it may fail, and what failed is not counted.
        if is_evidence {
            self.ledger.add(Entry { request, group, differs })?;
        }
        self.groups.count(group, 1, u64::from(differs));
        if differs {
            self.differing.add(call.sequence, call.id);
        }
        match &mut self.sequential {
            Some(sequential) if is_evidence => sequential.add(request, differs),
            Some(sequential) if differs => sequential.add_mismatch(),
            _ => {}
        }
        Ok(())
    }

    /// Counts records that were passed over, as their calls were not recorded whole.
    pub(crate) fn add_incomplete(&mut self, records: u64) {
        self.incomplete += records;
    }

    /// Adds the record to its clusters and to the sample of its model.
    fn describe(&mut self, finding: &Finding<'_>, group: u32) {
        let draw = Draw::of(&finding.record.id, finding.sequence);
        let is_sampled = self.is_sampled(group, draw);
        if finding.differences.is_empty() && !is_sampled {
            return;
        }
        // Text alone may differ in every record: too many to look at each.
        let is_looked_at = |difference: &Difference| {
            difference.permit != Some(Permit::TextOnly) || draw.is_of_the_sixteenth()
        };
        let features = (is_sampled || finding.differences.iter().any(is_looked_at))
            .then(|| self.dictionary.of(finding.record));
        let mut clusters = Vec::new();
        for difference in &finding.differences {
            let features = features.as_deref().filter(|_| is_looked_at(difference));
            clusters.push(self.clusters.add(finding, difference, features));
        }
        let captured_at = finding.record.captured_at.as_microsecond();
        let features = features.unwrap_or_default();
        let model = self.groups.model_of(group);
        self.add_to_sample(model, draw, || Sampled { captured_at, features, clusters });
    }

    /// Whether the sample of the group's model would keep a record.
    fn is_sampled(&mut self, group: u32, draw: Draw) -> bool {
        let model = self.groups.model_of(group);
        self.sample(model).is_some_and(|sample| sample.wants(draw))
    }

    fn add_to_sample(&mut self, model: u32, draw: Draw, sampled: impl FnOnce() -> Sampled) {
        if let Some(sample) = self.sample(model)
            && sample.wants(draw)
        {
            sample.add(draw, sampled());
        }
    }

    /// The sample of the model with this number, if it has one.
    fn sample(&mut self, model: u32) -> Option<&mut Sample> {
        let model = model as usize;
        if model >= MAX_SAMPLED_MODELS {
            return None;
        }
        if self.samples.len() <= model {
            self.samples.resize_with(model + 1, Sample::default);
        }
        self.samples.get_mut(model)
    }

    fn add_failure(&mut self, failure: Failure) {
        if self.failure.as_ref().is_none_or(|first| failure.sequence < first.sequence) {
            self.failure = Some(failure);
        }
    }
}

/// Where the distinct requests are that don't fit into memory.
fn ledger_of(folder: &Path) -> PathBuf {
    folder.join("parity-distinct")
}
