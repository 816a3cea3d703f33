//! Which of many names are near to one that was not found.

/// How many near names are shown.
const SHOWN: usize = 3;

/// How long the names are that are compared letter by letter.
const MAX_LETTERS: usize = 100;

/// The nearest of the names, in words; nothing where there are none.
pub(super) fn near<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> String {
    let mut names: Vec<_> = names.map(|other| (distance(name, other), other)).collect();
    names.sort_unstable();
    names.dedup();
    let shown: Vec<_> = names.iter().take(SHOWN).map(|(_, name)| format!("`{name}`")).collect();
    if shown.is_empty() { String::new() } else { format!("; near to it: {}", shown.join(", ")) }
}

/// How many letters have to be put in, taken out or replaced.
fn distance(one: &str, other: &str) -> usize {
    let letters = |text: &str| text.chars().take(MAX_LETTERS).collect::<Vec<_>>();
    let (one, other) = (letters(one), letters(other));
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (place, letter) in one.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], place + 1);
        for (column, another) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != another);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_names_come_first() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!((distance("", "abc"), distance("abc", "abc")), (3, 0));
        let names = ["label", "scores.ham", "scores.spam", "score", "x"];
        let found = near("scroes.ham", names.into_iter());
        assert_eq!(found, "; near to it: `scores.ham`, `scores.spam`, `score`");
    }
}
