//! News of a build as they happen, as server-sent events: `log` with new lines, `changed` when the page should be read again, `end` when
//! nothing will change any more. A notification only says "look"; what is sent comes from the log file and the database, from where the
//! last event ended, so that nothing is lost when notifications are.

use std::{
    collections::VecDeque,
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use askama::Template;
use axum::{
    extract::{Path, RawQuery, State},
    http::HeaderMap,
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::stream;
use model::id::BuildId;
use store::{build_logs, builds, inventories};
use tokio::{sync::broadcast, time::timeout};

use super::{
    builds::{fingerprint, own, read_log},
    page::{PageError, parameter},
    views::{LogLines, is_moving},
    visitor::Visitor,
};
use crate::{app::App, auth::permission::Permission, error::Problem};

/// News that come within this time are sent together.
const GATHER: Duration = Duration::from_millis(100);

/// How often to look without being told.
const RECHECK: Duration = Duration::from_secs(10);

/// A connection ends after this time; the browser comes back and is asked again who it is.
const LIFE: Duration = Duration::from_secs(600);

/// `GET /builds/{id}/events?from=OFFSET&seen=FINGERPRINT`.
pub async fn stream(
    State(app): State<Arc<App>>,
    Visitor(caller): Visitor,
    Path(id): Path<String>,
    query: RawQuery,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    caller.require(Permission::ReadEngines)?;
    let build = own(&app, &caller, &id).await?.id;
    // A browser that comes back says which event it had last.
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let offset = last.or_else(|| parameter(&query, "from")).and_then(|text| text.parse().ok()).unwrap_or(0_u64);
    let watch = Watch {
        news: app.news.subscribe(),
        app,
        build,
        offset: offset.min(build_logs::MAX_BYTES),
        seen: parameter(&query, "seen").unwrap_or_default(),
        queue: VecDeque::new(),
        looked: false,
        over: false,
        until: Instant::now() + LIFE,
    };
    let events = stream::unfold(watch, |mut watch| async move { watch.next().await.map(|event| (Ok::<_, Infallible>(event), watch)) });
    let sse = Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(15)));
    // Some proxies hold answers back until they are complete.
    Ok(([("x-accel-buffering", "no")], sse).into_response())
}

struct Watch {
    app: Arc<App>,
    build: BuildId,
    news: broadcast::Receiver<BuildId>,
    offset: u64,
    seen: String,
    queue: VecDeque<Event>,
    looked: bool,
    over: bool,
    until: Instant,
}

impl Watch {
    /// The next event; `None` ends the connection.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.queue.pop_front() {
                return Some(event);
            }
            if self.over || (self.looked && !self.wait().await) {
                return None;
            }
            self.looked = true;
            // The error is in our log already; the browser comes back in a few seconds.
            self.look().await.ok()?;
        }
    }

    /// Waits until there may be news; false when the time of this connection is over.
    async fn wait(&mut self) -> bool {
        let began = Instant::now();
        loop {
            let left = RECHECK.saturating_sub(began.elapsed()).min(self.until.saturating_duration_since(Instant::now()));
            let news = tokio::select! {
                () = self.app.stop.cancelled() => return false,
                news = timeout(left, self.news.recv()) => news,
            };
            match news {
                Ok(Ok(build)) if build != self.build => {}
                Ok(Ok(_) | Err(broadcast::error::RecvError::Lagged(_))) => break,
                Ok(Err(broadcast::error::RecvError::Closed)) => return false,
                Err(_) => return Instant::now() < self.until,
            }
        }
        tokio::time::sleep(GATHER).await;
        // What came meanwhile is seen by the look that follows.
        self.news = self.news.resubscribe();
        true
    }

    /// Queues what is new. The status is read before the log: the lines of a build whose status is final are all there.
    async fn look(&mut self) -> Result<(), Problem> {
        let db = self.app.db.read();
        let Some(build) = builds::by_id(db, self.build).await? else {
            self.over = true;
            return Ok(());
        };
        let report = builds::report(db, self.build).await?;
        let (lines, offset) = read_log(&self.app, self.build, self.offset).await?;
        if !lines.is_empty() {
            let html = LogLines::new(&lines).render().map_err(|error| Problem::internal(&error))?;
            // JSON, because a line of an event cannot hold a line break.
            let data = serde_json::Value::String(html).to_string();
            self.queue.push_back(Event::default().event("log").id(offset.to_string()).data(data));
            self.offset = offset;
        }
        let now = fingerprint(build.status, build.life.phase, report.as_deref(), inventories::worsening_count(db, self.build).await?);
        if now != self.seen {
            self.queue.push_back(Event::default().event("changed").data(build.status.as_str()));
            self.seen = now;
        }
        if !is_moving(build.status) {
            self.queue.push_back(Event::default().event("end").data(build.status.as_str()));
            self.over = true;
        }
        Ok(())
    }
}
