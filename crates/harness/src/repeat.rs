//! The first sample again, after all others: how long it takes, and whether the result stays the same.

use std::time::Instant;

use model::run::{Exchange, Later, Repeat};

use crate::{difference::differences, hook::Hook, run::Run, webhook::send};

/// Sends the first sample again if it was answered with a result; as often as the pace says, and once at least.
pub(crate) async fn repeat(run: &mut Run<'_>, hook: &Hook, exchanges: &[Exchange]) -> Vec<Repeat> {
    let Some(first) = run.samples.iter().find(|sample| !sample.expect_refusal) else { return Vec::new() };
    let last = exchanges.iter().rev().find(|exchange| exchange.sample == first.id);
    let good = |exchange: &&Exchange| {
        exchange.status == Some(200) && exchange.error.is_none() && matches!(exchange.later, None | Some(Later::Done { .. }))
    };
    let (Some(exchange), Some(expected)) = (last.filter(good), run.desk.output_of(&first.id)) else { return Vec::new() };
    let count = if run.streaming || exchange.later.is_some() { run.pace.repeats.min(1) } else { run.pace.repeats };
    let (began, mut longest) = (Instant::now(), std::time::Duration::from_millis(exchange.duration_ms));
    let mut repeats: Vec<Repeat> = Vec::new();
    for number in 1..=count {
        let enough = !repeats.is_empty() && began.elapsed() + longest > run.pace.repeat_limit;
        if enough || run.ended.yet() || run.deadline.remaining() < longest * 2 {
            break;
        }
        let mut sample = first.clone();
        sample.id = format!("{}~{number}", first.id);
        sample.repeats = Some(first.id.clone());
        let (sent, mut calls) = (Instant::now(), Vec::new());
        send(run, hook, 0, &sample, &mut calls).await;
        longest = longest.max(sent.elapsed());
        let result = run.desk.take_output(&sample.id);
        repeats.push(Repeat {
            sample: first.id.clone(),
            micros: u64::try_from(sent.elapsed().as_micros()).unwrap_or(u64::MAX),
            status: calls.last().and_then(|call| call.status),
            result_bytes: result.as_ref().map_or(0, |bytes| bytes.len() as u64),
            differences: result.map(|bytes| differences(&expected, &bytes)).unwrap_or_default(),
        });
    }
    if !repeats.is_empty() {
        run.journal.say(&format!("{} sent {} more times", first.id, repeats.len()));
    }
    repeats
}
