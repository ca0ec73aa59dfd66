//! Pages, forms and who may see what.

use axum::{
    body::Body,
    http::{Request, header},
};
use model::{
    build::BuildStatus,
    digest::Digest,
    id::{OrganizationId, UnclaimedPushId},
    report::Verdict,
};
use store::unclaimed_pushes::{self, UnclaimedPush};
use uuid::Uuid;

use super::world::{EMAIL, OTHER, PASSWORD, World, post};
use crate::{
    clock,
    console::{assets, views::fixtures},
};

const ORG: OrganizationId = OrganizationId(1);

#[tokio::test]
async fn in_and_out() {
    let world = World::new().await;
    let answer = world.get("/engines?page=2", "").await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (303, "/login?next=%2Fengines%3Fpage%3D2"));
    world.get("/login?next=%2Fengines%3Fpage%3D2", "").await.assert_has(&["name=\"next\" value=\"/engines?page=2\""]);
    world.get("/login?next=https://evil.example.com", "").await.assert_has(&["name=\"next\" value=\"/engines\""]);

    let form = |password| [("email", EMAIL), ("password", password), ("next", "/builds/7")];
    let answer = world.post("/login", "", &form("wrong")).await;
    assert_eq!(answer.status, 401);
    answer.assert_has(&["The user name or the password is wrong", "value=\"dev@example.org\""]);
    assert!(!answer.headers.contains_key("set-cookie"));

    let answer = world.post("/login", "", &form(PASSWORD)).await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (303, "/builds/7"));
    let set = answer.header("set-cookie").to_owned();
    assert!(set.contains("; HttpOnly") && set.contains("; SameSite=Strict") && set.contains("; Path=/"), "{set}");
    let cookie = set.split(';').next().unwrap();

    let answer = world.get("/engines", cookie).await;
    answer.assert_has(&["No engines yet", EMAIL]);
    assert_eq!(answer.header("cache-control"), "no-store");
    let policy = answer.header("content-security-policy");
    assert!(
        policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"),
        "{policy}"
    );
    assert_eq!(world.get("/login", cookie).await.header("location"), "/engines");

    let answer = world.post("/logout", cookie, &[]).await;
    assert!(answer.header("set-cookie").contains("Max-Age=0"));
    assert_eq!(world.get("/engines", cookie).await.status, 303);
}

#[tokio::test]
async fn guessing_is_told_to_wait() {
    let world = World::new().await;
    for _ in 0..5 {
        assert_eq!(world.post("/login", "", &[("email", EMAIL), ("password", "wrong")]).await.status, 401);
    }
    let answer = world.post("/login", "", &[("email", EMAIL), ("password", PASSWORD)]).await;
    assert_eq!(answer.status, 429);
    answer.assert_has(&["Too many attempts; try again in "]);
    assert!(answer.header("retry-after").parse::<u64>().unwrap() >= 1);
}

#[tokio::test]
async fn a_link_from_elsewhere_finds_the_cookie() {
    let world = World::new().await;
    let asked = |cookie: &str| {
        let request = Request::get("/engines?page=2").header("sec-fetch-site", "cross-site").header(header::COOKIE, cookie);
        request.body(Body::empty()).unwrap()
    };
    let answer = world.ask(asked("")).await;
    assert_eq!(answer.status, 200);
    answer.assert_has(&["http-equiv=\"refresh\"", "url=/engines?page=2"]);
    assert_eq!(world.ask(asked("plimsoll_session=dead")).await.status, 303);
}

#[tokio::test]
async fn an_engine_is_registered() {
    let world = World::new().await;
    let cookie = world.cookie().await;
    let form = |category| {
        [("name", "Word <list>"), ("description", "Finds words"), ("category", category), ("deployment_model", "FullyNetworkIsolated")]
    };
    let answer = world.post("/engines", &cookie, &form("cooking")).await;
    assert_eq!(answer.status, 400);
    answer.assert_has(&["choose what the engine does", "value=\"Word &#60;list&#62;\""]);
    let long = "x".repeat(201);
    let answer = world.post("/engines", &cookie, &[("name", &long), ("category", "keyword"), ("deployment_model", "HumanReview")]).await;
    assert_eq!(answer.status, 400);
    answer.assert_has(&["1 to 200 characters"]);

    let answer = world.post("/engines", &cookie, &form("keyword")).await;
    assert_eq!(answer.status, 303);
    let page = answer.header("location").to_owned();
    let id = page.strip_prefix("/engines/").unwrap();
    let answer = world.get(&page, &cookie).await;
    let push = format!("docker push {}", world.app.image_reference("1/word-list", "v1"));
    answer.assert_has(&[
        "Word &#60;list&#62;",
        &push,
        &format!("&#34;engineId&#34;: &#34;{id}&#34;"),
        "--tls-verify=false",
        "No builds yet",
    ]);
    world.get("/engines", &cookie).await.assert_has(&[&page, "pending", "none yet"]);
}

#[tokio::test]
async fn forms_of_other_sites_do_nothing() {
    let world = World::new().await;
    let cookie = world.cookie().await;
    let form = [("name", "Evil"), ("category", "keyword"), ("deployment_model", "HumanReview")];
    let mut request = post("/engines", &cookie, &form);
    request.headers_mut().insert("sec-fetch-site", "cross-site".parse().unwrap());
    let answer = world.ask(request).await;
    assert_eq!(answer.status, 403);
    answer.assert_has(&["another site"]);
    world.get("/engines", &cookie).await.assert_has(&["No engines yet"]);
}

#[tokio::test]
async fn what_belongs_to_others_does_not_exist() {
    let world = World::new().await;
    world.person("stranger@example.org", OTHER, "developer,reviewer,admin,operator").await;
    let engine = world.engine(OTHER, "Theirs").await;
    let build = world.build(engine, BuildStatus::Available).await;
    let cookie = world.cookie().await;
    let theirs = world.cookie_of("stranger@example.org").await;
    for path in
        [format!("/engines/{engine}"), format!("/builds/{build}"), format!("/builds/{build}/log"), format!("/builds/{build}/events")]
    {
        let answer = world.get(&path, &cookie).await;
        assert_eq!(answer.status, 404, "{path}");
        answer.assert_has(&["There is nothing here"]);
        assert_eq!(world.get(&path, &theirs).await.status, 200, "{path}");
        assert_eq!(world.get(&path, "").await.status, 303, "{path}");
    }
    let nil = Uuid::nil();
    for path in
        [format!("/engines/{nil}"), format!("/builds/{nil}"), "/engines/x".into(), "/builds/..%2f..%2fetc".into(), "/docs/checks/x".into()]
    {
        assert_eq!(world.get(&path, &cookie).await.status, 404, "{path}");
    }
    assert!(!world.get("/engines", &cookie).await.body.contains("Theirs"));
}

#[tokio::test]
async fn a_reviewer_reads_and_does_not_register() {
    let world = World::new().await;
    world.person("rev@example.org", ORG, "reviewer").await;
    let cookie = world.cookie_of("rev@example.org").await;
    let answer = world.get("/engines", &cookie).await;
    assert_eq!(answer.status, 200);
    assert!(!answer.body.contains("/engines/new"));
    let answer = world.get("/engines/new", &cookie).await;
    assert_eq!(answer.status, 403);
    answer.assert_has(&["needs the role developer"]);
    let form = [("name", "Mine"), ("category", "keyword"), ("deployment_model", "HumanReview")];
    assert_eq!(world.post("/engines", &cookie, &form).await.status, 403);
    world.get("/engines", &cookie).await.assert_has(&["No engines yet"]);
}

#[tokio::test]
async fn long_lists_have_pages() {
    let world = World::new().await;
    let engine = world.engine(ORG, "Many").await;
    for _ in 0..21 {
        world.build(engine, BuildStatus::Invalid).await;
    }
    let cookie = world.cookie().await;
    let first = world.get(&format!("/engines/{engine}"), &cookie).await;
    first.assert_has(&["Build 21<", "Build 2<", &format!("href=\"/engines/{engine}?page=2\"")]);
    assert!(!first.body.contains("Build 1<"));
    let second = world.get(&format!("/engines/{engine}?page=2"), &cookie).await;
    second.assert_has(&["Build 1<", &format!("href=\"/engines/{engine}\"")]);
    assert!(!second.body.contains("Build 2<"));
}

#[tokio::test]
async fn a_build_shows_its_report() {
    let world = World::new().await;
    let engine = world.engine(ORG, "Word list").await;
    let build = world.build(engine, BuildStatus::Invalid).await;
    let cookie = world.cookie().await;
    let page = format!("/builds/{build}");
    world.get(&page, &cookie).await.assert_has(&["Not accepted", "The report can be downloaded here as soon as there is one"]);
    world.document(build, "{\"broken\": true}").await;
    world.get(&page, &cookie).await.assert_has(&["Not accepted", "written by another version", &format!("/v3/builds/{build}/report")]);
    world.report(build, &fixtures::report(Verdict::Invalid)).await;
    let answer = world.get(&page, &cookie).await;
    answer.assert_has(&["Result of keyword-1 has no label", "--category keyword", "Nothing was written so far"]);
    world.get(&format!("/engines/{engine}"), &cookie).await.assert_has(&["1 error, 1 warning"]);
}

#[tokio::test]
async fn unclaimed_pushes_are_shown_to_their_owner() {
    let world = World::new().await;
    let push = |organization, reason: &str| UnclaimedPush {
        id: UnclaimedPushId(clock::new_id()),
        organization,
        repository: format!("{organization}/a"),
        tag: "rc1".into(),
        digest: Digest::of(reason.as_bytes()),
        code: "manifest.missing".into(),
        reason: reason.into(),
        fix: "Copy it there".into(),
        pushed_by: EMAIL.into(),
        created_at: 0,
    };
    let mut tx = world.app.db.write().await.unwrap();
    unclaimed_pushes::upsert(&mut tx, &[push(ORG, "There is no manifest"), push(OTHER, "Their secret")]).await.unwrap();
    tx.commit().await.unwrap();
    let cookie = world.cookie().await;
    let answer = world.get("/unclaimed", &cookie).await;
    answer.assert_has(&["There is no manifest", "Copy it there", "1/a:rc1"]);
    assert!(!answer.body.contains("Their secret"));
    world.get("/engines", &cookie).await.assert_has(&["1 push became no build", "href=\"/unclaimed\""]);
}

#[tokio::test]
async fn everybody_may_read_about_checks_and_fetch_files() {
    let world = World::new().await;
    let list = world.get("/docs/checks", "").await;
    let check = checks::CHECKS[0].id;
    list.assert_has(&[&format!("href=\"/docs/checks/{check}\""), "href=\"/login\""]);
    let page = world.get(&format!("/docs/checks/{check}"), "").await;
    page.assert_has(&["<h1>"]);
    assert_eq!(world.get(&format!("/docs/checks/{check}.some.rule"), "").await.body, page.body);

    let answer = world.get(&assets::url("console.css"), "").await;
    assert_eq!(
        (answer.header("content-type"), answer.header("cache-control")),
        ("text/css; charset=utf-8", "public, max-age=31536000, immutable")
    );
    let answer = world.get("/assets/000000000000/console.css", "").await;
    assert_eq!((answer.status.as_u16(), answer.header("cache-control")), (404, "no-store"));
}

#[tokio::test]
async fn unknown_addresses_are_told_in_the_form_that_was_asked_for() {
    let world = World::new().await;
    world.get("/nowhere", "").await.assert_has(&["There is nothing here", "href=\"/engines\""]);
    let answer = world.ask(Request::get("/v3/nowhere").body(Body::empty()).unwrap()).await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (404, "application/json"));
    let answer = world.ask(Request::delete("/engines").body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, 405);
    answer.assert_has(&["does not answer DELETE"]);
    let answer = world.post("/login", "", &[("email", &"x".repeat(2 << 20))]).await;
    assert_eq!(answer.status, 400);
    answer.assert_has(&["The form could not be read"]);
}

#[tokio::test]
async fn a_token_is_made_shown_once_and_revoked() {
    let world = World::new().await;
    let cookie = world.cookie().await;
    world.get("/tokens", &cookie).await.assert_has(&["No tokens yet", "New robot token"]);
    let robot = [("kind", "robot"), ("name", "ci"), ("repository", "1/words"), ("pull", "yes"), ("push", "yes"), ("days", "7")];
    let answer = world.post("/tokens", &cookie, &robot).await;
    assert_eq!((answer.status.as_u16(), answer.header("cache-control")), (201, "no-store"));
    let token = answer.body.split("plimsoll-robot-").nth(1).unwrap().get(..64).unwrap();
    assert!(token.bytes().all(|b| b.is_ascii_hexdigit()));
    answer.assert_has(&["docker login --username robot", "1/words: pull,"]);
    let list = world.get("/tokens", &cookie).await;
    list.assert_has(&["1/words: pull, push"]);
    assert!(!list.body.contains(token));

    for (field, value, says) in
        [("repository", "2/words", "organization 2 is not yours"), ("name", "", "what the token is for"), ("days", "9999", "Choose an end")]
    {
        let form: Vec<(&str, &str)> = robot.iter().map(|(name, old)| (*name, if *name == field { value } else { *old })).collect();
        let answer = world.post("/tokens", &cookie, &form).await;
        assert_eq!(answer.status, 400, "{field}");
        answer.assert_has(&[says, "role=\"alert\""]);
    }
    world.person("rev@example.org", ORG, "reviewer").await;
    let other = world.cookie_of("rev@example.org").await;
    let revoke = list.body.split("action=\"").find(|part| part.contains("/revoke")).unwrap().split('"').next().unwrap().to_owned();
    assert_eq!(world.post(&revoke, &other, &[]).await.status, 404);
    assert!(!world.get("/tokens", &other).await.body.contains("1/words: pull"));
    assert_eq!(world.post("/tokens", &other, &robot).await.status, 403);
    assert_eq!(world.post(&revoke, &cookie, &[]).await.header("location"), "/tokens");
    world.get("/tokens", &cookie).await.assert_has(&["No tokens yet"]);
    assert_eq!(world.get("/tokens", "").await.status, 303);
}

#[tokio::test]
async fn somebody_answers_for_a_vulnerability_and_takes_it_back() {
    let world = World::new().await;
    world.person("rev@example.org", ORG, "reviewer").await;
    world.person("dev2@example.org", ORG, "developer").await;
    world.person("other@example.org", OTHER, "developer").await;
    let engine = world.engine(ORG, "Words").await.to_string();
    let (reviewer, developer) = (world.cookie_of("rev@example.org").await, world.cookie_of("dev2@example.org").await);

    let page = format!("/waivers?vulnerability=CVE-2026-1&package=openssl&engine={engine}");
    world.get(&page, &reviewer).await.assert_has(&["value=\"CVE-2026-1\"", "value=\"openssl\"", "Words only", "No waivers."]);
    let foreign = world.engine(OTHER, "Theirs").await;
    assert_eq!(world.get(&format!("/waivers?engine={foreign}"), &reviewer).await.status, 404);

    let form = |reason, days| {
        let words = [("vulnerability", "CVE-2026-1"), ("package", "openssl"), ("engine", engine.as_str()), ("only", "yes")];
        [words.as_slice(), &[("reason", reason), ("days", days), ("until_fixed", "yes")]].concat()
    };
    let refused = world.post("/waivers", &reviewer, &form("", "30")).await;
    assert_eq!(refused.status, 400);
    refused.assert_has(&["role=\"alert\"", "value=\"CVE-2026-1\"", "name=\"until_fixed\" value=\"yes\" checked"]);
    assert_eq!(world.post("/waivers", &reviewer, &form("not reachable", "soon")).await.status, 400);
    assert_eq!(world.post("/waivers", &developer, &form("not reachable", "30")).await.status, 403);
    let made = world.post("/waivers", &reviewer, &form("not reachable", "30")).await;
    assert_eq!((made.status.as_u16(), made.header("location")), (303, "/waivers"));

    let list = world.get("/waivers", &reviewer).await;
    list.assert_has(&["not reachable", "one engine", "or a version that mends it", "Take back"]);
    assert!(!world.get("/waivers", &developer).await.body.contains("Take back"));
    let id = list.body.split("/waivers/").nth(1).unwrap().split('/').next().unwrap().to_owned();
    let revoke = format!("/waivers/{id}/revoke");
    assert_eq!(world.post(&revoke, &developer, &[]).await.status, 403);
    assert_eq!(world.post(&revoke, &reviewer, &[]).await.status, 303);
    let again = world.post(&revoke, &reviewer, &[]).await;
    assert_eq!(again.status, 400);
    again.assert_has(&["was revoked before", "revoked</span>"]);
}

#[tokio::test]
async fn a_repository_is_opened_to_everybody_and_closed_again() {
    let world = World::new().await;
    world.person("admin@example.org", ORG, "admin").await;
    world.person("dev2@example.org", ORG, "developer").await;
    let mut tx = world.app.db.write().await.unwrap();
    for (name, organization) in [("1/words", 1), ("2/theirs", 2)] {
        let insert = sqlx::query("INSERT INTO repositories (name, organization_id, created_at) VALUES ($1, $2, 0)");
        insert.bind(name).bind(organization).execute(&mut *tx).await.unwrap();
    }
    tx.commit().await.unwrap();
    let (admin, developer) = (world.cookie_of("admin@example.org").await, world.cookie_of("dev2@example.org").await);
    let form = |name, public| [("name", name), ("public", public)];
    let list = world.get("/repositories", &developer).await;
    list.assert_has(&["1/words", "the organization"]);
    assert!(!list.body.contains("2/theirs") && !list.body.contains("Let anybody pull"));
    assert_eq!(world.post("/repositories", &developer, &form("1/words", "yes")).await.status, 403);
    assert_eq!(world.post("/repositories", &admin, &form("2/theirs", "yes")).await.status, 404);
    assert_eq!(world.post("/repositories", &admin, &form("1/words", "yes")).await.status, 303);
    world.get("/repositories", &admin).await.assert_has(&["anybody</span>", "Close"]);
    assert_eq!(world.post("/repositories", &admin, &form("1/words", "no")).await.status, 303);
    world.get("/repositories", &admin).await.assert_has(&["Let anybody pull"]);
}

#[tokio::test]
async fn words_that_no_form_sends_change_nothing() {
    let world = World::new().await;
    world.person("admin@example.org", ORG, "admin").await;
    let (admin, developer) = (world.cookie_of("admin@example.org").await, world.cookie().await);
    let rules = |hours, days| [("deed", "settings"), ("name", "Harbour"), ("target_hours", hours), ("override_days", days)];
    for (hours, days, says) in
        [("soon", "7", "targetHours"), ("7", "a week", "overrideDays"), ("7", "", "overrideDays"), ("-1", "7", "targetHours")]
    {
        let refused = world.post("/people", &admin, &rules(hours, days)).await;
        assert_eq!(refused.status, 400, "{hours} {days}");
        refused.assert_has(&[says, "role=\"alert\""]);
    }
    assert_eq!(world.post("/people", &admin, &rules("7", "9")).await.status, 303);
    world.get("/people", &admin).await.assert_has(&["name=\"override_days\" inputmode=\"numeric\" required value=\"9\""]);

    let engine = world.engine(ORG, "Words").await;
    let build = world.build(engine, BuildStatus::Available).await;
    let notes = format!("/builds/{build}/notes");
    for kind in ["praise", "", "Comment"] {
        assert_eq!(world.post(&notes, &developer, &[("kind", kind), ("text", "well done")]).await.status, 400, "{kind:?}");
    }
    assert!(!world.get(&format!("/builds/{build}"), &developer).await.body.contains("well done"));
    assert_eq!(world.post(&notes, &developer, &[("kind", "comment"), ("text", "well done")]).await.status, 303);
    world.get(&format!("/builds/{build}"), &developer).await.assert_has(&["well done"]);
}
