//! What the router is sent, and what its refusals come to.

use super::super::stub::{Stub, in_force};
use super::*;

fn open(stub: &Stub) -> Router {
    // As `$(cat FILE)` in other shells leaves it.
    Router::open(stub.url(), RouterKey::new("gh_live_secret\n").unwrap()).unwrap()
}

fn failed<T: std::fmt::Debug>(ended: Result<T, Fault>) -> String {
    match ended {
        Err(Fault::Failed(message)) => message,
        other => panic!("{other:?}"),
    }
}

fn given<T: std::fmt::Debug>(ended: Result<T, Fault>) -> String {
    match ended {
        Err(Fault::Given(message)) => message,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_key_is_sent_and_never_shown() {
    let stub = Stub::answering(vec![in_force(&json!({"models/spam": {"cost": 0.1}}))]);
    let router = open(&stub);
    let options = router.in_force().await.unwrap();
    assert_eq!((options.version, options.documents.len()), (7, 1));
    assert!(stub.asked()[0].head.contains("authorization: bearer gh_live_secret\r\n"));
    assert!(!format!("{router:?}").contains("secret"));
}

#[tokio::test]
async fn a_refusal_says_whose_fault_it_is() {
    let problem = |status: u16| (status, json!({"detail": format!("words\u{1b} {status}")}));
    let statuses = [401, 403, 409, 413, 422, 404, 429, 500, 503];
    let stub = Stub::answering(statuses.map(problem).to_vec());
    let router = open(&stub);
    for status in statuses {
        let told = match status {
            404 | 429 | 500 | 503 => failed(router.in_force().await),
            _ => given(router.in_force().await),
        };
        let expected =
            format!("reading the options was refused ({status}): words\\u{{1b}} {status}");
        assert!(told.starts_with(&expected), "{told}");
        assert_eq!(told.contains("; GATEHOUSE_KEY holds a key"), status == 401);
        assert_eq!(told.contains("a router, and of this version?"), status == 404);
    }
}

#[tokio::test]
async fn what_is_no_router_is_told_so() {
    let answers = vec![
        (200, json!("hello")),
        in_force(&json!({"scopes/client/../../../etc": {}})),
        (200, json!({"policy_version": 7, "contents": []})),
    ];
    let stub = Stub::answering(answers);
    let router = open(&stub);
    assert!(failed(router.in_force().await).contains("is no router, or an older one"));
    assert!(
        failed(router.in_force().await).contains("`scopes/client/../../../etc`, which is neither")
    );
    let judged = router.what_if(&Map::new(), &[json!({})]).await;
    assert!(failed(judged).contains("judged 0 of 1 contents"));
    // It has given its last answer and listens no more.
    assert!(failed(router.in_force().await).contains("--router or GATEHOUSE_ROUTER"));
    assert!(
        given(Router::open("localhost:8080", RouterKey::new("").unwrap()))
            .starts_with("--router: ")
    );
}

#[tokio::test]
async fn more_than_a_router_takes_at_once_is_not_sent() {
    let stub = Stub::answering(Vec::new());
    let large = Map::from_iter([("models/a".to_owned(), json!("x".repeat(MAX_REQUEST_BYTES)))]);
    let proposal = Proposal { version: 7, documents: &large };
    let told = given(open(&stub).rehearse(proposal).await);
    assert!(told.contains("are 9 MiB, and a router takes 8 MiB at once"), "{told}");
}
