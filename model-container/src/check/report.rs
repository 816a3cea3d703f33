//! What became of each rule, as a line.

use std::fmt::Display;
use std::io::{self, Write};
use std::time::Duration;

/// What was measured where a rule is kept, else why it does not pass.
pub(crate) type Finding = Result<String, Flaw>;

/// Why a rule does not pass.
#[derive(Debug)]
pub(crate) enum Flaw {
    /// What was seen, and what to do.
    Broken(String),
    /// Why nothing could be seen.
    Untested(String),
}

/// How many rules came out which way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Rules that are kept.
    pub ok: usize,
    /// Rules that are broken.
    pub broken: usize,
    /// Rules of which nothing can be said.
    pub untested: usize,
}

/// A rule that judges facts gathered before.
pub(crate) type Judge<T> = (&'static str, fn(&T) -> Finding);

/// Writes the lines and counts them.
pub(crate) struct Report<W> {
    out: W,
    tally: Tally,
}

impl<W: Write> Report<W> {
    pub(crate) fn new(out: W) -> Self {
        Self { out, tally: Tally::default() }
    }

    pub(crate) fn tally(self) -> Tally {
        self.tally
    }

    /// Judges the facts by each rule; without facts, says why there are none.
    pub(crate) fn judge<T>(
        &mut self,
        rules: &[Judge<T>],
        facts: Result<&T, &str>,
    ) -> io::Result<()> {
        match facts {
            Ok(facts) => rules.iter().try_for_each(|(name, rule)| self.line(name, rule(facts))),
            Err(why) => self.skip(rules, why),
        }
    }

    /// Says of each rule why it can't be tested.
    pub(crate) fn skip<T>(&mut self, rules: &[(&'static str, T)], why: &str) -> io::Result<()> {
        rules.iter().try_for_each(|(name, _)| self.line(name, untested(why)))
    }

    /// Writes one rule's line; whatever came from the container can't break it.
    pub(crate) fn line(&mut self, name: &str, finding: Finding) -> io::Result<()> {
        let (verdict, text, count) = match finding {
            Ok(text) => ("ok", text, &mut self.tally.ok),
            Err(Flaw::Broken(text)) => ("broken", text, &mut self.tally.broken),
            Err(Flaw::Untested(text)) => ("untested", text, &mut self.tally.untested),
        };
        *count += 1;
        let text = text.replace(|letter: char| letter.is_control(), " ");
        writeln!(self.out, "{verdict:<9} {name:<18} {text}")?;
        self.out.flush()
    }
}

/// A rule that is broken: what was seen, and what to do about it.
pub(crate) fn broken<T>(seen: impl Display, advice: &str) -> Result<T, Flaw> {
    Err(Flaw::Broken(format!("{seen}; {advice}")))
}

/// A rule of which nothing can be said.
pub(crate) fn untested<T>(why: impl Display) -> Result<T, Flaw> {
    Err(Flaw::Untested(why.to_string()))
}

/// A time as a person reads it.
pub(crate) fn shown(time: Duration) -> String {
    match time.as_secs_f64() {
        seconds if seconds >= 1.0 => format!("{seconds:.2} s"),
        seconds => format!("{:.1} ms", seconds * 1000.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_can_not_forge_a_line() {
        let mut out = Vec::new();
        let mut report = Report::new(&mut out);
        report.line("ping", broken("500 \"x\nok        ping\u{1b}[2K\"", "mend it")).unwrap();
        assert_eq!(report.tally(), Tally { broken: 1, ..Tally::default() });
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with("broken    ping") && text.lines().count() == 1, "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
    }
}
