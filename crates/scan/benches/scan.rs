//! The figures of the scanner, beside syft: `scripts/bench scan` makes the image and gives the paths.
//!
//! Each figure is measured in a process of its own, which says how long it took and how much memory it had at most; the median of five runs
//! counts. syft lists packages only, it looks nothing up.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::{
    env, fs,
    hint::black_box,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use image::{Caps, Inspection, LayerEvidence, Platform, Transport};
use scan::{
    Database,
    advisories::{Builder, PRECEDENCE, matches},
};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

const RUNS: usize = 5;

/// What a run took.
struct Figure {
    milliseconds: f64,
    /// Most memory it had, MB.
    memory: f64,
    said: String,
}

fn main() -> Result {
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["build", sources, database] => build(Path::new(sources), Path::new(database)),
        ["open", database] => open(Path::new(database)),
        ["image", layout, database] => from_layers(Path::new(layout), Path::new(database)),
        ["keep", layout, evidence] => keep_evidence(Path::new(layout), Path::new(evidence)),
        ["stored", layout, database, evidence] => from_evidence(Path::new(layout), Path::new(database), Path::new(evidence)),
        _ => compare(),
    }
}

fn given(name: &str) -> Result<PathBuf> {
    let path = env::var_os(name).map(PathBuf::from).filter(|path| path.exists());
    path.ok_or_else(|| format!("{name} names no file; run scripts/bench scan").into())
}

fn compare() -> Result {
    let (sources, layout, syft) = (given("PLIMSOLL_ADVISORIES")?, given("PLIMSOLL_BENCH_IMAGE")?, given("PLIMSOLL_BENCH_SYFT")?);
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (database, evidence) = (path("advisories.db"), path("evidence"));
    let (sources, layout) = (sources.display().to_string(), layout.display().to_string());
    println!("| figure | time | memory at most | |\n|---|---|---|---|");
    row("advisories build, all sources", &ours(&["build", &sources, &database])?);
    row("opening the database", &ours(&["open", &database])?);
    row("image from its layers: list packages and match", &ours(&["image", &layout, &database])?);
    fs::create_dir(&evidence)?;
    keep_evidence(Path::new(&layout), Path::new(&evidence))?;
    row("image from stored evidence: list packages and match", &ours(&["stored", &layout, &database, &evidence])?);
    row("the same image by syft: list packages", &median((0..RUNS).map(|_| peer(&syft, &layout)).collect::<Result<_>>()?));
    Ok(())
}

fn row(name: &str, figure: &Figure) {
    let time = if figure.milliseconds < 1000.0 {
        format!("{:.1} ms", figure.milliseconds)
    } else {
        format!("{:.2} s", figure.milliseconds / 1000.0)
    };
    println!("| {name} | {time} | {:.0} MB | {} |", figure.memory, figure.said);
}

fn median(mut figures: Vec<Figure>) -> Figure {
    figures.sort_by(|a, b| a.milliseconds.total_cmp(&b.milliseconds));
    let memory = figures.iter().map(|figure| figure.memory).fold(0.0, f64::max);
    let middle = figures.len() / 2;
    Figure { memory, ..figures.swap_remove(middle) }
}

/// Runs a part of this program in processes of its own.
fn ours(arguments: &[&str]) -> Result<Figure> {
    let one = || -> Result<Figure> {
        let output = Command::new(env::current_exe()?).args(arguments).stderr(Stdio::inherit()).output()?;
        let text = String::from_utf8(output.stdout)?;
        let mut fields = text.trim().splitn(3, '\t');
        match (output.status.success(), fields.next(), fields.next()) {
            (true, Some(time), Some(memory)) => {
                Ok(Figure { milliseconds: time.parse()?, memory: memory.parse()?, said: fields.next().unwrap_or_default().to_owned() })
            }
            _ => Err(format!("{arguments:?} failed: {text}").into()),
        }
    };
    Ok(median((0..RUNS).map(|_| one()).collect::<Result<_>>()?))
}

/// Ends a part.
fn tell(took: Duration, said: &str) -> Result {
    println!("{}\t{}\t{said}", took.as_secs_f64() * 1000.0, peak("self").ok_or("no /proc")?);
    Ok(())
}

fn peak(process: &str) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok()? / 1024.0)
}

/// Runs syft once. Its memory is looked at while it runs.
fn peer(syft: &Path, layout: &str) -> Result<Figure> {
    let begin = Instant::now();
    let mut child = Command::new(syft)
        .args(["-q", &format!("oci-dir:{layout}"), "-o", "json"])
        .env("SYFT_CHECK_FOR_APP_UPDATE", "false")
        .stdout(Stdio::piped())
        .spawn()?;
    let output = child.stdout.take().ok_or("no output")?;
    let packages = thread::spawn(move || std::io::read_to_string(output));
    let mut memory = 0.0_f64;
    let status = loop {
        memory = memory.max(peak(&child.id().to_string()).unwrap_or(0.0));
        match child.try_wait()? {
            Some(status) => break status,
            None => thread::sleep(Duration::from_millis(5)),
        }
    };
    let took = begin.elapsed();
    let text = packages.join().map_err(|_| "syft's output could not be read")??;
    let listed = serde_json::from_str::<serde_json::Value>(&text)?["artifacts"].as_array().map_or(0, Vec::len);
    if !status.success() || listed == 0 {
        return Err(format!("syft ended with {status} and listed {listed} packages").into());
    }
    Ok(Figure { milliseconds: took.as_secs_f64() * 1000.0, memory, said: format!("{listed} packages") })
}

fn build(sources: &Path, database: &Path) -> Result {
    let begin = Instant::now();
    let mut builder = Builder::default();
    let mut unpacked = 0;
    let mut archives: Vec<PathBuf> =
        fs::read_dir(sources)?.map(|entry| entry.map(|entry| entry.path().join("all.zip"))).collect::<std::io::Result<_>>()?;
    archives.retain(|path| path.exists());
    archives.sort();
    for archive in &archives {
        builder.add(archive, &mut |_| {})?;
    }
    builder.add_scores(&sources.join("cvss.json"))?;
    builder.add_exploited(&sources.join("kev.json"))?;
    let meta = builder.write(database)?;
    let took = begin.elapsed();
    for archive in &archives {
        let mut archive = zip::ZipArchive::new(fs::File::open(archive)?)?;
        for member in 0..archive.len() {
            unpacked += archive.by_index_raw(member)?.size();
        }
    }
    let size = fs::metadata(database)?.len();
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    tell(took, &format!("{} advisories; {:.1} MB of {:.1} MB of JSON", meta.advisories, megabytes(size), megabytes(unpacked)))
}

fn open(database: &Path) -> Result {
    // Once, as a command does it.
    let begin = Instant::now();
    let opened = Database::open(database)?;
    let took = begin.elapsed();
    tell(took, &format!("{} packages", opened.meta().packages))
}

fn inspect(layout: &Path, known: &mut dyn FnMut(&model::digest::Digest) -> Option<Arc<LayerEvidence>>) -> Result<Inspection> {
    let opened = image::open(&Transport::Oci { dir: layout.to_owned(), tag: None })?;
    Ok(image::inspect(opened.source.as_ref(), &opened.top, &Platform::host(), Caps::default(), known)?)
}

fn look(inspection: &Inspection, database: &Path) -> Result<String> {
    let inventory = scan::inventory::inventory(inspection);
    let (found, _) = matches(&Database::open(database)?, &inventory.packages, &PRECEDENCE)?;
    Ok(format!("{} packages, {} vulnerabilities", inventory.packages.len(), found.len()))
}

fn from_layers(layout: &Path, database: &Path) -> Result {
    let begin = Instant::now();
    let inspection = inspect(layout, &mut |_| None)?;
    let said = look(&inspection, database)?;
    let took = begin.elapsed();
    let unpacked = inspection.uncompressed_size() as f64 / 1e6;
    tell(took, &format!("{unpacked:.0} MB unpacked; {said}"))
}

fn keep_evidence(layout: &Path, folder: &Path) -> Result {
    for layer in inspect(layout, &mut |_| None)?.layers {
        fs::write(folder.join(layer.digest.hex()), layer.to_bytes()?)?;
    }
    Ok(())
}

fn from_evidence(layout: &Path, database: &Path, folder: &Path) -> Result {
    let begin = Instant::now();
    let mut known = |digest: &model::digest::Digest| {
        let bytes = fs::read(folder.join(digest.hex())).ok()?;
        LayerEvidence::from_bytes(&bytes).ok().map(Arc::new)
    };
    let inspection = inspect(layout, &mut known)?;
    let said = look(black_box(&inspection), database)?;
    tell(begin.elapsed(), &said)
}
