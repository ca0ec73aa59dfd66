//! Whatever an isolated engine tries over the network is refused at once and written down, and nothing else is.

use std::{
    collections::BTreeMap,
    net::{IpAddr, TcpListener, UdpSocket},
    process::Command,
};

use model::{
    network::{Decision, NetworkEvent, NetworkRecord},
    run::RunRecord,
};

use crate::support::{Bench, assert_ok, quiet, script_spec, spec, stdout};

/// What the attacking program said about each word.
pub fn said(record: &RunRecord) -> BTreeMap<&str, &str> {
    stdout(record).into_iter().filter_map(|line| line.rsplit_once('=')).collect()
}

pub fn network(record: &RunRecord) -> &NetworkRecord {
    record.network.as_ref().expect("the network is recorded")
}

/// `tcp 192.0.2.1 80`, or `dns name 53 ? question`.
pub fn words(event: &NetworkEvent) -> String {
    let port = event.port.map_or(String::new(), |port| format!(" {port}"));
    // Which of its addresses a program takes is its own business.
    let host = event.host.as_ref().unwrap_or(&event.address);
    let question = event.question.as_ref().map_or(String::new(), |question| format!(" ? {question}"));
    format!("{} {host}{port}{question}", event.protocol)
}

fn attacks(words: &[&str]) -> RunRecord {
    let bench = Bench::new().with_attack();
    let args: Vec<&str> = ["/bin/attack"].iter().chain(words).copied().collect();
    let record = bench.run(&spec(&args));
    assert_ok(&record);
    record
}

/// An attack, what the kernel tells it, and the event it must leave.
const ATTACKS: &[(&str, &str, &str)] = &[
    ("tcp,192.0.2.1:80", "111", "tcp 192.0.2.1 80"),
    ("tcp,[2001:db8::1]:443", "111", "tcp 2001:db8::1 443"),
    ("tcp,169.254.169.254:80", "111", "tcp 169.254.169.254 80"),
    ("tcp,10.1.2.3:22", "111", "tcp 10.1.2.3 22"),
    ("tcp,api.example.com:443", "111", "tcp api.example.com 443"),
    ("udp,9.9.9.9:123", "113", "udp 9.9.9.9 123"),
    ("udp,[2001:db8::9]:443", "13", "udp 2001:db8::9 443"),
    ("udp,224.0.0.251:9", "sent", "udp 224.0.0.251 9"),
    ("udp,255.255.255.255:67", "sent", "udp 255.255.255.255 67"),
    ("dns,8.8.8.8:53,secret.exfil.example", "113", "dns 8.8.8.8 53 ? TXT secret.exfil.example"),
    ("dns,224.0.0.251:5353,printer.local", "sent", "mdns 224.0.0.251 5353 ? TXT printer.local"),
    ("dns,198.19.255.1:53,tunnel.example", "32 bytes", "dns tunnel.example 53 ? TXT tunnel.example"),
    ("join,239.1.2.3", "ok", "multicast 239.1.2.3"),
    ("join,ff02::fb", "ok", "multicast ff02::fb"),
    ("udplite,700", "ok", "udplite 9.9.9.9 700"),
    ("fastopen,8443", "111", "tcp 5.6.7.8 8443"),
    ("linklocal", "13", "udp fe80::1 9"),
];

/// What the kernel does not even let them begin.
const IMPOSSIBLE: &[(&str, &str)] = &[
    ("raw", "1"),
    ("gre", "1"),
    ("io_uring", "38"),
    // AF_PACKET, AF_VSOCK, AF_ALG, AF_XDP, AF_TIPC, AF_BLUETOOTH.
    ("family,17,3", "97"),
    ("family,40,1", "97"),
    ("family,38,5", "97"),
    ("family,44,3", "97"),
    ("family,30,3", "97"),
    ("family,31,3", "97"),
];

#[test]
fn every_attempt_is_refused_at_once_and_written_down() {
    let words_of: Vec<&str> = ATTACKS.iter().map(|(word, ..)| *word).chain(IMPOSSIBLE.iter().map(|(word, _)| *word)).collect();
    let record = attacks(&words_of);
    let said = said(&record);
    let expected = ATTACKS.iter().map(|(word, outcome, _)| (word, outcome)).chain(IMPOSSIBLE.iter().map(|(word, outcome)| (word, outcome)));
    for (word, outcome) in expected {
        assert_eq!(said.get(word), Some(outcome), "{word}: {said:#?}");
    }
    let events = &network(&record).events;
    let seen: Vec<String> = events.iter().map(words).collect();
    for (word, _, event) in ATTACKS {
        assert!(seen.iter().any(|seen| seen == event), "{word} left no {event:?} in {seen:#?}");
    }
    // One more: the question for the name behind one of them.
    assert!(seen.contains(&"dns api.example.com 53".to_owned()), "{seen:#?}");
    assert_eq!(seen.len(), ATTACKS.len() + 1, "{seen:#?}");
    for event in events {
        assert!(!event.allowed && event.rule == Decision::Isolated && event.received == 0, "{event:?}");
    }
}

#[test]
fn the_program_behind_an_attempt_is_named() {
    let record = attacks(&["udplite,7", "tcp,192.0.2.1:80", "udp,9.9.9.9:123", "udp,[2001:db8::9]:443"]);
    for event in &network(&record).events {
        let process = event.process.as_ref().unwrap_or_else(|| panic!("{event:?}"));
        assert_eq!((process.pid, process.name.as_str()), (1, "/bin/attack"), "{event:?}");
    }
}

#[test]
fn a_ping_is_written_down() {
    let record = attacks(&["icmp", "icmp6"]);
    let seen: Vec<String> = network(&record).events.iter().map(words).collect();
    assert_eq!(seen, ["icmp 8.8.4.4", "icmp6 2001:db8::7"], "{record:#?}");
    for word in ["icmp", "icmp6"] {
        assert_eq!(said(&record)[word], "ok");
    }
}

#[test]
fn multipath_connections_are_seen_too() {
    let record = attacks(&["mptcp,444"]);
    // A kernel without it says so; then there is nothing to see.
    match said(&record)["mptcp,444"] {
        "111" => assert_eq!(network(&record).events.iter().map(words).collect::<Vec<_>>(), ["tcp 7.7.7.7 444"]),
        other => assert!(["93", "92", "1"].contains(&other) && network(&record).events.is_empty(), "{other}"),
    }
}

#[test]
fn a_quiet_engine_leaves_no_events() {
    let bench = Bench::new().with_attack();
    let session = bench.open("test");
    let listener = session.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    // Its own machine and what we serve are inside; a listener on all addresses and a group of the kernel's own are no attempts either.
    let script = format!(
        "nc -l -p 8080 & /bin/attack tcp,{address} tcp,localhost:{0} tcp,engine:{0} tcp,198.19.255.2:{0} tcp,[::1]:9; kill $!; sleep 1",
        address.port()
    );
    let record = session.start(&bench.rootfs(), &script_spec(&script), quiet()).unwrap().wait().unwrap();
    assert_ok(&record);
    let said = said(&record);
    assert_eq!(said[format!("tcp,{address}").as_str()], "ok");
    assert_eq!(said[format!("tcp,engine:{}", address.port()).as_str()], "ok");
    assert_eq!(network(&record), &NetworkRecord::default());
}

#[test]
fn the_host_and_other_runs_are_out_of_reach() {
    let doors = [TcpListener::bind("0.0.0.0:0").unwrap(), TcpListener::bind("[::]:0").unwrap()];
    let datagrams = UdpSocket::bind("0.0.0.0:0").unwrap();
    let own = host_addresses();
    assert!(own.iter().any(|ip| ip.is_loopback()));
    let bench = Bench::new().with_attack();
    let neighbour = bench.open("neighbour");
    let listening = neighbour.listen(0).unwrap();
    let mut args = vec!["/bin/attack".to_owned()];
    for ip in own {
        args.extend(doors.iter().map(|door| format!("tcp,{}", std::net::SocketAddr::new(ip, door.local_addr().unwrap().port()))));
    }
    for ip in ["127.0.0.1", "198.19.255.1", "198.19.255.2", "[fd00:5e7:0:1::1]", "[fd00:5e7:0:1::2]"] {
        args.push(format!("tcp,{ip}:{}", listening.local_addr().unwrap().port()));
    }
    args.push(format!("udp,255.255.255.255:{}", datagrams.local_addr().unwrap().port()));
    let session = bench.open("test");
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let record = session.start(&bench.rootfs(), &spec(&words), quiet()).unwrap().wait().unwrap();
    assert_ok(&record);
    let said = said(&record);
    assert_eq!(said.len(), args.len() - 1);
    for (word, outcome) in said {
        let good: &[&str] = if word.starts_with("udp") { &["sent"] } else { &["111"] };
        assert!(good.contains(&outcome), "{word}={outcome}");
    }
    for door in doors {
        door.set_nonblocking(true).unwrap();
        assert_eq!(door.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    }
    assert_eq!(listening.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    datagrams.set_nonblocking(true).unwrap();
    assert_eq!(datagrams.recv(&mut [0; 9]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

fn host_addresses() -> Vec<IpAddr> {
    let output = Command::new("ip").args(["-o", "addr"]).output().expect("this test asks ip: apt-get install iproute2");
    let text = String::from_utf8(output.stdout).unwrap();
    // Addresses of one link need the link's name as well; there is no such link inside.
    let of_line = |line: &str| line.split_whitespace().nth(3)?.split('/').next()?.parse().ok();
    text.lines().filter_map(of_line).filter(|ip: &IpAddr| !ip.to_string().starts_with("fe80")).collect()
}

#[test]
fn a_flood_is_counted_and_not_kept() {
    let record = attacks(&["many,192.0.2.1,800", "many,192.0.2.1,800"]);
    assert_eq!(said(&record)["many,192.0.2.1,800"], "800");
    let NetworkRecord { events, dropped } = network(&record);
    assert_eq!((events.len(), *dropped), (500, 2 * 300));
    assert!(events.iter().all(|event| event.count == 2 && event.at_ms <= event.last_ms), "{:?}", events[0]);
}

#[test]
fn each_run_of_a_session_has_its_own_record() {
    let bench = Bench::new().with_attack();
    let session = bench.open("test");
    for port in [81, 82] {
        let run = spec(&["/bin/attack", &format!("tcp,192.0.2.1:{port}")]);
        let record = session.start(&bench.rootfs(), &run, quiet()).unwrap().wait().unwrap();
        assert_eq!(network(&record).events.iter().map(words).collect::<Vec<_>>(), [format!("tcp 192.0.2.1 {port}")]);
    }
}
