//! `plimsoll advisories`: compiles OSV exports into one file, says what is in such a file, keeps it up to date. Only `update` and `push` reach
//! the network.

mod fetch;
mod push;
mod update;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use scan::{
    Database,
    advisories::{Builder, LeftOut, Meta},
};

use crate::{log, progress};

#[derive(clap::Subcommand)]
pub enum Action {
    /// Compile OSV exports into one database
    Build(Build),
    /// Say what is in a database, and whether it is whole
    Info(Info),
    /// Keep a database in a registry, from where others can update
    Push(push::Args),
    /// Fetch a newer database and put it in place
    Update(update::Args),
}

#[derive(clap::Args)]
pub struct Build {
    /// Folders, zip archives (such as all.zip of an ecosystem) or JSON files in the OSV format
    #[arg(required = true, value_name = "SOURCE")]
    sources: Vec<PathBuf>,
    /// The file to write; a former one is replaced whole
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// CVSS vectors by CVE (JSON), for advisories without a score of their own
    #[arg(long, value_name = "FILE")]
    cvss: Option<PathBuf>,
    /// CISA's catalogue of known exploited vulnerabilities (JSON)
    #[arg(long, value_name = "FILE")]
    kev: Option<PathBuf>,
}

#[derive(clap::Args)]
pub struct Info {
    /// The database
    file: PathBuf,
}

/// 0 done, 3 it could not be done.
pub fn run(action: Action) -> anyhow::Result<ExitCode> {
    log::start("error");
    match action {
        Action::Build(args) => build(&args)?,
        Action::Info(args) => info(&args.file)?,
        Action::Push(args) => push::push(&args)?,
        Action::Update(args) => update::update(&args)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn build(args: &Build) -> anyhow::Result<()> {
    let bar = progress::spinner("reading advisories");
    let mut builder = Builder::default();
    for source in &args.sources {
        add(&mut builder, source, &bar)?;
    }
    if let Some(path) = &args.cvss {
        builder.add_scores(path)?;
    }
    if let Some(path) = &args.kev {
        builder.add_exploited(path)?;
    }
    bar.set_message("writing the database");
    builder.write(&args.output)?;
    bar.finish_and_clear();
    info(&args.output)
}

fn add(builder: &mut Builder, source: &Path, bar: &indicatif::ProgressBar) -> Result<(), scan::Error> {
    builder.add(source, &mut |count| {
        if count % 500 == 0 {
            bar.set_message(format!("reading advisories: {count}"));
        }
    })
}

fn info(path: &Path) -> anyhow::Result<()> {
    let database = Database::open(path)?;
    database.verify().context("the database must not be used")?;
    let meta = database.meta();
    log::say(format!("{}: {} advisories on {} packages, {} bytes", path.display(), meta.advisories, meta.packages, database.size()));
    log::say(format!("  id      {}", database.id()));
    log::say(format!("  newest  {}", newest(meta, &checks::standing::iso(server::clock::now_ms()))));
    for (ecosystem, count) in &meta.ecosystems {
        log::say(format!("  {count:7} {ecosystem}"));
    }
    left_out(&meta.left_out).iter().for_each(log::say);
    Ok(())
}

/// How new it is. What is dated into the future says nothing about that, and is mentioned.
fn newest(meta: &Meta, now: &str) -> String {
    match meta.newest_until(now) {
        Some(newest) if newest == meta.newest => newest.to_owned(),
        Some(newest) => format!("{newest} (the date {} of another lies in the future and does not count)", meta.newest),
        None => format!("unknown (the date {} lies in the future)", meta.newest),
    }
}

fn left_out(left: &LeftOut) -> Vec<String> {
    let reasons = [
        (left.withdrawn, "advisories withdrawn by their source"),
        (left.malformed, "records that are no advisory"),
        (left.foreign, "parts about ecosystems that are not matched"),
        (left.git_ranges, "ranges over commits, which packages do not carry"),
        (left.unordered_ranges, "ranges whose versions cannot be ordered"),
        (left.without_versions, "parts that name no version"),
    ];
    reasons.into_iter().filter(|(count, _)| *count > 0).map(|(count, reason)| format!("  left out: {count} {reason}")).collect()
}
