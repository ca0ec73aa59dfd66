//! Answers that are read. Who sends a megabyte and is refused at its first byte finds a broken connection where the answer should be, because a
//! connection that is closed with bytes unread is reset. So what a refused request still sends is read away first, within bounds.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    body::{Body, BodyDataStream},
    extract::Request,
    http::header,
    middleware::Next,
    response::Response,
};
use futures_util::{StreamExt, stream};
use registry::incoming::Incoming;

/// Most that is read of it, bytes.
const MOST: usize = 32 << 20;

/// How long the client may be silent meanwhile.
const PATIENCE: Duration = Duration::from_secs(5);

/// Reads the rest of a request that is refused. A client that waits to be asked for its body, and was not, sends none.
pub async fn read_away(request: Request, next: Next) -> Response {
    let waits = request.headers().contains_key(header::EXPECT);
    let (parts, body) = request.into_parts();
    let sent = Arc::new(Sent { body: Mutex::new(body.into_data_stream()), was_asked: AtomicBool::new(false) });
    let response = next.run(Request::from_parts(parts, lent(sent.clone()))).await;
    if response.status().is_client_error() {
        let waits = waits && !sent.was_asked.load(Ordering::Relaxed);
        Incoming::new(lent(sent), PATIENCE, waits).drain(MOST).await;
    }
    response
}

struct Sent {
    body: Mutex<BodyDataStream>,
    was_asked: AtomicBool,
}

/// The body, of which whoever asks next gets the next piece.
fn lent(sent: Arc<Sent>) -> Body {
    Body::from_stream(stream::poll_fn(move |context| {
        sent.was_asked.store(true, Ordering::Relaxed);
        sent.body.lock().unwrap_or_else(PoisonError::into_inner).poll_next_unpin(context)
    }))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::{Router, http::StatusCode, middleware::from_fn, routing::post};
    use tower::ServiceExt;

    use super::*;

    /// How many of 40 pieces of a megabyte are read of a request, and the answer's body.
    async fn read(path: &str, expect: bool) -> (usize, String) {
        let refuse = |request: Request| async move {
            let first = request.into_body().into_data_stream().next().await.unwrap().unwrap();
            (StatusCode::PAYLOAD_TOO_LARGE, format!("too much: {}", first.len()))
        };
        let routes = Router::new().route("/at-once", post(|| async { (StatusCode::FORBIDDEN, "no") }));
        let routes = routes.route("/later", post(refuse)).route("/good", post(|| async { "yes" })).layer(from_fn(read_away));
        let count = Arc::new(AtomicUsize::new(0));
        let counted = count.clone();
        let pieces = stream::iter(0..40).map(move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
            Ok::<_, std::io::Error>(vec![0; 1 << 20])
        });
        let mut request = Request::post(path);
        if expect {
            request = request.header(header::EXPECT, "100-continue");
        }
        let answer = routes.oneshot(request.body(Body::from_stream(pieces)).unwrap()).await.unwrap();
        let body = axum::body::to_bytes(answer.into_body(), 100).await.unwrap();
        (count.load(Ordering::SeqCst), String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_refused_body_is_read_away_as_far_as_is_reasonable() {
        assert_eq!(read("/at-once", false).await, (32, "no".to_owned()));
        assert_eq!(read("/later", false).await, (33, "too much: 1048576".to_owned()));
        assert_eq!(read("/good", false).await, (0, "yes".to_owned()));
        assert_eq!(read("/at-once", true).await, (0, "no".to_owned()));
        assert_eq!(read("/later", true).await, (33, "too much: 1048576".to_owned()));
    }
}
