//! Hosts in `externalCalls`: a host, a host with a port, or a URL.

use model::network::host_and_port;

/// The host meant, in lower case; `None` if there is none in it.
pub fn host_of(call: &str) -> Option<String> {
    host_and_port(call).map(|(host, _)| host)
}

/// Whether a text is an http(s) URL with a host.
pub(super) fn is_web_url(text: &str) -> bool {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    rest.is_some() && !text.contains(char::is_whitespace) && host_of(text).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_host_counts() {
        for (call, host) in [
            ("api.example.com", Some("api.example.com")),
            ("API.example.com:443", Some("api.example.com")),
            ("https://user:pw@api.example.com:8443/v1?x=1", Some("api.example.com")),
            ("10.0.0.1", Some("10.0.0.1")),
            ("http://[2001:db8::1]:80/", Some("2001:db8::1")),
            ("2001:db8::1", Some("2001:db8::1")),
            (" a ", Some("a")),
            ("", None),
            ("https://", None),
            ("the weather service", None),
            ("...", None),
        ] {
            assert_eq!(host_of(call).as_deref(), host, "{call}");
        }
    }

    #[test]
    fn a_sentence_is_no_url() {
        assert!(is_web_url("https://example.com/engine") && is_web_url("http://localhost:8080"));
        for text in ["Enter the URL of your engine here", "ftp://example.com", "https://", "http://a b", "example.com"] {
            assert!(!is_web_url(text), "{text}");
        }
    }
}
