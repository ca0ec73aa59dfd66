//! Fetches one file from outside, for an engine whose registration says where its sample lies. The address was typed by a developer: it may lead neither to
//! this host nor into its network, and what it gives is capped.

use std::{net::IpAddr, sync::Arc, time::Duration};

use reqwest::{
    Client, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{CONTENT_TYPE, LOCATION},
    redirect::Policy,
};
use sandbox::Outside;

use crate::{error::chain, ops::set_engine_file::FILE_MAX};

/// Longest address, characters.
const URL_MAX: usize = 2_000;
/// Longest name and type of a file, characters.
const WORD_MAX: usize = 200;

/// How much is taken, and how long it may take.
#[derive(Clone, Copy, Debug)]
pub struct Caps {
    /// Largest file, bytes.
    pub bytes: usize,
    /// From the look-up of the name to the last byte.
    pub time: Duration,
}

impl Default for Caps {
    fn default() -> Self {
        Self { bytes: FILE_MAX, time: Duration::from_secs(30) }
    }
}

/// What was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The end of its address.
    pub name: String,
    /// Its MIME type, as it was sent.
    pub mime_type: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// An address as it may stand in a registration.
///
/// # Errors
/// What is wrong with it, as the end of a sentence.
pub fn address(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("it is no address: {error}"))?;
    let wrong = match () {
        () if text.chars().count() > URL_MAX => format!("it is longer than {URL_MAX} characters"),
        () if !matches!(url.scheme(), "http" | "https") => "it is not http or https".to_owned(),
        () if url.host_str().is_none_or(str::is_empty) => "it has no host".to_owned(),
        () if !url.username().is_empty() || url.password().is_some() => {
            "it has a user or a password in it; publish the file without one".to_owned()
        }
        () => return Ok(url),
    };
    Err(wrong)
}

/// Names that lead into this host's network lead nowhere.
struct Guarded(Outside);

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let (outside, name) = (self.0.clone(), name.as_str().to_owned());
        Box::pin(async move {
            let found = tokio::task::spawn_blocking(move || outside.addresses(&name, 0)).await?;
            Ok(Box::new(found?.into_iter()) as Addrs)
        })
    }
}

/// Fetches a file. Redirects are not followed: the registration names where the file is.
///
/// # Errors
/// Why it cannot be fetched, as the end of a sentence that begins with "because".
pub async fn fetch(outside: &Outside, url: &str, caps: Caps) -> Result<Fetched, String> {
    let url = address(url)?;
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    if host.parse::<IpAddr>().is_ok() {
        // An address needs no look-up, so nobody would look at it.
        outside.addresses(&host, 0)?;
    }
    let client = Client::builder()
        .dns_resolver(Arc::new(Guarded(outside.clone())))
        .redirect(Policy::none())
        .no_proxy()
        .user_agent(concat!("plimsoll/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| chain(&error))?;
    match tokio::time::timeout(caps.time, taken(&client, &url, caps.bytes)).await {
        Ok(fetched) => fetched,
        Err(_) => Err(format!("it did not arrive within {} s", caps.time.as_secs_f64())),
    }
}

async fn taken(client: &Client, url: &Url, most: usize) -> Result<Fetched, String> {
    let mut answer = client.get(url.clone()).send().await.map_err(|error| chain(&error.without_url()))?;
    let header = |name| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(word);
    if answer.status().is_redirection() {
        let to = header(LOCATION).unwrap_or_else(|| "nowhere".to_owned());
        return Err(format!("it leads on to {to}, which is not followed; give that address"));
    }
    if !answer.status().is_success() {
        return Err(format!("the answer was {}", answer.status()));
    }
    let mime_type = header(CONTENT_TYPE).filter(|kind| kind.contains('/'));
    let mime_type = mime_type.ok_or("the answer does not say what the file is (Content-Type)")?;
    let too_large = || format!("it is larger than {most} bytes");
    if answer.content_length().is_some_and(|length| length > most as u64) {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(|error| chain(&error.without_url()))? {
        if bytes.len() + piece.len() > most {
            return Err(too_large());
        }
        bytes.extend_from_slice(&piece);
    }
    if bytes.is_empty() {
        return Err("it is empty".to_owned());
    }
    let name = url.path_segments().and_then(|mut parts| parts.next_back()).map(word).filter(|name| !name.is_empty());
    Ok(Fetched { name: name.unwrap_or_else(|| "sample".to_owned()), mime_type, bytes })
}

/// A word of somebody else's: not too long, nothing in it that cannot be seen.
fn word(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(WORD_MAX).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use std::{
        io::{Read, Write},
        net::{SocketAddr, TcpListener},
        sync::atomic::{AtomicUsize, Ordering},
        thread,
    };

    use super::*;

    /// An outside that is this machine.
    pub(crate) fn here() -> Outside {
        Outside::with(|_, port| Ok(vec![SocketAddr::from(([127, 0, 0, 1], port))]), |_| true)
    }

    /// A server on this machine that answers the same each time; its address, and how often it was asked.
    pub(crate) fn serving(head: &str, body: Vec<u8>) -> (SocketAddr, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, asked) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
        let (head, counted) = (head.to_owned(), asked.clone());
        thread::spawn(move || {
            for mut stream in listener.incoming().map(Result::unwrap) {
                counted.fetch_add(1, Ordering::SeqCst);
                let mut request = [0; 4096];
                let _ = stream.read(&mut request);
                let _ = stream.write_all(format!("HTTP/1.1 {head}\r\nConnection: close\r\n\r\n").as_bytes());
                let _ = stream.write_all(&body);
            }
        });
        (address, asked)
    }

    const SMALL: Caps = Caps { bytes: 1000, time: Duration::from_secs(20) };

    async fn refused(head: &str, body: &[u8]) -> String {
        let (address, _) = serving(head, body.to_vec());
        fetch(&here(), &format!("http://files.example.com:{}/a", address.port()), SMALL).await.unwrap_err()
    }

    #[tokio::test]
    async fn a_file_is_fetched_with_its_name_and_type() {
        let (address, _) = serving("200 OK\r\nContent-Type: audio/wav", b"RIFF".to_vec());
        let got = fetch(&here(), &format!("http://files.example.com:{}/calls/one.wav?x=1", address.port()), SMALL).await.unwrap();
        assert_eq!(got, Fetched { name: "one.wav".into(), mime_type: "audio/wav".into(), bytes: b"RIFF".to_vec() });
    }

    #[tokio::test]
    async fn what_cannot_be_fetched_says_why() {
        assert!(refused("404 Not Found", b"").await.contains("404"));
        assert!(refused("200 OK\r\nContent-Length: 2", b"ab").await.contains("Content-Type"));
        assert!(refused("200 OK\r\nContent-Type: a/b", b"").await.contains("empty"));
        assert!(refused("200 OK\r\nContent-Type: a/b\r\nContent-Length: 1001", b"").await.contains("larger than 1000"));
        assert!(refused("200 OK\r\nContent-Type: a/b", &[b'x'; 1001]).await.contains("larger than 1000"));
        let told = refused("302 Found\r\nLocation: http://169.254.169.254/latest", b"").await;
        assert!(told.contains("169.254.169.254") && told.contains("not followed"), "{told}");
        assert!(refused("200 OK\r\nContent-Type: a/b\r\nContent-Length: 50", b"x").await.contains("body"), "cut off");
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let caps = Caps { time: Duration::from_millis(50), ..SMALL };
        let told = fetch(&here(), &format!("http://files.example.com:{}/a", silent.local_addr().unwrap().port()), caps).await.unwrap_err();
        assert!(told.contains("within 0.05 s"), "{told}");
    }

    #[tokio::test]
    async fn nothing_inside_is_reached() {
        let (address, asked) = serving("200 OK\r\nContent-Type: a/b", b"secret".to_vec());
        let inside = here().strictly();
        let port = address.port();
        for url in [
            format!("http://files.example.com:{port}/a"),
            format!("http://127.0.0.1:{port}/a"),
            format!("http://[::ffff:127.0.0.1]:{port}/a"),
            format!("http://2130706433:{port}/a"),
        ] {
            let told = fetch(&inside, &url, SMALL).await.unwrap_err();
            assert!(told.contains("127.0.0.1") || told.contains("::ffff:"), "{url}: {told}");
        }
        assert_eq!(asked.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn addresses_are_looked_at_before_they_are_kept() {
        assert!(address("https://files.example.com/a.wav").is_ok());
        for (wrong, why) in [
            ("files/a.wav", "no address"),
            ("ftp://files.example.com/a", "http"),
            ("file:///etc/passwd", "http"),
            ("https://me:secret@files.example.com/a", "password"),
        ] {
            assert!(address(wrong).unwrap_err().contains(why), "{wrong}");
        }
        assert!(address(&format!("https://a.example/{}", "x".repeat(URL_MAX))).unwrap_err().contains("longer"));
    }
}
