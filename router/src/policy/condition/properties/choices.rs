//! Expressions made from random bytes: well-typed ones, spoilt ones, and heaps of tokens.

/// A source of choices that ends in the first ones.
pub(super) struct Choices<'a>(std::slice::Iter<'a, u8>);

impl<'a> Choices<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes.iter())
    }

    fn below(&mut self, n: usize) -> usize {
        usize::from(self.0.next().copied().unwrap_or(0)) % n
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    /// An expression that is true or false, at most so deep.
    pub(super) fn truth(&mut self, depth: u32) -> String {
        let Some(below) = depth.checked_sub(1) else {
            return self.of(&["true", "false", "has(content.site)", "has(scores.a)"]).to_owned();
        };
        match self.below(10) {
            0 => format!("({} && {})", self.truth(below), self.truth(below)),
            1 => format!("{} || {}", self.truth(0), self.truth(below)),
            2 => format!("!({})", self.truth(below)),
            3 => self.choice(below, Self::truth),
            4 => self.comparison(below),
            5 => format!("({} == {})", self.truth(below), self.truth(0)),
            6 => format!("({} in ['review', r'\\', \"7\"])", self.text(below)),
            7 => format!("({} in [1, 2.5, -3])", self.number(below)),
            8 => self.search(below),
            _ => format!("({}).matches({})", self.text(below), self.of(PATTERNS)),
        }
    }

    fn comparison(&mut self, depth: u32) -> String {
        let sign = self.of(&["==", "!=", "<", "<=", ">", ">="]);
        match self.below(2) {
            0 => format!("({} {sign} {})", self.text(depth), self.text(depth)),
            _ => format!("({} {sign} {})", self.number(depth), self.number(depth)),
        }
    }

    fn search(&mut self, depth: u32) -> String {
        let function = self.of(&["contains", "startsWith", "endsWith"]);
        format!("{}.{function}({})", self.text(0), self.text(depth))
    }

    fn choice(&mut self, depth: u32, of: fn(&mut Self, u32) -> String) -> String {
        format!("({} ? {} : {})", self.truth(depth), of(self, depth), of(self, depth))
    }

    fn text(&mut self, depth: u32) -> String {
        if depth > 0 && self.below(4) == 0 {
            return self.choice(depth - 1, Self::text);
        }
        self.of(TEXTS).to_owned()
    }

    fn number(&mut self, depth: u32) -> String {
        if self.below(2) == 0 { self.whole(depth) } else { self.decimal(depth) }
    }

    fn whole(&mut self, depth: u32) -> String {
        let Some(below) = depth.checked_sub(1) else { return self.of(WHOLES).to_owned() };
        match self.below(6) {
            0 => format!("size({})", self.text(below)),
            1 => format!("int({})", self.text(below)),
            2 => format!("int({})", self.number(below)),
            3 => format!("-({})", self.whole(below)),
            4 => self.choice(below, Self::whole),
            _ => {
                let sign = self.of(&["+", "-", "*", "/", "%"]);
                format!("({} {sign} {})", self.whole(below), self.whole(below))
            }
        }
    }

    fn decimal(&mut self, depth: u32) -> String {
        let Some(below) = depth.checked_sub(1) else { return self.of(DECIMALS).to_owned() };
        match self.below(5) {
            0 => format!("double({})", self.text(below)),
            1 => format!("double({})", self.number(below)),
            2 => format!("-({})", self.decimal(below)),
            3 => self.choice(below, Self::decimal),
            _ => {
                let sign = self.of(&["+", "-", "*", "/"]);
                format!("({} {sign} {})", self.decimal(below), self.decimal(below))
            }
        }
    }

    /// The text with a few pieces put in, left out or repeated.
    pub(super) fn spoilt(&mut self, text: &str) -> String {
        let mut text = text.to_owned();
        for _ in 0..=self.below(3) {
            let from = text.floor_char_boundary(self.below(256) * (text.len() + 1) / 256);
            let to = text.ceil_char_boundary(from + self.below(8));
            let old = text[from..to].to_owned();
            let new = [String::new(), self.piece().to_owned(), old.repeat(2)];
            text.replace_range(from..to, &new[self.below(3)]);
        }
        text
    }

    /// Tokens in any order.
    pub(super) fn soup(&mut self) -> String {
        let pieces = self.below(100);
        (0..pieces).map(|_| self.piece()).collect()
    }

    fn piece(&mut self) -> &'static str {
        if self.below(16) == 0 { self.of(STRAYS) } else { self.of(PIECES) }
    }
}

const TEXTS: &[&str] = &[
    "client",
    "content.type",
    "content.locale",
    "content.site",
    "content['author_id']",
    "content.product_id",
    "content.content_id",
    "content.fields.title",
    "content.fields['my field']",
    "''",
    "'review'",
    r#"r"\(((""#,
    "'''a\n\\u00e9'''",
    "'7'",
];

const WHOLES: &[&str] =
    &["0", "1", "-1", "2", "0x10", "9223372036854775807", "-9223372036854775808"];

const DECIMALS: &[&str] =
    &["content.rating", "scores.a", "scores['b-c']", "0.0", "-0.5", "1e308", ".5", "2.0"];

const PATTERNS: &[&str] = &["'^a'", r"r'(?i)\bre'", "'[a-z]+7|é'", "''"];

const PIECES: &[&str] = &[
    "(",
    "(",
    "(",
    ")",
    ")",
    ")",
    "[",
    "]",
    ".",
    ",",
    "?",
    ":",
    "!",
    "-",
    "+",
    "*",
    "/",
    "%",
    "<",
    ">=",
    "==",
    "!=",
    "&&",
    "||",
    " in ",
    " ",
    "\n",
    "\r",
    "\u{c}",
    "//",
    "'a'",
    "r\"(\"",
    "'''",
    "0",
    "1.5",
    "1u",
    "0x7",
    "1e9",
    "null",
    "true",
    "false",
    "if",
    "client",
    "content",
    "content.type",
    "content.rating",
    "fields",
    "scores.a",
    "has(",
    "size(",
    ".all(x, ",
    ".map(x, x)",
    "dyn(",
    "type(",
    ".matches('(a|b){9}')",
    ".contains(",
    "int(",
    "optional.none()",
    ".?a",
    "[?",
    "_",
    "a",
];

const STRAYS: &[&str] = &[
    "{",
    "}",
    "=",
    "&",
    "|",
    "'",
    "\"",
    "r'",
    "b'x'",
    "\\",
    "'\\x4'",
    "`a`",
    "1e",
    "0x",
    "é",
    "\u{0}",
    "\u{1F431}",
    "@",
    "#",
    ";",
    "^",
    "~",
    "$",
];
