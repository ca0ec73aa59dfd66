//! Runs of real images in a fake sandbox, and runs that must not take place.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    time::Duration,
};

use image::{
    Platform,
    pack::{File, Pack, Packed, broken::Fault},
};
use model::run::{EngineRun, Exit, NotStarted, Outcome, Stream};
use sandbox::{
    Session,
    fake::{Fake, Stage},
};

use super::*;
use crate::{
    evidence::{
        gather_static,
        tests::{ENGINE, KEYWORDS},
    },
    judge::{Stage as JudgeStage, judge},
    policy::Policy,
};

fn platform() -> Platform {
    Platform::new("linux", "amd64")
}

fn manifest(mode: &str) -> File {
    let text = format!(
        r#"{{"engineId": "{ENGINE}", "category": "keyword", "engineMode": "{mode}", "preferredInputFormat": "text/plain",
            "supportedInputFormats": ["text/plain"], "outputFormats": ["application/json"], "clusterSize": "small"}}"#
    );
    File::new("var/manifest.json", 0o644, text)
}

/// A webhook image whose engine listens on `port`.
fn pack(port: u16) -> Pack {
    Pack::new(platform())
        .entrypoint(["/engine"])
        .env("VERITONE_WEBHOOK_READY", &format!("http://0.0.0.0:{port}/ready"))
        .env("VERITONE_WEBHOOK_PROCESS", &format!("http://0.0.0.0:{port}/process"))
        .layer(vec![manifest("chunk"), File::new("engine", 0o755, "#!/bin/true")])
}

fn fixed(packed: &Packed) -> StaticEvidence {
    gather_static(packed, &packed.top().clone(), &platform(), &mut |_| None)
}

async fn run_in(packed: Packed, sandbox: Arc<dyn Sandbox>) -> (StaticEvidence, RunEvidence) {
    let fixed = fixed(&packed);
    let folder = tempfile::tempdir().unwrap();
    let setup = RunSetup {
        sandbox,
        layers: Arc::new(LayerCache::new(folder.path().join("layers"))),
        source: Arc::new(packed),
        run_id: "test".into(),
        log: Arc::new(|_| ()),
        seed: [1; 32],
        started_at: "2026-01-02T03:04:05Z".parse().unwrap(),
        wall: RunSetup::WALL,
        sample: None,
        pace: Pace {
            retries: vec![],
            ready_poll_first: Duration::from_millis(1),
            last_words: Duration::from_millis(100),
            ..Pace::default()
        },
        read_only_root: true,
    };
    let run = gather_run(&fixed, &Terms::default(), setup).await;
    (fixed, run)
}

/// Reads one request and says its path and whether its body holds a text.
fn request(peer: &mut TcpStream) -> (String, String) {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let taken = peer.read(&mut buffer).unwrap_or(0);
        bytes.extend_from_slice(&buffer[..taken]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let length =
            text.to_lowercase().split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.trim().parse::<usize>().ok());
        let head = text.find("\r\n\r\n").map(|at| at + 4);
        if taken == 0 || head.is_some_and(|head| bytes.len() >= head + length.unwrap_or(0)) {
            return (text.split(' ').nth(1).unwrap_or_default().to_owned(), text);
        }
    }
}

fn answer(peer: &mut TcpStream, status: &str, body: &str) {
    let _ = write!(
        peer,
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
}

/// A keyword engine behind a listener that is already open.
fn engine(listener: TcpListener) -> Fake {
    Fake::new(move |stage: &Stage| {
        stage.log(Stream::Stdout, "listening");
        listener.set_nonblocking(true).unwrap();
        while !stage.is_stopped() {
            let Ok((mut peer, _)) = listener.accept() else {
                stage.wait_for_stop(Duration::from_millis(1));
                continue;
            };
            peer.set_nonblocking(false).unwrap();
            let (path, text) = request(&mut peer);
            match path.as_str() {
                "/ready" => answer(&mut peer, "200 OK", ""),
                _ if text.contains("text/plain") => answer(&mut peer, "200 OK", KEYWORDS),
                _ => answer(&mut peer, "400 Bad Request", "\"not text\""),
            }
        }
        Exit::Stopped
    })
}

fn ran(run: &RunEvidence) -> &EngineRun {
    match run {
        RunEvidence::Done(outcome) => match outcome.as_ref() {
            Outcome::Ran(run) => run,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_good_engine_passes_every_check_but_the_scan() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let packed = pack(listener.local_addr().unwrap().port()).build().unwrap();
    let (fixed, run) = run_in(packed, Arc::new(engine(listener))).await;
    assert_eq!(ran(&run).exchanges.len(), 3);
    let evidence = fixed.with(Terms::default(), run);
    let results = judge(&evidence, &Policy::default(), JudgeStage::Complete);
    let said: Vec<_> = results.iter().filter(|result| !result.findings.is_empty()).map(|result| result.id.as_str()).collect();
    assert_eq!(said, ["security"], "{results:#?}");
}

#[tokio::test]
async fn an_image_at_fault_is_not_run_and_says_which_check_tells() {
    let never: Arc<dyn Sandbox> = Arc::new(Fake::new(|_: &Stage| panic!("it must not be started")));
    let good = || Pack::new(platform()).entrypoint(["/engine"]);
    let raw = |pack: Pack| pack.with_raw_layer("no archive", "application/vnd.oci.image.layer.v1.tar");
    for (pack, check) in [
        (raw(good().layer(vec![manifest("chunk")])), "see check layers"),
        (good().layer(vec![File::new("a", 0o644, "")]), "see check manifest"),
        (good().layer(vec![File::new("var/manifest.json", 0o644, "{")]), "see check manifest"),
        (good().layer(vec![manifest("chunk")]).broken(Fault::MissingLayer(0)), "see check image"),
    ] {
        let (_, run) = run_in(pack.build().unwrap(), Arc::clone(&never)).await;
        let RunEvidence::Prevented(reason) = run else { panic!("{run:?}") };
        assert!(reason.ends_with(check), "{reason}");
    }
}

#[tokio::test]
async fn an_image_that_says_nothing_to_start_is_told_by_the_harness() {
    let packed = Pack::new(platform()).layer(vec![manifest("batch")]).build().unwrap();
    let never = Fake::new(|_: &Stage| panic!("it must not be started"));
    let (_, run) = run_in(packed, Arc::new(never)).await;
    assert!(matches!(run, RunEvidence::Done(outcome) if *outcome == Outcome::NotStarted(NotStarted::NoCommand)));
}

/// A host that cannot run anything.
struct NotReady;

impl Sandbox for NotReady {
    fn open(&self, _: &str) -> Result<Box<dyn Session>, sandbox::Error> {
        let failure = sandbox::ProbeFailure { id: "cgroup.memory", detail: "no memory controller".into(), mend: "mount it".into() };
        Err(sandbox::Error::HostNotReady(vec![failure]))
    }
}

#[tokio::test]
async fn a_host_that_is_not_ready_is_the_gates_own_trouble() {
    let (fixed, run) = run_in(pack(1).build().unwrap(), Arc::new(NotReady)).await;
    let RunEvidence::Refused(refusal) = &run else { panic!("{run:?}") };
    assert_eq!(refusal.details, ["cgroup.memory: no memory controller; mount it"]);
    assert!(refusal.mend.contains("plimsoll doctor"));
    let results = judge(&fixed.with(Terms::default(), run), &Policy::default(), JudgeStage::Complete);
    let told: Vec<_> = results.iter().flat_map(|result| &result.findings).map(|finding| finding.code.as_str()).collect();
    assert_eq!(told, ["run.host", "security.no_database"]);
}

#[test]
fn the_config_is_handed_on_without_interpretation() {
    let config = ImageConfig {
        env: vec!["A=b=c".into(), "EMPTY".into()],
        cmd: Some(vec!["x".into()]),
        working_dir: "/w".into(),
        user: "1000:1000".into(),
        ..ImageConfig::default()
    };
    let command = command_of(&config);
    assert_eq!(command.env, [("A".to_owned(), "b=c".to_owned()), ("EMPTY".to_owned(), String::new())]);
    assert_eq!(
        (command.entrypoint.len(), command.cmd.len(), command.working_dir.as_str(), command.user.as_str()),
        (0, 1, "/w", "1000:1000")
    );
}
