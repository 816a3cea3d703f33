//! Supervision of real processes; `tests/worker/worker.py` does as the request's text says.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{DumpableBehavior, Pid, Signal, dumpable_behavior, kill_process};
use serde_json::json;
use tokio::time::{Instant, sleep, timeout};

use super::*;
use crate::limits::Environment;

mod mortal;

const PATIENCE: Duration = Duration::from_secs(30);

/// A package around the worker script, and what runs it.
struct Fixture {
    dir: tempfile::TempDir,
    metrics: Arc<Metrics>,
    workers: Workers,
}

impl Fixture {
    async fn start(options: &str) -> Self {
        Self::with(options, Limits { deadline: PATIENCE, ..Limits::default() }).await
    }

    async fn with(options: &str, limits: Limits) -> Self {
        let dir = package(&format!("[worker]\n{options}"), &[]);
        let metrics = Arc::<Metrics>::default();
        let workers = open(&dir, &limits, &metrics).await.unwrap();
        Self { dir, metrics, workers }
    }

    async fn ask(&self, text: &str) -> Result<Reply, Failure> {
        let call = Call::of_fields(&json!({"text": text}), false);
        let deadline = Instant::now() + self.workers.fleet.limits.deadline;
        self.workers.call(call, deadline).await
    }

    async fn spam(&self, text: &str) -> Result<f64, String> {
        match self.ask(text).await {
            Ok(Reply::Scores(scores)) => Ok(scores[1].1),
            other => Err(format!("{other:?}")),
        }
    }

    async fn pid(&self) -> i32 {
        self.spam("pid").await.unwrap() as i32
    }

    fn count(&self, name: &str) -> u64 {
        let metrics = self.metrics.expose(None, true).text;
        let name = format!("model_container_worker_{name}_total ");
        let line = metrics.lines().find_map(|line| line.strip_prefix(&name));
        line.unwrap().parse().unwrap()
    }

    fn health(&self) -> Result<(), String> {
        self.workers.health()
    }
}

fn package(options: &str, arguments: &[&str]) -> tempfile::TempDir {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/worker/worker.py");
    let command: Vec<_> = ["python3", script.to_str().unwrap()]
        .into_iter()
        .chain(arguments.iter().copied())
        .collect();
    let toml = format!(
        "name = 'echo'\nruntime = 'worker'\nlabels = ['ham', 'spam']\ncommand = {command:?}\n{options}"
    );
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("model.toml"), toml).unwrap();
    dir
}

async fn open(
    dir: &tempfile::TempDir,
    limits: &Limits,
    metrics: &Arc<Metrics>,
) -> Result<Workers, Error> {
    Workers::start(&Package::open(dir.path())?, limits, metrics).await
}

fn kill(pid: i32) {
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}

/// Whether a process runs, and is not merely waiting to be reaped.
fn runs(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let wait = async {
        while !is_so() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("never so: {what}"));
}

#[tokio::test]
async fn replies_may_come_out_of_order_twice_or_for_nobody() {
    let fixture = Fixture::start("processes = 1\nconcurrency = 2").await;
    let first = async { fixture.spam("swap").await };
    let second = async {
        sleep(Duration::from_millis(100)).await;
        fixture.spam("swap").await
    };
    let both = tokio::join!(first, second);
    assert_eq!(both, (Ok(0.1), Ok(0.2)));
    assert_eq!(fixture.spam("twice").await, Ok(0.75));
    assert_eq!(fixture.spam("1234567890").await, Ok(0.01));
    assert_eq!(fixture.count("stray_replies"), 2);
    assert_eq!(fixture.count("restarts"), 0);
    fixture.workers.stop().await;
}

#[tokio::test]
async fn what_is_wrong_with_a_reply_is_that_calls_failure_and_the_worker_lives_on() {
    let fixture = Fixture::start("processes = 1").await;
    let pid = fixture.pid().await;
    for (text, reason) in [
        ("nan", "is NaN, not a finite number"),
        ("error no such word", "no such word"),
        ("labels spam", "its reply has no score for label `ham`"),
        ("labels eggs", "its reply scores `eggs`"),
        ("garbage", "`Loading layer 7 of 12`; logs belong on standard error"),
    ] {
        let Err(Failure::Failed(failure)) = fixture.ask(text).await else { panic!("{text}") };
        assert!(failure.contains(reason), "{failure}");
    }
    // The reply to `garbage` comes when its call has failed already, but ends its place.
    assert_eq!(fixture.spam("12345").await, Ok(0.005));
    assert_eq!(fixture.pid().await, pid);
    assert_eq!((fixture.count("garbage_lines"), fixture.count("stray_replies")), (1, 0));
    fixture.workers.stop().await;
}

#[tokio::test]
async fn a_worker_that_dies_is_restarted_and_its_call_is_tried_once_more() {
    let fixture = Fixture::start("processes = 1").await;
    let pid = fixture.pid().await;
    let mark = fixture.dir.path().join("died");
    let answer = fixture.spam(&format!("die-once {}", mark.display())).await;
    assert!(answer.is_ok(), "{answer:?}");
    assert!(mark.exists());
    assert_ne!(fixture.pid().await, pid);
    assert_eq!((fixture.count("restarts"), fixture.count("poisoned")), (1, 0));
    fixture.workers.stop().await;
}

#[tokio::test]
async fn a_request_that_kills_its_worker_twice_is_refused_and_others_beside_it_are_not() {
    let fixture = Fixture::start("processes = 1\nconcurrency = 3").await;
    let (innocent, poison, other) =
        tokio::join!(fixture.spam("sleep 0.1"), fixture.ask("die"), fixture.spam("sleep 0.2"));
    assert_eq!((innocent, other), (Ok(0.5), Ok(0.5)));
    let Err(Failure::Poisonous(sentence)) = poison else { panic!("{poison:?}") };
    assert!(sentence.contains("(SHA-256 "), "{sentence}");
    // The second restart comes after a pause.
    until("restarted", || fixture.count("restarts") == 2).await;
    assert_eq!(fixture.ask("die").await, Err(Failure::Poisonous(sentence)));
    assert_eq!(fixture.spam("12345").await, Ok(0.005));
    assert_eq!((fixture.count("restarts"), fixture.count("poisoned")), (2, 2));
    fixture.workers.stop().await;
}

#[tokio::test]
async fn health_tells_of_a_killed_worker_and_of_its_successor() {
    let fixture = Fixture::start("processes = 1").await;
    assert_eq!(fixture.health(), Ok(()));
    kill(fixture.pid().await);
    until("ill", || fixture.health().is_err()).await;
    let reason = fixture.health().unwrap_err();
    let start = "no worker is running: the last one was ended by signal 9; the next ";
    assert!(reason.starts_with(start), "{reason}");
    until("well again", || fixture.health().is_ok()).await;
    assert_eq!(fixture.spam("12345").await, Ok(0.005));
    fixture.workers.stop().await;
}

#[tokio::test]
async fn one_of_several_workers_is_enough() {
    let fixture = Fixture::start("processes = 2").await;
    let pid = fixture.pid().await;
    while fixture.pid().await == pid {}
    kill(pid);
    until("noticed", || fixture.count("restarts") == 1).await;
    assert_eq!(fixture.health(), Ok(()));
    fixture.workers.stop().await;
}

#[tokio::test]
async fn kills_from_outside_make_no_request_poisonous() {
    let fixture = Fixture::start("processes = 2").await;
    let load = async {
        loop {
            assert_eq!(fixture.spam("the same text").await, Ok(0.013));
        }
    };
    let killer = async {
        for _ in 0..4 {
            kill(fixture.pid().await);
            sleep(Duration::from_millis(300)).await;
        }
    };
    tokio::select! {
        () = load => {}
        () = killer => {}
    }
    assert!(fixture.count("restarts") > 0);
    assert_eq!(fixture.count("poisoned"), 0);
    fixture.workers.stop().await;
}

#[tokio::test]
async fn a_hung_worker_is_killed_with_what_it_started_and_replaced() {
    let limits = Limits { deadline: Duration::from_secs(2), ..Limits::default() };
    let dir = package("[worker]\nprocesses = 1", &["child"]);
    let metrics = Arc::<Metrics>::default();
    let workers = open(&dir, &limits, &metrics).await.unwrap();
    let fixture = Fixture { dir, metrics, workers };
    let (leader, child) = (fixture.pid().await, fixture.spam("child").await.unwrap() as i32);
    assert!(runs(leader) && runs(child));
    let answer = fixture.ask("hang").await;
    assert!(
        matches!(&answer, Err(Failure::Failed(reason)) if reason.contains("deadline")),
        "{answer:?}"
    );
    until("killed", || !runs(leader) && !runs(child)).await;
    until("well again", || fixture.count("restarts") == 1 && fixture.health().is_ok()).await;
    assert_eq!(fixture.spam("12345").await, Ok(0.005));
    fixture.workers.stop().await;
}

#[tokio::test]
async fn a_caller_that_goes_away_costs_no_worker() {
    let fixture = Fixture::start("processes = 1").await;
    let pid = fixture.pid().await;
    let gone = timeout(Duration::from_millis(50), fixture.ask("sleep 0.3")).await;
    assert!(gone.is_err());
    assert_eq!(fixture.pid().await, pid);
    assert_eq!(fixture.count("restarts"), 0);
    fixture.workers.stop().await;
}

#[tokio::test]
async fn a_full_queue_refuses_at_once_and_busy_is_not_ill() {
    let limits = Limits { queue: 1, deadline: PATIENCE, ..Limits::default() };
    let fixture = Fixture::with("processes = 1", limits).await;
    let soon = || sleep(Duration::from_millis(100));
    let (first, second, third) = tokio::join!(
        fixture.spam("sleep 1"),
        async {
            soon().await;
            fixture.spam("12345").await
        },
        async {
            soon().await;
            soon().await;
            (fixture.ask("x").await, fixture.health())
        },
    );
    assert_eq!((first, second), (Ok(0.5), Ok(0.005)));
    assert_eq!(third, (Err(Failure::Full), Ok(())));
    fixture.workers.stop().await;
}

#[tokio::test]
async fn a_call_that_no_worker_took_by_its_deadline_is_late() {
    let fixture = Fixture::start("processes = 1").await;
    let call = Call::of_fields(&json!({"text": "x"}), false);
    let late = async {
        sleep(Duration::from_millis(100)).await;
        fixture.workers.call(call, Instant::now() + Duration::from_millis(100)).await
    };
    let (busy, late) = tokio::join!(fixture.spam("sleep 0.5"), late);
    assert_eq!((busy, late), (Ok(0.5), Err(Failure::Late)));
    assert_eq!(fixture.count("restarts"), 0);
    fixture.workers.stop().await;
}

#[tokio::test]
async fn a_worker_that_outgrows_its_mark_is_replaced_without_a_gap() {
    let fixture = Fixture::start("processes = 1\nmax_rss_mb = 80").await;
    let pid = fixture.pid().await;
    assert_eq!(fixture.spam("grow").await, Ok(0.5));
    let mut dips = 0;
    until("replaced", || {
        dips += usize::from(fixture.health().is_err());
        fixture.count("recycled") == 1
    })
    .await;
    until("ended", || !runs(pid)).await;
    assert_ne!(fixture.pid().await, pid);
    assert_eq!((dips, fixture.count("restarts")), (0, 0));
    fixture.workers.stop().await;
}

#[tokio::test]
async fn a_worker_that_fails_at_its_start_says_why() {
    let (metrics, limits) = (Arc::default(), Limits::default());
    let dir = package("", &["fail"]);
    let error = open(&dir, &limits, &metrics).await.err().unwrap().to_string();
    assert_eq!(error, "model `echo` failed: its worker exited with status 1 (`no model here`)");

    let canary = "[[canary]]\ninput = { text = '12345' }\nlabel = 'spam'";
    let dir = package(canary, &[]);
    let error = open(&dir, &limits, &metrics).await.err().unwrap().to_string();
    assert!(error.contains("failed canary 1: expected label `spam`, got `ham`"), "{error}");

    let dir = package("[worker]\nstart_timeout_s = 1\n[[canary]]\ninput = { text = 'hang' }", &[]);
    let error = open(&dir, &limits, &metrics).await.err().unwrap().to_string();
    assert!(error.contains("did not answer within 1s of its start"), "{error}");

    let dir = package("", &[]);
    let toml = std::fs::read_to_string(dir.path().join("model.toml")).unwrap();
    std::fs::write(dir.path().join("model.toml"), toml.replace("python3", "no-such-program"))
        .unwrap();
    let error = open(&dir, &limits, &metrics).await.err().unwrap().to_string();
    assert!(error.contains("can't be started: `no-such-program`"), "{error}");
}

#[tokio::test]
async fn a_greeting_on_standard_output_is_forgiven_but_a_line_with_each_reply_is_not() {
    let (metrics, limits) = (Arc::default(), Limits::default());
    let dir = package("[worker]\nprocesses = 1", &["greet"]);
    let workers = open(&dir, &limits, &metrics).await.unwrap();
    workers.stop().await;
    let dir = package("[[canary]]\ninput = { text = 'garbage' }", &[]);
    let error = open(&dir, &limits, &metrics).await.err().unwrap().to_string();
    assert!(error.contains("`Loading layer 7 of 12`"), "{error}");
}

#[tokio::test]
async fn canaries_are_asked_again_before_a_restarted_worker_counts_as_well() {
    let marks = tempfile::tempdir().unwrap();
    let mark = marks.path().join("started");
    let options = "[worker]\nprocesses = 1\nstart_timeout_s = 30";
    let dir = package(options, &["fail-after", mark.to_str().unwrap()]);
    let metrics = Arc::<Metrics>::default();
    let workers = open(&dir, &Limits::default(), &metrics).await.unwrap();
    let fixture = Fixture { dir, metrics, workers };
    kill(fixture.pid().await);
    until("started anew", || fixture.count("restarts") == 1).await;
    let reason = fixture.health().unwrap_err();
    assert!(reason.ends_with("the next is being started"), "{reason}");
    fixture.workers.stop().await;
}

#[tokio::test]
async fn what_a_dead_worker_leaves_to_us_is_reaped() {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).unwrap();
    let dir = package("[worker]\nprocesses = 1", &["child"]);
    let (metrics, limits) = (Arc::<Metrics>::default(), Limits::default());
    let workers = open(&dir, &limits, &metrics).await.unwrap();
    let fixture = Fixture { dir, metrics, workers };
    let child = fixture.spam("child").await.unwrap() as i32;
    kill(fixture.pid().await);
    until("reaped", || !Path::new(&format!("/proc/{child}")).exists()).await;
    fixture.workers.stop().await;
}

#[tokio::test]
async fn stopping_ends_every_process_also_one_that_hangs() {
    let fixture = Fixture::start("processes = 2").await;
    let pid = fixture.pid().await;
    let hung = fixture.ask("hang");
    let stop = async {
        sleep(Duration::from_millis(200)).await;
        fixture.workers.stop().await;
        runs(pid)
    };
    let (hung, still_runs) = tokio::join!(hung, stop);
    assert!(matches!(hung, Err(Failure::Failed(_))), "{hung:?}");
    assert!(!still_runs);
    assert!(fixture.ask("x").await.is_err());
}

#[tokio::test]
async fn workers_that_are_dropped_end_too() {
    let fixture = Fixture::start("processes = 1").await;
    let pid = fixture.pid().await;
    drop(fixture.workers);
    until("ended", || !runs(pid)).await;
}

#[tokio::test]
async fn a_package_that_is_tried_sees_no_more_of_our_environment_than_programs_need() {
    let seen = |environment| async move {
        let dir = tempfile::tempdir().unwrap();
        let command = "command = ['sh', '-c', 'env > seen']";
        let toml = format!("name = 'env'\nruntime = 'worker'\nlabels = ['a', 'b']\n{command}\n");
        std::fs::write(dir.path().join("model.toml"), toml).unwrap();
        let limits = Limits { environment, ..Limits::default() };
        assert!(open(&dir, &limits, &Arc::default()).await.is_err());
        std::fs::read_to_string(dir.path().join("seen")).unwrap()
    };
    // A shell sets some by itself.
    let is_foreign = |line: &str| {
        let name = line.split('=').next().unwrap();
        !Environment::BARE.contains(&name) && !["_", "PWD", "OLDPWD", "SHLVL"].contains(&name)
    };
    assert!(seen(Environment::Whole).await.lines().any(is_foreign));
    let bare = seen(Environment::Bare).await;
    assert!(bare.contains("PATH=") && !bare.lines().any(is_foreign), "{bare}");
    let home = bare.lines().find_map(|line| line.strip_prefix("HOME=")).unwrap();
    assert!(home.contains("gatehouse-home-") && !Path::new(home).exists(), "{home}");
    // Otherwise, /proc/$PPID/environ shows ours to whoever is not the superuser.
    assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
}
