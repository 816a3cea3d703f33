//! The file of rules.

use regex::bytes::Regex;
use serde::Deserialize;

/// What to redact, and how.
#[derive(Debug)]
pub(super) struct Rule {
    /// What it applies to.
    pub(super) what: What,
    /// What stands there afterwards.
    pub(super) with: With,
}

/// What a rule applies to.
#[derive(Debug)]
pub(super) enum What {
    /// A field of JSON bodies: the parts of a JSON pointer, `*` for any.
    Field(Vec<String>),
    /// Whatever matches, in paths, headers and bodies.
    Pattern(Regex),
}

/// What stands in a record instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum With {
    /// The same token for the same thing.
    Token,
    /// Nothing; `null` for a field.
    Drop,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    redact: Vec<Written>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    field: Option<String>,
    pattern: Option<String>,
    with: With,
}

/// The rules of a file.
///
/// # Errors
/// A sentence for the user, with each rule that is none.
pub(super) fn parse(text: &str) -> Result<Vec<Rule>, String> {
    let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
    if file.redact.is_empty() {
        return Err("holds no [[redact]] rule; leave `--redact` out to record all".to_owned());
    }
    let (mut rules, mut faults) = (Vec::new(), Vec::new());
    for (number, written) in (1..).zip(file.redact) {
        match what(written.field, written.pattern) {
            Ok(what) => rules.push(Rule { what, with: written.with }),
            Err(fault) => faults.push(format!("rule {number}: {fault}")),
        }
    }
    if faults.is_empty() { Ok(rules) } else { Err(faults.join("; ")) }
}

fn what(field: Option<String>, pattern: Option<String>) -> Result<What, String> {
    match (field, pattern) {
        (Some(field), None) => pointer(&field).map(What::Field),
        (None, Some(pattern)) => match Regex::new(&pattern) {
            Ok(regex) if regex.is_match(b"") => {
                Err(format!("pattern `{pattern}` matches nothing at all, so everywhere"))
            }
            Ok(regex) => Ok(What::Pattern(regex)),
            Err(error) => Err(format!("pattern `{pattern}` can't be used: {error}")),
        },
        _ => Err("needs either `field` or `pattern`".to_owned()),
    }
}

fn pointer(field: &str) -> Result<Vec<String>, String> {
    let Some(rest) = field.strip_prefix('/') else {
        return Err(format!("field `{field}` must be a JSON pointer, such as `/fields/email`"));
    };
    Ok(rest.split('/').map(|part| part.replace("~1", "/").replace("~0", "~")).collect())
}
