//! Patterns: which fields, models and clients a rule is about.

use crate::compare::path::{Path, Step};
use crate::json::{Document, Text};

/// A pattern of names, in which `*` stands for any characters.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Glob(String);

impl Glob {
    /// Takes any text as a pattern.
    pub(crate) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Whether the name is one of the pattern's.
    pub(crate) fn matches(&self, name: &str) -> bool {
        fits(self.0.as_bytes(), name.as_bytes(), |byte| *byte == b'*', |one, other| one == other)
    }
}

/// A pattern of fields.
#[derive(Debug, Clone)]
pub(crate) enum Pattern {
    /// The HTTP status.
    Status,
    /// The media type.
    ContentType,
    /// The whole reply.
    Response,
    /// How long the reply took.
    Latency,
    /// A header, by its name in lower case.
    Header(String),
    /// Fields of the body.
    Body(Vec<Part>),
}

/// A part of a pattern of fields in a body.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Part {
    /// The member of exactly this name.
    Name(String),
    /// Any one member whose name is of the pattern.
    Names(Glob),
    /// The elements of an array.
    Elements,
    /// Any number of steps.
    AnyDepth,
}

impl Pattern {
    /// Takes `scores.*`, `items[].id`, `["a.b"].c`, `**`, and the names of the parts of a reply.
    ///
    /// # Errors
    /// A sentence for the user, when it is no such pattern.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "status" => Ok(Self::Status),
            "content_type" => Ok(Self::ContentType),
            "response" => Ok(Self::Response),
            "latency" => Ok(Self::Latency),
            "body" => Ok(Self::Body(Vec::new())),
            "header" => Err("which header? write `header.NAME`".to_owned()),
            _ => match text.strip_prefix("header.") {
                Some(name) if !name.is_empty() => Ok(Self::Header(name.to_ascii_lowercase())),
                _ => parts(text).map(Self::Body),
            },
        }
    }

    /// Whether the pattern is about this very field.
    pub(crate) fn matches(&self, path: &Path<'_>) -> bool {
        self.fits(path, part_fits)
    }

    /// Whether the pattern is about this field or one that holds it.
    pub(crate) fn covers(&self, path: &Path<'_>) -> bool {
        self.fits(path, |parts, steps| (0..=steps.len()).any(|n| part_fits(parts, &steps[..n])))
    }

    fn fits(&self, path: &Path<'_>, body: impl Fn(&[Part], &[Step<'_>]) -> bool) -> bool {
        match (self, path) {
            (Self::Status, Path::Status)
            | (Self::ContentType, Path::ContentType)
            | (Self::Response, Path::Response)
            | (Self::Latency, Path::Latency) => true,
            (Self::Header(one), Path::Header(other)) => one.eq_ignore_ascii_case(other),
            (Self::Body(parts), path) => path.steps().is_some_and(|steps| body(parts, &steps)),
            _ => false,
        }
    }
}

fn part_fits(parts: &[Part], steps: &[Step<'_>]) -> bool {
    fits(parts, steps, |part| matches!(part, Part::AnyDepth), Part::fits)
}

impl Part {
    /// Whether it stands for this step.
    pub(crate) fn fits(&self, step: &Step<'_>) -> bool {
        match step {
            Step::Member(name) => self.fits_name(*name),
            Step::Elements => matches!(self, Self::Elements),
        }
    }

    /// Whether it stands for the member of that name.
    pub(crate) fn fits_name(&self, name: Text<'_>) -> bool {
        match self {
            Self::Name(own) => Text::plain(own) == name,
            Self::Names(glob) => glob.matches(&name.read()),
            Self::Elements | Self::AnyDepth => false,
        }
    }
}

/// Whether the pattern fits the whole text, where a star fits any stretch of it. Only the last
/// star is ever tried again, so that it takes no longer than the product of both lengths.
fn fits<P, T>(
    pattern: &[P],
    text: &[T],
    is_star: impl Fn(&P) -> bool,
    fits_one: impl Fn(&P, &T) -> bool,
) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut last_star = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(part) if is_star(part) => {
                last_star = Some((p, t));
                p += 1;
            }
            Some(part) if fits_one(part, &text[t]) => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((star, taken)) = last_star else { return false };
                last_star = Some((star, taken + 1));
                (p, t) = (star + 1, taken + 1);
            }
        }
    }
    pattern[p..].iter().all(is_star)
}

/// The parts of a path such as `items[].scores["a.b"].*`.
pub(crate) fn parts(text: &str) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() || parts.is_empty() {
        let (part, after) = if rest.starts_with('[') { bracket(rest)? } else { name(rest, text)? };
        parts.push(part);
        rest = match after.strip_prefix('.') {
            Some("") => return Err(format!("`{text}` ends with a dot")),
            Some(next) if next.starts_with('[') => {
                return Err(format!("`{text}`: no dot stands before a bracket"));
            }
            Some(next) => next,
            None if after.is_empty() || after.starts_with('[') => after,
            None => return Err(format!("`{text}`: a dot is missing before `{after}`")),
        };
    }
    Ok(parts)
}

fn name<'t>(rest: &'t str, whole: &str) -> Result<(Part, &'t str), String> {
    let (name, after) = rest.split_at(rest.find(['.', '[']).unwrap_or(rest.len()));
    match name {
        "" => Err(format!("`{whole}` lacks a name")),
        "**" => Ok((Part::AnyDepth, after)),
        _ if name.contains(['"', ']']) => {
            Err(format!("`{whole}`: a name with `\"` or `]` is written [\"…\"]"))
        }
        _ if name.contains('*') => Ok((Part::Names(Glob::new(name)), after)),
        _ => Ok((Part::Name(name.to_owned()), after)),
    }
}

/// `[]`, or a name as a JSON string in brackets.
fn bracket(rest: &str) -> Result<(Part, &str), String> {
    if let Some(after) = rest.strip_prefix("[]") {
        return Ok((Part::Elements, after));
    }
    let ends = rest.match_indices("\"]").map(|(at, _)| at + 1);
    for end in ends {
        if let Some(Document { value, .. }) = Document::parse(&rest.as_bytes()[1..end])
            && let Some(name) = value.text()
        {
            return Ok((Part::Name(name.read().into_owned()), &rest[end + 1..]));
        }
    }
    Err(format!("`{rest}` is neither `[]` nor a name in brackets and quotes, as in [\"a.b\"]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, steps: &[&str]) -> bool {
        let Pattern::Body(parts) = Pattern::parse(pattern).unwrap() else { return false };
        let step = |name| match name {
            "[]" => Step::Elements,
            name => Step::Member(Text::plain(name)),
        };
        let steps: Vec<_> = steps.iter().map(|name| step(*name)).collect();
        part_fits(&parts, &steps)
    }

    #[test]
    fn names_stars_and_depths_match() {
        assert!(matches("scores.*", &["scores", "ham"]));
        assert!(!matches("scores.*", &["scores"]) && !matches("scores.*", &["scores", "a", "b"]));
        assert!(!matches("scores.*", &["scores", "[]"]) && matches("scores[]", &["scores", "[]"]));
        assert!(matches("**", &[]) && matches("**", &["a", "[]", "b"]));
        assert!(matches("**.id", &["id"]) && matches("**.id", &["a", "[]", "id"]));
        assert!(!matches("**.id", &["a", "id", "b"]) && matches("a.**.id", &["a", "x", "id"]));
        assert!(matches("p_*_x", &["p_1_x"]) && !matches("p_*_x", &["p_1_y"]));
        assert!(matches(r#"["a.b"][]["*"]"#, &["a.b", "[]", "*"]));
        assert!(!matches(r#"["*"]"#, &["a"]) && matches("body", &[]));
        assert!(matches(r#"["status"]"#, &["status"]) && !matches("status", &["status"]));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for bad in ["", "a.", ".a", "a..b", "a[", "a[0]", "a[\"b]", "a]b", "a[]b", "a.[]", "header"]
        {
            assert!(Pattern::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn many_stars_take_no_time() {
        let pattern = Glob::new(&"*a".repeat(200));
        assert!(!pattern.matches(&("a".repeat(5_000) + "b")));
        assert!(pattern.matches(&"a".repeat(5_000)));
    }

    #[test]
    fn a_pattern_covers_what_is_below_it() {
        let scores = Path::Member(&Path::Body, Text::plain("scores"));
        let ham = Path::Member(&scores, Text::plain("ham"));
        let covers = |pattern: &str, path| Pattern::parse(pattern).unwrap().covers(path);
        assert!(covers("scores", &ham) && covers("scores", &scores) && covers("body", &ham));
        assert!(!covers("scores.ham", &scores) && !covers("status", &ham));
        assert!(!covers("**", &Path::Status) && covers("header.X-Y", &Path::Header("x-y")));
    }
}
