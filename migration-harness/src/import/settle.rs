//! Makes a record of a call: settles what its format leaves open.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use uuid::Builder;

use super::call::Call;
use crate::header;
use crate::naming::Naming;
use crate::record::line::FIELDS;
use crate::record::{INCOMPLETE, PART, Record, Request};

/// Without this header, a body that could not be unpacked would be misread.
const CODING: &str = "content-encoding";
/// What the user has said about all calls.
#[derive(Debug, Default)]
pub(super) struct Terms {
    /// Where the model's name is.
    pub(super) model: Option<Naming>,
    /// Where the client's name is.
    pub(super) client: Option<Naming>,
    /// The headers to keep, in lower case.
    pub(super) headers: BTreeSet<String>,
}

impl Terms {
    /// The record of a call; its id is empty and its time 1970, where the call had none. Times are
    /// kept in microseconds.
    ///
    /// # Errors
    /// A sentence for the user, when nothing names the model.
    pub(super) fn record(&self, call: Call) -> Result<Record, String> {
        let Call { id, captured_at, model, client, request, reply, unknown } = call;
        let microsecond = captured_at.unwrap_or_default().as_microsecond();
        let mut record = Record {
            id: id.unwrap_or_default(),
            captured_at: Timestamp::from_microsecond(microsecond)
                .map_err(|error| error.to_string())?,
            model: model.unwrap_or_default(),
            client,
            request,
            reply,
            unknown: unknown.into_iter().map(|(name, value)| (foreign(name), value)).collect(),
        };
        self.name(&mut record)?;
        self.keep_headers(&mut record.request.headers);
        if let Ok(answer) = &mut record.reply.answer {
            self.keep_headers(&mut answer.headers);
        }
        Ok(record)
    }

    /// What a record that was written by others must not hold, and the names that the user has told
    /// where to find.
    ///
    /// # Errors
    /// A sentence for the user, when there is no model.
    pub(super) fn adopt(&self, mut record: Record) -> Result<Record, String> {
        self.name(&mut record)?;
        header::remove_secrets(&mut record.request.headers);
        if let Ok(answer) = &mut record.reply.answer {
            header::remove_secrets(&mut answer.headers);
        }
        Ok(record)
    }

    /// Puts the names that the user has told where to find; the others stay.
    ///
    /// # Errors
    /// A sentence for the user, when there is no model.
    fn name(&self, record: &mut Record) -> Result<(), String> {
        let find = |naming: &Option<Naming>, request: &Request| naming.as_ref()?.of(request);
        if let Some(model) = find(&self.model, &record.request) {
            record.model = model;
        }
        record.client = find(&self.client, &record.request).or(record.client.take());
        if record.model.is_empty() {
            let how = "`--model`, for example `--model name:spam`";
            return Err(format!("nothing names the model of the call: tell where with {how}"));
        }
        Ok(())
    }

    fn keep_headers(&self, headers: &mut BTreeMap<String, String>) {
        headers.retain(|name, _| name == CODING || self.headers.contains(name));
    }
}

/// A UUID in version 7 for what stands in a line of a file: the same whenever that is imported.
pub(super) fn id(file: &[u8; 32], line: u64, captured_at: Timestamp) -> String {
    let mut hash = Sha256::new();
    hash.update(file);
    hash.update(line.to_le_bytes());
    let mut rest = [0; 10];
    rest.copy_from_slice(&hash.finalize()[..10]);
    let milliseconds = u64::try_from(captured_at.as_millisecond()).unwrap_or_default();
    Builder::from_unix_timestamp_millis(milliseconds, &rest).into_uuid().to_string()
}

/// A name that is none of a record's own fields, nor one that says whether its answer counts.
fn foreign(name: String) -> String {
    let is_ours = FIELDS.contains(&name.as_str()) || [INCOMPLETE, PART].contains(&name.as_str());
    if is_ours { format!("imported_{name}") } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_call_incomplete_or_a_part_takes_no_call_out_of_the_verdict() {
        let crate::record::Record { request, reply, .. } =
            crate::tally::tests::record("1", "m", "c", "x");
        let unknown = [(INCOMPLETE, true.into()), (PART, "cover".into()), ("note", 1.into())];
        let unknown = unknown.into_iter().map(|(name, it)| (name.to_owned(), it)).collect();
        let (captured_at, model) = (None, Some("spam".to_owned()));
        let call = Call { id: None, captured_at, model, client: None, request, reply, unknown };
        let record = Terms::default().record(call).unwrap();
        assert!(!record.is_incomplete() && !record.is_chosen());
        let names: Vec<_> = record.unknown.keys().collect();
        assert_eq!(names, ["imported_incomplete", "imported_part", "note"]);
    }
}
