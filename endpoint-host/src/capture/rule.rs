//! What of an endpoint's calls is captured, and where it goes: its `DataCaptureConfig`, read once.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::spool;
use crate::artifact::ModelRoots;
use crate::record::{CaptureContentTypes, CaptureMode, DataCaptureConfig};
use crate::s3::Object;

/// What is captured.
#[derive(Debug)]
pub(crate) struct Rule {
    /// The share of the calls, from 0 to 1.
    share: f64,
    /// Whether what callers send is captured.
    pub(super) input: bool,
    /// Whether what containers answer is.
    pub(super) output: bool,
    /// Which bodies are text.
    types: CaptureContentTypes,
    /// Where the files are written.
    pub(super) place: Place,
}

/// Where files are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Where they stay.
    Folder(PathBuf),
    /// Where they wait for being brought to a bucket.
    Spool(PathBuf),
}

impl Place {
    /// The folder of either.
    pub(super) fn root(&self) -> &Path {
        match self {
            Self::Folder(root) | Self::Spool(root) => root,
        }
    }
}

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Encoding {
    /// As it is.
    Csv,
    /// As it is.
    Json,
    /// In base64.
    Base64,
}

impl Rule {
    /// What a configuration says; nothing if capture is off, and in words why it can't be done.
    pub(crate) fn of(
        config: &DataCaptureConfig,
        roots: &ModelRoots,
    ) -> Result<Option<Self>, String> {
        let place = place(&config.destination_s3_uri, roots)
            .map_err(|why| format!("DestinationS3Uri {why}"))?;
        let has = |mode: CaptureMode| {
            let modes = config.capture_options.iter().map(|option| option.capture_mode);
            modes.into_iter().any(|given| given == mode || given == CaptureMode::InputAndOutput)
        };
        let rule = Self {
            share: f64::from(config.initial_sampling_percentage) / 100.0,
            input: has(CaptureMode::Input),
            output: has(CaptureMode::Output),
            types: config.capture_content_type_header.clone().unwrap_or_default(),
            place,
        };
        Ok(config.enable_capture.then_some(rule))
    }

    /// Whether the next call is captured.
    pub(crate) fn samples(&self) -> bool {
        fastrand::f64() < self.share
    }

    /// How a body of this content type is written; parameters of the type do not count.
    pub(super) fn encoding(&self, content_type: Option<&str>) -> Encoding {
        let essence = content_type.and_then(|kind| kind.split(';').next()).map(str::trim);
        let is_one_of = |kinds: &[String]| {
            essence.is_some_and(|given| kinds.iter().any(|kind| kind.eq_ignore_ascii_case(given)))
        };
        if is_one_of(&self.types.csv_content_types) {
            Encoding::Csv
        } else if is_one_of(&self.types.json_content_types) {
            Encoding::Json
        } else {
            Encoding::Base64
        }
    }
}

fn place(uri: &str, roots: &ModelRoots) -> Result<Place, String> {
    if !uri.starts_with("s3://") {
        // A slash at the end would hide a file.
        let folder: PathBuf = roots.folder(uri)?.components().collect();
        if folder.is_file() {
            return Err(format!("`{uri}` is not a folder"));
        }
        return Ok(Place::Folder(folder));
    }
    let object = Object::parse(uri).ok_or_else(|| format!("`{uri}` names no bucket"))?;
    let folder = spool::path(roots, &object).ok_or_else(|| {
        format!("`{uri}` has a prefix with empty parts or dots: use s3://BUCKET/PREFIX")
    })?;
    Ok(Place::Spool(folder))
}
