//! What a client is told when it does not get what it asked for: the standard's code, a sentence for the person who reads
//! the client's output, and the values concerned (distribution-spec 1.1, "Error Codes").

use std::time::Duration;

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use model::{
    digest::Digest,
    id::OrganizationId,
    name::{NameError, RepoName},
};
use serde::Serialize;
use serde_json::{Value, json};
use store::held_tags::Hold;

use crate::door::TurnedAway;

/// Most missing blobs named one by one; no real image has as many.
const MAX_ENTRIES: usize = 1000;

/// The codes of the standard, and the two of its older form that clients know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs, reason = "each variant is the standard's own word")]
pub enum Code {
    BlobUnknown,
    BlobUploadInvalid,
    BlobUploadUnknown,
    DigestInvalid,
    ManifestBlobUnknown,
    ManifestInvalid,
    ManifestUnknown,
    NameInvalid,
    NameUnknown,
    SizeInvalid,
    TagInvalid,
    Unauthorized,
    Denied,
    Unsupported,
    #[serde(rename = "TOOMANYREQUESTS")]
    TooManyRequests,
    Unknown,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Entry {
    code: Code,
    message: String,
    detail: Value,
}

/// An answer that says no.
#[derive(Clone, Debug)]
pub struct Refusal {
    status: StatusCode,
    entries: Vec<Entry>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Refusal {
    /// One code, one sentence: what, and what to do next.
    pub fn new(status: StatusCode, code: Code, message: impl Into<String>, detail: Value) -> Self {
        Self { status, entries: vec![Entry { code, message: message.into(), detail }], headers: Vec::new() }
    }

    /// Too much at once: 429 with the time to wait.
    pub fn too_many(message: impl Into<String>, wait: Duration) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, Code::TooManyRequests, message, Value::Null)
            .header(header::RETRY_AFTER, &wait.as_secs().max(1).to_string())
    }

    /// Adds a header; a value that no header can carry is left out.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The sentence of the first entry.
    pub fn message(&self) -> &str {
        self.entries.first().map_or("", |entry| &entry.message)
    }

    /// The same refusal as an answer to HEAD, which has no body and so cannot say why. Clients look with HEAD before they send; told
    /// "not here" they go on to the request whose answer has the sentence.
    #[must_use]
    pub(crate) fn without_body(mut self) -> Self {
        if matches!(self.status, StatusCode::FORBIDDEN | StatusCode::BAD_REQUEST) {
            self.status = StatusCode::NOT_FOUND;
        }
        self
    }

    pub(crate) fn bad(code: Code, message: impl Into<String>, detail: Value) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message, detail)
    }

    pub(crate) fn not_found(code: Code, message: impl Into<String>, detail: Value) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message, detail)
    }

    pub(crate) fn name(error: &NameError, text: &str) -> Self {
        Self::bad(Code::NameInvalid, error.to_string(), json!({ "name": shortened(text) }))
    }

    pub(crate) fn digest_syntax(text: &str, error: &model::digest::DigestError) -> Self {
        Self::bad(Code::DigestInvalid, error.to_string(), json!({ "digest": shortened(text) }))
    }

    pub(crate) fn digest_mismatch(named: &Digest, found: &Digest) -> Self {
        let message = format!("the content is {found}, but the request says {named}; nothing was stored, send it again");
        Self::bad(Code::DigestInvalid, message, json!({ "expected": named, "actual": found }))
    }

    pub(crate) fn blob_unknown(repository: &str, digest: &Digest) -> Self {
        let message = format!("repository {repository} holds no blob {digest}; push it first");
        Self::not_found(Code::BlobUnknown, message, json!({ "digest": digest }))
    }

    pub(crate) fn manifest_unknown(repository: &str, reference: &str) -> Self {
        let reference = shortened(reference);
        let message = format!("repository {repository} holds no manifest {reference}; check the tag or push it first");
        Self::not_found(Code::ManifestUnknown, message, json!({ "reference": reference }))
    }

    pub(crate) fn upload_unknown(id: &str) -> Self {
        let id = shortened(id);
        let message = format!("upload {id} is not known in this repository: it has ended or expired; start a new one");
        Self::not_found(Code::BlobUploadUnknown, message, json!({ "upload": id }))
    }

    /// Blobs that a manifest names are missing: an entry for each, up to [`MAX_ENTRIES`].
    pub(crate) fn manifest_needs(blobs: &[Digest]) -> Self {
        let mut entries: Vec<Entry> = blobs
            .iter()
            .take(MAX_ENTRIES)
            .map(|digest| Entry {
                code: Code::ManifestBlobUnknown,
                message: format!("the manifest names blob {digest}, which this repository does not hold; push it first"),
                detail: json!({ "digest": digest }),
            })
            .collect();
        if blobs.len() > MAX_ENTRIES {
            let more = blobs.len() - MAX_ENTRIES;
            let message = format!("{more} more blobs that the manifest names are missing; push all of its layers first");
            entries.push(Entry { code: Code::ManifestBlobUnknown, message, detail: json!({ "more": more }) });
        }
        Self { status: StatusCode::BAD_REQUEST, entries, headers: Vec::new() }
    }

    /// No room in what the organization may keep. DENIED is a code that no client tries again.
    pub(crate) fn over_quota(organization: OrganizationId, used: u64, quota: u64, needs: u64) -> Self {
        let message = format!(
            "organization {organization} keeps {used} of the {quota} bytes of its quota, and this push needs {needs} more; delete images it no \
             longer needs (garbage collection then frees their space), or ask the operator for a larger quota"
        );
        let detail = json!({ "organization": organization.0, "used": used, "quota": quota, "needs": needs });
        Self::new(StatusCode::FORBIDDEN, Code::Denied, message, detail)
    }

    /// The door said no. Clients print the standard's code and the message, so everything is in it.
    pub(crate) fn turned_away(away: &TurnedAway, page: Option<String>) -> Self {
        let see = page.as_ref().map_or_else(String::new, |page| format!(". See {page}"));
        let message = format!("{}: {}{see}", away.code, away.sentence.trim_end_matches('.'));
        Self::new(StatusCode::FORBIDDEN, Code::Denied, message, json!({ "reason": away.code, "page": page }))
    }

    /// A tag, or what it names, must stay as it is.
    pub(crate) fn held(repository: &RepoName, hold: &Hold, page: Option<String>) -> Self {
        let see = page.as_ref().map_or_else(String::new, |page| format!(". See {page}"));
        let (tag, reason) = (&hold.tag, hold.reason.trim_end_matches('.'));
        let message = format!("TAG_IMMUTABLE: {repository}:{tag} can be neither moved nor deleted, nor what it names: {reason}{see}");
        let detail = json!({ "reason": "TAG_IMMUTABLE", "tag": tag, "digest": hold.digest, "page": page });
        Self::new(StatusCode::FORBIDDEN, Code::Denied, message, detail)
    }

    /// Something is pushed under a name that can never be one. Docker tries again for most of a minute unless it is told "denied".
    pub(crate) fn name_denied(error: &NameError, text: &str, home: Option<OrganizationId>) -> Self {
        let image = text.trim_start_matches('/');
        let better = home.map(|home| format!("{home}/{image}")).filter(|better| better.parse::<RepoName>().is_ok());
        let message = match (error, better) {
            (NameError::Organization(_), Some(better)) => {
                format!("repository {:?} must start with the number of your organization: push to {better}", shortened(text))
            }
            _ => error.to_string(),
        };
        Self::new(StatusCode::FORBIDDEN, Code::Denied, message, json!({ "name": shortened(text) }))
    }

    /// A blob that one of the repository's manifests needs.
    pub(crate) fn blob_needed(digest: &Digest, manifest: &Digest) -> Self {
        let message = format!("blob {digest} is part of manifest {manifest}; delete that manifest first");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, Code::Unsupported, message, json!({ "digest": digest, "manifest": manifest }))
            .header(header::ALLOW, "GET, HEAD")
    }

    pub(crate) fn method(allowed: &str) -> Self {
        let message = format!("this address takes only {allowed}");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, Code::Unsupported, message, Value::Null).header(header::ALLOW, allowed)
    }

    /// Something of ours failed; the reason is for the operator's log, not for the client.
    pub(crate) fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(error = %chain(error), "the registry could not serve a request");
        let message = "the registry could not do this because of a fault of its own; try again, and if it stays tell the operator (the log has the reason)";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, Code::Unknown, message, Value::Null)
    }
}

/// An error and what caused it, in one line.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

/// What is echoed of an outsider's text.
pub(crate) fn shortened(text: &str) -> String {
    text.chars().take(160).collect()
}

impl From<store::Error> for Refusal {
    fn from(error: store::Error) -> Self {
        if let store::Error::OverQuota { organization, used, quota, needs } = error {
            return Self::over_quota(organization, used, quota, needs);
        }
        let (status, message) = match error.kind() {
            store::ErrorKind::DiskFull => {
                (StatusCode::INSUFFICIENT_STORAGE, "the registry's disk is full; tell its operator, and try again when there is room")
            }
            store::ErrorKind::Busy => (StatusCode::SERVICE_UNAVAILABLE, "the registry is busy; try again in a moment"),
            store::ErrorKind::OverQuota | store::ErrorKind::Other => return Self::internal(&error),
        };
        tracing::warn!(error = %chain(&error), "the registry turned a request away");
        Self::new(status, Code::Unknown, message, Value::Null).header(header::RETRY_AFTER, "5")
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&json!({ "errors": self.entries })).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in self.headers {
            response.headers_mut().append(name, value);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_spelled_as_the_standard_does() {
        let text = |code: Code| serde_json::to_value(code).unwrap();
        assert_eq!(text(Code::BlobUploadUnknown), "BLOB_UPLOAD_UNKNOWN");
        assert_eq!(text(Code::TooManyRequests), "TOOMANYREQUESTS");
        assert_eq!(text(Code::ManifestBlobUnknown), "MANIFEST_BLOB_UNKNOWN");
    }

    #[test]
    fn a_full_disk_is_507_and_a_fault_of_ours_keeps_its_reason() {
        let io = |number| store::Error::file("write", "/secret/path", std::io::Error::from_raw_os_error(number));
        let full = Refusal::from(io(28));
        assert_eq!(full.status(), StatusCode::INSUFFICIENT_STORAGE);
        let fault = Refusal::from(io(5));
        assert_eq!(fault.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!fault.message().contains("/secret/path"), "{}", fault.message());
    }

    #[test]
    fn all_missing_blobs_are_named() {
        let many: Vec<Digest> = (0..1002u32).map(|n| Digest::of(&n.to_be_bytes())).collect();
        let entries = Refusal::manifest_needs(&many).entries;
        assert_eq!((entries.len(), &entries[999].detail["digest"], &entries[1000].detail["more"]), (1001, &json!(many[999]), &json!(2)));
        assert_eq!(Refusal::manifest_needs(&many[..50]).entries.len(), 50);
    }

    #[test]
    fn a_name_without_its_organization_is_told_the_right_one() {
        let denied = |text: &str, home| Refusal::name_denied(&text.parse::<RepoName>().unwrap_err(), text, home).message().to_owned();
        let ours = Some(OrganizationId(7));
        assert_eq!(
            denied("team/words", ours),
            "repository \"team/words\" must start with the number of your organization: push to 7/team/words"
        );
        assert!(denied("words", None).ends_with("like 1/my-engine"));
        assert!(denied("7/UPPER", ours).contains("lower-case"));
        assert!(denied("UPPER", ours).ends_with("like 1/my-engine"));
    }

    #[test]
    fn a_wait_is_told_in_whole_seconds_and_never_zero() {
        let response = Refusal::too_many("slow down", Duration::from_millis(10)).into_response();
        assert_eq!(response.headers()[header::RETRY_AFTER], "1");
    }
}
