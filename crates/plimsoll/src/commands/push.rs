//! `plimsoll push IMAGE HOST/ORG/NAME:TAG`: push without a docker installation.

use std::process::ExitCode;

use image::Transport;

use crate::{
    log::say,
    login::{Login, reference},
    push::{Destination, push},
};

#[derive(clap::Args)]
pub struct Args {
    /// oci:DIR[:TAG], oci-archive:FILE[:TAG] or docker-archive:FILE[:TAG]
    image: String,
    /// HOST/ORG/NAME:TAG
    to: String,
    #[command(flatten)]
    login: Login,
}

/// Pushes.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    crate::log::start("warn");
    let transport: Transport = args.image.parse()?;
    let reference = reference(&args.to)?;
    let plain_http = args.login.is_plain(&reference);
    let to = Destination { reference, auth: args.login.auth()?, plain_http };
    let digest = super::runtime()?.block_on(async { push(image::open(&transport)?, &to).await })?;
    say(format_args!("pushed {} as {digest}", to.reference));
    Ok(ExitCode::SUCCESS)
}
