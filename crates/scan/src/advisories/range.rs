//! Which versions an advisory means: OSV's evaluation algorithm over half-open intervals.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::version::Scheme;

/// An interval of versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interval {
    /// First affected version; `0` is before every version.
    pub from: String,
    /// Where it ends.
    pub until: Until,
}

/// The end of an interval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Until {
    /// The first version that is not affected any more.
    Fixed(String),
    /// The last version that is known to be affected.
    LastAffected(String),
    /// No end is known.
    Open,
}

/// Whether a version is in an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Within {
    /// It is.
    Yes,
    /// It is not.
    No,
    /// One of the versions is none by the ecosystem's rule.
    Unknown,
}

impl Interval {
    /// Whether `version` is in it.
    pub fn contains(&self, scheme: Scheme, version: &str) -> Within {
        let after_start = if self.from == "0" { Some(true) } else { scheme.compare(version, &self.from).map(Ordering::is_ge) };
        let before_end = match &self.until {
            Until::Open => Some(true),
            Until::Fixed(fixed) => scheme.compare(version, fixed).map(Ordering::is_lt),
            Until::LastAffected(last) => scheme.compare(version, last).map(Ordering::is_le),
        };
        match (after_start, before_end) {
            (Some(false), _) | (_, Some(false)) => Within::No,
            (Some(true), Some(true)) => Within::Yes,
            _ => Within::Unknown,
        }
    }

    /// The version that mends it, if one is known.
    pub fn fixed(&self) -> Option<&str> {
        if let Until::Fixed(version) = &self.until { Some(version) } else { None }
    }
}

/// What an event of a range says.
#[derive(Clone, Debug)]
pub(super) enum Event {
    Introduced(String),
    Fixed(String),
    LastAffected(String),
}

impl Event {
    fn version(&self) -> &str {
        match self {
            Self::Introduced(version) | Self::Fixed(version) | Self::LastAffected(version) => version,
        }
    }
}

/// Makes intervals of the events of a range, which may stand in any order. `None` when they cannot be ordered.
pub(super) fn intervals(mut events: Vec<Event>, scheme: Scheme) -> Option<Vec<Interval>> {
    let zero = |event: &Event| event.version() == "0";
    if events.iter().any(|event| !zero(event) && !scheme.accepts(event.version())) {
        return None;
    }
    let order = |a: &Event, b: &Event| match (zero(a), zero(b)) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => scheme.compare(a.version(), b.version()).unwrap_or(Ordering::Equal),
    };
    // A fix and a new start at one version: the old interval ends before the new one begins.
    let rank = |event: &Event| matches!(event, Event::Introduced(_));
    events.sort_by(|a, b| order(a, b).then_with(|| rank(a).cmp(&rank(b))));
    let mut found: Vec<Interval> = Vec::new();
    let mut open: Option<String> = None;
    for event in events {
        match event {
            Event::Introduced(version) => open = open.or(Some(version)),
            Event::Fixed(version) => {
                if let Some(from) = open.take() {
                    found.push(Interval { from, until: Until::Fixed(version) });
                }
            }
            Event::LastAffected(version) => {
                if let Some(from) = open.take() {
                    found.push(Interval { from, until: Until::LastAffected(version) });
                }
            }
        }
    }
    found.extend(open.map(|from| Interval { from, until: Until::Open }));
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<Event> {
        text.split(' ')
            .map(|word| {
                let (kind, version) = word.split_at(1);
                match kind {
                    "i" => Event::Introduced(version.into()),
                    "f" => Event::Fixed(version.into()),
                    _ => Event::LastAffected(version.into()),
                }
            })
            .collect()
    }

    fn hits(events: &str, version: &str) -> bool {
        let intervals = intervals(of(events), Scheme::SemVer).unwrap();
        intervals.iter().any(|interval| interval.contains(Scheme::SemVer, version) == Within::Yes)
    }

    #[test]
    fn pairs_open_ends_and_any_order() {
        for (events, version, expected) in [
            ("i0 f1.2.0", "1.1.9", true),
            ("i0 f1.2.0", "1.2.0", false),
            ("i0 f1.2.0", "1.2.0-rc1", true),
            ("i1.0.0", "0.9.0", false),
            ("i1.0.0", "9.0.0", true),
            ("f2.0.0 i1.0.0", "1.5.0", true),
            ("i1.0.0 l1.5.0", "1.5.0", true),
            ("i1.0.0 l1.5.0", "1.5.1", false),
            ("i0 f1.0.0 i2.0.0 f2.1.0", "1.5.0", false),
            ("i0 f1.0.0 i2.0.0 f2.1.0", "2.0.5", true),
            ("i0 f1.0.0 i1.0.0 f1.1.0", "1.0.0", true),
        ] {
            assert_eq!(hits(events, version), expected, "{events} {version}");
        }
    }

    #[test]
    fn what_cannot_be_compared_is_said() {
        assert!(intervals(of("i0 fnever"), Scheme::SemVer).is_none());
        let open = Interval { from: "1.0.0".into(), until: Until::Open };
        assert_eq!(open.contains(Scheme::SemVer, "trunk"), Within::Unknown);
        assert_eq!(Interval { from: "0".into(), until: Until::Open }.contains(Scheme::SemVer, "trunk"), Within::Yes);
    }
}
