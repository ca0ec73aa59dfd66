//! The known vulnerabilities of a build: what is known today, whatever the report said when it was written.

use askama::Template;
use checks::standing::{Standing, day, last_day};
use scan::{Severity, rematch::Worse};
use store::{builds::Build, engines::Engine};

use super::{
    badge::{self, Badge},
    log::plain,
    paging::Paging,
    shell::Shell,
    waivers::WaiverRow,
    words::{self, When},
};
use crate::{
    known::{Known, One},
    ops::rematch_builds::sentence,
};

/// What the page is made from.
pub struct VulnerabilitiesInput<'a> {
    /// The engine.
    pub engine: &'a Engine,
    /// The build.
    pub build: &'a Build,
    /// What is known; `None` when nothing was looked up.
    pub known: Option<&'a Known>,
    /// Only those of one severity.
    pub severity: Option<Severity>,
    /// What got worse and when, newest first.
    pub worsenings: &'a [(i64, Vec<Worse>)],
    /// Waivers for the engine.
    pub waivers: Vec<WaiverRow>,
    /// Which page was asked for.
    pub page: Option<&'a str>,
    /// Whether there is a list of packages to download.
    pub has_sbom: bool,
    /// Whether whoever looks may answer for one.
    pub may_waive: bool,
    /// Now, epoch milliseconds.
    pub now: i64,
}

/// A severity to choose.
struct Choice {
    label: String,
    url: String,
    is_current: bool,
}

struct Row {
    badge: Badge,
    name: String,
    link: Option<String>,
    package: String,
    version: String,
    fixed_by: Option<String>,
    standing: String,
    /// The form to answer for it, for whoever may.
    waive: Option<String>,
    remarks: Vec<&'static str>,
    description: String,
    place: String,
}

struct Worsened {
    when: When,
    sentence: String,
}

/// The page.
#[derive(Template)]
#[template(path = "vulnerabilities.html")]
pub struct VulnerabilitiesPage {
    shell: Shell,
    engine_id: String,
    engine_name: String,
    id: String,
    version: i64,
    is_known: bool,
    summary: String,
    choices: Vec<Choice>,
    rows: Vec<Row>,
    paging: Paging,
    worsened: Vec<Worsened>,
    waivers: Vec<WaiverRow>,
    has_sbom: bool,
}

impl VulnerabilitiesPage {
    /// Puts the page together.
    pub fn new(shell: Shell, input: VulnerabilitiesInput<'_>) -> Self {
        let id = input.build.id.to_string();
        let path = format!("/builds/{id}/vulnerabilities");
        let filtered = input.severity.map_or_else(|| path.clone(), |severity| format!("{path}?severity={}", severity.as_str()));
        let paging = Paging::asked(&filtered, input.page);
        let mut rows: Vec<Row> = match input.known {
            Some(known) => {
                let engine = input.may_waive.then_some(input.engine);
                known
                    .all(input.severity)
                    .skip(paging.offset() as usize)
                    .take(paging.limit() as usize)
                    .map(|one| row(&one, engine))
                    .collect()
            }
            None => Vec::new(),
        };
        let paging = paging.cut(&mut rows);
        let worsened = |(at, worse): &(i64, Vec<Worse>)| Worsened {
            when: When::new(*at, input.now),
            sentence: words::sentence(&plain(&sentence(worse))),
        };
        Self {
            shell,
            engine_id: input.engine.id.to_string(),
            engine_name: input.engine.name.clone(),
            version: input.build.version,
            is_known: input.known.is_some(),
            summary: input.known.map(summary).unwrap_or_default(),
            choices: input.known.map(|known| choices(known, input.severity, &path)).unwrap_or_default(),
            rows,
            paging,
            worsened: input.worsenings.iter().map(worsened).collect(),
            waivers: input.waivers,
            has_sbom: input.has_sbom,
            id,
        }
    }
}

fn summary(known: &Known) -> String {
    let newest = checks::standing::millis(known.newest()).map_or_else(|| "an unknown day".to_owned(), day);
    let packages = words::count(known.packages() as u64, "package");
    format!("What is known today about {packages} in the image; the newest advisory is of {newest}.")
}

fn choices(known: &Known, current: Option<Severity>, path: &str) -> Vec<Choice> {
    let counts = known.counts();
    let total: usize = counts.iter().map(|(_, count)| count).sum();
    let all = Choice { label: format!("All {total}"), url: path.to_owned(), is_current: current.is_none() };
    let of = |(severity, count): (Severity, usize)| Choice {
        label: format!("{count} {}", severity.as_str()),
        url: format!("{path}?severity={}", severity.as_str()),
        is_current: current == Some(severity),
    };
    std::iter::once(all).chain(counts.into_iter().map(of)).collect()
}

fn waive(one: &One<'_>, package: &str, engine: &Engine) -> Option<String> {
    if matches!(one.standing, Standing::Waived(_)) {
        return None;
    }
    let words = [("vulnerability", one.vulnerability.name.as_str()), ("package", package), ("engine", &engine.id.to_string())];
    Some(format!("/waivers?{}", serde_urlencoded::to_string(words).ok()?))
}

fn row(one: &One<'_>, engine: Option<&Engine>) -> Row {
    let found = one.vulnerability;
    let (package, version) = found.package.matched();
    // An advisory is somebody else's text: only addresses of the web become links.
    let is_web = found.link.starts_with("https://") || found.link.starts_with("http://");
    Row {
        badge: badge::of_vulnerability(found.severity),
        name: plain(&found.name),
        link: is_web.then(|| found.link.clone()),
        package: plain(&package),
        version: plain(version),
        fixed_by: found.fixed_by.as_deref().map(plain),
        standing: standing(one.standing),
        waive: engine.and_then(|engine| waive(one, &package, engine)),
        remarks: [(found.exploited, "known to be exploited"), (one.is_new, "not in the report")]
            .into_iter()
            .filter_map(|(is, word)| is.then_some(word))
            .collect(),
        description: plain(&found.description),
        place: format!("/{}", plain(&found.package.path)),
    }
}

fn standing(standing: Standing<'_>) -> String {
    match standing {
        Standing::Blocks => "blocks".to_owned(),
        Standing::Grace(end) => format!("blocks from {} on", day(end)),
        Standing::Remark => "a remark".to_owned(),
        Standing::Told(_) => "does not block".to_owned(),
        Standing::Unfixable => "does not block as long as no version mends it".to_owned(),
        Standing::Waived(waiver) => format!("waived by {} until {}: {}", waiver.author, last_day(waiver.expires_at), plain(&waiver.reason)),
    }
}
