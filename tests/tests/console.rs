//! The console in a real browser: what a developer does from the login to the reasons of a refusal. Pictures of every page are kept in
//! `target/test-screenshots`, for people to look at.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

use e2e::{
    browser::Browser,
    engine::Keyword,
    registry::Registry,
    server::{EMAIL, PASSWORD, Server},
    web::{self, Visitor, header},
};
use image::pack::File;

/// Logs in through the form.
fn log_in(browser: &Browser, password: &str) {
    browser.fill("#email", EMAIL);
    browser.fill("#password", password);
    browser.click("main button[type=submit]");
}

/// The browser and the page must have nothing to complain about; the page must fit into its window.
#[track_caller]
fn is_in_order(browser: &Browser, name: &str) {
    assert_eq!(browser.complaints(), Vec::<String>::new(), "on {}", browser.path());
    for (width, suffix) in [(1280, ""), (400, "-narrow")] {
        browser.width(width);
        browser.picture(&format!("{name}{suffix}"));
        let overflow = browser.script("return document.documentElement.scrollWidth - document.documentElement.clientWidth");
        assert_eq!(overflow, 0, "{} is wider than a window of {width} pixels", browser.path());
    }
    browser.width(1280);
}

#[test]
fn from_login_to_verdict() {
    let server = Server::start();
    let browser = Browser::start();
    browser.go(&server.url("/"));
    assert!(browser.path().starts_with("/login"), "{}", browser.path());
    is_in_order(&browser, "login");
    log_in(&browser, "not the password");
    browser.wait_for_text("[role=alert]", "password is wrong");
    browser.picture("login-refused");
    // The browser notes the status of the refusal; nothing else may be noted.
    let complaints = browser.complaints();
    assert!(complaints.iter().all(|line| line.contains("401")), "{complaints:?}");
    log_in(&browser, PASSWORD);
    browser.wait_for_text("h1", "Engines");
    assert_eq!(browser.path(), "/engines");
    browser.wait_for_text("main", "No engines yet");
    is_in_order(&browser, "engines-empty");

    let engine = registers_an_engine(&browser);
    sees_a_build_come_to_its_verdict(&server, &browser, &engine);
    sees_why_a_build_is_invalid(&server, &browser, &engine);
    sees_what_an_engine_tried_to_reach(&server, &browser, &engine);
    sees_a_push_of_nobody(&server, &browser, &engine);
    submits_a_build_and_sees_the_queue(&server, &browser, &engine);
    sees_the_people_and_what_they_did(&server, &browser);
    answers_for_a_vulnerability_and_opens_a_repository(&server, &browser);
    browser.go(&server.url("/engines"));

    browser.click(".account button");
    browser.wait_for_text("h1", "Log in");
    browser.go(&server.url(&format!("/engines/{engine}")));
    browser.wait_for_text("h1", "Log in");
    // After the login people are where they wanted to be.
    log_in(&browser, PASSWORD);
    browser.wait_for_text("h1", "Harbour words");
    assert_eq!(browser.path(), format!("/engines/{engine}"));
    server.is_well();
}

/// Fills in the form; returns the id of the engine.
fn registers_an_engine(browser: &Browser) -> String {
    browser.click("a[href='/engines/new']");
    browser.wait_for_text("h1", "Register an engine");
    browser.fill("#name", "Harbour words");
    browser.fill("#description", "Finds the words that matter.");
    browser.click("#category option[value=keyword]");
    browser.click("input[name=deployment_model][value=FullyNetworkIsolated]");
    is_in_order(browser, "engine-new");
    browser.click("main button[type=submit]");
    browser.wait_for_text("h1", "Harbour words");
    browser.wait_for_text("main", "No builds yet");
    let path = browser.path();
    let id = path.strip_prefix("/engines/").unwrap().to_owned();
    // Everything needed to push is there to be copied.
    browser.wait_for_text("main", &format!("\"engineId\": \"{id}\""));
    browser.wait_for_text("main", "docker login 127.0.0.1:");
    browser.wait_for_text("main", "docker push 127.0.0.1:");
    is_in_order(browser, "engine-without-builds");
    id
}

/// The page of a build is open before the verdict, and shows it by itself.
fn sees_a_build_come_to_its_verdict(server: &Server, browser: &Browser, engine: &str) {
    let slow = Keyword::new(engine).slow_to_start();
    Registry::of(server).push(&slow.pack().build().unwrap(), "1/words", "v1");
    let build = e2e::wait_for("build", || server.api().builds(engine).pop());
    browser.go(&server.url(&format!("/engines/{engine}")));
    browser.wait_for_text("main", "Build 1");
    browser.click(&format!("a[href='/builds/{}']", build.id()));
    browser.wait_for_text("h1", "Build 1");
    browser.wait_for_text("[data-live=verdict]", "fetching");
    browser.wait_for_text("#log-lines", "loading the model");
    browser.picture("build-running");
    browser.script("window.untouched = true");
    browser.wait_for_text("[data-live=verdict]", "available");
    browser.wait_for_text("#log-lines", "verdict: available");
    browser.wait_for_text("[data-live=history]", "available");
    assert_eq!(browser.script("return window.untouched"), true, "the page was loaded anew instead of being kept up to date");
    browser.wait_for_text("main", "no advisory database");
    is_in_order(browser, "build-available");
}

fn sees_why_a_build_is_invalid(server: &Server, browser: &Browser, engine: &str) {
    let misspelt = Keyword::new(engine).with_line(r#""label":{}"#, r#""lable":{}"#);
    Registry::of(server).push(&misspelt.pack().build().unwrap(), "1/words", "v2");
    let build = server.api().verdicts(engine, 2).remove(0).is("invalid");
    browser.go(&server.url(&format!("/engines/{engine}")));
    browser.wait_for_text("main", "Build 2");
    is_in_order(browser, "engine-with-builds");
    browser.go(&server.url(&format!("/builds/{}", build.id())));
    let verdict = browser.wait_for_text("[data-live=verdict]", "invalid");
    // One cause is one finding, in whatever number of ways it shows.
    assert!(verdict.contains("Not accepted: Result: .object[0] has lable where label should be"), "{verdict}");
    let findings = browser.wait_for_text("[data-live=judgement]", "lable");
    for words in ["Why", "Fix", "Reproduce", "plimsoll check", "/docs/checks/output"] {
        assert!(findings.contains(words), "{words:?} is not among the findings: {findings}");
    }
    is_in_order(browser, "build-invalid");
    browser.click("article.finding a[href='/docs/checks/output']");
    browser.wait_for_text("article.prose h1", "");
    assert_eq!(browser.path(), "/docs/checks/output");
    is_in_order(browser, "check-page");
    browser.go(&server.url("/docs/checks"));
    browser.wait_for_text("h1", "Checks");
    is_in_order(browser, "checks");
}

/// An engine that calls out is refused with the destination in words, and its page lists everything it tried.
fn sees_what_an_engine_tried_to_reach(server: &Server, browser: &Browser, engine: &str) {
    let calls = r#"let _ = TcpStream::connect(("api.example.com", 443)); let _ = TcpStream::connect("192.0.2.1:80"); let port = "#;
    Registry::of(server).push(&Keyword::new(engine).with_line("let port = ", calls).pack().build().unwrap(), "1/words", "v3");
    let build = server.api().verdicts(engine, 3).remove(0).is("invalid");
    let build = build.blamed_for(&["network", "api.example.com:443"]).blamed_for(&["network", "192.0.2.1:80"]);
    browser.go(&server.url(&format!("/builds/{}", build.id())));
    let table = browser.wait_for_text("section[aria-labelledby=network]", "api.example.com:443");
    for words in ["3 destinations, all refused.", "tcp", "dns", "refused", "isolated: nothing outside may be reached", "/keyword (pid 1)"] {
        assert!(table.contains(words), "{words:?} is not in the table: {table}");
    }
    let heads = browser.script("return document.querySelectorAll('section[aria-labelledby=network] :is(thead th[scope=col], tbody th[scope=row], caption)').length");
    assert_eq!(heads, 6 + 3 + 1);
    is_in_order(browser, "build-network");
}

/// Asks for a review, after reading what that means.
fn submits_a_build_and_sees_the_queue(server: &Server, browser: &Browser, engine: &str) {
    let builds = server.api().builds(engine);
    let build = builds.last().unwrap().clone().is("available");
    let page = format!("/builds/{}", build.id());
    browser.go(&server.url(&page));
    browser.click(&format!("a[href='{page}/act/submit']"));
    browser.wait_for_text(".consequences", "");
    is_in_order(browser, "build-submit");
    browser.click("main form button[type=submit]");
    browser.wait_for_text("[data-live=verdict]", "awaiting the decision");
    is_in_order(browser, "build-awaiting");
    browser.go(&server.url("/review"));
    browser.wait_for_text("main", "Harbour words");
    is_in_order(browser, "review");
    browser.go(&server.url(&format!("{page}/act/approve")));
    browser.wait_for_text("h1", "");
    is_in_order(browser, "build-approve");
}

fn sees_the_people_and_what_they_did(server: &Server, browser: &Browser) {
    for (path, words, name) in [("/people", EMAIL, "people"), ("/audit", EMAIL, "audit"), ("/v3/graphiql", "", "graphiql")] {
        browser.go(&server.url(path));
        browser.wait_for_text("main", words);
        is_in_order(browser, name);
    }
}

fn answers_for_a_vulnerability_and_opens_a_repository(server: &Server, browser: &Browser) {
    browser.go(&server.url("/waivers?vulnerability=CVE-2026-1"));
    browser.wait_for_text("main", "Nobody answers");
    is_in_order(browser, "waivers-empty");
    browser.fill("#reason", "The code is never called.");
    browser.click("main form button[type=submit]");
    browser.wait_for_text("main", "Take back");
    is_in_order(browser, "waivers");
    browser.go(&server.url("/repositories"));
    browser.wait_for_text("main", "Let anybody pull");
    browser.click("main form button[type=submit]");
    browser.wait_for_text("main", "Close");
    is_in_order(browser, "repositories");
}

fn sees_a_push_of_nobody(server: &Server, browser: &Browser, engine: &str) {
    let none = Keyword::new(engine).pack_with(File::new("var/other.json", 0o644, "{}"));
    Registry::of(server).push(&none.build().unwrap(), "1/lost", "v1");
    server.api().unclaimed_of("1/lost");
    browser.go(&server.url("/engines"));
    browser.wait_for_text("main", "Harbour words");
    browser.wait_for_text(".notice", "See why");
    is_in_order(browser, "engines");
    browser.click(".notice a");
    browser.wait_for_text("h1", "Unclaimed pushes");
    let shown = browser.wait_for_text("main", "1/lost:v1");
    assert!(shown.contains("/var/manifest.json") && shown.contains("Fix"), "{shown}");
    is_in_order(browser, "unclaimed");
}

/// The page is for everybody, and works without a script: the form is sent as forms are.
#[test]
fn a_result_is_pasted_and_explained() {
    let server = Server::start();
    let browser = Browser::start();
    browser.go(&server.url("/docs/checks"));
    browser.click("a[href='/tools/validate']");
    browser.wait_for_text("h1", "Validate a result");
    is_in_order(&browser, "validate");
    let labels = browser
        .script("return [...document.querySelectorAll('main :is(select, textarea, input)')].every(field => field.labels.length === 1)");
    assert_eq!(labels, true);
    browser.click("#contract option[value=keyword]");
    browser.fill(
        "#document",
        "{\"validationContracts\": [\"keyword\"], \"object\": [{\"type\": \"keyword\", \"lable\": \"sea\", \"confidence\": 90}]}",
    );
    browser.click("main form button[type=submit]");
    let shown = browser.wait_for_text("main", "does not keep the contract keyword: 2 faults");
    for words in
        [".object[0] has lable where label should be", "document:1:49", "should be <= 1", "Write confidence as a fraction from 0 to 1"]
    {
        assert!(shown.contains(words), "{words:?} is not in the page: {shown}");
    }
    is_in_order(&browser, "validate-faults");
    browser.fill("#document", "{\"validationContracts\": [\"keyword\"], \"object\": [{\"type\": \"keyword\", \"label\": \"sea\"}]}");
    browser.click("main form button[type=submit]");
    browser.wait_for_text("main", "The document keeps the contract keyword.");
    is_in_order(&browser, "validate-good");
    server.is_well();
}

#[test]
fn every_page_is_guarded() {
    let server = Server::start();
    let api = server.api();
    let engine = api.create_engine("Keywords", "keyword");
    Registry::of(&server).push(&Keyword::new(&engine).pack().build().unwrap(), "1/words", "v1");
    let build = api.verdict(&engine).is("available");
    let visitor = Visitor::login(server.address(), EMAIL, PASSWORD);
    let (engine, build) = (format!("/engines/{engine}"), format!("/builds/{}", build.id()));
    let guarded = ["/engines", "/engines/new", &engine, &build, &format!("{build}/log"), "/unclaimed"];
    let open = ["/login", "/docs/checks", "/docs/checks/manifest", "/tools/validate"];
    for path in guarded.into_iter().chain(open).chain(["/no-such-page", "/builds/none", "/engines/none"]) {
        let answer = visitor.get(path);
        let value = |name: &str| header(&answer, name).unwrap_or_else(|| panic!("{path} has no {name}"));
        let policy = value("content-security-policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!((value("x-content-type-options"), value("x-frame-options")), ("nosniff".into(), "DENY".into()), "{path}");
        assert_eq!((value("referrer-policy"), value("cache-control")), ("same-origin".into(), "no-store".into()), "{path}");
    }
    let stranger = web::client();
    for path in guarded {
        let answer = stranger.get(server.url(path)).header("accept", "text/html").send().unwrap();
        let to = header(&answer, "location").unwrap_or_default();
        assert!(answer.status() == 303 && to.starts_with("/login?next="), "{path}: {} {to}", answer.status());
    }
    for path in [format!("/v3{build}/report"), format!("{build}/events")] {
        let answer = stranger.get(server.url(&path)).send().unwrap();
        assert!([303, 401].contains(&answer.status().as_u16()) && !answer.text().unwrap().contains("engineId"), "{path}");
    }
    let forged =
        stranger.post(server.url("/login")).header("origin", "https://evil.example.com").body("email=a&password=b").send().unwrap();
    assert_eq!(forged.status(), 403);
    server.is_well();
}
