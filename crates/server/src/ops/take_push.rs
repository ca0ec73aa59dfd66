//! Takes a push out of the outbox: it becomes a numbered build with its static findings, or an unclaimed push with the reason.
//! Row, history, report, job and the mark in the outbox are one transaction, so a push is acted on exactly once.

use std::sync::Arc;

use model::{
    build::{BuildStatus, Event},
    finding::Severity,
    id::{BuildId, EngineId, JobId, UnclaimedPushId},
    name::{Reference, RepoName},
    report::Report,
};
use store::{
    builds::{self, Build, HistoryLine},
    engines::{self, Engine},
    jobs,
    pushes::{self, Push},
    unclaimed_pushes::{self, UnclaimedPush},
};

use crate::{
    app::App,
    clock, door,
    error::chain,
    gate::{self, Looked},
    jobs::CERTIFY_BUILD,
};

/// Why a push becomes no build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unclaimed {
    /// Rule, such as `manifest.missing`.
    pub code: String,
    /// What was found.
    pub reason: String,
    /// What to do.
    pub fix: String,
}

impl Unclaimed {
    /// From its three texts.
    pub fn new(code: &str, reason: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { code: code.into(), reason: reason.into(), fix: fix.into() }
    }
}

/// Acts on one push. Returns what became of it, in a sentence, if there is something to say.
///
/// # Errors
/// The database or a file of ours; the push stays in the outbox.
pub async fn take_push(app: &Arc<App>, push: Push) -> Result<Option<String>, store::Error> {
    if is_attachment(app, &push).await? {
        let mut tx = app.db.write().await?;
        if pushes::mark_handled(&mut tx, push.id).await? {
            tx.commit().await?;
        }
        return Ok(None);
    }
    let looked = match gate::look(app, &push.repository, &push.digest).await {
        Ok(looked) => looked,
        Err(error) => {
            tracing::error!(repository = %push.repository, digest = %push.digest, error = chain(&*error), "a pushed image cannot be read");
            let fix = "push it again; if that does not help, tell the operator, whose log has the reason";
            return refuse(app, &push, Unclaimed::new("gate.error", "the gate could not read the image from its own store", fix)).await;
        }
    };
    match bind(app, &push.repository, &looked).await? {
        Ok(engine) => build(app, &push, &looked, &engine).await,
        Err(unclaimed) => refuse(app, &push, unclaimed).await,
    }
}

/// What speaks about an image, such as a signature, is kept and is nobody's build.
async fn is_attachment(app: &App, push: &Push) -> Result<bool, store::Error> {
    let manifest = store::manifests::get(&app.db, &push.repository, &Reference::Digest(push.digest.clone())).await?;
    Ok(manifest.is_some_and(|manifest| door::kind(push.tag.as_str(), &manifest.media_type, &manifest.bytes) == door::Kind::Attachment))
}

/// The engine a push belongs to (lifecycle §7), or why it belongs to none.
pub async fn bind(app: &App, repository: &RepoName, looked: &Looked) -> Result<Result<Engine, Unclaimed>, store::Error> {
    let id: EngineId = match looked.engine_id() {
        Ok(id) => id,
        Err(unclaimed) => return Ok(Err(unclaimed)),
    };
    let engine = engines::by_id(app.db.read(), id).await?;
    // A foreign engine is not told apart from one that does not exist.
    Ok(match engine.filter(|engine| engine.organization == repository.organization()) {
        Some(engine) if engine.deleted => Err(Unclaimed::new(
            "manifest.engineId",
            format!("engine {id} is deleted"),
            "undelete the engine, or put the id of another engine into /var/manifest.json, then push again",
        )),
        Some(engine) => Ok(engine),
        None => Err(Unclaimed::new(
            "manifest.engineId",
            format!("invalid engineId: organization {} has no engine {id}", repository.organization()),
            "register the engine, or copy its id from the console into engineId of /var/manifest.json, then build and push again",
        )),
    })
}

async fn refuse(app: &App, push: &Push, unclaimed: Unclaimed) -> Result<Option<String>, store::Error> {
    let (reason, fix) = (unclaimed.reason.trim_end_matches('.'), &unclaimed.fix);
    let sentence = format!("This push became no build ({}): {reason}; {fix}. See {}/unclaimed", unclaimed.code, app.public_url);
    let mut tx = app.db.write().await?;
    let row = UnclaimedPush {
        id: UnclaimedPushId(clock::new_id()),
        organization: push.repository.organization(),
        repository: push.repository.to_string(),
        tag: push.tag.to_string(),
        digest: push.digest.clone(),
        code: unclaimed.code,
        reason: unclaimed.reason,
        fix: unclaimed.fix,
        pushed_by: push.account.clone(),
        created_at: clock::now_ms(),
    };
    unclaimed_pushes::upsert(&mut tx, &row).await?;
    if pushes::mark_handled(&mut tx, push.id).await? {
        tx.commit().await?;
        tracing::info!(repository = row.repository, tag = row.tag, code = row.code, "unclaimed push");
    }
    Ok(Some(sentence))
}

async fn build(app: &Arc<App>, push: &Push, looked: &Looked, engine: &Engine) -> Result<Option<String>, store::Error> {
    let mut tx = app.db.write().await?;
    if let Some(known) = builds::by_digest(&mut tx, engine.id, &push.digest).await? {
        if known.tag != push.tag.as_str() || known.repository != push.repository.as_str() {
            let reason = format!("the same image was pushed as {}:{}", push.repository, push.tag);
            builds::append_history(&mut tx, known.id, &line(&push.account, "pushedAgain", Some(known.status), known.status, reason))
                .await?;
        }
        if pushes::mark_handled(&mut tx, push.id).await? {
            tx.commit().await?;
        }
        let page = format!("{}/builds/{}", app.public_url, known.id);
        return Ok(Some(format!(
            "This image is build {} of engine {} already; it is {}. See {page}",
            known.version, engine.name, known.status
        )));
    }
    let now = clock::now_ms();
    let build = Build {
        id: BuildId(clock::new_id()),
        engine: engine.id,
        version: engines::next_version(&mut tx, engine.id).await?,
        status: BuildStatus::Fetching,
        repository: push.repository.to_string(),
        tag: push.tag.to_string(),
        digest: push.digest.clone(),
        manifest: looked.manifest_document(),
        pushed_by: push.account.clone(),
        pushed_at: push.pushed_at,
        created_at: now,
        modified_at: now,
    };
    builds::insert(&mut tx, &build).await?;
    let start =
        line(&push.account, Event::Start.as_str(), None, BuildStatus::Fetching, format!("pushed as {}:{}", push.repository, push.tag));
    builds::append_history(&mut tx, build.id, &start).await?;
    let report = gate::static_report(app, &build, engine, looked);
    builds::insert_report(&mut tx, build.id, &report, now).await?;
    jobs::enqueue(&mut tx, JobId(clock::new_id()), CERTIFY_BUILD, &build.id.to_string(), now).await?;
    if pushes::mark_handled(&mut tx, push.id).await? {
        tx.commit().await?;
        tracing::info!(build = %build.id, engine = %engine.id, version = build.version, "new build");
        app.work.notify_one();
        app.tell(build.id);
    }
    Ok(Some(said(app, &build, engine, &report)))
}

/// What is known before the run.
fn said(app: &App, build: &Build, engine: &Engine, report: &Report) -> String {
    let start = format!("Build {} of engine {}", build.version, engine.name);
    let page = format!("{}/builds/{}", app.public_url, build.id);
    match (report.count(Severity::Error), report.errors.first()) {
        (0, _) | (_, None) => format!("{start}: nothing blocks it so far, the run follows. See {page}"),
        (1, Some(first)) => format!("{start} will not be accepted: {}. See {page}", first.trim_end_matches('.')),
        (errors, Some(first)) => {
            format!("{start} will not be accepted: {} (and {} more). See {page}", first.trim_end_matches('.'), errors - 1)
        }
    }
}

fn line(actor: &str, event: &str, from: Option<BuildStatus>, to: BuildStatus, reason: String) -> HistoryLine {
    HistoryLine {
        at: clock::now_ms(),
        actor: actor.to_owned(),
        event: event.to_owned(),
        from_status: from.map(|status| status.as_str().to_owned()),
        to_status: to.as_str().to_owned(),
        reason,
    }
}
