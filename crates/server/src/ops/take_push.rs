//! Takes pushes out of the outbox: each becomes a numbered build with its static findings, or an unclaimed push with the reason.
//! Row, history, report, job and the mark in the outbox are one transaction, so a push is acted on exactly once. Many pushes that wait
//! share a transaction: clients that push meanwhile wait for one writer.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use model::{
    build::{BuildStatus, Event},
    finding::Severity,
    id::{BuildId, EngineId, JobId, UnclaimedPushId},
    name::{Reference, RepoName},
    report::Report,
};
use sqlx::{Sqlite, Transaction};
use store::{
    build_life::Life,
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

/// What is to become of a push: found out before anything is written, because reading an image can take its time.
enum Fate {
    /// It speaks about an image, such as a signature: it is kept and is nobody's build.
    Attachment,
    Unclaimed(Unclaimed),
    Build(Box<(Looked, Engine)>),
}

/// What was written, to be told when it is durable.
struct Taken {
    push: i64,
    sentence: Option<String>,
    build: Option<BuildId>,
}

/// Acts on pushes, oldest first, in one transaction: on as many of them as can be looked at within `patience`, and on the first at least.
/// Returns how many that were.
///
/// # Errors
/// The database or a file of ours; the pushes stay in the outbox.
pub async fn take_pushes(app: &Arc<App>, pushes: Vec<Push>, patience: Duration) -> Result<usize, store::Error> {
    let (began, mut decided) = (Instant::now(), Vec::new());
    for push in pushes {
        let fate = decide(app, &push).await?;
        decided.push((push, fate));
        if began.elapsed() > patience {
            break;
        }
    }
    let mut tx = app.db.write_grouped().await?;
    let mut taken = Vec::new();
    let ids: Vec<i64> = decided.iter().map(|(push, _)| push.id).collect();
    // Another process may have been faster.
    let open = pushes::mark_handled(&mut tx, &ids).await?;
    let mut refused = Vec::new();
    for (push, fate) in decided.iter().filter(|(push, _)| open.contains(&push.id)) {
        taken.push(take(app, &mut tx, push, fate, &mut refused).await?);
    }
    unclaimed_pushes::upsert(&mut tx, &refused).await?;
    tx.commit().await?;
    for Taken { push, sentence, build } in taken {
        if let Some(id) = build {
            app.work.notify_one();
            app.tell(id);
        }
        app.told.tell(push, sentence);
    }
    Ok(decided.len())
}

async fn decide(app: &Arc<App>, push: &Push) -> Result<Fate, store::Error> {
    if is_attachment(app, push).await? {
        return Ok(Fate::Attachment);
    }
    let looked = match gate::look(app, &push.repository, &push.digest).await {
        Ok(looked) => looked,
        Err(error) => {
            tracing::error!(repository = %push.repository, digest = %push.digest, error = chain(&*error), "a pushed image cannot be read");
            let fix = "push it again; if that does not help, tell the operator, whose log has the reason";
            return Ok(Fate::Unclaimed(Unclaimed::new("gate.error", "the gate could not read the image from its own store", fix)));
        }
    };
    Ok(match bind(app, &push.repository, &looked).await? {
        Ok(engine) => Fate::Build(Box::new((looked, engine))),
        Err(unclaimed) => Fate::Unclaimed(unclaimed),
    })
}

/// What is refused is added to `refused`, to be written with the others.
async fn take(
    app: &Arc<App>,
    tx: &mut Transaction<'_, Sqlite>,
    push: &Push,
    fate: &Fate,
    refused: &mut Vec<UnclaimedPush>,
) -> Result<Taken, store::Error> {
    let (sentence, build) = match fate {
        Fate::Attachment => (None, None),
        Fate::Unclaimed(unclaimed) => {
            let (sentence, row) = refuse(app, push, unclaimed);
            refused.push(row);
            (Some(sentence), None)
        }
        Fate::Build(found) => {
            let (sentence, build) = build(app, tx, push, &found.0, &found.1).await?;
            (Some(sentence), build)
        }
    };
    Ok(Taken { push: push.id, sentence, build })
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

/// What is said of a push that became no build, and what is written.
fn refuse(app: &App, push: &Push, unclaimed: &Unclaimed) -> (String, UnclaimedPush) {
    let (reason, fix) = (unclaimed.reason.trim_end_matches('.'), &unclaimed.fix);
    let sentence = format!("This push became no build ({}): {reason}; {fix}. See {}/unclaimed", unclaimed.code, app.public_url);
    let row = UnclaimedPush {
        id: UnclaimedPushId(clock::new_id()),
        organization: push.repository.organization(),
        repository: push.repository.to_string(),
        tag: push.tag.to_string(),
        digest: push.digest.clone(),
        code: unclaimed.code.clone(),
        reason: unclaimed.reason.clone(),
        fix: unclaimed.fix.clone(),
        pushed_by: push.account.clone(),
        created_at: clock::now_ms(),
    };
    tracing::info!(repository = row.repository, tag = row.tag, code = row.code, "unclaimed push");
    (sentence, row)
}

/// Returns the id only of a build that is new.
async fn build(
    app: &Arc<App>,
    tx: &mut Transaction<'_, Sqlite>,
    push: &Push,
    looked: &Looked,
    engine: &Engine,
) -> Result<(String, Option<BuildId>), store::Error> {
    if let Some(known) = builds::by_digest(tx, engine.id, &push.digest).await? {
        if known.tag != push.tag.as_str() || known.repository != push.repository.as_str() {
            let reason = format!("the same image was pushed as {}:{}", push.repository, push.tag);
            builds::append_history(tx, known.id, &line(&push.account, "pushedAgain", Some(known.status), known.status, reason)).await?;
        }
        let page = format!("{}/builds/{}", app.public_url, known.id);
        let sentence =
            format!("This image is build {} of engine {} already; it is {}. See {page}", known.version, engine.name, known.status);
        return Ok((sentence, None));
    }
    let now = clock::now_ms();
    let build = Build {
        id: BuildId(clock::new_id()),
        engine: engine.id,
        version: engines::next_version(tx, engine.id).await?,
        status: BuildStatus::Fetching,
        repository: push.repository.to_string(),
        tag: push.tag.to_string(),
        digest: push.digest.clone(),
        manifest: looked.manifest_document(),
        pushed_by: push.account.clone(),
        pushed_at: push.pushed_at,
        created_at: now,
        modified_at: now,
        life: Life::default(),
    };
    builds::insert(tx, &build).await?;
    let start =
        line(&push.account, Event::Start.as_str(), None, BuildStatus::Fetching, format!("pushed as {}:{}", push.repository, push.tag));
    builds::append_history(tx, build.id, &start).await?;
    let report = gate::static_report(app, &build, engine, looked);
    builds::insert_report(tx, build.id, &report, now).await?;
    jobs::enqueue(tx, JobId(clock::new_id()), CERTIFY_BUILD, &build.id.to_string(), now).await?;
    tracing::info!(build = %build.id, engine = %engine.id, version = build.version, "new build");
    Ok((said(app, &build, engine, &report), Some(build.id)))
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
