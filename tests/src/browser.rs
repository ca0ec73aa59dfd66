//! A real browser: headless Chromium, driven through chromedriver (WebDriver over HTTP).

use std::{
    fs,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Stdio},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use reqwest::{Method, blocking::Client};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    built,
    program::{absent, program},
    server::terminate,
    wait_for, web,
};

/// Key under which WebDriver names an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser with one window.
pub struct Browser {
    client: Client,
    session: String,
    base: String,
    driver: Option<Child>,
    _profile: TempDir,
}

impl Browser {
    /// Starts Chromium with an empty profile.
    ///
    /// # Panics
    /// When it or its driver does not start.
    pub fn start() -> Self {
        let chromium = program("chromium").arg("--version").output();
        chromium.unwrap_or_else(|error| absent(&program("chromium"), &error));
        let profile = tempfile::tempdir().unwrap();
        let mut command = program("chromedriver");
        command.args(["--port=0", "--log-level=WARNING"]).env("TMPDIR", profile.path()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut driver = command.spawn().unwrap_or_else(|error| absent(&command, &error));
        let mut said = BufReader::new(driver.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut before = Vec::new();
        let port = said.find_map(|line| {
            let port = line.split_once("successfully on port ").map(|(_, port)| port.trim_end_matches('.').to_owned());
            before.push(line);
            port
        });
        let port =
            port.unwrap_or_else(|| panic!("chromedriver ended ({:?}) without saying on which port it listens: {before:?}", driver.wait()));
        std::thread::spawn(move || said.for_each(drop));
        let base = format!("http://127.0.0.1:{port}/session");
        let mut browser = Self { client: web::client(), session: String::new(), base, driver: Some(driver), _profile: profile };
        browser.open();
        browser
    }

    fn open(&mut self) {
        let mut arguments: Vec<String> = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--window-size=1280,1000",
        ]
        .map(str::to_owned)
        .into();
        arguments.push(format!("--user-data-dir={}", self._profile.path().join("profile").display()));
        let options = json!({ "args": arguments });
        let wanted = json!({ "browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": { "browser": "ALL" } });
        let answer = self.call(Method::POST, "", &json!({ "capabilities": { "alwaysMatch": wanted } }));
        self.session = format!("/{}", answer["sessionId"].as_str().unwrap());
    }

    /// One command of WebDriver; returns its value.
    #[track_caller]
    fn call(&self, method: Method, path: &str, body: &Value) -> Value {
        let answer = self.try_call(method, path, body);
        answer.unwrap_or_else(|error| panic!("the browser refused {path}: {error:#}"))
    }

    fn try_call(&self, method: Method, path: &str, body: &Value) -> Result<Value, Value> {
        let mut request = self.client.request(method.clone(), format!("{}{}{path}", self.base, self.session));
        if method == Method::POST {
            request = request.json(body);
        }
        let answer = request.send().unwrap();
        let good = answer.status().is_success();
        let value = answer.json::<Value>().unwrap()["value"].take();
        if good { Ok(value) } else { Err(value) }
    }

    /// Goes to an address.
    #[track_caller]
    pub fn go(&self, url: &str) {
        self.call(Method::POST, "/url", &json!({ "url": url }));
    }

    /// Where it is: the path.
    #[track_caller]
    pub fn path(&self) -> String {
        let url = self.call(Method::GET, "/url", &Value::Null);
        let url = url.as_str().unwrap().to_owned();
        url.split_once("://").and_then(|(_, rest)| rest.find('/').map(|at| rest[at..].to_owned())).unwrap_or(url)
    }

    fn find(&self, css: &str) -> Option<String> {
        let found = self.try_call(Method::POST, "/element", &json!({ "using": "css selector", "value": css })).ok()?;
        found[ELEMENT].as_str().map(str::to_owned)
    }

    /// Waits for an element.
    #[track_caller]
    fn element(&self, css: &str) -> String {
        wait_for(&format!("{css} on {}", self.path()), || self.find(css))
    }

    /// The text people see in an element, once it is there.
    #[track_caller]
    pub fn text(&self, css: &str) -> String {
        // The page may be replaced between finding and reading.
        wait_for(&format!("text of {css}"), || {
            let element = self.find(css)?;
            self.try_call(Method::GET, &format!("/element/{element}/text"), &Value::Null).ok()
        })
        .as_str()
        .unwrap()
        .to_owned()
    }

    /// Waits until the text of an element contains `words`; returns all of it.
    #[track_caller]
    pub fn wait_for_text(&self, css: &str, words: &str) -> String {
        wait_for(&format!("{words:?} in {css} on {}", self.path()), || Some(self.text(css)).filter(|text| text.contains(words)))
    }

    /// Clicks on an element, once it is there.
    #[track_caller]
    pub fn click(&self, css: &str) {
        let element = self.element(css);
        self.call(Method::POST, &format!("/element/{element}/click"), &json!({}));
    }

    /// Types into a field.
    #[track_caller]
    pub fn fill(&self, css: &str, text: &str) {
        let element = self.element(css);
        self.call(Method::POST, &format!("/element/{element}/clear"), &json!({}));
        self.call(Method::POST, &format!("/element/{element}/value"), &json!({ "text": text }));
    }

    /// Runs a script in the page; returns what it returns.
    #[track_caller]
    pub fn script(&self, script: &str) -> Value {
        self.call(Method::POST, "/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// What the page and the browser complained about since it was last asked.
    #[track_caller]
    pub fn complaints(&self) -> Vec<String> {
        let entries = self.call(Method::POST, "/se/log", &json!({ "type": "browser" }));
        entries.as_array().unwrap().iter().map(|entry| entry["message"].to_string()).collect()
    }

    /// Makes the window so wide, in pixels.
    #[track_caller]
    pub fn width(&self, width: u32) {
        self.call(Method::POST, "/window/rect", &json!({ "width": width, "height": 1000 }));
    }

    /// Keeps a picture of the whole page in `target/test-screenshots`, for people.
    ///
    /// # Panics
    /// When it cannot be made.
    #[track_caller]
    pub fn picture(&self, name: &str) -> PathBuf {
        let folder = built().parent().unwrap().join("test-screenshots");
        fs::create_dir_all(&folder).unwrap();
        let full = json!({ "cmd": "Page.captureScreenshot", "params": { "captureBeyondViewport": true } });
        let picture = self.call(Method::POST, "/goog/cdp/execute", &full);
        let bytes = BASE64_STANDARD.decode(picture["data"].as_str().unwrap()).unwrap();
        let path = folder.join(format!("{name}.png"));
        fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if std::thread::panicking() && !self.session.is_empty() {
            let source = self.try_call(Method::GET, "/source", &Value::Null).unwrap_or_default();
            eprintln!("\n--- the page ---\n{}", source.as_str().unwrap_or_default());
        }
        // Ends Chromium; the driver alone would leave it.
        let _ = self.client.delete(format!("{}{}", self.base, self.session)).send();
        if let Some(driver) = self.driver.take() {
            terminate(driver);
        }
    }
}
