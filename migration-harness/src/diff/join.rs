//! Brings the records of several sides together by their ids, in memory of a fixed size.
//!
//! Sides in one order meet at once. Others wait for each other in memory, and those that wait
//! longest, where there are too many, in files.

use std::collections::{HashMap, VecDeque};

use crate::diff::ahead::Ahead;
use crate::diff::spill::Spill;
use crate::error::Error;
use crate::record::{Numbered, Row};

/// How many sides there may be: old, new and noise.
pub(super) const SIDES: usize = 3;

/// The records of one id: at most one of each side.
pub(super) type Together = [Option<Row>; SIDES];

/// What takes the records of each id.
pub(super) type Give<'a> = dyn FnMut(Together) -> Result<(), Error> + 'a;

/// The same, waiting for each other.
type Waiters = [Option<Box<Numbered>>; SIDES];

/// Sides that are being joined.
pub(super) struct Join {
    /// None where there is no such side, or it has ended.
    sides: [Option<Ahead>; SIDES],
    waiting: Waiting,
    spill: Spill,
    /// How many bytes of records may wait in memory.
    memory: usize,
}

/// The records that wait in memory, each by itself: a row would keep its whole batch there.
#[derive(Default)]
struct Waiting {
    records: HashMap<String, Waiters>,
    /// Their ids, the longest waiting first; some are gone already.
    order: VecDeque<String>,
    counts: [usize; SIDES],
    bytes: usize,
}

impl Join {
    /// Sides that are to be joined with so many bytes of memory.
    pub(super) fn new(sides: [Option<Ahead>; SIDES], spill: Spill, memory: usize) -> Self {
        Self { sides, waiting: Waiting::default(), spill, memory }
    }

    /// Gives the records of each id, once all sides that have it were read.
    ///
    /// # Errors
    /// When a side can't be read or has an id twice while both wait, or `give` says so.
    pub(super) fn each(mut self, give: &mut Give<'_>) -> Result<(), Error> {
        while self.sides.iter().any(Option::is_some) {
            if self.waiting.records.is_empty() {
                self.read_all(give)?;
            } else {
                self.read_one(give)?;
            }
        }
        self.finish(give)
    }

    /// Reads a record of each side: where they are in one order, of the same id.
    fn read_all(&mut self, give: &mut Give<'_>) -> Result<(), Error> {
        let mut heads: Together = [const { None }; SIDES];
        for (side, head) in heads.iter_mut().enumerate() {
            *head = self.read(side)?;
        }
        self.release(give)?;
        let mut ids = heads.iter().flatten().map(Row::id);
        let first = ids.next();
        let are_one = ids.all(|id| Some(id) == first);
        if first.is_some() && are_one && self.is_complete(heads.each_ref().map(Option::is_some)) {
            return give(heads);
        }
        for (side, head) in heads.into_iter().enumerate() {
            if let Some(head) = head {
                self.meet(side, head, give)?;
            }
        }
        Ok(())
    }

    /// Reads a record of the side that the others wait for most.
    fn read_one(&mut self, give: &mut Give<'_>) -> Result<(), Error> {
        let open = (0..SIDES).filter(|side| self.sides[*side].is_some());
        let Some(side) = open.min_by_key(|side| self.waiting.counts[*side]) else { return Ok(()) };
        match self.read(side)? {
            Some(row) => self.meet(side, row, give),
            None => self.release(give),
        }
    }

    fn read(&mut self, side: usize) -> Result<Option<Row>, Error> {
        let Some(records) = &mut self.sides[side] else { return Ok(None) };
        let next = records.next().transpose()?;
        if next.is_none() {
            self.sides[side] = None;
        }
        Ok(next)
    }

    /// Whether no side has more to say about the id of which these sides' records are there.
    fn is_complete(&self, are_there: [bool; SIDES]) -> bool {
        (0..SIDES).all(|side| {
            let may_come = self.sides[side].is_some() || self.spill.holds(side);
            are_there[side] || !may_come
        })
    }

    fn meet(&mut self, side: usize, row: Row, give: &mut Give<'_>) -> Result<(), Error> {
        let mut are_there = self.waiting.are_there(row.id());
        are_there[side] = true;
        if self.is_complete(are_there) {
            let mut together = together(self.waiting.take(row.id()));
            together[side] = Some(row);
            return give(together);
        }
        self.waiting.add(side, row.numbered()?)?;
        while self.waiting.bytes > self.memory {
            self.evict()?;
        }
        Ok(())
    }

    /// After a side's end: gives what need not wait for it any longer.
    fn release(&mut self, give: &mut Give<'_>) -> Result<(), Error> {
        for id in std::mem::take(&mut self.waiting.order) {
            let are_there = self.waiting.are_there(&id);
            if are_there == [false; SIDES] {
                continue;
            }
            if self.is_complete(are_there) {
                give(together(self.waiting.take(&id)))?;
            } else {
                self.waiting.order.push_back(id);
            }
        }
        Ok(())
    }

    fn evict(&mut self) -> Result<(), Error> {
        let Some(id) = self.waiting.order.pop_front() else { return Ok(()) };
        let together = self.waiting.take(&id).into_iter().enumerate();
        let mut waiting = together.filter_map(|(side, numbered)| Some((side, numbered?)));
        waiting.try_for_each(|(side, numbered)| self.spill.add(side, &numbered))
    }

    fn finish(mut self, give: &mut Give<'_>) -> Result<(), Error> {
        while !self.waiting.records.is_empty() {
            self.evict()?;
        }
        let limits = (SIDES, (self.memory / 2).max(1 << 20) as u64);
        self.spill.each_part(limits, &mut |records| {
            let mut waiting = Waiting::default();
            for record in records {
                let (side, numbered) = record?;
                waiting.add(side, Box::new(numbered))?;
            }
            waiting.records.into_values().map(together).try_for_each(&mut *give)
        })
    }
}

impl Waiting {
    /// Of which sides the record waits.
    fn are_there(&self, id: &str) -> [bool; SIDES] {
        let waiting = self.records.get(id);
        waiting.map_or_else(Default::default, |waiting| waiting.each_ref().map(Option::is_some))
    }

    fn add(&mut self, side: usize, numbered: Box<Numbered>) -> Result<(), Error> {
        self.bytes += numbered.bytes();
        self.counts[side] += 1;
        let id = &numbered.record.id;
        if !self.records.contains_key(id) {
            self.order.push_back(id.clone());
            self.records.insert(id.clone(), [const { None }; SIDES]);
        }
        let together = self.records.get_mut(id).expect("it was inserted above");
        match &together[side] {
            None => together[side] = Some(numbered),
            Some(first) => return Err(duplicate(first, &numbered)),
        }
        Ok(())
    }

    fn take(&mut self, id: &str) -> Waiters {
        let waiting = self.records.remove(id).unwrap_or_default();
        for (side, numbered) in waiting.iter().enumerate() {
            if let Some(numbered) = numbered {
                self.bytes -= numbered.bytes();
                self.counts[side] -= 1;
            }
        }
        if self.order.len() > 2 * self.records.len() + 1_000 {
            self.order.retain(|id| self.records.contains_key(id));
        }
        waiting
    }
}

fn together(waiting: Waiters) -> Together {
    waiting.map(|numbered| numbered.map(Row::Record))
}

/// An id that two records of one side have.
pub(super) fn duplicate(first: &Numbered, second: &Numbered) -> Error {
    let (place, first) = (second.place.clone(), &first.place);
    let reason = format!(
        "the id `{}` stands at {first} too; ids must be unique for records to be joined",
        second.record.id
    );
    Error::Record { place, reason }
}
