//! A small web server on this machine, in place of whoever publishes advisories. It can stop in the middle of an answer.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, mpsc},
    thread,
};

/// Files by path.
type Files = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// The server; it ends with the test's process.
pub struct Shelf {
    address: String,
    files: Files,
    stall: Arc<Mutex<Option<mpsc::Sender<()>>>>,
}

impl Shelf {
    /// An empty one.
    ///
    /// # Panics
    /// When no port is free.
    pub fn new() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let shelf = Self { address, files: Files::default(), stall: Arc::default() };
        let (files, stall) = (shelf.files.clone(), shelf.stall.clone());
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (files, stall) = (files.clone(), stall.clone());
                thread::spawn(move || answer(stream, &files, &stall));
            }
        });
        shelf
    }

    /// Puts a file on it, in place of a former one.
    ///
    /// # Panics
    /// Never.
    pub fn put(&self, path: &str, bytes: impl Into<Vec<u8>>) {
        self.files.lock().unwrap().insert(path.to_owned(), bytes.into());
    }

    /// Its address, with a path behind it.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }

    /// From now on every answer stops in its middle. The receiver hears of each.
    ///
    /// # Panics
    /// Never.
    pub fn stall(&self) -> mpsc::Receiver<()> {
        let (sender, receiver) = mpsc::channel();
        *self.stall.lock().unwrap() = Some(sender);
        receiver
    }

    /// Answers are whole again.
    ///
    /// # Panics
    /// Never.
    pub fn go_on(&self) {
        *self.stall.lock().unwrap() = None;
    }
}

impl Default for Shelf {
    fn default() -> Self {
        Self::new()
    }
}

fn answer(mut stream: TcpStream, files: &Files, stall: &Mutex<Option<mpsc::Sender<()>>>) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let Some(first) = lines.next() else { return };
    lines.take_while(|line| !line.is_empty()).for_each(drop);
    let path = first.split(' ').nth(1).unwrap_or_default();
    let found = files.lock().unwrap().get(path).cloned();
    let (status, body) = found.map_or(("404 Not Found", Vec::new()), |body| ("200 OK", body));
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    let stalled = stall.lock().unwrap().clone();
    let sent = if stalled.is_some() { &body[..body.len() / 2] } else { body.as_slice() };
    // Whoever was killed in the middle does not listen any more.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(sent)).and_then(|()| stream.flush());
    if let Some(stalled) = stalled {
        let _ = stalled.send(());
        // Until the other side is gone.
        let _ = std::io::Read::read(&mut stream, &mut [0]);
    }
}
