//! How commands on this machine talk to the server that has the data folder: a socket in it, which only the folder's owner can open. One line
//! of JSON there, one back.

use std::{
    fs::{self, DirBuilder, File},
    io::{BufRead, BufReader, Write},
    os::{
        fd::AsRawFd,
        unix::{fs::DirBuilderExt, net::UnixStream as Stream},
    },
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader as AsyncReader},
    net::{UnixListener, UnixStream},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::keeper::{Keeper, Wish};

/// Longest wish, bytes.
const LONGEST: u64 = 4096;

/// How long a command may take to say its wish.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the server answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Done(serde_json::Value),
    Failed(String),
}

fn folder(data: &Path) -> PathBuf {
    data.join("control")
}

/// The socket's address through an open folder, because an address of a socket may have only 108 bytes.
fn address(open: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}/socket", open.as_raw_fd()))
}

/// Answers commands until `stop` is cancelled.
///
/// # Errors
/// The socket cannot be made.
pub fn listen(keeper: Arc<Keeper>, data: &Path, stop: CancellationToken) -> anyhow::Result<impl Future<Output = ()> + use<>> {
    let folder = folder(data);
    let made = || -> std::io::Result<UnixListener> {
        DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        let open = File::open(&folder)?;
        match fs::remove_file(address(&open)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => UnixListener::bind(address(&open)),
        }
    };
    let listener = made().with_context(|| format!("no socket for commands can be made in {}", folder.display()))?;
    Ok(async move {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                accepted = listener.accept() => {
                    if let Ok((stream, _)) = accepted {
                        tokio::spawn(answer(Arc::clone(&keeper), stream));
                    }
                }
            }
        }
    })
}

async fn answer(keeper: Arc<Keeper>, stream: UnixStream) {
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    let heard = timeout(PATIENCE, AsyncReader::new(read.take(LONGEST)).read_line(&mut line)).await;
    if !matches!(heard, Ok(Ok(1..))) {
        return;
    }
    let answer = match serde_json::from_str::<Wish>(&line) {
        Ok(wish) => match keeper.grant(wish).await {
            Ok(value) => Answer::Done(value),
            Err(error) => Answer::Failed(format!("{error:#}")),
        },
        Err(error) => Answer::Failed(format!("the server does not know this command ({error}); is it of another version?")),
    };
    let text = serde_json::to_string(&answer).unwrap_or_default();
    // Whoever asked may be gone; the deed is done all the same.
    let _ = write.write_all(format!("{text}\n").as_bytes()).await;
}

/// Asks the server that has this data folder; `None` when none listens. Blocks.
///
/// # Errors
/// The server could not do it, or ended meanwhile.
pub fn ask(data: &Path, wish: &Wish) -> anyhow::Result<Option<serde_json::Value>> {
    let Ok(open) = File::open(folder(data)) else { return Ok(None) };
    let Ok(mut stream) = Stream::connect(address(&open)) else { return Ok(None) };
    stream.write_all(format!("{}\n", serde_json::to_string(wish)?).as_bytes())?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).context("the server ended before it answered; try again")?;
    match serde_json::from_str(&line).context("the server ended before it answered; try again")? {
        Answer::Done(value) => Ok(Some(value)),
        Answer::Failed(reason) => anyhow::bail!("the server could not do it: {reason}"),
    }
}
