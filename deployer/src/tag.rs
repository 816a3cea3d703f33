//! The tags in which models and endpoints carry their own history.

use std::fmt;

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
const PREVIOUS_CONFIG: &str = "gatehouse:previous-config";
/// The endpoint that was live before, where the route was moved.
const PREVIOUS_ENDPOINT: &str = "gatehouse:previous-endpoint";
/// Where the route pointed before, if that was no endpoint of the name.
const PREVIOUS_ROUTE: &str = "gatehouse:previous-route";
/// The version that the route told there.
const PREVIOUS_VERSION: &str = "gatehouse:previous-version";
/// What an endpoint is to its name: `live`, `shadow`, or `standby` after the route was moved.
pub(crate) const STAGE: &str = "gatehouse:stage";
/// Marks a config whose canaries an endpoint has passed.
pub(crate) const PROVED: &str = "gatehouse:proved";

/// All tags of an endpoint that deployments set and take back.
pub(crate) const OF_ENDPOINTS: [&str; 9] = [
    NAME,
    VERSION,
    DIGEST,
    CONFIG,
    STAGE,
    PREVIOUS_CONFIG,
    PREVIOUS_ENDPOINT,
    PREVIOUS_ROUTE,
    PREVIOUS_VERSION,
];
/// Those of them that say what was live before.
pub(crate) const OF_PREVIOUS: [&str; 4] =
    [PREVIOUS_CONFIG, PREVIOUS_ENDPOINT, PREVIOUS_ROUTE, PREVIOUS_VERSION];

/// What was live before an endpoint became what it is, and is what a rollback goes back to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Previous {
    /// The same endpoint with this config.
    Config(String),
    /// The name's other endpoint, with this config.
    Endpoint { name: String, config: String },
    /// What the route pointed to, which no deployment of the name had made.
    Route { endpoint: String, version: Option<String> },
}

impl Previous {
    /// What an endpoint's tags say.
    pub(crate) fn of(tags: &Tags) -> Option<Self> {
        let tag = |key| tags.get(key).cloned();
        if let Some(endpoint) = tag(PREVIOUS_ROUTE) {
            return Some(Self::Route { endpoint, version: tag(PREVIOUS_VERSION) });
        }
        let config = tag(PREVIOUS_CONFIG)?;
        Some(match tag(PREVIOUS_ENDPOINT) {
            Some(name) => Self::Endpoint { name, config },
            None => Self::Config(config),
        })
    }

    /// The tags that say so; all others [of this kind](OF_PREVIOUS) are to go.
    pub(crate) fn tags(&self) -> Tags {
        match self {
            Self::Config(config) => of([(PREVIOUS_CONFIG, config)]),
            Self::Endpoint { name, config } => {
                of([(PREVIOUS_ENDPOINT, name), (PREVIOUS_CONFIG, config)])
            }
            Self::Route { endpoint, version } => {
                let mut tags = of([(PREVIOUS_ROUTE, endpoint)]);
                let version = version.clone().map(|version| (PREVIOUS_VERSION.to_owned(), version));
                tags.extend(version);
                tags
            }
        }
    }

    /// The config that it needs.
    pub(crate) fn config(&self) -> Option<&str> {
        match self {
            Self::Config(config) | Self::Endpoint { config, .. } => Some(config),
            Self::Route { .. } => None,
        }
    }
}

impl fmt::Display for Previous {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(config) => write!(formatter, "{config}"),
            Self::Endpoint { name, config } => write!(formatter, "{name}: {config}"),
            Self::Route { endpoint, .. } => write!(formatter, "route to {endpoint}"),
        }
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_live_before_is_read_as_it_was_written() {
        let [name, config] = ["spam-b", "spam-0123456789ab-1x50"].map(str::to_owned);
        let endpoint = "legacy".to_owned();
        for previous in [
            Previous::Config(config.clone()),
            Previous::Endpoint { name, config },
            Previous::Route { endpoint: endpoint.clone(), version: None },
            Previous::Route { endpoint, version: Some("3".to_owned()) },
        ] {
            let tags = previous.tags();
            assert!(tags.keys().all(|key| OF_PREVIOUS.contains(&key.as_str())));
            assert_eq!(Previous::of(&tags), Some(previous));
        }
        assert_eq!(Previous::of(&Tags::new()), None);
    }
}
