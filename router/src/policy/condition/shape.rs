//! Limits on an expression's text, checked before it is parsed: the parser's recursion, and that
//! of everything after it, is bounded by what passes here.

use super::fault::Fault;

const MAX_BYTES: usize = 1024;
const MAX_BRACKETS: usize = 16;

/// How many operators, selections and brackets may stand one below the other.
const MAX_DEPTH: usize = 64;

/// Refuses a text that is too long or too deep, or that is made of other than CEL's tokens.
///
/// Strings are told apart just as the parser does, so that no bracket in one counts and none
/// beside one is missed.
pub(super) fn check_shape(text: &str) -> Result<(), Fault> {
    if text.len() > MAX_BYTES {
        let what = format!("a condition may have at most {MAX_BYTES} bytes, not {}", text.len());
        return Err(Fault::new(MAX_BYTES, what));
    }
    let mut scan = Scan { text, at: 0, levels: vec![Level::default()] };
    while scan.at < text.len() {
        scan.token()?;
    }
    scan.finish()
}

struct Scan<'a> {
    text: &'a str,
    at: usize,
    /// The brackets that are open, below the whole.
    levels: Vec<Level>,
}

/// What is between two brackets: runs of operands, which `&&`, `||` and commas separate.
#[derive(Default)]
struct Level {
    opened_at: usize,
    closer: u8,
    /// Each puts all that follows one deeper.
    ternaries: usize,
    /// The operators and selections of the present run.
    links: usize,
    /// The deepest bracket of the present run.
    inner: usize,
    /// The deepest run.
    depth: usize,
}

impl Level {
    fn end_run(&mut self) {
        self.depth = self.depth.max(self.ternaries + self.links + self.inner);
        self.links = 0;
        self.inner = 0;
    }
}

impl Scan<'_> {
    fn token(&mut self) -> Result<(), Fault> {
        let rest = &self.text.as_bytes()[self.at..];
        match rest {
            [b'\t' | b'\n' | b'\x0c' | b'\r' | b' ', ..] => self.at += 1,
            [b'/', b'/', ..] => {
                self.at += rest.split(|&b| b == b'\n').next().map_or(0, <[u8]>::len);
            }
            [b'"' | b'\'', ..] => self.string(false)?,
            [b, ..] if is_word(*b) => self.word()?,
            [b'(', ..] => self.open(b')')?,
            [b'[', ..] => self.open(b']')?,
            [closer @ (b')' | b']'), ..] => self.close(*closer)?,
            [b'&', b'&', ..] | [b'|', b'|', ..] => self.separator(2),
            [b'?', ..] => {
                self.level().ternaries += 1;
                self.separator(1);
            }
            [b':', ..] => self.separator(1),
            [b',', ..] => {
                self.separator(1);
                self.level().ternaries = 0;
            }
            [b'=' | b'!' | b'<' | b'>', b'=', ..] => self.link(2)?,
            [b'.' | b'+' | b'-' | b'*' | b'/' | b'%' | b'<' | b'>' | b'!', ..] => self.link(1)?,
            _ => return Err(self.stray()),
        }
        Ok(())
    }

    fn level(&mut self) -> &mut Level {
        self.levels.last_mut().expect("the whole is never closed")
    }

    fn separator(&mut self, bytes: usize) {
        self.level().end_run();
        self.at += bytes;
    }

    fn link(&mut self, bytes: usize) -> Result<(), Fault> {
        self.level().links += 1;
        self.check_depth()?;
        self.at += bytes;
        Ok(())
    }

    fn open(&mut self, closer: u8) -> Result<(), Fault> {
        if self.levels.len() > MAX_BRACKETS {
            let what = format!("at most {MAX_BRACKETS} brackets may be open at once");
            return Err(self.fault(what));
        }
        self.levels.push(Level { opened_at: self.at, closer, ..Level::default() });
        self.at += 1;
        Ok(())
    }

    fn close(&mut self, closer: u8) -> Result<(), Fault> {
        if self.level().closer != closer {
            return Err(self.fault(format!("`{}` closes nothing", char::from(closer))));
        }
        self.level().end_run();
        let inner = self.level().depth + 1;
        self.levels.pop();
        self.level().inner = self.level().inner.max(inner);
        self.check_depth()?;
        self.at += 1;
        Ok(())
    }

    fn check_depth(&mut self) -> Result<(), Fault> {
        let level = self.level();
        if level.ternaries + level.links + level.inner <= MAX_DEPTH {
            return Ok(());
        }
        Err(self.fault(format!(
            "more than {MAX_DEPTH} operators, dots and brackets depend on each other; \
             join parts with && or ||, or use several rules"
        )))
    }

    /// A name, keyword, number, or the prefix of a string.
    fn word(&mut self) -> Result<(), Fault> {
        let rest = &self.text[self.at..];
        let length = rest.bytes().take_while(|b| is_word(*b)).count();
        let (word, rest) = rest.split_at(length);
        if !rest.starts_with(['"', '\'']) {
            if word == "in" {
                return self.link(length);
            }
            self.at += length;
            return Ok(());
        }
        match word {
            "r" | "R" => {
                self.at += length;
                self.string(true)
            }
            "b" | "B" | "br" | "bR" | "Br" | "BR" => Err(self.fault("bytes are not supported")),
            _ => {
                Err(self.fault(format!("`{word}` and the text after it need an operator between")))
            }
        }
    }

    fn string(&mut self, raw: bool) -> Result<(), Fault> {
        let rest = &self.text[self.at..];
        let triple = ["\"\"\"", "'''"].into_iter().find(|quotes| rest.starts_with(quotes));
        let quotes = triple.unwrap_or(&rest[..1]);
        let mut inside = &rest[quotes.len()..];
        loop {
            if let Some(after) = inside.strip_prefix(quotes) {
                self.at = self.text.len() - after.len();
                return Ok(());
            }
            let next = inside.chars().next().filter(|c| triple.is_some() || !"\r\n".contains(*c));
            inside = match next {
                None => return Err(self.fault("this text never ends; close it with a quote")),
                Some('\\') if !raw => escaped(inside).ok_or_else(|| {
                    let at = self.text.len() - inside.len();
                    Fault::new(at, r"not an escape of CEL; write \\ for a backslash, or r'…'")
                })?,
                Some(c) => &inside[c.len_utf8()..],
            };
        }
    }

    fn stray(&self) -> Fault {
        let rest = &self.text[self.at..];
        match rest.chars().next() {
            Some('=') => self.fault("write `==` to compare"),
            Some(c @ ('&' | '|')) => self.fault(format!("write `{c}{c}`")),
            Some('{' | '}') => self.fault("maps are not supported"),
            Some('`') => {
                self.fault("write a name with other signs as in content.fields['my-field']")
            }
            c => self.fault(format!("`{}` has no meaning here", c.unwrap_or_default())),
        }
    }

    fn finish(mut self) -> Result<(), Fault> {
        match self.levels.pop() {
            Some(level) if !self.levels.is_empty() => {
                Err(Fault::new(level.opened_at, "this bracket is never closed"))
            }
            _ => Ok(()),
        }
    }

    fn fault(&self, what: impl Into<String>) -> Fault {
        Fault::new(self.at, what)
    }
}

fn is_word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_'
}

/// What follows the escape that `text` begins with.
fn escaped(text: &str) -> Option<&str> {
    let (is_digit, digits): (fn(&u8) -> bool, usize) = match text.as_bytes().get(1)? {
        b'a' | b'b' | b'f' | b'n' | b'r' | b't' | b'v' => (u8::is_ascii, 0),
        b'"' | b'\'' | b'\\' | b'?' | b'`' => (u8::is_ascii, 0),
        b'x' | b'X' => (u8::is_ascii_hexdigit, 2),
        b'u' => (u8::is_ascii_hexdigit, 4),
        b'U' => (u8::is_ascii_hexdigit, 8),
        b'0'..=b'3' => (|b| (b'0'..=b'7').contains(b), 2),
        _ => return None,
    };
    let digits = 2..2 + digits;
    let valid = text.as_bytes().get(digits.clone())?.iter().all(is_digit);
    valid.then(|| &text[digits.end..])
}
