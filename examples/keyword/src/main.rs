//! A small keyword engine: the words that occur most often in a text. One file, standard library only.
//!
//! `GET /ready` answers 200 as soon as it listens. `POST /process` takes a form with the input as file `chunk` or its address in
//! `cacheURI`, and answers a document of the contract `keyword`. It listens on 0.0.0.0, port 8080 or `$PORT`, and logs to standard output.

use std::{
    collections::HashMap,
    io::{self, BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

/// Largest head of a request, bytes.
const MAX_HEAD: u64 = 64 << 10;
/// Largest body, and largest input fetched, bytes.
const MAX_BODY: u64 = 32 << 20;
/// Requests answered at one time.
const MAX_BUSY: usize = 16;
/// Longest wait for the next bytes.
const PATIENCE: Duration = Duration::from_secs(30);
/// Keywords reported.
const MAX_KEYWORDS: usize = 10;

/// Words that say nothing about a text.
const STOP_WORDS: &str = " about after again all also and any are because been before being but can could did does down each few for from \
further had has have her here him his how into its just more most not now off once only other our out over own said same she should some \
such than that the their them then there these they this those through too under until very was were what when where which while who why \
will with without would you your ";

static BUSY: AtomicUsize = AtomicUsize::new(0);

fn main() -> io::Result<()> {
    let port = std::env::var("PORT").ok().and_then(|text| text.parse().ok()).unwrap_or(8080);
    let listener = TcpListener::bind(("0.0.0.0", port))?;
    log(&format!("listening on port {port}"));
    for stream in listener.incoming() {
        let Ok(stream) = stream else { continue };
        let started = std::thread::Builder::new().spawn(move || {
            let crowd = BUSY.fetch_add(1, Ordering::Relaxed);
            if let Err(error) = serve(stream, crowd >= MAX_BUSY) {
                log(&format!("connection lost: {error}"));
            }
            BUSY.fetch_sub(1, Ordering::Relaxed);
        });
        if let Err(error) = started {
            log(&format!("connection refused: {error}"));
        }
    }
    Ok(())
}

/// Writes one line of the log; an engine goes on when nobody reads it.
fn log(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// An answer.
struct Reply {
    status: &'static str,
    content_type: &'static str,
    body: String,
}

impl Reply {
    fn text(status: &'static str, body: impl Into<String>) -> Self {
        Self { status, content_type: "text/plain; charset=utf-8", body: body.into() }
    }
}

/// Answers one request and closes the connection.
fn serve(stream: TcpStream, too_busy: bool) -> io::Result<()> {
    let began = Instant::now();
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(&stream);
    let request = read_request(&mut reader, &stream)?;
    let reply = match &request {
        _ if too_busy => Reply::text("503 Service Unavailable", "busy, try again"),
        Err(refusal) => Reply::text(refusal.0, refusal.1),
        Ok(request) => route(request),
    };
    let content = match reply.body.len() {
        0 => String::new(),
        length => format!("Content-Type: {}\r\nContent-Length: {length}\r\n", reply.content_type),
    };
    let head = format!("HTTP/1.1 {}\r\n{content}Connection: close\r\n\r\n", reply.status);
    (&stream).write_all(head.as_bytes())?;
    (&stream).write_all(reply.body.as_bytes())?;
    let what = request.map_or_else(|refusal| refusal.1.to_owned(), |request| format!("{} {}", request.method, request.path));
    if what != "GET /ready" {
        log(&format!("{what}: {}, {} ms", reply.status, began.elapsed().as_millis()));
    }
    Ok(())
}

struct Request {
    method: String,
    path: String,
    content_type: String,
    body: Vec<u8>,
}

/// Status line and reason of a request that cannot be read.
struct Refusal(&'static str, &'static str);

fn read_request(reader: &mut impl BufRead, mut stream: &TcpStream) -> io::Result<Result<Request, Refusal>> {
    let mut head = reader.by_ref().take(MAX_HEAD).lines();
    let first = head.next().transpose()?.unwrap_or_default();
    let mut words = first.split(' ');
    let (Some(method), Some(path)) = (words.next(), words.next()) else {
        return Ok(Err(Refusal("400 Bad Request", "not an HTTP request")));
    };
    let mut headers = HashMap::new();
    for line in head {
        let line = line?;
        match line.split_once(':') {
            Some((name, value)) => headers.insert(name.to_ascii_lowercase(), value.trim().to_owned()),
            None if line.is_empty() => break,
            None => return Ok(Err(Refusal("400 Bad Request", "a header line without a colon"))),
        };
    }
    let header = |name: &str| headers.get(name).cloned().unwrap_or_default();
    if !header("transfer-encoding").is_empty() {
        return Ok(Err(Refusal("411 Length Required", "send the body with a Content-Length")));
    }
    let length = match header("content-length").as_str() {
        "" => 0,
        text => match text.parse::<u64>() {
            Ok(length) if length <= MAX_BODY => length,
            Ok(_) => return Ok(Err(Refusal("413 Content Too Large", "the body is larger than 32 MiB"))),
            Err(_) => return Ok(Err(Refusal("400 Bad Request", "Content-Length is not a number"))),
        },
    };
    if header("expect").eq_ignore_ascii_case("100-continue") {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    let mut body = Vec::new();
    reader.take(length).read_to_end(&mut body)?;
    if (body.len() as u64) < length {
        return Ok(Err(Refusal("400 Bad Request", "the body is shorter than its Content-Length")));
    }
    Ok(Ok(Request { method: method.to_owned(), path: path.to_owned(), content_type: header("content-type"), body }))
}

fn route(request: &Request) -> Reply {
    match (request.method.as_str(), request.path.split('?').next().unwrap_or_default()) {
        ("GET", "/ready") => Reply::text("200 OK", "ready"),
        ("POST", "/process") => process(request).unwrap_or_else(|(status, reason)| Reply::text(status, reason)),
        (_, "/ready" | "/process") => Reply::text("405 Method Not Allowed", "GET /ready or POST /process"),
        _ => Reply::text("404 Not Found", "GET /ready or POST /process"),
    }
}

/// The keywords of one chunk, or why there are none.
fn process(request: &Request) -> Result<Reply, (&'static str, String)> {
    let boundary =
        request.content_type.split_once("boundary=").map(|(_, rest)| rest.split(';').next().unwrap_or_default().trim_matches('"'));
    let boundary = boundary.filter(|boundary| !boundary.is_empty()).ok_or(("400 Bad Request", "send multipart/form-data".to_owned()))?;
    let form = read_form(&request.body, boundary);
    let field = |name: &str| form.get(name).map(|bytes| String::from_utf8_lossy(bytes).into_owned()).unwrap_or_default();
    let mime_type = field("chunkMimeType").to_ascii_lowercase();
    if mime_type.split(';').next().map(str::trim) != Some("text/plain") {
        return Err(("415 Unsupported Media Type", format!("this engine reads text/plain, not {mime_type:?}")));
    }
    let fetched;
    let input: &[u8] = match (form.get("chunk"), field("cacheURI").as_str()) {
        (Some(chunk), _) => chunk,
        (None, "") => return Err(("400 Bad Request", "send the input as chunk, or its address as cacheURI".to_owned())),
        (None, uri) => {
            fetched = fetch(uri).map_err(|error| ("502 Bad Gateway", format!("cacheURI {uri}: {error}")))?;
            &fetched
        }
    };
    let keywords = keywords(&String::from_utf8_lossy(input));
    if keywords.is_empty() {
        return Ok(Reply::text("204 No Content", ""));
    }
    Ok(Reply { status: "200 OK", content_type: "application/json", body: document(&keywords) })
}

/// The fields of a form body, each with its bytes.
fn read_form<'a>(body: &'a [u8], boundary: &str) -> HashMap<String, &'a [u8]> {
    let mark = format!("--{boundary}");
    let mut fields = HashMap::new();
    for part in split(body, mark.as_bytes()).skip(1) {
        let Some(part) = part.strip_prefix(b"\r\n").and_then(|part| part.strip_suffix(b"\r\n")) else { continue };
        let head = split(part, b"\r\n\r\n").next().unwrap_or_default();
        let content = part.get(head.len() + 4..).unwrap_or_default();
        let head = String::from_utf8_lossy(head);
        if let Some(name) = head.split(" name=\"").nth(1).and_then(|rest| rest.split('"').next()) {
            fields.insert(name.to_owned(), content);
        }
    }
    fields
}

/// The pieces of `bytes` between occurrences of `mark`.
fn split<'a>(bytes: &'a [u8], mark: &[u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = Some(bytes);
    std::iter::from_fn(move || {
        let whole = rest.take()?;
        match whole.windows(mark.len()).position(|window| window == mark) {
            Some(at) => {
                rest = Some(&whole[at + mark.len()..]);
                Some(&whole[..at])
            }
            None => Some(whole),
        }
    })
}

/// Fetches `http://host[:port]/path`.
fn fetch(uri: &str) -> io::Result<Vec<u8>> {
    let bad = |what: &str| io::Error::other(what.to_owned());
    let rest = uri.strip_prefix("http://").ok_or_else(|| bad("not an http:// address"))?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let address = if authority.contains(':') { authority.to_owned() } else { format!("{authority}:80") };
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(format!("GET /{path} HTTP/1.0\r\nHost: {authority}\r\n\r\n").as_bytes())?;
    let mut answer = Vec::new();
    stream.take(MAX_BODY + MAX_HEAD).read_to_end(&mut answer)?;
    let head = split(&answer, b"\r\n\r\n").next().unwrap_or_default();
    let status = String::from_utf8_lossy(head).split(' ').nth(1).unwrap_or_default().to_owned();
    if status != "200" {
        return Err(bad(&format!("answered {status}")));
    }
    Ok(answer.get(head.len() + 4..).unwrap_or_default().to_vec())
}

/// The most frequent words with their confidence, best first; of equally frequent ones the earlier.
fn keywords(text: &str) -> Vec<(String, f64)> {
    let mut counts: HashMap<String, (usize, usize)> = HashMap::new();
    for (place, word) in text.split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase).enumerate() {
        let is_stop_word = STOP_WORDS.contains(&format!(" {word} "));
        if word.chars().count() > 2 && word.contains(char::is_alphabetic) && !is_stop_word {
            counts.entry(word).or_insert((0, place)).0 += 1;
        }
    }
    let most = counts.values().map(|(count, _)| *count).max().unwrap_or(1);
    let mut ranked: Vec<_> = counts.into_iter().collect();
    ranked.sort_by_key(|(_, (count, place))| (usize::MAX - count, *place));
    ranked.truncate(MAX_KEYWORDS);
    ranked.into_iter().map(|(word, (count, _))| (word, 0.5 + 0.5 * count as f64 / most as f64)).collect()
}

/// A result document of the contract `keyword`.
fn document(keywords: &[(String, f64)]) -> String {
    let entry =
        |(word, confidence): &(String, f64)| format!(r#"{{"type":"keyword","label":{},"confidence":{confidence:.2}}}"#, quote(word));
    let objects: Vec<String> = keywords.iter().map(entry).collect();
    format!(r#"{{"validationContracts":["keyword"],"sourceEngineName":"example-keyword","object":[{}]}}"#, objects.join(","))
}

/// A text as a JSON string.
fn quote(text: &str) -> String {
    let escaped = text.chars().map(|c| match c {
        '"' => "\\\"".to_owned(),
        '\\' => "\\\\".to_owned(),
        c if (c as u32) < 0x20 => format!("\\u{:04x}", c as u32),
        c => c.to_string(),
    });
    format!("\"{}\"", escaped.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Serves one connection on a thread and returns its address.
    fn once(act: impl FnOnce(TcpStream) + Send + 'static) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        std::thread::spawn(move || act(listener.accept().unwrap().0));
        address
    }

    fn ask(request: &[u8]) -> String {
        let address = once(|stream| serve(stream, false).unwrap());
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(request).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn post(fields: &[(&str, &str)]) -> String {
        let part = |(name, value): &(&str, &str)| format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        let body = fields.iter().map(part).collect::<String>() + "--b--\r\n";
        let head =
            format!("POST /process HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: {}\r\n\r\n", body.len());
        ask((head + &body).as_bytes())
    }

    #[test]
    fn the_most_frequent_words_come_first() {
        let found = keywords("The ship and the SHIP's harbour; harbour, crew, ship. 1234 42");
        let expected = [("ship", 1.0), ("harbour", 0.5 + 0.5 * 2.0 / 3.0), ("crew", 0.5 + 0.5 / 3.0)];
        assert_eq!(found.iter().map(|(word, confidence)| (word.as_str(), *confidence)).collect::<Vec<_>>(), expected);
        assert!(keywords("the and of 12").is_empty());
        assert_eq!(keywords(&"alpha bravo charlie delta echo foxtrot golf hotel india juliet kilo lima ".repeat(2)).len(), MAX_KEYWORDS);
    }

    #[test]
    fn a_document_is_json_of_the_contract() {
        let expected = r#"{"validationContracts":["keyword"],"sourceEngineName":"example-keyword","object":[{"type":"keyword","label":"a\"\u0001","confidence":0.75}]}"#;
        assert_eq!(document(&[("a\"\u{1}".into(), 0.75)]), expected);
    }

    #[test]
    fn forms_are_read_with_any_bytes_in_them() {
        let body = b"--b\r\nContent-Disposition: form-data; name=\"chunk\"; filename=\"x\"\r\nA: b\r\n\r\n\r\n\xff--\r\n\r\n--b\r\nbroken\r\n--b--\r\n";
        let form = read_form(body, "b");
        assert_eq!(form.get("chunk"), Some(&&b"\r\n\xff--\r\n"[..]));
        assert_eq!(read_form(b"nothing", "b").len(), 0);
    }

    #[test]
    fn a_chunk_is_answered_with_its_keywords() {
        let answer = post(&[("chunkMimeType", "text/plain; charset=utf-8"), ("chunk", "Harbour, harbour, crew")]);
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"), "{answer}");
        assert!(answer.contains(r#""label":"harbour","confidence":1.00"#), "{answer}");
    }

    #[test]
    fn without_a_chunk_the_input_is_fetched() {
        let address = once(|mut stream| {
            let mut line = String::new();
            BufReader::new(&stream).read_line(&mut line).unwrap();
            assert_eq!(line, "GET /files/1 HTTP/1.0\r\n");
            stream.write_all(b"HTTP/1.0 200 OK\r\nA: b\r\n\r\nsteamship").unwrap();
        });
        let answer = post(&[("chunkMimeType", "text/plain"), ("cacheURI", &format!("http://{address}/files/1"))]);
        assert!(answer.contains("steamship"), "{answer}");
        let answer = post(&[("chunkMimeType", "text/plain"), ("cacheURI", "ftp://x/y")]);
        assert!(answer.starts_with("HTTP/1.1 502 ") && answer.ends_with("cacheURI ftp://x/y: not an http:// address"), "{answer}");
    }

    #[test]
    fn what_it_cannot_use_it_refuses_with_a_reason() {
        for (answer, expected) in [
            (post(&[("chunkMimeType", "image/png"), ("chunk", "x")]), "415 Unsupported Media Type"),
            (post(&[("chunkMimeType", "text/plain")]), "400 Bad Request"),
            (post(&[("chunkMimeType", "text/plain"), ("chunk", "42")]), "204 No Content"),
            (ask(b"POST /process HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n"), "413 Content Too Large"),
            (ask(b"POST /process HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"), "411 Length Required"),
            (ask(b"POST /process HTTP/1.1\r\n\r\n"), "400 Bad Request"),
            (ask(b"GET /ready HTTP/1.1\r\n\r\n"), "200 OK"),
            (ask(b"PUT /ready HTTP/1.1\r\n\r\n"), "405 Method Not Allowed"),
            (ask(b"GET /other HTTP/1.1\r\n\r\n"), "404 Not Found"),
            (ask(b"nonsense\r\n\r\n"), "400 Bad Request"),
        ] {
            assert!(answer.starts_with(&format!("HTTP/1.1 {expected}\r\n")), "{expected}: {answer}");
        }
    }
}
