//! Hosts that are declared can be reached, over TCP, by a way on which everything is looked at; nothing else can.

use std::{
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    sync::Arc,
    thread,
};

use model::{
    network::{Decision, HostRule, NetworkEvent, NetworkPolicy},
    run::RunRecord,
};
use sandbox::{Outside, Sandbox, Session, local::Local};

use crate::{
    network_attempts::{network, said, words},
    support::{Bench, assert_ok, helper, host_clocks, quiet, spec},
};

/// A host outside: it reads to the end and says how much it was.
fn counting_host() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                let (mut block, mut total) = (vec![0; 1 << 18], 0);
                while let Ok(read @ 1..) = stream.read(&mut block) {
                    total += read;
                }
                let _ = stream.write_all(format!("got {total}").as_bytes());
            });
        }
    });
    port
}

/// Every name leads to this port of this machine's loopback, whatever port was asked for.
fn leading_to(port: u16) -> Outside {
    Outside::with(move |_, _| Ok(vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port))]), |_| true)
}

/// Runs attacks with hosts declared.
fn run(outside: Outside, calls: &[&str], attacks: &[&str]) -> RunRecord {
    let mut bench = Bench::new().with_attack();
    bench.local = Local::with_outside(bench.dir.path().join("scratch"), helper(), outside).with_host_clocks(host_clocks());
    let args: Vec<&str> = ["/bin/attack"].iter().chain(attacks).copied().collect();
    let mut spec = spec(&args);
    spec.network = NetworkPolicy::Declared(calls.iter().map(|call| HostRule::parse(call).unwrap()).collect());
    let record = bench.run(&spec);
    assert_ok(&record);
    record
}

fn event<'a>(record: &'a RunRecord, wanted: &str) -> &'a NetworkEvent {
    let events = &network(record).events;
    events.iter().find(|event| words(event) == wanted).unwrap_or_else(|| panic!("no {wanted:?} in {events:#?}"))
}

#[test]
fn a_declared_host_is_reached_and_recorded() {
    let record = run(
        leading_to(counting_host()),
        &["api.example.com"],
        &["ask,api.example.com:80,hello", "hello,api.example.com:443,api.example.com"],
    );
    assert_eq!(said(&record)["ask,api.example.com:80,hello"], "got 5");
    let flow = event(&record, "tcp api.example.com 80");
    assert!(flow.allowed && flow.rule == Decision::Declared { rule: "api.example.com".into() }, "{flow:?}");
    assert_eq!((flow.count, flow.sent, flow.received, flow.server_name.as_deref()), (1, 5, 5, None));
    assert_eq!(flow.process.as_ref().map(|process| process.name.as_str()), Some("/bin/attack"));
    let greeted = event(&record, "tcp api.example.com 443");
    assert_eq!((greeted.server_name.as_deref(), greeted.sent > 60), (Some("api.example.com"), true));
    assert!(event(&record, "dns api.example.com 53").allowed);
}

#[test]
fn names_below_a_domain_and_single_ports_are_kept_to() {
    let attacks =
        ["ask,a.b.example.net:80,x", "tcp,example.net:80", "ask,db.example.com:5432,x", "tcp,db.example.com:443", "tcp,evil.example:80"];
    let record = run(leading_to(counting_host()), &["*.example.net", "db.example.com:5432"], &attacks);
    let said = said(&record);
    let outcomes: Vec<&str> = attacks.iter().map(|attack| said[attack]).collect();
    assert_eq!(outcomes, ["got 1", "111", "got 1", "111", "111"]);
    let refused: Vec<String> =
        network(&record).events.iter().filter(|event| !event.allowed && event.protocol == "tcp").map(words).collect();
    assert_eq!(refused, ["tcp example.net 80", "tcp db.example.com 443", "tcp evil.example 80"]);
    assert_eq!(event(&record, "tcp db.example.com 443").rule, Decision::Undeclared);
}

#[test]
fn everything_but_tcp_is_refused_so_that_programs_fall_back() {
    let record = run(leading_to(counting_host()), &["api.example.com"], &["udp,api.example.com:443", "dns,8.8.8.8:53,api.example.com"]);
    // The words of IPv6 and of IPv4.
    assert!(["13", "113"].contains(&said(&record)["udp,api.example.com:443"]), "{record:#?}");
    assert_eq!(event(&record, "udp api.example.com 443").rule, Decision::TcpOnly);
    assert_eq!(event(&record, "dns 8.8.8.8 53 ? TXT api.example.com").rule, Decision::Undeclared);
}

#[test]
fn a_declared_name_that_leads_inside_is_refused() {
    let port = counting_host();
    let attack = format!("tcp,api.example.com:{port}");
    let literals = ["169.254.169.254:80", "127.0.0.1:80", "10.0.0.1:80", "api.example.com"];
    let record = run(leading_to(port).strictly(), &literals, &[&attack, "tcp,169.254.169.254:80", "tcp,10.0.0.1:80"]);
    let said = said(&record);
    assert!(said.len() == 3 && said.values().all(|outcome| *outcome == "111"), "{said:?}");
    for (wanted, address) in [
        (format!("tcp api.example.com {port}"), "127.0.0.1"),
        ("tcp 169.254.169.254 80".to_owned(), "169.254.169.254"),
        ("tcp 10.0.0.1 80".to_owned(), "10.0.0.1"),
    ] {
        let flow = event(&record, &wanted);
        assert!(!flow.allowed && flow.rule == Decision::PrivateAddress { address: address.into() }, "{flow:?}");
    }
}

#[test]
fn a_host_that_does_not_answer_refuses_the_engine_too() {
    // A port nobody listens on: it was free a moment ago.
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let record = run(leading_to(port), &["api.example.com"], &["tcp,api.example.com:443"]);
    assert_eq!(said(&record)["tcp,api.example.com:443"], "111");
    let flow = event(&record, "tcp api.example.com 443");
    assert!(!flow.allowed && matches!(&flow.rule, Decision::Unreachable { reason } if reason.contains("refused")), "{flow:?}");
}

#[test]
fn much_passes_unharmed_and_is_counted() {
    let (bytes, attack) = (50_000_000, "upload,api.example.com:80,50000000");
    let record = run(leading_to(counting_host()), &["api.example.com"], &[attack, attack, attack]);
    assert!(said(&record)[attack].starts_with("got 50000000 "), "{:?}", said(&record));
    let flow = event(&record, "tcp api.example.com 80");
    assert_eq!((flow.count, flow.sent, flow.received), (3, 3 * bytes, 3 * "got 50000000".len() as u64));
}

#[test]
fn the_door_is_not_an_engine_s_to_use() {
    let record =
        run(leading_to(counting_host()), &["api.example.com"], &["ask,198.19.255.2:1,x", "ask,127.0.0.1:1,x", "tcp,198.19.255.1:1"]);
    let said = said(&record);
    assert!(!said.values().any(|outcome| outcome.starts_with("got")), "{said:?}");
    assert_eq!(event(&record, "tcp 198.19.255.1 1").rule, Decision::Undeclared);
}

#[test]
fn a_run_that_ends_breaks_its_connections_off() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut bench = Bench::new().with_attack();
    let outside = leading_to(listener.local_addr().unwrap().port());
    bench.local = Local::with_outside(bench.dir.path().join("scratch"), helper(), outside).with_host_clocks(host_clocks());
    let mut spec = spec(&["/bin/attack", "ask,api.example.com:80,hello"]);
    spec.network = NetworkPolicy::Declared(vec![HostRule::parse("api.example.com").unwrap()]);
    let session: Arc<dyn Session> = bench.local.open("test").unwrap().into();
    let running = session.start(&bench.rootfs(), &spec, quiet()).unwrap();
    let (mut peer, from) = listener.accept().unwrap();
    assert_eq!(from.ip(), IpAddr::V4(Ipv4Addr::LOCALHOST));
    let mut heard = Vec::new();
    peer.read_to_end(&mut heard).unwrap();
    running.stop();
    let record = running.wait().unwrap();
    assert_eq!((heard.as_slice(), event(&record, "tcp api.example.com 80").sent), (&b"hello"[..], 5));
    // Nobody holds the other end any more: at the latest the second write fails.
    let broken = (0..1000).any(|_| peer.write_all(&[0; 65_536]).is_err());
    assert!(broken);
}
