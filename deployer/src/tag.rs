//! The tags in which models and endpoints carry their own history.

use crate::release::Release;
use crate::sagemaker::Tags;

/// The name that the user deployed under.
pub(crate) const NAME: &str = "gatehouse:name";
/// The package's version.
pub(crate) const VERSION: &str = "gatehouse:version";
/// The package's digest.
pub(crate) const DIGEST: &str = "gatehouse:digest";
/// An endpoint's last config that passed its canaries.
pub(crate) const CONFIG: &str = "gatehouse:config";
/// The config that was live before.
pub(crate) const PREVIOUS_CONFIG: &str = "gatehouse:previous-config";
/// The endpoint that was live before, where the route was moved.
pub(crate) const PREVIOUS_ENDPOINT: &str = "gatehouse:previous-endpoint";
/// What an endpoint is to its name: `live`, `shadow`, or `standby` after the route was moved.
pub(crate) const STAGE: &str = "gatehouse:stage";

impl Release {
    /// What its model, its config and its endpoint are tagged with.
    pub(crate) fn tags(&self) -> Tags {
        of([(NAME, &self.name), (VERSION, &self.version), (DIGEST, &self.digest)])
    }
}

/// Tags from keys and values.
pub(crate) fn of<const N: usize>(tags: [(&str, &str); N]) -> Tags {
    tags.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}
