//! What was tried, written down once per destination and way however often it was tried, so that no flood fills the memory.

use std::{collections::HashMap, net::IpAddr};

use model::network::{Decision, NetworkEvent, NetworkRecord, Process};

/// Different events that are written down.
const MOST_EVENTS: usize = 500;
/// Attempts whose process is looked for; that takes far longer than to refuse them.
const MOST_SEARCHES: u32 = 64;

/// An attempt, as it is seen.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Attempt {
    pub(super) protocol: String,
    pub(super) host: Option<String>,
    pub(super) address: IpAddr,
    pub(super) port: Option<u16>,
    pub(super) question: Option<String>,
    pub(super) allowed: bool,
    pub(super) rule: Decision,
}

/// The events of one run.
#[derive(Debug)]
pub(super) struct Journal {
    record: NetworkRecord,
    numbers: HashMap<Attempt, usize>,
    searches_left: u32,
}

impl Default for Journal {
    fn default() -> Self {
        Self { record: NetworkRecord::default(), numbers: HashMap::new(), searches_left: MOST_SEARCHES }
    }
}

impl Journal {
    /// Whether it is worth while to look for the process behind an attempt: where it is new, and not too often.
    pub(super) fn may_search(&mut self, attempt: &Attempt) -> bool {
        if self.searches_left == 0 || self.numbers.contains_key(attempt) {
            return false;
        }
        self.searches_left -= 1;
        true
    }

    /// Writes an attempt down and returns the number of its event.
    pub(super) fn note(&mut self, now_ms: u64, attempt: Attempt, sent: u64, process: Option<Process>) -> Option<usize> {
        if let Some(number) = self.numbers.get(&attempt) {
            let event = &mut self.record.events[*number];
            event.count += 1;
            event.last_ms = now_ms;
            event.sent += sent;
            return Some(*number);
        }
        if self.record.events.len() >= MOST_EVENTS {
            self.record.dropped += 1;
            return None;
        }
        let number = self.record.events.len();
        let Attempt { protocol, host, address, port, question, allowed, rule } = attempt.clone();
        let address = address.to_string();
        self.record.events.push(NetworkEvent {
            at_ms: now_ms,
            last_ms: now_ms,
            count: 1,
            process,
            protocol,
            host,
            address,
            port,
            question,
            server_name: None,
            sent,
            received: 0,
            allowed,
            rule,
        });
        self.numbers.insert(attempt, number);
        Some(number)
    }

    /// Counts what could not even be told apart.
    pub(super) fn drop_one(&mut self) {
        self.record.dropped += 1;
    }

    /// Adds what passed through a connection.
    pub(super) fn passed(&mut self, number: usize, sent: u64, received: u64) {
        if let Some(event) = self.record.events.get_mut(number) {
            event.sent += sent;
            event.received += received;
        }
    }

    /// The name a TLS client asked for; the first one counts.
    pub(super) fn name_server(&mut self, number: usize, name: String) {
        if let Some(event) = self.record.events.get_mut(number) {
            event.server_name.get_or_insert(name);
        }
    }

    /// Everything, at the end.
    pub(super) fn finish(&self) -> NetworkRecord {
        self.record.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(port: u16) -> Attempt {
        Attempt {
            protocol: "tcp".to_owned(),
            host: None,
            address: IpAddr::from([192, 0, 2, 1]),
            port: Some(port),
            question: None,
            allowed: false,
            rule: Decision::Isolated,
        }
    }

    fn somebody() -> Option<Process> {
        Some(Process { pid: 7, name: "/app".to_owned() })
    }

    #[test]
    fn the_same_attempt_is_one_event_with_a_count() {
        let mut journal = Journal::default();
        for (at, sent) in [(5, 1), (9, 10), (70, 100)] {
            journal.note(at, to(80), sent, somebody());
        }
        journal.note(80, to(443), 0, None);
        let NetworkRecord { events, dropped } = journal.finish();
        let seen: Vec<_> =
            events.iter().map(|e| (e.at_ms, e.last_ms, e.count, e.sent, e.port, e.process.as_ref().map(|p| p.pid))).collect();
        assert_eq!(seen, [(5, 70, 3, 111, Some(80), Some(7)), (80, 80, 1, 0, Some(443), None)]);
        assert_eq!(dropped, 0);
    }

    #[test]
    fn a_flood_is_counted_and_not_kept() {
        let mut journal = Journal::default();
        let mut searches = 0;
        for port in 0..2000 {
            searches += u32::from(journal.may_search(&to(port)));
            journal.note(1, to(port), 0, None);
            assert!(!journal.may_search(&to(0)), "it is known");
        }
        let record = journal.finish();
        assert_eq!((record.events.len(), record.dropped, searches), (MOST_EVENTS, 2000 - MOST_EVENTS as u64, MOST_SEARCHES));
    }

    #[test]
    fn bytes_and_names_of_connections_go_to_their_event() {
        let mut journal = Journal::default();
        let number = journal.note(1, to(443), 0, None).unwrap();
        journal.passed(number, 10, 20);
        journal.passed(number, 1, 2);
        journal.passed(99, 1, 1);
        journal.name_server(number, "a.example".to_owned());
        journal.name_server(number, "b.example".to_owned());
        let event = &journal.finish().events[0];
        assert_eq!((event.sent, event.received, event.server_name.as_deref()), (11, 22, Some("a.example")));
    }
}
