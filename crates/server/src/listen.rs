//! Connections: how many at one time, and how long one may take to say what it wants. Whoever dawdles loses the connection, whoever comes
//! when the house is full is told so, and everybody else is served as ever.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Request},
};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use tower_http::timeout::TimeoutBody;

/// Clients that are told at one time that there is no room; more are cut off without a word.
const TURNED_AWAY: usize = 64;

/// How long telling them may take.
const TELLING: Duration = Duration::from_secs(1);

/// A client that does not read what it is sent, or is gone without a word, is given up after this time.
const UNREAD: Duration = Duration::from_secs(120);

/// Caps on connections.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at one time.
    pub connections: usize,
    /// Longest time for the head of a request to arrive, and for a connection to rest between two.
    pub head: Duration,
    /// Longest silence in the body of a request, where nobody else watches it.
    pub body_idle: Duration,
    /// How long requests in progress may take once the server is told to stop.
    pub grace: Duration,
}

/// Serves until `stop` is cancelled, and then until the requests in progress have ended, within bounds.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, stop: CancellationToken) {
    let (room, doorstep) = (Arc::new(Semaphore::new(limits.connections)), Arc::new(Semaphore::new(TURNED_AWAY)));
    let mut open = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
            Some(_) = open.join_next() => continue,
        };
        match accepted {
            Ok((stream, peer)) => {
                if let Ok(slot) = Arc::clone(&room).try_acquire_owned() {
                    let (router, stop) = (router.clone(), stop.clone());
                    open.spawn(async move {
                        connection(stream, peer, router, limits, stop).await;
                        drop(slot);
                    });
                } else if let Ok(slot) = Arc::clone(&doorstep).try_acquire_owned() {
                    open.spawn(async move {
                        // Whether the client hears it is its own affair.
                        let _ = timeout(TELLING, turn_away(stream)).await;
                        drop(slot);
                    });
                }
            }
            Err(error) => {
                // Such as too many open files: accepting again at once would only spin.
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    let ended = async { while open.join_next().await.is_some() {} };
    if timeout(limits.grace, ended).await.is_err() {
        tracing::warn!("some requests did not end in time; they are cut off");
    }
}

async fn turn_away(mut stream: TcpStream) -> std::io::Result<()> {
    let body = "{\"errors\":[{\"code\":\"TOOMANYREQUESTS\",\"message\":\"the server has as many connections as it takes; try again in a moment\"}]}";
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 5\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    // Closed with something unread, the connection would be reset and the answer lost.
    stream.take(64 << 10).read_to_end(&mut Vec::new()).await?;
    Ok(())
}

async fn connection(stream: TcpStream, peer: SocketAddr, router: Router, limits: Limits, stop: CancellationToken) {
    // Without the first, small answers wait 40 ms for an acknowledgement. A socket that takes neither still works.
    let _ = stream.set_nodelay(true);
    let _ = rustix::net::sockopt::set_tcp_user_timeout(&stream, UNREAD.as_millis() as u32);
    let asked = Arc::new(AtomicBool::new(false));
    let service = {
        let asked = Arc::clone(&asked);
        service_fn(move |request: hyper::Request<Incoming>| {
            asked.store(true, Ordering::Relaxed);
            router.clone().oneshot(prepared(request, peer, limits.body_idle))
        })
    };
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.head);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(limits.head).keep_alive_timeout(limits.head);
    builder.http2().max_header_list_size(64 << 10).max_concurrent_streams(100);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    // The library's own timer begins when it knows which version of the protocol it is, so somebody who never says would stay.
    let mut first = std::pin::pin!(sleep(limits.head));
    let (mut watched, mut stopping) = (true, false);
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%peer, error, "a connection ended early");
                }
                return;
            }
            () = stop.cancelled(), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
            () = first.as_mut(), if watched => {
                watched = false;
                if !asked.load(Ordering::Relaxed) {
                    return;
                }
            }
        }
    }
}

/// The registry watches the bodies of its requests itself, and answers who falls silent.
fn prepared(request: hyper::Request<Incoming>, peer: SocketAddr, body_idle: Duration) -> Request {
    let path = request.uri().path();
    let watches = path.starts_with("/v2/") && path != "/v2/token";
    let mut request = match watches {
        true => request.map(Body::new),
        false => request.map(|body| Body::new(Box::pin(TimeoutBody::new(body_idle, body)))),
    };
    request.extensions_mut().insert(ConnectInfo(peer));
    request
}
