//! What the host is told when it starts.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser as _;

use crate::access_key::AccessKey;
use crate::image::Image;

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

    /// A key that requests may be signed with (SigV4): its id, and the file that holds its secret;
    /// without one the host listens on loopback only
    #[arg(long = "access-key", value_name = "ID=FILE")]
    pub access_keys: Vec<AccessKey>,

    /// Runs an image by a local program that keeps the container contract; may be repeated. Where
    /// there is a `/bin/sh`, the program and what it starts in its process group end with the host,
    /// even if that is killed; what has left the group ends when the next host starts on the same
    /// folder, if the system has control groups
    #[arg(long = "image", value_name = "NAME=COMMAND")]
    pub images: Vec<Image>,

    /// Leaves out what AWS does not have: the built-in image and `file://` models
    #[arg(long)]
    pub aws_only: bool,

    /// Takes data capture, shadow and several variants, which AWS refuses for serverless endpoints
    #[arg(long)]
    pub beyond_aws: bool,

    /// Calls are captured only while the disk is no fuller, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 75, value_parser = clap::value_parser!(u8).range(..=100))]
    pub capture_until: u8,

    /// Address that serves `/metrics`, and nothing else, without a signature; loopback only
    #[arg(long, value_name = "ADDR")]
    pub metrics_address: Option<SocketAddr>,

    /// Memory for the bodies of all calls that are in flight or wait, in MB; who finds none left
    /// is told to try again
    #[arg(long, value_name = "MB", default_value_t = 512, value_parser = clap::value_parser!(u32).range(4..))]
    pub call_memory: u32,

    /// Calls beyond MaxConcurrency that each variant holds while none of its containers is ready
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    pub cold_queue: usize,

    /// Time that a call waits for a container before it is refused
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = humantime::parse_duration)]
    pub cold_deadline: Duration,
}

/// Settings as a command line.
#[derive(clap::Parser)]
struct CommandLine {
    /// All of them.
    #[command(flatten)]
    config: Config,
}

impl Default for Config {
    /// What the host does without any flag.
    fn default() -> Self {
        CommandLine::parse_from(["host"]).config
    }
}

/// How an image is run; behind the built-in one's command the host appends
/// `serve --model-dir DIR --listen 127.0.0.1:0`, behind all others `serve`.
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

    #[test]
    fn the_defaults_are_the_documented_ones() {
        let config = Config::default();
        assert_eq!(config.listen.to_string(), "127.0.0.1:8090");
        assert_eq!(config.data, PathBuf::from("./data"));
        assert_eq!(config.idle_timeout, Duration::from_secs(300));
        assert!(config.model_roots.is_empty() && config.images.is_empty());
        assert!(!config.aws_only);
        assert!(config.metrics_address.is_none());
        assert_eq!(config.call_memory, 512);
        assert_eq!(config.cold_queue, 1000);
        assert_eq!(config.cold_deadline, Duration::from_secs(60));
    }

    #[test]
    fn model_roots_can_be_repeated_and_the_timeout_has_a_unit() {
        let line = ["host", "--idle-timeout", "2m", "--model-root", "/a", "--model-root", "/b"];
        let config = CommandLine::parse_from(line).config;
        assert_eq!(config.idle_timeout, Duration::from_secs(120));
        assert_eq!(config.model_roots, [PathBuf::from("/a"), PathBuf::from("/b")]);
    }

    #[test]
    fn an_image_is_a_name_and_a_command_and_other_settings_are_refused() {
        let config = CommandLine::parse_from(["host", "--image", "a/b=python3 '/my app/x.py' -v"]);
        assert_eq!(config.config.images.len(), 1);
        for bad in ["a/b", "=x", "a b=x", "a/b=", "a/b= ", "a/b='x"] {
            assert!(CommandLine::try_parse_from(["host", "--image", bad]).is_err(), "{bad}");
        }
    }
}
