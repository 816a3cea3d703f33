//! Scoring without a server: one object of fields a line in, one prediction a line out.

use std::io::{self, BufRead, Read, Write};

use hyper::StatusCode;

use crate::problem::Problem;
use crate::{Scorer, invocation};

/// How long a line may be.
const MAX_LINE_BYTES: u64 = 6 << 20;

/// Scores every line of `input`; a line that fails yields its error in its place.
///
/// Returns how many lines failed.
///
/// # Errors
/// When reading or writing fails.
pub async fn score(
    scorer: &Scorer,
    mut input: impl BufRead,
    mut output: impl Write,
) -> io::Result<usize> {
    let mut failed = 0;
    let mut line = Vec::new();
    let mut answer = Vec::new();
    for number in 1.. {
        line.clear();
        answer.clear();
        let read = input.by_ref().take(MAX_LINE_BYTES + 1).read_until(b'\n', &mut line)?;
        if read == 0 {
            break;
        }
        if read as u64 > MAX_LINE_BYTES && !line.ends_with(b"\n") {
            input.skip_until(b'\n')?;
            invocation::line_error(number, too_long(), &mut answer);
            failed += 1;
        } else if !line.trim_ascii().is_empty() {
            failed += usize::from(!invocation::line(scorer, number, &line, &mut answer).await);
        }
        output.write_all(&answer)?;
    }
    output.flush()?;
    Ok(failed)
}

fn too_long() -> Problem {
    let detail = format!("the line is longer than {MAX_LINE_BYTES} bytes");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
}
