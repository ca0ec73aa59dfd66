//! Compiles OSV exports into one file. The same sources give the same bytes, in whatever order they are given.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{
    format::{Advisory, AffectedRecord, HEADER, Header, LeftOut, Meta, OneOf, PackageRecord, Place, hash},
    osv::{Affected, LARGEST, Rating, Record, Specific},
    range::{Event, Within, intervals},
    unpack::Unpacker,
};
use crate::{
    Ecosystem, Error,
    severity::{Score, Severity},
};

/// Most records in one archive; the whole OSV export has about 300,000.
const MOST: usize = 2_000_000;

/// Collects advisories until they are written.
#[derive(Default)]
pub struct Builder {
    /// By id: of two records with one id the younger counts.
    records: BTreeMap<String, Record>,
    scores: HashMap<String, Score>,
    exploited: BTreeSet<String>,
    left_out: LeftOut,
}

#[derive(Deserialize)]
struct ListedScore {
    vector: String,
}

#[derive(Deserialize)]
struct Catalogue {
    vulnerabilities: Vec<Exploited>,
}

#[derive(Deserialize)]
struct Exploited {
    #[serde(rename = "cveID")]
    cve: String,
}

impl Builder {
    /// Takes a folder (searched to its leaves), a zip archive as osv.dev publishes them, or one JSON record. `progress` hears how many
    /// records have been read.
    ///
    /// # Errors
    /// The source cannot be read. A single bad record is counted, not an error.
    pub fn add(&mut self, source: &Path, progress: &mut dyn FnMut(usize)) -> Result<(), Error> {
        let metadata = fs::metadata(source).map_err(|error| Error::file("read", source, error))?;
        if metadata.is_dir() {
            let entries = fs::read_dir(source).map_err(|error| Error::file("list", source, error))?;
            let mut paths: Vec<PathBuf> = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
            paths.sort();
            let wanted = |path: &PathBuf| path.is_dir() || path.extension().is_some_and(|kind| kind == "zip" || kind == "json");
            return paths.into_iter().filter(wanted).try_for_each(|path| self.add(&path, progress));
        }
        match source.extension().and_then(|kind| kind.to_str()) {
            Some("zip") => self.add_archive(source, progress),
            Some("json") => {
                self.take(&fs::read(source).map_err(|error| Error::file("read", source, error))?);
                progress(self.records.len());
                Ok(())
            }
            _ => Err(Error::NotASource { path: source.into() }),
        }
    }

    fn add_archive(&mut self, path: &Path, progress: &mut dyn FnMut(usize)) -> Result<(), Error> {
        let file = File::open(path).map_err(|error| Error::file("open", path, error))?;
        let broken = |source| Error::Archive { path: path.into(), source };
        let mut archive = zip::ZipArchive::new(std::io::BufReader::new(file)).map_err(broken)?;
        let mut unpacker = Unpacker::default();
        for index in 0..archive.len().min(MOST) {
            let member = archive.by_index_raw(index).map_err(broken)?;
            if !member.name().is_ok_and(|name| name.ends_with(".json")) {
                continue;
            }
            let text = unpacker.unpack(member);
            self.take(text);
            progress(self.records.len());
        }
        Ok(())
    }

    fn take(&mut self, text: &[u8]) {
        let read = if text.len() as u64 > LARGEST { None } else { serde_json::from_slice::<Record>(text).ok() };
        let Some(mut record) = read.filter(|record| !record.id.is_empty() && record.id.len() <= 200) else {
            self.left_out.malformed += 1;
            return;
        };
        record.keep_the_needed();
        if self.records.get(&record.id).is_none_or(|known| known.modified < record.modified) {
            self.records.insert(record.id.clone(), record);
        }
    }

    /// Takes a list of CVSS vectors by CVE: `{"CVE-...": {"vector": "CVSS:3.1/..."}}`.
    ///
    /// # Errors
    /// The file cannot be read or is something else.
    pub fn add_scores(&mut self, path: &Path) -> Result<(), Error> {
        let listed: HashMap<String, ListedScore> = read_json(path)?;
        self.scores.extend(listed.into_iter().filter_map(|(cve, listed)| Some((cve, Score::of_vector(&listed.vector)?))));
        Ok(())
    }

    /// Takes CISA's catalogue of known exploited vulnerabilities.
    ///
    /// # Errors
    /// The file cannot be read or is something else.
    pub fn add_exploited(&mut self, path: &Path) -> Result<(), Error> {
        let catalogue: Catalogue = read_json(path)?;
        self.exploited.extend(catalogue.vulnerabilities.into_iter().map(|exploited| exploited.cve));
        Ok(())
    }

    /// Writes the file, beside its place first, then renamed over it: whoever reads sees the former or the new one, whole.
    ///
    /// # Errors
    /// No usable advisory, or the file cannot be written.
    pub fn write(self, path: &Path) -> Result<Meta, Error> {
        let (bytes, meta) = self.compile()?;
        let failed = |action| move |source| Error::file(action, path, source);
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let beside = path.with_extension(format!("new-{}", std::process::id()));
        let written = File::create(&beside)
            .and_then(|mut file| file.write_all(&bytes).and_then(|()| file.sync_all()))
            .and_then(|()| fs::rename(&beside, path))
            .and_then(|()| File::open(folder)?.sync_all());
        if written.is_err() {
            // Nothing of ours stays behind; the error of writing is the one to tell.
            let _ = fs::remove_file(&beside);
        }
        written.map_err(failed("write"))?;
        Ok(meta)
    }

    fn compile(mut self) -> Result<(Vec<u8>, Meta), Error> {
        let mut meta = Meta::default();
        let mut body = Vec::new();
        let mut packages: BTreeMap<(String, String), Vec<AffectedRecord>> = BTreeMap::new();
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        let mut recent: BTreeSet<String> = BTreeSet::new();
        for record in std::mem::take(&mut self.records).into_values() {
            if record.withdrawn.is_some() {
                self.left_out.withdrawn += 1;
                continue;
            }
            let parts = self.parts(&record);
            if parts.is_empty() {
                continue;
            }
            let place = append(&mut body, &self.advisory(&record));
            meta.advisories += 1;
            recent.insert(record.modified.chars().take(40).collect());
            if recent.len() > Meta::RECENT {
                recent.pop_first();
            }
            let names: BTreeSet<&str> = parts.iter().map(|part| part.0.as_str()).collect();
            names.into_iter().for_each(|name| *counts.entry(name.to_owned()).or_default() += 1);
            for (ecosystem, name, mut affected) in parts {
                affected.advisory = place;
                packages.entry((ecosystem.as_str().to_owned(), name)).or_default().push(affected);
            }
        }
        if meta.advisories == 0 {
            return Err(Error::Empty);
        }
        meta.recent = recent.into_iter().rev().collect();
        meta.newest = meta.recent.first().cloned().unwrap_or_default();
        meta.packages = packages.len() as u64;
        meta.ecosystems = counts.into_iter().collect();
        meta.left_out = self.left_out;
        let mut index: Vec<(u64, Place)> = Vec::with_capacity(packages.len());
        for ((ecosystem, name), affected) in packages {
            let key = hash(&ecosystem, &name);
            index.push((key, append(&mut body, &PackageRecord { ecosystem, name, affected })));
        }
        index.sort_by_key(|(key, place)| (*key, place.offset));
        Ok((assemble(body, &index, &meta), meta))
    }

    fn advisory(&self, record: &Record) -> Advisory {
        let several: Vec<OneOf> = record.several().into_iter().map(|cve| self.one_of(cve)).collect();
        let upstream = record.upstream.iter().chain(record.bundled()).filter(|_| several.is_empty());
        let mut aliases: Vec<String> = record.aliases.iter().chain(upstream).filter(|alias| **alias != record.id).cloned().collect();
        aliases.sort();
        aliases.dedup();
        aliases.truncate(100);
        let cves: Vec<&String> = aliases.iter().chain([&record.id]).filter(|id| id.starts_with("CVE-")).collect();
        let listed_score = cves.iter().find_map(|cve| self.scores.get(*cve)).cloned();
        let exploited = cves.iter().any(|cve| self.exploited.contains(*cve));
        let specific = &record.database_specific;
        Advisory {
            id: record.id.clone(),
            published: record.published.0.as_deref().unwrap_or_default().chars().take(40).collect(),
            description: record.summary.clone(),
            link: record.references.first().map(|link| link.url.clone()).unwrap_or_default(),
            word: word(&record.severity).or_else(|| said(specific)).or_else(|| without_a_word(record)),
            score: best(&record.severity),
            listed_score,
            exploited,
            informational: record.affected.iter().find_map(|part| part.database_specific.as_ref()?.informational.0.clone()),
            aliases,
            several,
        }
    }

    fn one_of(&self, cve: String) -> OneOf {
        OneOf { listed_score: self.scores.get(&cve).cloned(), exploited: self.exploited.contains(&cve), cve }
    }

    /// The packages a record is about, with what counts of each.
    fn parts(&mut self, record: &Record) -> Vec<(Ecosystem, String, AffectedRecord)> {
        let mut parts = Vec::new();
        for part in &record.affected {
            let Some(package) = &part.package else {
                self.left_out.foreign += 1;
                continue;
            };
            let Some(ecosystem) = Ecosystem::from_osv(&package.ecosystem) else {
                self.left_out.foreign += 1;
                continue;
            };
            let affected = self.affected(part, &ecosystem);
            if affected.intervals.is_empty() && affected.versions.is_empty() {
                self.left_out.without_versions += 1;
                continue;
            }
            let name = ecosystem.normalise(&package.name);
            parts.push((ecosystem, name, affected));
        }
        parts
    }

    fn affected(&mut self, part: &Affected, ecosystem: &Ecosystem) -> AffectedRecord {
        let scheme = ecosystem.scheme();
        let mut found = Vec::new();
        for range in &part.ranges {
            if range.kind == "GIT" {
                self.left_out.git_ranges += 1;
                continue;
            }
            let mut events = Vec::new();
            for event in &range.events {
                events.extend(event.introduced.clone().map(Event::Introduced));
                events.extend(event.fixed.clone().map(Event::Fixed));
                events.extend(event.last_affected.clone().map(Event::LastAffected));
            }
            match intervals(events, scheme) {
                Some(intervals) => found.extend(intervals),
                None => self.left_out.unordered_ranges += 1,
            }
        }
        let covered = |version: &&String| !found.iter().any(|interval| interval.contains(scheme, version) == Within::Yes);
        let mut versions: Vec<String> = part.versions.iter().filter(covered).cloned().collect();
        versions.sort();
        versions.dedup();
        let specific = [&part.ecosystem_specific, &part.database_specific];
        let severity = word(&part.severity).or_else(|| specific.into_iter().flatten().find_map(said));
        AffectedRecord { advisory: Place { offset: 0, length: 0 }, intervals: found, versions, severity }
    }
}

fn read_json<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T, Error> {
    let file = File::open(path).map_err(|error| Error::file("open", path, error))?;
    serde_json::from_reader(std::io::BufReader::new(file)).map_err(|source| Error::Json { path: path.into(), source })
}

fn append<T: serde::Serialize>(body: &mut Vec<u8>, record: &T) -> Place {
    let offset = (HEADER + body.len()) as u64;
    let begin = body.len();
    // Writing plain data into memory has no way to fail.
    let bytes = postcard::to_stdvec(record).unwrap_or_default();
    body.extend_from_slice(&bytes);
    Place { offset, length: (body.len() - begin) as u64 }
}

fn assemble(mut body: Vec<u8>, index: &[(u64, Place)], meta: &Meta) -> Vec<u8> {
    let place = append(&mut body, meta);
    let begin = (HEADER + body.len()) as u64;
    for (key, place) in index {
        [*key, place.offset, place.length].iter().for_each(|number| body.extend_from_slice(&number.to_le_bytes()));
    }
    let header = Header {
        length: (HEADER + body.len()) as u64,
        id: Sha256::digest(&body).into(),
        meta: (place.offset, place.length),
        index: (begin, index.len() as u64),
    };
    let mut bytes = header.to_bytes().to_vec();
    bytes.append(&mut body);
    bytes
}

/// The score of the newest version of CVSS.
fn best(ratings: &[Rating]) -> Option<Score> {
    ["CVSS_V4", "CVSS_V3", "CVSS_V2"]
        .iter()
        .find_map(|kind| ratings.iter().filter(|rating| rating.kind == *kind).find_map(|rating| Score::of_vector(&rating.score)))
}

/// Ubuntu's priorities come as a rating of their own.
fn word(ratings: &[Rating]) -> Option<Severity> {
    ratings.iter().filter(|rating| !rating.kind.starts_with("CVSS")).find_map(|rating| Severity::of_word(&rating.score))
}

/// Of sources that say it otherwise: in the summary, or by what they are about. Packages that are malicious (`MAL-...`) have neither word nor score.
fn without_a_word(record: &Record) -> Option<Severity> {
    if record.id.starts_with("MAL-") { Some(Severity::Critical) } else { Severity::of_word(record.headline()?) }
}

fn said(specific: &Specific) -> Option<Severity> {
    [&specific.severity, &specific.urgency].into_iter().find_map(|word| Severity::of_word(word.0.as_deref()?))
}
