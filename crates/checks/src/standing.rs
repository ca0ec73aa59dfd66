//! How a known vulnerability stands: whether it blocks, and if it does not though it is as bad as what does, why. Pure: the policy, the waivers
//! and the time are given.

mod image_names;

use model::{
    finding::Severity,
    id::EngineId,
    waiver::{Hold, Waiver},
};
use scan::{Severity as Level, Vulnerability};

pub use self::image_names::{ImageNames, is_of_an_image};
use crate::policy::Vulnerabilities;

/// Milliseconds of a day.
const DAY: i64 = 86_400_000;

/// How a vulnerability stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing<'a> {
    /// A remark such as `unmaintained`, not a vulnerability.
    Remark,
    /// Somebody answers for it.
    Waived(&'a Waiver),
    /// It blocks.
    Blocks,
    /// It will block from this time on, epoch milliseconds.
    Grace(i64),
    /// It would block, and no version mends it.
    Unfixable,
    /// It is told.
    Told(Severity),
}

/// Says how a vulnerability stands.
#[derive(Clone, Copy, Debug)]
pub struct Judge<'a> {
    /// The policy's part about vulnerabilities.
    pub rules: &'a Vulnerabilities,
    /// All waivers that may be about it.
    pub waivers: &'a [Waiver],
    /// The engine of the image, if it is known.
    pub engine: Option<EngineId>,
    /// The image.
    pub image: &'a ImageNames,
    /// When, epoch milliseconds.
    pub at: i64,
}

impl<'a> Judge<'a> {
    /// How it stands.
    pub fn standing(&self, one: &Vulnerability) -> Standing<'a> {
        if one.informational.is_some() {
            return Standing::Remark;
        }
        let holding = self.waivers_of(one).find(|(_, hold)| *hold == Hold::Holds);
        if let Some((waiver, _)) = holding {
            return Standing::Waived(waiver);
        }
        if !self.rules.blocks(one.severity, one.exploited) {
            return Standing::Told(self.told(one));
        }
        if self.rules.only_fixable && one.fixed_by.is_none() {
            return Standing::Unfixable;
        }
        match self.grace_ends(one) {
            Some(end) if end > self.at && !one.exploited => Standing::Grace(end),
            _ => Standing::Blocks,
        }
    }

    /// The waivers about it that hold no more.
    pub fn ended(&self, one: &Vulnerability) -> Option<(&'a Waiver, Hold)> {
        let mut ended = None;
        for (waiver, hold) in self.waivers_of(one) {
            match hold {
                Hold::Holds => return None,
                over => ended = Some((waiver, over)),
            }
        }
        ended
    }

    fn waivers_of<'v>(&self, one: &'v Vulnerability) -> impl Iterator<Item = (&'a Waiver, Hold)> + use<'a, 'v> {
        let (waivers, engine, image, at) = (self.waivers, self.engine, self.image, self.at);
        let in_scope = move |waiver: &Waiver| waiver.is_for(engine) && waiver.image.as_ref().is_none_or(|meant| image.are_meant_by(meant));
        let meant = move |waiver: &&'a Waiver| is_about(waiver, one) && in_scope(waiver);
        waivers.iter().filter(meant).map(move |waiver| (waiver, waiver.hold(at, one.fixed_by.is_some())))
    }

    fn told(&self, one: &Vulnerability) -> Severity {
        match one.severity {
            _ if one.exploited => self.rules.exploited,
            Level::Unknown => self.rules.unknown,
            Level::High | Level::Critical => Severity::Warning,
            Level::Medium | Level::Low | Level::Negligible => Severity::Info,
        }
    }

    /// When its days of grace are over; `None` when nobody knows since when it is public.
    fn grace_ends(&self, one: &Vulnerability) -> Option<i64> {
        Some(millis(one.published.as_deref()?)?.saturating_add(i64::from(self.rules.grace_days).saturating_mul(DAY)))
    }
}

/// A time of an advisory, epoch milliseconds.
pub fn millis(text: &str) -> Option<i64> {
    text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
}

/// A time as advisories write it.
pub fn iso(at: i64) -> String {
    jiff::Timestamp::from_millisecond(at).map_or_else(|_| String::new(), |at| at.to_string())
}

/// A day, for people.
pub fn day(at: i64) -> String {
    jiff::Timestamp::from_millisecond(at).map_or_else(|_| "an unknown day".to_owned(), |at| at.strftime("%Y-%m-%d").to_string())
}

/// The last day of what ends at a time, for people: what ends with a day ends at the first moment of the next.
pub fn last_day(end: i64) -> String {
    day(end.saturating_sub(1))
}

/// Whether a database is older than the policy lets it be. One that does not say how old it is, is.
pub fn is_too_old(rules: &Vulnerabilities, newest: &str, at: i64) -> bool {
    let limit = i64::from(rules.max_age_days).saturating_mul(DAY);
    rules.max_age_days > 0 && millis(newest).is_none_or(|newest| at.saturating_sub(newest) > limit)
}

/// Whether a waiver means this vulnerability of this package.
fn is_about(waiver: &Waiver, one: &Vulnerability) -> bool {
    let same = |id: &String| id.eq_ignore_ascii_case(&waiver.vulnerability);
    if !same(&one.name) && !one.aliases.iter().any(same) {
        return false;
    }
    let Some(meant) = &waiver.package else { return true };
    let package = &one.package;
    if meant.starts_with("pkg:") {
        // Qualifiers and a missing version narrow nothing down.
        let bare = |purl: &str| purl.split(['?', '#']).next().unwrap_or_default().to_owned();
        let meant = bare(meant);
        let purls = [package.purl(), package.ecosystem.purl(&package.matched().0, package.matched().1)];
        return purls
            .iter()
            .map(|purl| bare(purl))
            .any(|purl| purl == meant || purl.strip_prefix(&meant).is_some_and(|rest| rest.starts_with('@')));
    }
    let normal = package.ecosystem.normalise(meant);
    *meant == package.name || normal == package.ecosystem.normalise(&package.name) || normal == package.matched().0
}

#[cfg(test)]
mod tests;
