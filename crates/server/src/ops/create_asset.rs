//! Adds files to recordings. Content is durable before anything names it.

use bytes::Bytes;
use harness::Md5Sum;
use serde_json::Value;
use sqlx::{Sqlite, Transaction};
use store::{
    assets::{self, Asset, Content},
    tdos::{self, Document, Tdo},
};

use super::{
    create_tdo::{NewTdo, blank, own_tdo, short, small},
    update_task::still_open,
};
use crate::{
    app::App,
    asset_files::{self, Incoming, Kept},
    auth::{party::Party, permission::Permission},
    clock,
    error::Problem,
    task_ids,
};

/// Longest address, bytes.
const URI_MAX: usize = 2_048;

/// What a file holds.
pub enum NewContent {
    /// A file that came with the request.
    File(Incoming),
    /// Bytes at hand.
    Bytes(Bytes),
    /// An address: of ours, then its content; or any other, which is never fetched.
    Uri(String),
}

/// A file to be.
pub struct NewAsset {
    /// Such as `media`.
    pub asset_type: String,
    /// MIME type; that of the content if it is not said.
    pub content_type: Option<String>,
    /// For people.
    pub name: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// Anything.
    pub details: Option<Value>,
    /// What is said of where it comes from.
    pub source: Option<Value>,
    /// The content.
    pub content: NewContent,
    /// The MD5 sum that the content should have.
    pub md5sum: Option<String>,
    /// It is the one of its type that counts.
    pub is_primary: bool,
    /// A person changed it.
    pub user_edited: bool,
}

/// Content that is durable, with what there is to know of it.
pub(super) struct Ready {
    content: Content,
    size: u64,
    content_type: Option<String>,
    // Dropped when the row is written.
    _kept: Option<Kept>,
}

impl Ready {
    pub(super) fn blob(kept: Kept) -> Self {
        Self { content: Content::Blob(kept.digest.clone()), size: kept.size, content_type: None, _kept: Some(kept) }
    }

    pub(super) fn uri(uri: String) -> Self {
        Self { content: Content::Uri(uri), size: 0, content_type: None, _kept: None }
    }
}

/// Takes the content of a file to be, and makes it durable. A sum that is given with it must be that of the content, if that is here.
pub(super) async fn ready(app: &App, party: &Party, new: &mut NewAsset) -> Result<Ready, Problem> {
    let sum = new.md5sum.as_deref().map(Md5Sum::given).transpose().map_err(Problem::invalid)?;
    let content = std::mem::replace(&mut new.content, NewContent::Uri(String::new()));
    let ready = durable(app, party, content).await?;
    if let (Some(sum), Content::Blob(digest)) = (sum, &ready.content) {
        asset_files::check(&app.assets, digest, ready.size, sum).await?;
    }
    Ok(ready)
}

async fn durable(app: &App, party: &Party, content: NewContent) -> Result<Ready, Problem> {
    match content {
        NewContent::File(incoming) => Ok(Ready::blob(incoming.keep(app).await?)),
        NewContent::Bytes(bytes) => Ok(Ready::blob(asset_files::keep(app, bytes).await?)),
        NewContent::Uri(uri) => {
            if uri.is_empty() {
                return Err(Problem::invalid("One of uri or file (upload) must be provided to create an asset"));
            }
            if uri.len() > URI_MAX {
                return Err(Problem::invalid(format!("uri: longer than {URI_MAX} bytes")));
            }
            let Some(id) = asset_files::asset_of(app, &uri) else { return Ok(Ready::uri(uri)) };
            let missing = || Problem::NotFound { object: "Asset", id: id.chars().take(80).collect() };
            let asset = assets::by_id(app.db.read(), party.organization(), id).await?.ok_or_else(missing)?;
            let tdo = tdos::by_id(&mut *app.db.read().acquire().await?, party.organization(), asset.tdo).await?.ok_or_else(missing)?;
            party.own_tdo(&tdo)?;
            Ok(Ready { content: asset.content, size: asset.size, content_type: Some(asset.content_type), _kept: None })
        }
    }
}

/// Writes the row of a file whose content is durable.
pub(super) async fn insert(
    app: &App,
    tx: &mut Transaction<'static, Sqlite>,
    party: &Party,
    tdo: &Tdo,
    new: NewAsset,
    ready: &Ready,
) -> Result<Asset, Problem> {
    let asset_type = short("assetType", Some(new.asset_type))?.unwrap_or_default();
    if asset_type.trim().is_empty() {
        return Err(Problem::invalid("assetType: say what kind of asset this is, such as media or vtn-standard"));
    }
    let most = app.config.tasks.asset_bytes;
    let used = assets::usage(tx, tdo.organization).await?;
    if most > 0 && used.saturating_add(ready.size) > most {
        let size = ready.size;
        let message =
            format!("organization {} keeps {used} of {most} bytes in files of recordings, and this needs {size} more", tdo.organization);
        return Err(Problem::Capacity(message));
    }
    let content_type = short("contentType", new.content_type)?.or_else(|| ready.content_type.clone());
    let said = |key: &str| new.source.as_ref().and_then(|source| source.get(key)).and_then(Value::as_str).map(str::to_owned);
    let asset = Asset {
        id: task_ids::asset(tdo.id),
        tdo: tdo.id,
        organization: tdo.organization,
        asset_type,
        content_type: content_type.filter(|kind| !kind.is_empty()).unwrap_or_else(|| "application/octet-stream".to_owned()),
        name: short("name", new.name)?,
        description: short("description", new.description)?,
        details: small(app, "details", new.details)?,
        // Of an engine it is known, whatever it says; of others it is what they say.
        task: party.token().map(|token| token.task.clone()).or_else(|| said("taskId")),
        engine: party.token().map(|token| token.engine.clone()).or_else(|| said("engineId")),
        source: small(app, "sourceData", new.source)?,
        content: ready.content.clone(),
        size: ready.size,
        user_edited: new.user_edited,
        is_primary: new.is_primary,
        created_by: party.name(),
        created_at: clock::now_ms(),
    };
    assets::insert(tx, &asset).await?;
    Ok(asset)
}

/// Adds a file to a recording.
///
/// # Errors
/// [`Problem::NotFound`], [`Problem::NotAllowed`], [`Problem::InvalidInput`], [`Problem::Capacity`], [`Problem::Internal`].
pub async fn create_asset(app: &App, party: &Party, tdo: i64, mut new: NewAsset) -> Result<Asset, Problem> {
    party.require(Permission::RunTasks)?;
    own_tdo(&mut *app.db.read().acquire().await?, party, tdo).await?;
    let ready = ready(app, party, &mut new).await?;
    let mut tx = app.db.write().await?;
    still_open(&mut tx, party).await?;
    let tdo = own_tdo(&mut tx, party, tdo).await?;
    let asset = insert(app, &mut tx, party, &tdo, new, &ready).await?;
    tx.commit().await?;
    Ok(asset)
}

/// Makes a recording with a first file, both or neither.
///
/// # Errors
/// As [`create_asset`].
pub async fn create_tdo_with_asset(app: &App, party: &Party, tdo: NewTdo, mut new: NewAsset) -> Result<Tdo, Problem> {
    party.require(Permission::RunTasks)?;
    let tdo = blank(app, party, tdo)?;
    let ready = ready(app, party, &mut new).await?;
    let mut tx = app.db.write().await?;
    still_open(&mut tx, party).await?;
    tdos::insert(&mut tx, &tdo).await?;
    insert(app, &mut tx, party, &tdo, new, &ready).await?;
    tx.commit().await?;
    Ok(tdo)
}

/// Keeps a document under the id of somebody's schema; returns its id.
///
/// # Errors
/// [`Problem::NotAllowed`], [`Problem::InvalidInput`], [`Problem::Internal`].
pub async fn create_structured_data(app: &App, party: &Party, schema: &str, id: Option<String>, data: Value) -> Result<String, Problem> {
    party.require(Permission::RunTasks)?;
    let schema = short("schemaId", Some(schema.to_owned()))?.unwrap_or_default();
    let id = short("id", id)?.filter(|id| !id.is_empty()).unwrap_or_else(|| clock::new_id().to_string());
    let data = small(app, "data", Some(data))?.unwrap_or_default();
    let task = party.token().map(|token| token.task.clone());
    let document =
        Document { organization: party.organization(), schema, id: id.clone(), data, task, created_by: party.name(), at: clock::now_ms() };
    let mut tx = app.db.write().await?;
    still_open(&mut tx, party).await?;
    tdos::put_document(&mut tx, &document).await?;
    tx.commit().await?;
    Ok(id)
}
