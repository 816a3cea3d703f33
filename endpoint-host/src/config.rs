//! What the host is told when it starts.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// The settings of the endpoint host.
#[derive(Clone, Debug, clap::Args)]
pub struct Config {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8090")]
    pub listen: SocketAddr,

    /// Folder for the files of the endpoints; models may be read from it
    #[arg(long, value_name = "DIR", default_value = "./data")]
    pub data: PathBuf,

    /// Time without a call after which an endpoint's container is stopped
    #[arg(long, value_name = "TIME", default_value = "300s", value_parser = humantime::parse_duration)]
    pub idle_timeout: Duration,

    /// One more folder that `file://` models may be read from
    #[arg(long = "model-root", value_name = "DIR")]
    pub model_roots: Vec<PathBuf>,
}

/// How the image `gatehouse/model-container` is run; the host appends
/// `serve --model-dir DIR --listen 127.0.0.1:0`.
#[derive(Clone, Debug)]
pub struct ContainerCommand {
    /// The program, best as an absolute path: the host's `PATH` is not handed down.
    pub program: PathBuf,
    /// What comes before `serve` on its command line.
    pub arguments: Vec<String>,
    /// What the program itself needs; no model may set or change it.
    pub environment: Vec<(&'static str, OsString)>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    #[derive(clap::Parser)]
    struct CommandLine {
        #[command(flatten)]
        config: Config,
    }

    #[test]
    fn the_defaults_are_the_documented_ones() {
        let config = CommandLine::parse_from(["host"]).config;
        assert_eq!(config.listen.to_string(), "127.0.0.1:8090");
        assert_eq!(config.data, PathBuf::from("./data"));
        assert_eq!(config.idle_timeout, Duration::from_secs(300));
        assert!(config.model_roots.is_empty());
    }

    #[test]
    fn model_roots_can_be_repeated_and_the_timeout_has_a_unit() {
        let line = ["host", "--idle-timeout", "2m", "--model-root", "/a", "--model-root", "/b"];
        let config = CommandLine::parse_from(line).config;
        assert_eq!(config.idle_timeout, Duration::from_secs(120));
        assert_eq!(config.model_roots, [PathBuf::from("/a"), PathBuf::from("/b")]);
    }
}
