//! Scripted engines and the jobs that run them.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use harness::{Caps, Command, Job, Outcome, Pace, Registration, Sample, samples};
use model::{
    capability::Capability,
    engine::DeploymentModel,
    id::OrganizationId,
    manifest::{ClusterSize, EngineMode, Manifest},
    network::NetworkPolicy,
    run::{EngineRun, Exit, Limits},
};
use sandbox::{Rootfs, Sandbox, fake::Fake};

/// Everything of a job that a test may want to change.
pub struct Setup {
    pub command: Command,
    pub manifest: Manifest,
    pub samples: Vec<Sample>,
    pub limits: Limits,
    pub pace: Pace,
    pub caps: Caps,
    pub payload: serde_json::Value,
}

impl Setup {
    /// A keyword engine for text; retries come at once, and nothing waits long.
    pub fn new(mode: EngineMode) -> Self {
        let manifest = Manifest {
            preferred_input_format: Some("text/plain".into()),
            supported_input_formats: vec!["text/plain".into()],
            output_formats: vec!["application/json".into()],
            engine_mode: mode,
            ..Manifest::default()
        };
        let mut limits = Limits::certification(ClusterSize::Small, None);
        limits.wall_ms = 30_000;
        let pace = Pace {
            ready_limit: Duration::from_secs(20),
            ready_poll_first: Duration::from_millis(1),
            ready_poll_max: Duration::from_millis(5),
            retries: vec![Duration::ZERO, Duration::ZERO],
            silence: Duration::from_secs(20),
            last_words: Duration::from_millis(200),
            repeats: 0,
            ..Pace::default()
        };
        Self {
            command: Command { entrypoint: vec!["/engine".into()], ..Command::default() },
            samples: samples::for_capability(Some(Capability::Keyword), &samples::formats_of(&manifest)),
            manifest,
            limits,
            pace,
            caps: Caps::default(),
            payload: serde_json::json!({}),
        }
    }

    /// A webhook engine that listens on this port.
    pub fn webhook(address: SocketAddr) -> Self {
        let mut setup = Self::new(EngineMode::Chunk);
        setup.env("VERITONE_WEBHOOK_READY", &format!("http://0.0.0.0:{}/ready", address.port()));
        setup.env("VERITONE_WEBHOOK_PROCESS", &format!("http://0.0.0.0:{}/process", address.port()));
        setup
    }

    pub fn env(&mut self, name: &str, value: &str) {
        self.command.env.push((name.into(), value.into()));
    }

    pub async fn outcome(&self, sandbox: Arc<dyn Sandbox>) -> Result<Outcome, harness::Error> {
        harness::certify(Job {
            sandbox,
            run_id: "test-run".into(),
            rootfs: Rootfs { lower: Vec::new() },
            command: self.command.clone(),
            manifest: &self.manifest,
            registration: Registration {
                organization: OrganizationId(7),
                engine: "6a2f4f0e-6d0e-4a57-9c11-2f6c0b0f8f10".parse().unwrap(),
                engine_name: "word list".into(),
                capability: Some(Capability::Keyword),
                deployment_model: DeploymentModel::FullyNetworkIsolated,
                payload: self.payload.as_object().unwrap().clone(),
            },
            network: NetworkPolicy::Isolated,
            read_only_root: false,
            limits: self.limits,
            samples: self.samples.clone(),
            log: Arc::new(|_| ()),
            seed: [42; 32],
            started_at: "2026-01-02T03:04:05Z".parse().unwrap(),
            pace: self.pace.clone(),
            caps: self.caps.clone(),
        })
        .await
    }

    /// Runs an engine that is started.
    pub async fn run(&self, sandbox: Fake) -> EngineRun {
        match self.outcome(Arc::new(sandbox)).await.unwrap() {
            Outcome::Ran(run) => run,
            other => panic!("it was not run: {other:?}"),
        }
    }
}

/// One request an engine got.
pub struct Call {
    pub path: String,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
    /// How many requests for this path came before.
    pub before: usize,
}

/// A part of a form.
pub struct Part {
    pub head: String,
    pub bytes: Vec<u8>,
}

impl Part {
    pub fn text(&self) -> String {
        String::from_utf8(self.bytes.clone()).unwrap()
    }
}

impl Call {
    /// The fields of a form body.
    pub fn form(&self) -> BTreeMap<String, Part> {
        let boundary = self.headers["content-type"].split_once("boundary=").unwrap().1.to_owned();
        let mark = format!("--{boundary}\r\n").into_bytes();
        let end = format!("\r\n--{boundary}").into_bytes();
        let find = |haystack: &[u8], needle: &[u8]| haystack.windows(needle.len()).position(|window| window == needle);
        let mut parts = BTreeMap::new();
        let mut rest = &self.body[..];
        while let Some(at) = find(rest, &mark) {
            rest = &rest[at + mark.len()..];
            let head_end = find(rest, b"\r\n\r\n").unwrap();
            let head = String::from_utf8(rest[..head_end].to_vec()).unwrap();
            rest = &rest[head_end + 4..];
            let bytes = rest[..find(rest, &end).unwrap()].to_vec();
            let name = head.split_once("name=\"").unwrap().1.split('"').next().unwrap().to_owned();
            parts.insert(name, Part { head, bytes });
        }
        parts
    }

    pub fn text(&self, field: &str) -> String {
        self.form()[field].text()
    }
}

/// Ends the process of a scripted engine.
#[derive(Clone)]
pub struct Switch(mpsc::Sender<Exit>);

impl Switch {
    pub fn exit(&self, code: i32) {
        let _ = self.0.send(Exit::Exited { code });
    }
}

type Handler = dyn Fn(&Call, &mut TcpStream, &Switch) + Send + Sync;

/// An engine that answers `/ready` with 200 and gives every other request to `process`.
pub fn ready_engine(process: impl Fn(&Call, &mut TcpStream, &Switch) + Send + Sync + 'static) -> (Fake, SocketAddr) {
    engine(move |call, stream, switch| match call.path.as_str() {
        "/ready" => answer(stream, "200 OK", "text/plain", b"ok"),
        _ => process(call, stream, switch),
    })
}

/// An engine on a free port of this machine; it runs until it is stopped or switches itself off.
pub fn engine(handler: impl Fn(&Call, &mut TcpStream, &Switch) + Send + Sync + 'static) -> (Fake, SocketAddr) {
    engine_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap(), handler)
}

pub fn engine_on(listener: TcpListener, handler: impl Fn(&Call, &mut TcpStream, &Switch) + Send + Sync + 'static) -> (Fake, SocketAddr) {
    let address = listener.local_addr().unwrap();
    let listener = Mutex::new(Some(listener));
    let handler: Arc<Handler> = Arc::new(handler);
    let fake = Fake::new(move |_stage| {
        let listener = listener.lock().unwrap().take().unwrap();
        let (exit, exits) = mpsc::channel();
        let switch = Switch(exit);
        let handler = Arc::clone(&handler);
        let accepting = switch.clone();
        std::thread::spawn(move || serve(&listener, &handler, &accepting));
        exits.recv().unwrap()
    });
    (fake, address)
}

fn serve(listener: &TcpListener, handler: &Arc<Handler>, switch: &Switch) {
    let counts: Arc<Mutex<BTreeMap<String, usize>>> = Arc::default();
    for stream in listener.incoming() {
        let (mut stream, handler, switch, counts) = (stream.unwrap(), Arc::clone(handler), switch.clone(), Arc::clone(&counts));
        std::thread::spawn(move || {
            let Some(mut call) = read_call(&stream) else { return };
            {
                let mut counts = counts.lock().unwrap();
                let count = counts.entry(call.path.clone()).or_insert(0);
                call.before = *count;
                *count += 1;
            }
            handler(&call, &mut stream, &switch);
        });
    }
}

fn read_call(stream: &TcpStream) -> Option<Call> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|&n| n > 0)?;
    let path = line.split(' ').nth(1).unwrap().to_owned();
    let headers = read_headers(&mut reader);
    let length: usize = headers.get("content-length").map_or(0, |text| text.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Call { path, headers, body, before: 0 })
}

fn read_headers(reader: &mut impl BufRead) -> BTreeMap<String, String> {
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        match line.trim_end().split_once(':') {
            Some((name, value)) => headers.insert(name.to_ascii_lowercase(), value.trim().to_owned()),
            None => return headers,
        };
    }
}

/// Answers with a whole body.
pub fn answer(stream: &mut TcpStream, status: &str, kind: &str, body: &[u8]) {
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    // The other side may be gone already; then nobody reads this.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
}

/// What a client got.
pub struct Reply {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// Sends a request to a URL as an engine would.
pub fn request(method: &str, url: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
    let rest = url.strip_prefix("http://").unwrap();
    let (authority, path) = rest.split_once('/').unwrap();
    let mut stream = TcpStream::connect(authority).unwrap();
    let extra: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head =
        format!("{method} /{path} HTTP/1.1\r\nHost: {authority}\r\nContent-Length: {}\r\n{extra}Connection: close\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).unwrap();
    // A server that refuses a large body does not read it to its end.
    let _ = stream.write_all(body);
    let mut reader = BufReader::new(&stream);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let status = line.split(' ').nth(1).unwrap().parse().unwrap();
    let headers = read_headers(&mut reader);
    let mut body = Vec::new();
    if method != "HEAD" {
        let _ = reader.read_to_end(&mut body);
    }
    Reply { status, headers, body }
}

pub fn post_json(url: &str, headers: &[(&str, &str)], body: &serde_json::Value) -> Reply {
    let mut all = vec![("Content-Type", "application/json")];
    all.extend_from_slice(headers);
    request("POST", url, &all, body.to_string().as_bytes())
}
