//! The bounds that SageMaker's service model sets on values, refused in AWS's words.

use super::fields::Fields;
use crate::api_error::ApiError;

impl Fields {
    /// Takes a whole number within bounds.
    pub(crate) fn integer_within(
        &mut self,
        field: &str,
        least: i64,
        most: i64,
    ) -> Result<Option<i64>, ApiError> {
        let Some(number) = self.integer(field)? else {
            return Ok(None);
        };
        let rule = match number {
            _ if number < least => format!("greater than or equal to {least}"),
            _ if number > most => format!("less than or equal to {most}"),
            _ => return Ok(Some(number)),
        };
        let rule = format!("Member must have value {rule}");
        Err(self.violation(field, &number.to_string(), &rule))
    }

    /// Takes one of several words.
    pub(crate) fn one_of<T: Copy>(
        &mut self,
        field: &str,
        choices: &[(&str, T)],
    ) -> Result<Option<T>, ApiError> {
        let Some(word) = self.string(field)? else {
            return Ok(None);
        };
        if let Some((_, choice)) = choices.iter().find(|(name, _)| *name == word) {
            return Ok(Some(*choice));
        }
        let words: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
        let rule = format!("Member must satisfy enum value set: [{}]", words.join(", "));
        Err(self.violation(field, &word, &rule))
    }

    /// Takes a string of at most so many characters.
    pub(crate) fn text_within(
        &mut self,
        field: &str,
        most: usize,
    ) -> Result<Option<String>, ApiError> {
        let Some(text) = self.string(field)? else {
            return Ok(None);
        };
        if text.chars().count() <= most {
            return Ok(Some(text));
        }
        let start: String = text.chars().take(most).collect();
        Err(self.too_long(field, &start, most))
    }

    /// Takes a number that is a variant's weight.
    pub(crate) fn weight(&mut self, field: &str) -> Result<Option<f64>, ApiError> {
        let Some(weight) = self.number(field)? else {
            return Ok(None);
        };
        if weight < 0.0 {
            let rule = "Member must have value greater than or equal to 0";
            return Err(self.violation(field, &weight.to_string(), rule));
        }
        if weight > f64::from(f32::MAX) {
            let rule = format!("Member must have value less than or equal to {:e}", f32::MAX);
            return Err(self.violation(field, &weight.to_string(), &rule));
        }
        Ok(Some(weight))
    }

    /// Takes a time as AWS writes it, in milliseconds since 1970.
    pub(crate) fn time_ms(&mut self, field: &str) -> Result<Option<i64>, ApiError> {
        // A time too large for 64 bits is as good as the largest.
        Ok(self.number(field)?.map(|seconds| (seconds * 1000.0).round() as i64))
    }

    /// The refusal of a value or list with too many members.
    pub(crate) fn too_long(&self, field: &str, value: &str, most: usize) -> ApiError {
        let rule = format!("Member must have length less than or equal to {most}");
        self.violation(field, value, &rule)
    }

    /// The refusal of a value or list with too few members.
    pub(crate) fn too_short(&self, field: &str, value: &str, least: usize) -> ApiError {
        let rule = format!("Member must have length greater than or equal to {least}");
        self.violation(field, value, &rule)
    }

    /// The refusal of a value that does not look as it must.
    pub(crate) fn mismatch(&self, field: &str, value: &str, pattern: &str) -> ApiError {
        let rule = format!("Member must satisfy regular expression pattern: {pattern}");
        self.violation(field, value, &rule)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(json: &str) -> Fields {
        Fields::parse(json.as_bytes()).unwrap()
    }

    #[test]
    fn values_out_of_bounds_are_refused_in_awss_words() {
        let mut given =
            fields(r#"{"MaxResults": 101, "SortBy": "Size", "Weight": -1, "Name": "abc"}"#);
        for (refusal, words) in [
            (given.integer_within("MaxResults", 1, 100).unwrap_err(), "less than or equal to 100"),
            (
                given.one_of("SortBy", &[("Name", 1), ("CreationTime", 2)]).unwrap_err(),
                "enum value set: [Name, CreationTime]",
            ),
            (given.weight("Weight").unwrap_err(), "greater than or equal to 0"),
            (given.text_within("Name", 2).unwrap_err(), "length less than or equal to 2"),
        ] {
            let refusal = format!("{refusal:?}");
            assert!(refusal.contains("1 validation error detected: Value '"), "{refusal}");
            assert!(refusal.contains(words), "{refusal}");
        }
    }

    #[test]
    fn times_are_seconds_with_fractions() {
        let mut given = fields(r#"{"A": 1.5, "B": 1e300, "C": "yesterday"}"#);
        assert_eq!(given.time_ms("A").unwrap(), Some(1500));
        assert_eq!(given.time_ms("B").unwrap(), Some(i64::MAX));
        assert!(given.time_ms("C").is_err());
    }
}
