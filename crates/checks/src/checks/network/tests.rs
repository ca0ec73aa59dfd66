use model::{
    engine::DeploymentModel as Model,
    network::{HostRule, Process},
};
use serde_json::json;

use super::*;
use crate::{
    checks::fixtures::Fixture,
    evidence::tests::{Builder, batch, webhook},
};

fn event(protocol: &str, host: Option<&str>, address: &str, port: u16, rule: Decision) -> NetworkEvent {
    NetworkEvent {
        at_ms: 12_400,
        last_ms: 13_000,
        count: 1,
        process: Some(Process { pid: 7, name: "/app/main".into() }),
        protocol: protocol.into(),
        host: host.map(str::to_owned),
        address: address.into(),
        port: Some(port).filter(|port| *port > 0),
        question: None,
        server_name: None,
        sent: 0,
        received: 0,
        allowed: matches!(rule, Decision::Declared { .. }),
        rule,
    }
}

fn lookup(name: &str, count: u64) -> NetworkEvent {
    NetworkEvent { count, ..event("dns", Some(name), "198.19.255.1", 53, Decision::Isolated) }
}

pub(crate) fn call(name: &str) -> Vec<NetworkEvent> {
    vec![lookup(name, 3), event("tcp", Some(name), "198.18.0.1", 443, Decision::Isolated)]
}

fn isolated() -> Builder {
    webhook().deployment_model(Model::FullyNetworkIsolated)
}

fn declaring() -> Builder {
    webhook().deployment_model(Model::NonNetworkIsolated).manifest(json!({"externalCalls": ["api.example.com"], "serverCountry": "US"}))
}

fn passed(name: &str) -> NetworkEvent {
    event("tcp", Some(name), "198.18.0.1", 443, Decision::Declared { rule: name.into() })
}

fn undeclared() -> NetworkEvent {
    event("tcp", Some("other.example.com"), "198.18.0.2", 443, Decision::Undeclared)
}

pub(crate) fn fixtures() -> Vec<Fixture> {
    let quic = event("udp", Some("api.example.com"), "198.18.0.1", 443, Decision::TcpOnly);
    let private = event("tcp", Some("api.example.com"), "198.18.0.1", 443, Decision::PrivateAddress { address: "10.0.0.1".into() });
    vec![
        Fixture::pass("nothing was tried", isolated()),
        Fixture::pass("a batch engine that tries nothing", batch()),
        Fixture::pass("a declared host was reached, after QUIC was refused", declaring().tried(vec![quic, passed("api.example.com")])),
        Fixture::fail("an isolated engine calls out", isolated().tried(call("api.example.com")), "network.isolation"),
        Fixture::fail("an isolated engine only asks for a name", isolated().tried(vec![lookup("api.example.com", 1)]), "network.isolation"),
        Fixture::fail(
            "a mostly isolated engine reaches for more than it declares",
            declaring().deployment_model(Model::MostlyNetworkIsolated).tried(vec![undeclared()]),
            "network.undeclared",
        ),
        Fixture::warn("an engine reaches for more than it declares", declaring().tried(vec![undeclared()]), "network.undeclared"),
        Fixture::warn(
            "a laptop does not know how the engine is registered",
            webhook().tried(call("api.example.com")),
            "network.undeclared",
        ),
        Fixture::fail("more than could be written down", isolated().attempts_dropped(70), "network.isolation"),
        Fixture::warn("a declared host that is inside", declaring().tried(vec![private]), "network.private"),
        Fixture::could_not("the network was not recorded", isolated().network_unrecorded(), Some("network.unrecorded")),
        Fixture::skip("no run yet", isolated().still_to_come(), "still to come"),
    ]
}

fn findings(builder: Builder) -> Vec<Finding> {
    match judge(&builder.evidence()) {
        Judgement::Judged(drafts) => drafts.into_iter().map(|draft| draft.finding).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn one_destination_is_one_finding_that_says_who_when_and_how() {
    let [finding] = &findings(isolated().tried(call("api.example.com")))[..] else { panic!() };
    assert_eq!(finding.title, "Engine registered as network-isolated tried to reach api.example.com:443");
    assert_eq!(finding.message, "Network call not allowed: api.example.com:443");
    assert_eq!(finding.place.as_deref(), Some("/app/main (pid 7), 12.4 s after start, TCP; name asked from DNS 3 times"));
    assert_eq!(finding.evidence[1], "tcp 443 at 198.18.0.1, 1 time, from 12.4 s on");
}

#[test]
fn what_an_address_is_stands_in_the_reason() {
    let why = |host: &str, question: Option<&str>| {
        let mut event = event(if question.is_some() { "dns" } else { "tcp" }, None, host, 53, Decision::Isolated);
        event.question = question.map(str::to_owned);
        findings(isolated().tried(vec![event])).remove(0).why
    };
    assert!(why("169.254.169.254", None).ends_with("169.254.169.254 is where cloud machines hand out their credentials."));
    assert!(why("10.1.2.3", None).contains("local network") && why("fe80::1", None).contains("local network"));
    assert!(why("224.0.0.251", None).contains("group of machines") && why("255.255.255.255", None).contains("every machine"));
    assert!(why("8.8.8.8", Some("TXT a.example")).contains("past the resolver"));
    assert!(why("8.8.8.8", None).ends_with("must not leave."));
}

#[test]
fn many_destinations_share_a_finding() {
    let events = (0..40).map(|i| event("tcp", None, &format!("192.0.2.{i}"), 80, Decision::Isolated)).collect();
    let findings = findings(isolated().tried(events).attempts_dropped(5));
    assert_eq!(findings.len(), ALONE + 1);
    let last = &findings[ALONE];
    assert_eq!(last.title, "Engine registered as network-isolated tried to reach many more destinations");
    assert_eq!((last.evidence.len(), last.evidence[NAMED].as_str()), (NAMED + 2, "and 10 more"));
    assert!(last.evidence[NAMED + 1].starts_with("5 further attempts"));
}

#[test]
fn long_names_and_odd_ones_fit() {
    let name = format!("{}.example\u{1b}", "x".repeat(240));
    let finding = findings(isolated().tried(call(&name))).remove(0);
    assert!(finding.title.chars().count() <= 90 && !finding.title.contains('\u{1b}'), "{finding:?}");
}

#[test]
fn an_unreachable_host_is_told_and_does_not_block() {
    let gone = event("tcp", Some("api.example.com"), "198.18.0.1", 443, Decision::Unreachable { reason: "timed out".into() });
    let [finding] = &findings(declaring().tried(vec![gone]))[..] else { panic!() };
    assert_eq!((finding.code.as_str(), finding.severity), ("network.unreachable", Severity::Info));
    assert!(finding.evidence[0].ends_with("not reachable from here: timed out"), "{finding:?}");
}

#[test]
fn registration_and_manifest_decide_what_may_be_reached() {
    let policy = |model: Option<Model>, calls: &[&str]| {
        let builder = webhook().manifest(json!({"externalCalls": calls}));
        let builder = if let Some(model) = model { builder.deployment_model(model) } else { builder };
        builder.evidence().network_policy()
    };
    let rules = |calls: &[&str]| NetworkPolicy::Declared(calls.iter().filter_map(|call| HostRule::parse(call)).collect());
    use model::network::NetworkPolicy;
    assert_eq!(policy(Some(Model::FullyNetworkIsolated), &["a.example"]), NetworkPolicy::Isolated);
    assert_eq!(policy(None, &[]), NetworkPolicy::Isolated);
    assert_eq!(policy(None, &["a.example:443", "no host here"]), rules(&["a.example:443"]));
    for model in [Model::MostlyNetworkIsolated, Model::NonNetworkIsolated, Model::HumanReview] {
        assert_eq!(policy(Some(model), &[]), rules(&[]));
        assert_eq!(policy(Some(model), &["https://a.example/x"]), rules(&["a.example"]));
    }
}
