//! `scripts/bench scan`: how long after its push what is known of a large image can be read, by its clients, from the real server. Each round pushes
//! the image with another small layer on top, so that nothing is known of it but its layers.

use std::{
    env,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{Gate, Sample, engine_image, row};

const ROUNDS: usize = 9;

/// Runs all rounds.
pub(super) fn run() -> Result<()> {
    let given = |name: &str| env::var_os(name).map(PathBuf::from).with_context(|| format!("{name} is not set; run scripts/bench scan"));
    let folder = tempfile::tempdir()?;
    let (database, sources) = (folder.path().join("advisories.db"), given("PLIMSOLL_ADVISORIES")?);
    let archives: Vec<PathBuf> =
        std::fs::read_dir(sources)?.filter_map(|entry| Some(entry.ok()?.path().join("all.zip"))).filter(|path| path.exists()).collect();
    let built =
        Command::new(env!("CARGO_BIN_EXE_plimsoll")).args(["advisories", "build"]).args(archives).arg("-o").arg(&database).output()?;
    ensure!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let layers = layers(&given("PLIMSOLL_BENCH_IMAGE")?)?;
    let gate = Gate::start(&[("PLIMSOLL_ADVISORIES__PATH", database.as_os_str())])?;
    let engine = gate.create_engine("Large")?;
    let (mut report, mut today, mut total) = (Vec::new(), Vec::new(), Value::Null);
    for number in 0..=ROUNDS {
        let found = round(&gate, &engine, number, &layers)?;
        // The first brings the layers.
        if number > 0 {
            report.push(found.report);
            today.push(found.today);
        }
        total = found.total;
    }
    println!(
        "an image of {} MB as transferred, {total} vulnerabilities, {ROUNDS} pushes:",
        layers.iter().map(Vec::len).sum::<usize>() / 1_000_000
    );
    row("push finished -> report has vulnerabilities", report, 150.0);
    row("push finished -> matched with today's", today, 150.0);
    Ok(())
}

struct Found {
    report: f64,
    today: f64,
    total: Value,
}

/// The layers of an image in an OCI layout.
fn layers(layout: &std::path::Path) -> Result<Vec<Vec<u8>>> {
    let opened = image::open(&format!("oci:{}", layout.display()).parse()?)?;
    let read = |digest: &str| -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut opened.source.open(&digest.parse()?)?, &mut bytes)?;
        Ok(bytes)
    };
    let manifest: Value = serde_json::from_slice(&read(&opened.top.to_string())?)?;
    let digests = manifest["layers"].as_array().into_iter().flatten().filter_map(|layer| layer["digest"].as_str());
    digests.map(read).collect()
}

fn round(gate: &Gate, engine: &str, number: usize, layers: &[Vec<u8>]) -> Result<Found> {
    const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
    let pack = layers.iter().fold(engine_image::pack(engine)?, |pack, layer| pack.with_raw_layer(layer.as_slice(), GZIP));
    let sample = Sample::of(pack, number)?;
    gate.push(&sample, number)?;
    let pushed = Instant::now();
    let query = |fields: &str| format!("{{ engine(id: {engine:?}) {{ builds(limit: 1) {{ records {{ dockerImage {fields} }} }} }} }}");
    let wait = |fields: &str, pointer: &str| -> Result<(f64, Value)> {
        loop {
            let build = gate.graphql(&query(fields))?["engine"]["builds"]["records"][0].clone();
            let mine = build["dockerImage"].as_str().is_some_and(|image| image.ends_with(&format!(":v{number}")));
            if let Some(value) = build.pointer(pointer).filter(|value| mine && !value.is_null()) {
                return Ok((pushed.elapsed().as_secs_f64() * 1e3, value.clone()));
            }
            ensure!(pushed.elapsed() < Duration::from_secs(60), "no {pointer}: {build}");
            std::thread::sleep(Duration::from_millis(2));
        }
    };
    let (report, _) = wait("report", "/report/vulnerabilityCounts")?;
    let (today, total) = wait("vulnerabilities(limit: 1) { total }", "/vulnerabilities/total")?;
    // The next push must not meet the engine of this one.
    while gate.graphql(&query("status"))?["engine"]["builds"]["records"][0]["status"] == "fetching" {
        ensure!(pushed.elapsed() < Duration::from_secs(60), "no verdict");
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(Found { report, today, total })
}
