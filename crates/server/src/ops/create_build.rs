//! Makes a build of an image that is in the registry already (GraphQL contract §6, `createEngineBuild`). Nothing is pulled from elsewhere.

use std::sync::Arc;

use model::{
    build::{BuildStatus, Event},
    id::{BuildId, EngineId, JobId},
    name::{Reference, RepoName},
};
use serde_json::Value;
use store::{
    build_life::Life,
    builds::{self, Build, HistoryLine},
    engines, jobs, manifests,
};

use crate::{
    app::App,
    auth::{Caller, permission::Permission},
    clock,
    error::Problem,
    gate,
    jobs::CERTIFY_BUILD,
    ops::take_push::bind,
};

/// Makes it, in status `uploaded`; an undeleted build of the same image is given back as it is.
///
/// # Errors
/// [`Problem::NotFound`], [`Problem::NotAllowed`], [`Problem::InvalidInput`], [`Problem::Internal`].
pub async fn create_build(
    app: &Arc<App>,
    caller: &Caller,
    engine: EngineId,
    image: &str,
    manifest: Option<Value>,
) -> Result<Build, Problem> {
    caller.require(Permission::WriteEngines)?;
    let missing = || Problem::NotFound { object: "Engine", id: engine.to_string() };
    let row = engines::by_id(app.db.read(), engine).await?;
    row.filter(|row| row.organization == caller.organization && !row.deleted).ok_or_else(missing)?;
    let (repository, reference) = parse(app, image)?;
    let unknown = || Problem::invalid(format!("dockerImage: {image:?} is not in this registry; push it first"));
    if repository.organization() != caller.organization {
        return Err(unknown());
    }
    let stored = manifests::get(&app.db, &repository, &reference).await?.ok_or_else(unknown)?;
    let broken = |error: Box<dyn std::error::Error + Send + Sync>| Problem::internal(&*error);
    let looked = gate::look(app, &repository, &stored.digest).await.map_err(broken)?;
    match bind(app, &repository, &looked).await? {
        Ok(found) if found.id == engine => {}
        Ok(found) => return Err(Problem::invalid(format!("dockerImage: the image is of engine {}, not of {engine}", found.id))),
        Err(why) => return Err(Problem::invalid(format!("dockerImage: {}; {}", why.reason, why.fix))),
    }
    let found = looked.manifest_document();
    if manifest.is_some_and(|given| given != found) {
        return Err(Problem::invalid("manifest: it is not the one in the image; leave it out, or push an image with this one"));
    }
    let mut tx = app.db.write().await?;
    if let Some(known) = builds::by_digest(&mut tx, engine, &stored.digest).await? {
        return Ok(known);
    }
    let now = clock::now_ms();
    let tag = if let Reference::Tag(tag) = &reference { tag.to_string() } else { String::new() };
    let build = Build {
        id: BuildId(clock::new_id()),
        engine,
        version: engines::next_version(&mut tx, engine).await?,
        status: BuildStatus::Uploaded,
        repository: repository.to_string(),
        tag,
        digest: stored.digest,
        manifest: found,
        pushed_by: caller.email.clone(),
        pushed_at: now,
        created_at: now,
        modified_at: now,
        life: Life::default(),
    };
    builds::insert(&mut tx, &build).await?;
    let line = HistoryLine {
        at: now,
        actor: caller.email.clone(),
        event: Event::Upload.as_str().to_owned(),
        from_status: None,
        to_status: build.status.as_str().to_owned(),
        reason: format!("made of {repository}"),
    };
    builds::append_history(&mut tx, build.id, &line).await?;
    jobs::enqueue(&mut tx, JobId(clock::new_id()), CERTIFY_BUILD, &build.id.to_string(), now).await?;
    tx.commit().await?;
    app.work.notify_one();
    Ok(build)
}

/// `host/organization/name:tag`, the same without the host, or with `@digest`.
fn parse(app: &App, image: &str) -> Result<(RepoName, Reference), Problem> {
    let wrong = || {
        let example = app.image_reference("1/my-engine", "v1");
        Problem::invalid(format!(
            "dockerImage: {:?} names no image here; write it like {example}",
            image.chars().take(300).collect::<String>()
        ))
    };
    let host = app.image_reference("", "");
    let host = host.trim_end_matches("/:");
    let path = image.trim().strip_prefix(host).map_or(image.trim(), |rest| rest.trim_start_matches('/'));
    let (name, reference) = match path.split_once('@') {
        Some((name, digest)) => {
            // A tag beside a digest says nothing more.
            let name = name.rsplit_once(':').map_or(name, |(name, _)| name);
            (name, Reference::Digest(digest.parse().map_err(|_| wrong())?))
        }
        None => {
            let (name, tag) = path.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).unwrap_or((path, "latest"));
            (name, Reference::Tag(tag.parse().map_err(|_| wrong())?))
        }
    };
    Ok((name.parse().map_err(|_| wrong())?, reference))
}
