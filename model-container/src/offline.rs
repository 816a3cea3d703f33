//! Scoring without a server: one object of fields a line in, one prediction a line out.

use std::io::{self, BufRead, Read, Write};

use crate::{Scorer, invocation};

/// How long a line may be.
const MAX_LINE_BYTES: u64 = 6 << 20;

/// Scores every line of `input`; a line that fails yields its error in its place.
///
/// Returns how many lines failed.
///
/// # Errors
/// When reading or writing fails, or a line is longer than a request may be.
pub fn score(
    scorer: &Scorer,
    mut input: impl BufRead,
    mut output: impl Write,
) -> io::Result<usize> {
    let mut failed = 0;
    let mut line = Vec::new();
    let mut answer = Vec::new();
    for number in 1.. {
        line.clear();
        if input.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        if line.len() as u64 == MAX_LINE_BYTES {
            return Err(io::Error::other(format!(
                "line {number} is longer than {MAX_LINE_BYTES} bytes"
            )));
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        answer.clear();
        failed += usize::from(!invocation::line(scorer, number, &line, &mut answer));
        output.write_all(&answer)?;
    }
    output.flush()?;
    Ok(failed)
}
