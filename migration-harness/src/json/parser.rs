//! The grammar of JSON.

use std::collections::HashMap;

use super::{FEW_MEMBERS, Member, Number, Text, Value};

/// How deep arrays and objects may nest, as in most parsers.
const MAX_DEPTH: usize = 128;

/// A reader of one text.
pub(super) struct Parser<'a> {
    text: &'a str,
    at: usize,
    spaces: usize,
    /// How many values there may yet be.
    left: usize,
}

impl<'a> Parser<'a> {
    /// A reader that is at the beginning.
    pub(super) fn new(text: &'a str, left: usize) -> Self {
        Self { text, at: 0, spaces: 0, left }
    }

    /// The one value that the whole text is.
    pub(super) fn document(&mut self) -> Option<Value<'a>> {
        let value = self.value(0)?;
        self.skip_spaces();
        (self.at == self.text.len()).then_some(value)
    }

    /// How many values there may yet be.
    pub(super) fn left(&self) -> usize {
        self.left
    }

    /// How much white space was passed.
    pub(super) fn spaces(&self) -> usize {
        self.spaces
    }

    fn value(&mut self, depth: usize) -> Option<Value<'a>> {
        self.left = self.left.checked_sub(1)?;
        match self.peek()? {
            b'{' | b'[' if depth == MAX_DEPTH => None,
            b'{' => self.object(depth + 1),
            b'[' => self.array(depth + 1),
            b'"' => self.string().map(Value::Text),
            b't' => self.word("true", Value::Bool(true)),
            b'f' => self.word("false", Value::Bool(false)),
            b'n' if self.rest().starts_with("null") => self.word("null", Value::Null),
            _ => self.number(),
        }
    }

    fn object(&mut self, depth: usize) -> Option<Value<'a>> {
        self.at += 1;
        let mut members = Vec::new();
        if self.take(b'}') {
            return Some(Value::Object(members));
        }
        loop {
            if self.peek()? != b'"' {
                return None;
            }
            let name = self.string()?;
            self.take(b':').then_some(())?;
            members.push(Member { name, value: self.value(depth)?, is_repeated: false });
            if self.take(b'}') {
                return Some(Value::Object(last_of_each(members)));
            }
            self.take(b',').then_some(())?;
        }
    }

    fn array(&mut self, depth: usize) -> Option<Value<'a>> {
        self.at += 1;
        let mut elements = Vec::new();
        if self.take(b']') {
            return Some(Value::Array(elements));
        }
        loop {
            elements.push(self.value(depth)?);
            if self.take(b']') {
                return Some(Value::Array(elements));
            }
            self.take(b',').then_some(())?;
        }
    }

    fn string(&mut self) -> Option<Text<'a>> {
        let bytes = self.text.as_bytes();
        let start = self.at + 1;
        let mut is_escaped = false;
        let mut at = start;
        loop {
            match *bytes.get(at)? {
                b'"' => break,
                b'\\' => {
                    is_escaped = true;
                    at += escape_length(&bytes[at..])?;
                }
                0..0x20 => return None,
                _ => at += 1,
            }
        }
        self.at = at + 1;
        let text = &self.text[start..at];
        Some(if is_escaped { Text::escaped(text) } else { Text::plain(text) })
    }

    fn number(&mut self) -> Option<Value<'a>> {
        let number = Number::beginning(self.rest())?;
        self.at += number.as_str().len();
        Some(Value::Number(number))
    }

    fn word(&mut self, word: &str, value: Value<'a>) -> Option<Value<'a>> {
        self.rest().starts_with(word).then(|| {
            self.at += word.len();
            value
        })
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        self.skip_spaces();
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn skip_spaces(&mut self) {
        let start = self.at;
        while matches!(self.text.as_bytes().get(self.at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
        self.spaces += self.at - start;
    }
}

/// How long the escape is that the bytes begin with.
fn escape_length(bytes: &[u8]) -> Option<usize> {
    match bytes.get(1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(2),
        b'u' => bytes.get(2..6)?.iter().all(u8::is_ascii_hexdigit).then_some(6),
        _ => None,
    }
}

/// One member of each name, with the value of the last.
fn last_of_each(members: Vec<Member<'_>>) -> Vec<Member<'_>> {
    if !has_repeated(&members) {
        return members;
    }
    let mut places = HashMap::new();
    let mut kept: Vec<Member<'_>> = Vec::new();
    for member in members {
        let place = *places.entry(member.name).or_insert(kept.len());
        match kept.get_mut(place) {
            Some(earlier) => *earlier = Member { is_repeated: true, ..member },
            None => kept.push(member),
        }
    }
    kept
}

fn has_repeated(members: &[Member<'_>]) -> bool {
    if members.len() > FEW_MEMBERS {
        let mut names = std::collections::HashSet::with_capacity(members.len());
        return !members.iter().all(|member| names.insert(member.name));
    }
    let earlier = |n: usize| members[..n].iter().any(|other| other.name == members[n].name);
    (1..members.len()).any(earlier)
}
