//! A client that logs in as Docker does: it is challenged, fetches a token for what it wants to do, and tries again.

use std::{cell::RefCell, collections::HashMap, io::Cursor};

use model::digest::Digest;
use reqwest::{
    Method,
    blocking::{Body, Client as Http, Response},
    header::HeaderMap,
};
use serde_json::Value;

use super::Checked;
use crate::web;

/// A registry, and the account it is used with.
pub struct Client {
    http: Http,
    base: String,
    user: String,
    password: String,
    tokens: RefCell<HashMap<String, String>>,
}

/// A request to be sent; it may have to be sent twice.
#[derive(Clone)]
pub(crate) struct Ask<'a> {
    method: &'static str,
    url: String,
    headers: Vec<(&'static str, String)>,
    body: &'a [u8],
    streamed: bool,
}

/// What came back.
pub(crate) struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl<'a> Ask<'a> {
    pub(crate) fn new(method: &'static str, url: impl Into<String>) -> Self {
        Self { method, url: url.into(), headers: Vec::new(), body: &[], streamed: false }
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn body(mut self, body: &'a [u8]) -> Self {
        self.body = body;
        self
    }

    /// Sends the body without saying how long it is.
    pub(crate) fn streamed(mut self) -> Self {
        self.streamed = true;
        self
    }
}

impl Client {
    /// The registry at `base`, such as `http://127.0.0.1:8080`.
    pub fn new(base: &str, user: &str, password: &str) -> Self {
        let text = |text: &str| text.trim_end_matches('/').to_owned();
        Self { http: web::client(), base: text(base), user: user.into(), password: password.into(), tokens: RefCell::default() }
    }

    /// An address below `/v2/` of a repository.
    pub(crate) fn at(&self, repository: &str, rest: &str) -> String {
        format!("{}/v2/{repository}/{rest}", self.base)
    }

    /// The root of the API.
    pub(crate) fn root(&self) -> String {
        format!("{}/v2/", self.base)
    }

    /// An address as an answer gives it.
    pub(crate) fn follow(&self, location: &str) -> String {
        if location.starts_with('/') { format!("{}{location}", self.base) } else { location.to_owned() }
    }

    /// Without any credentials.
    pub(crate) fn anonymous(&self, ask: &Ask<'_>) -> Result<Answer, String> {
        self.once(ask, None)
    }

    /// With a token for what the request does, fetched when the registry asks for one.
    pub(crate) fn send(&self, ask: &Ask<'_>) -> Result<Answer, String> {
        let reads = matches!(ask.method, "GET" | "HEAD");
        let path = ask.url.split(['?', '#']).next().unwrap_or_default();
        let repository = ["/blobs/", "/manifests/", "/tags/", "/referrers/"].iter().filter_map(|word| path.find(word)).min();
        let key = format!("{reads} {} {}", ask.method == "DELETE", repository.and_then(|end| path.get(..end)).unwrap_or(path));
        let known = self.tokens.borrow().get(&key).cloned();
        let first = self.once(ask, known.as_deref())?;
        if first.status != 401 {
            return Ok(first);
        }
        let token = self.token(first.header("www-authenticate"))?;
        let second = self.once(ask, Some(&token))?;
        self.tokens.borrow_mut().insert(key, token);
        Ok(second)
    }

    fn once(&self, ask: &Ask<'_>, token: Option<&str>) -> Result<Answer, String> {
        let method = Method::from_bytes(ask.method.as_bytes()).map_err(|error| error.to_string())?;
        let mut request = self.http.request(method, &ask.url);
        for (name, value) in &ask.headers {
            request = request.header(*name, value);
        }
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if ask.streamed {
            request = request.body(Body::new(Cursor::new(ask.body.to_vec())));
        } else if !matches!(ask.method, "GET" | "HEAD") {
            request = request.body(ask.body.to_vec());
        }
        let answer = request.send().map_err(|error| format!("{} {}: {error}", ask.method, ask.url))?;
        Answer::read(answer)
    }

    /// Docker's token protocol.
    fn token(&self, challenge: &str) -> Result<String, String> {
        let part = |name: &str| {
            let start = challenge.find(&format!("{name}=\""))? + name.len() + 2;
            challenge.get(start..)?.split('"').next()
        };
        let realm =
            part("realm").filter(|_| challenge.starts_with("Bearer ")).ok_or_else(|| format!("no Bearer challenge: {challenge}"))?;
        let mut url = format!("{realm}?service={}", web::encoded(part("service").unwrap_or_default()));
        if let Some(scope) = part("scope") {
            url.push_str(&format!("&scope={}", web::encoded(scope)));
        }
        let answer = self.http.get(url).basic_auth(&self.user, Some(&self.password)).send().map_err(|error| error.to_string())?;
        let document: Value = serde_json::from_slice(&answer.bytes().map_err(|error| error.to_string())?).unwrap_or_default();
        document["token"].as_str().map(str::to_owned).ok_or_else(|| format!("no token: {document}"))
    }
}

impl Answer {
    fn read(answer: Response) -> Result<Self, String> {
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = answer.bytes().map_err(|error| format!("the body broke off: {error}"))?.to_vec();
        Ok(Self { status, headers, body })
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub(crate) fn is(self, status: u16) -> Result<Self, String> {
        if self.status == status {
            return Ok(self);
        }
        let body: String = String::from_utf8_lossy(&self.body).chars().take(300).collect();
        Err(format!("the status is {}, not {status}: {body}", self.status))
    }

    pub(crate) fn has(self, name: &str, value: &str) -> Result<Self, String> {
        let found = self.header(name);
        if found == value { Ok(self) } else { Err(format!("{name} is {found:?}, not {value:?}")) }
    }

    /// Names this digest.
    pub(crate) fn names(self, digest: &Digest) -> Result<Self, String> {
        self.has("docker-content-digest", &digest.to_string())
    }

    /// Has exactly these bytes, and said how many.
    pub(crate) fn carries(self, bytes: &[u8]) -> Result<Self, String> {
        let whole = self.has("content-length", &bytes.len().to_string())?;
        if whole.body == bytes { Ok(whole) } else { Err(format!("{} other bytes came, not the {} sent", whole.body.len(), bytes.len())) }
    }

    /// Is a refusal in the standard's form, with a sentence for people.
    pub(crate) fn refuses(self, status: u16, code: &str) -> Checked {
        let answer = self.is(status)?;
        let error = answer.json()["errors"][0].clone();
        let said = error["message"].as_str().is_some_and(|text| text.contains(' '));
        if error["code"] == code && said { Ok(()) } else { Err(format!("the body is no refusal with {code}: {error}")) }
    }

    /// Where to go on.
    pub(crate) fn location(&self, client: &Client) -> Result<String, String> {
        match self.header("location") {
            "" => Err("there is no Location".into()),
            location => Ok(client.follow(location)),
        }
    }

    pub(crate) fn done(self) -> Checked {
        Ok(())
    }
}

/// Adds a parameter to an address that may have some.
pub(crate) fn with(url: &str, key: &str, value: &str) -> String {
    let join = if url.contains('?') { '&' } else { '?' };
    format!("{url}{join}{key}={}", web::encoded(value))
}

/// A condition.
pub(crate) fn holds(condition: bool, otherwise: impl FnOnce() -> String) -> Checked {
    if condition { Ok(()) } else { Err(otherwise()) }
}
