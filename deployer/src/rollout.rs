//! Brings an endpoint to a config, whatever state it is found in, and tells how that ended.

use std::time::{Duration, Instant};

use aws_sdk_sagemaker::types::EndpointStatus;

use crate::Error;
use crate::event::Reporter;
use crate::sagemaker::{Endpoint, Order, SageMaker, Tags};
use crate::target::Place;

/// How often an endpoint is asked for its status, and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    first: Duration,
    slowest: Duration,
    limit: Duration,
}

impl Pace {
    /// The host is asked at once; SageMaker limits how often it can be asked.
    pub(crate) fn of(place: &Place) -> Self {
        let (first_ms, slowest_ms, limit_s) = match place {
            // A container may take three minutes to come up, and another deployment as long.
            Place::Host(_) => (20, 1_000, 400),
            Place::SageMaker(_) => (500, 5_000, 3_600),
        };
        Self {
            first: Duration::from_millis(first_ms),
            slowest: Duration::from_millis(slowest_ms),
            limit: Duration::from_secs(limit_s),
        }
    }
}

/// How an endpoint came to its config.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// It is new.
    Created,
    /// It served another config before.
    Updated,
    /// It served it already, or another deployment brought it there.
    Unchanged,
}

/// An endpoint on its way to a config.
pub(crate) struct Rollout<'a> {
    pub(crate) sagemaker: &'a SageMaker,
    pub(crate) pace: Pace,
    /// The endpoint's name.
    pub(crate) endpoint: &'a str,
    /// The config that it is to serve.
    pub(crate) config: &'a str,
    /// What it is tagged with if it is new.
    pub(crate) tags: &'a Tags,
}

impl Rollout<'_> {
    /// Creates or updates the endpoint, and waits until it serves the config.
    ///
    /// What others are doing to the endpoint is waited for, so that this can be run again and
    /// beside others. After an error the endpoint serves what it served before, or is gone.
    pub(crate) async fn run(&self, reporter: &mut Reporter<'_>) -> Result<Change, Error> {
        let started = Instant::now();
        while started.elapsed() < self.pace.limit {
            let Some(found) = self.describe().await? else {
                match self.sagemaker.create_endpoint(self.endpoint, self.config, self.tags).await? {
                    Order::Taken => return self.created(reporter).await,
                    Order::Late => continue,
                }
            };
            match found.status {
                EndpointStatus::InService if found.config == self.config => {
                    return Ok(Change::Unchanged);
                }
                EndpointStatus::InService => {
                    match self.sagemaker.update_endpoint(self.endpoint, self.config).await? {
                        Order::Taken => return self.updated(&found, reporter).await,
                        Order::Late => self.wait_for_others(reporter).await?,
                    }
                }
                EndpointStatus::Failed => {
                    reporter.note(format!("removing endpoint `{}`, which failed", self.endpoint));
                    self.remove().await?;
                }
                _ if is_settled(&found) => {
                    let reason = format!("it is {}; delete it or wait", found.status);
                    return Err(Error::endpoint(self.endpoint, reason));
                }
                _ => self.wait_for_others(reporter).await?,
            }
        }
        Err(self.too_slow())
    }

    async fn created(&self, reporter: &mut Reporter<'_>) -> Result<Change, Error> {
        reporter.done("endpoint created");
        let found = self.settled(|_| true).await?.ok_or_else(|| self.deleted())?;
        match found.status {
            EndpointStatus::InService => Ok(Change::Created),
            status => {
                self.remove().await?;
                let why = found.failure.unwrap_or_else(|| format!("it is {status}"));
                Err(Error::unserved(self.endpoint, format!("it did not come up: {why}")))
            }
        }
    }

    async fn updated(
        &self,
        before: &Endpoint,
        reporter: &mut Reporter<'_>,
    ) -> Result<Change, Error> {
        reporter.done("endpoint updated");
        // Right after the order, an old description may still be told.
        let is_news =
            |now: &Endpoint| now.config != before.config || now.modified != before.modified;
        let found = self.settled(is_news).await?.ok_or_else(|| self.deleted())?;
        if found.status == EndpointStatus::InService && found.config == self.config {
            return Ok(Change::Updated);
        }
        let why = found.failure.unwrap_or_else(|| "no reason was given".to_owned());
        let reason = format!("the update failed, `{}` goes on serving: {why}", found.config);
        Err(Error::unserved(self.endpoint, reason))
    }

    /// Waits for what another deployment has begun.
    async fn wait_for_others(&self, reporter: &mut Reporter<'_>) -> Result<(), Error> {
        if let Some(found) = self.describe().await?.filter(|found| !is_settled(found)) {
            let Endpoint { name, status, pending, .. } = found;
            let to = pending.map(|config| format!(" to `{config}`")).unwrap_or_default();
            reporter.note(format!("waiting for endpoint `{name}`, which is {status}{to}"));
        }
        self.settled(|_| true).await.map(|_| ())
    }

    /// Deletes the endpoint, and waits until it is gone.
    pub(crate) async fn remove(&self) -> Result<(), Error> {
        let (started, mut pause) = (Instant::now(), self.pace.first);
        while started.elapsed() < self.pace.limit {
            match self.describe().await? {
                None => return Ok(()),
                Some(found) if found.status == EndpointStatus::Deleting => {}
                Some(_) => drop(self.sagemaker.delete_endpoint(self.endpoint).await?),
            }
            self.sleep(&mut pause).await;
        }
        Err(self.too_slow())
    }

    /// The endpoint once nothing is being done to it and `is_news` holds, or none if it is gone.
    async fn settled(
        &self,
        is_news: impl Fn(&Endpoint) -> bool,
    ) -> Result<Option<Endpoint>, Error> {
        let (started, mut pause) = (Instant::now(), self.pace.first);
        while started.elapsed() < self.pace.limit {
            let Some(found) = self.describe().await? else { return Ok(None) };
            if is_settled(&found) && is_news(&found) {
                return Ok(Some(found));
            }
            self.sleep(&mut pause).await;
        }
        Err(self.too_slow())
    }

    async fn sleep(&self, pause: &mut Duration) {
        tokio::time::sleep(*pause).await;
        *pause = (*pause * 5 / 4).min(self.pace.slowest);
    }

    async fn describe(&self) -> Result<Option<Endpoint>, Error> {
        self.sagemaker.endpoint(self.endpoint).await
    }

    fn deleted(&self) -> Error {
        Error::endpoint(self.endpoint, "it was deleted meanwhile; deploy again")
    }

    fn too_slow(&self) -> Error {
        let reason = format!("it did not settle within {:?}; deploy again", self.pace.limit);
        Error::endpoint(self.endpoint, reason)
    }
}

/// Whether nothing is being done to an endpoint.
fn is_settled(endpoint: &Endpoint) -> bool {
    !matches!(
        endpoint.status,
        EndpointStatus::Creating
            | EndpointStatus::Updating
            | EndpointStatus::SystemUpdating
            | EndpointStatus::RollingBack
            | EndpointStatus::Deleting
    )
}
