//! Every way a blob comes, is read in parts and goes, with each digest function.

use model::digest::{Algorithm, Digest};

use super::{
    Checked, Report,
    client::{Answer, Ask, Client, holds, with},
    data::{digest_of, noise},
};

/// Length of a chunk.
const CHUNK: usize = 1024;

/// A way to send a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    PostPut,
    PostOnly,
    Stream,
    Chunks,
    ChunksAndPut,
    Disorder,
    DisorderAndPut,
}

impl Way {
    /// The ways that data sets take in turn.
    pub(crate) const PLAIN: [Self; 4] = [Self::PostPut, Self::PostOnly, Self::Stream, Self::Chunks];

    const ALL: [Self; 7] =
        [Self::PostPut, Self::PostOnly, Self::Stream, Self::Chunks, Self::ChunksAndPut, Self::Disorder, Self::DisorderAndPut];

    /// Sends `bytes` as `digest`; the answer to the last request.
    pub(crate) fn send(self, client: &Client, repository: &str, digest: &Digest, bytes: &[u8]) -> Result<Answer, String> {
        let start = client.at(repository, "blobs/uploads/");
        if self == Self::PostOnly {
            return client.send(&octets(Ask::new("POST", with(&start, "digest", &digest.to_string()))).body(bytes));
        }
        let begun = client.send(&Ask::new("POST", start).header("content-length", "0"))?.is(202)?;
        let mut location = begun.location(client)?;
        let end = |location: &str| with(location, "digest", &digest.to_string());
        match self {
            Self::PostPut => return client.send(&octets(Ask::new("PUT", end(&location))).body(bytes)),
            Self::Stream => {
                location = client.send(&octets(Ask::new("PATCH", location)).body(bytes).streamed())?.is(202)?.location(client)?
            }
            _ => {
                let chunks: Vec<&[u8]> = bytes.chunks(CHUNK).collect();
                for (n, chunk) in chunks.iter().enumerate() {
                    if matches!(self, Self::Disorder | Self::DisorderAndPut) {
                        location = self.wrong_place(client, &location, &chunks, n, digest)?;
                    }
                    let range = format!("{}-{}", n * CHUNK, n * CHUNK + chunk.len() - 1);
                    if matches!(self, Self::ChunksAndPut | Self::DisorderAndPut) && n + 1 == chunks.len() {
                        return client.send(&octets(Ask::new("PUT", end(&location))).header("content-range", range).body(chunk));
                    }
                    let taken = client.send(&octets(Ask::new("PATCH", location)).header("content-range", range).body(chunk))?.is(202)?;
                    let so_far = format!("0-{}", n * CHUNK + chunk.len() - 1);
                    location = taken.has("range", &so_far)?.location(client)?;
                }
            }
        }
        client.send(&octets(Ask::new("PUT", end(&location))))
    }

    /// Sends a chunk that is not the next one: it is refused, and the upload says how far it is.
    fn wrong_place(self, client: &Client, location: &str, chunks: &[&[u8]], n: usize, digest: &Digest) -> Result<String, String> {
        let wrong = if n + 1 < chunks.len() { n + 1 } else { 0 };
        let chunk = chunks.get(wrong).copied().unwrap_or_default();
        if wrong == n {
            return Ok(location.to_owned());
        }
        let range = format!("{}-{}", wrong * CHUNK, wrong * CHUNK + chunk.len() - 1);
        let ends = self == Self::DisorderAndPut && wrong + 1 == chunks.len();
        let (method, url) = if ends { ("PUT", with(location, "digest", &digest.to_string())) } else { ("PATCH", location.to_owned()) };
        let refused = client.send(&octets(Ask::new(method, url)).header("content-range", range).body(chunk))?.is(416)?;
        refused.location(client)?;
        let state = client.send(&Ask::new("GET", location))?.is(204)?;
        let last = (n * CHUNK).saturating_sub(1);
        state.has("range", &format!("0-{last}"))?.location(client)
    }
}

fn octets(ask: Ask<'_>) -> Ask<'_> {
    ask.header("content-type", "application/octet-stream")
}

/// What a blob that was accepted must be: named, and pullable from where the answer points.
pub(crate) fn accepted(client: &Client, answer: Answer, digest: &Digest, bytes: &[u8]) -> Checked {
    let place = answer.is(201)?.names(digest)?.location(client)?;
    client.send(&Ask::new("GET", place))?.is(200)?.carries(bytes)?.done()
}

fn at(client: &Client, repository: &str, digest: &Digest) -> String {
    client.at(repository, &format!("blobs/{digest}"))
}

/// HEAD and GET.
pub(crate) fn pulls(client: &Client, report: &mut Report, category: &str, repository: &str, digest: &Digest, bytes: &[u8]) {
    let length = bytes.len().to_string();
    let url = at(client, repository, digest);
    let head = client.send(&Ask::new("HEAD", &url)).and_then(|answer| answer.is(200)?.names(digest)?.has("content-length", &length));
    report.case(category, "blob head", head.and_then(|answer| holds(answer.body.is_empty(), || "HEAD has a body".into())));
    let get = client.send(&Ask::new("GET", &url)).and_then(|answer| answer.is(200)?.names(digest)?.carries(bytes)?.done());
    report.case(category, "blob get", get);
}

/// DELETE, and that it is gone at once.
pub(crate) fn deletes(client: &Client, report: &mut Report, category: &str, repository: &str, digest: &Digest) {
    let url = at(client, repository, digest);
    report.case(category, "blob delete", client.send(&Ask::new("DELETE", &url)).and_then(|answer| answer.is(202)?.done()));
    let gone = client.send(&Ask::new("HEAD", &url)).and_then(|answer| answer.is(404)?.done());
    report.case(category, "blob delete at once", gone);
    let again = client.send(&Ask::new("DELETE", &url)).and_then(|answer| answer.refuses(404, "BLOB_UNKNOWN"));
    report.case(category, "blob delete again", again);
}

pub(crate) fn run(client: &Client, report: &mut Report, repository: &str, other: &str) {
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        let category = format!("blobs {}", algorithm.as_str());
        let suite = &mut Blobs { client, report, category, algorithm, repository, other };
        suite.ways();
        suite.mounts();
        suite.ranges();
        suite.well_known();
        suite.wrong_digests();
        suite.sessions();
    }
}

struct Blobs<'a> {
    client: &'a Client,
    report: &'a mut Report,
    category: String,
    algorithm: Algorithm,
    repository: &'a str,
    other: &'a str,
}

impl Blobs<'_> {
    fn fresh(&self, name: &str, len: usize) -> (Digest, Vec<u8>) {
        let bytes = noise(&format!("{} {name}", self.category), len);
        (digest_of(self.algorithm, &bytes), bytes)
    }

    fn case(&mut self, name: &str, checked: Checked) -> bool {
        self.report.case(&self.category.clone(), name, checked)
    }

    fn rest(&mut self, repository: &str, digest: &Digest, bytes: &[u8]) {
        pulls(self.client, self.report, &self.category, repository, digest, bytes);
        deletes(self.client, self.report, &self.category, repository, digest);
    }

    fn pushed(&mut self, way: Way, repository: &str, digest: &Digest, bytes: &[u8]) -> bool {
        let sent = way.send(self.client, repository, digest, bytes);
        let checked = sent.and_then(|answer| accepted(self.client, answer, digest, bytes));
        self.case(&format!("push {way:?}"), checked)
    }

    fn ways(&mut self) {
        let (missing, _) = self.fresh("missing", 512);
        let url = at(self.client, self.repository, &missing);
        let get = self.client.send(&Ask::new("GET", &url)).and_then(|answer| answer.refuses(404, "BLOB_UNKNOWN"));
        self.case("get missing", get);
        let head = self.client.send(&Ask::new("HEAD", &url)).and_then(|answer| answer.is(404)?.done());
        self.case("head missing", head);
        for way in Way::ALL {
            for len in [512, CHUNK * 3 - 5] {
                let (digest, bytes) = self.fresh(&format!("{way:?} {len}"), len);
                if self.pushed(way, self.repository, &digest, &bytes) {
                    self.rest(self.repository, &digest, &bytes);
                } else {
                    self.report.skip(&self.category, "what follows a push");
                }
            }
        }
    }

    fn mounts(&mut self) {
        let start = |client: &Client, repository: &str| client.at(repository, "blobs/uploads/");
        for (name, named) in [("mount", true), ("mount anonymous", false)] {
            let (digest, bytes) = self.fresh(name, 512);
            self.pushed(Way::PostPut, self.other, &digest, &bytes);
            let mut url = with(&start(self.client, self.repository), "mount", &digest.to_string());
            if named {
                url = with(&url, "from", self.other);
            }
            let mounted = self.client.send(&Ask::new("POST", url));
            let checked = mounted.and_then(|answer| accepted(self.client, answer, &digest, &bytes));
            self.case(name, checked);
            self.rest(self.repository, &digest, &bytes);
            self.rest(self.other, &digest, &bytes);
        }
        let (digest, bytes) = self.fresh("mount missing", 512);
        for named in [true, false] {
            let mut url = with(&start(self.client, self.repository), "mount", &digest.to_string());
            if named {
                url = with(&url, "from", self.other);
            }
            let client = self.client;
            // It goes on as an upload.
            let checked = client.send(&Ask::new("POST", url)).and_then(|answer| {
                let end = with(&answer.is(202)?.location(client)?, "digest", &digest.to_string());
                accepted(client, client.send(&octets(Ask::new("PUT", end)).body(&bytes))?, &digest, &bytes)
            });
            self.case("mount missing", checked);
            self.rest(self.repository, &digest, &bytes);
        }
    }

    fn ranges(&mut self) {
        let (digest, bytes) = self.fresh("ranges", 2048);
        self.pushed(Way::PostPut, self.repository, &digest, &bytes);
        let url = at(self.client, self.repository, &digest);
        for (range, part) in [
            ("bytes=500-1499", Some(500..1500)),
            ("bytes=500-", Some(500..2048)),
            ("bytes=-500", Some(1548..2048)),
            ("bytes=2000-5000", Some(2000..2048)),
            ("bytes=0-0", Some(0..1)),
            ("bytes=-5000", Some(0..2048)),
            ("bytes=500-0", None),
            ("bytes=5000-10000", None),
            ("bytes=2048-", None),
            ("bytes=-0", None),
        ] {
            let answer = self.client.send(&Ask::new("GET", &url).header("range", range));
            let checked = answer.and_then(|answer| match part {
                Some(part) => {
                    let said = format!("bytes {}-{}/2048", part.start, part.end - 1);
                    answer.is(206)?.has("content-range", &said)?.names(&digest)?.carries(bytes.get(part).unwrap_or_default())?.done()
                }
                None => answer.has("content-range", "bytes */2048")?.refuses(416, "SIZE_INVALID"),
            });
            self.case(range, checked);
        }
        let known = Ask::new("GET", &url).header("if-none-match", format!("\"{digest}\""));
        let checked = self.client.send(&known).and_then(|answer| answer.is(304)?.done());
        self.case("not modified", checked);
        deletes(self.client, self.report, &self.category, self.repository, &digest);
    }

    fn well_known(&mut self) {
        for bytes in [b"".as_slice(), b"{}"] {
            let digest = digest_of(self.algorithm, bytes);
            for way in Way::PLAIN {
                if self.pushed(way, self.repository, &digest, bytes) {
                    self.rest(self.repository, &digest, bytes);
                } else {
                    self.report.skip(&self.category, "what follows a push");
                }
            }
        }
    }

    fn wrong_digests(&mut self) {
        for way in [Way::PostPut, Way::PostOnly, Way::Stream, Way::Chunks, Way::ChunksAndPut] {
            let (digest, mut bytes) = self.fresh(&format!("wrong {way:?}"), CHUNK * 3 - 5);
            bytes.extend_from_slice(b"and more");
            let refused = way.send(self.client, self.repository, &digest, &bytes).and_then(|answer| answer.refuses(400, "DIGEST_INVALID"));
            self.case(&format!("wrong digest {way:?}"), refused);
            let url = at(self.client, self.repository, &digest);
            let absent = self.client.send(&Ask::new("HEAD", url)).and_then(|answer| answer.is(404)?.done());
            self.case("nothing of it is kept", absent);
        }
    }

    fn sessions(&mut self) {
        let (client, start) = (self.client, self.client.at(self.repository, "blobs/uploads/"));
        let cancelled = client.send(&Ask::new("POST", &start)).and_then(|answer| {
            let location = answer.is(202)?.location(client)?;
            client.send(&Ask::new("DELETE", &location))?.is(204)?;
            client.send(&Ask::new("GET", &location))?.refuses(404, "BLOB_UPLOAD_UNKNOWN")
        });
        self.case("cancel", cancelled);
        let word = self.algorithm.as_str();
        let (digest, bytes) = self.fresh("announced", 512);
        let announced = client.send(&Ask::new("POST", with(&start, "digest-algorithm", word))).and_then(|answer| {
            let location = answer.is(202)?.location(client)?;
            let location = client.send(&octets(Ask::new("PATCH", location)).body(&bytes))?.is(202)?.location(client)?;
            let end = with(&location, "digest", &digest.to_string());
            accepted(client, client.send(&octets(Ask::new("PUT", end)))?, &digest, &bytes)
        });
        self.case("announced algorithm", announced);
        self.rest(self.repository, &digest, &bytes);
        let unknown = client.send(&Ask::new("POST", with(&start, "digest-algorithm", "md5")));
        self.case("unknown algorithm", unknown.and_then(|answer| answer.refuses(400, "DIGEST_INVALID")));
    }
}
