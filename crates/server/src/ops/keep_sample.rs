//! Keeps the sample that was fetched from where a registration says it lies, so that the next test run is the same.

use model::id::EngineId;
use serde_json::Value;
use store::{
    audit::{self, Deed},
    engine_files::{self, EngineFile, Kind},
    engines::{self, Engine},
};

use crate::{
    app::App,
    clock,
    error::Problem,
    fetch::{Fetched, address},
};

/// Where a registration says its sample lies.
pub fn sample_url(engine: &Engine) -> Option<&str> {
    engine.extra.pointer("/certification/sampleUrl")?.as_str().filter(|url| !url.is_empty())
}

/// Refuses a registration whose address of a sample is none.
///
/// # Errors
/// [`Problem::InvalidInput`].
pub(super) fn check_sample_url(engine: &Engine) -> Result<(), Problem> {
    let url = engine.extra.pointer("/certification/sampleUrl").and_then(Value::as_str);
    let wrong = url.filter(|url| !url.is_empty()).and_then(|url| address(url).err());
    wrong.map_or(Ok(()), |wrong| Err(Problem::invalid(format!("certification.sampleUrl: {wrong}"))))
}

/// Keeps it, unless a file was given meanwhile or the registration says something else by now. Gives what is kept.
///
/// # Errors
/// The database.
pub async fn keep_sample(app: &App, id: EngineId, url: &str, fetched: Fetched) -> Result<Option<EngineFile>, store::Error> {
    let mut tx = app.db.write().await?;
    let Some(engine) = engines::lock(&mut tx, id).await?.filter(|engine| sample_url(engine) == Some(url)) else { return Ok(None) };
    let known = engine_files::get(app.db.read(), id, Kind::Sample).await?;
    if let Some(given) = known.filter(|file| file.url.is_none()) {
        return Ok(Some(given));
    }
    let Fetched { name, mime_type, bytes } = fetched;
    let now = clock::now_ms();
    let file = EngineFile { name, mime_type, bytes, url: Some(url.to_owned()), changed_by: engine.created_by.clone(), changed_at: now };
    engine_files::put(&mut tx, id, Kind::Sample, &file).await?;
    let (object, detail) = (format!("engine {id}"), format!("sample fetched, {} bytes", file.bytes.len()));
    let deed = Deed { organization: engine.organization, at: now, actor: "gate", action: "engine.file", object: &object, detail: &detail };
    audit::append(&mut tx, deed).await?;
    tx.commit().await?;
    Ok(Some(file))
}
