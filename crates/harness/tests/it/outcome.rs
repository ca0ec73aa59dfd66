//! What is not run at all, and what is our own fault.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    time::Duration,
};

use harness::{Error, NotStarted, NotTestable, Outcome};
use model::{manifest::EngineMode, run::RunSpec};
use sandbox::{LogSink, Rootfs, Running, Sandbox, Session, fake::Fake};

use crate::engine::Setup;

/// A sandbox that nobody should ask.
fn untouched() -> Arc<dyn Sandbox> {
    Arc::new(Fake::new(|_| panic!("nothing should be started")))
}

#[tokio::test]
async fn a_queue_engine_is_not_testable() {
    let outcome = Setup::new(EngineMode::Chunk).outcome(untouched()).await.unwrap();
    assert_eq!(outcome, Outcome::NotTestable(NotTestable::Queue));
}

#[tokio::test]
async fn an_engine_without_a_sample_is_not_testable() {
    let mut setup = Setup::new(EngineMode::Batch);
    setup.samples.clear();
    setup.manifest.preferred_input_format = Some("video/mp4".into());
    setup.manifest.supported_input_formats.clear();
    let outcome = setup.outcome(untouched()).await.unwrap();
    assert_eq!(outcome, Outcome::NotTestable(NotTestable::NoSample { formats: vec!["video/mp4".into()] }));
}

#[tokio::test]
async fn an_image_that_does_not_say_what_to_start_is_not_started() {
    let mut setup = Setup::webhook("127.0.0.1:1".parse().unwrap());
    setup.command.entrypoint = vec!["/opt/aiware/engine".into()];
    let driver = "/opt/aiware/engine".to_owned();
    assert_eq!(setup.outcome(untouched()).await.unwrap(), Outcome::NotStarted(NotStarted::DriverWithoutCommand { driver }));

    setup.command.entrypoint.clear();
    assert_eq!(setup.outcome(untouched()).await.unwrap(), Outcome::NotStarted(NotStarted::NoCommand));

    setup.command.entrypoint = vec!["/engine".into()];
    setup.env("VERITONE_WEBHOOK_PROCESS", "https://engine.example.com/process");
    let outcome = setup.outcome(untouched()).await.unwrap();
    let Outcome::NotStarted(NotStarted::BadHook { variable, value, .. }) = outcome else { panic!("{outcome:?}") };
    assert_eq!((variable.as_str(), value.as_str()), ("VERITONE_WEBHOOK_PROCESS", "https://engine.example.com/process"));
}

/// Fails at the step it is told to.
struct Broken(&'static str);

fn failure() -> sandbox::Error {
    sandbox::Error::HelperGone("signal 9".into())
}

impl Sandbox for Broken {
    fn open(&self, _: &str) -> Result<Box<dyn Session>, sandbox::Error> {
        if self.0 == "open" { Err(failure()) } else { Ok(Box::new(Self(self.0))) }
    }
}

impl Session for Broken {
    fn listen(&self, _: u16) -> Result<TcpListener, sandbox::Error> {
        if self.0 == "listen" {
            return Err(failure());
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Ok(listener)
    }

    fn connect(&self, _: SocketAddr, _: Duration) -> Result<TcpStream, sandbox::Error> {
        Err(failure())
    }

    fn start(&self, _: &Rootfs, _: &RunSpec, _: LogSink) -> Result<Box<dyn Running>, sandbox::Error> {
        if self.0 == "panic" {
            panic!("as a bug in the sandbox would");
        }
        Err(failure())
    }
}

#[tokio::test]
async fn our_own_faults_are_errors_that_say_what_was_to_be_done() {
    let setup = Setup::new(EngineMode::Batch);
    for (step, words) in [("open", "make the surroundings"), ("listen", "open a socket"), ("start", "start the engine")] {
        let error = setup.outcome(Arc::new(Broken(step))).await.unwrap_err();
        assert_eq!(error.to_string(), format!("the sandbox could not {words} for run test-run"));
        assert!(std::error::Error::source(&error).unwrap().to_string().contains("signal 9"));
    }
    let error = setup.outcome(Arc::new(Broken("panic"))).await.unwrap_err();
    assert!(matches!(error, Error::Thread { .. }), "{error}");
}

#[tokio::test]
async fn a_cancelled_certification_stops_the_engine() {
    let (told, stops) = std::sync::mpsc::channel();
    let (begun, begins) = tokio::sync::oneshot::channel();
    let begun = std::sync::Mutex::new(Some(begun));
    let fake = Fake::new(move |stage| {
        begun.lock().unwrap().take().unwrap().send(()).unwrap();
        told.send(stage.wait_for_stop(Duration::from_secs(20))).unwrap();
        model::run::Exit::Stopped
    });
    let task = tokio::spawn(async move { Setup::new(EngineMode::Batch).outcome(Arc::new(fake)).await.map(|_| ()) });
    begins.await.unwrap();
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    let stopped = tokio::task::spawn_blocking(move || stops.recv().unwrap()).await.unwrap();
    assert!(stopped);
}
