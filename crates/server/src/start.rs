//! Puts the parts together and runs them until told to stop.

use std::{
    fs::{self, File, TryLockError},
    io::{Read, Write},
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::{Arc, LazyLock},
    time::Duration,
};

use anyhow::Context;
use checks::Policy;
use image::LayerCache;
use registry::{Challenge, Limits, Options, Registry};
use sandbox::Sandbox;
#[cfg(feature = "s3")]
use secrecy::ExposeSecret;
use store::{Db, blobs::Blobs, build_logs::BuildLogs, evidence::EvidenceFiles};
use tokio::{
    net::TcpListener,
    sync::{Mutex, Notify, broadcast},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{
    advisories::Advisories,
    app::App,
    asset_files,
    auth::{
        access_token::{AccessTokens, SERVICE},
        credentials::Credentials,
        engine_token::EngineTokens,
        signature::Signatures,
        windows::Windows,
    },
    clock,
    config::Config,
    control, door,
    error::chain,
    graphql, http,
    instances::Instances,
    jobs,
    keeper::Keeper,
    listen,
    ops::{
        first_start::{FirstStart, Made, first_start},
        record_task::recover_tasks,
    },
    pushed_image,
    runs::Runs,
    told::{self, Told},
};

/// How long requests in progress may take once the server is told to stop.
const GRACE: Duration = Duration::from_secs(5);

/// How often unpacked layers are settled.
const SWEEP: Duration = Duration::from_secs(300);

/// A running server.
pub struct Server {
    /// Its parts.
    pub app: Arc<App>,
    /// The account made at the first start.
    pub made: Option<Made>,
    stop: CancellationToken,
    tasks: JoinSet<()>,
    _engines: EndEngines,
    _lock: File,
}

/// Ends the live engines with the server, also with one that is dropped in the middle.
struct EndEngines(Arc<App>);

impl Drop for EndEngines {
    fn drop(&mut self) {
        self.0.instances.drop_all();
    }
}

/// Starts a server; returns when it answers requests.
///
/// # Errors
/// The data folder is in use or unusable, the address is taken, the policy is wrong: each with what to do.
pub async fn start(config: Config, first: &FirstStart, sandbox: Arc<dyn Sandbox>) -> anyhow::Result<Server> {
    let data = config.data.clone();
    fs::create_dir_all(&data).with_context(|| format!("the data folder {} cannot be made; choose another with --data", data.display()))?;
    let lock = lock(&data)?;
    let db = Db::open(&data.join("plimsoll.db")).await?;
    store::jobs::free_all(&db).await?;
    recover_tasks(&db).await?;
    let made = first_start(&db, first).await?;
    let listener = TcpListener::bind(config.listen).await.with_context(|| {
        format!("{} cannot be listened on; stop the other program or choose another address with --listen", config.listen)
    })?;
    let bound = listener.local_addr()?;
    let (blobs, assets) = {
        let config = config.clone();
        tokio::task::spawn_blocking(move || anyhow::Ok((blobs(&config, "")?, blobs(&config, ASSETS)?))).await??
    };
    let app = Arc::new(assemble(config, bound, db, (blobs, assets), sandbox)?);
    let registry = registry(&app);
    let stop = app.stop.clone();
    let mut tasks = JoinSet::new();
    let router = http::router(app.clone(), registry.router());
    tasks.spawn(settle(app.layers.clone(), stop.clone()));
    tasks.spawn(listen::serve(listener, router, connections(&app.config), stop.clone()));
    let keeper = Arc::new(kept_by(&app.config, app.db.clone(), registry, app.evidence.clone()));
    tasks.spawn(control::listen(keeper.clone(), &data, stop.clone())?);
    tasks.spawn(jobs::collect_garbage(keeper, stop.clone()));
    tasks.spawn(jobs::take_pushes(app.clone(), stop.clone()));
    tasks.spawn(jobs::watch_advisories(app.clone(), stop.clone()));
    tasks.spawn(jobs::keep_instances(app.clone(), stop.clone()));
    tasks.spawn(jobs::run_tasks(app.clone(), stop.clone()));
    tasks.spawn(asset_files::sweep(app.clone(), stop.clone()));
    for n in 0..app.config.gate.workers.max(1) {
        tasks.spawn(jobs::work(app.clone(), format!("worker-{}-{n}", std::process::id()), stop.clone()));
    }
    let _engines = EndEngines(app.clone());
    Ok(Server { app, made, stop, tasks, _engines, _lock: lock })
}

impl Server {
    /// Stops taking requests, gives jobs in progress back and waits for everything to end.
    pub async fn stop(mut self) {
        self.stop.cancel();
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE * 2, ended).await.is_err() {
            tracing::warn!("some requests did not end in time; they are cut off");
        }
        self.app.db.close().await;
    }
}

/// Two servers on one folder would take each other's jobs.
pub(crate) fn lock(data: &Path) -> anyhow::Result<File> {
    let path = data.join("lock");
    let file = File::create(&path).with_context(|| format!("{} cannot be written; check the rights of the folder", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            anyhow::bail!("another server is using {}; stop it or choose another folder with --data", data.display())
        }
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("{} cannot be locked", path.display())),
    }
}

/// The key of this installation, made at the first start, readable by us only.
fn secret(path: &Path) -> anyhow::Result<[u8; 32]> {
    let mut key = [0; 32];
    match File::open(path) {
        Ok(mut file) => file.read_exact(&mut key).with_context(|| format!("{} is cut off; remove it to make a new one", path.display()))?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            key = clock::random();
            let mut file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
            file.write_all(&key)?;
            file.sync_all()?;
        }
        Err(error) => return Err(error).with_context(|| format!("{} cannot be read", path.display())),
    }
    Ok(key)
}

fn policy(path: &Path) -> anyhow::Result<Policy> {
    if path.as_os_str().is_empty() {
        return Ok(Policy::default());
    }
    let text = fs::read(path).with_context(|| format!("the policy {} cannot be read; check gate.policy", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("the policy {} is wrong", path.display()))
}

/// Files of recordings are kept below this name, beside the blobs of the registry and apart from its collector.
const ASSETS: &str = "assets";

/// The place of the blobs, or of others below `part`. Blocks.
fn blobs(config: &Config, part: &str) -> anyhow::Result<Blobs> {
    let folder = config.data.join(part);
    fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made; check the rights of the data folder", folder.display()))?;
    match config.storage.bucket()? {
        None => Ok(Blobs::open(&folder)?),
        #[cfg(feature = "s3")]
        Some((bucket, prefix)) => {
            let storage = &config.storage;
            let options = store::blobs::S3Options {
                bucket: bucket.into(),
                prefix: [prefix, part].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/"),
                endpoint: storage.endpoint.clone(),
                region: storage.region.clone(),
                access_key_id: storage.access_key_id.clone(),
                secret_access_key: storage.secret_access_key.expose_secret().to_owned(),
                environment: std::env::vars().filter(|(name, _)| name.starts_with("AWS_")).collect(),
            };
            Ok(Blobs::open_bucket(&folder, &options)?)
        }
        #[cfg(not(feature = "s3"))]
        Some(_) => anyhow::bail!("storage.url names a bucket, but this program was built without S3; build it with the feature s3"),
    }
}

fn assemble(config: Config, bound: SocketAddr, db: Db, places: (Blobs, Blobs), sandbox: Arc<dyn Sandbox>) -> anyhow::Result<App> {
    let data = &config.data;
    let ((blobs, assets), key) = (places, secret(&data.join("secret.key"))?);
    let layers = LayerCache::with_limit(data.join("layers"), config.sandbox.cache_bytes);
    layers.sweep()?;
    Ok(App {
        public_url: config.public_url(bound),
        db,
        blobs,
        assets,
        holds: Arc::default(),
        evidence: EvidenceFiles::open(&data.join("evidence"))?,
        logs: BuildLogs::open(&data.join("logs"))?,
        layers: Arc::new(layers),
        instances: Instances::default(),
        sandbox,
        outside: sandbox::Outside::internet(),
        advisories: Advisories::open(&config.advisories.path)?,
        policy: policy(&config.gate.policy)?,
        credentials: Credentials::new(clock::random()),
        tokens: AccessTokens::new(&key, config.registry.token_seconds),
        engine_tokens: EngineTokens::new(&key),
        signatures: Signatures::new(&key),
        runs: Runs::default(),
        windows: Windows::new(&config.api),
        schema: LazyLock::new(graphql::schema),
        work: Notify::new(),
        stop: CancellationToken::new(),
        pushed: Arc::new(Notify::new()),
        told: Told::default(),
        news: broadcast::channel(1024).0,
        moved: broadcast::channel(1024).0,
        config,
    })
}

fn limits(config: &Config) -> Limits {
    Limits {
        blob_bytes: config.registry.max_blob_bytes,
        organization_bytes: config.registry.quota_bytes,
        body_idle: Duration::from_secs(config.registry.idle_seconds),
        upload_expiry: Duration::from_secs(config.registry.upload_expiry_seconds),
        ..Limits::default()
    }
}

fn connections(config: &Config) -> listen::Limits {
    listen::Limits {
        connections: config.http.max_connections,
        head: Duration::from_secs(config.http.header_seconds),
        body_idle: Duration::from_secs(config.registry.idle_seconds),
        grace: GRACE,
    }
}

fn kept_by(config: &Config, db: Db, registry: Registry, evidence: EvidenceFiles) -> Keeper {
    Keeper { db, registry, evidence, config: config.clone(), turn: Mutex::new(()) }
}

/// The parts that keeping the store needs, without a server. The caller has locked the data folder.
pub(crate) async fn keeper(config: Config) -> anyhow::Result<Keeper> {
    let db = Db::open(&config.data.join("plimsoll.db")).await?;
    let evidence = EvidenceFiles::open(&config.data.join("evidence"))?;
    let mut options = Options::new(Arc::new(clock::now_ms), Arc::new(clock::new_id));
    options.limits = limits(&config);
    let blobs = {
        let config = config.clone();
        tokio::task::spawn_blocking(move || blobs(&config, "")).await??
    };
    let registry = Registry::new(db.clone(), blobs, options);
    Ok(kept_by(&config, db, registry, evidence))
}

pub(crate) fn registry(app: &Arc<App>) -> Registry {
    let mut options = Options::new(Arc::new(clock::now_ms), Arc::new(clock::new_id));
    options.tap = Some(pushed_image::tap(app.evidence.clone()));
    options.pushed = app.pushed.clone();
    options.door = Some(door::door(app));
    options.remarks = told::remarks(app);
    options.limits = limits(&app.config);
    let token_url = (!app.config.public_url.is_empty()).then(|| format!("{}/v2/token", app.public_url));
    // Offered Basic as well, Docker would send the password with every request.
    options.challenge = Challenge { token_url, service: SERVICE.into(), basic: false };
    Registry::new(app.db.clone(), app.blobs.clone(), options)
}

/// Makes unpacked layers outlive a power cut, from time to time; in the boot that made them they are trusted anyway.
async fn settle(layers: Arc<LayerCache>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(SWEEP) => {}
            () = stop.cancelled() => return,
        }
        let layers = layers.clone();
        match tokio::task::spawn_blocking(move || layers.settle()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(
                error = chain(&error),
                "unpacked layers could not be settled; after a restart of the machine they are unpacked again"
            ),
            Err(error) => tracing::error!(%error, "settling unpacked layers broke down"),
        }
    }
}

#[cfg(test)]
mod tests {
    use image::{
        Caps, Platform,
        pack::{File as Member, Pack},
    };
    use model::run::Exit;
    use sandbox::fake::Fake;

    use super::*;

    #[tokio::test]
    async fn unpacked_layers_are_kept_within_their_limit() {
        let dir = tempfile::tempdir().unwrap();
        let file = |n: u8| vec![Member::new("f", 0o644, vec![n; 100 << 10])];
        let packed = Pack::new(Platform::host()).layer(file(1)).layer(file(2)).build().unwrap();
        let found = image::inspect(&packed, packed.top(), &Platform::host(), Caps::default(), &mut |_| None).unwrap();
        let kept = async |cache_bytes: u64| {
            let (data, listen) = (dir.path().to_owned(), SocketAddr::from(([127, 0, 0, 1], 0)));
            let config =
                Config { data, listen, sandbox: crate::config::Sandbox { cache_bytes, ..Default::default() }, ..Config::default() };
            let first = FirstStart { organization: None, email: None, password: None };
            let sandbox = Arc::new(Fake::scripted(Vec::new(), Exit::Exited { code: 0 }));
            let server = start(config, &first, sandbox).await.unwrap();
            for layer in &found.layers {
                server.app.layers.ensure(&packed, layer, &Caps::default()).unwrap();
            }
            server.stop().await;
            let names = fs::read_dir(dir.path().join("layers")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
            names.filter(|name| !name.ends_with(".lock")).count()
        };
        assert_eq!(kept(1 << 20).await, 2);
        assert_eq!(kept(150 << 10).await, 1, "a smaller limit holds from the next start on");
        assert_eq!(kept(0).await, 0);
    }
}
