//! What an engine is given for a task: its recording with the files it has, and the one that a webhook engine is sent.

use bytes::Bytes;
use harness::{
    Sample, samples,
    task::{Given, Kept, Recording, Work},
};
use jiff::Timestamp;
use model::capability::Capability;
use serde_json::Value;
use store::{
    assets::{self, Asset, Content, Filter},
    builds::Build,
    tasks::Task,
    tdos::{self, Tdo},
};

use crate::{app::App, asset_files, auth::engine_token::EngineToken, clock, error::Problem};

/// Files of a recording that an engine is told of, newest first.
const FILES: i64 = 256;

/// Bytes of the files that an engine is given at hand; of others it gets the address.
const AT_HAND: u64 = 128 << 20;

/// Why there is nothing to give.
#[derive(Debug)]
pub enum NoWork {
    /// With a sentence for whoever made the job.
    Input(String),
    /// Ours.
    Problem(Problem),
}

impl<E: Into<Problem>> From<E> for NoWork {
    fn from(error: E) -> Self {
        Self::Problem(error.into())
    }
}

/// The MIME types that the manifest of a build takes, the preferred one first.
fn formats(build: &Build) -> Vec<String> {
    let preferred = build.manifest.get("preferredInputFormat").and_then(Value::as_str).map(str::to_owned);
    let supported = build.manifest.get("supportedInputFormats").and_then(Value::as_array).into_iter().flatten();
    preferred.into_iter().chain(supported.filter_map(Value::as_str).map(str::to_owned)).collect()
}

/// Puts together what the engine of a build is given.
///
/// # Errors
/// [`NoWork`].
pub async fn work_of(app: &App, task: &Task, build: &Build, capability: Capability) -> Result<Work, NoWork> {
    let mut db = app.db.read().acquire().await?;
    let missing = || Problem::NotFound { object: "TemporalDataObject", id: task.tdo.to_string() };
    let tdo = tdos::by_id(&mut db, task.organization, task.tdo).await?.ok_or_else(missing)?;
    let filter = Filter { tdos: vec![tdo.id], descending: true, ..Filter::default() };
    let files = assets::list(&mut db, task.organization, &filter, 0, FILES).await?;
    drop(db);
    let formats = formats(build);
    let chosen = choose(&files, &formats);
    let input = match chosen {
        Some(asset) => Some(sample_of(app, &tdo, asset).await?),
        None if task.test && files.is_empty() => {
            samples::for_capability(Some(capability), &formats).into_iter().find(|one| !one.expect_refusal)
        }
        None if is_chunk(build) && !capability.is_adapter() => return Err(NoWork::Input(nothing_fits(&tdo, &files, &formats))),
        None => None,
    };
    let token = EngineToken {
        organization: task.organization,
        engine: task.engine.clone(),
        job: task.job.clone(),
        task: task.id.clone(),
        tdo: tdo.id,
    };
    Ok(Work {
        job: task.job.clone(),
        task: task.id.clone(),
        token: app.engine_tokens.issue(token, clock::now_ms())?,
        assets: given(app, &files, chosen.zip(input.as_ref())).await?,
        recording: recording(tdo),
        payload: task.payload.as_object().cloned().unwrap_or_default(),
        input,
    })
}

fn is_chunk(build: &Build) -> bool {
    build.manifest.get("engineMode").and_then(Value::as_str).is_some_and(|mode| mode.eq_ignore_ascii_case("chunk"))
}

fn nothing_fits(tdo: &Tdo, files: &[Asset], formats: &[String]) -> String {
    let takes = formats.join(", ");
    if files.is_empty() {
        return format!("recording {} has no files; the engine takes {takes}: add one with createAsset", tdo.id);
    }
    let mut has: Vec<&str> = files.iter().map(|asset| asset.content_type.as_str()).collect();
    has.sort_unstable();
    has.dedup();
    format!("recording {} has no file that the engine takes: it takes {takes}, and there are {}", tdo.id, has.join(", "))
}

/// The file a webhook engine is sent: of a type it takes; the primary one if there is one, else media, else whatever is newest.
fn choose<'a>(files: &'a [Asset], formats: &[String]) -> Option<&'a Asset> {
    let here = |asset: &&Asset| matches!(asset.content, Content::Blob(_));
    // What another task made of it is not what it is about.
    let fits = |asset: &&Asset| here(asset) && (formats.is_empty() || samples::takes(formats, &asset.content_type));
    let all = || files.iter().filter(fits);
    all()
        .find(|asset| asset.is_primary)
        .or_else(|| all().find(|asset| asset.asset_type == "media"))
        .or_else(|| all().find(|asset| asset.task.is_none()))
        .or_else(|| all().next())
}

async fn sample_of(app: &App, tdo: &Tdo, asset: &Asset) -> Result<Sample, NoWork> {
    let bytes = match &asset.content {
        Content::Blob(digest) => asset_files::read(&app.assets, digest, asset.size).await?,
        Content::Uri(_) => Bytes::new(),
    };
    let has_time = ["audio/", "video/"].iter().any(|family| asset.content_type.starts_with(family));
    let length = u64::try_from(tdo.stop_at.saturating_sub(tdo.start_at)).unwrap_or(0);
    let name: String = asset.name.clone().unwrap_or_default().chars().filter(|c| c.is_ascii_alphanumeric() || "._-".contains(*c)).collect();
    Ok(Sample {
        id: asset.id.clone(),
        mime_type: asset.content_type.clone(),
        file_name: if name.is_empty() { "input".to_owned() } else { name },
        bytes,
        expect_refusal: false,
        repeats: None,
        start_ms: 0,
        end_ms: if has_time { length } else { 0 },
        width: None,
        height: None,
    })
}

/// The files, the input first of all at hand.
async fn given(app: &App, files: &[Asset], input: Option<(&Asset, &Sample)>) -> Result<Vec<Given>, NoWork> {
    let mut left = AT_HAND.saturating_sub(input.map_or(0, |(asset, _)| asset.size));
    let mut all = Vec::new();
    for asset in files {
        let content = match (&asset.content, input) {
            // It was read already.
            (_, Some((input, sample))) if input.id == asset.id => Kept::Bytes(sample.bytes.clone()),
            (Content::Uri(uri), _) => Kept::Uri(uri.clone()),
            (Content::Blob(digest), _) if asset.size <= left => {
                left -= asset.size;
                Kept::Bytes(asset_files::read(&app.assets, digest, asset.size).await?)
            }
            (Content::Blob(_), _) => Kept::Uri(asset_files::signed(app, &asset_files::path_of(&asset.id))),
        };
        all.push(Given {
            id: asset.id.clone(),
            asset_type: asset.asset_type.clone(),
            content_type: asset.content_type.clone(),
            name: asset.name.clone(),
            details: asset.details.clone(),
            content,
            created: time(asset.created_at),
        });
    }
    all.reverse();
    Ok(all)
}

fn time(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or_default()
}

fn recording(tdo: Tdo) -> Recording {
    Recording {
        id: tdo.id.to_string(),
        name: tdo.name,
        description: tdo.description,
        status: tdo.status,
        details: tdo.details,
        start: time(tdo.start_at),
        stop: time(tdo.stop_at),
    }
}
