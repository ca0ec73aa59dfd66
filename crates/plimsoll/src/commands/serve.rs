//! `plimsoll serve`: the gate.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc};

use sandbox::{
    Error, Runtime, Sandbox,
    local::{Helper, Local},
};
use secrecy::ExposeSecret;
use server::{
    Server,
    config::{Config, Overrides},
    ops::first_start::FirstStart,
};

use crate::log::{say, tell};

#[derive(clap::Args)]
pub struct Args {
    /// Folder that holds everything [default: plimsoll-data]
    #[arg(long)]
    data: Option<PathBuf>,
    /// Address to listen on [default: 127.0.0.1:8080]
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// Configuration file (TOML)
    #[arg(long)]
    config: Option<PathBuf>,
}

/// Serves until it is interrupted.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    crate::log::start("info");
    let config = Config::load(args.config.as_deref(), &Overrides { data: args.data, listen: args.listen })?;
    super::runtime()?.block_on(async {
        let server = start(config, &FirstStart::from_environment()?).await?;
        say(format_args!("Plimsoll is at {}", server.app.public_url));
        announce(&server);
        interrupted().await;
        tell("Stopping; a certification in progress goes on at the next start.");
        server.stop().await;
        Ok(ExitCode::SUCCESS)
    })
}

/// Starts the server with this host's sandbox and clears what dead runs left.
pub async fn start(config: Config, first: &FirstStart) -> anyhow::Result<Server> {
    let runs = std::path::absolute(config.data.join("runs"))?;
    let sandbox = Arc::new(Local::new(runs, Helper::default()).run_by(runtime(&config)?).with_host_clocks(config.sandbox.host_clocks));
    let server = server::start(config, first, sandbox.clone()).await?;
    // The data folder is ours alone now: what is left in it belongs to the dead.
    tokio::task::spawn_blocking(move || {
        sandbox.sweep();
        // The first session examines the host, so that the first push does not wait for it.
        if let Err(Error::HostNotReady(failures)) = sandbox.open("first") {
            for failure in failures {
                tell(format_args!("Engines cannot be run on this host: {}: {}\n  mend: {}", failure.id, failure.detail, failure.mend));
            }
            tell("Pushes still get their static findings. plimsoll doctor tells more.");
        }
        sandbox::memory::give_back_code();
    })
    .await?;
    Ok(server)
}

/// The runtime of the configuration; `None` for the built-in one.
pub fn runtime(config: &Config) -> Result<Option<Runtime>, Error> {
    let wanted = config.sandbox.runtime.as_str();
    (!wanted.is_empty()).then(|| Runtime::find(wanted)).transpose()
}

/// The account of the first start, once.
pub fn announce(server: &Server) {
    let Some(made) = &server.made else { return };
    match &made.password {
        Some(password) => say(format_args!(
            "First start: organization {}, login {}, password {} (shown only now)",
            made.organization,
            made.email,
            password.expose_secret()
        )),
        None => say(format_args!("First start: organization {}, login {}, the password you chose", made.organization, made.email)),
    }
}

/// Waits for Ctrl-C or SIGTERM.
pub async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
