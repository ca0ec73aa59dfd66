//! A client that costs next to nothing, so that what is measured is the server: one kept connection, no copies, no checks of content.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
};

use anyhow::{Context, Result, ensure};
use base64::Engine as _;

/// A kept connection.
pub struct Client {
    stream: BufReader<TcpStream>,
    authorization: String,
    buffer: Vec<u8>,
}

/// What came back.
#[derive(Default)]
pub struct Answer {
    pub status: u16,
    pub location: String,
    /// Bytes of the body.
    pub size: u64,
    /// Its beginning.
    pub head: Vec<u8>,
}

impl Client {
    pub fn new(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::with_capacity(256 << 10, stream), authorization: String::new(), buffer: vec![0; 256 << 10] })
    }

    /// Fetches a token, as Docker does before it pushes.
    pub fn log_in(&mut self, user: &str, password: &str) -> Result<()> {
        let basic = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        self.authorization = format!("authorization: Basic {basic}\r\n");
        let path = "/v2/token?service=plimsoll&scope=repository:1/bench:pull,push";
        let answer = self.expect(200, "GET", path, "", &[])?;
        let document: serde_json::Value = serde_json::from_slice(&answer.head)?;
        let token = document["token"].as_str().context("no token")?;
        self.authorization = format!("authorization: Bearer {token}\r\n");
        Ok(())
    }

    pub fn send(&mut self, method: &str, path: &str, headers: &str, pieces: &[&[u8]]) -> Result<Answer> {
        let size: usize = pieces.iter().map(|piece| piece.len()).sum();
        self.begin(method, path, headers, size as u64, if size < 64 << 10 { pieces } else { &[] })?;
        if size >= 64 << 10 {
            for piece in pieces {
                self.stream.get_mut().write_all(piece)?;
            }
        }
        self.answer()
    }

    /// The head of a request, and with it the first bytes of its body.
    pub fn begin(&mut self, method: &str, path: &str, headers: &str, size: u64, first: &[&[u8]]) -> Result<()> {
        let login = &self.authorization;
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: bench\r\ncontent-length: {size}\r\n{login}{headers}\r\n").into_bytes();
        first.iter().for_each(|piece| head.extend_from_slice(piece));
        Ok(self.stream.get_mut().write_all(&head)?)
    }

    pub fn body(&mut self, piece: &[u8]) -> Result<()> {
        Ok(self.stream.get_mut().write_all(piece)?)
    }

    pub fn answer(&mut self) -> Result<Answer> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let status = line.split(' ').nth(1).with_context(|| format!("no status: {line:?}"))?.parse()?;
        let mut answer = Answer { status, ..Answer::default() };
        let (mut length, mut chunked) = (0, false);
        loop {
            line.clear();
            self.stream.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.parse()?,
                "transfer-encoding" => chunked = value.eq_ignore_ascii_case("chunked"),
                "location" => answer.location = path_of(value).to_owned(),
                _ => {}
            }
        }
        if status != 204 && !chunked {
            self.take(length, &mut answer)?;
        }
        while chunked {
            line.clear();
            self.stream.read_line(&mut line)?;
            let size = u64::from_str_radix(line.trim(), 16)?;
            self.take(size, &mut answer)?;
            self.stream.read_line(&mut line)?;
            chunked = size > 0;
        }
        Ok(answer)
    }

    fn take(&mut self, mut left: u64, answer: &mut Answer) -> Result<()> {
        answer.size += left;
        while left > 0 {
            let want = usize::try_from(left)?.min(self.buffer.len());
            let read = self.stream.read(&mut self.buffer[..want])?;
            ensure!(read > 0, "the server closed the connection");
            if answer.head.len() < 4096 {
                answer.head.extend_from_slice(&self.buffer[..read.min(4096)]);
            }
            left -= read as u64;
        }
        Ok(())
    }

    pub fn expect(&mut self, status: u16, method: &str, path: &str, headers: &str, pieces: &[&[u8]]) -> Result<Answer> {
        let answer = self.send(method, path, headers, pieces)?;
        ensure!(answer.status == status, "{method} {path}: {} {}", answer.status, String::from_utf8_lossy(&answer.head));
        Ok(answer)
    }

    /// Begins an upload.
    pub fn start(&mut self) -> Result<String> {
        Ok(self.expect(202, "POST", "/v2/1/bench/blobs/uploads/", "", &[])?.location)
    }

    /// Ends it.
    pub fn finish(&mut self, location: &str, digest: &model::digest::Digest, last: &[u8]) -> Result<()> {
        let joint = if location.contains('?') { '&' } else { '?' };
        self.expect(201, "PUT", &format!("{location}{joint}digest={digest}"), "", &[last]).map(drop)
    }
}

fn path_of(address: &str) -> &str {
    let Some((_, rest)) = address.split_once("://") else { return address };
    rest.find('/').map_or("/", |at| &rest[at..])
}
