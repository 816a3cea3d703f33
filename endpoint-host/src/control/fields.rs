//! Takes a request apart field by field; what nobody took is refused at the end.

use serde_json::{Map, Value};

use super::support;
use crate::api_error::ApiError;
use crate::resource_name::ResourceName;

/// The members of one JSON object that are not yet taken.
#[derive(Debug)]
pub(crate) struct Fields {
    /// Where the object is, as AWS writes it: `productionVariants.1.member.`
    path: String,
    /// Its members.
    members: Map<String, Value>,
}

impl Fields {
    /// The fields of a body; an empty body is an empty object.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let body = if body.is_empty() { b"{}" } else { body };
        let members = serde_json::from_slice(body)
            .map_err(|error| ApiError::serialization(format!("not a JSON object: {error}")))?;
        Ok(Self { path: String::new(), members })
    }

    /// Drops fields that change nothing here.
    pub(crate) fn ignore(&mut self, fields: &[&str]) {
        for field in fields {
            self.members.remove(*field);
        }
    }

    /// Drops a field whose value is the one that this host always uses.
    pub(crate) fn ignore_if(&mut self, field: &str, value: &Value) {
        if self.members.get(field) == Some(value) {
            self.members.remove(field);
        }
    }

    /// Takes a string.
    pub(crate) fn string(&mut self, field: &str) -> Result<Option<String>, ApiError> {
        match self.take(field) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.wrong_type(field, "a string")),
        }
    }

    /// Takes a string that must be there.
    pub(crate) fn required_string(&mut self, field: &str) -> Result<String, ApiError> {
        self.string(field)?.ok_or_else(|| self.missing(field))
    }

    /// Takes the name of a resource, which must be there.
    pub(crate) fn name(&mut self, field: &str) -> Result<ResourceName, ApiError> {
        let text = self.required_string(field)?;
        ResourceName::parse(&text).ok_or_else(|| {
            let pattern = ResourceName::PATTERN;
            let rule = format!("Member must satisfy regular expression pattern: {pattern}");
            self.violation(field, &text, &rule)
        })
    }

    /// Takes a whole number.
    pub(crate) fn integer(&mut self, field: &str) -> Result<Option<i64>, ApiError> {
        let Some(value) = self.take(field) else {
            return Ok(None);
        };
        value.as_i64().map(Some).ok_or_else(|| self.wrong_type(field, "a whole number"))
    }

    /// Takes a number.
    pub(crate) fn number(&mut self, field: &str) -> Result<Option<f64>, ApiError> {
        let Some(value) = self.take(field) else {
            return Ok(None);
        };
        value.as_f64().map(Some).ok_or_else(|| self.wrong_type(field, "a number"))
    }

    /// Takes true or false.
    pub(crate) fn boolean(&mut self, field: &str) -> Result<Option<bool>, ApiError> {
        let Some(value) = self.take(field) else {
            return Ok(None);
        };
        value.as_bool().map(Some).ok_or_else(|| self.wrong_type(field, "true or false"))
    }

    /// Takes a list of strings.
    pub(crate) fn texts(&mut self, field: &str) -> Result<Option<Vec<String>>, ApiError> {
        let Some(value) = self.take(field) else {
            return Ok(None);
        };
        let texts = serde_json::from_value(value);
        texts.map(Some).map_err(|_| self.wrong_type(field, "a list of strings"))
    }

    /// Takes an object.
    pub(crate) fn object(&mut self, field: &str) -> Result<Option<Self>, ApiError> {
        match self.take(field) {
            None => Ok(None),
            Some(Value::Object(members)) => {
                Ok(Some(Self { path: format!("{}.", self.at(field)), members }))
            }
            Some(_) => Err(self.wrong_type(field, "an object")),
        }
    }

    /// Takes a list of objects.
    pub(crate) fn objects(&mut self, field: &str) -> Result<Option<Vec<Self>>, ApiError> {
        let items = match self.take(field) {
            None => return Ok(None),
            Some(Value::Array(items)) => items,
            Some(_) => return Err(self.wrong_type(field, "a list")),
        };
        let member = |(index, item)| match item {
            Value::Object(members) => {
                Ok(Self { path: format!("{}.{}.member.", self.at(field), index + 1), members })
            }
            _ => Err(self.wrong_type(field, "a list of objects")),
        };
        items.into_iter().enumerate().map(member).collect::<Result<_, _>>().map(Some)
    }

    /// Takes an object of strings.
    pub(crate) fn strings(&mut self, field: &str) -> Result<Vec<(String, String)>, ApiError> {
        let Some(object) = self.object(field)? else {
            return Ok(Vec::new());
        };
        let pair = |(key, value)| match value {
            Value::String(text) => Ok((key, text)),
            _ => Err(self.wrong_type(field, "an object of strings")),
        };
        object.members.into_iter().map(pair).collect()
    }

    /// Refuses what was not taken.
    pub(crate) fn finish(self) -> Result<(), ApiError> {
        let Some((field, _)) = self.members.iter().find(|(_, value)| !value.is_null()) else {
            return Ok(());
        };
        let reason = support::reason(field);
        let place = format!("{}{field}", self.path);
        Err(ApiError::validation(format!("field `{place}` is not supported: {reason}")))
    }

    /// The refusal of a value, in AWS's words.
    pub(crate) fn violation(&self, field: &str, value: &str, rule: &str) -> ApiError {
        ApiError::validation(format!(
            "1 validation error detected: Value '{value}' at '{}' failed to satisfy constraint: {rule}",
            self.at(field)
        ))
    }

    /// The refusal of a request without a field, in AWS's words.
    pub(crate) fn missing(&self, field: &str) -> ApiError {
        ApiError::validation(format!(
            "1 validation error detected: Value null at '{}' failed to satisfy constraint: Member must not be null",
            self.at(field)
        ))
    }

    fn take(&mut self, field: &str) -> Option<Value> {
        self.members.remove(field).filter(|value| !value.is_null())
    }

    fn wrong_type(&self, field: &str, expected: &str) -> ApiError {
        ApiError::serialization(format!("field `{}` must be {expected}", self.at(field)))
    }

    /// A field's place, with the small first letter that AWS's messages have.
    fn at(&self, field: &str) -> String {
        let (first, rest) = field.split_at(1);
        format!("{}{}{rest}", self.path, first.to_ascii_lowercase())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message<T: std::fmt::Debug>(result: Result<T, ApiError>) -> String {
        format!("{:?}", result.unwrap_err())
    }

    #[test]
    fn a_field_that_nobody_took_is_refused_with_its_place_and_the_reason() {
        let mut fields = Fields::parse(br#"{"A": [{"InstanceType": "ml.m5.large"}]}"#).unwrap();
        let variant = fields.objects("A").unwrap().unwrap().remove(0);
        let refusal = message(variant.finish());
        assert!(refusal.contains("`a.1.member.InstanceType` is not supported"), "{refusal}");
        assert!(refusal.contains("use ServerlessConfig"), "{refusal}");
    }

    #[test]
    fn null_is_as_good_as_absent() {
        let mut fields = Fields::parse(br#"{"Tags": null, "ModelName": null}"#).unwrap();
        assert!(message(fields.name("ModelName")).contains("at 'modelName'"));
        assert!(fields.finish().is_ok());
    }

    #[test]
    fn a_value_of_the_wrong_type_is_a_serialization_error() {
        let mut fields = Fields::parse(br#"{"A": 1, "B": "x", "C": {"k": 1}}"#).unwrap();
        assert!(message(fields.string("A")).contains("SerializationException"));
        assert!(message(fields.integer("B")).contains("SerializationException"));
        assert!(message(fields.strings("C")).contains("SerializationException"));
        assert!(Fields::parse(b"[1]").is_err());
    }
}
