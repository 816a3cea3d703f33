//! What an operator can set on the router.

use std::net::SocketAddr;

use axum::http::Uri;

/// The router's settings, as flags and environment variables.
#[derive(Clone, Debug, clap::Args)]
pub struct Config {
    /// Address to listen on; port 0 takes any free one. Loopback only, as long as there are no keys.
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDR:PORT")]
    pub listen: SocketAddr,

    /// Database of options and decisions; an SQLite file is created where none exists.
    #[arg(
        long,
        env = "DATABASE_URL",
        default_value = "sqlite://data/gatehouse.db",
        value_name = "URL"
    )]
    pub database: String,

    /// Send all model calls to this SageMaker runtime instead of AWS, such as the endpoint host's.
    #[arg(long, value_name = "URL", value_parser = http_url)]
    pub sagemaker_endpoint_url: Option<Uri>,
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
    }

    #[test]
    fn an_endpoint_url_without_a_scheme_is_refused() {
        assert!(http_url("127.0.0.1:8090").is_err());
        assert!(http_url("http://127.0.0.1:8090").is_ok());
    }
}
