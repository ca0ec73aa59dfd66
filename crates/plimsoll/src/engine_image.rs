//! The image of the keyword example engine, made in memory: one static program and its manifest.

use anyhow::Context;
use image::pack::{File, Pack};
use serde_json::Value;

/// The program, compiled by the build script.
const PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/keyword-engine"));

/// Its manifest, without the id of an engine.
const MANIFEST: &str = include_str!("../../../examples/keyword/manifest.json");

/// The image for the engine with this id.
///
/// # Errors
/// The example's manifest is no JSON.
pub fn pack(engine_id: &str) -> anyhow::Result<Pack> {
    let mut manifest: Value = serde_json::from_str(MANIFEST).context("the example's manifest")?;
    manifest["engineId"] = engine_id.into();
    let manifest = serde_json::to_vec_pretty(&manifest)?;
    Ok(Pack::new(image::Platform::new("linux", "amd64"))
        .layer(vec![File::dir("app", 0o755), File::new("app/keyword", 0o755, PROGRAM)])
        .layer(vec![File::dir("var", 0o755), File::new("var/manifest.json", 0o644, manifest)])
        .entrypoint(["/app/keyword"])
        .env("VERITONE_WEBHOOK_READY", "http://0.0.0.0:8080/ready")
        .env("VERITONE_WEBHOOK_PROCESS", "http://0.0.0.0:8080/process"))
}
