//! `network`: the engine reaches only what it may (engine contract §5).

use std::collections::BTreeMap;

use model::{
    engine::DeploymentModel,
    finding::{Finding, Severity},
    network::{Decision, NetworkEvent, NetworkRecord, destination},
};

use super::ran;
use crate::{
    evidence::Evidence,
    judge::{Check, Draft, Judge, Judgement, Needs},
    wording::{clip, count},
};

pub(super) const CHECK: Check = Check {
    id: "network",
    title: "The engine reaches only what it may",
    help: include_str!("../../../../docs/checks/network.md"),
    needs: Needs::Run,
    judge: Judge::Evidence(judge),
};

/// Destinations that have a finding of their own; the others share one.
const ALONE: usize = 10;
/// Lines quoted of one destination.
const QUOTED: usize = 4;
/// Destinations named in the shared finding.
const NAMED: usize = 20;

fn judge(evidence: &Evidence) -> Judgement {
    let run = match ran(evidence) {
        Ok(run) => run,
        Err(judgement) => return judgement,
    };
    let Some(record) = &run.record.network else {
        return unrecorded();
    };
    let rule = Rule::of(evidence);
    let mut drafts: Vec<Draft> = rule.strangers(record).into_iter().map(Draft::from).collect();
    drafts.extend(declared(record).map(Draft::from));
    Judgement::Judged(drafts)
}

/// What nobody watched cannot pass.
fn unrecorded() -> Judgement {
    let finding = Finding::new(
        "network.unrecorded",
        Severity::Error,
        "What the engine tried to reach was not recorded",
        "Nothing is said about the engine: the sandbox of this gate did not record the network of the run.",
        "Run it where the network is recorded; `plimsoll doctor` says whether this host can.",
    );
    let finding = finding.message("The network of the run was not recorded").at("this gate");
    Judgement::CouldNotRun { reason: "the network of this run was not recorded".to_owned(), finding: Some(Box::new(finding.into())) }
}

/// How attempts to reach what is not declared are told.
struct Rule {
    code: &'static str,
    severity: Severity,
    who: &'static str,
    why: &'static str,
    mend: fn(&str) -> String,
}

impl Rule {
    fn of(evidence: &Evidence) -> Self {
        let declare = |host: &str| format!("Remove the call, or list {host} under externalCalls in the manifest.");
        match evidence.terms.deployment_model {
            Some(DeploymentModel::FullyNetworkIsolated) => Self {
                code: "network.isolation",
                severity: Severity::Error,
                who: "Engine registered as network-isolated",
                why: "Isolated engines run where data must not leave.",
                mend: |host| format!("Remove the call, or register an engine with external access and list {host} under externalCalls."),
            },
            Some(DeploymentModel::MostlyNetworkIsolated) => Self {
                code: "network.undeclared",
                severity: Severity::Error,
                who: "Engine",
                why: "A mostly isolated engine may reach the hosts of externalCalls and nothing else.",
                mend: declare,
            },
            _ => Self {
                code: "network.undeclared",
                severity: Severity::Warning,
                who: "Engine",
                why: "Whoever approves and runs an engine has to know where it sends data. What is not declared is refused.",
                mend: declare,
            },
        }
    }

    /// One finding for each destination that was refused, and one for all that are too many.
    fn strangers(&self, record: &NetworkRecord) -> Vec<Finding> {
        let refused = |event: &&NetworkEvent| matches!(event.rule, Decision::Isolated | Decision::Undeclared);
        let causes = causes(record.events.iter().filter(refused));
        let mut findings: Vec<Finding> = causes.iter().take(ALONE).map(|cause| self.one(cause)).collect();
        let rest = causes.get(ALONE..).unwrap_or_default();
        if !rest.is_empty() || record.dropped > 0 {
            findings.push(self.many(rest, record.dropped));
        }
        findings
    }

    fn one(&self, cause: &Cause<'_>) -> Finding {
        let target = cause.target();
        // The host is what has to be recognized; what is around it gives way.
        let title = format!("{} tried to reach {}", self.who, clip(&target, 90 - self.who.len() - 16));
        let mut finding = Finding::new(self.code, self.severity, title, self.why(cause), (self.mend)(&clip(&cause.host, 60)));
        finding.evidence = cause.events.iter().take(QUOTED).map(|event| line(event)).collect();
        finding.value = Some(clip(&target, 300));
        finding.message(format!("Network call not allowed: {}", clip(&target, 300))).at(cause.place())
    }

    fn why(&self, cause: &Cause<'_>) -> String {
        match meaning(cause) {
            Some(meaning) => format!("{} {} is {meaning}.", self.why, clip(&cause.host, 60)),
            None => self.why.to_owned(),
        }
    }

    fn many(&self, rest: &[Cause<'_>], dropped: u64) -> Finding {
        let at_least = if dropped > 0 { "many" } else { "several" };
        let title = format!("{} tried to reach {at_least} more destinations", self.who);
        let mend = (self.mend)("what it needs");
        let mut finding = Finding::new(self.code, self.severity, title, self.why, mend);
        finding.evidence = rest.iter().take(NAMED).map(|cause| clip(&cause.target(), 120)).collect();
        if rest.len() > NAMED {
            finding.evidence.push(format!("and {} more", rest.len() - NAMED));
        }
        if dropped > 0 {
            finding.evidence.push(format!("{dropped} further attempts were refused and not written down"));
        }
        finding.message(format!("Network call not allowed: {at_least} more destinations")).at("the network of the run")
    }
}

/// Everything that was tried to reach one host.
struct Cause<'a> {
    host: String,
    /// In order of time.
    events: Vec<&'a NetworkEvent>,
}

/// By destination, in the order of the first attempts.
fn causes<'a>(events: impl Iterator<Item = &'a NetworkEvent>) -> Vec<Cause<'a>> {
    let mut numbers: BTreeMap<String, usize> = BTreeMap::new();
    let mut causes: Vec<Cause<'a>> = Vec::new();
    for event in events {
        let host = event.host.clone().unwrap_or_else(|| event.address.clone());
        let number = *numbers.entry(host.clone()).or_insert_with(|| {
            causes.push(Cause { host, events: Vec::new() });
            causes.len() - 1
        });
        causes[number].events.push(event);
    }
    causes
}

/// A question for a name; where it was asked is not what was to be reached.
fn is_lookup(event: &NetworkEvent) -> bool {
    event.protocol == "dns" && event.host.is_some()
}

impl Cause<'_> {
    /// `api.example.com:443`: the lowest port, so that it is the same in every run.
    fn target(&self) -> String {
        let ports: Vec<u16> = self.events.iter().filter(|event| !is_lookup(event)).filter_map(|event| event.port).collect();
        destination(&self.host, ports.iter().min().copied())
    }

    /// `/app/main (pid 7), 12.4 s after start, TCP; name asked from DNS 3 times`.
    fn place(&self) -> String {
        let process = self.events.iter().find_map(|event| event.process.as_ref());
        let who = process.map_or_else(|| "a process".to_owned(), |process| format!("{} (pid {})", clip(&process.name, 80), process.pid));
        let first = self.events.iter().map(|event| event.at_ms).min().unwrap_or_default();
        let ways: Vec<&str> = self.events.iter().filter(|event| !is_lookup(event)).map(|event| event.protocol.as_str()).collect();
        let asked: u64 = self.events.iter().filter(|event| is_lookup(event)).map(|event| event.count).sum();
        let mut unique = ways;
        unique.dedup();
        let ways = unique.join(", ").to_uppercase();
        let asked = if asked > 0 { format!("name asked from DNS {}", count(asked as usize, "time")) } else { String::new() };
        let how: Vec<String> = [ways, asked].into_iter().filter(|part| !part.is_empty()).collect();
        format!("{who}, {:.1} s after start, {}", first as f64 / 1000.0, how.join("; "))
    }
}

/// An attempt as a line: `tcp 443, 3 times, from 12.4 s on`.
fn line(event: &NetworkEvent) -> String {
    let port = event.port.map_or(String::new(), |port| format!(" {port}"));
    let question = event.question.as_ref().map_or(String::new(), |question| format!(", asking for {}", clip(question, 200)));
    let bytes = if event.sent > 0 { format!(", {} bytes to send", event.sent) } else { String::new() };
    let times = count(event.count as usize, "time");
    format!("{}{port} at {}{question}, {times}{bytes}, from {:.1} s on", event.protocol, event.address, event.at_ms as f64 / 1000.0)
}

/// What an address is, where that is worth knowing.
fn meaning(cause: &Cause<'_>) -> Option<&'static str> {
    use std::net::IpAddr;
    let asks = cause.events.iter().any(|event| event.protocol == "dns" && event.question.is_some());
    match cause.host.parse::<IpAddr>().ok()? {
        IpAddr::V4(ip) if ip.octets() == [169, 254, 169, 254] => Some("where cloud machines hand out their credentials"),
        IpAddr::V4(ip) if ip.is_private() || ip.is_link_local() => Some("an address of the local network"),
        IpAddr::V4(ip) if ip.is_broadcast() => Some("every machine of the local network"),
        ip if ip.is_multicast() => Some("a group of machines of the local network"),
        IpAddr::V6(ip) if ip.segments()[0] & 0xfe00 == 0xfc00 || ip.segments()[0] & 0xffc0 == 0xfe80 => {
            Some("an address of the local network")
        }
        _ if asks => Some("asked for a name past the resolver it is given"),
        _ => None,
    }
}

/// What kept the engine from a host that it declares. That explains its answers, and is not always its fault.
fn declared(record: &NetworkRecord) -> impl Iterator<Item = Finding> {
    let of = |wanted: fn(&Decision) -> bool| causes(record.events.iter().filter(move |event| wanted(&event.rule)));
    let private = of(|rule| matches!(rule, Decision::PrivateAddress { .. })).into_iter().take(ALONE).map(|cause| {
        finding(&cause, "network.private", Severity::Warning, "has no public address and was not reached")
            .message(format!("Declared host {} has no public address", clip(&cause.host, 100)))
    });
    let unreachable = of(|rule| matches!(rule, Decision::Unreachable { .. } | Decision::Busy)).into_iter().take(ALONE).map(|cause| {
        finding(&cause, "network.unreachable", Severity::Info, "could not be reached from here")
            .message(format!("Declared host {} could not be reached", clip(&cause.host, 100)))
    });
    private.chain(unreachable)
}

fn finding(cause: &Cause<'_>, code: &str, severity: Severity, fact: &str) -> Finding {
    let title = format!("Declared host {} {fact}", clip(&cause.host, 88 - 14 - fact.len()));
    let why = "Declared hosts are reached from the gate, and addresses of its own network are never among them.";
    let fix = "Declare a host that the internet can reach; if it is one, check the resolver and the network of the gate.";
    let mut finding = Finding::new(code, severity, title, why, fix);
    finding.evidence = cause.events.iter().take(QUOTED).map(|event| format!("{}; {}", line(event), event.rule.words())).collect();
    finding.at(cause.place())
}

#[cfg(test)]
pub(crate) mod tests;
