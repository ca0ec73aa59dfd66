//! `plimsoll advisories update`: fetches a newer database and puts it in place of the present one, which stays until the new one is proved.

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
};

use anyhow::Context;
use scan::advisories::{Builder, Installed, install};
use server::config::{Config, Overrides};

use super::fetch::{self, Fetched, Source};
use crate::{log, login::Login, progress};

#[derive(clap::Args)]
pub struct Args {
    /// Where from: the address of an export in the layout of osv.dev, of one archive or of a ready database; a folder or file; or oci://HOST/NAME:TAG [default: advisories.source]
    #[arg(long, value_name = "URL-OR-FILE")]
    from: Option<String>,
    /// The database to bring up to date [default: advisories.path]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Ecosystem to fetch from an export, such as PyPI; may be given several times [default: advisories.ecosystems]
    #[arg(long = "ecosystem", value_name = "NAME")]
    ecosystems: Vec<String>,
    /// CVSS vectors by CVE (JSON), file or address, for advisories without a score of their own
    #[arg(long, value_name = "URL-OR-FILE")]
    cvss: Option<String>,
    /// CISA's catalogue of known exploited vulnerabilities (JSON), file or address
    #[arg(long, value_name = "URL-OR-FILE")]
    kev: Option<String>,
    /// Take a database although its newest advisory is older than that of the present one
    #[arg(long)]
    allow_older: bool,
    /// Configuration file of the server (TOML)
    #[arg(long)]
    config: Option<PathBuf>,
    #[command(flatten)]
    login: Login,
}

/// Updates.
pub fn update(args: &Args) -> anyhow::Result<()> {
    let config = Config::load(args.config.as_deref(), &Overrides { data: None, listen: None })?.advisories;
    let target = args.output.clone().unwrap_or(config.path);
    anyhow::ensure!(!target.as_os_str().is_empty(), "which database? name it with -o FILE, or set advisories.path");
    let from = args.from.clone().unwrap_or(config.source);
    anyhow::ensure!(!from.is_empty(), "where from? name it with --from URL-OR-FILE, or set advisories.source");
    let ecosystems = if args.ecosystems.is_empty() { config.ecosystems } else { args.ecosystems.clone() };
    let work = Workplace::take(&target)?;
    let new = work.folder.join("new.db");
    let fetched = crate::commands::runtime()?.block_on(fetch::fetch(&Source::read(&from), &ecosystems, &args.login, &work.folder))?;
    match fetched {
        Fetched::Database(path) => {
            fs::rename(&path, &new).or_else(|_| fs::copy(&path, &new).map(drop)).context("the database cannot be copied")?
        }
        Fetched::Sources(sources) => build(args, &sources, &work.folder, &new)?,
    }
    match install(&new, &target, args.allow_older)? {
        Installed::Same => log::say(format!("{} is up to date", target.display())),
        Installed::New { former: None } => log::say(format!("{} is new", target.display())),
        Installed::New { former: Some(former) } => {
            log::say(format!("{} was updated; the former one is {}", target.display(), former.display()));
        }
    }
    super::info(&target)
}

fn build(args: &Args, sources: &[PathBuf], folder: &Path, to: &Path) -> anyhow::Result<()> {
    let bar = progress::spinner("reading advisories");
    let mut builder = Builder::default();
    for source in sources {
        super::add(&mut builder, source, &bar)?;
    }
    let listed = |from: &Option<String>, name: &str| -> anyhow::Result<Option<PathBuf>> {
        let Some(from) = from else { return Ok(None) };
        Ok(Some(crate::commands::runtime()?.block_on(fetch::file(from, &folder.join(name)))?))
    };
    if let Some(path) = listed(&args.cvss, "cvss.json")? {
        builder.add_scores(&path)?;
    }
    if let Some(path) = listed(&args.kev, "kev.json")? {
        builder.add_exploited(&path)?;
    }
    bar.set_message("writing the database");
    builder.write(to)?;
    bar.finish_and_clear();
    Ok(())
}

/// A folder beside the database, for one update at a time. What an update that was ended left there goes with the next one.
struct Workplace {
    folder: PathBuf,
    _lock: File,
}

impl Workplace {
    fn take(target: &Path) -> anyhow::Result<Self> {
        let name = target.file_name().and_then(|name| name.to_str()).context("the database needs a file name; name it with -o FILE")?;
        let beside = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let lock = beside.join(format!(".{name}.lock"));
        let held = File::create(&lock).with_context(|| format!("{} cannot be written; check the rights of the folder", lock.display()))?;
        match held.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => anyhow::bail!("another update of {} is at work; wait for it", target.display()),
            Err(TryLockError::Error(error)) => return Err(error).with_context(|| format!("{} cannot be locked", lock.display())),
        }
        let folder = beside.join(format!(".{name}.update"));
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("{}, left by an earlier update, cannot be removed", folder.display()))?;
        }
        fs::create_dir(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        Ok(Self { folder, _lock: held })
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        // What cannot be removed now goes with the next update.
        let _ = fs::remove_dir_all(&self.folder);
    }
}
