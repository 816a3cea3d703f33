//! What an operator can set on the router.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use axum::http::Uri;
use ipnet::IpNet;

/// The database where none is named.
pub const DEFAULT_DATABASE: &str = "sqlite://data/gatehouse.db";

/// About a day of ten reviews a second.
const SPOOL_LIMIT: u32 = 1024;

/// What AWS allows an account without being asked for more.
const ACCOUNT_CONCURRENCY: NonZeroUsize = NonZeroUsize::new(1000).expect("1000 is not 0");
/// The scores of some 200,000 contents.
const SCORE_CACHE: u32 = 64;

/// The router's settings, as flags and environment variables.
#[derive(Clone, Debug, clap::Args)]
pub struct Config {
    /// Address to listen on; port 0 takes any free one. Loopback only, as long as no key was made.
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDR:PORT")]
    pub listen: SocketAddr,

    /// Database of options and decisions: sqlite://PATH, made where none exists, or
    /// postgres://USER:PASSWORD@HOST:PORT/NAME?sslmode=verify-full.
    #[arg(
        long,
        env = "DATABASE_URL",
        // It may hold a password.
        hide_env_values = true,
        default_value = DEFAULT_DATABASE,
        value_name = "URL"
    )]
    pub database: String,

    /// Folder for decisions while PostgreSQL is away; they are handed over when it is back.
    #[arg(long, env = "GATEHOUSE_SPOOL", default_value = "data/spool", value_name = "DIR")]
    pub spool: PathBuf,

    /// How large that folder may grow, in MB; beyond it, contents are answered with 503.
    #[arg(long, env = "GATEHOUSE_SPOOL_LIMIT", default_value_t = SPOOL_LIMIT, value_name = "MB")]
    pub spool_limit: u32,

    /// Send all model calls to this SageMaker runtime instead of AWS, such as the endpoint host's.
    #[arg(long, value_name = "URL", value_parser = http_url)]
    pub sagemaker_endpoint_url: Option<Uri>,

    /// Let models answer at private or loopback addresses of this network, such as 10.0.0.0/8;
    /// may be given many times, or with commas between. Metadata and link-local addresses stay
    /// closed.
    #[arg(long, env = "GATEHOUSE_ALLOW_NET", value_name = "CIDR", value_delimiter = ',')]
    pub allow_net: Vec<IpNet>,

    /// How many calls of SageMaker may be under way at once, of all clients together; who waits is
    /// served client by client. An account's limit is shared by all of its endpoints.
    #[arg(
        long,
        env = "GATEHOUSE_ACCOUNT_CONCURRENCY",
        default_value_t = ACCOUNT_CONCURRENCY,
        value_name = "CALLS"
    )]
    pub account_concurrency: NonZeroUsize,

    /// Memory for scores that are known, in MB: models with a registered digest are not asked twice
    /// for the same content. 0 keeps none.
    #[arg(long, env = "GATEHOUSE_SCORE_CACHE", default_value_t = SCORE_CACHE, value_name = "MB")]
    pub score_cache: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: ([127, 0, 0, 1], 8080).into(),
            database: DEFAULT_DATABASE.to_owned(),
            spool: "data/spool".into(),
            spool_limit: SPOOL_LIMIT,
            sagemaker_endpoint_url: None,
            allow_net: Vec::new(),
            account_concurrency: ACCOUNT_CONCURRENCY,
            score_cache: SCORE_CACHE,
        }
    }
}

fn http_url(text: &str) -> Result<Uri, String> {
    let url: Uri = text.parse().map_err(|e| format!("not a URL: {e}"))?;
    match (url.scheme_str(), url.host()) {
        (Some("http" | "https"), Some(_)) => Ok(url),
        _ => Err("must start with http:// or https:// and name a host".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        config: Config,
    }

    #[test]
    fn the_defaults_are_those_of_the_manual() {
        Cli::command().debug_assert();
        let database = ["router", "--database", "sqlite://a.db"];
        let config = Cli::try_parse_from(database).unwrap().config;
        assert_eq!(config.listen, ([127, 0, 0, 1], 8080).into());
        assert_eq!(config.sagemaker_endpoint_url, None);
        assert!(config.allow_net.is_empty());
        assert_eq!(config.spool_limit, 1024);
    }

    #[test]
    fn networks_are_given_one_by_one_or_in_a_list() {
        let nets = ["router", "--allow-net", "10.0.0.0/8,::1/128", "--allow-net", "127.0.0.0/8"];
        assert_eq!(Cli::try_parse_from(nets).unwrap().config.allow_net.len(), 3);
        for bad in ["10.0.0.0/33", "localhost", "10.0.0.0/8,x"] {
            assert!(Cli::try_parse_from(["router", "--allow-net", bad]).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_endpoint_url_without_a_scheme_is_refused() {
        assert!(http_url("127.0.0.1:8090").is_err());
        assert!(http_url("http://127.0.0.1:8090").is_ok());
    }
}
