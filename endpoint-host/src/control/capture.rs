//! What is to be written down of an endpoint's calls.

use super::fields::Fields;
use crate::api_error::ApiError;
use crate::app::App;
use crate::capture;
use crate::record::{CaptureContentTypes, CaptureMode, CaptureOption, DataCaptureConfig};

/// The longest destination.
const URI_CHARS: usize = 512;

/// The most options and the most content types of one kind.
const MOST_OPTIONS: usize = 32;
const MOST_TYPES: usize = 10;

/// The longest content type.
const TYPE_CHARS: usize = 256;

/// What destinations look like on AWS, as AWS words it.
const URI_PATTERN: &str = "(https|s3)://([^/])/?(.*)";

/// What content types look like, as AWS words it.
const TYPE_PATTERN: &str = r"[a-zA-Z0-9](-*[a-zA-Z0-9])*\/[a-zA-Z0-9](-*[a-zA-Z0-9.])*";

/// The three sides of a call.
const MODES: [(&str, CaptureMode); 3] = [
    ("Input", CaptureMode::Input),
    ("Output", CaptureMode::Output),
    ("InputAndOutput", CaptureMode::InputAndOutput),
];

/// Takes the capture's settings, which AWS refuses for serverless endpoints.
pub(super) fn take(fields: &mut Fields, app: &App) -> Result<Option<DataCaptureConfig>, ApiError> {
    let Some(given) = fields.object("DataCaptureConfig")? else {
        return Ok(None);
    };
    if !app.beyond_aws {
        return Err(ApiError::validation(
            "DataCaptureConfig is not supported: serverless endpoints do not capture data; start \
             the host with --beyond-aws",
        ));
    }
    let config = parse(given, app)?;
    capture::Rule::of(&config, &app.roots).map_err(ApiError::validation)?;
    Ok(Some(config))
}

fn parse(mut fields: Fields, app: &App) -> Result<DataCaptureConfig, ApiError> {
    let enable_capture = fields.boolean("EnableCapture")?.unwrap_or(true);
    let percentage = fields.integer_within("InitialSamplingPercentage", 0, 100)?;
    let percentage = percentage.ok_or_else(|| fields.missing("InitialSamplingPercentage"))?;
    let destination_s3_uri = destination(&mut fields, app)?;
    let capture_options = options(&mut fields)?;
    let types = fields.object("CaptureContentTypeHeader")?;
    fields.finish()?;
    Ok(DataCaptureConfig {
        enable_capture,
        initial_sampling_percentage: u8::try_from(percentage).expect("at most 100 percent"),
        destination_s3_uri,
        capture_options,
        capture_content_type_header: types.map(content_types).transpose()?,
    })
}

fn destination(fields: &mut Fields, app: &App) -> Result<String, ApiError> {
    let missing = fields.missing("DestinationS3Uri");
    let uri = fields.text_within("DestinationS3Uri", URI_CHARS)?.ok_or(missing)?;
    if uri
        .strip_prefix("s3://")
        .is_some_and(|bucket| !bucket.is_empty() && !bucket.starts_with('/'))
    {
        return Ok(uri);
    }
    if app.aws_only || !uri.starts_with("file://") {
        return Err(fields.mismatch("DestinationS3Uri", &uri, URI_PATTERN));
    }
    Ok(uri)
}

fn options(fields: &mut Fields) -> Result<Vec<CaptureOption>, ApiError> {
    let options = fields.objects("CaptureOptions")?;
    let options = options.ok_or_else(|| fields.missing("CaptureOptions"))?;
    match options.len() {
        0 => Err(fields.too_short("CaptureOptions", "[]", 1)),
        1..=MOST_OPTIONS => options.into_iter().map(option).collect(),
        more => Err(fields.too_long("CaptureOptions", &more.to_string(), MOST_OPTIONS)),
    }
}

fn option(mut fields: Fields) -> Result<CaptureOption, ApiError> {
    let capture_mode = fields.one_of("CaptureMode", &MODES)?;
    let capture_mode = capture_mode.ok_or_else(|| fields.missing("CaptureMode"))?;
    fields.finish()?;
    Ok(CaptureOption { capture_mode })
}

fn content_types(mut fields: Fields) -> Result<CaptureContentTypes, ApiError> {
    let csv_content_types = types(&mut fields, "CsvContentTypes")?;
    let json_content_types = types(&mut fields, "JsonContentTypes")?;
    fields.finish()?;
    Ok(CaptureContentTypes { csv_content_types, json_content_types })
}

fn types(fields: &mut Fields, field: &str) -> Result<Vec<String>, ApiError> {
    let Some(types) = fields.texts(field)? else {
        return Ok(Vec::new());
    };
    if types.is_empty() {
        return Err(fields.too_short(field, "[]", 1));
    }
    if types.len() > MOST_TYPES {
        return Err(fields.too_long(field, &types.len().to_string(), MOST_TYPES));
    }
    match types.iter().find(|given| !is_content_type(given)) {
        Some(strange) => Err(fields.mismatch(field, strange, TYPE_PATTERN)),
        None => Ok(types),
    }
}

fn is_content_type(text: &str) -> bool {
    let word = |word: &str, inner: fn(u8) -> bool| {
        let bytes = word.as_bytes();
        bytes.first().is_some_and(u8::is_ascii_alphanumeric)
            && bytes.last().is_some_and(|last| *last != b'-')
            && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || inner(*byte))
    };
    let parts = text.split_once('/').filter(|_| text.len() <= TYPE_CHARS);
    parts.is_some_and(|(kind, name)| {
        word(kind, |byte| byte == b'-') && word(name, |byte| b"-.".contains(&byte))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types_follow_sagemakers_pattern() {
        for good in ["text/csv", "application/x-json", "application/vnd.acme.v1", "a/b"] {
            assert!(is_content_type(good), "{good}");
        }
        for bad in ["", "text", "/csv", "text/", "-a/b", "a-/b", "a/b-", "a/b+c", "a/b; x=1"] {
            assert!(!is_content_type(bad), "{bad}");
        }
    }
}
