//! A client of the registry that sends exactly what a test wants, right or wrong.

use image::pack::Packed;
use reqwest::blocking::{Client, RequestBuilder, Response};
use serde_json::Value;

use crate::{
    server::{EMAIL, PASSWORD, Server},
    web,
};

/// Media type of most manifests.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A registry, and the account it is used with.
pub struct Registry {
    client: Client,
    base: String,
    user: String,
    password: String,
}

/// What it answered.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Where to go on.
    pub location: String,
    /// The digest it names.
    pub digest: String,
    /// The body.
    pub body: String,
}

impl Answer {
    fn new(answer: Response) -> Self {
        let header = |name| web::header(&answer, name).unwrap_or_default();
        let (location, digest) = (header("location"), header("docker-content-digest"));
        Self { status: answer.status().as_u16(), location, digest, body: answer.text().unwrap() }
    }

    /// It must be this status.
    ///
    /// # Panics
    /// When it is not.
    #[track_caller]
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:#?}");
        self
    }

    /// It must be a refusal of the standard's form: this status, this code, and a sentence with these words.
    ///
    /// # Panics
    /// When it is not.
    #[track_caller]
    pub fn refuses(self, status: u16, code: &str, words: &[&str]) -> Self {
        let answer = self.is(status);
        let body: Value = serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{error}: {answer:#?}"));
        let message = body["errors"][0]["message"].as_str().unwrap_or_default();
        let said = body["errors"][0]["code"] == code && words.iter().all(|word| message.contains(word));
        assert!(said, "expected {code} with {words:?}: {answer:#?}");
        answer
    }
}

impl Registry {
    /// The registry of a server, with the account of its first start.
    pub fn of(server: &Server) -> Self {
        Self::with(server, EMAIL, PASSWORD)
    }

    /// The registry of a server, with an account.
    pub fn with(server: &Server, user: &str, password: &str) -> Self {
        Self { client: web::client(), base: server.url("/v2"), user: user.to_owned(), password: password.to_owned() }
    }

    fn sent(&self, request: RequestBuilder) -> Answer {
        Answer::new(request.basic_auth(&self.user, Some(&self.password)).send().unwrap())
    }

    /// `GET /v2/...`
    ///
    /// # Panics
    /// When there is no answer.
    pub fn get(&self, path: &str) -> Answer {
        self.sent(self.client.get(format!("{}/{path}", self.base)))
    }

    /// Begins an upload.
    ///
    /// # Panics
    /// When there is no answer.
    pub fn begin(&self, repository: &str) -> Answer {
        self.sent(self.client.post(format!("{}/{repository}/blobs/uploads/", self.base)))
    }

    /// Asks for a blob of another repository.
    ///
    /// # Panics
    /// When there is no answer.
    pub fn mount(&self, repository: &str, digest: &str, from: &str) -> Answer {
        self.sent(self.client.post(format!("{}/{repository}/blobs/uploads/?mount={digest}&from={from}", self.base)))
    }

    /// Ends an upload with its last bytes.
    ///
    /// # Panics
    /// When there is no answer.
    pub fn finish(&self, location: &str, digest: &str, bytes: &[u8]) -> Answer {
        let base = self.base.trim_end_matches("/v2");
        let address = if location.starts_with("http") { location.to_owned() } else { format!("{base}{location}") };
        let join = if address.contains('?') { '&' } else { '?' };
        self.sent(self.client.put(format!("{address}{join}digest={digest}")).body(bytes.to_vec()))
    }

    /// Uploads a blob under a digest, whether it is its own or not.
    #[track_caller]
    pub fn upload(&self, repository: &str, digest: &str, bytes: &[u8]) -> Answer {
        self.finish(&self.begin(repository).is(202).location, digest, bytes)
    }

    /// `PUT .../manifests/<reference>`
    ///
    /// # Panics
    /// When there is no answer.
    pub fn put_manifest(&self, repository: &str, reference: &str, media_type: &str, bytes: &[u8]) -> Answer {
        let address = format!("{}/{repository}/manifests/{reference}", self.base);
        self.sent(self.client.put(address).header("content-type", media_type).body(bytes.to_vec()))
    }

    /// Pushes an image, with the blobs it has; returns its digest.
    #[track_caller]
    pub fn push(&self, image: &Packed, repository: &str, tag: &str) -> String {
        let bytes = image.blob(image.top()).unwrap();
        self.push_document(image, repository, tag, image.media_type(), bytes).is(201).digest
    }

    /// Pushes what a manifest or index names, and then itself.
    #[track_caller]
    fn push_document(&self, image: &Packed, repository: &str, reference: &str, media_type: &str, bytes: &[u8]) -> Answer {
        let document: Value = serde_json::from_slice(bytes).unwrap();
        let named = |field: &str| document[field].as_array().cloned().unwrap_or_default();
        let text = |entry: &Value, field: &str| entry[field].as_str().unwrap_or_default().to_owned();
        for child in named("manifests") {
            let digest = text(&child, "digest");
            let bytes = image.blob(&digest.parse().unwrap()).unwrap();
            self.push_document(image, repository, &digest, &text(&child, "mediaType"), bytes).is(201);
        }
        for blob in named("layers").iter().chain(document.get("config")) {
            let digest = text(blob, "digest");
            if let Some(bytes) = image.blob(&digest.parse().unwrap()) {
                self.upload(repository, &digest, bytes).is(201);
            }
        }
        self.put_manifest(repository, reference, media_type, bytes)
    }
}
