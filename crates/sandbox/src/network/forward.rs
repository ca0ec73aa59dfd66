//! Connections that may pass. The engine's packets are given the address of a listener of ours inside, so the kernel speaks TCP on both sides; from the
//! listener's stream the bytes are copied to a connection that this host made.
//!
//! Ports of the gate's address inside stand for connections, as the ports of a home router do.

use std::{
    collections::HashMap,
    io::{self, Read, Write},
    net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use super::build::{GATE_V4, GATE_V6, SELF_V4, SELF_V6};
use crate::wire::tls::{Greeting, greeting};

/// Where the listener is. No engine wants to listen on the lowest of all ports.
const DOOR: u16 = 1;
/// Connections at one time; each has two threads and two buffers.
const MOST_OPEN: usize = 128;
/// Connections that are over and whose last packets may still be on their way.
const MOST_KEPT: usize = 4096;
const BUFFER: usize = 128 << 10;
const STACK: usize = 128 << 10;

/// A connection as the engine sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Ends {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
}

/// Opens the listener on one address; call it inside.
pub(super) fn door(address: IpAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind((address, DOOR))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// The door that belongs to an address of this version, and the address of the gate.
fn door_and_gate(like: SocketAddr) -> (SocketAddr, IpAddr) {
    if like.is_ipv4() {
        (SocketAddr::new(SELF_V4.into(), DOOR), GATE_V4.into())
    } else {
        (SocketAddr::new(SELF_V6.into(), DOOR), GATE_V6.into())
    }
}

/// What passes through a connection.
#[derive(Debug, Default)]
pub(super) struct Passed {
    pub(super) sent: AtomicU64,
    pub(super) received: AtomicU64,
}

#[derive(Debug)]
enum Phase {
    /// The host is connecting; the engine waits.
    Connecting,
    /// The listener will hand over the engine's side; the host's side is there.
    Connected { upstream: Arc<TcpStream> },
    /// Bytes are copied.
    Open { upstream: Arc<TcpStream>, client: Arc<TcpStream>, sending: bool },
    /// Both sides are done; last packets may follow.
    Over,
}

impl Phase {
    fn is_over(&self) -> bool {
        matches!(self, Self::Over)
    }
}

#[derive(Debug)]
struct Flow {
    ends: Ends,
    phase: Phase,
    /// Number of its event.
    event: Option<usize>,
    passed: Arc<Passed>,
}

/// Everything needed to copy.
pub(super) struct Pair {
    pub(super) port: u16,
    pub(super) client: Arc<TcpStream>,
    pub(super) upstream: Arc<TcpStream>,
    pub(super) passed: Arc<Passed>,
    pub(super) event: Option<usize>,
}

/// All connections of a run.
#[derive(Debug, Default)]
pub(super) struct Flows {
    ports: HashMap<Ends, u16>,
    flows: HashMap<u16, Flow>,
    last: u16,
    /// Those that are not over.
    open: usize,
}

/// What to do with a packet of the engine.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// It belongs to a connection: give it these addresses.
    Readdress { source: SocketAddr, target: SocketAddr },
    /// It belongs to a connection that is still being made.
    Wait,
    /// It belongs to none.
    Unknown,
}

impl Flows {
    /// Where a packet goes. A packet that `opens` a connection in place of one that is over belongs to none.
    pub(super) fn way(&mut self, ends: Ends, opens: bool) -> Way {
        let (door, gate) = door_and_gate(ends.from);
        if ends.from == door && ends.to.ip() == gate {
            let flow = self.flows.get(&ends.to.port());
            return flow.map_or(Way::Unknown, |flow| Way::Readdress { source: flow.ends.to, target: flow.ends.from });
        }
        let Some(port) = self.ports.get(&ends).copied() else { return Way::Unknown };
        match self.flows.get(&port).map(|flow| &flow.phase) {
            Some(Phase::Connecting) => Way::Wait,
            Some(Phase::Over) if opens => {
                self.forget(port);
                Way::Unknown
            }
            Some(_) => Way::Readdress { source: SocketAddr::new(gate, port), target: door },
            None => Way::Unknown,
        }
    }

    /// Takes a connection on; `None` when there are too many.
    pub(super) fn take_on(&mut self, ends: Ends) -> Option<u16> {
        if self.open >= MOST_OPEN {
            return None;
        }
        if self.flows.len() >= MOST_KEPT {
            let over: Vec<u16> = self.flows.iter().filter(|(_, flow)| flow.phase.is_over()).map(|(port, _)| *port).collect();
            over.into_iter().for_each(|port| self.forget(port));
        }
        self.last = (1..=u16::MAX).map(|step| self.last.wrapping_add(step)).find(|port| *port != 0 && !self.flows.contains_key(port))?;
        self.open += 1;
        self.ports.insert(ends, self.last);
        self.flows.insert(self.last, Flow { ends, phase: Phase::Connecting, event: None, passed: Arc::default() });
        Some(self.last)
    }

    /// A connection that came to nothing.
    pub(super) fn forget(&mut self, port: u16) {
        if let Some(flow) = self.flows.remove(&port) {
            self.ports.remove(&flow.ends);
            self.open -= usize::from(!flow.phase.is_over());
        }
    }

    /// The host's side is there. Returns the new addresses of the packet that opens the engine's side.
    pub(super) fn connected(&mut self, port: u16, upstream: TcpStream, event: Option<usize>) -> Option<(SocketAddr, SocketAddr)> {
        let flow = self.flows.get_mut(&port)?;
        flow.phase = Phase::Connected { upstream: Arc::new(upstream) };
        flow.event = event;
        let (door, gate) = door_and_gate(flow.ends.from);
        Some((SocketAddr::new(gate, port), door))
    }

    /// The listener's stream from this peer. A peer that is not the gate is the engine itself, which has no business here.
    pub(super) fn opened(&mut self, client: TcpStream, peer: SocketAddr) -> Option<Pair> {
        let (_, gate) = door_and_gate(peer);
        let flow = self.flows.get_mut(&peer.port()).filter(|_| peer.ip() == gate)?;
        let Phase::Connected { upstream } = &flow.phase else { return None };
        let (client, upstream) = (Arc::new(client), upstream.clone());
        flow.phase = Phase::Open { upstream: upstream.clone(), client: client.clone(), sending: true };
        Some(Pair { port: peer.port(), client, upstream, passed: flow.passed.clone(), event: flow.event })
    }

    /// The engine will send no more.
    pub(super) fn sent_all(&mut self, port: u16) {
        if let Some(Flow { phase: Phase::Open { sending, .. }, .. }) = self.flows.get_mut(&port) {
            *sending = false;
        }
    }

    /// Both sides are done. Returns the event and what passed, the first time.
    pub(super) fn over(&mut self, port: u16) -> Option<(usize, u64, u64)> {
        let flow = self.flows.get_mut(&port)?;
        match std::mem::replace(&mut flow.phase, Phase::Over) {
            Phase::Over => None,
            _ => {
                self.open -= 1;
                Some((flow.event?, flow.passed.sent.load(Ordering::Relaxed), flow.passed.received.load(Ordering::Relaxed)))
            }
        }
    }

    /// Some connection still has something to send.
    pub(super) fn is_sending(&self) -> bool {
        self.flows.values().any(|flow| matches!(flow.phase, Phase::Open { sending: true, .. }))
    }

    /// Breaks everything off, and says what had passed.
    pub(super) fn cut(&mut self) -> Vec<(usize, u64, u64)> {
        for flow in self.flows.values() {
            let (upstream, client) = match &flow.phase {
                Phase::Open { upstream, client, .. } => (Some(upstream), Some(client)),
                Phase::Connected { upstream } => (Some(upstream), None),
                Phase::Connecting | Phase::Over => (None, None),
            };
            for stream in upstream.into_iter().chain(client) {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
        let ports: Vec<u16> = self.flows.keys().copied().collect();
        let passed = ports.into_iter().filter_map(|port| self.over(port)).collect();
        *self = Self { last: self.last, ..Self::default() };
        passed
    }
}

/// Copies both ways until both sides are done. `named` hears the name a TLS client asks for, `sent_all` when the engine has sent everything.
pub(super) fn copy_both(pair: &Pair, named: impl FnOnce(String) + Send, sent_all: impl FnOnce() + Send) {
    let Pair { client, upstream, passed, .. } = pair;
    for stream in [client, upstream] {
        let _ = stream.set_nodelay(true);
    }
    thread::scope(|scope| {
        let sender = thread::Builder::new().name("sandbox-send".to_owned()).stack_size(STACK).spawn_scoped(scope, move || {
            let mut beginning = Beginning { bytes: Vec::new(), named: Some(named) };
            copy(client, upstream, &passed.sent, |bytes| beginning.hear(bytes));
            sent_all();
        });
        if sender.is_ok() {
            copy(upstream, client, &passed.received, |_| ());
        } else {
            let _ = client.shutdown(Shutdown::Both);
            let _ = upstream.shutdown(Shutdown::Both);
        }
    });
}

/// Copies one way. Whatever ends it, the receiver hears of the end, and a receiver that is gone ends the sender.
fn copy(mut from: &TcpStream, mut to: &TcpStream, count: &AtomicU64, mut heard: impl FnMut(&[u8])) {
    let mut buffer = vec![0; BUFFER];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => {
                let bytes = &buffer[..read];
                heard(bytes);
                if to.write_all(bytes).is_err() {
                    let _ = from.shutdown(Shutdown::Both);
                    break;
                }
                count.fetch_add(read as u64, Ordering::Relaxed);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => {
                let _ = to.shutdown(Shutdown::Both);
                break;
            }
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

/// The first bytes of a connection, until they have said whom they are for.
struct Beginning<F> {
    bytes: Vec<u8>,
    named: Option<F>,
}

impl<F: FnOnce(String)> Beginning<F> {
    fn hear(&mut self, bytes: &[u8]) {
        if self.named.is_none() {
            return;
        }
        self.bytes.extend_from_slice(bytes);
        match greeting(&self.bytes) {
            Greeting::Incomplete => return,
            Greeting::For(name) => {
                if let Some(named) = self.named.take() {
                    named(name);
                }
            }
            Greeting::Nameless => {}
        }
        *self = Self { bytes: Vec::new(), named: None };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(from: u16) -> Ends {
        Ends { from: SocketAddr::new(SELF_V4.into(), from), to: SocketAddr::from(([198, 18, 0, 1], 443)) }
    }

    #[test]
    fn packets_find_their_way_and_back() {
        let mut flows = Flows::default();
        assert_eq!(flows.way(ends(40000), true), Way::Unknown);
        let port = flows.take_on(ends(40000)).unwrap();
        assert_eq!(flows.way(ends(40000), true), Way::Wait);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = || TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (gate, door) = flows.connected(port, stream(), Some(0)).unwrap();
        assert_eq!((gate, door), (SocketAddr::new(GATE_V4.into(), port), SocketAddr::new(SELF_V4.into(), DOOR)));
        assert_eq!(flows.way(ends(40000), false), Way::Readdress { source: gate, target: door });
        assert_eq!(flows.way(Ends { from: door, to: gate }, false), Way::Readdress { source: ends(40000).to, target: ends(40000).from });
        assert!(flows.opened(stream(), SocketAddr::new(SELF_V4.into(), port)).is_none(), "the engine is not the gate");
        assert!(flows.opened(stream(), gate).is_some() && flows.opened(stream(), gate).is_none());
        assert!(flows.is_sending());
        flows.sent_all(port);
        assert!(!flows.is_sending());
        assert_eq!((flows.over(port), flows.over(port)), (Some((0, 0, 0)), None));
        assert_eq!(flows.way(ends(40000), false), Way::Readdress { source: gate, target: door }, "last packets");
        assert_eq!(flows.way(ends(40000), true), Way::Unknown, "a new connection");
        assert_eq!(flows.way(Ends { from: door, to: gate }, false), Way::Unknown);
    }

    #[test]
    fn connections_are_not_without_end() {
        let mut flows = Flows::default();
        let ports: Vec<u16> = (1..=MOST_OPEN as u16).map(|from| flows.take_on(ends(from)).unwrap()).collect();
        assert_eq!(flows.take_on(ends(5000)), None);
        ports.into_iter().for_each(|port| assert!(flows.over(port).is_none(), "it never had an event"));
        for from in 1..=u16::MAX {
            let port = flows.take_on(ends(from)).unwrap();
            flows.over(port);
        }
        assert!(flows.flows.len() <= MOST_KEPT && flows.ports.len() <= MOST_KEPT, "{}", flows.flows.len());
        flows.cut();
        assert!(flows.flows.is_empty() && flows.ports.is_empty());
    }

    #[test]
    fn bytes_are_copied_counted_and_their_end_is_passed_on() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let pipe = || {
            let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            (near, listener.accept().unwrap().0)
        };
        let ((engine, client), (upstream, server)) = (pipe(), pipe());
        let passed = Arc::<Passed>::default();
        let pair = Pair { port: 1, client: Arc::new(client), upstream: Arc::new(upstream), passed: passed.clone(), event: None };
        let copying = thread::spawn(move || {
            let (mut name, mut done) = (None, false);
            copy_both(&pair, |said| name = Some(said), || done = true);
            (name, done)
        });
        (&engine).write_all(b"ping").unwrap();
        engine.shutdown(Shutdown::Write).unwrap();
        let mut asked = String::new();
        (&server).read_to_string(&mut asked).unwrap();
        (&server).write_all(b"pong!").unwrap();
        drop(server);
        let mut answer = String::new();
        (&engine).read_to_string(&mut answer).unwrap();
        assert_eq!((asked.as_str(), answer.as_str(), copying.join().unwrap()), ("ping", "pong!", (None, true)));
        assert_eq!((passed.sent.load(Ordering::Relaxed), passed.received.load(Ordering::Relaxed)), (4, 5));
    }
}
