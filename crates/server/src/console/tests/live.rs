//! Pages that follow a build.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, BodyDataStream},
    http::{Request, header},
};
use futures_util::StreamExt;
use model::{
    build::BuildStatus,
    id::{BuildId, OrganizationId},
    report::Verdict,
    run::{LogLine, Stream},
};
use tower::ServiceExt;

use super::world::World;
use crate::{app::App, console::views::fixtures};

/// Far longer than anything here takes; reached only when something never comes.
const PATIENCE: Duration = Duration::from_secs(20);

struct Events {
    stream: BodyDataStream,
    text: String,
}

impl Events {
    async fn open(world: &World, path: &str, last: Option<&str>) -> Self {
        let mut request = Request::get(path).header(header::COOKIE, world.cookie().await);
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = world.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { stream: response.into_body().into_data_stream(), text: String::new() }
    }

    /// Reads until `wanted` was sent.
    async fn until(&mut self, wanted: &str) {
        while !self.text.contains(wanted) {
            let next = tokio::time::timeout(PATIENCE, self.stream.next()).await;
            let chunk = next.unwrap_or_else(|_| panic!("{wanted:?} never came, only {}", self.text));
            self.text.push_str(std::str::from_utf8(&chunk.expect("the stream goes on").unwrap()).unwrap());
        }
    }

    /// Reads to the end.
    async fn rest(mut self) -> String {
        while let Some(chunk) = tokio::time::timeout(PATIENCE, self.stream.next()).await.expect("the stream ends") {
            self.text.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
        }
        self.text
    }
}

fn write(app: &Arc<App>, build: BuildId, text: &str) {
    let line = LogLine { at_ms: 5, stream: Stream::Stdout, text: text.into() };
    assert!(app.logs.append_to(build).unwrap().append(&line).unwrap());
}

/// What the page of a build would listen to.
async fn address(world: &World, build: BuildId) -> String {
    let page = world.get(&format!("/builds/{build}"), &world.cookie().await).await;
    let (_, rest) = page.body.split_once("data-events=\"").expect("the page is live");
    rest.split_once('"').unwrap().0.replace("&#38;", "&")
}

async fn fetching() -> (World, BuildId) {
    let world = World::new().await;
    let engine = world.engine(OrganizationId(1), "Word list").await;
    let build = world.build(engine, BuildStatus::Fetching).await;
    (world, build)
}

#[tokio::test]
async fn lines_and_changes_come_as_they_happen() {
    let (world, build) = fetching().await;
    write(&world.app, build, "before the page");
    let address = address(&world, build).await;
    let mut events = Events::open(&world, &address, None).await;
    write(&world.app, build, "first <line>");
    world.app.tell(build);
    events.until("first &#60;line&#62;").await;
    assert!(!events.text.contains("event: changed") && !events.text.contains("before the page"), "{}", events.text);

    world.report(build, &fixtures::report(Verdict::Running)).await;
    world.app.tell(build);
    events.until("event: changed\ndata: fetching").await;

    write(&world.app, build, "last line");
    world.status(build, BuildStatus::Fetching, BuildStatus::Available).await;
    world.app.tell(build);
    let text = events.rest().await;
    let order = ["first &#60;line", "event: changed\ndata: fetching", "last line", "event: changed\ndata: available", "event: end"];
    let places: Vec<_> = order.iter().map(|part| text.find(part).unwrap_or_else(|| panic!("{part} is missing in {text}"))).collect();
    assert!(places.is_sorted(), "{places:?} in {text}");
    assert_eq!(text.matches("first &#60;line").count(), 1);
}

#[tokio::test]
async fn whoever_comes_back_gets_what_was_missed_once() {
    let (world, build) = fetching().await;
    let address = address(&world, build).await;
    write(&world.app, build, "one");
    let mut events = Events::open(&world, &address, None).await;
    events.until("\n\n").await;
    let id = events.text.lines().find_map(|line| line.strip_prefix("id: ")).expect("lines have an id").to_owned();
    drop(events);
    write(&world.app, build, "two");
    world.status(build, BuildStatus::Fetching, BuildStatus::Invalid).await;
    let text = Events::open(&world, &address, Some(&id)).await.rest().await;
    assert!(text.contains(">two<") && !text.contains(">one<") && text.contains("event: end"), "{text}");
}

#[tokio::test]
async fn a_build_that_is_final_ends_at_once() {
    let (world, build) = fetching().await;
    world.status(build, BuildStatus::Fetching, BuildStatus::Available).await;
    write(&world.app, build, "all of it");
    for from in ["0", "18446744073709551615", "-1", "x"] {
        let text = Events::open(&world, &format!("/builds/{build}/events?from={from}"), None).await.rest().await;
        assert!(text.contains("event: end"), "{text}");
    }
    let page = world.get(&format!("/builds/{build}"), &world.cookie().await).await;
    page.assert_has(&["all of it"]);
    assert!(!page.body.contains("data-events") && !page.body.contains("build.js"));
}

#[tokio::test]
async fn lost_notifications_lose_no_line() {
    let (world, build) = fetching().await;
    let address = address(&world, build).await;
    let mut events = Events::open(&world, &address, None).await;
    write(&world.app, build, "first");
    world.app.tell(build);
    events.until("first").await;
    // More than the channel holds, all for others: ours is among those that were dropped.
    write(&world.app, build, "second");
    world.app.tell(build);
    for _ in 0..5_000 {
        world.app.tell(BuildId(uuid::Uuid::nil()));
    }
    events.until("second").await;
}

#[tokio::test]
async fn the_log_is_a_file_too() {
    let (world, build) = fetching().await;
    write(&world.app, build, "\u{1b}[31mred\u{1b}[0m <b>");
    let answer = world.get(&format!("/builds/{build}/log"), &world.cookie().await).await;
    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert_eq!(answer.body, "         5 stdout red <b>\n");
}
