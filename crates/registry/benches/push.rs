//! How fast blobs and manifests go in and out, and what it costs: `cargo bench -p registry`.
//!
//! The server runs in a process of its own, so that its processor time and memory are its own. Everything it acknowledges is durable.
//! Numbers vary with the machine and from run to run; compare only what was measured in one run.

#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs, reason = "a program for the person who measures")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use axum::{Extension, serve::ListenerExt};
use model::{digest::Digest, id::OrganizationId};
use registry::{Access, Actions, Caller, Grant, Options, Place, Registry};
use sha2::Digest as _;
use store::{Db, blobs::Blobs};

const BLOB: usize = 512 << 20;
const PIECE: usize = 1 << 20;
const CLIENTS: usize = 8;
const MANIFEST: &str = "content-type: application/vnd.oci.image.manifest.v1+json\r\n";

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.iter().position(|argument| argument == "--serve") {
        Some(at) => serve(Path::new(&arguments[at + 1])),
        None => measure(),
    }
}

fn serve(dir: &Path) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let db = Db::open(&dir.join("registry.db")).await.unwrap();
        let (ids, began) = (AtomicU64::new(1), Instant::now());
        let clock = Arc::new(move || i64::try_from(began.elapsed().as_millis()).unwrap());
        let options = Options::new(clock, Arc::new(move || uuid::Uuid::from_u64_pair(0, ids.fetch_add(1, Ordering::Relaxed))));
        let grants = vec![Grant { place: Place::Organization(OrganizationId(1)), actions: Actions::ALL }];
        let caller = Caller::Known(Access { account: "bench".into(), grants, scopes: None });
        let app = Registry::new(db, Blobs::open(dir).unwrap(), options).router().layer(Extension(caller));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("{}", listener.local_addr().unwrap());
        axum::serve(listener.tap_io(|stream| stream.set_nodelay(true).unwrap()), app).await.unwrap();
    });
}

struct Server {
    process: Child,
    address: SocketAddr,
}

impl Server {
    fn start(dir: &Path) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap()).arg("--serve").arg(dir).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { process, address: line.trim().parse().unwrap() }
    }

    /// User and system time so far, seconds.
    fn cpu(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
        let ticks = |at: usize| fields[at].parse::<f64>().unwrap();
        (ticks(11) + ticks(12)) / 100.0
    }

    /// Resident memory now and at its highest, MB.
    fn memory(&self) -> (u64, u64) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1000
        };
        (field("VmRSS:"), field("VmHWM:"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

struct Client {
    stream: BufReader<TcpStream>,
}

struct Answer {
    status: u16,
    location: String,
    body: u64,
}

impl Client {
    fn new(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream: BufReader::with_capacity(256 << 10, stream) }
    }

    fn send(&mut self, method: &str, path: &str, headers: &str, pieces: &[&[u8]]) -> Answer {
        let size: usize = pieces.iter().map(|piece| piece.len()).sum();
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: bench\r\ncontent-length: {size}\r\n{headers}\r\n").into_bytes();
        if size < PIECE {
            head.extend(pieces.concat());
            self.stream.get_mut().write_all(&head).unwrap();
        } else {
            self.stream.get_mut().write_all(&head).unwrap();
            pieces.iter().for_each(|piece| self.stream.get_mut().write_all(piece).unwrap());
        }
        self.answer()
    }

    fn answer(&mut self) -> Answer {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        let mut answer = Answer { status: line.split(' ').nth(1).unwrap().parse().unwrap(), location: String::new(), body: 0 };
        loop {
            line.clear();
            self.stream.read_line(&mut line).unwrap();
            match line.trim_end().split_once(": ") {
                Some(("content-length", value)) => answer.body = value.parse().unwrap(),
                Some(("location", value)) => value.clone_into(&mut answer.location),
                Some(_) => {}
                None => break,
            }
        }
        let mut left = answer.body;
        let mut buffer = vec![0; 256 << 10];
        while left > 0 {
            let want = usize::try_from(left).unwrap().min(buffer.len());
            let read = self.stream.read(&mut buffer[..want]).unwrap();
            assert!(read > 0, "the server closed the connection");
            left -= read as u64;
        }
        answer
    }

    fn expect(&mut self, status: u16, method: &str, path: &str, headers: &str, pieces: &[&[u8]]) -> Answer {
        let answer = self.send(method, path, headers, pieces);
        assert_eq!(answer.status, status, "{method} {path}");
        answer
    }

    fn start(&mut self) -> String {
        self.expect(202, "POST", "/v2/1/bench/blobs/uploads/", "", &[]).location
    }
}

/// Content nobody has sent before.
fn noise(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..size.div_ceil(8)).flat_map(|_| next()).take(size).collect()
}

fn line(what: &str, value: f64, unit: &str, server: &Server, cpu: f64) {
    let (_, peak) = server.memory();
    println!("{what:<44} {value:>8.0} {unit:<5} {:>6.2} CPU s {peak:>6} MB peak", server.cpu() - cpu);
}

fn measure() {
    let dir = tempfile::tempdir_in(std::env::var_os("CARGO_TARGET_TMPDIR").unwrap_or_else(|| std::env::temp_dir().into())).unwrap();
    let server = Server::start(dir.path());
    println!("idle: {} MB resident", server.memory().0);
    let first = big_blobs(&server);
    pulls(&server, &first);
    small_blobs(&server);
    manifests(&server);
    println!("at the end: {} MB resident, {} MB at the highest", server.memory().0, server.memory().1);
}

/// Pushes the same amount streamed and in chunks; returns the digest of the first blob.
fn big_blobs(server: &Server) -> Digest {
    let mut client = Client::new(server.address);
    let mut first = None;
    for (run, (what, chunk)) in
        [("push 512 MiB, one PATCH", BLOB), ("push 512 MiB, 16 MiB chunks", 16 << 20), ("push 512 MiB, one PATCH, again", BLOB)]
            .into_iter()
            .enumerate()
    {
        let piece = noise(run as u64 + 1, PIECE);
        let mut hash = sha2::Sha256::new();
        (0..BLOB / PIECE).for_each(|_| hash.update(&piece));
        let digest = Digest::from_sha256(hash.finalize().into());
        let (began, cpu) = (Instant::now(), server.cpu());
        let location = client.start();
        for at in (0..BLOB).step_by(chunk) {
            let range = format!("content-range: {at}-{}\r\n", at + chunk - 1);
            client.expect(202, "PATCH", &location, &range, &vec![piece.as_slice(); chunk / PIECE]);
        }
        client.expect(201, "PUT", &format!("{location}?digest={digest}"), "", &[]);
        line(what, BLOB as f64 / 1e6 / began.elapsed().as_secs_f64(), "MB/s", server, cpu);
        first.get_or_insert(digest);
    }
    first.unwrap()
}

fn pulls(server: &Server, digest: &Digest) {
    for (what, clients) in [("pull 512 MiB, 1 client", 1), ("pull 512 MiB, 4 clients", 4)] {
        let (began, cpu) = (Instant::now(), server.cpu());
        thread::scope(|scope| {
            for _ in 0..clients {
                scope.spawn(|| {
                    let answer = Client::new(server.address).expect(200, "GET", &format!("/v2/1/bench/blobs/{digest}"), "", &[]);
                    assert_eq!(answer.body, BLOB as u64);
                });
            }
        });
        line(what, (clients * BLOB) as f64 / 1e6 / began.elapsed().as_secs_f64(), "MB/s", server, cpu);
    }
}

/// Lets several clients work for two seconds; returns how often `work` was done per second.
fn rate(server: &Server, work: impl Fn(&mut Client, u64) + Sync) -> f64 {
    let (began, done) = (Instant::now(), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut client = Client::new(server.address);
                while began.elapsed() < Duration::from_secs(2) {
                    work(&mut client, done.fetch_add(1, Ordering::Relaxed));
                }
            });
        }
    });
    done.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64()
}

fn small_blobs(server: &Server) {
    let cpu = server.cpu();
    let both = rate(server, |client, n| {
        let content = noise(n + 1000, 4096);
        let location = client.start();
        client.expect(201, "PUT", &format!("{location}?digest={}", Digest::of(&content)), "", &[&content]);
    });
    line("4 KiB blobs, POST + PUT, 8 clients", both, "/s", server, cpu);
    let cpu = server.cpu();
    let one = rate(server, |client, n| {
        let content = noise(n + 10_000_000, 4096);
        client.expect(201, "POST", &format!("/v2/1/bench/blobs/uploads/?digest={}", Digest::of(&content)), "", &[&content]);
    });
    line("4 KiB blobs, one POST, 8 clients", one, "/s", server, cpu);
}

fn manifests(server: &Server) {
    let mut client = Client::new(server.address);
    let config = Digest::of(b"{}");
    client.expect(201, "POST", &format!("/v2/1/bench/blobs/uploads/?digest={config}"), "", &[b"{}"]);
    let document = |n: u64| {
        let config = format!("{{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":\"{config}\",\"size\":2}}");
        format!("{{\"schemaVersion\":2,\"config\":{config},\"layers\":[],\"annotations\":{{\"n\":\"{n}\"}}}}")
    };
    let cpu = server.cpu();
    let put = rate(server, |client, n| {
        client.expect(201, "PUT", &format!("/v2/1/bench/manifests/t{}", n % 1500), MANIFEST, &[document(n).as_bytes()]);
    });
    line("manifest PUT by tag, 8 clients", put, "/s", server, cpu);
    let cpu = server.cpu();
    let get = rate(server, |client, n| {
        client.expect(200, "GET", &format!("/v2/1/bench/manifests/t{}", n % 1500), "", &[]);
    });
    line("manifest GET by tag, 8 clients", get, "/s", server, cpu);
    let began = Instant::now();
    (0..20).for_each(|_| drop(client.expect(200, "GET", "/v2/1/bench/tags/list", "", &[])));
    println!("{:<44} {:>8.2} ms", "tags list of 1,500", began.elapsed().as_secs_f64() * 1000.0 / 20.0);
}
