//! A sandbox for the tests of others: the engine is a closure on a thread, its network is the real loopback of this machine.
//! Nothing is isolated here.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use model::{
    network::{NetworkEvent, NetworkRecord},
    run::{Exit, FilesWritten, LimitHit, LogLine, RunRecord, RunSpec, Stream},
};

use crate::{Error, LogSink, Rootfs, Running, Sandbox, Session, millis};

type Act = dyn Fn(&Stage) -> Exit + Send + Sync;

/// A sandbox whose engine is a closure.
///
/// The closure gets a [`Stage`] and returns how the engine "ended". It should return soon after [`Stage::is_stopped`] turns true; a stop or a
/// deadline does not wait for it, just as a killed process is not asked.
#[derive(Clone)]
pub struct Fake {
    act: Arc<Act>,
}

impl Fake {
    /// An engine that does what `act` does.
    pub fn new(act: impl Fn(&Stage) -> Exit + Send + Sync + 'static) -> Self {
        Self { act: Arc::new(act) }
    }

    /// An engine that writes these lines and ends.
    pub fn scripted(lines: Vec<(Stream, String)>, exit: Exit) -> Self {
        Self::new(move |stage| {
            lines.iter().for_each(|(stream, text)| stage.log(*stream, text));
            exit.clone()
        })
    }
}

impl Sandbox for Fake {
    fn open(&self, _id: &str) -> Result<Box<dyn Session>, Error> {
        Ok(Box::new(FakeSession { act: self.act.clone() }))
    }
}

struct FakeSession {
    act: Arc<Act>,
}

impl Session for FakeSession {
    fn listen(&self, port: u16) -> Result<TcpListener, Error> {
        let made = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).and_then(|l| l.set_nonblocking(true).map(|()| l));
        made.map_err(|source| Error::System { action: "listen on loopback", source })
    }

    fn connect(&self, addr: SocketAddr, timeout: Duration) -> Result<TcpStream, Error> {
        TcpStream::connect_timeout(&addr, timeout).map_err(|source| Error::Connect { addr, source })
    }

    fn start(&self, _rootfs: &Rootfs, spec: &RunSpec, log: LogSink) -> Result<Box<dyn Running>, Error> {
        let stage = Stage {
            spec: spec.clone(),
            shared: Arc::new(Shared {
                began: Instant::now(),
                sink: log,
                stopped: AtomicBool::new(false),
                state: Mutex::new(State::default()),
                ended: Condvar::new(),
            }),
        };
        let running = FakeRunning { shared: stage.shared.clone(), wall: Duration::from_millis(spec.limits.wall_ms) };
        let act = self.act.clone();
        thread::Builder::new()
            .name("fake-engine".to_owned())
            .spawn(move || {
                let exit = act(&stage);
                stage.shared.end(exit);
            })
            .map_err(|source| Error::System { action: "start a thread", source })?;
        Ok(Box::new(running))
    }
}

/// What the closure of a [`Fake`] sees.
pub struct Stage {
    /// The description the engine was started with.
    pub spec: RunSpec,
    shared: Arc<Shared>,
}

impl Stage {
    /// Writes one log line. Lines written after the end are lost, as those of a dead process are.
    pub fn log(&self, stream: Stream, text: &str) {
        let line = LogLine { at_ms: millis(self.shared.began.elapsed()), stream, text: text.to_owned() };
        let mut state = self.shared.lock();
        if state.end.is_none() {
            state.log.push(line.clone());
            drop(state);
            (self.shared.sink)(line);
        }
    }

    /// Makes the record say that the engine tried this.
    pub fn tried(&self, event: NetworkEvent) {
        self.shared.lock().network.push(event);
    }

    /// The value of an environment variable; the last one counts.
    pub fn env(&self, name: &str) -> Option<&str> {
        self.spec.env.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The engine was stopped, has reached its deadline or was dropped.
    pub fn is_stopped(&self) -> bool {
        self.shared.stopped.load(Ordering::Acquire)
    }

    /// Blocks until the engine is stopped, or for `at_most`; true when it was stopped.
    pub fn wait_for_stop(&self, at_most: Duration) -> bool {
        let state = self.shared.lock();
        let waited = self.shared.ended.wait_timeout_while(state, at_most, |_| !self.is_stopped());
        drop(waited);
        self.is_stopped()
    }
}

#[derive(Default)]
struct State {
    log: Vec<LogLine>,
    network: Vec<NetworkEvent>,
    end: Option<(Exit, u64)>,
}

struct Shared {
    began: Instant,
    sink: LogSink,
    stopped: AtomicBool,
    state: Mutex<State>,
    ended: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, exit: Exit) {
        let mut state = self.lock();
        if state.end.is_none() {
            state.end = Some((exit, millis(self.began.elapsed())));
        }
        self.stopped.store(true, Ordering::Release);
        self.ended.notify_all();
    }
}

struct FakeRunning {
    shared: Arc<Shared>,
    wall: Duration,
}

impl Running for FakeRunning {
    fn stop(&self) {
        self.shared.end(Exit::Stopped);
    }

    fn has_ended(&self) -> bool {
        self.shared.lock().end.is_some()
    }

    fn wait(&self) -> Result<RunRecord, Error> {
        let left = self.wall.saturating_sub(self.shared.began.elapsed());
        let state = self.shared.lock();
        let (state, _) = self.shared.ended.wait_timeout_while(state, left, |s| s.end.is_none()).unwrap_or_else(PoisonError::into_inner);
        drop(state);
        self.shared.end(Exit::TimedOut);
        let state = self.shared.lock();
        let (exit, wall_ms) = state.end.clone().unwrap_or((Exit::TimedOut, millis(self.wall)));
        let limits_hit = match exit {
            Exit::TimedOut => vec![LimitHit { limit: "wall_ms".to_owned(), allowed: millis(self.wall), peak: wall_ms }],
            _ => Vec::new(),
        };
        Ok(RunRecord {
            exit,
            wall_ms,
            cpu_ms: 0,
            cpu_user_ms: 0,
            cpu_system_ms: 0,
            peak_memory_bytes: 0,
            peak_pids: None,
            transferred: None,
            files_written: FilesWritten::default(),
            log: state.log.clone(),
            log_truncated: false,
            limits_hit,
            denied: Some(Vec::new()),
            deaf_to_sigterm: false,
            not_recorded: Vec::new(),
            network: Some(NetworkRecord { events: state.network.clone(), dropped: 0 }),
        })
    }
}

impl Drop for FakeRunning {
    fn drop(&mut self) {
        self.shared.end(Exit::Stopped);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use model::{network::NetworkPolicy, run::Limits};

    use super::*;

    fn spec(wall_ms: u64) -> RunSpec {
        let mut limits = Limits::certification(model::manifest::ClusterSize::Small, None);
        limits.wall_ms = wall_ms;
        RunSpec {
            args: vec!["engine".to_owned()],
            env: vec![("A".to_owned(), "1".to_owned()), ("A".to_owned(), "2".to_owned())],
            working_dir: "/".to_owned(),
            user: String::new(),
            limits,
            files: Vec::new(),
            network: NetworkPolicy::Isolated,
            read_only_root: false,
        }
    }

    fn start(fake: &Fake, wall_ms: u64) -> (Box<dyn Session>, Box<dyn Running>) {
        let session = fake.open("x").unwrap();
        let running = session.start(&Rootfs { lower: Vec::new() }, &spec(wall_ms), Arc::new(|_| ())).unwrap();
        (session, running)
    }

    #[test]
    fn a_script_gives_its_lines_and_exit() {
        let fake = Fake::scripted(vec![(Stream::Stderr, "hello".to_owned())], Exit::Exited { code: 3 });
        let (_session, running) = start(&fake, 60_000);
        let record = running.wait().unwrap();
        assert_eq!(record.exit, Exit::Exited { code: 3 });
        assert_eq!(record.log.iter().map(|l| l.text.as_str()).collect::<Vec<_>>(), ["hello"]);
        assert!(running.has_ended());
    }

    #[test]
    fn the_engine_is_reached_over_loopback_and_can_be_stopped() {
        let fake = Fake::new(|stage| {
            let port: u16 = 0;
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
            stage.log(Stream::Stdout, &listener.local_addr().unwrap().to_string());
            let (mut peer, _) = listener.accept().unwrap();
            peer.write_all(stage.env("A").unwrap().as_bytes()).unwrap();
            drop(peer);
            stage.wait_for_stop(Duration::from_secs(60));
            Exit::Exited { code: 0 }
        });
        let (lines, line) = std::sync::mpsc::channel();
        let session = fake.open("x").unwrap();
        let sink: LogSink = Arc::new(move |l| lines.send(l.text).unwrap());
        let running = session.start(&Rootfs { lower: Vec::new() }, &spec(60_000), sink).unwrap();
        let addr: SocketAddr = line.recv().unwrap().parse().unwrap();
        let mut answer = String::new();
        session.connect(addr, Duration::from_secs(5)).unwrap().read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "2");
        running.stop();
        assert_eq!(running.wait().unwrap().exit, Exit::Stopped);
    }

    #[test]
    fn the_deadline_ends_an_engine_that_does_not() {
        let fake = Fake::new(|stage| {
            stage.wait_for_stop(Duration::from_secs(60));
            Exit::Exited { code: 0 }
        });
        let (_session, running) = start(&fake, 1);
        let record = running.wait().unwrap();
        assert_eq!(record.exit, Exit::TimedOut);
        assert_eq!(record.limits_hit[0].limit, "wall_ms");
    }
}
