//! How a target is called: the options that `replay` and `watch` share.

use std::num::NonZeroUsize;
use std::time::Duration;

use crate::caller::{Caller, Means};
use crate::error::Error;
use crate::target::{FixedHeaders, Target, sagemaker};

/// The environment variable with a router's key.
const ROUTER_KEY: &str = "GATEHOUSE_KEY";

/// How a target is called.
#[derive(Debug, clap::Args)]
pub struct CallingArgs {
    /// How many calls are under way at a time.
    #[arg(long, value_name = "N", default_value = "8")]
    concurrency: NonZeroUsize,
    /// How long a call may take.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = humantime::parse_duration)]
    timeout: Duration,
    /// A header for each request to the target, with its value in an environment variable, for
    /// secrets; may be repeated.
    #[arg(long, value_name = "NAME=VARIABLE")]
    header_env: Vec<String>,
}

impl CallingArgs {
    /// How many calls are under way at a time.
    pub(crate) fn concurrency(&self) -> usize {
        self.concurrency.get()
    }

    /// The target, whose requests also get these headers, each as `NAME:VALUE`.
    ///
    /// # Errors
    /// When it is none, or a header can't be sent or would show a secret.
    pub(crate) fn target(&self, target: &str, headers: &[String]) -> Result<Target, Error> {
        let key = match std::env::var(ROUTER_KEY) {
            Ok(key) => Some(key),
            Err(std::env::VarError::NotPresent) => None,
            Err(_) => {
                return Err(Error::Usage(format!("{ROUTER_KEY} holds no key, but other bytes")));
            }
        };
        let headers = FixedHeaders::of(headers, &self.header_env, key.as_deref());
        headers.and_then(|headers| Target::parse(target, headers)).map_err(Error::Usage)
    }

    /// Those who call it; a connection that can't be made is tried again so many times.
    ///
    /// # Errors
    /// When SageMaker can't be called.
    pub(crate) async fn caller(&self, target: &Target, retries: u32) -> Result<Caller, Error> {
        let sagemaker = match target.is_sagemaker() {
            true => Some(sagemaker::client().await.map_err(Error::Usage)?),
            false => None,
        };
        let means = Means { with_tls: target.is_https(), sagemaker };
        Ok(Caller::new(self.timeout, retries, means))
    }
}
