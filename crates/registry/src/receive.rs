//! A body on its way into an upload: one batch is hashed and written while the next one arrives.

use bytes::Bytes;
use tokio::task::JoinHandle;

use crate::{
    Inner,
    incoming::{Cut, Incoming},
    quota::Holding,
    refusal::Refusal,
    sessions::{Live, WriteError},
};

/// Why a body was not taken to its end.
pub(crate) enum Stop {
    Cut(Cut),
    TooLarge,
    Full(Refusal),
    Write(WriteError),
}

/// How much more may come, and the part of the quota that is held for it.
pub(crate) struct Room<'r> {
    inner: &'r Inner,
    holding: &'r Holding,
    taken: u64,
    left: u64,
}

impl<'r> Room<'r> {
    /// Room for `left` more bytes.
    pub(crate) fn new(inner: &'r Inner, holding: &'r Holding, left: u64) -> Self {
        Self { inner, holding, taken: 0, left }
    }

    async fn hold(&mut self, pieces: &[Bytes]) -> Result<(), Stop> {
        self.taken += pieces.iter().map(Bytes::len).sum::<usize>() as u64;
        let quota = self.inner.options.limits.organization_bytes;
        self.holding.grow(&self.inner.db, quota, self.taken).await.map_err(Stop::Full)
    }
}

/// What becomes of the last bytes of a body.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// They are written before the answer says how far the upload is.
    Written,
    /// A few may be given back, for the thread that ends the upload to write: small blobs are handed over once instead of twice.
    Held,
}

/// Most bytes that are held.
const HELD_BYTES: usize = 64 << 10;

/// Writes the body at the end of the upload, all but what it returns. `live` is `None` afterwards only when writing failed. What there is `room` for
/// is taken.
pub(crate) async fn receive(
    live: &mut Option<Live>,
    body: &mut Incoming,
    mut room: Room<'_>,
    end: End,
    progress: &mut (dyn FnMut(u64) + Send),
) -> Result<Vec<Bytes>, Stop> {
    room.taken = live.as_ref().map_or(0, Live::len);
    let mut pipe = Pipe { live, writing: None, progress };
    let done = pump(&mut pipe, body, room, end).await;
    pipe.settle().await?;
    done
}

async fn pump(pipe: &mut Pipe<'_>, body: &mut Incoming, mut room: Room<'_>, last_bytes: End) -> Result<Vec<Bytes>, Stop> {
    loop {
        let (mut pieces, end) = body.batch().await;
        let (last, fits) = (pieces.is_empty(), clip(&mut pieces, &mut room.left));
        let is_small = || pieces.iter().map(Bytes::len).sum::<usize>() <= HELD_BYTES;
        room.hold(&pieces).await?;
        if last_bytes == End::Held && fits && end.is_ok() && body.is_ended() && is_small() {
            return Ok(pieces);
        }
        if !pieces.is_empty() {
            pipe.write(std::mem::take(&mut pieces)).await?;
        }
        if !fits {
            return Err(Stop::TooLarge);
        }
        end.map_err(Stop::Cut)?;
        if last {
            return Ok(pieces);
        }
    }
}

/// Cuts the pieces to what there is room for. False when something was cut off.
fn clip(pieces: &mut Vec<Bytes>, room: &mut u64) -> bool {
    let mut fits = true;
    for piece in pieces.iter_mut() {
        let keep = usize::try_from(*room).unwrap_or(usize::MAX).min(piece.len());
        fits &= keep == piece.len();
        piece.truncate(keep);
        *room -= keep as u64;
    }
    pieces.retain(|piece| !piece.is_empty());
    fits
}

/// One batch is hashed and written while the next one arrives.
struct Pipe<'p> {
    live: &'p mut Option<Live>,
    writing: Option<JoinHandle<Result<Live, WriteError>>>,
    progress: &'p mut (dyn FnMut(u64) + Send),
}

impl Pipe<'_> {
    async fn write(&mut self, pieces: Vec<Bytes>) -> Result<(), Stop> {
        self.settle().await?;
        if let Some(live) = self.live.take() {
            self.writing = Some(tokio::spawn(live.absorb(pieces)));
        }
        Ok(())
    }

    /// Waits for the batch under way.
    async fn settle(&mut self) -> Result<(), Stop> {
        let Some(writing) = self.writing.take() else { return Ok(()) };
        let live = writing.await.map_err(WriteError::from).and_then(|written| written).map_err(Stop::Write)?;
        (self.progress)(live.len());
        *self.live = Some(live);
        Ok(())
    }
}
