//! The rules for a container's start and end, kept by ours and broken by it in a wrapper.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use model_container::check::{Limits, Target};

use crate::{Verdicts, check, expect, patient, repository, run, with};

/// Two containers that listen on port 8080 would be in each other's way.
pub(crate) static PORT_8080: Mutex<()> = Mutex::new(());

fn ours() -> String {
    command(
        &repository("examples/models/contact"),
        Path::new(env!("CARGO_BIN_EXE_model-container")),
    )
}

fn command(model: &Path, binary: &Path) -> String {
    format!("env MODEL_DIR='{}' '{}'", model.display(), binary.display())
}

/// Our container where any user may read it, as in an image: the build folder may be in root's home.
fn installed(folder: &Path) -> String {
    std::fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
    // Not `fs::copy`: a process that another test forks would hold the binary open for writing.
    let mut copy = std::process::Command::new("cp");
    copy.arg("-r").arg(repository("examples/models/contact"));
    copy.arg(env!("CARGO_BIN_EXE_model-container")).arg(folder);
    assert!(copy.status().unwrap().success());
    command(&folder.join("contact"), &folder.join("model-container"))
}

/// What a shell makes of our container, called `$serve`, on a port of its own.
fn wrapped(script: &str, limits: &Limits) -> Verdicts {
    let script = format!("serve=\"env LISTEN=127.0.0.1:0 {}\"; {script}", ours().replace('\'', ""));
    let command = ["sh", "-c", &script, "sh"].map(str::to_owned).to_vec();
    check(Target::Command(command), None, limits)
}

/// Whether a process runs whose command line has this part.
fn runs(part: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    lines.into_iter().any(|line| String::from_utf8_lossy(&line).contains(part))
}

#[test]
fn our_container_starts_and_stops_as_it_should() {
    let _alone = PORT_8080.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let output = run(&["--command", &installed(folder.path())]);
    let out = String::from_utf8(output.stdout).unwrap();
    let verdicts = crate::parse(&out);
    for (rule, part) in [
        ("serve", "`serve`"),
        ("start-time", "the first ping"),
        ("bind-to-port", "SAGEMAKER_BIND_TO_PORT"),
        ("all-interfaces", "0.0.0.0:"),
        ("invocations", "200 for application/json"),
        ("sigterm", "after SIGTERM"),
        ("drain", "all 8"),
        ("exit-status", "exit status: 0"),
        ("children", "no process"),
    ] {
        expect(&verdicts, rule, "ok", part);
    }
    // Where port 8080 is taken, or the tests don't run as root, these can't be seen.
    for rule in ["default-port", "other-user", "read-only-root"] {
        assert_ne!(verdicts[rule].0, "broken", "{out}");
    }
    let is_broken = !with(&verdicts, "broken").is_empty();
    assert_eq!(output.status.code(), Some(i32::from(is_broken)), "{out}");
}

#[test]
fn an_argument_that_is_not_understood_is_told_from_a_failing_start() {
    let verdicts =
        wrapped("test $# = 0 || { echo what is $1 >&2; exit 2; }; exec $serve", &patient());
    expect(&verdicts, "serve", "broken", "what is serve");
    expect(&verdicts, "start-time", "ok", "the first ping");
    let verdicts = wrapped("echo no model here >&2; exit 3", &patient());
    expect(&verdicts, "serve", "untested", "without it too");
    expect(&verdicts, "start-time", "broken", "exit status: 3: no model here");
    assert_eq!(with(&verdicts, "broken"), ["start-time"]);
    assert_eq!(with(&verdicts, "ok"), [""; 0]);
}

#[test]
fn a_command_that_is_not_there_is_named() {
    let output = run(&["--command", "/no/such/container"]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success() && error.contains("can't start `/no/such/container`"),
        "{error}"
    );
}

#[test]
fn a_container_that_is_never_ready_is_ended_with_all_it_started() {
    let limits = Limits { start: Duration::from_millis(500), ..patient() };
    let verdicts = wrapped("setsid sleep 71.4321 & echo loading; sleep 71.4321", &limits);
    expect(&verdicts, "start-time", "broken", "nothing listens (it wrote: loading)");
    expect(&verdicts, "sigterm", "untested", "never listened");
    assert!(!runs("71.4321"));
}

#[test]
fn a_port_of_its_own_is_found_and_broken() {
    let verdicts = wrapped("exec $serve", &patient());
    expect(&verdicts, "bind-to-port", "broken", "but it listens on 127.0.0.1:");
    expect(&verdicts, "all-interfaces", "broken", "127.0.0.1");
    expect(&verdicts, "invocations", "ok", "200");
    if verdicts["default-port"].0 != "untested" {
        expect(&verdicts, "default-port", "broken", "listens on 127.0.0.1:");
    }
}

#[test]
fn a_shell_that_keeps_sigterm_to_itself_is_broken() {
    let limits = Limits { stop: Duration::from_secs(1), ..patient() };
    let verdicts = wrapped("trap '' TERM; $serve & while :; do sleep 1; done", &limits);
    expect(&verdicts, "sigterm", "broken", "still ran 1.00 s after SIGTERM");
    expect(&verdicts, "exit-status", "untested", "did not end at SIGTERM");
    expect(&verdicts, "children", "untested", "did not end at SIGTERM");
}

#[test]
fn a_shell_that_kills_its_server_at_sigterm_is_broken() {
    let verdicts = wrapped("$serve & trap \"kill -9 $!; exit 7\" TERM; wait", &patient());
    expect(&verdicts, "sigterm", "ok", "after SIGTERM");
    expect(&verdicts, "drain", "broken", "0 of 8 were answered");
    expect(&verdicts, "exit-status", "ok", "looks like a crash");
}

#[test]
fn a_process_that_outlives_the_container_is_named_and_ended() {
    let verdicts = wrapped("setsid sleep 82.5432 & exec $serve", &patient());
    expect(&verdicts, "children", "broken", "sleep");
    assert!(!runs("82.5432"));
}

#[test]
fn a_container_for_one_user_alone_is_broken() {
    let verdicts = wrapped("test $(id -u) != 65534 || exit 9; exec $serve", &patient());
    if rustix::process::geteuid().is_root() {
        expect(&verdicts, "other-user", "broken", "exit status: 9");
    } else {
        expect(&verdicts, "other-user", "untested", "only root");
    }
}

#[test]
fn a_container_that_writes_to_its_root_is_broken() {
    let file = format!("/var/tmp/gatehouse-check-{}", std::process::id());
    let verdicts = wrapped(&format!("echo x > {file} && rm {file} && exec $serve"), &patient());
    let device = |path| std::fs::metadata(path).unwrap().dev();
    if verdicts["read-only-root"].0 != "untested" && device("/var/tmp") == device("/") {
        expect(&verdicts, "read-only-root", "broken", "Read-only file system");
    }
}
