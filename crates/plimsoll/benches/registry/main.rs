//! How fast blobs and manifests go in and out, and what it costs, beside Debian's `docker-registry` on the same disk: `scripts/bench registry`.
//!
//! Both run in processes of their own and take turns; the figures are medians. Ours is the real program: it asks who the caller is, analyses
//! each layer, and everything it acknowledges is durable. Figures vary with the machine: compare only what was measured in one run.
#![expect(clippy::print_stdout, clippy::indexing_slicing, reason = "a benchmark prints its figures")]

#[path = "../../src/engine_image.rs"]
mod engine_image;

mod client;
mod contender;
mod measures;
mod nothing;
mod plain;

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context, Result};
use contender::{Contender, Kind};
use measures::BLOB;
use model::digest::Digest;

const ROUNDS: u64 = 3;

/// A measure: what it is called, its unit, our goal as a multiple of the reference, whether more is better.
const TABLE: [(&str, &str, f64, bool); 14] = [
    ("push 512 MiB, one PATCH", "MB/s", 1.8, true),
    ("  processor time of it", "s", 0.5, false),
    ("push 512 MiB, chunks of 16 MiB", "MB/s", 1.8, true),
    ("  processor time of it", "s", 0.5, false),
    ("4 KiB blobs, POST + PUT, 8 clients", "/s", 4.0, true),
    ("pull 512 MiB, 1 client", "MB/s", 1.0, true),
    ("pull 512 MiB, 4 clients", "MB/s", 1.0, true),
    ("manifest PUT by tag, 8 clients", "/s", 3.0, true),
    ("manifest GET by tag, 8 clients", "/s", 8.0, true),
    ("tags list of 1,500", "ms", 0.5, false),
    ("skopeo copy of a 200 MB image", "s", 0.7, false),
    ("memory idle", "MB", 1.2, false),
    ("memory at the highest, over all of it", "MB", 1.0, false),
    ("processor time over all of it", "s", 1.0, false),
];

/// Values by row of [`TABLE`].
type Values = BTreeMap<usize, Vec<f64>>;

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().collect();
    if let Some(at) = words.iter().position(|word| word == "--plain") {
        return plain::serve(Path::new(words.get(at + 1).context("which folder?")?));
    }
    if words.iter().any(|word| word == "--nothing") {
        return nothing::serve();
    }
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    // `--rows 4,7,8` measures only these rows of the table: for whoever works on one of them.
    if let Some(at) = words.iter().position(|word| word == "--rows") {
        let rows = words.get(at + 1).context("which rows?")?.split(',').map(str::parse).collect::<Result<Vec<usize>, _>>()?;
        return beside_the_reference(dir.path(), &|row| rows.contains(&row));
    }
    beside_the_reference(dir.path(), &|_| true)?;
    analysis(dir.path())?;
    memory(dir.path())
}

fn beside_the_reference(dir: &Path, wanted: &dyn Fn(usize) -> bool) -> Result<()> {
    let contenders = [Contender::start(Kind::Ours, dir)?, Contender::start(Kind::Reference, dir)?];
    let nothing = Contender::start(Kind::Nothing, dir)?;
    let mut all = [Values::new(), Values::new()];
    let mut copies = Vec::new();
    for (contender, values) in contenders.iter().zip(&mut all) {
        values.insert(11, vec![contender.memory()?.0]);
    }
    for number in 1..=ROUNDS {
        let image = dir.join(format!("image-{number}"));
        write_image(&image, number)?;
        for (contender, values) in contenders.iter().zip(&mut all) {
            round(contender, number, &image, values, wanted)?;
        }
        if wanted(10) {
            copies.push(measures::copy(&nothing, &image, "nothing")?);
        }
    }
    for (contender, values) in contenders.iter().zip(&mut all) {
        values.insert(12, vec![contender.memory()?.1]);
        values.insert(13, vec![contender.cpu()?]);
    }
    let reference = all[1].get(&10).cloned().map(median);
    print(&all.map(|values| values.into_iter().map(|(row, values)| (row, median(values))).collect()));
    if let Some(reference) = reference {
        let alone = median(copies);
        println!("skopeo copy of it to a server that keeps nothing: {alone:.2} s ({:.2}x); none can be faster", alone / reference);
    }
    Ok(())
}

fn round(contender: &Contender, number: u64, image: &Path, values: &mut Values, wanted: &dyn Fn(usize) -> bool) -> Result<()> {
    let mut note = |row: usize, value: f64| {
        values.entry(row).or_default().push(value);
        contender.settle()
    };
    let mut pushed = None;
    for (row, chunk) in [(0, BLOB), (2, 16 << 20)].into_iter().filter(|(row, _)| wanted(*row) || (*row == 0 && wanted(5))) {
        let before = contender.cpu()?;
        let (digest, seconds) = measures::push(contender, number * 10 + row as u64, BLOB, chunk)?;
        note(row + 1, contender.cpu()? - before)?;
        note(row, BLOB as f64 / 1e6 / seconds)?;
        pushed = Some(digest);
    }
    if wanted(4) {
        note(4, measures::small_blobs(contender, number << 32)?)?;
    }
    for (row, clients) in [(5, 1), (6, 4)].into_iter().filter(|(row, _)| wanted(*row)) {
        note(row, measures::pull(contender, pushed.as_ref().context("nothing was pushed")?, clients)?)?;
    }
    if wanted(7) || wanted(8) || wanted(9) {
        note(7, measures::put_manifests(contender, number)?)?;
        note(8, measures::get_manifests(contender)?)?;
        note(9, measures::list_tags(contender)?)?;
    }
    if wanted(10) {
        note(10, measures::copy(contender, image, &number.to_string())?)?;
    }
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn print(all: &[BTreeMap<usize, f64>; 2]) {
    println!("| measure | plimsoll | docker-registry | ratio | goal | |");
    println!("|---|---|---|---|---|---|");
    for (row, (what, unit, goal, more)) in TABLE.into_iter().enumerate() {
        let (Some(ours), Some(theirs)) = (all[0].get(&row), all[1].get(&row)) else { continue };
        let (ratio, sign) = (ours / theirs, if more { "≥" } else { "≤" });
        let met = if more { ratio >= goal } else { ratio <= goal };
        println!(
            "| {what} | {} {unit} | {} {unit} | {ratio:.2}x | {sign} {goal}x | {} |",
            short(*ours),
            short(*theirs),
            if met { "met" } else { "MISSED" }
        );
    }
    println!();
}

fn short(value: f64) -> String {
    if value >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

/// About 200 MB in ten layers of bytes that do not compress, packed with gzip as images are.
fn write_image(dir: &Path, seed: u64) -> Result<()> {
    let mut pack = engine_image::pack("00000000-0000-4000-8000-000000000000")?.compression(image::Compression::Gzip);
    for number in 0..10 {
        pack = pack.layer(vec![image::pack::File::new("data/noise", 0o644, measures::noise(seed * 100 + number, 20_000_000))]);
    }
    pack.write_oci_dir(dir)?;
    Ok(())
}

/// What the analysis of a gzip layer costs when it arrives over a gigabit line.
fn analysis(dir: &Path) -> Result<()> {
    let contenders = [Contender::start(Kind::Ours, dir)?, Contender::start(Kind::Plain, dir)?];
    let (mut seconds, mut size) = ([Vec::new(), Vec::new()], 0);
    for number in 0..3 {
        let layer = layer(number)?;
        size = layer.len() / 1_000_000;
        let digest = Digest::of(&layer);
        for (contender, seconds) in contenders.iter().zip(&mut seconds) {
            seconds.push(measures::push_at_a_gigabit(contender, &layer, &digest)?);
            rustix::fs::sync();
        }
    }
    let [with, without] = seconds.map(median);
    let more = (with / without - 1.0) * 100.0;
    println!("gzip layer of {size} MB arriving at 1 Gbit/s: {with:.2} s analysed, {without:.2} s not: {more:+.1} % (goal: at most +10 %)");
    Ok(())
}

/// A layer whose bytes are half noise, half text, so that there is something to inflate.
fn layer(number: u64) -> Result<Vec<u8>> {
    let mut content = measures::noise(number + 500, 150_000_000);
    content.chunks_mut(4096).step_by(3).for_each(|some| some.fill(b'a'));
    let file = image::pack::File::new("data/half", 0o644, content);
    let packed =
        image::pack::Pack::new(image::Platform::new("linux", "amd64")).compression(image::Compression::Gzip).layer(vec![file]).build()?;
    Ok(packed.blobs().map(|(_, bytes)| bytes).max_by_key(|bytes| bytes.len()).context("no layer")?.to_vec())
}

/// Memory while blobs of different sizes are pushed, each by a fresh process.
fn memory(dir: &Path) -> Result<()> {
    for size in [64, 512, 2048] {
        let contender = Contender::start(Kind::Ours, dir)?;
        let before = contender.memory()?.0;
        measures::push(&contender, size, usize::try_from(size)? << 20, usize::try_from(size)? << 20)?;
        println!("memory while {size} MiB are pushed: {before:.0} MB before, {:.0} MB at the highest", contender.memory()?.1);
    }
    Ok(())
}
