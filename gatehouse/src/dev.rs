//! `gatehouse dev`: the whole platform in one process, with examples, serving until Ctrl-C.

mod clients;
mod showcase;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Args;
use deployer::{Deployment, Limits};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::servers;

/// Where to listen and what to show.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The router's address
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// The endpoint host's address
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8090")]
    host_listen: SocketAddr,
    /// Folder of the database and of what the endpoints need
    #[arg(long, value_name = "DIR", default_value = "./data")]
    data: PathBuf,
    /// Folder of the example models, clients and contents
    #[arg(long, value_name = "DIR", default_value = "./examples")]
    examples: PathBuf,
}

/// Starts both servers, deploys the examples, shows their verdicts, and serves on.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let stop = servers::stop_signal()?;
    arguments.check()?;
    let mut platform = Platform::start(&arguments).await?;
    tokio::select! {
        shown = platform.shown.show(&arguments.examples) => shown?,
        ended = first_end(&mut platform.servers) => return ended,
        () = stop => return platform.stop().await,
    }
    let stop = servers::stop_signal()?;
    tokio::select! {
        ended = first_end(&mut platform.servers) => ended,
        () = stop => platform.stop().await,
    }
}

impl Arguments {
    fn check(&self) -> anyhow::Result<()> {
        let (examples, data) = (self.examples.display(), self.data.display());
        ensure!(
            self.examples.is_dir(),
            "there is no folder `{examples}`; run this in a checkout of Gatehouse, or name it with --examples"
        );
        std::fs::create_dir_all(&self.data)
            .with_context(|| format!("can't create the folder `{data}`"))
    }
}

/// Both servers, running.
struct Platform {
    servers: JoinSet<anyhow::Result<()>>,
    stopping: watch::Sender<bool>,
    shown: Shown,
}

impl Platform {
    async fn start(arguments: &Arguments) -> anyhow::Result<Self> {
        let host = bind_host(arguments).await?;
        let host_url = format!("http://{}", host.address());
        let router = bind_router(arguments, &host_url).await?;
        let router_url = format!("http://{}", router.address());
        servers::announce("router", router.address())?;
        servers::announce("endpoint host", host.address())?;

        let (stopping, _) = watch::channel(false);
        let mut servers = JoinSet::new();
        let stopped = until_true(stopping.subscribe());
        servers.spawn(async move { Ok(host.serve(stopped).await?) });
        let stopped = until_true(stopping.subscribe());
        servers.spawn(async move { Ok(router.serve(stopped).await?) });
        let models = arguments.data.join("models");
        let shown = Shown { host: host_url, router: router_url, models };
        Ok(Self { servers, stopping, shown })
    }

    /// Lets both servers finish what they are doing.
    async fn stop(mut self) -> anyhow::Result<()> {
        self.stopping.send_replace(true);
        while let Some(ended) = self.servers.join_next().await {
            ended??;
        }
        Ok(())
    }
}

async fn bind_host(arguments: &Arguments) -> anyhow::Result<endpoint_host::Server> {
    let config = endpoint_host::Config {
        listen: arguments.host_listen,
        data: arguments.data.clone(),
        idle_timeout: Duration::from_secs(300),
        model_roots: Vec::new(),
    };
    let server = endpoint_host::Server::bind(config, servers::container_command()?).await;
    server.context("can't start the endpoint host; --host-listen chooses its address")
}

async fn bind_router(arguments: &Arguments, host_url: &str) -> anyhow::Result<router::Server> {
    let config = router::Config {
        listen: arguments.listen,
        database: format!("sqlite://{}", arguments.data.join("gatehouse.db").display()),
        sagemaker_endpoint_url: Some(host_url.parse()?),
    };
    Ok(router::Server::bind(config).await?)
}

async fn until_true(mut stopped: watch::Receiver<bool>) {
    // An error means that the sender is gone, which is an end too.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// A server that ends before it is told to has failed.
async fn first_end(servers: &mut JoinSet<anyhow::Result<()>>) -> anyhow::Result<()> {
    servers.join_next().await.context("no server is running")??
}

/// The platform as its users see it, by its URLs.
struct Shown {
    host: String,
    router: String,
    /// Where the endpoint host reads packages from.
    models: PathBuf,
}

impl Shown {
    async fn show(&self, examples: &Path) -> anyhow::Result<()> {
        let started = Instant::now();
        self.deploy_models(&examples.join("models")).await?;
        clients::put(&self.router, &examples.join("clients")).await?;
        let took = started.elapsed();
        writeln!(io::stdout(), "example models and clients in place after {took:.1?}\n")?;
        showcase::show(&self.router, &examples.join("content/reviews.jsonl")).await
    }

    async fn deploy_models(&self, folder: &Path) -> anyhow::Result<()> {
        for package in packages(folder)? {
            let name = package.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let deployment = Deployment {
                package,
                name,
                host: self.host.clone(),
                router: Some(self.router.clone()),
                upload: self.models.clone(),
                limits: Limits { memory_mb: 1024, max_concurrency: 200 },
            };
            let deployed = deployment.run(|_, _| ()).await;
            deployed.with_context(|| format!("can't deploy `{}`", deployment.package.display()))?;
        }
        Ok(())
    }
}

/// The folders of `folder` that hold a `model.toml`, by name.
fn packages(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("can't read `{}`", folder.display()))?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    let mut packages = paths.collect::<io::Result<Vec<_>>>()?;
    packages.retain(|path| path.join("model.toml").is_file());
    packages.sort();
    Ok(packages)
}
