//! kill -9 at many instants during parallel pushes: what was acknowledged is there and verifies, what was not is there whole or not at all,
//! and uploads go on or expire.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
    time::{Duration, Instant},
};

use e2e::{
    program::run,
    registry::OCI_MANIFEST,
    server::{EMAIL, PASSWORD, Server, command},
    web,
};
use model::digest::Digest;
use reqwest::blocking::{Client, RequestBuilder, Response};
use serde_json::{Value, json};

/// How often the server is killed.
const KILLS: u64 = 200;
const PUSHERS: u64 = 4;

/// The same instants in every run; the machine's own moods change what they meet.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}

/// What one pusher knows.
#[derive(Default)]
struct Known {
    /// Content that was acknowledged.
    blobs: Vec<Vec<u8>>,
    /// Tag and manifest that were acknowledged.
    images: Vec<(String, Vec<u8>)>,
    /// What was sent last and not answered.
    open_blob: Option<Vec<u8>>,
    open_image: Option<(String, Vec<u8>)>,
    /// Address of the upload that was under way, and all it was to have.
    upload: Option<(String, Vec<u8>)>,
}

struct Storm {
    client: Client,
    base: String,
    tokens: Vec<String>,
}

impl Storm {
    fn new(server: &Server) -> Self {
        let client = web::client();
        let token = |n: u64| {
            let address = server.url(&format!("/v2/token?service=plimsoll&scope=repository:1/storm{n}:pull,push"));
            let answer: Value = client.get(address).basic_auth(EMAIL, Some(PASSWORD)).send().unwrap().json().unwrap();
            answer["token"].as_str().unwrap().to_owned()
        };
        let tokens = (0..PUSHERS).map(token).collect();
        Self { client, base: server.url(""), tokens }
    }

    fn send(&self, n: u64, request: RequestBuilder) -> Option<Response> {
        request.bearer_auth(&self.tokens[n as usize]).send().ok()
    }

    /// An answer that must come, because the server runs.
    #[track_caller]
    fn get(&self, n: u64, path: &str) -> (u16, Vec<u8>) {
        let answer = self.send(n, self.client.get(format!("{}/v2/1/storm{n}/{path}", self.base))).unwrap();
        (answer.status().as_u16(), answer.bytes().unwrap().to_vec())
    }

    /// Pushes until the server is gone; `None` then.
    fn push(&self, n: u64, serial: u64, dice: &mut Dice, known: &Mutex<Known>) -> Option<()> {
        let mut digests = Vec::new();
        for part in 0..2 {
            let mut content = format!("{n} {serial} {part} ").into_bytes();
            content.resize(content.len() + dice.roll(40_000) as usize, b'x');
            let begun = self.send(n, self.client.post(format!("{}/v2/1/storm{n}/blobs/uploads/", self.base)))?;
            let location = web::header(&begun, "location")?;
            let address = if location.starts_with('/') { format!("{}{location}", self.base) } else { location };
            known.lock().unwrap().upload = Some((address.clone(), content.clone()));
            let half = content.len() / 2;
            let patched = self.send(n, self.client.patch(&address).body(content[..half].to_vec()))?;
            assert_eq!(patched.status(), 202);
            known.lock().unwrap().open_blob = Some(content.clone());
            let digest = Digest::of(&content);
            let done = self.send(n, self.client.put(format!("{address}?digest={digest}")).body(content[half..].to_vec()))?;
            assert_eq!(done.status(), 201);
            let mut known = known.lock().unwrap();
            (known.upload, known.open_blob) = (None, None);
            digests.push((digest, content.len()));
            known.blobs.push(content);
        }
        let part = |media_type: &str, n: usize| json!({ "mediaType": media_type, "digest": digests[n].0, "size": digests[n].1 });
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": part("application/vnd.oci.image.config.v1+json", 0),
            "layers": [part("application/vnd.oci.image.layer.v1.tar", 1)],
        });
        let (tag, bytes) = (format!("v{serial}"), serde_json::to_vec(&manifest).unwrap());
        known.lock().unwrap().open_image = Some((tag.clone(), bytes.clone()));
        let put = self.client.put(format!("{}/v2/1/storm{n}/manifests/{tag}", self.base)).header("content-type", OCI_MANIFEST);
        let answer = self.send(n, put.body(bytes.clone()))?;
        assert_eq!(answer.status(), 201, "{}", answer.text().unwrap_or_default());
        let mut known = known.lock().unwrap();
        known.open_image = None;
        known.images.push((tag, bytes));
        Some(())
    }

    /// Microseconds from the first request of a push to some pushes later, as long as they take here when all push: on a busy machine nothing would come to
    /// its end otherwise.
    fn window(&self, all: &mut BTreeMap<u64, Known>) -> u64 {
        let began = Instant::now();
        std::thread::scope(|scope| {
            for (n, known) in all.iter_mut() {
                scope.spawn(move || {
                    let pushed = Mutex::default();
                    self.push(*n, u64::MAX, &mut Dice(n + 1), &pushed).unwrap();
                    *known = pushed.into_inner().unwrap();
                });
            }
        });
        (2 * began.elapsed().as_micros() as u64).max(60_000)
    }

    #[track_caller]
    fn verify_blob(&self, n: u64, content: &[u8]) {
        let (status, found) = self.get(n, &format!("blobs/{}", Digest::of(content)));
        assert!(status == 200 && found == content, "an acknowledged blob of {} bytes: {status}, {} bytes", content.len(), found.len());
    }

    #[track_caller]
    fn verify_image(&self, n: u64, tag: &str, bytes: &[u8]) {
        let (status, found) = self.get(n, &format!("manifests/{tag}"));
        assert!(status == 200 && found == bytes, "an acknowledged manifest {tag}: {status}");
        let manifest: Value = serde_json::from_slice(bytes).unwrap();
        for part in [&manifest["config"], &manifest["layers"][0]] {
            let (status, found) = self.get(n, &format!("blobs/{}", part["digest"].as_str().unwrap()));
            assert!(status == 200 && Digest::of(&found).to_string() == part["digest"].as_str().unwrap(), "a part of {tag}: {status}");
        }
    }

    /// Looks at what one pusher left, and ends its upload if it is still there. Says whether it was.
    fn verify(&self, n: u64, known: &mut Known, all: &mut Known) -> bool {
        for content in known.blobs.drain(..) {
            self.verify_blob(n, &content);
            all.blobs.push(content);
        }
        for (tag, bytes) in known.images.drain(..) {
            self.verify_image(n, &tag, &bytes);
            all.images.push((tag, bytes));
        }
        if let Some((tag, bytes)) = known.open_image.take() {
            match self.get(n, &format!("manifests/{tag}")).0 {
                404 => {}
                _ => {
                    self.verify_image(n, &tag, &bytes);
                    all.images.push((tag, bytes));
                }
            }
        }
        if let Some(content) = known.open_blob.take()
            && self.get(n, &format!("blobs/{}", Digest::of(&content))).0 != 404
        {
            self.verify_blob(n, &content);
            all.blobs.push(content);
        }
        known.upload.take().is_some_and(|(address, content)| self.resume(n, &address, content, all))
    }

    fn resume(&self, n: u64, address: &str, content: Vec<u8>, all: &mut Known) -> bool {
        let status = self.send(n, self.client.get(address)).unwrap();
        if status.status() == 404 {
            return false;
        }
        assert_eq!(status.status(), 204);
        let range = web::header(&status, "range").unwrap();
        let received = match range.strip_prefix("0-").unwrap().parse::<usize>().unwrap() {
            // "0-0" is one byte or none.
            0 => return false,
            last => last + 1,
        };
        assert!(received <= content.len(), "{range}");
        let end = format!("{address}?digest={}", Digest::of(&content));
        let done = self.send(n, self.client.put(end).body(content[received..].to_vec())).unwrap();
        assert_eq!(done.status(), 201, "{}", done.text().unwrap_or_default());
        self.verify_blob(n, &content);
        all.blobs.push(content);
        true
    }
}

#[test]
fn two_hundred_kills_lose_nothing_that_was_acknowledged() {
    let mut server = Server::start_with(&[("PLIMSOLL_REGISTRY__TOKEN_SECONDS", "3600"), ("PLIMSOLL_REGISTRY__GC_INTERVAL_SECONDS", "1")]);
    let storm = Storm::new(&server);
    let mut dice = Dice(0x5eed_0f5a_1100_c0de);
    let mut all: BTreeMap<u64, Known> = (0..PUSHERS).map(|n| (n, Known::default())).collect();
    let (mut resumed, mut cut) = (0, 0);
    let window = storm.window(&mut all);
    for kill in 0..KILLS {
        let known: Vec<Mutex<Known>> = (0..PUSHERS).map(|_| Mutex::default()).collect();
        let instant = Duration::from_micros(dice.roll(window));
        std::thread::scope(|scope| {
            for (n, known) in (0..PUSHERS).zip(&known) {
                let (storm, mut dice) = (&storm, Dice(dice.roll(u64::MAX) | 1));
                scope.spawn(move || (0..).try_for_each(|step| storm.push(n, kill * 10_000 + step, &mut dice, known)));
            }
            // The one thing here that waits for nothing: an instant is what is tested.
            std::thread::park_timeout(instant);
            server.kill();
        });
        server.again_at_once();
        for (n, known) in (0..PUSHERS).zip(known) {
            let mut known = known.into_inner().unwrap();
            cut += u64::from(known.upload.is_some() || known.open_image.is_some());
            resumed += u64::from(storm.verify(n, &mut known, all.get_mut(&n).unwrap()));
        }
    }
    let (mut blobs, mut images) = (0, 0);
    for (n, known) in &all {
        let (status, found) = storm.get(*n, "tags/list");
        assert_eq!(status, 200);
        let tags: Value = serde_json::from_slice(&found).unwrap();
        let tags: BTreeSet<&str> = tags["tags"].as_array().unwrap().iter().map(|tag| tag.as_str().unwrap()).collect();
        assert_eq!(tags, known.images.iter().map(|(tag, _)| tag.as_str()).collect(), "nothing else is visible");
        known.blobs.iter().for_each(|content| storm.verify_blob(*n, content));
        known.images.iter().for_each(|(tag, bytes)| storm.verify_image(*n, tag, bytes));
        (blobs, images) = (blobs + known.blobs.len(), images + known.images.len());
    }
    println!("{KILLS} kills: {images} images and {blobs} blobs verified; {cut} pushes were cut, {resumed} uploads went on");
    assert!(images as u64 > KILLS / 4 && cut > KILLS / 2 && resumed > KILLS / 4, "the kills met nothing");
    server.stop();
    let expired =
        run(command(server.folder()).env("PLIMSOLL_REGISTRY__UPLOAD_EXPIRY_SECONDS", "0").arg("gc").arg("--data").arg(server.data()));
    expired.succeeded();
    assert_eq!(std::fs::read_dir(server.data().join("uploads")).unwrap().count(), 0, "uploads expire");
}
