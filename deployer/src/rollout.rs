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
    /// The only config that it may be taken from, if not any.
    pub(crate) from: Option<&'a str>,
}

/// For how long something is waited for already.
pub(crate) struct Wait {
    started: Instant,
    pause: Duration,
}

impl Rollout<'_> {
    /// Creates or updates the endpoint, and waits until it serves the config.
    ///
    /// What others are doing to the endpoint is waited for, so that this can be run again and
    /// beside others. After an error the endpoint may be on its way to the config, or serve it.
    pub(crate) async fn run(&self, reporter: &mut Reporter<'_>) -> Result<Endpoint, Error> {
        let mut wait = self.begin_wait();
        loop {
            let found = self.ready(reporter).await?;
            if found.is_none() && self.from.is_some() {
                return Err(self.deleted());
            }
            if self.order(found.as_ref()).await? == Order::Taken {
                return self.arrival(found.as_ref(), reporter).await;
            }
            self.wait(&mut wait).await?;
        }
    }

    /// The endpoint once it can be given an order; none if there is none, or one that had failed.
    pub(crate) async fn ready(
        &self,
        reporter: &mut Reporter<'_>,
    ) -> Result<Option<Endpoint>, Error> {
        loop {
            let Some(found) = self.describe().await? else { return Ok(None) };
            if !is_settled(&found) {
                self.wait_for_others(&found, reporter).await?;
                continue;
            }
            self.check_origin(&found)?;
            match found.status {
                EndpointStatus::InService => return Ok(Some(found)),
                EndpointStatus::Failed => {
                    reporter.note(format!("removing endpoint `{}`, which failed", self.endpoint));
                    self.remove(&found).await?;
                }
                status => {
                    let reason = format!("it is {status}; delete it or wait");
                    return Err(Error::endpoint(self.endpoint, reason));
                }
            }
        }
    }

    /// Orders the config for the endpoint as it was found, unless it serves it.
    pub(crate) async fn order(&self, found: Option<&Endpoint>) -> Result<Order, Error> {
        match found {
            None => self.sagemaker.create_endpoint(self.endpoint, self.config, self.tags).await,
            Some(found) if found.config == self.config => Ok(Order::Taken),
            Some(_) => self.sagemaker.update_endpoint(self.endpoint, self.config).await,
        }
    }

    /// The endpoint once it serves the config that was ordered.
    pub(crate) async fn arrival(
        &self,
        before: Option<&Endpoint>,
        reporter: &mut Reporter<'_>,
    ) -> Result<Endpoint, Error> {
        match before {
            None => self.created(reporter).await,
            Some(before) if before.config == self.config => Ok(before.clone()),
            Some(before) => self.updated(before, reporter).await,
        }
    }

    /// What another deployment has made of the endpoint is not to be taken from it.
    fn check_origin(&self, found: &Endpoint) -> Result<(), Error> {
        match self.from {
            Some(from) if found.config != from && found.config != self.config => {
                Err(Error::overtaken(self.endpoint, &found.config))
            }
            _ => Ok(()),
        }
    }

    async fn created(&self, reporter: &mut Reporter<'_>) -> Result<Endpoint, Error> {
        reporter.done("endpoint created");
        let found = self.settled(|_| true).await?.ok_or_else(|| self.deleted())?;
        match found.status {
            EndpointStatus::InService => Ok(found),
            ref status => {
                let why = found.failure.clone().unwrap_or_else(|| format!("it is {status}"));
                self.remove(&found).await?;
                Err(Error::endpoint(self.endpoint, format!("it did not come up: {why}")))
            }
        }
    }

    async fn updated(
        &self,
        before: &Endpoint,
        reporter: &mut Reporter<'_>,
    ) -> Result<Endpoint, Error> {
        reporter.done("endpoint updated");
        // Right after the order, an old description may still be told.
        let is_news =
            |now: &Endpoint| now.config != before.config || now.modified != before.modified;
        let found = self.settled(is_news).await?.ok_or_else(|| self.deleted())?;
        if found.status == EndpointStatus::InService && found.config == self.config {
            return Ok(found);
        }
        if found.config != before.config {
            return Err(Error::overtaken(self.endpoint, &found.config));
        }
        let now = match found.status {
            EndpointStatus::InService => format!("`{}` goes on serving", found.config),
            status => format!("it is {status}, with `{}`", found.config),
        };
        let why = found.failure.unwrap_or_else(|| "no reason was given".to_owned());
        Err(Error::endpoint(self.endpoint, format!("the update failed, {now}: {why}")))
    }

    /// Waits for what another deployment has begun.
    async fn wait_for_others(
        &self,
        found: &Endpoint,
        reporter: &mut Reporter<'_>,
    ) -> Result<(), Error> {
        let Endpoint { name, status, pending, .. } = found;
        let to = pending.as_ref().map(|config| format!(" to `{config}`")).unwrap_or_default();
        reporter.note(format!("waiting for endpoint `{name}`, which is {status}{to}"));
        self.settled(|_| true).await.map(|_| ())
    }

    /// Deletes the endpoint as it was found, and waits until it is gone.
    ///
    /// What others are doing to it is waited for; what they made of it stays, and is told.
    pub(crate) async fn remove(&self, seen: &Endpoint) -> Result<Option<Endpoint>, Error> {
        let mut wait = self.begin_wait();
        loop {
            match self.described(&mut wait).await? {
                None => return Ok(None),
                Some(found) if !found.is_same(seen) => return Ok(Some(found)),
                Some(found) if !is_settled(&found) => {}
                Some(found) if found.config != seen.config => return Ok(Some(found)),
                Some(_) => drop(self.sagemaker.delete_endpoint(self.endpoint).await?),
            }
            self.wait(&mut wait).await?;
        }
    }

    /// The endpoint once nothing is being done to it, or none if it is gone.
    pub(crate) async fn found(&self) -> Result<Option<Endpoint>, Error> {
        self.settled(|_| true).await
    }

    /// The same, once `is_news` holds as well.
    async fn settled(
        &self,
        is_news: impl Fn(&Endpoint) -> bool,
    ) -> Result<Option<Endpoint>, Error> {
        let mut wait = self.begin_wait();
        loop {
            match self.described(&mut wait).await? {
                Some(found) if !is_settled(&found) || !is_news(&found) => {}
                found => return Ok(found),
            }
            self.wait(&mut wait).await?;
        }
    }

    /// A wait that begins now.
    pub(crate) fn begin_wait(&self) -> Wait {
        Wait { started: Instant::now(), pause: self.pace.first }
    }

    /// Waits a little, each time longer, until the limit is reached.
    pub(crate) async fn wait(&self, Wait { started, pause }: &mut Wait) -> Result<(), Error> {
        if started.elapsed() >= self.pace.limit {
            return Err(self.too_slow());
        }
        tokio::time::sleep(*pause).await;
        *pause = (*pause * 5 / 4).min(self.pace.slowest);
        Ok(())
    }

    /// Its description, as soon as it is told: the host may be restarting.
    async fn described(&self, wait: &mut Wait) -> Result<Option<Endpoint>, Error> {
        loop {
            match self.describe().await {
                Err(error) if error.may_pass() => self.wait(wait).await.map_err(|_| error)?,
                described => return described,
            }
        }
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
