//! An answer as far as it has come, apart from where it comes from.

use bytes::{Buf, Bytes, BytesMut};
use http::{Method, StatusCode};

use crate::body::Body;
use crate::error::Error;
use crate::head::{Head, may_be_whole, parse};

/// How many answers may only announce another.
const MOST_ANNOUNCEMENTS: usize = 100;

/// What is read of an answer, and what the caller makes of its head.
pub(crate) struct Answer<'a, T, F> {
    asked: &'a Method,
    most: usize,
    read: F,
    begun: Option<(T, Body)>,
    /// How many bytes of its head were looked at,
    seen: usize,
    /// and how many answers came before it.
    announcements: usize,
    keeps_alive: bool,
}

impl<'a, T, F: Fn(&Head<'_>) -> T> Answer<'a, T, F> {
    /// The answer to a request of this method, of which nothing has come.
    pub(crate) fn new(asked: &'a Method, most: usize, read: F) -> Self {
        Self { asked, most, read, begun: None, seen: 0, announcements: 0, keeps_alive: false }
    }

    /// Whether the connection can be used again after it.
    pub(crate) fn keeps_alive(&self) -> bool {
        self.keeps_alive
    }

    /// How many bytes are known to be missing.
    pub(crate) fn missing(&self) -> usize {
        self.begun.as_ref().map_or(0, |(_, body)| body.missing())
    }

    /// Takes what has come; whether that was all.
    ///
    /// # Errors
    /// When it is no answer, or too long.
    pub(crate) fn take(&mut self, input: &mut BytesMut) -> Result<bool, Error> {
        while self.begun.is_none() {
            if !self.take_head(input)? {
                return Ok(false);
            }
        }
        self.begun.as_mut().map_or(Ok(false), |(_, body)| body.take(input))
    }

    /// Whether there was a whole one, perhaps one that only announces another.
    fn take_head(&mut self, input: &mut BytesMut) -> Result<bool, Error> {
        if !may_be_whole(input, self.seen) {
            self.seen = input.len();
            return Ok(false);
        }
        let make = |head: &Head<'_>, version| match head.status {
            StatusCode::SWITCHING_PROTOCOLS => Err(Error::Framing("nobody asked for an upgrade")),
            status if status.is_informational() => Ok(None),
            _ => Ok(Some((head.rest(version, self.asked)?, (self.read)(head)))),
        };
        let Some((made, length)) = parse(input, make)? else {
            self.seen = input.len();
            return Ok(false);
        };
        input.advance(length);
        match made {
            Some((rest, made)) => {
                self.begun = Some((made, Body::new(rest.framing, self.most)?));
                self.keeps_alive = rest.keeps_alive;
            }
            None => self.announced()?,
        }
        Ok(true)
    }

    fn announced(&mut self) -> Result<(), Error> {
        (self.seen, self.announcements) = (0, self.announcements + 1);
        let is_patient = self.announcements <= MOST_ANNOUNCEMENTS;
        is_patient.then_some(()).ok_or(Error::Framing("it only announces others"))
    }

    /// What was made of its head, and its body, once all has come or nothing more will.
    ///
    /// # Errors
    /// When something is missing.
    pub(crate) fn close(self) -> Result<(T, Bytes), Error> {
        let (made, body) = self.begun.ok_or(Error::Closed)?;
        Ok((made, body.close()?))
    }
}
