//! Why an expression is refused, and where in its text.

/// What is wrong at one place of an expression.
#[derive(Debug)]
pub(super) struct Fault {
    /// Where, in bytes.
    at: usize,
    what: String,
}

impl Fault {
    pub(super) fn new(at: usize, what: impl Into<String>) -> Self {
        Self { at, what: what.into() }
    }

    /// The fault in words, with its column, and its line where there are several.
    pub(super) fn in_text(&self, text: &str) -> String {
        let before = &text[..text.floor_char_boundary(self.at)];
        let line = before.matches('\n').count() + 1;
        let begin = before.rfind('\n').map_or(0, |newline| newline + 1);
        let column = before[begin..].chars().count() + 1;
        if text.contains('\n') {
            return format!("line {line}, column {column}: {}", self.what);
        }
        format!("column {column}: {}", self.what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_and_lines_are_named_where_there_are_several() {
        assert_eq!(Fault::new(3, "x").in_text("é !"), "column 3: x");
        assert_eq!(Fault::new(7, "x").in_text("true\n  !"), "line 2, column 3: x");
        assert_eq!(Fault::new(99, "x").in_text("é"), "column 2: x");
        assert_eq!(Fault::new(1, "x").in_text("é"), "column 1: x");
    }
}
