//! A few computations before the model counts as loaded: do they work, and what do they take?

use std::time::{Duration, Instant};

use super::input::Row;
use crate::document::{Document, Field};
use crate::package::Package;

/// A computation below this may run on a connection's own task.
const QUICK: Duration = Duration::from_micros(500);
/// How many rows are tried at once.
const BATCH: usize = 16;
/// A batch must save this part of the time, or it is not worth the waiting.
const WORTHWHILE: f64 = 0.8;
/// Above this the rows of a batch are so large that they keep a processor busy one by one.
const SLOW: Duration = Duration::from_millis(20);
/// How often a computation is timed; the quickest counts, since others share the machine.
const ROUNDS: usize = 5;

/// A review as people write them, for packages without canaries.
const REVIEW: &str = "Bought this for my daughter's birthday and she loves it. The sound is much \
    better than I expected for the price, setup took five minutes, and delivery was early. Only \
    wish the cable was longer. Would buy again!";

/// How a model is best run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pace {
    /// How many rows are worth computing at once.
    pub(super) max_batch: usize,
    /// Whether a computation takes well under a millisecond.
    pub(super) is_quick: bool,
}

/// The canaries' documents, or made-up ones; at least one.
pub(super) fn documents(package: &Package) -> Result<Vec<Document>, String> {
    let input = &package.manifest.input;
    let canaries = &package.manifest.canaries;
    let canaries = canaries.iter().map(|canary| canary.document(input));
    let documents = canaries.collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
    if !documents.is_empty() {
        return Ok(documents);
    }
    let turned = (0..BATCH).map(|turn| {
        let text = turned(REVIEW, turn);
        let texts = input.text.iter().map(|_| Field::Text(text.as_str().into()));
        let numbers = input.numbers.iter().map(|_| Field::Number(turn as f64));
        Document::of_fields(input, &texts.chain(numbers).collect::<Vec<_>>())
    });
    turned.collect::<Result<_, _>>().map_err(|error| error.to_string())
}

/// The same words, beginning with another one.
fn turned(text: &str, turn: usize) -> String {
    let mut words: Vec<_> = text.split_whitespace().collect();
    words.rotate_left(turn);
    words.join(" ")
}

impl Pace {
    /// Times `compute`, which gives a row of scores for each row, on the `longest` row alone and on
    /// as many of the `rows` as go together.
    pub(super) fn measure<T: PartialEq>(
        rows: &[Row<'_>],
        longest: &Row<'_>,
        compute: impl Fn(&[&Row<'_>]) -> Result<Vec<T>, String>,
    ) -> Result<Self, String> {
        let (_, single) = quickest(|| compute(&[longest]))?;
        let is_quick = single < QUICK;
        if single > SLOW {
            return Ok(Self { max_batch: 1, is_quick });
        }
        let alike = rows.iter().filter(|row| row.length() == rows[0].length());
        let batch: Vec<_> = alike.cycle().take(BATCH).collect();
        let one_by_one = || batch.iter().map(|row| compute(&[row])).collect::<Result<Vec<_>, _>>();
        let (singles, apart) = quickest(one_by_one)?;
        // A model that can't compute several at once need not be refused for it.
        let Ok((together, joint)) = quickest(|| compute(&batch)) else {
            return Ok(Self { max_batch: 1, is_quick });
        };
        // The same document must get the same bits, whoever else asks at that moment.
        let is_same = singles.into_iter().flatten().eq(together);
        let is_worthwhile = is_same && saves_time(joint, apart);
        Ok(Self { max_batch: if is_worthwhile { BATCH } else { 1 }, is_quick })
    }
}

fn saves_time(joint: Duration, apart: Duration) -> bool {
    joint.as_secs_f64() < WORTHWHILE * apart.as_secs_f64()
}

/// The result of the work, and what it takes when nothing else gets in its way.
fn quickest<T>(work: impl Fn() -> Result<T, String>) -> Result<(T, Duration), String> {
    let mut result = work()?;
    let (mut quickest, begun) = (Duration::MAX, Instant::now());
    for _ in 0..ROUNDS {
        let started = Instant::now();
        result = work()?;
        quickest = quickest.min(started.elapsed());
        if begun.elapsed() > SLOW * 5 {
            break;
        }
    }
    Ok((result, quickest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measure(compute: impl Fn(usize) -> Result<Vec<usize>, String>) -> Result<Pace, String> {
        let documents = vec![Document::default(); 4];
        let rows: Vec<_> = documents.iter().map(Row::Fields).collect();
        Pace::measure(&rows, &rows[0], |rows| compute(rows.len()))
    }

    #[test]
    fn a_batch_must_save_a_fifth_of_the_time() {
        let ms = Duration::from_millis;
        assert!(saves_time(ms(7), ms(10)));
        assert!(!saves_time(ms(9), ms(10)) && !saves_time(ms(20), ms(10)));
    }

    #[test]
    fn a_model_that_gives_other_scores_in_a_batch_gets_documents_one_by_one() {
        let pace = measure(|count| Ok(vec![count; count])).unwrap();
        assert_eq!(pace.max_batch, 1);
    }

    #[test]
    fn a_model_that_can_not_compute_several_at_once_gets_them_one_by_one() {
        let alone = |count| if count == 1 { Ok(vec![7]) } else { Err("no".to_owned()) };
        assert_eq!(measure(alone).unwrap().max_batch, 1);
        assert!(measure(|_| Err("no".to_owned())).is_err());
    }

    #[test]
    fn the_made_up_texts_differ() {
        assert_eq!(turned("a b c", 1), "b c a");
        assert_ne!(turned(REVIEW, 0), turned(REVIEW, 15));
    }
}
