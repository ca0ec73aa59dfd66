//! New advisories for many builds: how long until each is matched with them, from the lists of packages that are kept, without reading a blob.
//!
//! `scripts/bench rematch` prints the median over its rounds. In each round the database is replaced and the running server notices by itself.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::{fs, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use model::{
    build::BuildStatus,
    capability::Capability,
    digest::Digest,
    engine::DeploymentModel,
    id::{BuildId, EngineId, OrganizationId},
    run::Exit,
};
use scan::{Ecosystem, Inventory, Package, advisories::Builder};
use server::{
    Server,
    config::{Advisories, Config},
    ops::first_start::FirstStart,
};
use store::{
    builds::{self, Build},
    engines::{self, Engine},
    inventories,
};

const BUILDS: u128 = 10_000;
/// Packages of each: those of a small Debian system, and libraries.
const SYSTEM: u64 = 300;
const LIBRARIES: u64 = 100;
/// Packages that there are of each kind, versions of each, and advisories about each.
const NAMES: u64 = 2_000;
const VERSIONS: u64 = 20;
const EACH: u64 = 5;
const ROUNDS: usize = 5;

/// The same numbers every time (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }
}

fn inventory(numbers: &mut Numbers) -> Result<Inventory> {
    let kinds =
        [("Debian:12", "source", SYSTEM, "var/lib/dpkg/status"), ("PyPI", "library", LIBRARIES, "usr/lib/python3/x.dist-info/METADATA")];
    let mut packages = Vec::new();
    for (ecosystem, word, count, path) in kinds {
        let ecosystem = Ecosystem::from_osv(ecosystem).context("an ecosystem")?;
        let first = numbers.below(NAMES);
        for at in 0..count {
            let (name, version) = (format!("{word}-{}", (first + at * 3) % NAMES), format!("1.{}", numbers.below(VERSIONS)));
            let source = (word == "source").then(|| (name.clone(), version.clone()));
            let layer = Digest::of(word.as_bytes());
            packages.push(Package { ecosystem: ecosystem.clone(), name, version, source, path: path.into(), layer });
        }
    }
    Ok(Inventory { system: Some("Debian GNU/Linux 12".into()), packages, warnings: Vec::new() })
}

/// `more` advisories beyond the usual ones.
fn database(folder: &Path, more: u64) -> Result<std::path::PathBuf> {
    let (source, to) = (folder.join("osv"), folder.join(format!("{more}.db")));
    fs::create_dir_all(&source)?;
    let record = |id: String, ecosystem: &str, name: String, fixed: u64| {
        serde_json::json!({
            "id": id, "modified": "2026-01-01T00:00:00Z", "summary": "An example",
            "affected": [{ "package": { "ecosystem": ecosystem, "name": name },
                "ranges": [{ "type": "ECOSYSTEM", "events": [{ "introduced": "0" }, { "fixed": format!("1.{fixed}") }] }] }],
        })
    };
    for (ecosystem, word) in [("Debian:12", "source"), ("PyPI", "library")] {
        for name in 0..NAMES {
            for n in 0..EACH {
                let id = format!("EXAMPLE-{word}-{name}-{n}");
                fs::write(source.join(format!("{id}.json")), record(id, ecosystem, format!("{word}-{name}"), n * 2).to_string())?;
            }
        }
    }
    for n in 0..more {
        let id = format!("EXAMPLE-more-{n}");
        fs::write(source.join(format!("{id}.json")), record(id, "Debian:12", format!("source-{n}"), VERSIONS).to_string())?;
    }
    let mut builder = Builder::default();
    builder.add(&source, &mut |_| {})?;
    builder.write(&to)?;
    fs::remove_dir_all(&source)?;
    Ok(to)
}

async fn fill(server: &Server) -> Result<()> {
    let engine = Engine {
        id: EngineId(uuid::Uuid::from_u128(1)),
        organization: OrganizationId(1),
        name: "Many".into(),
        description: String::new(),
        category: Capability::Keyword,
        deployment_model: DeploymentModel::FullyNetworkIsolated,
        extra: serde_json::json!({}),
        disabled: false,
        deleted: false,
        last_version: 0,
        created_by: String::new(),
        created_at: 0,
        modified_at: 0,
    };
    let mut numbers = Numbers(1);
    let mut tx = server.app.db.write().await?;
    engines::insert(&mut tx, &engine).await?;
    for n in 1..=BUILDS {
        let build = Build {
            id: BuildId(uuid::Uuid::from_u128(n)),
            engine: engine.id,
            version: n as i64,
            status: BuildStatus::Available,
            repository: "1/many".into(),
            tag: "v1".into(),
            digest: Digest::of(&n.to_le_bytes()),
            manifest: serde_json::Value::Null,
            pushed_by: String::new(),
            pushed_at: 0,
            created_at: 0,
            modified_at: 0,
            life: store::build_life::Life::default(),
        };
        builds::insert(&mut tx, &build).await?;
        let inventory = inventory(&mut numbers)?;
        let kept = inventories::Inventory {
            build: build.id,
            image_created: None,
            packages: inventory.packages.len() as i64,
            document: inventory.to_bytes(),
            known: None,
            advisories: None,
            matched_at: None,
        };
        inventories::put(&mut tx, &kept, 0).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Waits until every build was matched with the database of today; returns how long the job was at work, milliseconds.
async fn matched(server: &Server, id: &str) -> Result<i64> {
    while inventories::is_any_outdated(server.app.db.read(), id).await? || store::jobs::open_count(&server.app.db).await? > 0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let took = sqlx::query_scalar("SELECT ended_at - started_at FROM jobs WHERE kind = 'rematch_builds' ORDER BY ended_at DESC LIMIT 1");
    Ok(took.fetch_one(server.app.db.read()).await?)
}

async fn worsened(server: &Server) -> Result<i64> {
    Ok(sqlx::query_scalar("SELECT count(*) FROM worsenings").fetch_one(server.app.db.read()).await?)
}

#[tokio::main]
async fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let place = folder.path().join("advisories.db");
    fs::rename(database(folder.path(), 0)?, &place)?;
    let config = Config {
        data: folder.path().join("data"),
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        advisories: Advisories { path: place.clone(), ..Advisories::default() },
        ..Config::default()
    };
    let first = FirstStart { organization: Some(1), email: None, password: None };
    let sandbox = Arc::new(sandbox::fake::Fake::scripted(Vec::new(), Exit::Stopped));
    let server = server::start(config, &first, sandbox).await?;
    fill(&server).await?;
    let id = || scan::Database::open(&place).map(|database| database.id());
    let first = matched(&server, &id()?).await?;
    let mut rounds = Vec::new();
    let before = worsened(&server).await?;
    for round in 1..=ROUNDS {
        // Each round knows of a few more packages that are broken in all their versions.
        fs::rename(database(folder.path(), round as u64)?, &place)?;
        rounds.push(matched(&server, &id()?).await?);
    }
    let told = worsened(&server).await? - before;
    rounds.sort_unstable();
    let median = rounds[rounds.len() / 2];
    println!(
        "{BUILDS} builds of {} packages each, matched for the first time with everything in them news: {first} ms",
        SYSTEM + LIBRARIES
    );
    println!(
        "the same with a newer database, median of {ROUNDS}: {median} ms ({} to {} ms), {told} of them got worse",
        rounds[0],
        rounds[ROUNDS - 1]
    );
    server.stop().await;
    Ok(())
}
