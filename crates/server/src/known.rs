//! What is known today about the image of a build: its kept packages against the database of today, under the policy and the waivers of today.
//! The report keeps what was known when it was written.

use std::{collections::BTreeSet, sync::Arc};

use checks::{
    Vulnerabilities,
    evidence::{Scanned, platform},
    standing::{ImageNames, Judge, Standing},
};
use model::{id::EngineId, waiver::Waiver};
use scan::{Inventory, Severity, Vulnerability};
use serde_json::Value;
use store::{
    builds::{self, Build},
    inventories,
};

use crate::{app::App, clock, error::Problem, gate};

/// What is known.
pub struct Known {
    scanned: Scanned,
    waivers: Vec<Waiver>,
    engine: EngineId,
    image: ImageNames,
    rules: Vulnerabilities,
    /// Name and package of what stands in the report.
    reported: BTreeSet<(String, String)>,
}

/// One of them.
pub struct One<'a> {
    /// What it is.
    pub vulnerability: &'a Vulnerability,
    /// How it stands today.
    pub standing: Standing<'a>,
    /// The report does not have it.
    pub is_new: bool,
}

/// Looks up what is known about a build; `None` while there is no list of its packages or no database.
///
/// # Errors
/// [`Problem::Internal`].
pub async fn known(app: &Arc<App>, build: &Build) -> Result<Option<Known>, Problem> {
    let Some(kept) = inventories::of_build(app.db.read(), build.id).await? else { return Ok(None) };
    let Some(inventory) = Inventory::from_bytes(&kept.document) else { return Ok(None) };
    let organization = builds::organization(app.db.read(), build.id).await?;
    let waivers = match organization {
        Some(organization) => gate::waivers(app, organization).await?,
        None => Vec::new(),
    };
    let report = builds::report(app.db.read(), build.id).await?;
    let report: Value = report.and_then(|report| serde_json::from_str(&report).ok()).unwrap_or_default();
    let (image, reported) = (names(app, build, &report), reported(&report));
    let (holder, now) = (app.clone(), clock::now_ms());
    let look = move || {
        let database = holder.advisories.current()?;
        Some(Scanned::look_up(&inventory, &database, &holder.policy.vulnerabilities, now))
    };
    let looked = tokio::task::spawn_blocking(look).await.map_err(|error| Problem::internal(&error))?;
    let Some(scanned) = looked.transpose().map_err(|error| Problem::internal(&error))? else { return Ok(None) };
    Ok(Some(Known { scanned, waivers, engine: build.engine, image, rules: app.policy.vulnerabilities.clone(), reported }))
}

/// The names of the image, as the gate knew them.
fn names(app: &App, build: &Build, report: &Value) -> ImageNames {
    let config = report.pointer("/inspect/0/Id").and_then(Value::as_str).and_then(|id| id.parse().ok());
    ImageNames {
        references: vec![app.image_reference(&build.repository, &build.tag)],
        digests: std::iter::once(build.digest.clone()).chain(config).collect(),
        architecture: platform().architecture,
    }
}

fn reported(report: &Value) -> BTreeSet<(String, String)> {
    let entries = report["vulnerabilities"].as_array().into_iter().flatten();
    let text = |entry: &Value, key: &str| entry[key].as_str().unwrap_or_default().to_owned();
    entries.map(|entry| (text(entry, "Name"), text(entry, "FeatureName"))).collect()
}

impl Known {
    /// All of them, the worst first; of one severity if asked.
    pub fn all(&self, severity: Option<Severity>) -> impl Iterator<Item = One<'_>> {
        let judge =
            Judge { rules: &self.rules, waivers: &self.waivers, engine: Some(self.engine), image: &self.image, at: self.scanned.at };
        let wanted = self.scanned.vulnerabilities.iter().filter(move |one| severity.is_none_or(|severity| one.severity == severity));
        wanted.map(move |vulnerability| One {
            vulnerability,
            standing: judge.standing(vulnerability),
            is_new: !self.reported.contains(&(vulnerability.name.clone(), vulnerability.package.matched().0)),
        })
    }

    /// How many there are of each severity that occurs, the worst first.
    pub fn counts(&self) -> Vec<(Severity, usize)> {
        let of = |severity: Severity| self.scanned.vulnerabilities.iter().filter(|one| one.severity == severity).count();
        Severity::ALL.into_iter().rev().map(|severity| (severity, of(severity))).filter(|(_, count)| *count > 0).collect()
    }

    /// How new the database is, RFC 3339.
    pub fn newest(&self) -> &str {
        &self.scanned.newest
    }

    /// Packages looked up.
    pub fn packages(&self) -> usize {
        self.scanned.packages
    }
}
