//! Reads bodies whole, in the memory that the host has for them, and never leaves a caller with a
//! cut connection for an answer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// The largest body of a serverless call and of its answer:
/// <https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints-invoke.html>
pub(crate) const INVOCATION_BYTES: usize = 4 * 1024 * 1024;

/// Beyond this a caller who ignores the limit is cut off.
const DRAIN_BYTES: usize = 64 * 1024 * 1024;

/// How long a caller may take to send a body.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a caller may send nothing of it: whoever dawdles takes room from others.
const PROGRESS_WITHIN: Duration = Duration::from_secs(5);

/// How long a caller waits for others to make room.
const ROOM_WITHIN: Duration = Duration::from_secs(2);

/// What room is measured in.
const KIB: usize = 1024;

/// Memory for bodies, which is taken as they come: nobody is believed what they announce.
#[derive(Clone, Debug)]
pub(crate) struct Room {
    /// What is left of it, in KiB.
    left: Arc<Semaphore>,
    /// What those who have a share of it have left, in KiB; never locked across an await.
    shares: Arc<Mutex<HashMap<String, Weak<Semaphore>>>>,
    /// The most that one of them may have, in KiB.
    share: usize,
    /// The largest body.
    limit: usize,
}

/// Why there is no body.
#[derive(Clone, Copy, Debug)]
pub(crate) enum BodyError {
    /// It is longer than the limit.
    TooLong,
    /// It broke off or took too long.
    Broken,
    /// Other bodies take all the memory that there is for them.
    NoRoom,
}

/// A body, and its room until the last copy of it is gone.
struct Held {
    /// The body.
    bytes: Bytes,
    /// Its room.
    _taken: Taken,
}

/// What a body has taken of the room.
struct Taken {
    /// What is left of its share.
    share: Arc<Semaphore>,
    /// What is left of all.
    left: Arc<Semaphore>,
    /// What it has of both.
    permits: Option<[OwnedSemaphorePermit; 2]>,
}

impl Room {
    /// So much memory for bodies of at most `limit` bytes, of which it has room for at least one.
    pub(crate) fn new(limit: usize, bytes: usize) -> Self {
        let share = bytes.max(limit) / KIB;
        let left = Arc::new(Semaphore::new(share));
        Self { left, shares: Arc::default(), share, limit }
    }

    /// The same where nobody may have more than half of it, or one body.
    pub(crate) fn in_shares(self) -> Self {
        Self { share: (self.share / 2).max(self.limit.div_ceil(KIB)), ..self }
    }

    /// The whole body, which is for `whom`.
    pub(crate) async fn read(&self, whom: &str, mut body: Body) -> Result<Bytes, BodyError> {
        let reading = timeout(PATIENCE, self.read_some(whom, &mut body));
        let read = reading.await.unwrap_or(Err(BodyError::Broken));
        if matches!(read, Err(BodyError::TooLong | BodyError::NoRoom)) {
            discard(body).await;
        }
        read
    }

    async fn read_some(&self, whom: &str, body: &mut Body) -> Result<Bytes, BodyError> {
        if body.size_hint().lower() > self.limit as u64 {
            return Err(BodyError::TooLong);
        }
        let (mut bytes, mut taken) = (BytesMut::new(), self.take_nothing(whom));
        loop {
            let coming = timeout(PROGRESS_WITHIN, body.frame()).await;
            let Some(frame) = coming.map_err(|_| BodyError::Broken)? else {
                break;
            };
            if let Ok(part) = frame.map_err(|_| BodyError::Broken)?.into_data() {
                if bytes.len() + part.len() > self.limit {
                    return Err(BodyError::TooLong);
                }
                taken.grow(kib(bytes.len() + part.len())).await?;
                bytes.extend_from_slice(&part);
            }
        }
        Ok(Bytes::from_owner(Held { bytes: bytes.freeze(), _taken: taken }))
    }

    fn take_nothing(&self, whom: &str) -> Taken {
        let mut shares = self.shares.lock().expect("looking up a share does not panic");
        let known = shares.get(whom).and_then(Weak::upgrade);
        let share = known.unwrap_or_else(|| {
            shares.retain(|_, share| share.strong_count() > 0);
            let share = Arc::new(Semaphore::new(self.share));
            shares.insert(whom.to_owned(), Arc::downgrade(&share));
            share
        });
        Taken { share, left: Arc::clone(&self.left), permits: None }
    }
}

impl Taken {
    /// Takes what is missing up to so many KiB, once it is there.
    async fn grow(&mut self, kib: u32) -> Result<(), BodyError> {
        let has = self.permits.as_ref().map_or(0, |[_, all]| all.num_permits());
        let missing = kib.saturating_sub(u32::try_from(has).unwrap_or(u32::MAX));
        if missing == 0 {
            return Ok(());
        }
        let taking = async {
            let share = Arc::clone(&self.share).acquire_many_owned(missing).await?;
            Ok::<_, AcquireError>([
                share,
                Arc::clone(&self.left).acquire_many_owned(missing).await?,
            ])
        };
        let more = timeout(ROOM_WITHIN, taking).await.ok().and_then(Result::ok);
        let [share, all] = more.ok_or(BodyError::NoRoom)?;
        match &mut self.permits {
            Some([of_share, of_all]) => {
                of_share.merge(share);
                of_all.merge(all);
            }
            None => self.permits = Some([share, all]),
        }
        Ok(())
    }
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The room that so many bytes take.
fn kib(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(KIB)).unwrap_or(u32::MAX)
}

/// Takes what still comes: many clients read an answer only after they have sent everything.
pub(crate) async fn discard(body: Body) {
    timeout(PATIENCE, drain(body)).await.ok();
}

async fn drain(mut body: Body) {
    let mut taken = 0;
    while let Some(Ok(frame)) = body.frame().await {
        taken += frame.data_ref().map_or(0, Bytes::len);
        if taken > DRAIN_BYTES {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use hyper::body::{Frame, SizeHint};
    use tokio::time::Instant;

    use super::*;

    /// A body whose length is not announced.
    fn unannounced(bytes: &'static [u8]) -> Body {
        let chunk = Ok::<_, std::io::Error>(Bytes::from_static(bytes));
        Body::from_stream(futures_util::stream::iter([chunk]))
    }

    #[tokio::test]
    async fn a_body_of_exactly_the_limit_is_read_and_one_more_byte_is_refused() {
        let room = Room::new(5, KIB);
        for body in [Body::from("12345"), unannounced(b"12345")] {
            assert_eq!(room.read("spam", body).await.unwrap(), "12345");
        }
        for body in [Body::from("123456"), unannounced(b"123456")] {
            assert!(matches!(room.read("spam", body).await, Err(BodyError::TooLong)));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_takes_its_room_until_the_last_copy_of_it_is_gone() {
        let room = Room::new(2 * KIB, 3 * KIB);
        let first = room.read("spam", unannounced(&[1; 2 * KIB])).await.unwrap();
        let copy = first.slice(1..2);
        drop(first);
        let refused = room.read("spam", Body::from(vec![2; 2 * KIB])).await;
        assert!(matches!(refused, Err(BodyError::NoRoom)));
        // What it does not need is given back, whatever was announced.
        let small = room.read("spam", Body::from("small")).await.unwrap();
        assert_eq!(room.left.available_permits(), 0);
        drop((copy, small));
        assert_eq!(room.left.available_permits(), 3);
        let small = room.read("spam", unannounced(b"small")).await.unwrap();
        assert_eq!(room.left.available_permits(), 2);
        assert!(room.read("spam", Body::empty()).await.unwrap().is_empty());
        drop(small);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_room_gets_what_others_leave() {
        let room = Room::new(2 * KIB, 2 * KIB);
        let first = room.read("spam", Body::from(vec![1; 2 * KIB])).await.unwrap();
        let waiting = room.clone();
        let second =
            tokio::spawn(async move { waiting.read("spam", Body::from(vec![2; KIB])).await });
        tokio::time::sleep(ROOM_WITHIN / 2).await;
        drop(first);
        assert_eq!(second.await.unwrap().unwrap().len(), KIB);
    }

    /// A body that announces so many bytes and sends none of them.
    fn silent(bytes: u64) -> Body {
        struct Silent(u64);
        impl hyper::body::Body for Silent {
            type Data = Bytes;
            type Error = std::io::Error;

            fn poll_frame(
                self: Pin<&mut Self>,
                _: &mut Context<'_>,
            ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
                Poll::Pending
            }

            fn size_hint(&self) -> SizeHint {
                SizeHint::with_exact(self.0)
            }
        }
        Body::new(Silent(bytes))
    }

    #[tokio::test(start_paused = true)]
    async fn who_announces_a_body_and_sends_nothing_takes_no_room_and_is_soon_given_up() {
        let room = Room::new(2 * KIB, 2 * KIB);
        let dawdling = room.clone();
        let began = Instant::now();
        let dawdler = tokio::spawn(async move { dawdling.read("spam", silent(2048)).await });
        tokio::task::yield_now().await;
        assert_eq!(room.read("spam", Body::from(vec![1; 2 * KIB])).await.unwrap().len(), 2 * KIB);
        assert!(matches!(dawdler.await.unwrap(), Err(BodyError::Broken)));
        assert_eq!(began.elapsed(), PROGRESS_WITHIN);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_has_more_than_half_of_what_is_shared() {
        let room = Room::new(2 * KIB, 8 * KIB).in_shares();
        let full = || Body::from(vec![1; 2 * KIB]);
        let held = [room.read("spam", full()).await, room.read("spam", full()).await];
        assert!(matches!(room.read("spam", full()).await, Err(BodyError::NoRoom)));
        let other = room.read("ham", full()).await.unwrap();
        assert_eq!(room.left.available_permits(), 2);
        drop((held, other));
        assert_eq!(room.left.available_permits(), 8);
        room.read("eggs", full()).await.unwrap();
        assert_eq!(room.shares.lock().unwrap().len(), 1, "shares that nobody has are forgotten");
    }
}
