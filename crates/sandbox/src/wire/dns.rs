//! Questions for names, and the answers of a resolver that has an address for everything.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::u16_at;

/// Record types that are answered or named.
pub const A: u16 = 1;
/// A name for an address.
pub const PTR: u16 = 12;
/// An IPv6 address.
pub const AAAA: u16 = 28;

/// No such name.
pub const NO_SUCH_NAME: u8 = 3;
/// The resolver will not say.
pub const REFUSED: u8 = 5;

const HEADER: usize = 12;
/// Longest name, dots included, as the standard has it.
const MAX_NAME: usize = 253;
/// How long an answer may be kept, seconds.
const KEPT: u32 = 5;

/// The first question of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Number that the answer repeats.
    id: u16,
    /// "Recursion desired", which the answer repeats.
    recursion: bool,
    /// The name, in lower case, without the dot at its end; bytes that are no letters of a name are shown as `?`.
    pub name: String,
    /// Type of the record asked for.
    pub kind: u16,
    /// The question as it stands in the query.
    question: Vec<u8>,
}

/// Reads a query; `None` if it is an answer, asks nothing or is cut off.
pub fn parse(message: &[u8]) -> Option<Query> {
    let flags = u16_at(message, 2)?;
    let is_query = flags & 0xf800 == 0;
    if !is_query || u16_at(message, 4)? == 0 {
        return None;
    }
    let (name, end) = name_at(message, HEADER)?;
    let kind = u16_at(message, end)?;
    let question = message.get(HEADER..end + 4)?.to_vec();
    Some(Query { id: u16_at(message, 0)?, recursion: flags & 0x0100 != 0, name, kind, question })
}

/// The name that begins here, and where it ends. A query has no use for compression, so there is no pointer to follow.
fn name_at(message: &[u8], mut at: usize) -> Option<(String, usize)> {
    let mut name = String::new();
    loop {
        let length = usize::from(*message.get(at)?);
        at += 1;
        if length == 0 {
            return Some((name, at));
        }
        if length > 63 || name.len() + length + 1 > MAX_NAME + 1 {
            return None;
        }
        if !name.is_empty() {
            name.push('.');
        }
        let label = message.get(at..at + length)?;
        name.extend(label.iter().map(|byte| match byte {
            b'.' => '?',
            byte if byte.is_ascii_graphic() => char::from(byte.to_ascii_lowercase()),
            _ => '?',
        }));
        at += length;
    }
}

impl Query {
    /// The question as people write it: `TXT secret.example.com`.
    pub fn words(&self) -> String {
        let name = if self.name.is_empty() { "." } else { &self.name };
        let kind = match self.kind {
            A => "A",
            2 => "NS",
            5 => "CNAME",
            6 => "SOA",
            PTR => "PTR",
            15 => "MX",
            16 => "TXT",
            AAAA => "AAAA",
            33 => "SRV",
            64 => "SVCB",
            65 => "HTTPS",
            255 => "ANY",
            other => return format!("TYPE{other} {name}"),
        };
        format!("{kind} {name}")
    }

    /// The answer with these addresses, as far as they were asked for; without any it says that there are none of this type.
    pub fn answer(&self, v4: Ipv4Addr, v6: Option<Ipv6Addr>) -> Vec<u8> {
        match (self.kind, v6) {
            (A, _) => self.reply(0, Some((A, &v4.octets()))),
            (AAAA, Some(v6)) => self.reply(0, Some((AAAA, &v6.octets()))),
            _ => self.reply(0, None),
        }
    }

    /// An answer without an address.
    pub fn refuse(&self, code: u8) -> Vec<u8> {
        self.reply(code, None)
    }

    fn reply(&self, code: u8, record: Option<(u16, &[u8])>) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER + self.question.len() + 28);
        let flags = 0x8080 | if self.recursion { 0x0100 } else { 0 } | u16::from(code & 0x0f);
        for field in [self.id, flags, 1, u16::from(record.is_some()), 0, 0] {
            bytes.extend(field.to_be_bytes());
        }
        bytes.extend(&self.question);
        if let Some((kind, address)) = record {
            // The name is the one of the question; class Internet.
            bytes.extend([0xc0, HEADER as u8]);
            bytes.extend(kind.to_be_bytes());
            bytes.extend(1_u16.to_be_bytes());
            bytes.extend(KEPT.to_be_bytes());
            bytes.extend((address.len() as u16).to_be_bytes());
            bytes.extend(address);
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn query(name: &str, kind: u16) -> Vec<u8> {
        let mut message = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.').filter(|label| !label.is_empty()) {
            message.push(label.len() as u8);
            message.extend(label.bytes());
        }
        message.push(0);
        message.extend(kind.to_be_bytes());
        message.extend([0, 1]);
        message
    }

    #[test]
    fn a_question_is_put_into_words() {
        let asked = parse(&query("Secret.Example.COM", 16)).unwrap();
        assert_eq!((asked.name.as_str(), asked.words().as_str()), ("secret.example.com", "TXT secret.example.com"));
        assert_eq!(parse(&query("", 2)).unwrap().words(), "NS .");
        assert_eq!(parse(&query("a", 999)).unwrap().words(), "TYPE999 a");
        let odd = parse(&query("a\u{1b}[2J b", 1)).unwrap();
        assert_eq!(odd.name, "a?[2j?b");
    }

    #[test]
    fn an_answer_repeats_the_question_and_brings_the_address() {
        let asked = query("a.example", A);
        let answer = parse(&asked).unwrap().answer(Ipv4Addr::new(198, 18, 0, 1), None);
        assert_eq!(answer[..12], [0x12, 0x34, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
        assert_eq!(answer[12..asked.len()], asked[12..]);
        assert!(answer.ends_with(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4, 198, 18, 0, 1]));
        let none = parse(&query("a.example", AAAA)).unwrap().answer(Ipv4Addr::LOCALHOST, None);
        assert_eq!(none[..8], [0x12, 0x34, 0x81, 0x80, 0, 1, 0, 0]);
        assert_eq!(parse(&asked).unwrap().refuse(NO_SUCH_NAME)[3], 0x83);
        assert_eq!(parse(&answer), None, "an answer is no query");
    }

    #[test]
    fn what_is_cut_off_or_too_long_is_no_query() {
        let whole = query("a.example", A);
        assert!((0..whole.len()).all(|end| parse(&whole[..end]).is_none()));
        let long = vec!["x".repeat(63); 4].join(".");
        assert_eq!(parse(&query(&long, A)), None);
        let mut pointer = query("a", A);
        pointer[12] = 0xc0;
        assert_eq!(parse(&pointer), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(message in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Some(query) = parse(&message) {
                prop_assert!(query.name.len() <= MAX_NAME);
                prop_assert!(query.answer(Ipv4Addr::LOCALHOST, Some(Ipv6Addr::LOCALHOST)).len() <= message.len() + 28);
            }
        }
    }
}
