//! Reads the bodies of requests, with a cap on each and one on all of them together.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use axum::{
    body::Body,
    extract::{FromRequest, Multipart, Request, multipart::Field},
    http::{StatusCode, header},
    response::Response,
};
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Limited};
use serde_json::json;

use super::{PATIENCE, refusal};

/// Fields of one form.
const MAX_FIELDS: usize = 64;
/// What a form may have beyond its file: heads, boundaries.
const FORM_SLACK: u64 = 1 << 20;

/// Counts the bytes of requests being read; there is an upper bound for all of them.
pub(crate) struct InFlight {
    used: AtomicU64,
    cap: u64,
}

impl InFlight {
    pub(crate) fn new(cap: u64) -> Self {
        Self { used: AtomicU64::new(0), cap }
    }
}

/// The share of one request; given back when dropped.
pub(super) struct Share {
    of: Arc<InFlight>,
    taken: u64,
}

impl Share {
    pub(super) fn new(of: &Arc<InFlight>) -> Self {
        Self { of: Arc::clone(of), taken: 0 }
    }

    fn take(&mut self, bytes: u64) -> Result<(), Trouble> {
        self.taken += bytes;
        let before = self.of.used.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) > self.of.cap { Err(Trouble::Busy) } else { Ok(()) }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.of.used.fetch_sub(self.taken, Ordering::Relaxed);
    }
}

/// Why a body was not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Trouble {
    #[error("the request is larger than {limit} bytes")]
    TooLarge { limit: u64, file: bool },
    #[error("too much is being sent at the same time; send again later")]
    Busy,
    #[error("the request stopped coming for {} seconds", PATIENCE.as_secs())]
    Slow,
    #[error("the request ended early or is not well formed: {0}")]
    Broken(String),
    #[error("the form has more than {MAX_FIELDS} fields")]
    Fields,
}

impl Trouble {
    pub(super) fn response(&self) -> Response {
        let message = self.to_string();
        match self {
            Self::TooLarge { limit, file } => {
                let mut data = json!({"limitInBytes": limit});
                if *file {
                    data["code"] = "LIMIT_FILE_SIZE".into();
                }
                let body = json!({"errors": [{"message": message, "name": "invalid_input", "data": data}]});
                axum::response::IntoResponse::into_response((StatusCode::PAYLOAD_TOO_LARGE, axum::Json(body)))
            }
            Self::Busy => refusal(StatusCode::SERVICE_UNAVAILABLE, "capacity_exceeded", &message),
            Self::Slow => refusal(StatusCode::REQUEST_TIMEOUT, "invalid_input", &message),
            Self::Broken(_) | Self::Fields => refusal(StatusCode::BAD_REQUEST, "invalid_input", &message),
        }
    }
}

/// A field of a form.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) name: String,
    /// Present for files.
    pub(super) file_name: Option<String>,
    pub(super) content_type: Option<String>,
    pub(super) bytes: Bytes,
}

impl Part {
    pub(super) fn is_file(&self) -> bool {
        self.file_name.is_some()
    }

    /// The text of a text field; what is no UTF-8 is replaced.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// The content type of a request without parameters.
pub(super) fn content_type(request: &Request) -> String {
    let value = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    crate::desk::essence(value.unwrap_or_default())
}

/// Reads a whole body of at most `cap` bytes.
pub(super) async fn read(body: Body, cap: u64, share: &mut Share) -> Result<Bytes, Trouble> {
    let mut body = body;
    let mut kept = BytesMut::new();
    loop {
        let frame = match tokio::time::timeout(PATIENCE, body.frame()).await {
            Err(_) => return Err(Trouble::Slow),
            Ok(None) => return Ok(kept.freeze()),
            Ok(Some(frame)) => frame.map_err(|error| Trouble::Broken(error.to_string()))?,
        };
        if let Ok(data) = frame.into_data() {
            if kept.len() as u64 + data.len() as u64 > cap {
                return Err(Trouble::TooLarge { limit: cap, file: false });
            }
            share.take(data.len() as u64)?;
            kept.extend_from_slice(&data);
        }
    }
}

/// Reads a form: text fields of at most `text_cap` bytes together, files of at most `file_cap` bytes together.
pub(super) async fn read_form(request: Request, text_cap: u64, file_cap: u64, share: &mut Share) -> Result<Vec<Part>, Trouble> {
    let whole = usize::try_from(text_cap + file_cap + FORM_SLACK).unwrap_or(usize::MAX);
    let request = request.map(|body| Body::new(Limited::new(body, whole)));
    let mut form = Multipart::from_request(request, &()).await.map_err(|error| Trouble::Broken(error.to_string()))?;
    let (mut texts, mut files) = (text_cap, file_cap);
    let mut parts = Vec::new();
    loop {
        let field = match tokio::time::timeout(PATIENCE, form.next_field()).await {
            Err(_) => return Err(Trouble::Slow),
            Ok(Ok(None)) => return Ok(parts),
            Ok(Ok(Some(field))) => field,
            Ok(Err(error)) => return Err(broken(&error, file_cap)),
        };
        if parts.len() >= MAX_FIELDS {
            return Err(Trouble::Fields);
        }
        let is_file = field.file_name().is_some();
        let left = if is_file { &mut files } else { &mut texts };
        let limit = if is_file { file_cap } else { text_cap };
        parts.push(read_part(field, left, limit, share).await?);
    }
}

async fn read_part(mut field: Field<'_>, left: &mut u64, limit: u64, share: &mut Share) -> Result<Part, Trouble> {
    let short = |text: &str| text.chars().take(200).collect::<String>();
    let name = short(field.name().unwrap_or_default());
    let file_name = field.file_name().map(short);
    let content_type = field.content_type().map(short);
    let mut kept = BytesMut::new();
    loop {
        let chunk = match tokio::time::timeout(PATIENCE, field.chunk()).await {
            Err(_) => return Err(Trouble::Slow),
            Ok(Ok(None)) => break,
            Ok(Ok(Some(chunk))) => chunk,
            Ok(Err(error)) => return Err(broken(&error, limit)),
        };
        let size = chunk.len() as u64;
        *left = left.checked_sub(size).ok_or(Trouble::TooLarge { limit, file: file_name.is_some() })?;
        share.take(size)?;
        kept.extend_from_slice(&chunk);
    }
    Ok(Part { name, file_name, content_type, bytes: kept.freeze() })
}

fn broken(error: &axum::extract::multipart::MultipartError, limit: u64) -> Trouble {
    if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return Trouble::TooLarge { limit, file: true };
    }
    Trouble::Broken(error.body_text())
}
