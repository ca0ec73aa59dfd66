//! A keyword engine for the sandbox of the tests: it listens on a real port of this machine, as its image says.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    time::Duration,
};

use checks::evidence::platform;
use image::pack::{File, Pack, Packed};
use model::run::Exit;
use sandbox::fake::{Fake, Stage};
use serde_json::json;

/// A sandbox in which every engine is this one. An engine whose image has `BROKEN` in its environment never becomes ready; one with
/// `CRASH` ends after its first answer; one with `HOLD` waits as long as that file is there.
pub fn sandbox() -> Fake {
    Fake::new(act)
}

/// A free port of this machine.
pub fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// The image of such an engine; `note` makes it another one.
pub fn image(engine: &str, note: &str, env: &[(&str, &str)]) -> Packed {
    let manifest = json!({
        "engineId": engine, "category": "keyword", "engineMode": "chunk", "preferredInputFormat": "text/plain",
        "supportedInputFormats": ["text/plain"], "outputFormats": ["application/json"], "clusterSize": "small",
        "initialConcurrency": 4, "maxConcurrency": 16, "externalCalls": [], "releaseNotes": note,
    });
    let port = free_port();
    let mut pack = Pack::new(platform())
        .layer(vec![File::new("engine", 0o755, "#!/bin/true"), File::new("var/manifest.json", 0o644, manifest.to_string())])
        .entrypoint(["/engine"])
        .env("VERITONE_WEBHOOK_READY", &format!("http://0.0.0.0:{port}/ready"))
        .env("VERITONE_WEBHOOK_PROCESS", &format!("http://0.0.0.0:{port}/process"));
    for (name, value) in env {
        pack = pack.env(name, value);
    }
    pack.build().unwrap()
}

fn act(stage: &Stage) -> Exit {
    if stage.env("BROKEN").is_some() {
        return Exit::Exited { code: 3 };
    }
    while stage.env("HOLD").is_some_and(|file| std::path::Path::new(file).exists()) {
        if stage.wait_for_stop(Duration::from_millis(5)) {
            return Exit::Stopped;
        }
    }
    let url = stage.env("VERITONE_WEBHOOK_READY").unwrap();
    let port: u16 = url.rsplit(':').next().unwrap().split('/').next().unwrap().parse().unwrap();
    // The networks of engines are apart in a real sandbox; here the former instance must let go of the port first.
    let listener = loop {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(listener) => break listener,
            Err(_) if stage.wait_for_stop(Duration::from_millis(5)) => return Exit::Stopped,
            Err(_) => {}
        }
    };
    listener.set_nonblocking(true).unwrap();
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                let answered = answer(stream);
                if answered && stage.env("CRASH").is_some() {
                    return Exit::Exited { code: 9 };
                }
            }
            Err(_) if stage.wait_for_stop(Duration::from_millis(2)) => return Exit::Stopped,
            Err(_) => {}
        }
    }
}

/// Answers one request; true when it was a sample.
fn answer(mut stream: TcpStream) -> bool {
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let (mut request, mut piece) = (Vec::new(), [0; 64 << 10]);
    let whole = |request: &[u8]| {
        let text = String::from_utf8_lossy(request).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
        let head = head.to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).and_then(|text| text.parse().ok()).unwrap_or(0);
        request.len() >= text.len() - body.len() && request.len() - (request.len().min(head.len() + 4)) >= length
    };
    while !whole(&request) {
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => break,
            Ok(n) => request.extend_from_slice(&piece[..n]),
        }
    }
    let text = String::from_utf8_lossy(&request);
    let is_sample = text.starts_with("POST /process");
    if let Some(path) = text.split("hold:").nth(1).and_then(|rest| rest.split_whitespace().next()) {
        // A long task: it is done when the test says so, or gives up.
        for _ in 0..2_000 {
            if std::path::Path::new(path).exists() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    let (status, body) = if !is_sample {
        ("200 OK", "ready".to_owned())
    } else if text.contains("text/plain") && !text.contains("image/png") {
        ("200 OK", r#"{"validationContracts":["keyword"],"object":[{"type":"keyword","label":"harbour","confidence":1}]}"#.to_owned())
    } else {
        ("204 No Content", String::new())
    };
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    let _ = stream.write_all(format!("{head}{body}").as_bytes());
    is_sample
}
