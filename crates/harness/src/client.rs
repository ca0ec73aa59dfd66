//! One HTTP/1 call to an engine, over a socket opened inside the run's network. A fresh connection per call; redirects are not followed.

use std::{
    error::Error as _,
    net::{IpAddr, SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, Response, Version, body::Incoming, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use sandbox::Session;
use tokio::{task::AbortHandle, time::timeout_at};

use crate::{Caps, Pace, hook::Hook};

/// Bytes of an answer's head, and number of its headers.
const MAX_HEAD: (usize, usize) = (64 << 10, 100);

/// Longest time to connect to a port of the container that may not be open.
const PROBE: Duration = Duration::from_millis(200);

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// `200 OK`, for people.
    pub(crate) status_line: String,
    pub(crate) content_type: Option<String>,
    /// It is written in HTTP/1.0.
    pub(crate) http10: bool,
    /// Where a redirect leads; nobody goes there.
    pub(crate) location: Option<String>,
    /// From its head to its end.
    pub(crate) body_time: Duration,
    /// The address that answered.
    pub(crate) via: SocketAddr,
    /// At most [`Caps::result`] bytes.
    pub(crate) body: Vec<u8>,
    /// All bytes that came, also those not kept.
    pub(crate) total: u64,
    /// The body did not come to its end.
    pub(crate) broken: Option<CallError>,
}

/// Why there is no (whole) answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CallError {
    #[error("nothing listens on {0}")]
    Refused(SocketAddr),
    #[error("could not connect to {address}: {reason}")]
    Connect { address: SocketAddr, reason: String },
    #[error("no complete answer in time")]
    Timeout,
    #[error("the connection was closed before an answer came")]
    ClosedEarly,
    #[error("the connection was closed in the middle of the body")]
    BodyCut,
    #[error("the body stopped after {bytes} bytes and did not go on for {seconds} s")]
    Stalled { bytes: u64, seconds: u64 },
    #[error("the body is longer than {0} bytes; the rest was not read")]
    TooLong(u64),
    #[error("the answer is not HTTP: {0}")]
    NotHttp(String),
}

/// Calls the hooks of one engine.
#[derive(Clone)]
pub(crate) struct Client {
    session: Arc<dyn Session>,
    connect: Duration,
    /// Longest time between two pieces of a body.
    stall: Duration,
    caps: Caps,
}

/// Ends the task that drives a connection.
struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Client {
    pub(crate) fn new(session: Arc<dyn Session>, pace: &Pace, caps: Caps) -> Self {
        Self { session, connect: pace.connect, stall: pace.stall, caps }
    }

    /// Those of some addresses on which somebody listens.
    pub(crate) async fn open_ports(&self, addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
        let session = Arc::clone(&self.session);
        let look = move || addresses.into_iter().filter(|address| session.connect(*address, PROBE).is_ok()).collect();
        tokio::task::spawn_blocking(look).await.unwrap_or_default()
    }

    /// The container's own address, if it has one besides its loopback.
    pub(crate) fn own_address(&self) -> Option<IpAddr> {
        self.session.addresses().into_iter().find(IpAddr::is_ipv4)
    }

    /// `GET` without a body.
    pub(crate) async fn get(&self, hook: &Hook, within: Duration) -> Result<Answer, CallError> {
        self.call(hook, Method::GET, None, Bytes::new(), within).await
    }

    /// `POST` with a body.
    pub(crate) async fn post(&self, hook: &Hook, content_type: &str, body: Bytes, within: Duration) -> Result<Answer, CallError> {
        self.call(hook, Method::POST, Some(content_type), body, within).await
    }

    async fn call(&self, hook: &Hook, method: Method, kind: Option<&str>, body: Bytes, within: Duration) -> Result<Answer, CallError> {
        let ends = tokio::time::Instant::now() + within;
        let late = || CallError::Timeout;
        let (stream, via) = timeout_at(ends, self.open(hook, within)).await.map_err(|_| late())??;
        let mut builder = Request::builder().method(method).uri(hook.path.as_str()).header(header::HOST, hook.authority.as_str());
        builder = builder.header(header::CONNECTION, "close").header(header::ACCEPT, "*/*").header(header::USER_AGENT, "plimsoll");
        if let Some(kind) = kind {
            builder = builder.header(header::CONTENT_TYPE, kind);
        }
        let request = builder.body(Full::new(body)).map_err(|error| CallError::NotHttp(error.to_string()))?;
        let mut http = http1::Builder::new();
        http.max_buf_size(MAX_HEAD.0).max_headers(MAX_HEAD.1);
        let (mut sender, connection) =
            timeout_at(ends, http.handshake(TokioIo::new(stream))).await.map_err(|_| late())?.map_err(|e| said(&e))?;
        let driver = tokio::spawn(connection);
        let _driver = AbortOnDrop(driver.abort_handle());
        let response = timeout_at(ends, sender.send_request(request)).await.map_err(|_| late())?.map_err(|error| said(&error))?;
        Ok(self.receive(response, ends, via).await)
    }

    async fn receive(&self, response: Response<Incoming>, ends: tokio::time::Instant, via: SocketAddr) -> Answer {
        let began = tokio::time::Instant::now();
        let (head, mut body) = response.into_parts();
        let text = |name| head.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        let (content_type, location) = (text(header::CONTENT_TYPE), text(header::LOCATION).filter(|_| head.status.is_redirection()));
        let mut answer = Answer {
            status: head.status.as_u16(),
            status_line: head.status.to_string(),
            content_type,
            http10: head.version == Version::HTTP_10,
            location,
            body_time: Duration::ZERO,
            via,
            body: Vec::new(),
            total: 0,
            broken: None,
        };
        loop {
            let next = timeout_at(ends.min(tokio::time::Instant::now() + self.stall), body.frame()).await;
            answer.body_time = began.elapsed();
            let data = match next {
                Err(_) if tokio::time::Instant::now() >= ends => return Answer { broken: Some(CallError::Timeout), ..answer },
                Err(_) => {
                    let stalled = CallError::Stalled { bytes: answer.total, seconds: self.stall.as_secs() };
                    return Answer { broken: Some(stalled), ..answer };
                }
                Ok(None) => return answer,
                Ok(Some(Err(error))) => {
                    let cut = error.is_incomplete_message() || error.is_closed() || io_kind(&error).is_some();
                    let broken = if cut { CallError::BodyCut } else { said(&error) };
                    return Answer { broken: Some(broken), ..answer };
                }
                Ok(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
            };
            answer.total += data.len() as u64;
            let room = usize::try_from(self.caps.result).unwrap_or(usize::MAX).saturating_sub(answer.body.len());
            answer.body.extend_from_slice(data.get(..room).unwrap_or(&data));
            if answer.total > self.caps.counted {
                return Answer { broken: Some(CallError::TooLong(self.caps.counted)), ..answer };
            }
        }
    }

    /// Connects to the first of the hook's addresses that answers.
    async fn open(&self, hook: &Hook, within: Duration) -> Result<(tokio::net::TcpStream, SocketAddr), CallError> {
        let mut first_error = None;
        for address in hook.addresses {
            let (session, wait) = (Arc::clone(&self.session), self.connect.min(within).max(Duration::from_millis(1)));
            let connected = tokio::task::spawn_blocking(move || connect(session.as_ref(), address, wait)).await;
            let failure = match connected {
                Ok(Ok(stream)) => match tokio::net::TcpStream::from_std(stream) {
                    Ok(stream) => return Ok((stream, address)),
                    Err(error) => CallError::Connect { address, reason: error.to_string() },
                },
                Ok(Err(failure)) => failure,
                Err(error) => CallError::Connect { address, reason: error.to_string() },
            };
            first_error.get_or_insert(failure);
        }
        Err(first_error.unwrap_or(CallError::ClosedEarly))
    }
}

fn connect(session: &dyn Session, address: SocketAddr, wait: Duration) -> Result<TcpStream, CallError> {
    let stream = session.connect(address, wait).map_err(|error| match io_kind(&error) {
        Some(std::io::ErrorKind::ConnectionRefused) => CallError::Refused(address),
        _ => CallError::Connect { address, reason: error.to_string() },
    })?;
    let ready = stream.set_nonblocking(true).and_then(|()| stream.set_nodelay(true));
    ready.map(|()| stream).map_err(|error| CallError::Connect { address, reason: error.to_string() })
}

/// The kind of the system error at the bottom of an error.
fn io_kind(error: &(dyn std::error::Error + 'static)) -> Option<std::io::ErrorKind> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return Some(io.kind());
        }
        next = error.source();
    }
    None
}

fn said(error: &hyper::Error) -> CallError {
    if error.is_incomplete_message() || error.is_closed() || error.is_canceled() || io_kind(error).is_some() {
        return CallError::ClosedEarly;
    }
    let cause = error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"));
    CallError::NotHttp(cause.chars().take(200).collect())
}
