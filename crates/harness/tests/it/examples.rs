//! The example engines, as real processes: built and started as their own pages say.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use harness::samples;
use model::{
    capability::Capability,
    manifest::EngineMode,
    run::{EngineRun, Exit, Ready},
};
use sandbox::fake::{Fake, Stage};
use serde_json::Value;

use crate::engine::Setup;

fn example(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(path)
}

/// Runs an engine that is a process of this machine; its injected files are put into `home`. Returns when the process is gone.
async fn run(setup: &Setup, program: PathBuf, args: Vec<PathBuf>, home: &Path) -> EngineRun {
    let (gone, is_gone) = tokio::sync::mpsc::channel(1);
    let home = home.to_owned();
    let fake = Fake::new(move |stage| {
        let exit = live(stage, &program, &args, &home);
        gone.blocking_send(()).unwrap();
        exit
    });
    let run = setup.run(fake).await;
    let mut is_gone = is_gone;
    is_gone.recv().await.unwrap();
    run
}

/// The life of a process, until it ends or is stopped.
fn live(stage: &Stage, program: &Path, args: &[PathBuf], home: &Path) -> Exit {
    let mut env = stage.spec.env.clone();
    for (index, file) in stage.spec.files.iter().enumerate() {
        let path = home.join(index.to_string());
        std::fs::write(&path, &file.bytes).unwrap();
        let new = path.to_str().unwrap().to_owned();
        env.iter_mut().filter(|(_, value)| *value == file.path).for_each(|(_, value)| *value = new.clone());
    }
    let mut command = Command::new(program);
    command.args(args).env_clear().envs(env).current_dir(home).stdout(Stdio::null());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("start {}: {error}", program.display()));
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return Exit::Exited { code: status.code().unwrap_or(-1) };
        }
        if stage.wait_for_stop(Duration::from_millis(5)) {
            child.kill().unwrap();
            child.wait().unwrap();
            return Exit::Stopped;
        }
    }
}

fn python() -> PathBuf {
    let found = ["/usr/bin/python3", "/usr/local/bin/python3"].map(PathBuf::from).into_iter().find(|path| path.exists());
    found.expect("python3 is needed to test the example engines; install the package python3")
}

/// A webhook engine on a free port.
fn setup(mode: EngineMode) -> Setup {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut setup = Setup::new(mode);
    setup.env("PORT", &port.to_string());
    if mode == EngineMode::Chunk {
        setup.env("VERITONE_WEBHOOK_READY", &format!("http://0.0.0.0:{port}/ready"));
        setup.env("VERITONE_WEBHOOK_PROCESS", &format!("http://0.0.0.0:{port}/process"));
    }
    setup
}

fn statuses(run: &EngineRun) -> Vec<(&str, Option<u16>)> {
    assert!(matches!(run.ready, Some(Ready::Ready { .. })), "{:?}", run.ready);
    run.exchanges.iter().map(|exchange| (exchange.sample.as_str(), exchange.status)).collect()
}

fn document(run: &EngineRun, index: usize) -> Value {
    serde_json::from_slice(&run.outputs[index].body).unwrap()
}

fn labels(document: &Value) -> Vec<&str> {
    assert_eq!(document["validationContracts"], serde_json::json!(["keyword"]));
    let objects = document["object"].as_array().unwrap();
    assert!(objects.iter().all(|object| object["type"] == "keyword" && (0.0..=1.0).contains(&object["confidence"].as_f64().unwrap())));
    objects.iter().map(|object| object["label"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn the_keyword_engine_is_compiled_by_rustc_alone_and_does_well() {
    let home = tempfile::tempdir().unwrap();
    let binary = home.path().join("keyword");
    let compiled = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .args(["--edition", "2024", "-O", "-C", "target-feature=+crt-static"])
        .arg(example("keyword/src/main.rs"))
        .arg("-o")
        .arg(&binary)
        .output()
        .unwrap();
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    for without_chunk in ["false", "true"] {
        let mut setup = setup(EngineMode::Chunk);
        setup.env("VERITONE_DISABLE_CHUNK_DOWNLOAD", without_chunk);
        let run = run(&setup, binary.clone(), Vec::new(), home.path()).await;
        assert_eq!(statuses(&run), [("keyword-1", Some(200)), ("keyword-2", Some(200)), ("unsupported", Some(415))]);
        assert_eq!(labels(&document(&run, 0))[..2], ["harbour", "ship"]);
        assert!(labels(&document(&run, 1)).contains(&"bridge"));
        assert_eq!(run.record.exit, Exit::Stopped);
    }
}

#[tokio::test]
async fn the_transcription_engine_finds_the_words_of_both_recordings() {
    let home = tempfile::tempdir().unwrap();
    let mut setup = setup(EngineMode::Chunk);
    setup.samples = samples::for_capability(Some(Capability::Transcription), &["audio/wav".into()]);
    let run = run(&setup, python(), vec![example("python/engine.py")], home.path()).await;
    assert_eq!(statuses(&run), [("transcription-1", Some(200)), ("transcription-2", Some(200)), ("unsupported", Some(415))]);
    for (index, sample) in setup.samples.iter().take(2).enumerate() {
        let document = document(&run, index);
        let series = document["series"].as_array().unwrap();
        assert!(series.len() >= 5, "{} words", series.len());
        let mut before = sample.start_ms;
        for slot in series {
            let (start, stop) = (slot["startTimeMs"].as_u64().unwrap(), slot["stopTimeMs"].as_u64().unwrap());
            assert!(before <= start && start < stop && stop <= sample.end_ms, "{before} {start} {stop}");
            before = stop;
            assert!(slot["words"][0]["word"].as_str().unwrap().starts_with("la"));
        }
    }
}

#[tokio::test]
async fn the_batch_engine_hands_in_its_keywords_and_exits() {
    let home = tempfile::tempdir().unwrap();
    let run = run(&setup(EngineMode::Batch), python(), vec![example("batch/engine.py")], home.path()).await;
    assert_eq!(run.record.exit, Exit::Exited { code: 0 }, "{:?}", run.task);
    assert_eq!(run.task.statuses, ["running", "complete"]);
    assert_eq!(run.outputs.iter().map(|output| output.via.as_str()).collect::<Vec<_>>(), ["uploadEngineResult", "updateTask"]);
    assert_eq!(labels(&document(&run, 0))[0], "harbour");
}

#[tokio::test]
async fn the_batch_engine_says_so_when_it_fails() {
    let home = tempfile::tempdir().unwrap();
    let mut setup = setup(EngineMode::Batch);
    setup.samples = samples::for_capability(Some(Capability::Transcription), &["audio/wav".into()]);
    let run = run(&setup, python(), vec![example("batch/engine.py")], home.path()).await;
    assert_eq!((run.record.exit, run.task.statuses), (Exit::Exited { code: 1 }, vec!["running".to_owned(), "failed".to_owned()]));
    assert_eq!(
        (run.task.failure_reason.as_deref(), run.task.failure_message.as_deref()),
        (Some("internal_error"), Some("the recording has no text/plain"))
    );
}

#[test]
fn every_manifest_says_what_its_engine_does() {
    for (folder, category, mode) in [("keyword", "keyword", "chunk"), ("python", "transcription", "chunk"), ("batch", "keyword", "batch")] {
        let manifest: Value = serde_json::from_slice(&std::fs::read(example(folder).join("manifest.json")).unwrap()).unwrap();
        assert_eq!((&manifest["category"], &manifest["engineMode"]), (&category.into(), &mode.into()), "{folder}");
        assert_eq!(manifest["engineId"], "YOUR-ENGINE-ID");
        let capability = Capability::from_word(category).unwrap();
        let formats: Vec<String> = serde_json::from_value(manifest["supportedInputFormats"].clone()).unwrap();
        assert_eq!(samples::for_capability(Some(capability), &formats).len(), 3, "{folder}");
        let dockerfile = std::fs::read_to_string(example(folder).join("Dockerfile")).unwrap();
        assert!(dockerfile.contains("/var/manifest.json") && dockerfile.contains("\nENTRYPOINT [\""), "{folder}");
        assert_eq!(dockerfile.contains("VERITONE_WEBHOOK_PROCESS"), mode == "chunk", "{folder}");
    }
}
