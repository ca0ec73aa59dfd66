//! `plimsoll quota`: what organizations keep and may keep, and a quota of its own for one.

use std::{path::PathBuf, process::ExitCode};

use model::id::OrganizationId;
use server::{
    config::{Config, Overrides},
    keeper,
};

use super::gc::{parse_size, size};
use crate::log::say;

#[derive(clap::Args)]
pub struct Args {
    /// Number of the organization whose quota is to be set; without it all are listed
    #[arg(requires = "size")]
    organization: Option<i64>,
    /// The quota, such as 500GiB, or "default" for the configured one
    #[arg(requires = "organization")]
    size: Option<String>,
    /// Data folder of the server, which may be running [default: plimsoll-data]
    #[arg(long)]
    data: Option<PathBuf>,
    /// Configuration file of the server (TOML); a running server goes by its own
    #[arg(long)]
    config: Option<PathBuf>,
}

/// Sets a quota, if one is given, and lists all.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    crate::log::start("warn");
    let config = Config::load(args.config.as_deref(), &Overrides { data: args.data, listen: None })?;
    let runtime = super::runtime()?;
    let all = match (args.organization, args.size.as_deref()) {
        (Some(organization), Some(text)) => {
            let bytes = if text == "default" { None } else { Some(parse_size(text).map_err(anyhow::Error::msg)?) };
            runtime.block_on(keeper::set_quota(config, OrganizationId(organization), bytes))?
        }
        _ => runtime.block_on(keeper::usage(config))?,
    };
    say(format_args!("{:>12}  {:>10}  {:>10}  {:<10} {}", "organization", "keeps", "quota", "", "name"));
    for usage in all {
        let quota = usage.quota.map_or_else(|| "none".to_owned(), size);
        let whose = if usage.own { "its own" } else { "configured" };
        say(format_args!("{:>12}  {:>10}  {quota:>10}  {whose:<10} {}", usage.organization, size(usage.bytes), usage.name));
    }
    Ok(ExitCode::SUCCESS)
}
