//! A host on a free port, spoken to as SageMaker's clients do.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use bytes::Bytes;
use endpoint_host::{Config, ContainerCommand, Error, Server};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::{HeaderMap, Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A running host and a client for it.
pub(crate) struct Host {
    /// The host's data folder, which holds the models too.
    pub(crate) data: TempDir,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Where it tells its metrics, if apart.
    pub(crate) metrics_address: Option<SocketAddr>,
    /// Keeps connections open, as SDKs do.
    client: Client<HttpConnector, Full<Bytes>>,
    /// Tells the host to stop.
    stop: oneshot::Sender<()>,
    /// Ends with the host.
    serving: JoinHandle<Result<(), Error>>,
}

/// What came back.
pub(crate) struct Answer {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The body as JSON, or null.
    pub(crate) body: Value,
}

impl Host {
    /// A host that stops containers after a long time.
    pub(crate) async fn start() -> Self {
        Self::start_with_idle(Duration::from_secs(600)).await
    }

    /// A host that stops containers after `idle_timeout`.
    pub(crate) async fn start_with_idle(idle_timeout: Duration) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), idle_timeout).await
    }

    /// A host with this data folder.
    pub(crate) async fn start_in(data: TempDir, idle_timeout: Duration) -> Self {
        Self::start_in_with(data, |config| config.idle_timeout = idle_timeout).await
    }

    /// A host with some other settings.
    pub(crate) async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        Self::start_in_with(tempfile::tempdir().unwrap(), change).await
    }

    /// A host with this data folder and other settings.
    pub(crate) async fn start_in_with(data: TempDir, change: impl FnOnce(&mut Config)) -> Self {
        fs::create_dir_all(data.path().join("model")).unwrap();
        fs::write(data.path().join("model/model.toml"), "").unwrap();
        let mut config = config(data.path(), Duration::from_secs(600));
        change(&mut config);
        let server = Server::bind(config, python_container()).await.unwrap();
        let (address, metrics_address) = (server.address(), server.metrics_address());
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(server.serve(async move {
            stopped.await.ok();
        }));
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { data, address, metrics_address, client, stop, serving }
    }

    /// Stops the host, waits for its end, and gives back its data folder.
    pub(crate) async fn stop(self) -> TempDir {
        self.stop.send(()).unwrap();
        self.serving.await.unwrap().unwrap();
        self.data
    }

    /// The URL of the model that every host has.
    pub(crate) fn model_url(&self) -> String {
        format!("file://{}/model", self.data.path().display())
    }

    /// Calls an operation of the control plane.
    pub(crate) async fn control(&self, operation: &str, body: Value) -> Answer {
        let target = [("x-amz-target", format!("SageMaker.{operation}"))];
        self.post("/", &target, body.to_string()).await
    }

    /// Creates a model, a configuration and an endpoint of that name, and does not wait.
    pub(crate) async fn create(&self, name: &str, environment: Value, max_concurrency: u8) {
        self.prepare(name, environment, max_concurrency).await;
        self.begin(name).await;
    }

    /// The same with provisioned containers.
    pub(crate) async fn create_provisioned(&self, name: &str, max: u8, provisioned: u8) {
        let size = json!({
            "MemorySizeInMB": 1024,
            "MaxConcurrency": max,
            "ProvisionedConcurrency": provisioned,
        });
        self.create_sized(name, json!({}), size).await;
    }

    /// The same with any size.
    pub(crate) async fn create_sized(&self, name: &str, environment: Value, size: Value) {
        self.prepare_sized(name, environment, size).await;
        self.begin(name).await;
    }

    /// Creates a configuration and an endpoint for the model of that name, and does not wait.
    pub(crate) async fn create_endpoint(&self, name: &str, size: Value) {
        self.prepare_config(name, size).await;
        self.begin(name).await;
    }

    async fn begin(&self, name: &str) {
        let endpoint = json!({"EndpointName": name, "EndpointConfigName": name});
        self.control("CreateEndpoint", endpoint).await.expect_status(200);
    }

    /// Creates an endpoint and waits until it is in service.
    pub(crate) async fn deploy(&self, name: &str, max_concurrency: u8) {
        self.create(name, json!({}), max_concurrency).await;
        let settled = self.settled(name).await;
        assert_eq!(settled["EndpointStatus"], "InService", "{settled}");
    }

    /// Creates a model and a configuration of that name.
    pub(crate) async fn prepare(&self, name: &str, environment: Value, max_concurrency: u8) {
        let size = json!({"MemorySizeInMB": 1024, "MaxConcurrency": max_concurrency});
        self.prepare_sized(name, environment, size).await;
    }

    async fn prepare_sized(&self, name: &str, environment: Value, size: Value) {
        let container = json!({
            "Image": "gatehouse/model-container",
            "ModelDataUrl": self.model_url(),
            "Environment": environment,
        });
        let model = json!({"ModelName": name, "PrimaryContainer": container});
        self.control("CreateModel", model).await.expect_status(200);
        self.prepare_config(name, size).await;
    }

    async fn prepare_config(&self, name: &str, size: Value) {
        let variant = json!({"VariantName": "all", "ModelName": name, "ServerlessConfig": size});
        let config = json!({"EndpointConfigName": name, "ProductionVariants": [variant]});
        self.control("CreateEndpointConfig", config).await.expect_status(200);
    }

    /// The endpoint's description once no step of it is under way.
    pub(crate) async fn settled(&self, name: &str) -> Value {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let endpoint = self.describe(name).await;
            let status = endpoint["EndpointStatus"].as_str().unwrap_or_default();
            let moves = ["Creating", "Updating", "RollingBack"].contains(&status);
            if !moves || Instant::now() > deadline {
                return endpoint;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// All about an endpoint, or the error that says that there is none.
    pub(crate) async fn describe(&self, name: &str) -> Value {
        self.control("DescribeEndpoint", json!({"EndpointName": name})).await.body
    }

    /// Waits until an endpoint is gone.
    pub(crate) async fn wait_until_gone(&self, name: &str) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !self.describe(name).await["EndpointArn"].is_null() {
            assert!(Instant::now() < deadline, "endpoint {name} is still there");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Puts a file into the model that containers stumble over when they start.
    pub(crate) fn obstruct(&self, obstacle: &str) {
        fs::write(self.data.path().join("model").join(obstacle), "").unwrap();
    }

    /// Takes it away.
    pub(crate) fn clear(&self, obstacle: &str) {
        fs::remove_file(self.data.path().join("model").join(obstacle)).unwrap();
    }

    /// Has containers count their starts from now on.
    pub(crate) fn count_starts(&self) {
        self.obstruct("starts");
    }

    /// How many there were.
    pub(crate) fn starts(&self) -> usize {
        fs::read_to_string(self.data.path().join("model/starts")).unwrap().len()
    }

    /// Waits until an endpoint answers again.
    pub(crate) async fn answers_again(&self, name: &str) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.invoke(name, "hello").await.status != 200 {
            assert!(Instant::now() < deadline, "the endpoint never recovers");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Calls an endpoint.
    pub(crate) async fn invoke(&self, name: &str, body: impl Into<Bytes>) -> Answer {
        self.post(&format!("/endpoints/{name}/invocations"), &[], body).await
    }

    /// The process that answers for an endpoint.
    pub(crate) async fn pid(&self, name: &str) -> u64 {
        let answer = self.invoke(name, "hello").await.expect_status(200);
        answer.body["pid"].as_u64().unwrap()
    }

    /// Calls an endpoint in a task of its own.
    pub(crate) fn begin_invoke(&self, name: &str, body: &'static str) -> JoinHandle<Answer> {
        let url = format!("http://{}/endpoints/{name}/invocations", self.address);
        let request = Request::post(url).body(Full::from(body)).unwrap();
        let client = self.client.clone();
        tokio::spawn(async move { send(&client, request).await })
    }

    /// Sends the head of a call with a body of this length, and the part of it that is given; the
    /// caller leaves when the connection is dropped.
    pub(crate) async fn send_call(&self, name: &str, length: usize, part: &str) -> TcpStream {
        self.send(&format!("/endpoints/{name}/invocations"), "", length, part).await
    }

    /// Sends an operation of the control plane; the caller leaves when the connection is dropped.
    pub(crate) async fn send_operation(&self, operation: &str, body: &str) -> TcpStream {
        let target = format!("x-amz-target: SageMaker.{operation}\r\n");
        self.send("/", &target, body.len(), body).await
    }

    /// Sends the head of a request with a body of this length, and the part of it that is given.
    pub(crate) async fn send(
        &self,
        path: &str,
        headers: &str,
        length: usize,
        part: &str,
    ) -> TcpStream {
        let mut caller = TcpStream::connect(self.address).await.unwrap();
        let head = format!("POST {path} HTTP/1.1\r\nhost: localhost\r\n{headers}");
        let call = format!("{head}content-length: {length}\r\n\r\n{part}");
        caller.write_all(call.as_bytes()).await.unwrap();
        // Lets the host read it.
        tokio::time::sleep(Duration::from_millis(200)).await;
        caller
    }

    /// Calls an endpoint for an answer in parts.
    pub(crate) async fn stream(
        &self,
        name: &str,
        headers: &[(&str, &str)],
        body: &'static str,
    ) -> Response<Incoming> {
        let path = format!("/endpoints/{name}/invocations-response-stream");
        let mut request = Request::post(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.client.request(request.body(Full::from(body)).unwrap()).await.unwrap()
    }

    /// What a path tells as text.
    pub(crate) async fn get(&self, path: &str) -> String {
        let request = Request::get(format!("http://{}{path}", self.address));
        let answer = self.client.request(request.body(Full::default()).unwrap()).await.unwrap();
        assert_eq!(answer.status(), 200);
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(body.to_vec()).unwrap()
    }

    /// Sends any POST.
    pub(crate) async fn post(
        &self,
        path: &str,
        headers: &[(&str, String)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let mut request = Request::post(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        send(&self.client, request.body(Full::new(body.into())).unwrap()).await
    }
}

async fn send(
    client: &Client<HttpConnector, Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> Answer {
    let (parts, body) = client.request(request).await.unwrap().into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    Answer { status: parts.status.as_u16(), headers: parts.headers, body }
}

impl Answer {
    /// Fails with the body if the status is another one.
    pub(crate) fn expect_status(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.body);
        self
    }

    /// Fails unless this is that error of the control plane or the runtime, with these words.
    pub(crate) fn expect_error(self, code: &str, words: &str) -> Self {
        assert_eq!(self.headers["x-amzn-errortype"], code, "{}", self.body);
        assert!(self.body.to_string().contains(words), "{}", self.body);
        assert!(self.headers.contains_key("x-amzn-requestid"));
        self
    }
}

/// Settings for a host on a free port.
pub(crate) fn config(data: &Path, idle_timeout: Duration) -> Config {
    let listen = ([127, 0, 0, 1], 0).into();
    Config { listen, data: data.to_owned(), idle_timeout, ..Config::default() }
}

/// A container written in Python, run by the interpreter itself and not by a launcher script,
/// which would need an environment.
pub(crate) fn python_container() -> ContainerCommand {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    let program = PYTHON.get_or_init(|| {
        let ask = ["-c", "import sys; print(sys.executable)"];
        let output = Command::new("python3").args(ask).output().unwrap();
        PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
    });
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/container.py");
    ContainerCommand {
        program: program.clone(),
        arguments: vec![script.to_owned()],
        environment: Vec::new(),
    }
}

/// Whether a process still runs.
pub(crate) fn is_alive(pid: u64) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

/// Waits until a process is gone.
pub(crate) async fn wait_for_end(pid: u64) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while is_alive(pid) {
        assert!(Instant::now() < deadline, "process {pid} is still there");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
