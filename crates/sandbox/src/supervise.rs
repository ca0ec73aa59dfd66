//! The server's side of one run: starts the helper, keeps the clock, kills, reads what was used, writes the record.
//!
//! Each run has a thread of its own that stays until everything of the run is gone. The kernel kills the helper when the thread that started it ends,
//! so that thread must be nobody else's.

use std::{
    io::{self, ErrorKind, PipeReader, Read, Write},
    os::{
        fd::OwnedFd,
        unix::{net::UnixStream, process::CommandExt},
    },
    panic::{self, AssertUnwindSafe},
    process::{Child, Command, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use model::run::{Exit, InjectedFile, LimitHit, Limits, RunRecord, Stream};

use crate::{
    Error, Running,
    cgroup::{Group, Usage},
    local::Helper,
    log::{Kept, LogBook},
    network::Recorder,
    protocol::{Description, End, KILL, MAX_LINE, Report, STOP},
};

/// Until the engine's program runs; only mounts are made in this time.
const SETUP: Duration = Duration::from_secs(60);
/// From the kill of everything to the helper's last word.
const LAST_WORD: Duration = Duration::from_secs(15);

/// Everything needed to make a run.
pub(crate) struct Order {
    pub(crate) helper: Helper,
    pub(crate) description: Description,
    pub(crate) files: Vec<InjectedFile>,
    pub(crate) limits: Limits,
    pub(crate) group: Group,
    pub(crate) book: LogBook,
    pub(crate) network: Arc<Recorder>,
    /// What cannot be recorded, each a sentence.
    pub(crate) not_recorded: Vec<String>,
    /// And what else must be known of this record; it is not for whoever reads the log.
    pub(crate) besides: Vec<String>,
}

/// A run in progress or over.
pub(crate) struct Run {
    control: UnixStream,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    ended: bool,
    outcome: Option<Result<RunRecord, Broken>>,
}

/// Our own failures, told again to everybody who waits.
#[derive(Clone)]
enum Broken {
    Failed { step: String, message: String },
    Gone(String),
}

impl From<Broken> for Error {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Failed { step, message } => Self::Helper { step, message },
            Broken::Gone(how) => Self::HelperGone(how),
        }
    }
}

/// Starts a run and waits until its program runs, or is known not to.
pub(crate) fn begin(order: Order) -> Result<Arc<Run>, Error> {
    let system = |action| move |source| Error::System { action, source };
    let (ours, theirs) = UnixStream::pair().map_err(system("make a socket"))?;
    let control = ours.try_clone().map_err(system("make a socket"))?;
    let run = Arc::new(Run { control, state: Mutex::default(), changed: Condvar::new() });
    let (started, wait_for_start) = mpsc::channel();
    let supervised = run.clone();
    let thread = thread::Builder::new().name("sandbox-run".to_owned());
    let spawned = thread.spawn(move || {
        let supervise = || Supervisor::supervise(&supervised, order, ours, theirs, &started);
        // A subscriber of the log may panic in here; whoever waits must hear of the end all the same.
        let outcome = panic::catch_unwind(AssertUnwindSafe(supervise));
        supervised.finish(outcome.unwrap_or_else(|_| Err(Broken::Gone("its supervisor panicked".to_owned()))));
    });
    spawned.map_err(system("start a thread"))?;
    // The sender is dropped without a word only if the run is over, and then its outcome says why.
    match wait_for_start.recv() {
        Ok(()) => Ok(run),
        Err(_) => run.outcome().map(|_| run).map_err(Error::from),
    }
}

impl Run {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn finish(&self, outcome: Result<RunRecord, Broken>) {
        let mut state = self.lock();
        state.ended = true;
        state.outcome = Some(outcome);
        self.changed.notify_all();
    }

    /// Blocks until everything of the run is gone.
    fn outcome(&self) -> Result<RunRecord, Broken> {
        let mut state = self.lock();
        loop {
            if let Some(outcome) = &state.outcome {
                return outcome.clone();
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn ask(&self, word: u8) {
        if !self.lock().ended {
            // A helper that is gone has taken the engine with it.
            let _ = (&self.control).write_all(&[word]);
        }
    }

    /// Kills what still runs and waits until it is gone.
    pub(crate) fn end(&self) {
        self.ask(KILL);
        let _ = self.outcome();
    }

    /// Nothing of it is left.
    pub(crate) fn is_over(&self) -> bool {
        self.lock().outcome.is_some()
    }
}

/// The handle that is given out.
pub(crate) struct Handle(pub(crate) Arc<Run>);

impl Running for Handle {
    fn stop(&self) {
        self.0.ask(STOP);
    }

    fn has_ended(&self) -> bool {
        self.0.lock().ended
    }

    fn wait(&self) -> Result<RunRecord, Error> {
        self.0.outcome().map_err(Error::from)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.end();
    }
}

struct Supervisor<'a> {
    run: &'a Run,
    reports: Reports,
    group: &'a Group,
    book: Arc<LogBook>,
    network: Arc<Recorder>,
    not_recorded: Vec<String>,
    limits: Limits,
    started: &'a mpsc::Sender<()>,
    began: Option<Instant>,
    /// What making the container had cost by then.
    before: Usage,
    ran_for: Duration,
    /// Forks refused when the time was over; the kill itself makes more.
    refused_in_time: Option<u64>,
    timed_out: bool,
}

impl<'a> Supervisor<'a> {
    fn supervise(
        run: &'a Run,
        order: Order,
        ours: UnixStream,
        theirs: UnixStream,
        started: &'a mpsc::Sender<()>,
    ) -> Result<RunRecord, Broken> {
        let Order { helper, description, files, limits, group, book, network, mut not_recorded, besides } = order;
        let book = Arc::new(book);
        not_recorded.iter().for_each(|sentence| book.gate(sentence.clone()));
        not_recorded.extend(besides);
        let gone = |error: io::Error| Broken::Gone(error.to_string());
        spawn(&helper, theirs, &book).map_err(gone).and_then(|(child, readers)| {
            let sent = send(&ours, &description, &files);
            drop((description, files));
            let reports = Reports { from: ours, held: Vec::new() };
            let mut supervisor = Supervisor {
                run,
                reports,
                group: &group,
                book: book.clone(),
                network,
                not_recorded,
                limits,
                started,
                began: None,
                before: Usage::default(),
                ran_for: Duration::ZERO,
                refused_in_time: None,
                timed_out: false,
            };
            // What went wrong with the description is better known to the helper, if it still speaks.
            let ended = supervisor.listen().map_err(|broken| match (broken, sent) {
                (Broken::Gone(_), Err(error)) => gone(error),
                (broken, _) => broken,
            });
            supervisor.run.lock().ended = true;
            let emptied = group.kill();
            let how = bury(child);
            readers.into_iter().for_each(|reader| drop(reader.join()));
            match ended {
                Ok(end) => Ok(supervisor.record(end, emptied)),
                Err(Broken::Gone(said)) if said.is_empty() => Err(Broken::Gone(how)),
                Err(broken) => Err(broken),
            }
        })
    }

    /// Follows the helper's reports to the end of the first process, keeping the clock.
    fn listen(&mut self) -> Result<End, Broken> {
        let mut deadline = Instant::now() + SETUP;
        loop {
            match self.reports.next(deadline) {
                Ok(Some(Report::Started)) => {
                    let now = Instant::now();
                    self.began = Some(now);
                    self.before = self.group.usage();
                    self.network.started();
                    deadline = now + Duration::from_millis(self.limits.wall_ms);
                    let _ = self.started.send(());
                }
                Ok(Some(Report::Fault { message })) => self.book.gate(message),
                Ok(Some(Report::Failed { step, message })) => return Err(Broken::Failed { step, message }),
                Ok(Some(Report::Ended(end))) => {
                    self.ran_for = self.began.map_or(Duration::ZERO, |began| began.elapsed());
                    return Ok(end);
                }
                Ok(None) => return Err(Broken::Gone(String::new())),
                Err(error) if error.kind() == ErrorKind::TimedOut => {
                    if self.began.is_none() || self.timed_out {
                        let message = "it did not answer in time".to_owned();
                        return Err(Broken::Failed { step: "wait for the helper".to_owned(), message });
                    }
                    self.timed_out = true;
                    self.refused_in_time = Some(self.group.usage().forks_refused);
                    deadline = Instant::now() + LAST_WORD;
                    self.group.kill();
                }
                Err(error) => return Err(Broken::Gone(error.to_string())),
            }
        }
    }

    fn record(&self, end: End, emptied: bool) -> RunRecord {
        let usage = self.group.usage().computing_since(&self.before);
        let limits = &self.limits;
        let wall_ms = crate::millis(self.ran_for);
        let mut limits_hit = Vec::new();
        let mut hit = |name: &str, allowed: u64, peak: u64| limits_hit.push(LimitHit { limit: name.to_owned(), allowed, peak });
        if usage.oom_kills > 0 {
            hit("memory_bytes", limits.memory_bytes, usage.memory_peak);
            self.book.gate(out_of_memory(limits, end.written.bytes));
        }
        if self.refused_in_time.unwrap_or(usage.forks_refused) > 0 {
            hit("pids", u64::from(limits.pids), usage.pids_peak.unwrap_or(u64::from(limits.pids)));
        }
        if end.written.is_full {
            hit("writable_bytes", limits.writable_bytes, end.written.bytes);
        }
        if end.written.has_max_files {
            hit("files", limits.files, end.written.files);
        }
        // The first process itself gets an error instead; a shell passes on what became of its child.
        if end.signal == Some(libc::SIGXFSZ) || end.code == Some(128 + libc::SIGXFSZ) {
            hit("file_bytes", limits.file_bytes, limits.file_bytes);
        }
        if self.timed_out {
            hit("wall_ms", limits.wall_ms, wall_ms);
        }
        if !emptied {
            self.book.gate("some processes of the engine could not be ended yet; they are stuck in the kernel".to_owned());
        }
        let exit = self.exit(&end, usage.oom_kills);
        let Kept { lines, truncated, limits_hit: log_limits } = self.book.take();
        limits_hit.extend(log_limits);
        RunRecord {
            exit,
            wall_ms,
            cpu_ms: usage.cpu_ms,
            cpu_user_ms: usage.cpu_user_ms,
            cpu_system_ms: usage.cpu_system_ms,
            peak_memory_bytes: usage.memory_peak,
            peak_pids: usage.pids_peak,
            transferred: end.transferred,
            files_written: end.files,
            log: lines,
            log_truncated: truncated,
            limits_hit,
            denied: end.denied,
            deaf_to_sigterm: end.deaf,
            network: Some(self.network.finish()),
            not_recorded: self.not_recorded.clone(),
        }
    }

    fn exit(&self, end: &End, oom_kills: u64) -> Exit {
        let killed = end.signal == Some(libc::SIGKILL);
        match (end.code, end.signal) {
            _ if self.timed_out => Exit::TimedOut,
            _ if end.stopped => Exit::Stopped,
            _ if killed && oom_kills > 0 => Exit::OutOfMemory,
            (Some(code), _) => Exit::Exited { code },
            (None, signal) => Exit::Signaled { signal: signal.unwrap_or(libc::SIGKILL) },
        }
    }
}

fn out_of_memory(limits: &Limits, written: u64) -> String {
    let megabytes = |bytes: u64| bytes.div_ceil(1 << 20);
    let files = if written > limits.memory_bytes / 8 {
        format!("; {} MiB of it were files it wrote, which are kept in memory", megabytes(written))
    } else {
        String::new()
    };
    format!("the engine ran out of memory: it may use {} MiB{files}", megabytes(limits.memory_bytes))
}

type Readers = Vec<JoinHandle<()>>;

/// Starts the helper and the threads that read the engine's output.
fn spawn(helper: &Helper, control: UnixStream, book: &Arc<LogBook>) -> io::Result<(Child, Readers)> {
    let (stdout, stdout_writer) = io::pipe()?;
    let (stderr, stderr_writer) = io::pipe()?;
    let mut command = Command::new(&helper.program);
    // A group of its own: an interrupt typed at a terminal is the server's to decide about.
    command.args(&helper.args).env_clear().process_group(0);
    command.stdin(Stdio::from(OwnedFd::from(control))).stdout(stdout_writer).stderr(stderr_writer);
    let child = command.spawn()?;
    // The command holds our copies of what the helper writes to.
    drop(command);
    let read = |stream: Stream, pipe: PipeReader| {
        let book = book.clone();
        thread::Builder::new().name("sandbox-log".to_owned()).spawn(move || book.drain(stream, pipe))
    };
    Ok((child, vec![read(Stream::Stdout, stdout)?, read(Stream::Stderr, stderr)?]))
}

fn send(mut to: &UnixStream, description: &Description, files: &[InjectedFile]) -> io::Result<()> {
    to.set_write_timeout(Some(SETUP))?;
    let mut line = serde_json::to_vec(description)?;
    line.push(b'\n');
    to.write_all(&line)?;
    files.iter().try_for_each(|file| to.write_all(&file.bytes))
}

/// Collects the helper's remains; it has nothing more to do once it has spoken its last word or everything it holds is dead.
fn bury(mut child: Child) -> String {
    let deadline = Instant::now() + Duration::from_secs(2);
    let mut pause = Duration::from_micros(200);
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return status.to_string(),
            Ok(None) if Instant::now() < deadline => thread::sleep(pause),
            _ => {
                let _ = child.kill();
                return child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
            }
        }
        pause = (pause * 2).min(Duration::from_millis(10));
    }
}

/// The helper's reports, each a line.
struct Reports {
    from: UnixStream,
    held: Vec<u8>,
}

impl Reports {
    /// The next report; `None` when the helper is gone.
    fn next(&mut self, deadline: Instant) -> io::Result<Option<Report>> {
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.held) {
                let line: Vec<u8> = self.held.drain(..=end).collect();
                return Ok(Some(serde_json::from_slice(&line)?));
            }
            if self.held.len() as u64 > MAX_LINE {
                return Err(ErrorKind::InvalidData.into());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ErrorKind::TimedOut.into());
            }
            self.from.set_read_timeout(Some(left))?;
            let mut chunk = [0; 4096];
            match self.from.read(&mut chunk) {
                Ok(0) => return Ok(None),
                Ok(read) => self.held.extend_from_slice(&chunk[..read]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted | ErrorKind::TimedOut) => {}
                Err(error) => return Err(error),
            }
        }
    }
}
