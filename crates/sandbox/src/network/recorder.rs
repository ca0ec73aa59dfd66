//! Reads every packet that leaves a run's network, writes down what was tried, and answers at once.

use std::{
    fs::File,
    io::{self, Read, Write},
    net::{IpAddr, SocketAddr, TcpListener},
    os::fd::{AsFd, OwnedFd},
    path::PathBuf,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak,
        mpsc::{self, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use model::network::{Decision, HostRule, NetworkPolicy, NetworkRecord, Process};
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};

use super::{
    forward::{Ends, Flows, Pair, Way, copy_both},
    journal::{Attempt, Journal},
    names::Names,
    outside::Outside,
    process,
    resolver::{DNS, about_itself, is_resolver},
};
use crate::wire::{
    dns,
    packet::{Content, Packet, Segment, TCP, UDP, is_kernel_noise, joined_groups, parse, protocol_name},
    reply,
};

/// The longest packet there can be, and a bit.
const PACKET: usize = 65_600;
/// For threads that only wait and copy.
const STACK: usize = 256 << 10;
/// Packets read before anything else has a turn.
const IN_A_ROW: usize = 256;
/// For what is still on its way when the run is over.
const DRAIN: Duration = Duration::from_secs(2);
/// For bytes that an engine left behind to be sent.
const LAST_BYTES: Duration = Duration::from_secs(1);
const MDNS: u16 = 5353;

/// The recorder of one network.
pub(crate) struct Recorder {
    device: File,
    six: bool,
    outside: Outside,
    wake: OwnedFd,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    policy: NetworkPolicy,
    members: Vec<PathBuf>,
    doors: Arc<Vec<TcpListener>>,
    /// To the thread that connects on the host.
    passages: Option<Sender<Passage>>,
    began: Instant,
    names: Names,
    journal: Journal,
    flows: Flows,
    /// How often the device was asked to be read empty, and how often it was.
    asked: u64,
    drained: u64,
    stopped: bool,
}

impl State {
    fn new() -> Self {
        Self {
            policy: NetworkPolicy::Isolated,
            members: Vec::new(),
            doors: Arc::default(),
            passages: None,
            began: Instant::now(),
            names: Names::default(),
            journal: Journal::default(),
            flows: Flows::default(),
            asked: 0,
            drained: 0,
            stopped: false,
        }
    }

    fn note(&mut self, attempt: Attempt, sent: u64, protocol: u8, port: u16) -> Option<usize> {
        let process = self.search(&attempt, protocol, port);
        self.note_of(process, attempt, sent)
    }

    fn note_of(&mut self, process: Option<Process>, attempt: Attempt, sent: u64) -> Option<usize> {
        let now = crate::millis(self.began.elapsed());
        self.journal.note(now, attempt, sent, process)
    }

    /// The process behind an attempt, if it is to be looked for; on the reading thread only, which is inside.
    fn search(&mut self, attempt: &Attempt, protocol: u8, port: u16) -> Option<Process> {
        if self.journal.may_search(attempt) { process::owner(protocol, port, &self.members) } else { None }
    }

    /// The name meant by an address, or the address itself.
    fn host(&self, address: IpAddr) -> (Option<String>, String) {
        let name = self.names.name_of(address).map(str::to_owned);
        let host = name.clone().unwrap_or_else(|| address.to_string());
        (name, host)
    }

    /// What becomes of anything but TCP.
    fn verdict(&self, host: &str) -> Decision {
        match &self.policy {
            NetworkPolicy::Isolated => Decision::Isolated,
            policy if policy.rule_about(host).is_some() => Decision::TcpOnly,
            NetworkPolicy::Declared(_) => Decision::Undeclared,
        }
    }
}

/// A connection that passes, before the host has connected.
struct Passage {
    port: u16,
    host: String,
    attempt: Attempt,
    process: Option<Process>,
    /// The packet that opens it.
    packet: Vec<u8>,
    offset: usize,
}

impl Recorder {
    pub(super) fn new(device: File, six: bool, outside: Outside) -> io::Result<Self> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { device, six, outside, wake, state: Mutex::new(State::new()), changed: Condvar::new() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        // It can only fail when it is full, and then the reader wakes anyhow.
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }

    /// Begins a new record. Without doors nothing passes, whatever the policy. Call it on a thread of the host: what it starts connects from there.
    pub(super) fn begin(self: &Arc<Self>, policy: NetworkPolicy, members: Vec<PathBuf>, doors: Vec<TcpListener>) -> io::Result<()> {
        let passages = if doors.is_empty() { None } else { Some(self.connector()?) };
        let mut state = self.lock();
        let (asked, drained) = (state.asked, state.drained);
        *state = State { policy, members, doors: Arc::new(doors), passages, asked, drained, ..State::new() };
        drop(state);
        self.wake();
        Ok(())
    }

    /// Starts the thread that makes connections on the host, each on one more thread. It ends when nobody can ask it for more.
    fn connector(self: &Arc<Self>) -> io::Result<Sender<Passage>> {
        let (sender, passages) = mpsc::channel::<Passage>();
        let (weak, outside) = (Arc::downgrade(self), self.outside.clone());
        thread::Builder::new().name("sandbox-outside".to_owned()).stack_size(STACK).spawn(move || {
            for passage in passages {
                let (own, outside, port, packet) = (weak.clone(), outside.clone(), passage.port, passage.packet.clone());
                let thread = thread::Builder::new().name("sandbox-connect".to_owned()).stack_size(STACK);
                let spawned = thread.spawn(move || {
                    let connected = outside.connect(&passage.host, passage.attempt.port.unwrap_or_default());
                    // The run may be over by now.
                    let Some(recorder) = own.upgrade() else { return };
                    match connected {
                        Ok(upstream) => recorder.open(passage, upstream),
                        Err(why) => recorder.shut(passage, why),
                    }
                });
                if let (Err(_), Some(recorder)) = (spawned, weak.upgrade()) {
                    recorder.give_up(port, &packet);
                }
            }
        })?;
        Ok(sender)
    }

    /// The engine's program runs from now on; times count from here.
    pub(crate) fn started(&self) {
        self.lock().began = Instant::now();
    }

    /// The run is over: reads what is still there, breaks connections off, and returns the record.
    pub(crate) fn finish(&self) -> NetworkRecord {
        let mut state = self.lock();
        state.asked += 1;
        let wanted = state.asked;
        self.wake();
        let unread = |state: &mut State| state.drained < wanted && !state.stopped;
        state = self.changed.wait_timeout_while(state, DRAIN, unread).unwrap_or_else(PoisonError::into_inner).0;
        state =
            self.changed.wait_timeout_while(state, LAST_BYTES, |state| state.flows.is_sending()).unwrap_or_else(PoisonError::into_inner).0;
        for (event, sent, received) in state.flows.cut() {
            state.journal.passed(event, sent, received);
        }
        (state.doors, state.passages) = (Arc::default(), None);
        let record = state.journal.finish();
        drop(state);
        self.wake();
        record
    }

    /// Ends [`Recorder::read`].
    pub(super) fn stop(&self) {
        let mut state = self.lock();
        state.stopped = true;
        state.flows.cut();
        state.passages = None;
        drop(state);
        self.changed.notify_all();
        self.wake();
    }

    /// Reads and answers until it is stopped.
    pub(super) fn read(self: Arc<Self>) {
        let mut packet = vec![0; PACKET];
        loop {
            let (doors, asked) = {
                let state = self.lock();
                if state.stopped {
                    return;
                }
                (state.doors.clone(), state.asked)
            };
            let empty = self.read_some(&mut packet);
            self.let_in(&doors);
            if empty {
                self.say_drained(asked);
                self.wait(&doors);
            }
        }
    }

    fn say_drained(&self, asked: u64) {
        let mut state = self.lock();
        if state.drained < asked {
            state.drained = asked;
            self.changed.notify_all();
        }
    }

    /// Blocks until there is something to do.
    fn wait(&self, doors: &[TcpListener]) {
        let fds = [self.device.as_fd(), self.wake.as_fd()].into_iter().chain(doors.iter().map(AsFd::as_fd));
        let mut watched: Vec<_> = fds.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
        // Whatever it says, the next round looks at everything.
        let _ = poll(&mut watched, None);
        let _ = rustix::io::read(&self.wake, &mut [0; 8]);
    }

    /// Reads packets, but not for ever; true if there are no more.
    fn read_some(&self, packet: &mut [u8]) -> bool {
        for _ in 0..IN_A_ROW {
            match (&self.device).read(packet) {
                Ok(length) => self.handle(&mut packet[..length]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return true,
            }
        }
        false
    }

    /// A packet that is not taken is as good as lost on the way.
    fn write(&self, packet: Option<Vec<u8>>) {
        if let Some(packet) = packet {
            let _ = (&self.device).write(&packet);
        }
    }

    fn handle(&self, bytes: &mut [u8]) {
        let Some(packet) = parse(bytes) else {
            self.lock().journal.drop_one();
            return;
        };
        match packet.content {
            Content::Tcp(segment) => {
                let ends = Ends { from: SocketAddr::new(packet.source, segment.from), to: SocketAddr::new(packet.target, segment.to) };
                let offset = packet.offset;
                let way = self.lock().flows.way(ends, segment.opens());
                match way {
                    Way::Readdress { source, target } => {
                        if reply::readdress(bytes, offset, source, target).is_some() {
                            let _ = (&self.device).write(bytes);
                        }
                    }
                    Way::Wait => {}
                    Way::Unknown => self.tcp(bytes, &packet, &segment, ends),
                }
            }
            _ if is_kernel_noise(&packet) => {}
            Content::Udp { from, to, payload } => self.udp(bytes, &packet, from, to, payload),
            Content::Control { body, .. } => self.control(bytes, &packet, body.len()),
            Content::Fragment => {}
            Content::Other(inner) => self.other(bytes, &packet, protocol_name(packet.protocol), None, inner.len(), 0),
        }
    }

    /// A connection that is not there yet: only its beginning is an attempt.
    fn tcp(&self, bytes: &[u8], packet: &Packet<'_>, segment: &Segment, ends: Ends) {
        if segment.opens() && !is_resolver(ends.to) {
            let mut state = self.lock();
            let (name, host) = state.host(packet.target);
            let rule = state.policy.rule_for(&host, segment.to).map(HostRule::to_string);
            let decision = match (&rule, &state.policy) {
                (Some(rule), _) => Decision::Declared { rule: rule.clone() },
                (None, NetworkPolicy::Isolated) => Decision::Isolated,
                (None, NetworkPolicy::Declared(_)) => Decision::Undeclared,
            };
            let attempt = Attempt {
                protocol: protocol_name(TCP),
                host: name,
                address: packet.target,
                port: Some(segment.to),
                question: None,
                allowed: rule.is_some(),
                rule: decision,
            };
            if rule.is_none() {
                state.note(attempt, u64::from(segment.length), TCP, segment.from);
            } else if let Some(port) = state.flows.take_on(ends) {
                let process = state.search(&attempt, TCP, segment.from);
                let passage = Passage { port, host, attempt, process, offset: packet.offset, packet: bytes.to_vec() };
                let taken = state.passages.as_ref().is_some_and(|passages| passages.send(passage).is_ok());
                drop(state);
                if !taken {
                    self.give_up(port, bytes);
                }
                return;
            } else {
                state.note(Attempt { allowed: false, rule: Decision::Busy, ..attempt }, 0, TCP, segment.from);
            }
        }
        self.write(reply::refusal(bytes, packet));
    }

    fn udp(&self, bytes: &[u8], packet: &Packet<'_>, from: u16, to: u16, payload: &[u8]) {
        let target = SocketAddr::new(packet.target, to);
        let query = if to == DNS || to == MDNS { dns::parse(payload) } else { None };
        match query {
            Some(query) if is_resolver(target) && packet.protocol == UDP => {
                let answer = self.resolve(&query, packet.target, from);
                self.write(reply::datagram(packet, &answer));
            }
            query => {
                let protocol = match to {
                    DNS => "dns".to_owned(),
                    MDNS => "mdns".to_owned(),
                    _ => protocol_name(packet.protocol),
                };
                let question = query.map(|query| query.words());
                let mut state = self.lock();
                let (host, named) = state.host(packet.target);
                let rule = state.verdict(&named);
                let attempt = Attempt { protocol, host, address: packet.target, port: Some(to), question, allowed: false, rule };
                state.note(attempt, payload.len() as u64, packet.protocol, from);
                drop(state);
                self.write(reply::refusal(bytes, packet));
            }
        }
    }

    /// Answers a question that was asked where it should be asked, with an address that stands for the name.
    fn resolve(&self, query: &dns::Query, resolver: IpAddr, from: u16) -> Vec<u8> {
        if let Some(answer) = about_itself(query) {
            return answer;
        }
        let mut state = self.lock();
        let rule = state.policy.rule_about(&query.name).map(HostRule::to_string);
        let attempt = Attempt {
            protocol: "dns".to_owned(),
            host: Some(query.name.clone()),
            address: resolver,
            port: Some(DNS),
            // The usual question says nothing that the name does not say.
            question: (!matches!(query.kind, dns::A | dns::AAAA)).then(|| query.words()),
            allowed: rule.is_some(),
            rule: match (rule, &state.policy) {
                (Some(rule), _) => Decision::Declared { rule },
                (None, NetworkPolicy::Isolated) => Decision::Isolated,
                (None, NetworkPolicy::Declared(_)) => Decision::Undeclared,
            },
        };
        state.note(attempt, 0, UDP, from);
        if query.kind == dns::PTR {
            return query.refuse(dns::NO_SUCH_NAME);
        }
        match state.names.addresses_of(&query.name) {
            Some((v4, v6)) => query.answer(v4, self.six.then_some(v6)),
            None => query.refuse(dns::REFUSED),
        }
    }

    /// Pings, and groups that are joined.
    fn control(&self, bytes: &[u8], packet: &Packet<'_>, length: usize) {
        let groups = joined_groups(packet);
        if groups.is_empty() {
            return self.other(bytes, packet, protocol_name(packet.protocol), None, length, ping_id(packet));
        }
        for group in groups.into_iter().filter(|group| group.is_multicast()) {
            self.other(bytes, packet, "multicast".to_owned(), Some(group), 0, 0);
        }
    }

    fn other(&self, bytes: &[u8], packet: &Packet<'_>, protocol: String, group: Option<IpAddr>, length: usize, local: u16) {
        let address = group.unwrap_or(packet.target);
        let mut state = self.lock();
        let (host, named) = state.host(address);
        let rule = state.verdict(&named);
        let attempt = Attempt { protocol, host, address, port: None, question: None, allowed: false, rule };
        state.note(attempt, length as u64, packet.protocol, local);
        drop(state);
        self.write(reply::refusal(bytes, packet));
    }

    /// Refuses what could not even be tried.
    fn give_up(&self, port: u16, packet: &[u8]) {
        self.lock().flows.forget(port);
        self.write(parse(packet).and_then(|parsed| reply::refusal(packet, &parsed)));
    }

    fn open(&self, mut passage: Passage, upstream: std::net::TcpStream) {
        let mut state = self.lock();
        let event = state.note_of(passage.process, passage.attempt, 0);
        let addresses = state.flows.connected(passage.port, upstream, event);
        drop(state);
        if let Some((source, target)) = addresses
            && reply::readdress(&mut passage.packet, passage.offset, source, target).is_some()
        {
            self.write(Some(passage.packet));
        }
    }

    fn shut(&self, passage: Passage, why: Decision) {
        let mut state = self.lock();
        state.note_of(passage.process, Attempt { allowed: false, rule: why, ..passage.attempt }, 0);
        drop(state);
        self.give_up(passage.port, &passage.packet);
    }

    /// Takes what arrived at the listeners and begins to copy.
    fn let_in(self: &Arc<Self>, doors: &[TcpListener]) {
        for door in doors {
            while let Ok((client, peer)) = door.accept() {
                let pair = self.lock().flows.opened(client, peer);
                let Some(pair) = pair else { continue };
                let (weak, port) = (Arc::downgrade(self), pair.port);
                let thread = thread::Builder::new().name("sandbox-copy".to_owned()).stack_size(STACK);
                if thread.spawn(move || carry(&weak, &pair)).is_err() {
                    self.over(port);
                }
            }
        }
    }

    fn over(&self, port: u16) {
        let mut state = self.lock();
        if let Some((event, sent, received)) = state.flows.over(port) {
            state.journal.passed(event, sent, received);
        }
        drop(state);
        self.changed.notify_all();
    }
}

/// Copies one connection to its end. The recorder may be gone before.
fn carry(recorder: &Weak<Recorder>, pair: &Pair) {
    let named = |name: String| {
        if let (Some(recorder), Some(event)) = (recorder.upgrade(), pair.event) {
            recorder.lock().journal.name_server(event, name);
        }
    };
    let sent_all = || {
        if let Some(recorder) = recorder.upgrade() {
            recorder.lock().flows.sent_all(pair.port);
            recorder.changed.notify_all();
        }
    };
    copy_both(pair, named, sent_all);
    if let Some(recorder) = recorder.upgrade() {
        recorder.over(pair.port);
    }
}

/// The socket of a ping is known by the number in it.
fn ping_id(packet: &Packet<'_>) -> u16 {
    match packet.content {
        Content::Control { body, .. } => body.first_chunk().map_or(0, |id| u16::from_be_bytes(*id)),
        _ => 0,
    }
}
