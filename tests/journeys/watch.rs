//! `gatehouse deploy watch`: files dropped into a folder, and objects put into S3.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::mpsc::{self, Receiver};
use std::thread::sleep;
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;

use crate::deploy::manage;
use crate::support::{Moto, Platform, Server, gatehouse, repository, run, send};

/// A text that the spam model knows.
const SPAM: &str = "WINNER! Claim your free prize, call now";

/// Watches `source` for the platform, looking often; more flags are the test's.
fn watch(platform: &Platform, source: &str) -> Command {
    watch_for(&platform.host, platform, source)
}

/// The same, for a platform whose endpoint host is said to be elsewhere.
fn watch_for(host: &str, platform: &Platform, source: &str) -> Command {
    let mut watch = gatehouse();
    watch.args(["deploy", "watch", source, "--interval", "50ms", "--upload"]);
    watch.arg(platform.data().join("models"));
    watch.args(["--host", host, "--router", &platform.router]);
    watch
}

/// A running watch of a folder, once it has begun.
fn watching(platform: &Platform, folder: &TempDir, grace: &str) -> Server {
    let mut watch = watch(platform, folder.path().to_str().unwrap());
    let mut server = Server::start(watch.args(["--grace", grace]));
    server.line("watching ");
    server
}

/// Makes the package of a lexicon that knows one term.
fn lexicon(folder: &Path, label: &str, term: &str) {
    fs::create_dir_all(folder).unwrap();
    let terms = format!("label = '{label}'\n[[term]]\ntext = '{term}'\nweight = 0.9\n");
    fs::write(folder.join("terms.toml"), terms).unwrap();
    let manifest = format!("name = '{label}'\nruntime = 'lexicon'\nartifact = 'terms.toml'\n");
    fs::write(folder.join("model.toml"), manifest).unwrap();
}

/// The `.tar.gz` of such a package.
fn archive(label: &str, term: &str) -> Vec<u8> {
    let package = tempfile::tempdir().unwrap();
    lexicon(package.path(), label, term);
    let tar = Command::new("tar").args(["-cz", "-C"]).arg(package.path()).arg(".").output();
    tar.unwrap().stdout
}

fn spam_model() -> Vec<u8> {
    fs::read(repository("examples/models/spam/spam.model")).unwrap()
}

/// What plainstore's only rule, on the label `label` of a model, makes of a text.
fn decision(platform: &Platform, model: &str, label: &str, text: &str) -> String {
    let put = platform.put_scope("client/plainstore", |options| {
        *options =
            json!({"rules": {"watched": {"model": model, "label": label, "reject_at": 0.6}}});
    });
    assert_eq!(put.status, 204, "{put:?}");
    platform.verdict("plainstore", text)["decision"].as_str().unwrap().to_owned()
}

fn lines(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn a_file_in_the_folder_decides_verdicts_and_is_deployed_once() {
    let (platform, folder) = (Platform::start(), tempfile::tempdir().unwrap());
    let mut server = watching(&platform, &folder, "10m");
    fs::write(folder.path().join("dropped.model"), spam_model()).unwrap();
    assert!(server.line("deployed dropped.model: dropped ").ends_with(" ms"));
    assert_eq!(decision(&platform, "dropped", "spam", SPAM), "reject");

    fs::write(folder.path().join("dropped.model"), spam_model()).unwrap();
    server.line("unchanged dropped.model: its content was dealt with before");
    lexicon(&folder.path().join(".tea"), "tea", "tea");
    fs::rename(folder.path().join(".tea"), folder.path().join("tea")).unwrap();
    server.line("deployed tea: tea ");
    assert_eq!(decision(&platform, "tea", "tea", "a cup of tea"), "reject");
    drop(server);

    let mut once = watch(&platform, folder.path().to_str().unwrap());
    let after_restart = run(once.arg("--once"), b"");
    assert!(after_restart.status.success(), "{after_restart:?}");
    assert!(!lines(&after_restart).contains("noticed"), "{after_restart:?}");
}

#[test]
fn a_version_that_was_rolled_back_returns_only_once_it_is_dropped_again() {
    let (platform, folder) = (Platform::start(), tempfile::tempdir().unwrap());
    let mut server = watching(&platform, &folder, "10m");
    let path = folder.path().join("tea.tar.gz");
    let (first, second) = (archive("tea", "tea"), archive("tea", "assam"));
    for version in [first, second.clone()] {
        fs::write(&path, version).unwrap();
        server.line("deployed tea.tar.gz: tea ");
    }
    manage(&platform, "rollback", "tea");
    fs::hard_link(&path, folder.path().join(".backup")).unwrap();
    server.line("unchanged tea.tar.gz: ");
    assert_eq!(decision(&platform, "tea", "tea", "a cup of tea"), "reject");
    fs::write(&path, second).unwrap();
    server.line("deployed tea.tar.gz: tea ");
    assert_eq!(decision(&platform, "tea", "tea", "a cup of assam"), "reject");
}

#[test]
fn a_half_written_file_is_waited_for() {
    let (platform, folder) = (Platform::start(), tempfile::tempdir().unwrap());
    let mut server = watching(&platform, &folder, "10m");
    let (path, whole) = (folder.path().join("slow.model"), spam_model());
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    server.line("waiting 600s for more of slow.model: ");
    fs::write(&path, &whole).unwrap();
    server.line("deployed slow.model: slow ");
    assert_eq!(decision(&platform, "slow", "spam", SPAM), "reject");
    assert!(!folder.path().join("quarantine").exists());
}

#[test]
fn what_is_not_fit_goes_to_quarantine_with_the_reason() {
    let (platform, folder) = (Platform::start(), tempfile::tempdir().unwrap());
    let dropped = folder.path();
    fs::write(dropped.join("garbage.model"), "no model").unwrap();
    fs::write(dropped.join("empty.onnx"), "").unwrap();
    fs::write(dropped.join("no archive.tar.gz"), "no archive").unwrap();
    fs::write(dropped.join("torn.tar.gz"), &archive("tea", "tea")[..60]).unwrap();
    fs::write(dropped.join("packed.zip"), "PK").unwrap();
    fs::write(dropped.join("half.zip.part"), "PK").unwrap();
    fs::write(dropped.join("notes.txt"), "none of the watcher's business").unwrap();
    symlink("/etc/hostname", dropped.join("link.model")).unwrap();
    fs::create_dir(dropped.join("program")).unwrap();
    let trace = tempfile::tempdir().unwrap().path().with_extension("trace");
    let command = format!("command = ['touch', '{}']", trace.display());
    let worker = format!("name = 'program'\nruntime = 'worker'\nlabels = ['a', 'b']\n{command}\n");
    fs::write(dropped.join("program/model.toml"), worker).unwrap();
    lexicon(&dropped.join("fit"), "fit", "fit");

    let mut once = watch(&platform, dropped.to_str().unwrap());
    let ended = run(once.args(["--grace", "100ms", "--once"]), b"");
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    for (name, reason) in [
        ("garbage.model", "garbage.model"),
        ("empty.onnx", "empty.onnx"),
        ("no archive.tar.gz", "can't name an endpoint"),
        ("torn.tar.gz", "torn.tar.gz"),
        ("packed.zip", "tar -czf"),
        ("link.model", "symbolic link"),
        ("program", "--allow-workers"),
    ] {
        let place = dropped.join("quarantine").join(name);
        assert!(place.symlink_metadata().is_ok() && !dropped.join(name).exists(), "{name}");
        let told = fs::read_to_string(dropped.join(format!("quarantine/{name}.reason.txt")));
        let told = told.unwrap();
        assert!(told.contains(reason) && !told.contains("staging"), "{name}: {told}");
    }
    assert!(!trace.exists(), "the worker has run");
    assert!(dropped.join("half.zip.part").exists() && dropped.join("notes.txt").exists());
    assert_eq!(lines(&ended).matches("leaving notes.txt alone: ").count(), 1, "{ended:?}");
    assert!(lines(&ended).contains("deployed fit: fit "), "{ended:?}");
    assert_eq!(decision(&platform, "fit", "fit", "a fit"), "reject");
}

#[test]
fn a_model_is_taken_however_it_is_packed_and_called() {
    let (platform, folder) = (Platform::start(), tempfile::tempdir().unwrap());
    let dropped = folder.path();
    fs::write(dropped.join("capitals.MODEL"), spam_model()).unwrap();
    fs::create_dir(dropped.join("bare")).unwrap();
    fs::write(dropped.join("bare/any name.MODEL"), spam_model()).unwrap();
    lexicon(&dropped.join(".pack/tea"), "tea", "tea");
    let mut tar = Command::new("tar");
    tar.arg("-czf").arg(dropped.join("folder.tgz")).arg("-C").arg(dropped.join(".pack"));
    assert!(tar.arg("tea").status().unwrap().success());

    let mut once = watch(&platform, dropped.to_str().unwrap());
    let ended = run(once.args(["--grace", "100ms", "--once"]), b"");
    assert!(ended.status.success(), "{ended:?}");
    for deployed in ["capitals.MODEL: capitals ", "bare: bare ", "folder.tgz: folder "] {
        assert!(lines(&ended).contains(&format!("deployed {deployed}")), "{ended:?}");
    }
    assert_eq!(decision(&platform, "capitals", "spam", SPAM), "reject");
    assert_eq!(decision(&platform, "bare", "spam", SPAM), "reject");
    assert_eq!(decision(&platform, "folder", "tea", "a cup of tea"), "reject");
}

#[test]
fn a_program_that_is_tried_sees_none_of_the_watchers_secrets() {
    let (platform, folder) = (Platform::start(), tempfile::tempdir().unwrap());
    let seen = tempfile::tempdir().unwrap();
    let seen = seen.path().join("environment");
    let package = folder.path().join("program");
    fs::create_dir(&package).unwrap();
    let script = format!("env > '{}'\nread -r line\necho '{{}}'\n", seen.display());
    fs::write(package.join("worker.sh"), script).unwrap();
    let manifest = "name = 'program'\nruntime = 'worker'\nlabels = ['a', 'b']\n\
                    command = ['sh', 'worker.sh']\n";
    fs::write(package.join("model.toml"), manifest).unwrap();
    let mut watch = watch(&platform, folder.path().to_str().unwrap());
    watch.args(["--allow-workers", "--once", "--grace", "0s"]);
    run(watch.env("AWS_SECRET_ACCESS_KEY", "hidden").env("GATEHOUSE_KEY", "hidden"), b"");
    let seen = fs::read_to_string(seen).unwrap();
    assert!(seen.contains("PATH=") && !seen.contains("hidden"), "{seen}");
}

#[test]
fn of_several_uploads_for_one_name_only_the_newest_is_deployed() {
    let (platform, folder) = (Platform::start(), tempfile::tempdir().unwrap());
    fs::write(folder.path().join("twice.model"), spam_model()).unwrap();
    sleep(Duration::from_millis(20));
    fs::write(folder.path().join("twice.tar.gz"), archive("tea", "tea")).unwrap();
    let once = || {
        let mut once = watch(&platform, folder.path().to_str().unwrap());
        run(once.args(["--once", "--grace", "0s"]), b"")
    };
    let first = lines(&once());
    assert!(first.contains("deployed twice.tar.gz: twice "), "{first}");
    assert!(first.contains("ignored twice.model: twice.tar.gz was deployed"), "{first}");
    assert!(!lines(&once()).contains("twice"));
}

#[test]
fn a_platform_that_is_away_is_not_the_files_fault() {
    let (platform, folder) = (Platform::start(), tempfile::tempdir().unwrap());
    lexicon(&folder.path().join("tea"), "tea", "tea");
    let source = folder.path().to_str().unwrap();
    let mut away = Server::start(&mut watch_for("http://127.0.0.1:1", &platform, source));
    let reason = away.line("trying tea again in 1s: ");
    assert!(reason.contains("http://127.0.0.1:1"), "{reason}");
    away.line("trying tea again in 2s: ");
    away.line("trying tea again in 4s: ");
    drop(away);
    assert!(folder.path().join("tea").exists() && !folder.path().join("quarantine").exists());
    watching(&platform, &folder, "10m").line("deployed tea: tea ");
}

#[test]
fn a_deployment_under_way_is_finished_at_sigterm() {
    let (platform, folder) = (Platform::start(), tempfile::tempdir().unwrap());
    let mut server = watching(&platform, &folder, "10m");
    let models = platform.data().join("models");
    fs::create_dir_all(&models).unwrap();
    // Holds the deployment where it surely is under way.
    let lock = fs::File::create(models.join(".late.lock")).unwrap();
    lock.lock().unwrap();
    fs::write(folder.path().join("late.model"), spam_model()).unwrap();
    server.line("deploying late.model: waiting for another deployment of `late`");
    server.terminate();
    drop(lock);
    server.line("deployed late.model: late ");
    assert!(server.process.wait().unwrap().success());
}

/// An S3 server that lists one object, if it is given one, and answers nothing else.
fn stalled_s3(listed: Option<&'static str>) -> (String, Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (stalled, has_stalled) = mpsc::channel();
    std::thread::spawn(move || {
        let mut held = Vec::new();
        for mut stream in listener.incoming().map(Result::unwrap) {
            let mut request = [0; 8192];
            let read = stream.read(&mut request).unwrap_or(0);
            let request = String::from_utf8_lossy(&request[..read]);
            if let (true, Some(key)) = (request.contains("list-type=2"), listed) {
                let list = format!(
                    "<ListBucketResult><Contents><Key>in/{key}</Key><ETag>a</ETag><Size>9</Size>\
                     <LastModified>2026-01-01T00:00:00Z</LastModified></Contents>\
                     <IsTruncated>false</IsTruncated></ListBucketResult>"
                );
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n", list.len());
                let answer = format!("{head}connection: close\r\n\r\n{list}");
                stream.write_all(answer.as_bytes()).unwrap();
                continue;
            }
            held.push(stream);
            let _ = stalled.send(());
        }
    });
    (url, has_stalled)
}

#[test]
fn a_server_that_has_stalled_keeps_no_watcher_from_ending() {
    // At the listing, at reading an upload, and at moving one away.
    for listed in [None, Some("spam.model"), Some("spam.zip")] {
        let (url, stalled) = stalled_s3(listed);
        let state = tempfile::tempdir().unwrap();
        let mut watch = gatehouse();
        watch.args(["deploy", "watch", "s3://bucket/in", "--host", "http://127.0.0.1:1"]);
        watch.arg("--upload").arg(state.path().join("models"));
        watch.arg("--state").arg(state.path().join("state"));
        watch.env("AWS_ENDPOINT_URL_S3", url).env("AWS_REGION", "us-east-1");
        watch.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
        let mut server = Server::start(&mut watch);
        stalled.recv().unwrap();
        server.terminate();
        assert!(server.process.wait().unwrap().success());
        let said = server.rest();
        assert!(!said.contains("trying") && !said.contains("waiting"), "{said}");
    }
}

#[test]
fn a_place_that_cannot_be_watched_is_named_at_once() {
    let moto = Moto::start();
    let folder = tempfile::tempdir().unwrap();
    let uploads = folder.path().join("uploads");
    let within = folder.path().to_str().unwrap();
    for (place, flags, reason) in [
        ("/no/such/folder", [].as_slice(), "`/no/such/folder` can't be watched"),
        ("s3://", &[], "write s3://BUCKET"),
        ("s3://no-such-bucket/models", &[], "there is no such bucket"),
        ("s3://bucket/in", &["--upload", "s3://bucket/in/"], "give --upload another place"),
        (within, &["--upload", uploads.to_str().unwrap()], "give --upload another place"),
        (within, &["--memory-mb", "1000"], "--memory-mb: must be 1024"),
        (within, &["--max-concurrency", "0"], "--max-concurrency: must be from 1"),
    ] {
        let mut watch = gatehouse();
        moto.serve(&mut watch);
        watch.args(["deploy", "watch", place, "--once"]).args(flags);
        let ended = run(watch.arg("--state").arg(folder.path().join(".state")), b"");
        let error = String::from_utf8(ended.stderr).unwrap();
        assert!(!ended.status.success() && error.contains(reason), "{place}: {error}");
    }
}

#[test]
fn objects_under_a_prefix_are_deployed_or_quarantined_there() {
    let (moto, platform) = (Moto::start(), Platform::start());
    let state = tempfile::tempdir().unwrap();
    moto.put("/uploads", "");
    moto.put("/uploads/models/other/ignored.model", "not directly under the prefix");
    let mut watch = watch(&platform, "s3://uploads/models");
    moto.serve(&mut watch);
    let mut server = Server::start(watch.arg("--state").arg(state.path()));
    server.line("watching s3://uploads/models/");
    moto.put("/uploads/models/from-s3.model", spam_model());
    server.line("deployed from-s3.model: from-s3 ");
    assert_eq!(decision(&platform, "from-s3", "spam", SPAM), "reject");

    moto.put("/uploads/models/from-s3.tar.gz", archive("tea", "tea"));
    server.line("deployed from-s3.tar.gz: from-s3 ");
    manage(&platform, "rollback", "from-s3");
    assert_eq!(decision(&platform, "from-s3", "spam", SPAM), "reject");
    sleep(Duration::from_secs(1));
    moto.put("/uploads/models/from-s3.tar.gz", archive("tea", "tea"));
    server.line("deployed from-s3.tar.gz: from-s3 ");
    assert_eq!(decision(&platform, "from-s3", "tea", "a cup of tea"), "reject");

    moto.put("/uploads/models/packed.zip", "PK");
    moto.put("/uploads/models/readme.txt", "none of the watcher's business");
    assert!(server.line("failed packed.zip: ").contains("tar -czf"));
    moto.put("/uploads/models/garbage.model", "no model");
    let told = server.line("failed garbage.model: ");
    assert!(told.ends_with("moved to quarantine/garbage.model"), "{told}");
    assert_eq!(moto.get("/uploads/models/quarantine/garbage.model"), "no model");
    let reason = moto.get("/uploads/models/quarantine/garbage.model.reason.txt");
    assert!(reason.contains("garbage.model"), "{reason}");
    assert_eq!(send(&moto.url, "HEAD", "/uploads/models/garbage.model", &[], "").status, 404);
    assert_eq!(moto.get("/uploads/models/readme.txt"), "none of the watcher's business");

    let deny = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": "*",
        "Action": "s3:GetObject", "Resource": "arn:aws:s3:::uploads/*"}]});
    moto.put("/uploads?policy", deny.to_string());
    moto.put("/uploads/models/denied.model", spam_model());
    let told = server.line("trying denied.model again in 1s: ");
    assert!(told.contains("S3 denies `s3://uploads/models/denied.model`"), "{told}");
    assert!(!told.contains("test"), "{told}");
}
