//! Where an engine listens, read from its environment (engine contract §1.1). Only addresses of the container itself are ever called.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use hyper::Uri;
use model::run::NotStarted;

use crate::Command;

/// Names the process hook.
pub(crate) const PROCESS_VARIABLE: &str = "VERITONE_WEBHOOK_PROCESS";
/// Names the ready hook.
pub(crate) const READY_VARIABLE: &str = "VERITONE_WEBHOOK_READY";

/// Longest URL read, characters.
const MAX_URL: usize = 2048;

/// One hook of an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hook {
    /// Addresses to try, in order: engines bind to one loopback, to the other, or to both.
    pub(crate) addresses: [SocketAddr; 2],
    /// Value of the `Host` header.
    pub(crate) authority: String,
    /// Path and query.
    pub(crate) path: String,
}

/// Both hooks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hooks {
    pub(crate) ready: Hook,
    pub(crate) process: Hook,
}

/// The hooks an image names. If one is missing, it is on the port of the other at its usual path.
pub(crate) fn hooks_of(command: &Command) -> Result<Hooks, NotStarted> {
    let read = |variable: &'static str, path: &str| match command.var(variable).map(str::trim) {
        None | Some("") => Ok(None),
        Some(value) => parse(value, path).map(Some).map_err(|problem| NotStarted::BadHook {
            variable: variable.to_owned(),
            value: value.chars().take(200).collect(),
            problem,
        }),
    };
    match (read(READY_VARIABLE, "/ready")?, read(PROCESS_VARIABLE, "/process")?) {
        (Some(ready), Some(process)) => Ok(Hooks { ready, process }),
        (Some(ready), None) => Ok(Hooks { process: Hook { path: "/process".to_owned(), ..ready.clone() }, ready }),
        (None, Some(process)) => Ok(Hooks { ready: Hook { path: "/ready".to_owned(), ..process.clone() }, process }),
        (None, None) => Err(NotStarted::NoHook),
    }
}

/// Reads a URL, or a port alone with or without a colon or a host; `default_path` is used where no path is given.
fn parse(value: &str, default_path: &str) -> Result<Hook, String> {
    if value.len() > MAX_URL {
        return Err(format!("it has more than {MAX_URL} characters"));
    }
    let value = value.trim_matches(|c| c == '"' || c == '\'');
    let is_port = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let url = match value.split_once("://") {
        Some(_) => value.to_owned(),
        None if is_port(value.strip_prefix(':').unwrap_or(value)) => format!("http://0.0.0.0:{}", value.trim_start_matches(':')),
        None => format!("http://{value}"),
    };
    let uri: Uri = url.parse().map_err(|_| "it is not a URL".to_owned())?;
    if uri.scheme_str() != Some("http") {
        return Err("inside the container only http:// is spoken".to_owned());
    }
    let authority = uri.authority().ok_or("it names no host")?;
    if authority.as_str().contains('@') {
        return Err("it contains a user name; leave that out".to_owned());
    }
    let port = match authority.as_str().strip_prefix(authority.host()).and_then(|rest| rest.strip_prefix(':')) {
        Some(port) => port.parse().ok().filter(|&port| port > 0).ok_or("its port is not a number from 1 to 65535")?,
        None => 80,
    };
    let [first, second] = loopbacks(authority.host()).ok_or("its host is not this container; use 0.0.0.0 or 127.0.0.1")?;
    let has_path = url.split_once("://").is_some_and(|(_, rest)| rest.contains(['/', '?']));
    let path = uri.path_and_query().filter(|_| has_path).map_or(default_path, |path| path.as_str());
    let slash = if path.starts_with('/') { "" } else { "/" };
    Ok(Hook {
        addresses: [SocketAddr::new(first, port), SocketAddr::new(second, port)],
        authority: SocketAddr::new(first, port).to_string(),
        path: format!("{slash}{path}"),
    })
}

/// The two addresses meant by a host of this container.
fn loopbacks(host: &str) -> Option<[IpAddr; 2]> {
    let (v4, v6) = (IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST));
    if host.eq_ignore_ascii_case("localhost") {
        return Some([v4, v6]);
    }
    match host.trim_start_matches('[').trim_end_matches(']').parse().ok()? {
        IpAddr::V4(ip) if ip.is_unspecified() || ip == Ipv4Addr::LOCALHOST => Some([v4, v6]),
        IpAddr::V6(ip) if ip.is_unspecified() || ip.is_loopback() => Some([v6, v4]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(value: &str) -> (String, String) {
        let hook = parse(value, "/process").unwrap();
        assert_eq!(hook.authority, hook.addresses[0].to_string());
        (hook.addresses[0].to_string(), hook.path)
    }

    #[test]
    fn urls_of_this_container_are_understood() {
        for (value, address, path) in [
            ("http://0.0.0.0:8080/process", "127.0.0.1:8080", "/process"),
            ("http://localhost:8080/a/b?c=d", "127.0.0.1:8080", "/a/b?c=d"),
            ("\"http://127.0.0.1:9/p\"", "127.0.0.1:9", "/p"),
            ("http://[::]:8080/p", "[::1]:8080", "/p"),
            ("http://0.0.0.0/p", "127.0.0.1:80", "/p"),
            ("http://0.0.0.0:8080", "127.0.0.1:8080", "/process"),
            ("http://0.0.0.0:8080/", "127.0.0.1:8080", "/"),
            ("http://0.0.0.0:8080?x=1", "127.0.0.1:8080", "/?x=1"),
            ("8080", "127.0.0.1:8080", "/process"),
            (":8080", "127.0.0.1:8080", "/process"),
            ("0.0.0.0:8080/p", "127.0.0.1:8080", "/p"),
        ] {
            assert_eq!(seen(value), (address.to_owned(), path.to_owned()), "{value}");
        }
    }

    #[test]
    fn others_are_refused_with_the_reason() {
        for (value, reason) in [
            ("https://0.0.0.0:8080/p", "only http"),
            ("http://example.com/p", "not this container"),
            ("http://10.0.0.1:80/p", "not this container"),
            ("http://u@0.0.0.0:80/p", "user name"),
            ("http://0.0.0.0:0/p", "port"),
            ("http://", "not a URL"),
            ("not a url", "not a URL"),
        ] {
            let problem = parse(value, "/process").unwrap_err();
            assert!(problem.contains(reason), "{value}: {problem}");
        }
        assert!(parse(&"9".repeat(3000), "/process").is_err());
        assert!(parse("99999999", "/process").is_err());
    }

    #[test]
    fn a_missing_hook_is_on_the_port_of_the_other() {
        let with = |env: &[(&str, &str)]| {
            let env = env.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect();
            hooks_of(&Command { env, ..Command::default() })
        };
        let hooks = with(&[(PROCESS_VARIABLE, "http://0.0.0.0:81/run")]).unwrap();
        assert_eq!((hooks.ready.addresses[0].port(), hooks.ready.path.as_str(), hooks.process.path.as_str()), (81, "/ready", "/run"));
        let hooks = with(&[(READY_VARIABLE, "http://0.0.0.0:82/up")]).unwrap();
        assert_eq!((hooks.process.addresses[0].port(), hooks.process.path.as_str(), hooks.ready.path.as_str()), (82, "/process", "/up"));
        assert_eq!(with(&[]), Err(NotStarted::NoHook));
        assert!(matches!(with(&[(READY_VARIABLE, "ftp://x")]), Err(NotStarted::BadHook { variable, .. }) if variable == READY_VARIABLE));
    }
}
