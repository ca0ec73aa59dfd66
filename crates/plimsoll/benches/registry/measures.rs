//! What is measured. Everything that is pushed is new to the registry, and durable when it says so.

use std::{
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use model::digest::{Algorithm, Digest, Hasher};

use crate::{
    client::Client,
    contender::{Contender, EMAIL, Kind, PASSWORD},
};

pub const BLOB: usize = 512 << 20;
const PIECE: usize = 1 << 20;
const CLIENTS: usize = 8;
const TAGS: u64 = 1500;
const LASTS: Duration = Duration::from_millis(1500);
const ACCEPT: &str = "accept: application/vnd.oci.image.manifest.v1+json\r\n";
const MANIFEST: &str = "content-type: application/vnd.oci.image.manifest.v1+json\r\n";

/// Bytes nobody has sent before.
pub fn noise(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..size.div_ceil(8)).flat_map(|_| next()).take(size).collect()
}

/// Pushes a blob of `size` bytes in requests of `chunk` bytes. Returns its digest and the seconds it took.
pub fn push(contender: &Contender, seed: u64, size: usize, chunk: usize) -> Result<(Digest, f64)> {
    let piece = noise(seed, PIECE);
    let mut hasher = Hasher::new(Algorithm::Sha256);
    (0..size / PIECE).for_each(|_| hasher.update(&piece));
    let digest = hasher.finish();
    let mut client = contender.client()?;
    let began = Instant::now();
    let mut location = client.start()?;
    for at in (0..size).step_by(chunk) {
        let range = format!("content-range: {at}-{}\r\ncontent-type: application/octet-stream\r\n", at + chunk - 1);
        location = client.expect(202, "PATCH", &location, &range, &vec![piece.as_slice(); chunk / PIECE])?.location;
    }
    client.finish(&location, &digest, b"")?;
    Ok((digest, began.elapsed().as_secs_f64()))
}

/// MB/s of `clients` that pull one blob each.
pub fn pull(contender: &Contender, digest: &Digest, clients: usize) -> Result<f64> {
    let mut connected: Vec<Client> = (0..clients).map(|_| contender.client()).collect::<Result<_>>()?;
    let began = Instant::now();
    thread::scope(|scope| {
        let pulls: Vec<_> = connected
            .iter_mut()
            .map(|client| scope.spawn(move || client.expect(200, "GET", &format!("/v2/1/bench/blobs/{digest}"), "", &[])))
            .collect();
        for pull in pulls {
            ensure!(joined(pull)?.size == BLOB as u64, "a blob came back with another size");
        }
        Ok(())
    })?;
    Ok((clients * BLOB) as f64 / 1e6 / began.elapsed().as_secs_f64())
}

fn joined<T>(thread: thread::ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    thread.join().map_err(|_| anyhow::anyhow!("a client panicked"))?
}

/// How often per second eight clients get `work` done.
fn rate(contender: &Contender, work: impl Fn(&mut Client, u64) -> Result<()> + Sync) -> Result<f64> {
    let mut connected: Vec<Client> = (0..CLIENTS).map(|_| contender.client()).collect::<Result<_>>()?;
    let (began, done) = (Instant::now(), AtomicU64::new(0));
    thread::scope(|scope| {
        let working = |client: &mut Client| -> Result<()> {
            while began.elapsed() < LASTS {
                work(client, done.fetch_add(1, Ordering::Relaxed))?;
            }
            Ok(())
        };
        let threads: Vec<_> = connected.iter_mut().map(|client| scope.spawn(move || working(client))).collect();
        threads.into_iter().try_for_each(joined)
    })?;
    Ok(done.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64())
}

pub fn small_blobs(contender: &Contender, seed: u64) -> Result<f64> {
    rate(contender, |client, n| {
        let content = noise(seed + n, 4096);
        let location = client.start()?;
        client.finish(&location, &Digest::of(&content), &content)
    })
}

pub fn put_manifests(contender: &Contender, seed: u64) -> Result<f64> {
    let (mut client, config) = (contender.client()?, b"{}");
    let digest = Digest::of(config);
    let location = client.start()?;
    client.finish(&location, &digest, config)?;
    let config = format!("{{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":\"{digest}\",\"size\":2}}");
    let document = |n: u64| format!("{{\"schemaVersion\":2,\"config\":{config},\"layers\":[],\"annotations\":{{\"n\":\"{seed}-{n}\"}}}}");
    let put = |client: &mut Client, n: u64| -> Result<()> {
        let path = format!("/v2/1/bench/manifests/t{}", n % TAGS);
        client.expect(201, "PUT", &path, MANIFEST, &[document(n).as_bytes()]).map(drop)
    };
    let rate = rate(contender, put)?;
    // All tags are there afterwards, however many were put in time.
    (0..TAGS).filter(|tag| *tag as f64 >= rate * LASTS.as_secs_f64()).try_for_each(|tag| put(&mut client, tag))?;
    Ok(rate)
}

pub fn get_manifests(contender: &Contender) -> Result<f64> {
    rate(contender, |client, n| client.expect(200, "GET", &format!("/v2/1/bench/manifests/t{}", n % TAGS), ACCEPT, &[]).map(drop))
}

/// Milliseconds of one list of all tags.
pub fn list_tags(contender: &Contender) -> Result<f64> {
    let mut client = contender.client()?;
    client.expect(200, "GET", "/v2/1/bench/tags/list", "", &[])?;
    let mut times = Vec::new();
    for _ in 0..21 {
        let began = Instant::now();
        client.expect(200, "GET", "/v2/1/bench/tags/list", "", &[])?;
        times.push(began.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}

/// Seconds of `skopeo copy` of an image in a folder.
pub fn copy(contender: &Contender, image: &Path, tag: &str) -> Result<f64> {
    let to = format!("docker://{}/1/skopeo{tag}:v1", contender.address);
    let mut command = Command::new("skopeo");
    command.args(["--insecure-policy", "copy", "--dest-tls-verify=false"]);
    if contender.kind == Kind::Ours {
        command.arg(format!("--dest-creds={EMAIL}:{PASSWORD}"));
    }
    command.arg(format!("oci:{}", image.display())).arg(to).stdout(Stdio::null());
    let began = Instant::now();
    let status = command.status().context("skopeo cannot be started: apt-get install skopeo")?;
    ensure!(status.success(), "skopeo copy: {status}");
    Ok(began.elapsed().as_secs_f64())
}

/// Seconds of a push that arrives at 1 Gbit/s.
pub fn push_at_a_gigabit(contender: &Contender, layer: &[u8], digest: &Digest) -> Result<f64> {
    const BYTES_PER_SECOND: f64 = 125e6;
    let mut client = contender.client()?;
    let location = client.start()?;
    let began = Instant::now();
    client.begin("PATCH", &location, "content-type: application/octet-stream\r\n", layer.len() as u64, &[])?;
    let mut sent = 0;
    for piece in layer.chunks(128 << 10) {
        let due = Duration::from_secs_f64(sent as f64 / BYTES_PER_SECOND);
        if let Some(early) = due.checked_sub(began.elapsed()) {
            thread::sleep(early);
        }
        client.body(piece)?;
        sent += piece.len();
    }
    let answer = client.answer()?;
    ensure!(answer.status == 202, "PATCH: {}", answer.status);
    client.finish(&answer.location, digest, b"")?;
    Ok(began.elapsed().as_secs_f64())
}
