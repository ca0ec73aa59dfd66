//! The run's own network.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    sync::mpsc,
    time::Duration,
};

use sandbox::{Error, Running};

use crate::support::{Bench, assert_ok, of, quiet, script_spec, stdout};
use model::run::Stream;

const SECONDS: Duration = Duration::from_secs(10);

#[test]
fn there_is_no_way_out() {
    let record = Bench::new()
        .sh("for a in 192.0.2.1 8.8.8.8 169.254.169.254; do nc -w 30 $a 80 </dev/null; done; nc -w 30 2001:db8::1 80 </dev/null; exit 0");
    let errors = of(&record, Stream::Stderr);
    assert_eq!(errors.iter().filter(|line| line.contains("refused")).count(), 4, "{errors:?}");
    assert!(record.wall_ms < 20_000, "refused at once, not after a timeout: {} ms", record.wall_ms);
}

#[test]
fn the_engine_reaches_a_listener_of_ours_that_the_host_does_not_have() {
    let bench = Bench::new();
    let session = bench.open("test");
    let listener = session.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    assert_eq!(TcpStream::connect(address).unwrap_err().kind(), ErrorKind::ConnectionRefused, "the host's loopback is another one");
    let running = session.start(&bench.rootfs(), &script_spec(&format!("echo ping | nc 127.0.0.1 {}", address.port())), quiet()).unwrap();
    listener.set_nonblocking(false).unwrap();
    let (mut peer, from) = listener.accept().unwrap();
    assert!(from.ip().is_loopback());
    peer.set_read_timeout(Some(SECONDS)).unwrap();
    let mut said = [0; 5];
    peer.read_exact(&mut said).unwrap();
    peer.write_all(b"pong\n").unwrap();
    drop(peer);
    let record = running.wait().unwrap();
    assert_eq!((&said, stdout(&record)), (b"ping\n", vec!["pong"]));
}

#[test]
fn we_reach_a_server_inside_on_any_port_and_two_runs_do_not_meet() {
    let bench = Bench::new();
    let (session, other) = (bench.open("one"), bench.open("two"));
    let refused = session.connect(SocketAddr::from((Ipv4Addr::LOCALHOST, 80)), SECONDS).unwrap_err();
    assert!(matches!(refused, Error::Connect { ref source, .. } if source.kind() == ErrorKind::ConnectionRefused), "{refused}");
    let (send, lines) = mpsc::channel();
    let spec = script_spec("echo listening; echo hello | nc -l -p 80");
    let running = session.start(&bench.rootfs(), &spec, std::sync::Arc::new(move |line| send.send(line.text).unwrap())).unwrap();
    assert_eq!(lines.recv_timeout(SECONDS).unwrap(), "listening");
    let mut peer = until_connected(&*session, &*running, 80);
    assert!(other.connect(SocketAddr::from((Ipv4Addr::LOCALHOST, 80)), SECONDS).is_err());
    peer.set_read_timeout(Some(SECONDS)).unwrap();
    // Before the end of ours: nc leaves when it hears that, whether the other side of its pipe has said hello yet or not.
    let mut said = [0; 6];
    peer.read_exact(&mut said).unwrap();
    assert_eq!(&said, b"hello\n");
    peer.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(peer.read(&mut said).unwrap(), 0);
    assert_ok(&running.wait().unwrap());
}

/// The line was written before the port was open.
fn until_connected(session: &dyn sandbox::Session, running: &dyn Running, port: u16) -> TcpStream {
    loop {
        match session.connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), SECONDS) {
            Ok(stream) => return stream,
            Err(error) => assert!(!running.has_ended(), "{error}"),
        }
    }
}

#[test]
fn a_port_is_given_once() {
    let session = Bench::new().open("test");
    let first = session.listen(8080).unwrap();
    assert!(session.listen(8080).is_err());
    assert_eq!(first.local_addr().unwrap(), SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)));
}
