//! `gatehouse dev`: the whole platform in one process, with examples, serving until Ctrl-C.

mod examples;
mod router_client;
mod showcase;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::Instant;

use anyhow::{Context, bail, ensure};
use clap::Args;
use deployer::http::Http;
use deployer::{Deployment, Limits, Target};
use model_container::Package;
use model_container::cli::stop_signal;
use model_container::onnx::library;
use model_container::package::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::servers;
use router_client::RouterClient;

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
    let stop = stop_signal()?;
    tokio::pin!(stop);
    arguments.check()?;
    let mut platform = Platform::start(&arguments).await?;
    let shown = tokio::select! {
        shown = platform.shown.show(&arguments.examples) => shown,
        ended = platform.servers.first_end() => return ended,
        () = &mut stop => return platform.servers.stop().await,
    };
    if let Err(fault) = shown {
        platform.servers.stop().await?;
        return Err(fault);
    }
    tokio::select! {
        ended = platform.servers.first_end() => ended,
        () = stop => platform.servers.stop().await,
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

/// Everything that runs, and how its users see it.
struct Platform {
    servers: Servers,
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
        let servers = Servers {
            router: Running::start(|stop| async { Ok(router.serve(stop).await?) }),
            host: Running::start(|stop| async { Ok(host.serve(stop).await?) }),
        };
        let models = arguments.data.join("models");
        let shown = Shown {
            http: Http::new(),
            host: host_url,
            router: RouterClient::new(router_url)?,
            models,
        };
        Ok(Self { servers, shown })
    }
}

/// Both servers.
struct Servers {
    router: Running,
    host: Running,
}

impl Servers {
    /// A server that ends before it is told to has failed.
    async fn first_end(&mut self) -> anyhow::Result<()> {
        tokio::select! {
            ended = &mut self.router.task => ended?,
            ended = &mut self.host.task => ended?,
        }
    }

    /// Stops the router first, so that reviews in work still find their models.
    async fn stop(self) -> anyhow::Result<()> {
        let again = stop_signal()?;
        tokio::select! {
            stopped = async {
                self.router.stop().await?;
                self.host.stop().await
            } => stopped,
            () = again => bail!("stopped at once, before all reviews in work were answered"),
        }
    }
}

/// A server in a task of its own, which ends when the sender is told or dropped.
struct Running {
    task: JoinHandle<anyhow::Result<()>>,
    stop: oneshot::Sender<()>,
}

impl Running {
    fn start<F>(serve: impl FnOnce(Stopped) -> F) -> Self
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let (stop, stopped) = oneshot::channel();
        let stopped: Stopped = Box::pin(async {
            // An error means that the sender is gone, which is an end too.
            let _ = stopped.await;
        });
        Self { task: tokio::spawn(serve(stopped)), stop }
    }

    async fn stop(self) -> anyhow::Result<()> {
        // A server that has ended by itself is told by its task.
        let _ = self.stop.send(());
        self.task.await?
    }
}

/// Resolves when a server is to stop.
type Stopped = Pin<Box<dyn Future<Output = ()> + Send>>;

async fn bind_host(arguments: &Arguments) -> anyhow::Result<endpoint_host::Server> {
    let config = endpoint_host::Config {
        listen: arguments.host_listen,
        data: arguments.data.clone(),
        ..endpoint_host::Config::default()
    };
    let server = endpoint_host::Server::bind(config, servers::container_command()?).await;
    server.context("can't start the endpoint host; --host-listen chooses its address")
}

async fn bind_router(arguments: &Arguments, host_url: &str) -> anyhow::Result<router::Server> {
    let config = router::Config {
        listen: arguments.listen,
        database: format!("sqlite://{}", arguments.data.join("gatehouse.db").display()),
        spool: arguments.data.join("spool"),
        sagemaker_endpoint_url: Some(host_url.parse()?),
        ..router::Config::default()
    };
    Ok(router::Server::bind(config).await?)
}

/// The platform as its users see it, by its URLs.
struct Shown {
    http: Http,
    host: String,
    router: RouterClient,
    /// Where the endpoint host reads packages from.
    models: PathBuf,
}

impl Shown {
    async fn show(&self, examples: &Path) -> anyhow::Result<()> {
        let started = Instant::now();
        self.deploy_models(&examples.join("models")).await?;
        examples::put_clients(&self.router, &examples.join("clients")).await?;
        let took = started.elapsed();
        writeln!(io::stdout(), "example models and clients in place after {took:.1?}\n")?;
        if library::path().is_ok() {
            showcase::ask_onnx(&self.http, &self.host).await?;
        }
        showcase::show(&self.router, &examples.join("content/reviews.jsonl")).await
    }

    async fn deploy_models(&self, folder: &Path) -> anyhow::Result<()> {
        for package in packages(folder)? {
            if let Some(reason) = missing(&package)? {
                writeln!(io::stdout(), "left out `{}`: {reason}", package.display())?;
                continue;
            }
            let name = package.file_name().unwrap_or_default().to_string_lossy().into_owned();
            // What is there already may be a version of the user's own.
            if examples::exists(&self.router, &format!("/v1/models/{name}")).await? {
                continue;
            }
            let deployment = Deployment {
                package,
                name,
                target: Target::host(&self.host, &self.models.to_string_lossy()),
                router: Some(self.router.url.clone()),
                limits: Limits { memory_mb: 1024, max_concurrency: 200 },
                shadow: false,
                allow_workers: true,
            };
            let deployed = deployment.run(|_| ()).await;
            deployed.with_context(|| format!("can't deploy `{}`", deployment.package.display()))?;
        }
        Ok(())
    }
}

/// What this machine lacks for the package; everything else is shown without it.
fn missing(package: &Path) -> anyhow::Result<Option<String>> {
    let is_onnx = Package::open(package)?.manifest.runtime == Runtime::Onnx;
    Ok(is_onnx.then(|| library::path().err()).flatten())
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
