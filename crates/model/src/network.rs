//! What a run may reach over the network, and what it tried to reach.

use serde::{Deserialize, Serialize};

/// Which outside a run may reach.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "hosts", rename_all = "camelCase")]
pub enum NetworkPolicy {
    /// Nothing at all.
    #[default]
    Isolated,
    /// These hosts, over TCP.
    Declared(Vec<HostRule>),
}

impl NetworkPolicy {
    /// The first rule that lets a connection to this name or address pass. Names in lower case, without a dot at the end.
    pub fn rule_for(&self, host: &str, port: u16) -> Option<&HostRule> {
        self.rules().iter().find(|rule| rule.covers(host) && rule.port.is_none_or(|allowed| allowed == port))
    }

    /// The first rule about this name, whatever its port: its address may be asked for.
    pub fn rule_about(&self, host: &str) -> Option<&HostRule> {
        self.rules().iter().find(|rule| rule.covers(host))
    }

    fn rules(&self) -> &[HostRule] {
        match self {
            Self::Isolated => &[],
            Self::Declared(rules) => rules,
        }
    }
}

/// A host that may be reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostRule {
    /// A name or an address, in lower case; `*.` at its beginning stands for every name below it.
    pub host: String,
    /// The only port, if one is named.
    pub port: Option<u16>,
}

impl HostRule {
    /// Reads an entry of `externalCalls`: a host, a host with a port, or a URL. `None` if there is no host in it.
    pub fn parse(call: &str) -> Option<Self> {
        let (host, port) = host_and_port(call)?;
        Some(Self { host, port })
    }

    fn covers(&self, host: &str) -> bool {
        match self.host.strip_prefix("*.") {
            // A whole top-level domain is nobody's to declare.
            Some(domain) => domain.contains('.') && host.strip_suffix(domain).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
            None => self.host == host,
        }
    }
}

/// As a person writes it: `api.example.com:443`.
impl std::fmt::Display for HostRule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&destination(&self.host, self.port))
    }
}

/// `host:port`, with brackets round an IPv6 address.
pub fn destination(host: &str, port: Option<u16>) -> String {
    match port {
        Some(port) if host.contains(':') => format!("[{host}]:{port}"),
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// The host meant by a host, a host with a port or a URL, in lower case, and its port if one is written.
pub fn host_and_port(call: &str) -> Option<(String, Option<u16>)> {
    let call = call.trim();
    let rest = call.split_once("://").map_or(call, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next()?;
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let (host, port) = match authority.strip_prefix('[') {
        Some(v6) => v6.split_once(']').map(|(host, rest)| (host, rest.strip_prefix(':')))?,
        // Two colons and more can only be an address without brackets.
        None if authority.matches(':').count() > 1 => (authority, None),
        None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
    };
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '*' | ':');
    let named = host.chars().any(char::is_alphanumeric);
    let port = port.and_then(|port| port.parse().ok()).filter(|port| *port != 0);
    (named && host.len() <= 253 && host.chars().all(fits)).then(|| (host.trim_end_matches('.').to_lowercase(), port))
}

/// A process inside the run.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Process {
    /// Its number inside the container.
    pub pid: u32,
    /// Its program.
    pub name: String,
}

/// Attempts to reach one thing over the network in one way. Attempts that differ in time and size only are one event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkEvent {
    /// The first attempt, milliseconds since the run began.
    pub at_ms: u64,
    /// The last attempt, milliseconds since the run began.
    pub last_ms: u64,
    /// How often it was tried.
    pub count: u64,
    /// Who tried first, if it could be seen.
    pub process: Option<Process>,
    /// `tcp`, `udp`, `icmp`, `dns`, `mdns`, `multicast`, or the name of another protocol.
    pub protocol: String,
    /// Name meant, if known: asked for before, or asked for by this very attempt.
    pub host: Option<String>,
    /// Destination address.
    pub address: String,
    /// Destination port, where the protocol has one.
    pub port: Option<u16>,
    /// What a DNS query asked for, such as `TXT secret.example.com`.
    pub question: Option<String>,
    /// The name a TLS client asked for.
    pub server_name: Option<String>,
    /// Payload bytes that were sent or were to be sent.
    pub sent: u64,
    /// Payload bytes that came back.
    pub received: u64,
    /// Whether it was let through.
    pub allowed: bool,
    /// What decided.
    pub rule: Decision,
}

/// What decided about an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "camelCase")]
pub enum Decision {
    /// Nothing outside may be reached.
    Isolated,
    /// The host is not declared, or not with this port.
    Undeclared,
    /// It is declared, by this rule.
    Declared {
        /// The rule, as a person writes it.
        rule: String,
    },
    /// It is declared, but only TCP passes; programs fall back to it.
    TcpOnly,
    /// It is declared, but its name leads to an address inside this network or to this machine.
    PrivateAddress {
        /// The address.
        address: String,
    },
    /// It is declared, but could not be reached from here.
    Unreachable {
        /// The system's words.
        reason: String,
    },
    /// It is declared, but too many connections were open.
    Busy,
}

impl Decision {
    /// In a few words.
    pub fn words(&self) -> String {
        match self {
            Self::Isolated => "isolated: nothing outside may be reached".to_owned(),
            Self::Undeclared => "not declared in externalCalls".to_owned(),
            Self::Declared { rule } => format!("declared: {rule}"),
            Self::TcpOnly => "declared, but only TCP passes".to_owned(),
            Self::PrivateAddress { address } => format!("declared, but {address} is no public address"),
            Self::Unreachable { reason } => format!("declared, but not reachable from here: {reason}"),
            Self::Busy => "declared, but too many connections were open".to_owned(),
        }
    }
}

/// Everything a run tried over the network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkRecord {
    /// Events, in the order of their first attempts.
    pub events: Vec<NetworkEvent>,
    /// Attempts that were seen and refused but not written down, because there were too many different ones.
    pub dropped: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(calls: &[&str]) -> NetworkPolicy {
        NetworkPolicy::Declared(calls.iter().filter_map(|call| HostRule::parse(call)).collect())
    }

    #[test]
    fn a_call_names_a_host_and_perhaps_a_port() {
        for (call, host, port) in [
            ("api.example.com", "api.example.com", None),
            ("API.example.com.:443", "api.example.com", Some(443)),
            ("https://user:pw@api.example.com:8443/v1?x=1", "api.example.com", Some(8443)),
            ("https://api.example.com/v1", "api.example.com", None),
            ("http://[2001:db8::1]:80/", "2001:db8::1", Some(80)),
            ("2001:db8::1", "2001:db8::1", None),
            ("*.example.com", "*.example.com", None),
            ("a:99999", "a", None),
        ] {
            assert_eq!(HostRule::parse(call), Some(HostRule { host: host.to_owned(), port }), "{call}");
        }
        for call in ["", "https://", "the weather service", "...", "[::1"] {
            assert_eq!(HostRule::parse(call), None, "{call}");
        }
    }

    #[test]
    fn rules_cover_what_they_name_and_nothing_else() {
        let policy = declared(&["api.example.com", "db.example.com:5432", "*.cdn.example.net", "*.com", "1.1.1.1"]);
        for (host, port, passes) in [
            ("api.example.com", 443, true),
            ("api.example.com", 80, true),
            ("xapi.example.com", 443, false),
            ("example.com", 443, false),
            ("api.example.com.evil.org", 443, false),
            ("db.example.com", 5432, true),
            ("db.example.com", 443, false),
            ("a.cdn.example.net", 443, true),
            ("a.b.cdn.example.net", 443, true),
            ("cdn.example.net", 443, false),
            (".cdn.example.net", 443, false),
            ("evilcdn.example.net", 443, false),
            ("evil.com", 443, false),
            ("1.1.1.1", 443, true),
            ("1.1.1.2", 443, false),
        ] {
            assert_eq!(policy.rule_for(host, port).is_some(), passes, "{host}:{port}");
            assert_eq!(NetworkPolicy::Isolated.rule_for(host, port), None);
        }
        assert!(policy.rule_about("db.example.com").is_some() && policy.rule_about("example.com").is_none());
    }

    #[test]
    fn destinations_are_written_as_people_write_them() {
        assert_eq!(destination("a.example", Some(443)), "a.example:443");
        assert_eq!(destination("2001:db8::1", Some(443)), "[2001:db8::1]:443");
        assert_eq!(destination("8.8.8.8", None), "8.8.8.8");
    }
}
