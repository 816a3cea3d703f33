//! Dividing a run: which records are a shard's, and what a shard leaves for `merge`.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::outcome::Limits;
use crate::record::Record;
use crate::report::{Run, Timing};
use crate::rules::Unmet;
use crate::tally::Tally;
use crate::whole;

/// The file in a shard's folder.
const FILE: &str = "shard.json";
/// What stands for a shard's number in paths.
const NUMBER: &str = "{shard}";
/// Where Kubernetes and AWS Batch say which part of a job a process is.
const INDICES: [&str; 2] = ["JOB_COMPLETION_INDEX", "AWS_BATCH_JOB_ARRAY_INDEX"];

/// The options that divide a run.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ShardArgs {
    /// Does part I of N, counted from 0: every N-th record. `merge` sums all parts up.
    #[arg(long, value_name = "I/N", conflicts_with = "shards")]
    shard: Option<Shard>,
    /// Does one of N parts: the one that JOB_COMPLETION_INDEX (a Kubernetes Indexed Job) or
    /// AWS_BATCH_JOB_ARRAY_INDEX (an AWS Batch array job) names.
    #[arg(long, value_name = "N")]
    shards: Option<u64>,
}

/// One part of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shard {
    index: u64,
    count: u64,
}

/// What a shard leaves for `merge`, beside its tally.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// Which part it is.
    pub(crate) shard: Shard,
    /// The version of this program.
    pub(crate) version: String,
    /// The target, or the file of its answers.
    pub(crate) target: String,
    /// The digest of the file of rules.
    pub(crate) rules: Option<String>,
    /// The digest of the legacy system's answers to being asked once more, or where each shard finds
    /// its own.
    pub(crate) noise: Option<String>,
    /// The names of the headers that were put into requests.
    pub(crate) headers: Vec<String>,
    /// What the shard alone was held against.
    pub(crate) limits: Limits,
    /// What is known once the part is done; null before.
    pub(crate) finished: Option<Finished>,
}

/// What is known of a part that is done.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Finished {
    /// All records that were seen, those of other shards too.
    pub(crate) records: Seen,
    /// What was compared, and when.
    pub(crate) run: Run,
    /// How long calls took.
    pub(crate) timing: Option<Timing>,
    /// The rules that its calls weren't about; none where it has no calls.
    pub(crate) unmet: Option<Vec<Unmet>>,
}

/// Tells records from other records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// How many.
    pub(crate) count: u64,
    /// A digest of them in their order.
    pub(crate) digest: String,
}

/// Counts all records that a run sees, whichever shard they are of.
#[derive(Debug, Clone, Default)]
pub(crate) struct Census {
    count: u64,
    digest: Sha256,
}

impl ShardArgs {
    /// The part that is asked for; none for all of it. `variable` is the environment.
    ///
    /// # Errors
    /// A usage error, when the environment names no part, or two.
    pub(crate) fn shard(
        &self,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Shard>, Error> {
        let Some(count) = self.shards else { return Ok(self.shard) };
        let named: Vec<_> =
            INDICES.iter().filter_map(|name| Some((name, variable(name)?))).collect();
        let [first, others @ ..] = named.as_slice() else {
            return Err(Error::Usage(format!(
                "`--shards` needs {} or {} in the environment; without them use `--shard I/N`",
                INDICES[0], INDICES[1]
            )));
        };
        if let Some(other) = others.iter().find(|other| other.1 != first.1) {
            let ((one, i), (two, j)) = (first, other);
            return Err(Error::Usage(format!("{one} is `{i}` and {two} is `{j}`; unset one")));
        }
        let (name, index) = first;
        let shard = index.parse().ok().and_then(|index| Shard::new(index, count));
        let reason = || Error::Usage(format!("{name} is `{index}`, which is no part of {count}"));
        shard.ok_or_else(reason).map(Some)
    }
}

impl Shard {
    /// Part `index` of `count`, counted from 0.
    pub(crate) fn new(index: u64, count: u64) -> Option<Self> {
        (index < count).then_some(Self { index, count })
    }

    /// Whether the record with so many before it is of this part.
    pub(crate) fn contains(self, sequence: u64) -> bool {
        sequence % self.count == self.index
    }

    /// How many of so many records are of this part.
    pub(crate) fn share(self, records: u64) -> u64 {
        records.saturating_sub(self.index).div_ceil(self.count)
    }

    /// The part's own path: its number stands for `{shard}`.
    pub(crate) fn fill_in(self, path: &Path) -> PathBuf {
        match path.to_str() {
            Some(text) => PathBuf::from(text.replace(NUMBER, &self.index.to_string())),
            None => path.to_owned(),
        }
    }

    /// Which part, counted from 0.
    pub(crate) fn index(self) -> u64 {
        self.index
    }

    /// Of how many parts.
    pub(crate) fn count(self) -> u64 {
        self.count
    }
}

impl std::fmt::Display for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text
            .split_once('/')
            .and_then(|(index, count)| Self::new(index.parse().ok()?, count.parse().ok()?));
        numbers.ok_or_else(|| format!("`{text}` is no part such as 0/8, the first of eight"))
    }
}

impl Manifest {
    /// Reads what a shard left.
    ///
    /// # Errors
    /// When the folder is no shard's.
    pub(crate) fn read(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(FILE);
        let text = fs::read(&path).map_err(|error| {
            Error::Usage(format!("`{}` is no shard's folder: {FILE}: {error}", folder.display()))
        })?;
        serde_json::from_slice(&text)
            .map_err(|error| Error::Usage(format!("`{}` can't be read: {error}", path.display())))
    }

    /// Says that the part is begun, and not done.
    ///
    /// # Errors
    /// When the folder can't be written to.
    pub(crate) fn begin(&self, folder: &Path) -> Result<(), Error> {
        Self { finished: None, ..self.clone() }.write(folder)
    }

    /// Writes everything that `merge` needs, and last of all that the part is done.
    ///
    /// # Errors
    /// When the folder can't be written to.
    pub(crate) fn finish(
        self,
        folder: &Path,
        tally: &mut Tally,
        finished: Finished,
    ) -> Result<(), Error> {
        tally.save()?;
        Self { finished: Some(finished), ..self }.write(folder)
    }

    fn write(&self, folder: &Path) -> Result<(), Error> {
        whole::write_json(folder, FILE, self)
    }
}

impl Census {
    /// Counts a record.
    pub(crate) fn add(&mut self, record: &Record) {
        self.count += 1;
        for part in [&record.id, &record.model] {
            self.digest.update((part.len() as u64).to_le_bytes());
            self.digest.update(part);
        }
        self.digest.update((record.request.body.len() as u64).to_le_bytes());
    }

    /// What was counted.
    pub(crate) fn seen(self) -> Seen {
        Seen { count: self.count, digest: hex(&self.digest.finalize()) }
    }
}

/// The digest of a file, if there is one.
///
/// # Errors
/// When it can't be read.
pub(crate) fn digest(file: Option<&Path>) -> Result<Option<String>, Error> {
    file.map(|path| digest_of(path).map_err(Error::file(path))).transpose()
}

/// What a file is told from others by, if there is one: its digest, or the path under which each shard
/// has one of its own.
///
/// # Errors
/// When it can't be read.
pub(crate) fn identity(file: Option<&Path>) -> Result<Option<String>, Error> {
    match file.and_then(Path::to_str) {
        Some(path) if path.contains(NUMBER) => Ok(Some(path.to_owned())),
        _ => digest(file),
    }
}

fn digest_of(path: &Path) -> io::Result<String> {
    let mut reader = BufReader::with_capacity(1 << 20, File::open(path)?);
    let mut digest = Sha256::new();
    loop {
        let chunk = reader.fill_buf()?;
        if chunk.is_empty() {
            return Ok(hex(&digest.finalize()));
        }
        digest.update(chunk);
        let length = chunk.len();
        reader.consume(length);
    }
}

fn hex(digest: &[u8]) -> String {
    let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{digits}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_environment(variables: &[(&str, &str)]) -> Result<Option<Shard>, String> {
        let args = ShardArgs { shard: None, shards: Some(8) };
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        args.shard(variable).map_err(|error| error.to_string())
    }

    #[test]
    fn a_part_is_named_by_an_option() {
        let shard: Shard = "2/8".parse().unwrap();
        assert_eq!((shard.index(), shard.count(), shard.to_string().as_str()), (2, 8, "2/8"));
        assert_eq!((0..20).filter(|n| shard.contains(*n)).collect::<Vec<_>>(), [2, 10, 18]);
        assert_eq!([0, 2, 3, 19, 20].map(|records| shard.share(records)), [0, 0, 1, 3, 3]);
        assert_eq!(shard.fill_in(Path::new("a/{shard}/b")), Path::new("a/2/b"));
        for bad in ["8/8", "1", "1/0", "-1/8", "a/b", ""] {
            assert!(bad.parse::<Shard>().unwrap_err().contains("0/8"), "{bad}");
        }
        let args = ShardArgs { shard: Some(shard), shards: None };
        assert_eq!(args.shard(|_| Some("5".to_owned())).unwrap(), Some(shard));
    }

    #[test]
    fn a_part_is_named_by_the_environment_of_a_job() {
        let [kubernetes, batch] = INDICES;
        for variables in
            [&[(kubernetes, "3")][..], &[(batch, "3")], &[(kubernetes, "3"), (batch, "3")]]
        {
            assert_eq!(by_environment(variables), Ok(Shard::new(3, 8)));
        }
    }

    #[test]
    fn an_environment_that_names_none_or_two_or_nonsense_is_an_error() {
        let [kubernetes, batch] = INDICES;
        for (variables, reason) in [
            (&[][..], "`--shards` needs JOB_COMPLETION_INDEX or"),
            (&[(kubernetes, "3"), (batch, "4")], "is `3` and AWS_BATCH_JOB_ARRAY_INDEX is `4`"),
            (&[(kubernetes, "8")], "JOB_COMPLETION_INDEX is `8`, which is no part of 8"),
            (&[(batch, "")], "AWS_BATCH_JOB_ARRAY_INDEX is ``"),
        ] {
            let error = by_environment(variables).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
    }
}
