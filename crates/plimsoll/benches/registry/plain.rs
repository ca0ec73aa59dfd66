//! The crate `registry` alone: no accounts, no gate, nobody reads the layers.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use anyhow::Result;
use axum::{Extension, serve::ListenerExt};
use model::id::OrganizationId;
use registry::{Access, Actions, Caller, Grant, Options, Place, Registry};
use store::{Db, blobs::Blobs};

/// Serves on a free port, and prints its address.
pub fn serve(dir: &Path) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let db = Db::open(&dir.join("registry.db")).await?;
        let (ids, began) = (AtomicU64::new(1), Instant::now());
        let clock = Arc::new(move || i64::try_from(began.elapsed().as_millis()).unwrap_or(0));
        let options = Options::new(clock, Arc::new(move || uuid::Uuid::from_u64_pair(0, ids.fetch_add(1, Ordering::Relaxed))));
        let grants = vec![Grant { place: Place::Organization(OrganizationId(1)), actions: Actions::ALL }];
        let caller = Caller::Known(Access { account: "bench".into(), grants, scopes: None });
        let app = Registry::new(db, Blobs::open(dir)?, options).router().layer(Extension(caller));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        let quick = listener.tap_io(|stream| {
            let _ = stream.set_nodelay(true);
        });
        Ok(axum::serve(quick, app).await?)
    })
}
