//! `gatehouse moderate` with a stream of contents.

use serde_json::{Value, json};

use crate::support::{Platform, gatehouse, run};

fn moderate(router: &str, input: &str) -> (Option<i32>, Vec<Value>, String) {
    let mut command = gatehouse();
    command.args(["moderate", "--client", "plainstore", "--router", router]);
    let output = run(&mut command, input.as_bytes());
    let lines = String::from_utf8(output.stdout).unwrap();
    let verdicts = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (output.status.code(), verdicts, String::from_utf8(output.stderr).unwrap())
}

#[test]
fn two_hundred_reviews_come_back_in_order() {
    let platform = Platform::start();
    let line = |n| json!({"content_id": format!("c-{n}"), "fields": {"text": "x".repeat(n)}});
    let input: String = (0..200).map(|n| format!("{}\n", line(n))).collect();
    let (code, verdicts, summary) = moderate(&platform.router, &input);
    assert_eq!((code, verdicts.len()), (Some(0), 200), "{summary}");
    for (n, verdict) in verdicts.iter().enumerate() {
        assert_eq!(verdict["content_id"], format!("c-{n}"));
        assert_eq!(verdict["degraded"], false);
    }
    assert!(summary.contains("0 failed"), "{summary}");
}

#[test]
fn a_line_that_fails_is_answered_in_its_place_and_makes_the_exit_code_1() {
    let platform = Platform::start();
    let good = json!({"content_id": "good", "fields": {"text": "fine"}});
    let wrong = json!({"content_id": "wrong", "fields": {"text": 3}});
    let unknown = json!({"client": "nobody", "content_id": "c", "fields": {"text": "fine"}});
    let input = format!("{good}\n\n{wrong}\n{{oops\n{unknown}\n{good}");
    let (code, verdicts, summary) = moderate(&platform.router, &input);
    assert_eq!((code, verdicts.len()), (Some(1), 5), "{summary}");
    let place = |index: usize| (&verdicts[index]["line"], &verdicts[index]["error"]["status"]);
    assert_eq!(place(1), (&json!(3), &json!(422)));
    assert_eq!(verdicts[1]["content_id"], "wrong");
    assert_eq!(place(2), (&json!(4), &json!(400)));
    assert_eq!(place(3), (&json!(5), &json!(404)));
    assert_eq!(
        (&verdicts[0]["decision"], &verdicts[4]["decision"]),
        (&json!("approve"), &json!("approve"))
    );
}

#[test]
fn a_platform_that_stops_answers_what_it_has_taken_up_and_says_that_it_ended() {
    let platform = Platform::start();
    let line = json!({"content_id": "c", "fields": {"text": "fine"}});
    let input = format!("{line}\n").repeat(100_000);
    let router = platform.router.clone();
    let moderating = std::thread::spawn(move || moderate(&router, &input));
    std::thread::sleep(std::time::Duration::from_millis(1500));
    drop(platform);
    let (code, verdicts, error) = moderating.join().unwrap();
    assert!(code == Some(1) && error.contains("Error: the router "), "{error}");
    assert!(!verdicts.is_empty());
    assert!(verdicts.iter().all(|verdict| verdict["degraded"] == false));
}

#[test]
fn a_router_that_is_away_is_named() {
    let (code, verdicts, error) = moderate("http://127.0.0.1:1", "{}\n");
    assert_eq!((code, verdicts.len()), (Some(1), 0));
    assert!(error.contains("http://127.0.0.1:1"), "{error}");
}
