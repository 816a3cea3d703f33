//! Tables of text that fit a width.

use console::{measure_text_width, truncate_str};

/// No column becomes narrower than this for others to fit.
const MIN_WIDTH: usize = 8;
/// What stands between two columns.
const GAP: &str = "  ";

/// A column's head, and on which side its cells stand.
#[derive(Debug, Clone, Copy)]
pub(super) enum Column {
    /// Words.
    Left(&'static str),
    /// Numbers.
    Right(&'static str),
}

impl Column {
    fn head(self) -> &'static str {
        match self {
            Self::Left(head) | Self::Right(head) => head,
        }
    }

    fn pad(self, cell: &str, width: usize) -> String {
        let cell = truncate_str(cell, width, "…");
        let space = " ".repeat(width.saturating_sub(measure_text_width(&cell)));
        match self {
            Self::Left(_) => format!("{cell}{space}"),
            Self::Right(_) => format!("{space}{cell}"),
        }
    }
}

/// The head and the rows as lines of at most this width, as far as columns can shrink.
pub(super) fn lines(columns: &[Column], rows: &[Vec<String>], width: usize) -> Vec<String> {
    let heads: Vec<_> = columns.iter().map(|column| column.head().to_owned()).collect();
    let widths = shrink(natural_widths(&heads, rows), width);
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(columns).zip(&widths);
        let cells = cells.map(|((cell, column), width)| column.pad(cell, *width));
        cells.collect::<Vec<_>>().join(GAP).trim_end().to_owned()
    };
    std::iter::once(&heads).chain(rows).map(line).collect()
}

fn natural_widths(heads: &[String], rows: &[Vec<String>]) -> Vec<usize> {
    let widest = |column: usize| {
        let cells = rows.iter().map(|row| measure_text_width(&row[column]));
        cells.max().unwrap_or(0).max(measure_text_width(&heads[column]))
    };
    (0..heads.len()).map(widest).collect()
}

/// Takes from the widest column until all fit.
fn shrink(mut widths: Vec<usize>, width: usize) -> Vec<usize> {
    let gaps = GAP.len() * widths.len().saturating_sub(1);
    let mut excess = (widths.iter().sum::<usize>() + gaps).saturating_sub(width);
    while excess > 0 {
        let Some(widest) = widths.iter_mut().max().filter(|widest| **widest > MIN_WIDTH) else {
            break;
        };
        *widest -= 1;
        excess -= 1;
    }
    widths
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 2] = [Column::Left("name"), Column::Right("n")];

    fn rows(rows: &[[&str; 2]]) -> Vec<Vec<String>> {
        rows.iter().map(|row| row.iter().map(|cell| (*cell).to_owned()).collect()).collect()
    }

    #[test]
    fn words_stand_on_the_left_and_numbers_on_the_right() {
        let lines = lines(&COLUMNS, &rows(&[["a", "1,000"], ["日本", "7"]]), 80);
        assert_eq!(lines, ["name      n", "a     1,000", "日本      7"]);
    }

    #[test]
    fn the_widest_column_is_cut_to_fit() {
        let lines = lines(&COLUMNS, &rows(&[["abcdefghijklmnop", "1"]]), 13);
        assert_eq!(lines, ["name        n", "abcdefghi…  1"]);
    }

    #[test]
    fn no_column_vanishes() {
        let lines = lines(&COLUMNS, &rows(&[["abcdefghijklmnop", "1"]]), 1);
        assert_eq!(lines[1], "abcdefg…  1");
    }
}
