//! Which column of a table is what part of a call.

use std::str::FromStr;

/// A part of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Field {
    Id,
    CapturedAt,
    Model,
    Client,
    Method,
    Path,
    ContentType,
    Body,
    Status,
    ResponseType,
    Response,
    Label,
    Score,
    Error,
    LatencyUs,
    LatencyMs,
}

/// The name of each part on the command line, and what columns are called that are taken for it.
const NAMES: [(Field, &[&str]); 16] = [
    (Field::Id, &["id", "request_id", "event_id", "call_id", "uuid"]),
    (Field::CapturedAt, &["captured_at", "timestamp", "time", "datetime", "date", "created_at"]),
    (Field::Model, &["model", "model_name", "endpoint"]),
    (Field::Client, &["client", "client_name", "customer", "tenant"]),
    (Field::Method, &["method"]),
    (Field::Path, &["path"]),
    (Field::ContentType, &["content_type"]),
    (Field::Body, &["body", "request_body", "request", "payload", "input", "text"]),
    (Field::Status, &["status", "status_code", "http_status"]),
    (Field::ResponseType, &["response_content_type"]),
    (Field::Response, &["response", "response_body", "output", "answer", "result"]),
    (Field::Label, &["label", "prediction"]),
    (Field::Score, &["score", "probability"]),
    (Field::Error, &["error"]),
    (Field::LatencyUs, &["latency_us"]),
    (Field::LatencyMs, &["latency_ms"]),
];

/// `FIELD=NAME`: where a part of a call stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Assignment {
    /// The part.
    pub(super) field: Field,
    /// The name of its column, or the pointer to it.
    pub(super) name: String,
}

impl FromStr for Assignment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (field, name) = text.split_once('=').ok_or("expected FIELD=NAME")?;
        let known = NAMES.iter().find(|(_, names)| names[0] == field);
        let Some((field, _)) = known else {
            let known: Vec<_> = NAMES.iter().map(|(_, names)| names[0]).collect();
            return Err(format!("`{field}` is none of {}", known.join(", ")));
        };
        Ok(Self { field: *field, name: name.to_owned() })
    }
}

/// The columns of a table, by what they hold.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Columns {
    /// The parts of a call.
    pub(super) fields: Vec<(Field, usize)>,
    /// The members of the request's JSON object, where the body is made of several columns.
    pub(super) members: Vec<(String, usize)>,
    /// The rest.
    pub(super) others: Vec<(String, usize)>,
}

impl Columns {
    /// Finds out what the columns of these names are: what is asked for first, then what they
    /// are commonly called.
    ///
    /// # Errors
    /// A sentence for the user, when a column is missing, is there twice, or none is the body.
    pub(super) fn of(
        names: &[String],
        asked: &[Assignment],
        members: &[String],
    ) -> Result<Self, String> {
        let members: Result<Vec<_>, _> = members
            .iter()
            .map(|name| Ok::<_, String>((name.clone(), only(names, name)?)))
            .collect();
        let members = members?;
        let mut fields = Vec::new();
        for (field, common) in NAMES {
            let is_made = field == Field::Body && !members.is_empty();
            let found = match asked.iter().find(|assignment| assignment.field == field) {
                Some(assignment) => Some(only(names, &assignment.name)?),
                None if is_made => None,
                None => find(names, asked, common)?,
            };
            fields.extend(found.map(|column| (field, column)));
        }
        if members.is_empty() && !fields.iter().any(|(field, _)| *field == Field::Body) {
            let names = names.join("`, `");
            return Err(format!(
                "no column is known to be the request's body: say which with `--column body=NAME` \
                 or `--fields NAME,…`; there are `{names}`"
            ));
        }
        let is_used = |column: &usize| {
            fields.iter().any(|(_, used)| used == column)
                || members.iter().any(|(_, used)| used == column)
        };
        let others = (0..names.len()).filter(|column| !is_used(column));
        let others = others.map(|column| (names[column].clone(), column)).collect();
        Ok(Self { fields, members, others })
    }
}

/// The first common name that a column has, unless it was asked to be something else.
fn find(names: &[String], asked: &[Assignment], common: &[&str]) -> Result<Option<usize>, String> {
    for common in common {
        let mut named = names.iter().filter(|name| is_called(name, common));
        if let Some(name) = named.next().filter(|name| asked.iter().all(|it| it.name != **name)) {
            return only(names, name).map(Some);
        }
    }
    Ok(None)
}

fn is_called(name: &str, common: &str) -> bool {
    name.trim().replace([' ', '-', '.'], "_").eq_ignore_ascii_case(common)
}

fn only(names: &[String], name: &str) -> Result<usize, String> {
    let mut found = names.iter().enumerate().filter(|(_, other)| *other == name);
    match (found.next(), found.next()) {
        (Some((column, _)), None) => Ok(column),
        (Some(_), Some(_)) => Err(format!("there are two columns `{name}`")),
        (None, _) => {
            Err(format!("there is no column `{name}`; there are `{}`", names.join("`, `")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(names: &str, asked: &[&str], members: &[&str]) -> Result<Columns, String> {
        let names: Vec<_> = names.split(',').map(str::to_owned).collect();
        let asked: Vec<_> = asked.iter().map(|text| text.parse().unwrap()).collect();
        let members: Vec<_> = members.iter().map(|name| (*name).to_owned()).collect();
        Columns::of(&names, &asked, &members)
    }

    #[test]
    fn common_names_are_known_and_the_rest_is_kept() {
        let found = columns("Request-ID,text,time,rating", &[], &[]).unwrap();
        let fields = [(Field::Id, 0), (Field::CapturedAt, 2), (Field::Body, 1)];
        assert_eq!(found.fields, fields);
        assert_eq!(found.others, [("rating".to_owned(), 3)]);
    }

    #[test]
    fn what_is_asked_for_goes_before_common_names() {
        let found = columns("id,text,body", &["body=text", "client=id"], &[]).unwrap();
        assert_eq!(found.fields, [(Field::Client, 0), (Field::Body, 1)]);
        assert_eq!(found.others, [("body".to_owned(), 2)]);
    }

    #[test]
    fn a_body_of_several_columns_leaves_no_column_for_itself() {
        let found = columns("id,title,text", &[], &["title", "text"]).unwrap();
        assert_eq!(found.fields, [(Field::Id, 0)]);
        assert_eq!(found.members, [("title".to_owned(), 1), ("text".to_owned(), 2)]);
    }

    #[test]
    fn columns_that_are_missing_or_doubtful_are_named() {
        for (names, asked, reason) in [
            ("id,text", "model=kind", "no column `kind`; there are `id`, `text`"),
            ("id,text,text", "id=id", "two columns `text`"),
            ("id,words", "id=id", "--column body=NAME"),
        ] {
            let fault = columns(names, &[asked], &[]).unwrap_err();
            assert!(fault.contains(reason), "{fault}");
        }
        assert!(
            "colour=red".parse::<Assignment>().unwrap_err().contains("`colour` is none of id,")
        );
    }
}
