//! The name a TLS client asks for in its greeting (RFC 8446, 4.1.2; RFC 6066, 3).

use super::u16_at;

/// The longest greeting that is looked at.
pub const LONGEST: usize = 16 << 10;

/// Longest name, as in DNS.
const MAX_NAME: usize = 253;

/// What the first bytes of a connection say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Greeting {
    /// More bytes are needed.
    Incomplete,
    /// A TLS client asks for this name.
    For(String),
    /// A TLS client that asks for none, or no TLS at all.
    Nameless,
}

/// Reads the first bytes that a client sends.
pub fn greeting(bytes: &[u8]) -> Greeting {
    // A record of type "handshake" of some version 3.x.
    let head = [Some(22), Some(3), None];
    if bytes.iter().zip(head).any(|(byte, wanted)| wanted.is_some_and(|wanted| wanted != *byte)) {
        return Greeting::Nameless;
    }
    let Some(length) = u16_at(bytes, 3) else { return Greeting::Incomplete };
    let end = 5 + usize::from(length);
    if end > LONGEST {
        return Greeting::Nameless;
    }
    match bytes.get(5..end) {
        Some(record) => name_in(record).map_or(Greeting::Nameless, Greeting::For),
        None => Greeting::Incomplete,
    }
}

/// The name in a client's greeting. One that is spread over several records is given up on: no client does that.
fn name_in(record: &[u8]) -> Option<String> {
    let body = record.strip_prefix(&[1])?.get(3..)?;
    // Version and random number, then three lists with their lengths: session, cipher suites, compression.
    let after_session = 34 + 1 + usize::from(*body.get(34)?);
    let after_ciphers = after_session + 2 + usize::from(u16_at(body, after_session)?);
    let after_compression = after_ciphers + 1 + usize::from(*body.get(after_ciphers)?);
    let length = usize::from(u16_at(body, after_compression)?);
    let mut extensions = body.get(after_compression + 2..)?;
    extensions = &extensions[..length.min(extensions.len())];
    while let (Some(kind), Some(length)) = (u16_at(extensions, 0), u16_at(extensions, 2)) {
        let end = 4 + usize::from(length);
        let extension = extensions.get(4..end)?;
        if kind == 0 {
            return host_name(extension);
        }
        extensions = &extensions[end..];
    }
    None
}

/// The first name of a list of names.
fn host_name(list: &[u8]) -> Option<String> {
    let length = usize::from(u16_at(list, 3)?);
    let name = list.get(5..5 + length).filter(|_| list[2] == 0)?;
    let plain = name.len() <= MAX_NAME && name.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
    plain.then(|| String::from_utf8_lossy(name).trim_end_matches('.').to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn with_length(bytes: &[u8]) -> Vec<u8> {
        [&(bytes.len() as u16).to_be_bytes(), bytes].concat()
    }

    fn client(extensions: &[u8]) -> Vec<u8> {
        let mut body = vec![3, 3];
        body.extend([7; 32]);
        body.extend([2, 1, 1, 0, 4, 0x13, 1, 0x13, 2, 1, 0]);
        body.extend(with_length(extensions));
        let mut record = vec![1, 0];
        record.extend(with_length(&body));
        [&[22, 3, 1][..], &with_length(&record)].concat()
    }

    fn server_name(name: &str) -> Vec<u8> {
        let entry = [&[0][..], &with_length(name.as_bytes())].concat();
        [&[0, 0][..], &with_length(&with_length(&entry))].concat()
    }

    #[test]
    fn the_name_is_found_behind_other_extensions() {
        let mut extensions = vec![0, 0x2b, 0, 3, 2, 3, 4];
        extensions.extend(server_name("API.example.com"));
        let hello = client(&extensions);
        assert_eq!(greeting(&hello), Greeting::For("api.example.com".into()));
        for end in 3..hello.len() {
            assert_eq!(greeting(&hello[..end]), Greeting::Incomplete, "{end}");
        }
    }

    #[test]
    fn without_a_name_or_without_tls_there_is_none() {
        assert_eq!(greeting(&client(&[])), Greeting::Nameless);
        assert_eq!(greeting(b"GET / HTTP/1.1\r\n"), Greeting::Nameless);
        assert_eq!(greeting(b""), Greeting::Incomplete);
        assert_eq!(greeting(&[22, 3, 1, 0xff, 0xff]), Greeting::Nameless);
        assert_eq!(greeting(&client(&server_name("a b\u{1b}"))), Greeting::Nameless);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), record in any::<bool>()) {
            let bytes = if record { [&[22, 3, 1][..], &with_length(&[&[1, 0, 0, 0][..], &bytes].concat())].concat() } else { bytes };
            if let Greeting::For(name) = greeting(&bytes) {
                prop_assert!(name.len() <= MAX_NAME);
            }
        }
    }
}
