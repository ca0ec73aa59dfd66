//! `GET` and `HEAD /files/{key}`: the bytes behind `cacheURI` and `signedUri`. The key in the address is the permission.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{Api, refusal};
use crate::desk::File;

pub(super) async fn named_file(State(api): State<Arc<Api>>, Path((key, _)): Path<(String, String)>, headers: HeaderMap) -> Response {
    answer(&api, &key, &headers)
}

pub(super) async fn file(State(api): State<Arc<Api>>, Path(key): Path<String>, headers: HeaderMap) -> Response {
    answer(&api, &key, &headers)
}

fn answer(api: &Api, key: &str, headers: &HeaderMap) -> Response {
    let Some(file) = api.desk.file(key) else {
        api.desk.refuse("file", "no such file");
        return refusal(StatusCode::NOT_FOUND, "not_found", "No file is at this address");
    };
    let asked = headers.get(header::RANGE).and_then(|value| value.to_str().ok()).map(|text| range(text, file.bytes.len() as u64));
    match asked {
        None | Some(Asked::Whole) => respond(&file, None),
        Some(Asked::Part(from, to)) => respond(&file, Some((from, to))),
        Some(Asked::Nothing) => {
            let size = format!("bytes */{}", file.bytes.len());
            (StatusCode::RANGE_NOT_SATISFIABLE, [(header::CONTENT_RANGE, size)]).into_response()
        }
    }
}

/// The body of a `HEAD` is dropped by the router, its length stays.
fn respond(file: &File, part: Option<(u64, u64)>) -> Response {
    let whole = file.bytes.len() as u64;
    let bytes = match part {
        Some((from, to)) => file.bytes.slice(from as usize..=to as usize),
        None => file.bytes.clone(),
    };
    let mut response = Response::new(Body::from(bytes));
    let kind = HeaderValue::from_str(&file.content_type).unwrap_or(HeaderValue::from_static("application/octet-stream"));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, kind);
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if let Some(value) = part.and_then(|(from, to)| HeaderValue::from_str(&format!("bytes {from}-{to}/{whole}")).ok()) {
        headers.insert(header::CONTENT_RANGE, value);
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    response
}

/// What a `Range` header asks for (RFC 9110 §14.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    /// Everything: the header is not understood, or names several ranges, which a server need not serve.
    Whole,
    /// First and last byte.
    Part(u64, u64),
    /// Nothing that is there.
    Nothing,
}

fn range(text: &str, size: u64) -> Asked {
    let Some(spec) = text.trim().strip_prefix("bytes=").filter(|spec| !spec.contains(',')) else { return Asked::Whole };
    let Some((from, to)) = spec.trim().split_once('-') else { return Asked::Whole };
    let number = |text: &str| text.trim().parse::<u64>().ok().filter(|_| text.trim().bytes().all(|b| b.is_ascii_digit()));
    match (from.trim().is_empty(), number(from), to.trim().is_empty(), number(to)) {
        (true, _, false, Some(last)) if last > 0 && size > 0 => Asked::Part(size.saturating_sub(last), size - 1),
        (true, _, false, Some(_)) => Asked::Nothing,
        (false, Some(from), true, _) if from < size => Asked::Part(from, size - 1),
        (false, Some(from), false, Some(to)) if from <= to && from < size => Asked::Part(from, to.min(size - 1)),
        (false, Some(from), false, Some(to)) if from > to => Asked::Whole,
        (false, Some(_), _, _) => Asked::Nothing,
        _ => Asked::Whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_the_standard() {
        for (text, asked) in [
            ("bytes=0-0", Asked::Part(0, 0)),
            ("bytes=2-", Asked::Part(2, 9)),
            ("bytes=2-99", Asked::Part(2, 9)),
            ("bytes=-3", Asked::Part(7, 9)),
            ("bytes=-99", Asked::Part(0, 9)),
            ("bytes=-0", Asked::Nothing),
            ("bytes=10-", Asked::Nothing),
            ("bytes=10-12", Asked::Nothing),
            ("bytes=5-4", Asked::Whole),
            ("bytes=0-1,3-4", Asked::Whole),
            ("bytes=a-b", Asked::Whole),
            ("bytes=+1-2", Asked::Whole),
            ("bytes=-", Asked::Whole),
            ("lines=1-2", Asked::Whole),
        ] {
            assert_eq!(range(text, 10), asked, "{text}");
        }
        assert_eq!(range("bytes=0-", 0), Asked::Nothing);
        assert_eq!(range("bytes=-1", 0), Asked::Nothing);
    }
}
