//! Waivers out of files: our own form, or an OpenVEX document.

mod openvex;

use model::{id::EngineId, waiver::Waiver};
use serde::Deserialize;
use serde_json::Value;

/// Largest file, bytes.
pub const LARGEST: usize = 8 << 20;
/// Most waivers of one file.
pub const MOST: usize = 10_000;
/// Longest text in a waiver, characters.
pub const LONGEST: usize = 2_000;

/// What is wrong with a file of waivers.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is too large to be one.
    #[error("the file has {0} bytes; at most {LARGEST} are read")]
    TooLarge(usize),
    /// It is no JSON, or a member is wrong.
    #[error("it is no list of waivers: {0}")]
    Json(#[from] serde_json::Error),
    /// It has another version.
    #[error("it has version {0}; this program reads version 1")]
    Version(u64),
    /// One entry is wrong.
    #[error("entry {number}: {what}")]
    Entry {
        /// From 1.
        number: usize,
        /// What, and what to do.
        what: String,
    },
}

/// What a file of waivers says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Read {
    /// The waivers.
    pub waivers: Vec<Waiver>,
    /// What waives nothing because nobody can say what it is about, a sentence each.
    pub left_out: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u64,
    waivers: Vec<Entry>,
}

/// A waiver as people write it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Entry {
    vulnerability: String,
    package: Option<String>,
    engine: Option<EngineId>,
    image: Option<String>,
    reason: String,
    author: String,
    expires: String,
    #[serde(default)]
    until_fixed: bool,
}

/// Reads a file of waivers: ours, or an OpenVEX document, whose statements count for `vex_days` days.
///
/// # Errors
/// The first thing that is wrong, with the number of its entry.
pub fn read(bytes: &[u8], vex_days: u32) -> Result<Read, Error> {
    if bytes.len() > LARGEST {
        return Err(Error::TooLarge(bytes.len()));
    }
    let value: Value = serde_json::from_slice(bytes)?;
    if openvex::is_one(&value) {
        return openvex::waivers(value, vex_days);
    }
    let file: File = serde_json::from_value(value)?;
    if file.version != 1 {
        return Err(Error::Version(file.version));
    }
    at_most(file.waivers.len())?;
    let numbered = file.waivers.into_iter().enumerate();
    let waivers = numbered.map(|(at, entry)| entry.waiver().map_err(|what| Error::Entry { number: at + 1, what }));
    Ok(Read { waivers: waivers.collect::<Result<_, _>>()?, left_out: Vec::new() })
}

fn at_most(found: usize) -> Result<(), Error> {
    if found > MOST { Err(Error::Entry { number: MOST + 1, what: format!("a file has at most {MOST}") }) } else { Ok(()) }
}

impl Entry {
    fn waiver(self) -> Result<Waiver, String> {
        let expires_at = time(&self.expires)
            .ok_or_else(|| format!("expires is {:?}; a day such as 2027-01-31 or an RFC 3339 time is expected", self.expires))?;
        let waiver = Waiver {
            vulnerability: self.vulnerability,
            package: self.package,
            engine: self.engine,
            image: self.image,
            reason: self.reason,
            author: self.author,
            expires_at,
            until_fixed: self.until_fixed,
        };
        check(&waiver)?;
        Ok(waiver)
    }
}

/// Whether a waiver says what every waiver must say.
///
/// # Errors
/// What is missing or too long, in a sentence.
pub fn check(waiver: &Waiver) -> Result<(), String> {
    let package = waiver.package.as_ref();
    let texts = [("vulnerability", Some(&waiver.vulnerability)), ("reason", Some(&waiver.reason)), ("author", Some(&waiver.author))];
    for (name, text) in texts.into_iter().chain([("package", package), ("image", waiver.image.as_ref())]) {
        match text {
            Some(text) if text.trim().is_empty() => return Err(format!("{name} is empty; write it out")),
            Some(text) if text.chars().count() > LONGEST => return Err(format!("{name} is longer than {LONGEST} characters")),
            _ => {}
        }
    }
    Ok(())
}

/// The end of a day, or a time.
fn time(text: &str) -> Option<i64> {
    if let Ok(day) = text.parse::<jiff::civil::Date>()
        && text.len() == 10
    {
        let next = day.tomorrow().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
        return Some(next.timestamp().as_millisecond());
    }
    crate::standing::millis(text)
}

#[cfg(test)]
mod tests;
