//! The figures of the gate as its users feel them: the real binary, its real registry and sandbox.
//!
//! `scripts/bench gate` prints: push finished → static findings readable, push finished → final status, memory at rest and while a
//! layer of 1 GiB is pushed. With the argument `large`: push finished → vulnerabilities readable, of a large image.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

#[path = "../src/engine_image.rs"]
mod engine_image;
#[path = "gate/large.rs"]
mod large;

use std::{
    ffi::OsStr,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use model::digest::{Algorithm, Digest, Hasher};
use serde_json::{Value, json};

const ROUNDS: usize = 15;
const BIG: u64 = 1 << 30;
const EMAIL: &str = "bench@localhost";
const PASSWORD: &str = "benchmark password";

/// A running server.
struct Gate {
    child: Child,
    address: String,
    token: String,
    _data: tempfile::TempDir,
}

impl Drop for Gate {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Gate {
    fn start(settings: &[(&str, &OsStr)]) -> Result<Self> {
        let data = tempfile::tempdir()?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
        // What benchmarks are told is no setting of a server.
        for told in ["PLIMSOLL_ADVISORIES", "PLIMSOLL_BENCH_IMAGE", "PLIMSOLL_BENCH_SYFT"] {
            command.env_remove(told);
        }
        let mut child = command
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(data.path())
            .envs([("PLIMSOLL_ADMIN_EMAIL", EMAIL), ("PLIMSOLL_ADMIN_PASSWORD", PASSWORD), ("PLIMSOLL_LOG", "error")])
            .envs(settings.iter().copied())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut lines = BufReader::new(child.stdout.take().context("no output")?).lines();
        let line = lines.next().context("the server said nothing")??;
        let address = line.rsplit_once("http://").context("no address")?.1.trim().to_owned();
        std::thread::spawn(move || lines.for_each(drop));
        let mut gate = Self { child, address, token: String::new(), _data: data };
        let login = format!("mutation {{ userLogin(input: {{userName: {EMAIL:?}, password: {PASSWORD:?}}}) {{ token }} }}");
        gate.token = gate.graphql(&login)?["userLogin"]["token"].as_str().context("no token")?.to_owned();
        Ok(gate)
    }

    fn graphql(&self, query: &str) -> Result<Value> {
        let body = json!({"query": query}).to_string();
        let (_, _, answer) = self.request("POST", "/v3/graphql", "application/json", &format!("Bearer {}", self.token), body.as_bytes())?;
        let answer: Value = serde_json::from_slice(&answer)?;
        ensure!(answer["errors"].is_null(), "{answer}");
        Ok(answer["data"].clone())
    }

    fn open(&self, method: &str, path: &str, content_type: &str, auth: &str, length: u64) -> Result<TcpStream> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_nodelay(true)?;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nauthorization: {auth}\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n",
            self.address
        )?;
        Ok(stream)
    }

    fn request(&self, method: &str, path: &str, content_type: &str, auth: &str, body: &[u8]) -> Result<(u16, String, Vec<u8>)> {
        let mut stream = self.open(method, path, content_type, auth, body.len() as u64)?;
        stream.write_all(body)?;
        answer(stream)
    }

    /// Resident memory, bytes.
    fn rss(&self) -> Result<u64> {
        rss_of(self.child.id())
    }

    fn registry(&self, method: &str, path: &str, content_type: &str, body: &[u8]) -> Result<String> {
        let (status, location, answer) = self.request(method, path, content_type, &basic(), body)?;
        ensure!((200..300).contains(&status), "{method} {path}: {status} {}", String::from_utf8_lossy(&answer));
        Ok(location)
    }

    fn push(&self, sample: &Sample, number: usize) -> Result<()> {
        for (digest, bytes) in &sample.blobs {
            self.push_blob(digest, bytes)?;
        }
        self.registry("PUT", &format!("/v2/1/bench/manifests/v{number}"), "application/vnd.oci.image.manifest.v1+json", &sample.manifest)?;
        Ok(())
    }

    fn create_engine(&self, name: &str) -> Result<String> {
        let create = format!(
            "mutation {{ createEngine(input: {{name: {name:?}, categoryId: \"keyword\", deploymentModel: FullyNetworkIsolated}}) {{ id }} }}"
        );
        Ok(self.graphql(&create)?["createEngine"]["id"].as_str().context("no engine")?.to_owned())
    }

    fn push_blob(&self, digest: &Digest, bytes: &[u8]) -> Result<()> {
        let (status, ..) = self.request("HEAD", &format!("/v2/1/bench/blobs/{digest}"), "", &basic(), b"")?;
        if status != 200 {
            let location = self.registry("POST", "/v2/1/bench/blobs/uploads/", "", b"")?;
            let joint = if location.contains('?') { '&' } else { '?' };
            self.registry("PUT", &format!("{location}{joint}digest={digest}"), "application/octet-stream", bytes)?;
        }
        Ok(())
    }
}

fn basic() -> String {
    use base64::Engine;
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{EMAIL}:{PASSWORD}")))
}

fn answer(mut stream: TcpStream) -> Result<(u16, String, Vec<u8>)> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").context("no head")?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).context("no status")?;
    let location = head.lines().find_map(|line| line.strip_prefix("location: ")).unwrap_or("").to_owned();
    let location =
        location.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map_or(location.clone(), |(_, path)| format!("/{path}"));
    Ok((status, location, bytes[end + 4..].to_vec()))
}

fn rss_of(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let kib =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")).and_then(|text| text.split_whitespace().next()).context("no VmRSS")?;
    Ok(kib.parse::<u64>()? * 1024)
}

/// An image nobody pushed before: the same engine with another number in a layer of its own.
struct Sample {
    blobs: Vec<(Digest, Vec<u8>)>,
    top: Digest,
    manifest: Vec<u8>,
}

impl Sample {
    fn of(pack: image::pack::Pack, number: usize) -> Result<Self> {
        let packed = pack.layer(vec![image::pack::File::new("var/number", 0o644, number.to_string().into_bytes())]).build()?;
        let top = packed.top().clone();
        let manifest = packed.blob(&top).context("no manifest")?.to_vec();
        let blobs = packed.blobs().filter(|(digest, _)| **digest != top).map(|(digest, bytes)| (digest.clone(), bytes.to_vec())).collect();
        Ok(Self { blobs, top, manifest })
    }
}

/// Milliseconds from the answer to the last request of a push to readable findings, to the final status, and of one call as the harness sees it:
/// the engine's own time is in it.
fn certify(gate: &Gate, engine: &str, number: usize) -> Result<(f64, f64, f64)> {
    let sample = Sample::of(engine_image::pack(engine)?, number)?;
    gate.push(&sample, number)?;
    let pushed = Instant::now();
    let (query, mut findings) =
        (format!("{{ engine(id: {engine:?}) {{ builds(limit: 1) {{ records {{ status report dockerImage }} }} }} }}"), None);
    let tag = format!(":v{number}");
    loop {
        let build = gate.graphql(&query)?["engine"]["builds"]["records"][0].clone();
        let mine = build["dockerImage"].as_str().is_some_and(|image| image.ends_with(&tag));
        if mine && findings.is_none() && build["report"].is_object() {
            findings = Some(pushed.elapsed());
        }
        if mine && build["status"] != "fetching" {
            ensure!(build["status"] == "available", "{} is {}: {}", sample.top, build["status"], build["report"]["errors"]);
            let ms = |time: Duration| time.as_secs_f64() * 1e3;
            let verdict = ms(pushed.elapsed());
            let call = build["report"]["benchmark"]["p50Ms"].as_f64().context("no benchmark in the report")?;
            return Ok((ms(findings.context("no findings")?), verdict, call));
        }
        ensure!(pushed.elapsed() < Duration::from_secs(60), "no verdict");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Streams one big layer and watches the server's memory; returns MB/s and the highest resident memory.
fn push_big(gate: &Gate) -> Result<(f64, u64)> {
    let (stop, peak) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let (watching, seen, pid) = (stop.clone(), peak.clone(), gate.child.id());
    let watcher = std::thread::spawn(move || {
        while !watching.load(Ordering::Relaxed) {
            seen.fetch_max(rss_of(pid).unwrap_or(0), Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let location = gate.registry("POST", "/v2/1/bench/blobs/uploads/", "", b"")?;
    let started = Instant::now();
    let mut stream = gate.open("PATCH", &location, "application/octet-stream", &basic(), BIG)?;
    let (mut hasher, mut state) = (Hasher::new(Algorithm::Sha256), 0x9e37_79b9_7f4a_7c15_u64);
    let mut piece = vec![0; 1 << 20];
    for number in 0..BIG / piece.len() as u64 {
        for word in piece.chunks_exact_mut(8) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            word.copy_from_slice(&state.to_le_bytes());
        }
        if number == 0 {
            piece[..512].copy_from_slice(&header(BIG - 512 - 1024));
        } else if number == BIG / piece.len() as u64 - 1 {
            let end = piece.len() - 1024;
            piece[end..].fill(0);
        }
        hasher.update(&piece);
        stream.write_all(&piece)?;
    }
    let (status, location, _) = answer(stream)?;
    ensure!(status == 202, "PATCH answered {status}");
    let joint = if location.contains('?') { '&' } else { '?' };
    gate.registry("PUT", &format!("{location}{joint}digest={}", hasher.finish()), "application/octet-stream", b"")?;
    let seconds = started.elapsed().as_secs_f64();
    stop.store(true, Ordering::Relaxed);
    watcher.join().map_err(|_| anyhow::anyhow!("the watcher panicked"))?;
    Ok((BIG as f64 / 1e6 / seconds, peak.load(Ordering::Relaxed)))
}

/// A tar header of one regular file.
fn header(size: u64) -> [u8; 512] {
    let mut header = [0; 512];
    header[..8].copy_from_slice(b"big.data");
    header[100..108].copy_from_slice(b"0000644\0");
    header[108..116].copy_from_slice(b"0000000\0");
    header[116..124].copy_from_slice(b"0000000\0");
    header[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
    header[136..148].copy_from_slice(b"00000000000\0");
    header[148..156].fill(b' ');
    header[156] = b'0';
    header[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

fn row(what: &str, mut values: Vec<f64>, goal: f64) {
    values.sort_by(f64::total_cmp);
    let (median, last) = (values[values.len() / 2], values.len() - 1);
    println!("{what:<44} median {median:8.1} ms   min {:8.1}   max {:8.1}   goal <= {goal}", values[0], values[last]);
}

fn main() -> Result<()> {
    if std::env::args().any(|argument| argument == "large") {
        return large::run();
    }
    let gate = Gate::start(&[])?;
    let engine = gate.create_engine("Bench")?;
    std::thread::sleep(Duration::from_secs(2));
    let idle = gate.rss()?;
    certify(&gate, &engine, 0)?;
    let (mut findings, mut verdicts, mut calls) = (Vec::new(), Vec::new(), Vec::new());
    for number in 1..=ROUNDS {
        let (first, last, call) = certify(&gate, &engine, number)?;
        findings.push(first);
        verdicts.push(last);
        calls.push(call);
    }
    row("push finished -> static findings readable", findings, 150.0);
    row("push finished -> final status", verdicts, 1500.0);
    row("one call, engine and harness together", calls, 5.0);
    let before = gate.rss()?;
    let (speed, peak) = push_big(&gate)?;
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    println!("{:<44} {:8.1} MiB  goal <= 80", "memory at rest", mib(idle));
    println!("{:<44} {:8.1} MiB before, {:.1} MiB at most", "memory while a layer of 1 GiB is pushed", mib(before), mib(peak));
    println!("{:<44} {speed:8.1} MB/s", "that push, durable, analysed");
    Ok(())
}
