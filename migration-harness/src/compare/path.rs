//! Where in a reply something stands.

use std::fmt::{self, Display, Formatter};

use crate::json::Text;

/// How many characters of a member's name a path shows.
const MAX_NAME: usize = 200;

/// The parts of a reply that are no members of its body, and what a path to a member of one of
/// these names therefore can't begin with unless it is quoted.
const RESERVED: [&str; 6] = ["status", "content_type", "response", "latency", "header", "body"];

/// A place in a reply. Those within a body are linked from the inside out, so that they cost
/// nothing as long as nobody asks for their names.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Path<'p> {
    /// The HTTP status.
    Status,
    /// The media type.
    ContentType,
    /// The whole reply, or that there is none.
    Response,
    /// How long the reply took.
    Latency,
    /// A header.
    Header(&'p str),
    /// The whole body, of whatever form; also each line or row of one that has those.
    Body,
    /// A member of an object.
    Member(&'p Path<'p>, Text<'p>),
    /// The elements of an array.
    Elements(&'p Path<'p>),
}

/// A step from one place within a body to the next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Step<'p> {
    /// To the member of the name.
    Member(Text<'p>),
    /// To the elements.
    Elements,
}

impl<'p> Path<'p> {
    /// The steps from the whole body, or `None` where it isn't about the body.
    pub(crate) fn steps(&self) -> Option<Vec<Step<'p>>> {
        let (before, step) = match self {
            Self::Body => return Some(Vec::new()),
            Self::Member(before, name) => (before, Step::Member(*name)),
            Self::Elements(before) => (before, Step::Elements),
            _ => return None,
        };
        let mut steps = before.steps()?;
        steps.push(step);
        Some(steps)
    }
}

/// `scores.spam`, `items[].id`; a name that holds what paths are made of is quoted.
impl Display for Path<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status => f.write_str("status"),
            Self::ContentType => f.write_str("content_type"),
            Self::Response => f.write_str("response"),
            Self::Latency => f.write_str("latency"),
            Self::Header(name) => write!(f, "header.{name}"),
            Self::Body => f.write_str("body"),
            Self::Elements(Self::Body) => f.write_str("[]"),
            Self::Elements(before) => write!(f, "{before}[]"),
            Self::Member(before, name) => {
                let is_first = matches!(before, Self::Body);
                if !is_first {
                    before.fmt(f)?;
                }
                let name = shortened(&name.read());
                if needs_quotes(&name) || (is_first && RESERVED.contains(&name.as_str())) {
                    return write!(f, "[{}]", serde_json::Value::from(name));
                }
                f.write_str(if is_first { "" } else { "." })?;
                f.write_str(&name)
            }
        }
    }
}

fn needs_quotes(name: &str) -> bool {
    name.is_empty() || name.contains(['.', '[', ']', '"', '*']) || name.contains(char::is_control)
}

fn shortened(name: &str) -> String {
    match name.char_indices().nth(MAX_NAME) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_paths_are_made_of_are_quoted() {
        let member = |name| Path::Member(&Path::Body, Text::plain(name)).to_string();
        assert_eq!(member("label"), "label");
        assert_eq!(member("a.b"), r#"["a.b"]"#);
        assert_eq!(member("status"), r#"["status"]"#);
        assert_eq!(member(""), r#"[""]"#);
        assert_eq!(member(&"é".repeat(300)).chars().count(), MAX_NAME + 1);
    }

    #[test]
    fn elements_have_no_number() {
        let rows = Path::Elements(&Path::Body);
        let items = Path::Member(&rows, Text::plain("status"));
        assert_eq!(Path::Elements(&items).to_string(), "[].status[]");
        assert_eq!((rows.to_string(), Path::Body.to_string()), ("[]".into(), "body".into()));
    }
}
