//! Notes what the advisories of today say of every build. What got worse goes into the history of the build and is told.

use std::sync::Arc;

use model::id::BuildId;
use scan::{
    kept::{pack_known, unpack_known},
    rematch::{Print, Rematched, Rematcher, Worse, worse},
};
use store::{
    builds::{self, HistoryLine},
    inventories::{self, Outdated, Worsening},
};

use crate::{app::App, clock};

/// Builds in one transaction.
const BATCH: i64 = 500;
/// Vulnerabilities named in a line of the history.
const NAMED: usize = 5;
/// The word of the history.
pub const WORSENED: &str = "worsened";

/// What a match gave for one build.
struct Matched {
    build: BuildId,
    /// What is known and what it comes to; `None`: the same as before.
    known: Option<(Vec<u8>, Print)>,
    worse: Vec<Worse>,
}

/// Matches every build that was not matched with the database of today; returns how many there were and how many got worse. Each batch is
/// one transaction, so whatever ends this, what was done stays done and is told once. While one batch is written the next is matched.
///
/// # Errors
/// The store, or the database of advisories.
pub async fn rematch_builds(app: &Arc<App>) -> anyhow::Result<(u64, u64)> {
    let (mut after, mut seen, mut worsened) = (None, 0, 0);
    let holder = app.clone();
    let Some(database) = tokio::task::spawn_blocking(move || holder.advisories.current()).await? else { return Ok((0, 0)) };
    let id = database.id();
    let mut rematcher = Rematcher::new(database, &app.policy.vulnerabilities.precedence);
    let mut done = Vec::new();
    loop {
        let batch = inventories::outdated(app.db.read(), &id, after, BATCH).await?;
        let Some(last) = batch.last() else { break };
        after = Some(last.build);
        seen += batch.len() as u64;
        let matching = tokio::task::spawn_blocking(move || {
            let matched = batch.iter().map(|kept| of_one(&mut rematcher, kept)).collect::<anyhow::Result<Vec<Matched>>>();
            (rematcher, matched)
        });
        worsened += note(app, &id, std::mem::take(&mut done)).await?;
        let (again, matched) = matching.await?;
        (rematcher, done) = (again, matched?);
    }
    worsened += note(app, &id, done).await?;
    tracing::info!(advisories = id, builds = seen, worsened, "builds were matched with new advisories");
    Ok((seen, worsened))
}

fn of_one(rematcher: &mut Rematcher, kept: &Outdated) -> anyhow::Result<Matched> {
    let same = Matched { build: kept.build, known: None, worse: Vec::new() };
    let (now, print) = match rematcher.rematch(&kept.document.open()?, kept.print.as_deref())? {
        Some(Rematched::Same) => return Ok(same),
        Some(Rematched::Other { known, print }) => (known, print),
        None => {
            tracing::error!(build = %kept.build, "the list of packages was kept by another version and cannot be matched");
            return Ok(same);
        }
    };
    let before = kept.known.as_ref().map(|known| known.open()).transpose()?;
    // Nothing was known before because no database was loaded: then what is known now is news.
    let before = before.as_deref().and_then(unpack_known).unwrap_or_default();
    let worse = worse(&before, &now);
    Ok(Matched { known: Some((pack_known(&now), print)), worse, ..same })
}

/// Writes a batch down and tells of it.
async fn note(app: &App, advisories: &str, batch: Vec<Matched>) -> anyhow::Result<u64> {
    let (now, mut told) = (clock::now_ms(), Vec::new());
    if batch.is_empty() {
        return Ok(0);
    }
    let mut tx = app.db.write().await?;
    for matched in batch {
        let known = matched.known.as_ref().map(|(known, print)| (known.as_slice(), print.as_slice()));
        inventories::matched(&mut tx, matched.build, advisories, known, now).await?;
        if matched.worse.is_empty() {
            continue;
        }
        let Some(status) = builds::status_word(&mut tx, matched.build).await? else { continue };
        let document = serde_json::to_string(&matched.worse)?;
        inventories::add_worsening(&mut tx, matched.build, &Worsening { at: now, advisories: advisories.to_owned(), document }).await?;
        let line = HistoryLine {
            at: now,
            actor: "system".to_owned(),
            event: WORSENED.to_owned(),
            from_status: Some(status.clone()),
            to_status: status,
            reason: sentence(&matched.worse),
        };
        builds::append_history(&mut tx, matched.build, &line).await?;
        told.push(matched.build);
    }
    tx.commit().await?;
    told.iter().for_each(|build| app.tell(*build));
    Ok(told.len() as u64)
}

/// What got worse, in a sentence.
pub fn sentence(worse: &[Worse]) -> String {
    let of = |one: &Worse| {
        let how = match one.former {
            None => one.severity.as_str().to_owned(),
            Some(former) if former != one.severity => format!("{}, was {}", one.severity.as_str(), former.as_str()),
            Some(_) => one.severity.as_str().to_owned(),
        };
        let exploited = if one.exploited { ", known to be exploited" } else { "" };
        format!("{} in {} ({how}{exploited})", one.name, one.package)
    };
    let mut text = format!("new advisories: {}", worse.iter().take(NAMED).map(of).collect::<Vec<_>>().join(", "));
    if worse.len() > NAMED {
        text.push_str(&format!(" and {} more", worse.len() - NAMED));
    }
    text
}

#[cfg(test)]
mod tests {
    use scan::Severity;

    use super::*;

    #[test]
    fn the_sentence_names_the_worst_and_counts_the_rest() {
        let one = |name: &str, former, exploited| Worse {
            name: name.into(),
            package: "openssl".into(),
            severity: Severity::High,
            former,
            exploited,
        };
        assert_eq!(sentence(&[one("CVE-1", None, false)]), "new advisories: CVE-1 in openssl (High)");
        assert_eq!(
            sentence(&[one("CVE-1", Some(Severity::Low), true)]),
            "new advisories: CVE-1 in openssl (High, was Low, known to be exploited)"
        );
        assert!(sentence(&vec![one("CVE-1", None, false); 7]).ends_with(" and 2 more"));
    }
}
