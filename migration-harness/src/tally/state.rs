//! A tally as files, so that the shards of a run can be summed up later.

use std::fs::File;
use std::io::{BufReader, BufWriter, ErrorKind, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::record::{Source, line};
use crate::tally::cluster::{Cluster, Key};
use crate::tally::example::Example;
use crate::tally::groups::GroupRecords;
use crate::tally::ledger::{Entry, Ledger};
use crate::tally::sample::{Draw, Sampled};
use crate::tally::{Differing, Failure, Tally, ledger_of};

/// The file with everything but examples and distinct requests.
const STATE: &str = "tally.json";
/// The file with two records for each cluster: its example, and the same with the new reply.
const EXAMPLES: &str = "examples.jsonl";

/// Fields of an example that records don't have.
const SEQUENCE: &str = "example_sequence";
const REQUEST_BYTES: &str = "example_request_bytes";

#[derive(Serialize, Deserialize)]
struct State {
    groups: Vec<GroupRecords>,
    features: Vec<String>,
    clusters: Vec<(Key, Cluster)>,
    samples: Vec<(String, Vec<(Draw, Sampled)>)>,
    failure: Option<Failure>,
    #[serde(default)]
    incomplete: u64,
    #[serde(default)]
    differing: Differing,
}

/// What the numbers of another tally are in this one.
struct Numbers {
    groups: Vec<u32>,
    features: Vec<Option<u32>>,
    clusters: Vec<u32>,
}

impl Tally {
    /// Writes everything into the folder that the tally was made with.
    ///
    /// # Errors
    /// When it can't be written.
    pub(crate) fn save(&mut self) -> Result<(), Error> {
        self.ledger.keep()?;
        let path = self.folder.join(EXAMPLES);
        self.write_examples(&path).map_err(Error::file(&path))?;
        let path = self.folder.join(STATE);
        let file = File::create(&path).map_err(Error::file(&path))?;
        let mut writer = BufWriter::new(file);
        let written = serde_json::to_writer(&mut writer, &self.state()).map_err(Into::into);
        // What is left is written here, as an error at the writer's end would be lost.
        written.and_then(|()| writer.flush()).map_err(Error::file(&path))
    }

    /// Adds what a tally that was saved in the folder counted.
    ///
    /// # Errors
    /// When files are missing or damaged.
    pub(crate) fn absorb(&mut self, folder: &Path) -> Result<(), Error> {
        let path = folder.join(STATE);
        let file = File::open(&path).map_err(Error::file(&path))?;
        let state: State = serde_json::from_reader(BufReader::new(file))
            .map_err(|error| Error::file(&path)(error.into()))?;
        let examples = read_examples(&folder.join(EXAMPLES), &state.clusters)?;
        let numbers = self.absorb_state(state, examples);
        let path = ledger_of(folder);
        Ledger::read(&path, |entry| {
            let group = numbers.groups.get(entry.group as usize);
            let group =
                *group.ok_or_else(|| damaged(&path, "it names a group that isn't there"))?;
            self.ledger.add(Entry { group, ..entry })
        })
    }

    /// Adds what another tally has counted, which keeps it.
    ///
    /// # Errors
    /// When what doesn't fit into memory can't be read or written.
    pub(crate) fn add_all(&mut self, other: &mut Self) -> Result<(), Error> {
        let examples = other.clusters.list().iter().map(|(.., example)| example.clone()).collect();
        let numbers = self.absorb_state(other.state(), examples);
        other.ledger.each(|entry| {
            let group = numbers.groups[entry.group as usize];
            self.ledger.add(Entry { group, ..entry })
        })
    }

    fn state(&self) -> State {
        let clusters = self.clusters.list().iter();
        let clusters = clusters.map(|(key, cluster, _)| (key.clone(), cluster.clone()));
        State {
            groups: self.groups.list().to_vec(),
            features: self.dictionary.names().to_vec(),
            clusters: clusters.collect(),
            samples: self.named_samples(),
            failure: self.failure.clone(),
            incomplete: self.incomplete,
            differing: self.differing.clone(),
        }
    }

    fn named_samples(&self) -> Vec<(String, Vec<(Draw, Sampled)>)> {
        let samples = (0..).zip(&self.samples).filter_map(|(number, sample)| {
            let group = self.groups.list().iter().find(|group| group.model == number)?;
            let kept = sample.kept().map(|(draw, sampled)| (draw, sampled.clone()));
            Some((group.group.model.clone(), kept.collect()))
        });
        samples.collect()
    }

    fn write_examples(&self, path: &Path) -> std::io::Result<()> {
        let mut writer = BufWriter::new(File::create(path)?);
        for (_, _, example) in self.clusters.list() {
            for record in [&example.record, &example.with_new_reply()] {
                let mut form = line::value(record);
                form[SEQUENCE] = example.sequence.into();
                form[REQUEST_BYTES] = example.request_bytes.into();
                writeln!(writer, "{form}")?;
            }
        }
        writer.flush()
    }

    fn absorb_state(&mut self, state: State, examples: Vec<Example>) -> Numbers {
        self.add_incomplete(state.incomplete);
        self.differing.add_all(state.differing);
        let mut numbers =
            Numbers { groups: Vec::new(), features: Vec::new(), clusters: Vec::new() };
        for GroupRecords { group, records, mismatches, .. } in &state.groups {
            let number = self.groups.number(&group.model, group.client.as_deref());
            self.groups.count(number, *records, *mismatches);
            numbers.groups.push(number);
        }
        let features = state.features.iter().map(|name| self.dictionary.number(name));
        numbers.features = features.collect();
        for ((key, mut cluster), example) in state.clusters.into_iter().zip(examples) {
            let features = cluster.features.into_iter();
            let features = features.filter_map(|(feature, n)| Some((numbers.feature(feature)?, n)));
            cluster.features = features.collect();
            numbers.clusters.push(self.clusters.merge(key, cluster, example));
        }
        for (model, sampled) in state.samples {
            let Some(number) = self.groups.model_number(&model) else { continue };
            for (draw, sampled) in sampled {
                self.add_to_sample(number, draw, || numbers.renumbered(&sampled));
            }
        }
        if let Some(failure) = state.failure {
            self.add_failure(failure);
        }
        numbers
    }
}

impl Numbers {
    fn feature(&self, number: u32) -> Option<u32> {
        self.features.get(number as usize).copied().flatten()
    }

    fn renumbered(&self, sampled: &Sampled) -> Sampled {
        let features = sampled.features.iter().filter_map(|number| self.feature(*number));
        let clusters = sampled.clusters.iter();
        let clusters = clusters.filter_map(|number| self.clusters.get(*number as usize).copied());
        Sampled { features: features.collect(), clusters: clusters.collect(), ..*sampled }
    }
}

/// The examples of as many clusters.
fn read_examples(path: &Path, clusters: &[(Key, Cluster)]) -> Result<Vec<Example>, Error> {
    let mut records = Source::open(path)?;
    let mut next = || match records.next() {
        Some(numbered) => Ok(numbered?.record),
        None => Err(damaged(path, "it ends too early")),
    };
    let mut example = || {
        let (mut record, new) = (next()?, next()?.reply);
        let mut number = |name| record.unknown.remove(name).and_then(|value| value.as_u64());
        let missing = || damaged(path, "an example lacks its number");
        let sequence = number(SEQUENCE).ok_or_else(missing)?;
        let request_bytes = number(REQUEST_BYTES).ok_or_else(missing)? as usize;
        Ok(Example { sequence, record, new, request_bytes })
    };
    clusters.iter().map(|_| example()).collect()
}

fn damaged(path: &Path, reason: &'static str) -> Error {
    Error::file(path)(std::io::Error::new(ErrorKind::InvalidData, reason))
}
