//! Puts requests and responses together, whichever comes first, with bounded memory.

use std::collections::{HashMap, VecDeque};

use jiff::Timestamp;
use serde_json::Map;

use super::http;
use super::payload::{Kind, Payload};
use crate::error::Error;
use crate::import::call::{Call, Found, Stray, Take};
use crate::record::Reply;

/// An exchange is given up when it has been waiting while so many others began ...
const MAX_WAITING: usize = 10_000;
/// ... or when so much would have to be kept.
const MAX_WAITING_BYTES: usize = 16 << 20;

/// The exchanges that are not complete, or stand behind one that isn't.
#[derive(Default)]
pub(super) struct Pairing {
    waiting: VecDeque<Exchange>,
    /// How many have left `waiting`.
    gone: u64,
    /// Where the exchange of an id stands that lacks a part, counted from the first of all.
    open: HashMap<String, u64>,
    bytes: usize,
}

#[derive(Default)]
struct Exchange {
    request: Option<Payload>,
    response: Option<Payload>,
}

impl Pairing {
    /// Takes a payload, and gives away the calls that are complete or given up.
    pub(super) fn add(&mut self, payload: Payload, take: &mut Take<'_>) -> Result<(), Error> {
        if payload.kind == Kind::Replayed {
            return take(payload.line, Found::Stray(Stray::Replayed));
        }
        self.bytes += payload.size();
        self.put(payload);
        while self.waiting.front().is_some_and(|first| first.is_complete() || self.is_full()) {
            self.give(take)?;
        }
        Ok(())
    }

    /// Gives away what is left.
    pub(super) fn finish(mut self, take: &mut Take<'_>) -> Result<(), Error> {
        while !self.waiting.is_empty() {
            self.give(take)?;
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.waiting.len() > 1
            && (self.waiting.len() > MAX_WAITING || self.bytes > MAX_WAITING_BYTES)
    }

    /// An id that is used again begins another exchange.
    fn put(&mut self, payload: Payload) {
        let place = self.open.get(&payload.id).map(|number| (number - self.gone) as usize);
        let open = place.and_then(|place| self.waiting.get_mut(place));
        if let Some(slot) = open.map(|exchange| exchange.slot(payload.kind))
            && slot.is_none()
        {
            self.open.remove(&payload.id);
            *slot = Some(payload);
            return;
        }
        self.open.insert(payload.id.clone(), self.gone + self.waiting.len() as u64);
        let mut exchange = Exchange::default();
        let slot = exchange.slot(payload.kind);
        *slot = Some(payload);
        self.waiting.push_back(exchange);
    }

    fn give(&mut self, take: &mut Take<'_>) -> Result<(), Error> {
        let Some(exchange) = self.waiting.pop_front() else { return Ok(()) };
        let number = self.gone;
        self.gone += 1;
        for payload in [&exchange.request, &exchange.response].into_iter().flatten() {
            self.bytes -= payload.size();
            if self.open.get(&payload.id) == Some(&number) {
                self.open.remove(&payload.id);
            }
        }
        match exchange {
            Exchange { request: Some(request), response } => {
                take(request.line, Found::of(call(&request, response.as_ref())))
            }
            Exchange { response: Some(response), .. } => {
                take(response.line, Found::Stray(Stray::Unrequested))
            }
            Exchange { .. } => Ok(()),
        }
    }
}

impl Exchange {
    fn slot(&mut self, kind: Kind) -> &mut Option<Payload> {
        match kind {
            Kind::Request => &mut self.request,
            Kind::Response | Kind::Replayed => &mut self.response,
        }
    }

    fn is_complete(&self) -> bool {
        self.request.is_some() && self.response.is_some()
    }
}

fn call(request: &Payload, response: Option<&Payload>) -> Result<Call, String> {
    let captured_at = Timestamp::from_nanosecond(request.seen_ns.into())
        .map_err(|error| format!("`{}` is no time: {error}", request.seen_ns))?;
    let sent = http::request(&request.message)?;
    let reply = match response {
        None => {
            let answer = Err("the captured file has no response".to_owned());
            Reply { answer, latency_us: None }
        }
        Some(response) => {
            let answer = http::answer(&response.message, &sent.method);
            let answer = answer
                .map_err(|reason| format!("its response, in line {}: {reason}", response.line))?;
            Reply { answer: Ok(answer), latency_us: latency_us(request, response) }
        }
    };
    Ok(Call {
        id: Some(request.id.clone()),
        captured_at: Some(captured_at),
        model: None,
        client: None,
        request: sent,
        reply,
        unknown: Map::new(),
    })
}

/// As GoReplay has measured it, else the time between the two, unless that runs backwards.
fn latency_us(request: &Payload, response: &Payload) -> Option<u64> {
    let measured = response.latency_ns.filter(|latency| *latency > 0);
    let between = || response.seen_ns.checked_sub(request.seen_ns);
    let latency = measured.or_else(between)?;
    u64::try_from(latency).ok().map(|latency| latency / 1_000)
}
