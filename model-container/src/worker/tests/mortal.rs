//! Workers that end by themselves, or by what they are asked.

use super::*;

/// A worker that answers `bye` and exits, and is killed by `oom`.
const MORTAL: &str = r#"
import json, os, sys, time
for line in sys.stdin:
    request = json.loads(line)
    text = request["input"]["text"]
    if text == "oom":
        os.kill(os.getpid(), 9)
    if text == "bye":
        time.sleep(0.4)
    print(json.dumps({"id": request["id"], "scores": {"spam": 0.5, "ham": 0.5}}), flush=True)
    if text == "bye":
        os._exit(0)
"#;

async fn mortal() -> Fixture {
    let dir = package("[worker]\nprocesses = 1\nconcurrency = 2", &[]);
    std::fs::write(dir.path().join("mortal.py"), MORTAL).unwrap();
    let toml = std::fs::read_to_string(dir.path().join("model.toml")).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/worker/worker.py");
    let toml = toml.replace(script.to_str().unwrap(), "mortal.py");
    std::fs::write(dir.path().join("model.toml"), toml).unwrap();
    let metrics = Arc::<Metrics>::default();
    let limits = Limits { deadline: PATIENCE, ..Limits::default() };
    let workers = open(&dir, &limits, &metrics).await.unwrap();
    Fixture { dir, metrics, workers }
}

#[tokio::test]
async fn a_suspect_is_not_tried_on_a_worker_that_answered_and_exits() {
    let fixture = mortal().await;
    let suspect = Call::of_fields(&json!({"text": "suspect"}), false).hash();
    fixture.workers.fleet.quarantine.strike(suspect, None);
    sleep(Duration::from_millis(300)).await;
    let (first, suspect) = tokio::join!(fixture.spam("bye"), async {
        sleep(Duration::from_millis(100)).await;
        fixture.spam("suspect").await
    });
    assert_eq!((first, suspect), (Ok(0.5), Ok(0.5)));
    assert_eq!((fixture.count("restarts"), fixture.count("poisoned")), (1, 0));
    fixture.workers.stop().await;
}

#[tokio::test]
async fn a_request_whose_workers_are_killed_each_time_fails_at_last() {
    let fixture = mortal().await;
    let Err(Failure::Failed(reason)) = fixture.ask("oom").await else { panic!("answered") };
    assert!(reason.contains("signal 9") && reason.contains("3 times in a row"), "{reason}");
    assert_eq!(fixture.spam("x").await, Ok(0.5));
    fixture.workers.stop().await;
}
