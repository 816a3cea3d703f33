//! The content types that come in and go out, and what an `Accept` header chooses among them.

use hyper::StatusCode;

use crate::problem::Problem;

/// A content type that the container reads or writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Media {
    /// One text; it is read, but never written.
    Text,
    /// One JSON value.
    Json,
    /// A JSON value on each line.
    JsonLines,
    /// The same under its other name.
    NdJson,
    /// Columns in the order of the model's fields; labels and scores when written.
    Csv,
}

impl Media {
    const ALL: [Self; 5] = [Self::Text, Self::Json, Self::JsonLines, Self::NdJson, Self::Csv];
    const WRITTEN: [Self; 4] = [Self::Json, Self::JsonLines, Self::NdJson, Self::Csv];

    /// The name on the wire.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Text => "text/plain",
            Self::Json => "application/json",
            Self::JsonLines => "application/jsonlines",
            Self::NdJson => "application/x-ndjson",
            Self::Csv => "text/csv",
        }
    }

    /// Reads a request's `Content-Type`.
    pub(crate) fn of_request(content_type: Option<&str>) -> Result<Self, Problem> {
        let content_type = content_type.unwrap_or_default();
        if has_parameter(content_type, "header", "present") {
            let detail = "headings are not read: send the rows alone, in the order of the fields";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
        }
        let name = essence(content_type);
        Self::find(&Self::ALL, name).ok_or_else(|| {
            let known = Self::ALL.map(Self::name).join(", ");
            let detail = format!("content type `{name}` is not one of {known}");
            Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail)
        })
    }

    /// What is written for this content type where the client has no wish.
    fn answer(self) -> Self {
        match self {
            Self::Text | Self::Csv => Self::Json,
            other => other,
        }
    }

    /// Chooses the answer's type by the client's `Accept`, of equal wishes the first.
    pub(crate) fn for_answer(self, accept: Option<&str>) -> Result<Self, Problem> {
        let Some(accept) = accept.filter(|accept| !accept.trim().is_empty()) else {
            return Ok(self.answer());
        };
        let mut wishes: Vec<_> =
            accept.split(',').map(|wish| (essence(wish), quality(wish))).collect();
        let refused: Vec<_> =
            wishes.iter().filter(|(_, q)| *q <= 0.0).map(|(name, _)| *name).collect();
        wishes.retain(|(_, quality)| *quality > 0.0);
        wishes.sort_by(|(_, one), (_, other)| other.total_cmp(one));
        wishes.iter().find_map(|(name, _)| self.grant(name, &refused)).ok_or_else(|| {
            let written = Self::WRITTEN.map(Self::name).join(", ");
            let detail = format!("`Accept: {accept}` asks for none of {written}");
            Problem::new(StatusCode::NOT_ACCEPTABLE, detail)
        })
    }

    /// What a wish stands for: for a wildcard the usual answer, unless that is refused by name.
    fn grant(self, wish: &str, refused: &[&str]) -> Option<Self> {
        let is_refused =
            |media: &Self| refused.iter().any(|r| r.eq_ignore_ascii_case(media.name()));
        let usual = [self.answer(), Self::Json, Self::JsonLines, Self::NdJson, Self::Csv];
        let mut usual = usual.into_iter().filter(|media| !is_refused(media));
        match wish.to_ascii_lowercase().as_str() {
            "*/*" => usual.next(),
            "application/*" => usual.find(|media| *media != Self::Csv),
            "text/*" => usual.find(|media| *media == Self::Csv),
            _ => Self::find(&Self::WRITTEN, wish),
        }
    }

    fn find(among: &[Self], name: &str) -> Option<Self> {
        among.iter().copied().find(|media| media.name().eq_ignore_ascii_case(name))
    }
}

/// A media type without its parameters.
fn essence(media_type: &str) -> &str {
    media_type.split(';').next().unwrap_or_default().trim()
}

fn has_parameter(media_type: &str, name: &str, value: &str) -> bool {
    let parameters = media_type.split(';').skip(1).filter_map(|one| one.split_once('='));
    parameters.into_iter().any(|(key, set)| {
        key.trim().eq_ignore_ascii_case(name) && set.trim().eq_ignore_ascii_case(value)
    })
}

fn quality(wish: &str) -> f32 {
    let mut parameters = wish.split(';').skip(1).filter_map(|one| one.split_once('='));
    let quality = parameters.find(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
    quality.map_or(1.0, |(_, value)| value.trim().parse().unwrap_or(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(content_type: Media, accept: &str) -> Option<&'static str> {
        content_type.for_answer(Some(accept)).ok().map(Media::name)
    }

    #[test]
    fn without_a_wish_lines_get_lines_and_others_json() {
        for (media, answer) in [
            (Media::Text, "application/json"),
            (Media::Csv, "application/json"),
            (Media::NdJson, "application/x-ndjson"),
        ] {
            assert_eq!(media.for_answer(None).unwrap().name(), answer);
            assert_eq!(chosen(media, "*/*"), Some(answer));
            assert_eq!(chosen(media, ""), Some(answer));
        }
    }

    #[test]
    fn the_best_wish_that_can_be_granted_wins() {
        assert_eq!(chosen(Media::Json, "text/html, text/csv;q=0.5, */*;q=0.1"), Some("text/csv"));
        assert_eq!(
            chosen(Media::Json, "text/csv;q=0.5, Application/JSONLines"),
            Some("application/jsonlines")
        );
        assert_eq!(chosen(Media::Json, "image/png, application/json; q=0"), None);
        assert_eq!(chosen(Media::Json, "text/plain"), None);
        assert_eq!(chosen(Media::Json, "application/json;q=0, */*"), Some("application/jsonlines"));
    }
}
