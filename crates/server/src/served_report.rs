//! The report as it is handed out: the stored document with what people decided and what happened since.

use model::build::{BuildStatus, Event};
use serde_json::{Value, json};
use sqlx::SqlitePool;
use store::{
    build_life,
    builds::{self, Build, HistoryLine},
};

use crate::{clock, error::Problem};

/// The newest report of a build; `None` without one.
///
/// # Errors
/// [`Problem::Internal`].
pub async fn document(db: &SqlitePool, build: &Build) -> Result<Option<Value>, Problem> {
    let Some(text) = builds::report(db, build.id).await? else { return Ok(None) };
    let mut report: Value = serde_json::from_str(&text).map_err(|error| Problem::internal(&error))?;
    let history = builds::history(db, build.id).await?;
    let notes = build_life::notes(db, build.id).await?;
    let Some(members) = report.as_object_mut() else { return Ok(Some(report)) };
    members.insert("approval".into(), approval(build, &history));
    members.insert("history".into(), history.iter().map(line).collect());
    if let Some(phase) = build.life.phase {
        members.insert("phase".into(), json!(phase));
    }
    if !notes.is_empty() {
        let note = |note: &build_life::Note| json!({"time": clock::iso(note.at), "author": note.author, "kind": note.kind.as_str(), "finding": note.finding, "text": note.text});
        members.insert("notes".into(), notes.iter().map(note).collect());
    }
    Ok(Some(report))
}

fn line(line: &HistoryLine) -> Value {
    json!({"time": clock::iso(line.at), "actor": line.actor, "event": line.event, "from": line.from_status, "to": line.to_status, "reason": line.reason})
}

/// The last decision; `null` before there is one.
fn approval(build: &Build, history: &[HistoryLine]) -> Value {
    let decides = |line: &&HistoryLine| {
        let is_new = line.from_status.as_ref() != Some(&line.to_status);
        is_new && [BuildStatus::Approved, BuildStatus::Disapproved].iter().any(|status| line.to_status == status.as_str())
    };
    let Some(line) = history.iter().rev().find(decides) else { return Value::Null };
    let by_hand = [Event::Approve, Event::Disapprove].iter().any(|event| line.event == event.as_str());
    json!({
        "mode": if by_hand { "manual" } else { "auto" },
        "by": line.actor,
        "at": clock::iso(line.at),
        "decision": line.to_status,
        "reason": line.reason,
        "overrideUntil": build.life.override_until.map(clock::iso),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::fixtures::build;

    fn happened(event: &str, from: &str, to: &str, actor: &str) -> HistoryLine {
        let (event, actor) = (event.to_owned(), actor.to_owned());
        HistoryLine { at: 0, actor, event, from_status: Some(from.to_owned()), to_status: to.to_owned(), reason: "because".to_owned() }
    }

    #[test]
    fn the_last_decision_counts_and_says_who_made_it() {
        let build = build(BuildStatus::Approved);
        let refused = happened("phaseFail", "pending", "disapproved", "system");
        assert_eq!(approval(&build, &[]), Value::Null);
        assert_eq!(approval(&build, std::slice::from_ref(&refused))["mode"], "auto");
        let cleared = happened("approve", "disapproved", "approved", "rev@example.org");
        let deployed = happened("deploy", "approved", "deploying", "dev@example.org");
        let last = approval(&build, &[refused, cleared, deployed]);
        assert_eq!((&last["mode"], &last["by"], &last["decision"]), (&json!("manual"), &json!("rev@example.org"), &json!("approved")));
    }
}
