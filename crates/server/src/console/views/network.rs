//! What a run tried over the network, as a table.

use std::collections::{HashMap, hash_map::Entry};

use model::{
    network::destination,
    report::{Attempt, Report},
};

use super::{
    badge::{self, Badge},
    words,
};

/// Rows of the table; a report may have ten times as many.
const ROWS: usize = 50;

/// The attempts of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkView {
    /// The first of them, refused ones before those that passed.
    pub rows: Vec<AttemptRow>,
    /// How many more there are, in words.
    pub more: Option<String>,
    /// What came of all together.
    pub summary: String,
}

/// One way to one destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptRow {
    /// Host and port, by name where one is known.
    pub destination: String,
    /// What the name stands for, what was asked, or the name a TLS client gave.
    pub remark: String,
    /// Such as `tcp`.
    pub protocol: String,
    /// Program and process number.
    pub process: String,
    /// How often, and when first.
    pub times: String,
    /// Bytes both ways.
    pub bytes: String,
    /// Whether it passed.
    pub badge: Badge,
    /// What decided.
    pub rule: String,
}

/// The attempts in a report; `None` when the network of its run was not recorded or nothing was run.
pub fn view(report: &Report) -> Option<NetworkView> {
    let attempts = merged(report.checks.iter().find_map(|check| check.attempts.as_ref())?);
    let (passed, refused): (Vec<_>, Vec<_>) = attempts.iter().partition(|attempt| attempt.allowed);
    let summary = match (refused.len(), passed.len()) {
        (0, 0) => "The engine tried to reach nothing.".to_owned(),
        (refused, 0) => format!("{}, all refused.", words::count(refused as u64, "destination")),
        (0, passed) => format!("{}, all allowed.", words::count(passed as u64, "destination")),
        (refused, passed) => format!("{}: {refused} refused, {passed} allowed.", words::count((refused + passed) as u64, "destination")),
    };
    let omitted = attempts.len().saturating_sub(ROWS) as u64;
    let more = (omitted > 0).then(|| format!("{} more in the report.", words::count(omitted, "destination")));
    Some(NetworkView { rows: refused.into_iter().chain(passed).take(ROWS).map(row).collect(), more, summary })
}

/// A name has an address of each kind, and programs try both; for people that is one destination.
fn merged(attempts: &[Attempt]) -> Vec<Attempt> {
    let key = |attempt: &Attempt| {
        let Attempt { protocol, host, port, allowed, rule, question, server_name, .. } = attempt.clone();
        (host.or(Some(attempt.address.clone())), protocol, port, allowed, rule, question, server_name)
    };
    let mut places: HashMap<_, usize> = HashMap::new();
    let mut merged: Vec<Attempt> = Vec::new();
    for attempt in attempts {
        match places.entry(key(attempt)) {
            Entry::Occupied(place) => {
                let first = &mut merged[*place.get()];
                first.count = first.count.saturating_add(attempt.count);
                first.bytes = first.bytes.saturating_add(attempt.bytes);
                first.sent = first.sent.saturating_add(attempt.sent);
            }
            Entry::Vacant(place) => {
                place.insert(merged.len());
                merged.push(attempt.clone());
            }
        }
    }
    merged
}

fn row(attempt: &Attempt) -> AttemptRow {
    let host = attempt.host.as_deref().unwrap_or(&attempt.address);
    let asked = attempt.question.as_ref().map(|question| format!("asked: {question}"));
    let greeted = attempt.server_name.as_ref().filter(|name| *name != host).map(|name| format!("TLS name: {name}"));
    let bytes = match (attempt.sent, attempt.bytes.saturating_sub(attempt.sent)) {
        (0, 0) => "none".to_owned(),
        (sent, 0) => format!("{} out", words::size(sent)),
        (sent, back) => format!("{} out, {} in", words::size(sent), words::size(back)),
    };
    let times = if attempt.count == 1 { "once".to_owned() } else { format!("{} times", attempt.count) };
    AttemptRow {
        // Of a question for a name, the port says nothing.
        destination: destination(host, attempt.port.filter(|_| attempt.protocol != "dns" || attempt.host.is_none())),
        remark: [asked, greeted].into_iter().flatten().collect::<Vec<_>>().join("; "),
        protocol: attempt.protocol.clone(),
        process: attempt.process.clone().unwrap_or_default(),
        times: format!("{times}, after {}", words::duration(attempt.time)),
        bytes,
        badge: badge::of_attempt(attempt.allowed),
        rule: attempt.rule.clone(),
    }
}

#[cfg(test)]
mod tests {
    use model::report::Verdict;

    use super::*;
    use crate::console::views::fixtures;

    fn attempt(host: Option<&str>, allowed: bool) -> Attempt {
        Attempt {
            time: 12_400,
            count: 3,
            protocol: "tcp".into(),
            host: host.map(Into::into),
            address: "2001:db8::1".into(),
            port: Some(443),
            bytes: 700,
            sent: 500,
            allowed,
            rule: if allowed { "declared: api.example.com" } else { "isolated: nothing outside may be reached" }.into(),
            question: None,
            server_name: Some("inner.example.com".into()),
            process: Some("/app/main (pid 7)".into()),
        }
    }

    fn with(attempts: Option<Vec<Attempt>>) -> Option<NetworkView> {
        let mut report = fixtures::report(Verdict::Invalid);
        report.checks[0].attempts = attempts;
        view(&report)
    }

    #[test]
    fn what_was_not_recorded_is_not_said_to_be_nothing() {
        assert_eq!(with(None), None);
        let nothing = with(Some(Vec::new())).unwrap();
        assert_eq!((nothing.rows.len(), nothing.summary.as_str()), (0, "The engine tried to reach nothing."));
    }

    #[test]
    fn both_addresses_of_a_name_are_one_destination() {
        let other = Attempt { address: "198.18.0.1".into(), count: 2, bytes: 100, sent: 100, ..attempt(Some("api.example.com"), false) };
        let view = with(Some(vec![attempt(Some("api.example.com"), false), other])).unwrap();
        let [row] = view.rows.as_slice() else { panic!("{view:#?}") };
        assert_eq!((row.times.as_str(), row.bytes.as_str()), ("5 times, after 12.4 s", "600 bytes out, 200 bytes in"));
        assert_eq!(view.summary, "1 destination, all refused.");
    }

    #[test]
    fn refused_ones_come_first_and_what_is_left_out_is_counted() {
        let numbered = |host: Option<&str>, allowed, n: u16| Attempt { port: Some(443 + n), ..attempt(host, allowed) };
        let mut attempts: Vec<_> = (0..40).map(|n| numbered(Some("api.example.com"), true, 39 - n)).collect();
        attempts.extend((0..20).map(|n| numbered(None, false, n)));
        let view = with(Some(attempts)).unwrap();
        assert_eq!((view.rows.len(), view.more.as_deref()), (50, Some("10 destinations more in the report.")));
        assert_eq!(view.summary, "60 destinations: 20 refused, 40 allowed.");
        let [first, .., last] = view.rows.as_slice() else { panic!("rows") };
        assert_eq!((first.destination.as_str(), first.badge.word), ("[2001:db8::1]:443", "refused"));
        assert_eq!((last.destination.as_str(), last.badge.word), ("api.example.com:453", "allowed"));
        assert_eq!(first.remark, "TLS name: inner.example.com");
        assert_eq!((first.times.as_str(), first.bytes.as_str()), ("3 times, after 12.4 s", "500 bytes out, 200 bytes in"));
    }
}
