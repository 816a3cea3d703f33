//! A throwaway PostgreSQL cluster: one for all tests, with a database for each, or one's own.

use std::io::{BufRead, BufReader, Lines, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};

use tempfile::TempDir;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/postgres");

/// Statics are never dropped, but the script sees the end of this process however it comes.
static SHARED: LazyLock<Cluster> = LazyLock::new(Cluster::start);

/// A running `tests/postgres`, which stops and removes its cluster when its input ends.
#[derive(Debug)]
pub(crate) struct Cluster {
    script: Child,
    /// The input, if it is still open, and the output; one command at a time.
    talk: Mutex<(Option<ChildStdin>, Lines<BufReader<ChildStdout>>)>,
    url: String,
    databases: AtomicUsize,
}

/// A database for one test, dropped with it.
#[derive(Debug)]
pub(crate) struct Database {
    name: String,
    pub(crate) url: String,
    /// For what belongs to the database and is not in it.
    pub(crate) folder: TempDir,
    /// Its server, if no other test uses that.
    cluster: Option<Cluster>,
}

impl Database {
    /// A new, empty one in the cluster that all tests share.
    pub(crate) fn new() -> Self {
        let (name, url) = SHARED.create();
        Self { name, url, folder: tempfile::tempdir().unwrap(), cluster: None }
    }

    /// A new, empty one whose server may be stopped.
    pub(crate) fn alone() -> Self {
        let cluster = Cluster::start();
        let (name, url) = cluster.create();
        Self { name, url, folder: tempfile::tempdir().unwrap(), cluster: Some(cluster) }
    }

    /// Has the server of a database that is alone stopped or started, as the script says it.
    pub(crate) fn command(&self, command: &str) {
        self.cluster.as_ref().expect("its server is shared").command(command);
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if self.cluster.is_none() {
            SHARED.command(&format!("drop {}", self.name));
        }
    }
}

impl Cluster {
    /// Starts one; it takes a second or two.
    pub(crate) fn start() -> Self {
        Self::run(&mut Command::new(SCRIPT))
    }

    fn run(script: &mut Command) -> Self {
        let mut script =
            script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("tests/postgres");
        let mut output = BufReader::new(script.stdout.take().unwrap()).lines();
        let line = output.next().expect("run `make tools` first: no PostgreSQL").unwrap();
        let url = line.strip_prefix("postgres listening on ").unwrap().to_owned();
        let talk = Mutex::new((script.stdin.take(), output));
        Self { script, talk, url, databases: AtomicUsize::new(0) }
    }

    /// The name and the URL of a new, empty database.
    pub(crate) fn create(&self) -> (String, String) {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.command(&format!("create {name}"));
        let url = format!("{}/{name}", self.url);
        (name, url)
    }

    /// Has the script do this, such as `stop fast` or `start`.
    pub(crate) fn command(&self, command: &str) {
        let mut talk = self.talk.lock().unwrap_or_else(PoisonError::into_inner);
        let (input, output) = &mut *talk;
        writeln!(input.as_mut().unwrap(), "{command}").unwrap();
        let done = format!("{}: done", command.split(' ').next().unwrap_or_default());
        let line = output.next().map(Result::unwrap);
        assert_eq!(line, Some(done), "{command}");
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let mut talk = self.talk.lock().unwrap_or_else(PoisonError::into_inner);
        drop(talk.0.take());
        let _ = self.script.wait();
    }
}

#[test]
fn a_database_is_of_its_own_and_dropped_with_its_test() {
    let (one, other) = (Database::new(), Database::new());
    assert_ne!(one.url, other.url);
    let name = one.name.clone();
    drop(one);
    // The name is free again.
    SHARED.command(&format!("create {name}"));
    SHARED.command(&format!("drop {name}"));
}

#[test]
fn a_server_of_ones_own_can_be_stopped_and_started() {
    let database = Database::alone();
    let address = database.url.split(['@', '/']).nth(3).unwrap();
    database.command("stop immediate");
    assert!(TcpStream::connect(address).is_err());
    database.command("start");
    assert!(TcpStream::connect(address).is_ok());
}

#[test]
fn a_cluster_starts_whatever_the_folder_for_temporary_files_is() {
    let folder = tempfile::tempdir().unwrap();
    // Which nobody else can enter, and in which no socket could have a name.
    let long = folder.path().join("it's, in short, too long ".repeat(8));
    std::fs::create_dir(&long).unwrap();
    let cluster = Cluster::run(Command::new(SCRIPT).env("TMPDIR", &long));
    cluster.create();
    drop(cluster);
    assert_eq!(long.read_dir().unwrap().count(), 0);
}
