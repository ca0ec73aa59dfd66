//! `plimsoll demo`: a server, a sample engine pushed through its registry, and the verdict while you watch.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Context;
use model::{
    build::BuildStatus,
    capability::Capability,
    engine::DeploymentModel,
    id::{EngineId, OrganizationId},
    report::{Report, Verdict},
};
use oci_client::{Reference, secrets::RegistryAuth};
use secrecy::{ExposeSecret, SecretString};
use server::{
    Server,
    app::App,
    config::{Config, Overrides},
    ops::{create_engine::NewEngine, first_start::FirstStart},
};
use store::builds::{self, Build};

use crate::{
    engine_image, example,
    log::{say, tell},
    progress,
    push::{Destination, push},
};

#[derive(clap::Args)]
pub struct Args {
    /// Folder that holds everything; a new one that is removed at the end if not given
    #[arg(long)]
    data: Option<PathBuf>,
    /// Address to listen on [default: 127.0.0.1:8080, or a free port if that is taken]
    #[arg(long)]
    listen: Option<std::net::SocketAddr>,
    /// End after the verdict instead of leaving the server running; exit code 0 if the build is available, 1 if not, 3 if engines cannot be run here
    #[arg(long)]
    exit: bool,
}

/// The demo's own account.
const EMAIL: &str = "demo@localhost";

/// Longest time until the verdict.
const PATIENCE: Duration = Duration::from_secs(700);

/// Runs the demo.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    crate::log::start("error");
    super::runtime()?.block_on(demo(args))
}

async fn demo(args: Args) -> anyhow::Result<ExitCode> {
    let folder = tempfile::tempdir()?;
    let data = args.data.clone().unwrap_or_else(|| folder.path().join("data"));
    let listen = args.listen.unwrap_or_else(|| free_address(([127, 0, 0, 1], 8080).into()));
    let mut config = Config::load(None, &Overrides { data: Some(data), listen: Some(listen) })?;
    if config.advisories.path.as_os_str().is_empty() {
        config.advisories.path = example::database(folder.path(), server::clock::now_ms())?;
    }
    let password = SecretString::from(format!("demo-{}", uuid::Uuid::from_bytes(server::clock::random())));
    let first = FirstStart { organization: Some(1), email: Some(EMAIL.into()), password: Some(password.clone()) };
    let server = super::serve::start(config, &first).await?;
    anyhow::ensure!(
        server.made.is_some(),
        "this folder was used before; the demo needs a new one: leave --data out or name an empty folder"
    );
    say(format_args!("1  Server started at {}", server.app.public_url));
    let verdict = walk(&server, &password, folder.path()).await;
    let (build, report) = match verdict {
        Ok(verdict) => verdict,
        Err(error) => {
            server.stop().await;
            return Err(error);
        }
    };
    show(&server.app, &build, &report, &password);
    let code = match report.verdict {
        Verdict::Available | Verdict::ApprovedCandidate => ExitCode::SUCCESS,
        Verdict::NotTestable => ExitCode::from(super::COULD_NOT_RUN),
        Verdict::Invalid | Verdict::Disapproved | Verdict::Running => ExitCode::FAILURE,
    };
    if !args.exit {
        tell("The server is running; end it with Ctrl-C.");
        super::serve::interrupted().await;
    }
    server.stop().await;
    Ok(if args.exit { code } else { ExitCode::SUCCESS })
}

/// The wished address if it is free, else another port of it.
fn free_address(wished: std::net::SocketAddr) -> std::net::SocketAddr {
    if std::net::TcpListener::bind(wished).is_ok() { wished } else { (wished.ip(), 0).into() }
}

async fn walk(server: &Server, password: &SecretString, folder: &std::path::Path) -> anyhow::Result<(Build, Report)> {
    let app = &server.app;
    let (_, caller) = server::ops::login::login(app, EMAIL, password.expose_secret(), "127.0.0.1").await.map_err(problem)?;
    let new = NewEngine {
        id: None,
        name: "Keyword sample".into(),
        description: "Finds the words that matter in a text.".into(),
        category: Capability::Keyword,
        deployment_model: DeploymentModel::FullyNetworkIsolated,
        extra: serde_json::json!({}),
    };
    let engine = server::ops::create_engine::create_engine(app, &caller, new).await.map_err(problem)?;
    say(format_args!("2  Engine registered: {} ({})", engine.name, engine.id));
    let archive = folder.join("keyword.tar");
    let image = engine_image::pack(&engine.id.to_string())?.layer(example::package());
    image.write_oci_archive(&archive).context("the sample image cannot be written")?;
    let reference = app.image_reference(&format!("{}/keyword", OrganizationId(1)), "demo");
    let to = Destination {
        reference: reference.parse::<Reference>().with_context(|| format!("{reference:?} is no image reference"))?,
        auth: RegistryAuth::Basic(EMAIL.into(), password.expose_secret().into()),
        plain_http: true,
    };
    let started = std::time::Instant::now();
    let opened = image::open(&format!("oci-archive:{}", archive.display()).parse()?)?;
    push(opened, &to).await?;
    say(format_args!("3  Image pushed: {reference} ({} ms)", started.elapsed().as_millis()));
    let pushed = std::time::Instant::now();
    let (build, report) = wait(app, engine.id).await?;
    say(format_args!("4  Certified as build {} ({} ms after the push)", build.version, pushed.elapsed().as_millis()));
    Ok((build, report))
}

fn problem(problem: server::error::Problem) -> anyhow::Error {
    anyhow::anyhow!(problem.message())
}

/// Waits for the verdict and shows the log while it comes.
async fn wait(app: &App, engine: EngineId) -> anyhow::Result<(Build, Report)> {
    let bar = progress::spinner("certifying");
    let mut news = app.news.subscribe();
    let (mut offset, deadline) = (0, tokio::time::Instant::now() + PATIENCE);
    loop {
        if let Some(build) = builds::list(app.db.read(), engine, &[], 0, 1).await?.into_iter().next() {
            let (lines, next) = app.logs.read(build.id, offset)?;
            offset = next;
            for line in lines {
                bar.suspend(|| tell(format_args!("     {:>6} ms  {}", line.at_ms, line.text)));
            }
            if build.status != BuildStatus::Fetching {
                bar.finish_and_clear();
                let report = builds::report(app.db.read(), build.id).await?.context("the build has no report")?;
                return Ok((build, serde_json::from_str(&report)?));
            }
        }
        // A lost message only means that it is time to look again.
        let _ = tokio::time::timeout(Duration::from_millis(250), news.recv()).await;
        anyhow::ensure!(tokio::time::Instant::now() < deadline, "there was no verdict within {} s", PATIENCE.as_secs());
    }
}

fn show(app: &App, build: &Build, report: &Report, password: &SecretString) {
    say("");
    say(checks::output::text::render(report).trim_end());
    say("");
    say(format_args!("Status:  {}", build.status));
    say(format_args!("Console: {}/builds/{}", app.public_url, build.id));
    say(format_args!("Login:   {EMAIL}  password {}", password.expose_secret()));
}
