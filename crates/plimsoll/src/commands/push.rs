//! `plimsoll push IMAGE HOST/ORG/NAME:TAG`: push without a docker installation.

use std::process::ExitCode;

use anyhow::Context;
use image::Transport;
use oci_client::{Reference, secrets::RegistryAuth};

use crate::{
    log::say,
    push::{Destination, push},
};

#[derive(clap::Args)]
pub struct Args {
    /// oci:DIR[:TAG], oci-archive:FILE[:TAG] or docker-archive:FILE[:TAG]
    image: String,
    /// HOST/ORG/NAME:TAG
    to: String,
    /// Login name
    #[arg(long, env = "PLIMSOLL_USER")]
    user: Option<String>,
    /// File that holds the password, or - for standard input; without it PLIMSOLL_PASSWORD is read
    #[arg(long)]
    password_file: Option<std::path::PathBuf>,
    /// Use TLS even for an address on this machine
    #[arg(long)]
    tls: bool,
}

/// An address on this machine needs no TLS.
fn is_local(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name == "localhost" || name.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn password(args: &Args) -> anyhow::Result<Option<String>> {
    let text = match &args.password_file {
        Some(path) if path.as_os_str() == "-" => {
            std::io::read_to_string(std::io::stdin()).context("the password cannot be read from standard input")?
        }
        Some(path) => std::fs::read_to_string(path).with_context(|| format!("the password file {} cannot be read", path.display()))?,
        None => return Ok(std::env::var("PLIMSOLL_PASSWORD").ok()),
    };
    Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()))
}

/// Pushes.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    crate::log::start("warn");
    let transport: Transport = args.image.parse()?;
    let reference: Reference = args.to.parse().with_context(|| format!("{:?} must look like 127.0.0.1:8080/1/my-engine:v1", args.to))?;
    let auth = match (args.user.clone(), password(&args)?) {
        (Some(user), Some(password)) => RegistryAuth::Basic(user, password),
        (None, None) => RegistryAuth::Anonymous,
        (Some(_), None) => anyhow::bail!("the password is missing; set PLIMSOLL_PASSWORD or give --password-file"),
        (None, Some(_)) => anyhow::bail!("the login name is missing; give --user or set PLIMSOLL_USER"),
    };
    let plain_http = !args.tls && is_local(reference.registry());
    let to = Destination { reference, auth, plain_http };
    let digest = super::runtime()?.block_on(async { push(image::open(&transport)?, &to).await })?;
    say(format_args!("pushed {} as {digest}", to.reference));
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_this_machine_goes_without_tls() {
        for host in ["localhost", "localhost:5000", "127.0.0.1:8080", "[::1]:80"] {
            assert!(super::is_local(host), "{host}");
        }
        for host in ["example.org", "10.0.0.1:5000", "localhost.example.org", "127.0.0.1.example.org:80"] {
            assert!(!super::is_local(host), "{host}");
        }
    }
}
