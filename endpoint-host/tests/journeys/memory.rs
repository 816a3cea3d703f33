//! Containers are held to their memory.

use crate::host::{Host, wait_for_end};

#[tokio::test]
async fn a_container_that_exceeds_its_memory_is_killed_told_and_replaced_and_no_other_is_touched() {
    let host = Host::start().await;
    host.deploy("hog", 5).await;
    host.deploy("spam", 5).await;
    let (hog, spam) = (host.pid("hog").await, host.pid("spam").await);
    let killed = host.invoke("hog", "hog 1300").await.expect_status(424);
    killed.expect_error("ModelError", "the container exceeded its 1024 MB of memory");
    assert_ne!(host.pid("hog").await, hog);
    assert_eq!(host.pid("spam").await, spam);
    host.stop().await;
}

#[tokio::test]
async fn a_container_is_killed_with_all_that_it_started_when_those_exceed_its_memory() {
    let host = Host::start().await;
    host.deploy("hog", 5).await;
    let first = host.pid("hog").await;
    let answer = host.invoke("hog", "child hog 1300").await;
    // Where the system kills the child alone, the container may answer before it is ended.
    if answer.status != 200 {
        let killed = answer.expect_status(424);
        killed.expect_error("ModelError", "the container exceeded its 1024 MB of memory");
    }
    wait_for_end(first).await;
    assert_ne!(host.pid("hog").await, first);
    host.stop().await;
}
