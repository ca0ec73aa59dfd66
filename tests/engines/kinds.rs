//! An engine of every kind, good and bad: the first argument says how it behaves. Only the standard library, so that it is one static program.

use std::{
    env, fs,
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    process::exit,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

const KEYWORDS: &str = r#"{"validationContracts":["keyword"],"object":[{"type":"keyword","label":"harbour","confidence":0.9}]}"#;

/// Calls of the process hook so far.
static CALLS: AtomicUsize = AtomicUsize::new(0);

fn main() {
    let how = env::args().nth(1).unwrap_or_default();
    println!("engine of the kind {how}");
    if how == "/engine" {
        println!("started as a driver: there is no controller");
        thread::sleep(Duration::from_secs(3600));
    }
    if how == "calls-driver" {
        use std::os::unix::process::CommandExt;
        let error = std::process::Command::new("/opt/aiware/engine").args(["/engine", "needs-driver"]).env("AIWARE_SECRET", "x").exec();
        panic!("the driver cannot be called: {error}");
    }
    if how == "needs-driver" && env::var_os("AIWARE_SECRET").is_some() {
        panic!("AIWARE_SECRET was passed on");
    }
    match how.strip_prefix("batch-").or(how.strip_prefix("pull-")) {
        Some(task) => task_engine(&how, task),
        None => webhook(&how),
    }
}

// --- talking HTTP ---------------------------------------------------------------------------------------------------------------------

struct Request {
    path: String,
    body: Vec<u8>,
}

impl Request {
    /// The content of a file of the form.
    fn file(&self, name: &str) -> &[u8] {
        let find = |from: usize, mark: &[u8]| self.body[from..].windows(mark.len()).position(|part| part == mark).map(|at| from + at);
        let boundary = [b"\r\n", &self.body[..find(0, b"\r\n").unwrap_or_default()]].concat();
        let content = find(0, format!("name=\"{name}\"").as_bytes()).and_then(|at| find(at, b"\r\n\r\n")).map(|at| at + 4);
        content.and_then(|from| Some(&self.body[from..find(from, &boundary)?])).unwrap_or_default()
    }

    /// A text field of the form.
    fn field(&self, name: &str) -> String {
        let text = String::from_utf8_lossy(&self.body);
        let start = text.find(&format!("name=\"{name}\"\r\n\r\n")).map(|at| at + name.len() + 11);
        start.and_then(|at| text[at..].split("\r\n").next()).unwrap_or_default().to_owned()
    }
}

fn read_request(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let (mut line, mut length) = (String::new(), 0);
    reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        match header.trim_end().split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.trim().parse().ok()?,
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { path, body })
}

fn answer(mut stream: &TcpStream, status: &str, kind: &str, body: &[u8]) {
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
}

fn result(stream: &TcpStream, text: &str) {
    answer(stream, "200 OK", "application/json", text.as_bytes());
}

/// Sends a request; gives status and body.
fn ask(method: &str, url: &str, headers: &str, body: &[u8]) -> (u16, String) {
    let rest = url.strip_prefix("http://").unwrap_or(url);
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let Ok(mut stream) = TcpStream::connect(host) else { return (0, String::new()) };
    let head = format!("{method} /{path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\n{headers}Connection: close\r\n\r\n", body.len());
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
    let mut text = Vec::new();
    let _ = stream.read_to_end(&mut text);
    let text = String::from_utf8_lossy(&text).into_owned();
    let status = text.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    (status, text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}

fn post_json(url: &str, body: &str) -> u16 {
    ask("POST", url, "Content-Type: application/json\r\n", body.as_bytes()).0
}

/// The value of a key in JSON text, the first time it occurs.
fn json_text(text: &str, key: &str) -> String {
    let start = text.find(&format!("\"{key}\":\"")).map(|at| at + key.len() + 4);
    start.and_then(|at| text[at..].split('"').next()).unwrap_or_default().to_owned()
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

// --- webhook engines ------------------------------------------------------------------------------------------------------------------

fn webhook(how: &str) {
    if how == "exits" {
        eprintln!("no model in /models");
        exit(3);
    }
    let address = match how {
        "wrong-port" => "0.0.0.0:9090",
        "ipv6" => "[::1]:8080",
        "loopback" => "127.0.0.1:8080",
        _ => "0.0.0.0:8080",
    };
    let listener = TcpListener::bind(address).unwrap_or_else(|error| panic!("cannot listen on {address}: {error}"));
    for stream in listener.incoming().flatten() {
        let how = how.to_owned();
        thread::spawn(move || {
            if let Some(request) = read_request(&stream) {
                if request.path.starts_with("/ready") { ready(&how, &stream) } else { process(&how, &request, stream) }
            }
        });
    }
}

fn ready(how: &str, stream: &TcpStream) {
    match how {
        "gives-up" => answer(stream, "500 Internal Server Error", "text/plain", b"the model is broken"),
        "never-ready" => answer(stream, "503 Service Unavailable", "text/plain", b"loading"),
        "ready-redirects" => redirect(stream),
        _ => answer(stream, "200 OK", "text/plain", b"ok"),
    }
}

fn redirect(mut stream: &TcpStream) {
    let _ = stream.write_all(b"HTTP/1.1 302 Found\r\nLocation: http://example.com/elsewhere\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
}

fn process(how: &str, request: &Request, mut stream: TcpStream) {
    let call = CALLS.fetch_add(1, Ordering::SeqCst);
    let media = how.starts_with("media");
    let listed = request.field("chunkMimeType").starts_with(if media { "video/mp4" } else { "text/plain" });
    if !listed {
        match how {
            "crashes-on-unlisted" => exit(139),
            "takes-everything" => return result(&stream, KEYWORDS),
            "unlisted-204" => return answer(&stream, "204 No Content", "text/plain", b""),
            _ => return answer(&stream, "415 Unsupported Media Type", "text/plain", b"text alone, please"),
        }
    }
    let write = |mut stream: &TcpStream, text: &[u8]| stream.write_all(text).is_ok();
    match how {
        "ignores" => answer(&stream, "204 No Content", "text/plain", b""),
        "fails" => answer(&stream, "500 Internal Server Error", "text/plain", b"KeyError: 'label'"),
        "retried" if call == 0 => answer(&stream, "503 Service Unavailable", "text/plain", b"not yet"),
        "tired" if call > 4 => answer(&stream, "500 Internal Server Error", "text/plain", b"out of handles"),
        "closes-early" => drop(stream.shutdown(Shutdown::Both)),
        "cuts-body" => drop(write(&stream, b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{\"object\":")),
        "not-http" => drop(write(&stream, b"SSH-2.0-OpenSSH_9.2\r\n")),
        "redirects" => redirect(&stream),
        "wrong-type" => answer(&stream, "200 OK", "text/html", KEYWORDS.as_bytes()),
        "empty" => result(&stream, ""),
        "not-utf8" => answer(&stream, "200 OK", "application/json", b"{\"object\":[{\"type\":\"keyword\",\"label\":\"caf\xe9\"}]}"),
        "lable" => result(&stream, &KEYWORDS.replace("label", "lable")),
        "percent" => result(&stream, &KEYWORDS.replace("0.9", "90")),
        "language-name" => result(&stream, &KEYWORDS.replace("\"object\"", "\"language\":\"English\",\"object\"")),
        "sure" => {
            let one = r#"{"type":"keyword","label":"harbour","confidence":1.0}"#;
            result(&stream, &format!(r#"{{"validationContracts":["keyword"],"object":[{}]}}"#, [one; 3].join(",")));
        }
        "media-copies" => answer(&stream, "200 OK", "video/mp4", request.file("chunk")),
        "media-lies" => answer(&stream, "200 OK", "video/mp4", b"two seconds of moving shapes"),
        "unnamed" => result(&stream, &KEYWORDS.replace("\"validationContracts\":[\"keyword\"],", "")),
        "differs" => result(&stream, &KEYWORDS.replace("0.9", &format!("0.{}", call % 9 + 1))),
        "http10" => drop(write(&stream, format!("HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{KEYWORDS}").as_bytes())),
        "pieces" => in_pieces(&stream, call),
        "endless-chunks" => stalls(&stream),
        "ten-gigabytes" => {
            write(&stream, b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10000000000\r\n\r\n");
            let block = vec![b' '; 1 << 20];
            while stream.write_all(&block).is_ok() {}
        }
        "reads-cache" => reads_cache(request, &stream),
        "poll" => polls(request, &stream),
        "deletes-engine" => {
            api(&request.field("veritoneApiBaseUrl"), &request.field("token"), "mutation { deleteEngine(id: \"1\") { id } }");
            result(&stream, KEYWORDS);
        }
        "asks-for-others" => {
            api(&request.field("veritoneApiBaseUrl"), &request.field("token"), "{ task(id: \"19104428_GvNQ57jXtG_1\") { id status } }");
            result(&stream, KEYWORDS);
        }
        "foreign-heartbeat" => {
            post_json(&request.field("heartbeatWebhook"), r#"{"status":"running","taskId":"19104428_other"}"#);
            result(&stream, KEYWORDS);
        }
        "key-values" => key_values(request, &stream),
        _ if how.starts_with("async") || how.starts_with("stream") => later(how, request, stream),
        _ => result(&stream, KEYWORDS),
    }
}

/// The first answer takes more than a second from its head to its end.
fn in_pieces(mut stream: &TcpStream, call: usize) {
    if call > 0 {
        return result(stream, KEYWORDS);
    }
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", KEYWORDS.len());
    let _ = stream.write_all(head.as_bytes());
    for piece in KEYWORDS.as_bytes().chunks(10) {
        thread::sleep(Duration::from_millis(90));
        let _ = stream.write_all(piece);
    }
}

fn stalls(mut stream: &TcpStream) {
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"obj\r\n");
    thread::sleep(Duration::from_secs(3600));
}

/// Fetches its input by HEAD, by Range and as a whole.
fn reads_cache(request: &Request, stream: &TcpStream) {
    let uri = request.field("cacheURI");
    let (whole, part, head) = (ask("GET", &uri, "", b""), ask("GET", &uri, "Range: bytes=4-10\r\n", b""), ask("HEAD", &uri, "", b""));
    let has_chunk = String::from_utf8_lossy(&request.body).contains("name=\"chunk\"");
    if (whole.0, part.0, head.0, has_chunk) == (200, 206, 200, false) && whole.1[4..11] == part.1 {
        return result(stream, KEYWORDS);
    }
    answer(stream, "500 Internal Server Error", "text/plain", format!("{} {} {} {has_chunk}", whole.0, part.0, head.0).as_bytes());
}

fn polls(request: &Request, stream: &TcpStream) {
    if request.field("payload").contains("\"step\":\"2\"") {
        return result(stream, KEYWORDS);
    }
    result(stream, r#"{"type":"schedule_poll_task","nextPollTimeUTC":"2000-01-01T00:00:00Z","taskPayload":{"step":"2"}}"#);
}

fn key_values(request: &Request, stream: &TcpStream) {
    let key = format!("{}/keys/t{}/step?ttlInSeconds=60", request.field("redisETUrl"), request.field("internalTaskId"));
    let foreign = format!("{}/keys/tother/step", request.field("redisETUrl"));
    let (put, got) = (ask("POST", &key, "Content-Type: text/plain\r\n", b"7"), ask("GET", &key, "", b""));
    if (put.0, got.0, got.1.as_str(), ask("GET", &foreign, "", b"").0) == (200, 200, "7", 404) {
        return result(stream, KEYWORDS);
    }
    answer(stream, "500 Internal Server Error", "text/plain", format!("{put:?} {got:?}").as_bytes());
}

/// Answers at once and reports by its hooks.
fn later(how: &str, request: &Request, stream: TcpStream) {
    let (beat, hook) = (request.field("heartbeatWebhook"), request.field("resultWebhook"));
    let context = request.field("chunkContext");
    match how {
        "stream-ack" => result(&stream, r#"{"status":"accepted"}"#),
        _ => result(&stream, r#"{"estimatedProcessingTimeInSeconds":1}"#),
    }
    drop(stream);
    let heartbeat = |status: &str| post_json(&beat, &format!(r#"{{"status":"{status}","infoMsg":{{"words":1}}}}"#));
    let send = || post_json(&hook, &format!(r#"{{"output":{KEYWORDS},"chunkContext":"{context}","startOffsetMs":0,"endOffsetMs":0}}"#));
    match how {
        "async-silent" => return,
        "async-fails" => drop(post_json(&beat, r#"{"status":"failed","failureReason":"invalid_data","failureMsg":"no words in it"}"#)),
        "async-nothing" => drop(heartbeat("complete")),
        "async-form" => {
            let part = format!(
                "--b\r\nContent-Disposition: form-data; name=\"multipart\"\r\n\r\ntrue\r\n--b\r\nContent-Disposition: form-data; name=\"f\"; \
                 filename=\"a.json\"\r\nContent-Type: application/json\r\n\r\n{KEYWORDS}\r\n--b--\r\n"
            );
            ask("POST", &hook, "Content-Type: multipart/form-data; boundary=b\r\n", part.as_bytes());
        }
        "async-context" => drop(post_json(&hook, &format!(r#"{{"output":{KEYWORDS},"chunkContext":"another:0"}}"#))),
        "async-late" => {
            send();
            heartbeat("complete");
            send();
            heartbeat("running");
        }
        _ if how.starts_with("stream") => {
            heartbeat("running");
            send();
            heartbeat("running");
            heartbeat("complete");
        }
        _ => drop(send()),
    }
}

// --- engines that are started with a task ----------------------------------------------------------------------------------------------

fn api(base: &str, token: &str, query: &str) -> String {
    let body = format!("{{\"query\":{}}}", quoted(query));
    let headers = format!("Authorization: Bearer {token}\r\nContent-Type: application/json\r\n");
    ask("POST", &format!("{base}/v3/graphql"), &headers, body.as_bytes()).1
}

/// A plain form with one file.
fn api_form(base: &str, token: &str, query: &str, file: &str) -> String {
    let form = format!(
        "--b\r\nContent-Disposition: form-data; name=\"query\"\r\n\r\n{query}\r\n--b\r\nContent-Disposition: form-data; name=\"file\"; \
         filename=\"a.json\"\r\nContent-Type: application/json\r\n\r\n{file}\r\n--b--\r\n"
    );
    let headers = format!("Authorization: Bearer {token}\r\nContent-Type: multipart/form-data; boundary=b\r\n");
    ask("POST", &format!("{base}/v3/graphql"), &headers, form.as_bytes()).1
}

fn task_engine(how: &str, what: &str) {
    let payload = fs::read_to_string(env::var("PAYLOAD_FILE").unwrap_or_default()).unwrap_or_else(|error| panic!("PAYLOAD_FILE: {error}"));
    let text = |key: &str| json_text(&payload, key);
    let (base, token, task, job) = (text("veritoneApiBaseUrl"), text("token"), text("taskId"), text("jobId"));
    let ask_api = |query: &str| api(&base, &token, query);
    let update = |fields: &str| ask_api(&format!("mutation {{ updateTask(input: {{id: \"{task}\", jobId: \"{job}\", {fields}}}) {{ id status }} }}"));
    update("status: running");
    let upload = || api_form(&base, &token, &format!("mutation {{ uploadEngineResult(input: {{taskId: \"{task}\", completeTask: false}}) {{ id }} }}"), KEYWORDS);
    match (how, what) {
        (_, "exits") => {
            eprintln!("no model in /models");
            exit(1);
        }
        (_, "hangs") => thread::sleep(Duration::from_secs(3600)),
        (_, "fails") => {
            update("status: failed, failureReason: invalid_data, failureMessage: \"nothing to read\", output: {error: \"nothing\"}");
        }
        (_, "nothing") => drop(update("status: complete, output: {}")),
        (_, "forgets") => drop(upload()),
        (_, "pauses") => drop(update("status: paused")),
        (_, "wakes") if payload.contains("\"isCallback\":true") => {
            assert_eq!(text("data"), "ticket 7");
            good_task(&base, &token, &text("recordingId"), upload, update);
        }
        (_, "wakes") => {
            let jwt = ask_api(&format!("mutation {{ getEngineJWT(input: {{engineId: \"{}\", resource: {{jobId: \"{job}\", taskId: \"{task}\"}}}}) {{ token }} }}", env::var("ENGINE_ID").unwrap_or_default()));
            assert!(!json_text(&jwt, "token").is_empty(), "{jwt}");
            ask("POST", &text("externalCallbackWebhook"), "Content-Type: text/plain\r\n", b"ticket 7");
            update("status: paused");
        }
        (_, "endless") => {
            let create = format!("mutation {{ createAsset(input: {{containerId: \"{}\", type: \"text\", contentType: \"text/plain\"}}) {{ id }} }}", text("recordingId"));
            (0..300).for_each(|_| drop(api_form(&base, &token, &create, "x")));
            upload();
            update("status: complete, output: {}");
        }
        (_, "tdo") => {
            let file = ask("GET", &text("url"), "", b"").1;
            let made = ask_api("mutation { createTDO(input: {startDateTime: 1716200000, stopDateTime: \"2024-05-20T10:14:20Z\", status: \"recorded\"}) { id } }");
            let id = json_text(&made, "id");
            let create = format!("mutation {{ createAsset(input: {{containerId: \"{id}\", type: \"media\", contentType: \"text/plain\", details: {{a: 1}}}}) {{ id signedUri }} }}");
            api_form(&base, &token, &create, &file);
            update(&format!("status: complete, output: {{recordingId: \"{id}\"}}"));
        }
        (_, "with-asset") => {
            let create = "mutation { createTDOWithAsset(input: {startDateTime: 1716200000, type: \"media\", contentType: \"text/plain\"}) { id } }";
            let id = json_text(&api_form(&base, &token, create, "words"), "id");
            update(&format!("status: complete, output: {{recordingId: \"{id}\"}}"));
        }
        (_, "data") => {
            ask_api("mutation { createStructuredData(input: {schemaId: \"2a9b3c8e-1111-4222-8333-444455556666\", data: {temperature: [1, 2]}}) { id } }");
            update("status: complete, output: {}");
        }
        _ => good_task(&base, &token, &text("recordingId"), upload, update),
    }
}

/// Everything as it should be: assets, signedUri, result, complete.
fn good_task(base: &str, token: &str, recording: &str, upload: impl Fn() -> String, update: impl Fn(&str) -> String) {
    let schema = api(base, token, "{ __schema { mutationType { fields { name } } } }");
    let query = format!("{{ temporalDataObject(id: \"{recording}\") {{ assets(type: \"media\") {{ records {{ id signedUri }} }} }} myRights {{ operations }} me {{ id }} }}");
    let input = ask("GET", &json_text(&api(base, token, &query), "signedUri"), "", b"");
    if !schema.contains("uploadEngineResult") || input.0 != 200 || input.1.len() < 100 {
        eprintln!("the input could not be read: HTTP {}", input.0);
        exit(1);
    }
    upload();
    update("status: complete, output: {}");
}
