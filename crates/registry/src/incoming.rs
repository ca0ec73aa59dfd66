//! A request body on its way in. It is never held whole: it comes in batches of about a megabyte, and a client that falls
//! silent is not waited for.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;

/// What is collected before it is written: large enough that handing it to another thread costs nothing beside hashing it.
const BATCH_BYTES: usize = 1 << 20;

/// Most pieces in a batch, so that a body sent byte by byte does not cost 32 bytes each.
const BATCH_PIECES: usize = 4096;

/// For how long an unwanted body is read.
const DRAIN_TIME: Duration = Duration::from_secs(5);

/// Why a body ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The connection broke, or the client ended it.
    Broken,
    /// Nothing came for the time allowed.
    Silent,
}

/// The body of one request.
#[derive(Debug)]
pub struct Incoming {
    body: Body,
    idle: Duration,
    ended: bool,
    // A client that asked "Expect: 100-continue" sends nothing before we read; an answer without reading spares it the sending.
    waits: bool,
}

impl Incoming {
    /// Takes a body; `waits` when its request said `Expect: 100-continue`.
    pub fn new(body: Body, idle: Duration, waits: bool) -> Self {
        Self { body, idle, ended: false, waits }
    }

    async fn piece(&mut self) -> Result<Option<Bytes>, Cut> {
        self.waits = false;
        loop {
            if self.ended {
                return Ok(None);
            }
            let frame = match tokio::time::timeout(self.idle, self.body.frame()).await {
                Err(_) => Err(Cut::Silent),
                Ok(Some(Err(_))) => Err(Cut::Broken),
                Ok(Some(Ok(frame))) => Ok(Some(frame)),
                Ok(None) => Ok(None),
            };
            match frame {
                Ok(Some(frame)) => match frame.into_data() {
                    Ok(data) if !data.is_empty() => return Ok(Some(data)),
                    _ => {}
                },
                Ok(None) => self.ended = true,
                Err(cut) => {
                    self.ended = true;
                    return Err(cut);
                }
            }
        }
    }

    /// The next pieces, about a megabyte of them; an empty list is the end. When the body is cut, what came before is given first.
    pub async fn batch(&mut self) -> (Vec<Bytes>, Result<(), Cut>) {
        let (mut pieces, mut size) = (Vec::new(), 0);
        while size < BATCH_BYTES && pieces.len() < BATCH_PIECES {
            match self.piece().await {
                Ok(Some(piece)) => {
                    size += piece.len();
                    pieces.push(piece);
                }
                Ok(None) => break,
                Err(cut) => return (pieces, Err(cut)),
            }
        }
        (pieces, Ok(()))
    }

    /// Whether the body came to its end, or was cut.
    pub fn is_ended(&self) -> bool {
        self.ended
    }

    /// The whole body, `None` when it is larger than `max`.
    ///
    /// # Errors
    /// [`Cut`].
    pub async fn whole(&mut self, max: usize) -> Result<Option<Bytes>, Cut> {
        let mut all = BytesMut::new();
        while let Some(piece) = self.piece().await? {
            if all.len() + piece.len() > max {
                return Ok(None);
            }
            all.extend_from_slice(&piece);
        }
        Ok(Some(all.freeze()))
    }

    /// Reads and forgets what is still coming, `most` bytes and a few seconds of it, so that the client gets to read our answer instead of a reset
    /// connection.
    pub async fn drain(&mut self, most: usize) {
        if self.waits {
            return;
        }
        let all = async {
            let mut left = most;
            while let Ok(Some(piece)) = self.piece().await {
                left = left.saturating_sub(piece.len());
                if left == 0 {
                    break;
                }
            }
        };
        // Running out of time is as good as being done: the connection is closed then.
        let _ = tokio::time::timeout(DRAIN_TIME, all).await;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    fn incoming(pieces: Vec<Result<&'static [u8], std::io::Error>>) -> Incoming {
        let body = Body::from_stream(stream::iter(pieces.into_iter().map(|piece| piece.map(Bytes::from_static))));
        Incoming::new(body, Duration::from_secs(5), false)
    }

    #[tokio::test]
    async fn what_came_before_the_cut_is_given() {
        let mut body = incoming(vec![Ok(b"ab"), Ok(b""), Ok(b"c"), Err(std::io::Error::other("gone"))]);
        let (pieces, end) = body.batch().await;
        assert_eq!((pieces.concat(), end), (b"abc".to_vec(), Err(Cut::Broken)));
        assert_eq!(body.batch().await, (vec![], Ok(())));
    }

    #[tokio::test]
    async fn batches_are_bounded_in_bytes_and_pieces() {
        static MEGABYTE: [u8; 1 << 20] = [7; 1 << 20];
        let mut body = incoming(vec![Ok(&MEGABYTE), Ok(&MEGABYTE)]);
        assert_eq!(body.batch().await.0.len(), 1);
        let mut body = incoming((0..BATCH_PIECES + 1).map(|_| Ok(b"x".as_slice())).collect());
        assert_eq!(body.batch().await.0.len(), BATCH_PIECES);
        assert_eq!(body.batch().await.0.len(), 1);
        assert!(body.batch().await.0.is_empty());
    }

    #[tokio::test]
    async fn silence_ends_it() {
        let pieces = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"a"))]);
        let never = futures_util::StreamExt::chain(pieces, stream::pending());
        let mut body = Incoming::new(Body::from_stream(never), Duration::from_millis(20), false);
        let (pieces, end) = body.batch().await;
        assert_eq!((pieces.concat(), end), (b"a".to_vec(), Err(Cut::Silent)));
    }

    #[tokio::test]
    async fn a_whole_body_has_a_cap() {
        assert_eq!(incoming(vec![Ok(b"abc"), Ok(b"d")]).whole(4).await, Ok(Some(Bytes::from_static(b"abcd"))));
        assert_eq!(incoming(vec![Ok(b"abc"), Ok(b"de")]).whole(4).await, Ok(None));
    }
}
