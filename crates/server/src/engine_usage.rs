//! Who used an engine lately and what it is doing: what people see before they pause it or put another build in its place.

use store::{
    engine_use::{self, Use},
    engines::Engine,
};

use crate::{app::App, clock, error::Problem};

/// What "lately" means, milliseconds.
pub const LATELY_MS: i64 = 7 * 24 * 3_600_000;

/// The use of an engine.
///
/// # Errors
/// [`Problem::Internal`].
pub async fn usage_of(app: &App, engine: &Engine) -> Result<Use, Problem> {
    Ok(engine_use::used(app.db.read(), &engine.id.to_string(), clock::now_ms() - LATELY_MS).await?)
}
