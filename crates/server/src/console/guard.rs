//! What holds for every answer of the console: forms are taken from our own pages only, and the browser is told to load nothing foreign
//! and to keep nothing that shows data.

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::page::PageError;
use crate::error::Problem;

const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; \
                      base-uri 'none'; frame-ancestors 'none'";

const HEADERS: [(HeaderName, &str); 5] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    // With `no-referrer` browsers would send `Origin: null` with our own forms.
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
];

/// Refuses forms of other sites and adds the headers.
pub async fn guard(request: Request, next: Next) -> Response {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let response = if reads || is_from_us(request.headers(), request.uri()) {
        next.run(request).await
    } else {
        let why = "This form seems to come from another site, so nothing was done. Open the page here and send it again. \
                   If it happens every time, the proxy in front of this server must pass the Host header on.";
        PageError(Problem::NotAllowed(why.into())).into_response()
    };
    with_headers(response)
}

/// An answer with what the browser is told.
pub fn with_headers(mut response: Response) -> Response {
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// Whether a request that changes something comes from a page of ours. A browser says so in `Sec-Fetch-Site`, an older one or one on a
/// plain address in `Origin`; whoever sends neither is no browser, and has no cookie that another site could use.
fn is_from_us(headers: &HeaderMap, uri: &Uri) -> bool {
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("unreadable"));
    if let Some(site) = text(HeaderName::from_static("sec-fetch-site")) {
        return matches!(site, "same-origin" | "none");
    }
    let Some(origin) = text(header::ORIGIN) else { return true };
    let host = text(header::HOST).or_else(|| uri.authority().map(|authority| authority.as_str()));
    let origin_host = origin.split_once("://").map(|(_, host)| host);
    origin_host.is_some() && origin_host == host
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_us(pairs: &[(&'static str, &'static str)]) -> bool {
        let headers = pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect();
        is_from_us(&headers, &Uri::from_static("/login"))
    }

    #[test]
    fn only_our_own_pages_send_forms() {
        assert!(from_us(&[("sec-fetch-site", "same-origin"), ("origin", "https://whatever.example.org")]));
        assert!(!from_us(&[("sec-fetch-site", "cross-site")]));
        assert!(!from_us(&[("sec-fetch-site", "same-site"), ("origin", "https://gate.example.org")]));
        assert!(from_us(&[("origin", "https://gate.example.org"), ("host", "gate.example.org")]));
        assert!(from_us(&[("origin", "http://localhost:8080"), ("host", "localhost:8080")]));
        assert!(!from_us(&[("origin", "https://evil.example.com"), ("host", "gate.example.org")]));
        assert!(!from_us(&[("origin", "null"), ("host", "gate.example.org")]));
        assert!(from_us(&[("host", "gate.example.org")]));
    }

    #[test]
    fn an_origin_that_cannot_be_read_is_foreign() {
        let mut headers = HeaderMap::new();
        headers.insert("origin", HeaderValue::from_bytes(b"https://\xff").unwrap());
        assert!(!is_from_us(&headers, &Uri::from_static("/login")));
    }
}
