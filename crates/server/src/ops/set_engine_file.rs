//! Gives an engine an input of its own for certification, or the truth to hold its result against; or takes it away again.

use checks::benchmark::Truth;
use model::id::EngineId;
use store::{
    audit,
    engine_files::{self, EngineFile, Kind},
    engines,
};

use crate::{
    app::App,
    auth::{Caller, permission::Permission},
    clock,
    error::Problem,
};

/// Largest file, bytes.
pub const FILE_MAX: usize = 16 << 20;
/// Longest name and MIME type, characters.
const WORD_MAX: usize = 200;

/// What is given.
#[derive(Clone, Debug)]
pub struct NewFile {
    /// Its name.
    pub name: String,
    /// Its MIME type.
    pub mime_type: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// Gives an engine of the caller's organization a file, or takes it away with `None`. The next build is certified with it.
///
/// # Errors
/// [`Problem::NotAllowed`], [`Problem::NotFound`], [`Problem::InvalidInput`], [`Problem::Internal`].
pub async fn set_engine_file(app: &App, caller: &Caller, engine: EngineId, kind: Kind, file: Option<NewFile>) -> Result<(), Problem> {
    caller.require(Permission::WriteEngines)?;
    let missing = || Problem::NotFound { object: "Engine", id: engine.to_string() };
    let row = engines::by_id(app.db.read(), engine).await?.filter(|row| row.organization == caller.organization && !row.deleted);
    row.ok_or_else(missing)?;
    let file = file.map(|file| checked(kind, file)).transpose()?;
    let is_new = file.is_some();
    let mut tx = app.db.write().await?;
    match file {
        Some(file) => {
            let NewFile { name, mime_type, bytes } = file;
            let file = EngineFile { name, mime_type, bytes, url: None, changed_by: caller.email.clone(), changed_at: clock::now_ms() };
            engine_files::put(&mut tx, engine, kind, &file).await?;
        }
        None if !engine_files::remove(&mut tx, engine, kind).await? => {
            return Err(Problem::NotFound { object: "File", id: kind.as_str().to_owned() });
        }
        None => {}
    }
    let (object, now) = (format!("engine {engine}"), clock::now_ms());
    let action = if is_new { "engine.file" } else { "engine.file.remove" };
    audit::append(&mut tx, caller.deed(now, action, &object, kind.as_str())).await?;
    tx.commit().await?;
    Ok(())
}

fn checked(kind: Kind, file: NewFile) -> Result<NewFile, Problem> {
    let what = kind.as_str();
    if file.bytes.is_empty() || file.bytes.len() > FILE_MAX {
        return Err(Problem::invalid(format!("{what}: send a file of 1 to {FILE_MAX} bytes as the body")));
    }
    let words = [("name", &file.name), ("Content-Type", &file.mime_type)];
    if let Some((key, _)) = words.iter().find(|(_, word)| word.chars().count() > WORD_MAX || word.chars().any(char::is_control)) {
        return Err(Problem::invalid(format!("{key}: at most {WORD_MAX} characters, and none that cannot be seen")));
    }
    match kind {
        Kind::Sample if !file.mime_type.contains('/') => {
            Err(Problem::invalid("Content-Type: say what the sample is, such as audio/wav; the engine is told so"))
        }
        Kind::Truth => Truth::read(&file.bytes).map(|_| file).map_err(|error| Problem::invalid(format!("truth: {error}"))),
        Kind::Sample => Ok(file),
    }
}
