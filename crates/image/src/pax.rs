//! Extended headers of POSIX tar: `LENGTH KEY=VALUE\n`, for the next member (`x`) or for all that follow (`g`).

/// The keys that mean something to an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pax {
    pub path: Option<Vec<u8>>,
    pub link: Option<Vec<u8>>,
    pub size: Option<u64>,
    pub uid: Option<u64>,
    pub gid: Option<u64>,
    /// Seconds since 1970 and nanoseconds.
    pub mtime: Option<(i64, u32)>,
    /// A sparse file in one of the pax forms: what is stored is not the file's content.
    pub sparse: bool,
    /// The real size of a sparse file.
    pub sparse_size: Option<u64>,
}

impl Pax {
    /// Adds the records of one header. An empty value takes an earlier one back. `None` if a record is malformed.
    pub fn apply(&mut self, mut bytes: &[u8]) -> Option<()> {
        while !bytes.is_empty() {
            let (key, value, rest) = record(bytes)?;
            self.set(key, value)?;
            bytes = rest;
        }
        Some(())
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        match key {
            b"path" => self.path = path(value)?,
            b"linkpath" => self.link = path(value)?,
            b"size" => self.size = decimal(value)?,
            b"uid" => self.uid = decimal(value)?,
            b"gid" => self.gid = decimal(value)?,
            b"mtime" => self.mtime = time(value)?,
            b"GNU.sparse.name" => (self.path, self.sparse) = (path(value)?, true),
            b"GNU.sparse.realsize" | b"GNU.sparse.size" => (self.sparse_size, self.sparse) = (decimal(value)?, true),
            _ if key.starts_with(b"GNU.sparse.") => self.sparse = true,
            _ => {}
        }
        Some(())
    }
}

/// Cuts one record off: key, value, what follows.
fn record(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = bytes.iter().take(20).position(|&byte| byte == b' ')?;
    let length = usize::try_from(decimal(bytes.get(..space)?)??).ok()?;
    let body = bytes.get(space + 1..length)?.strip_suffix(b"\n")?;
    let equals = body.iter().position(|&byte| byte == b'=')?;
    Some((&body[..equals], &body[equals + 1..], bytes.get(length..)?))
}

/// A path cannot contain NUL.
fn path(value: &[u8]) -> Option<Option<Vec<u8>>> {
    if value.contains(&0) {
        return None;
    }
    Some((!value.is_empty()).then(|| value.to_vec()))
}

fn decimal(value: &[u8]) -> Option<Option<u64>> {
    if value.is_empty() {
        return Some(None);
    }
    let add = |sum: u64, &byte: &u8| byte.is_ascii_digit().then(|| sum.checked_mul(10)?.checked_add(u64::from(byte - b'0')))?;
    value.iter().try_fold(0, add).map(Some)
}

/// Decimal seconds, perhaps negative, perhaps with a fraction of which nine digits count.
fn time(value: &[u8]) -> Option<Option<(i64, u32)>> {
    let (negative, digits) = value.strip_prefix(b"-").map_or((false, value), |rest| (true, rest));
    let mut parts = digits.splitn(2, |&byte| byte == b'.');
    let Some(seconds) = decimal(parts.next()?)? else { return value.is_empty().then_some(None) };
    let fraction = parts.next().unwrap_or_default();
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let nanos = (0..9).fold(0, |sum, at| sum * 10 + fraction.get(at).map_or(0, |digit| u32::from(digit - b'0')));
    let seconds = i64::try_from(seconds).ok()?;
    Some(Some(match (negative, nanos) {
        (false, _) => (seconds, nanos),
        (true, 0) => (-seconds, 0),
        (true, _) => (-seconds - 1, 1_000_000_000 - nanos),
    }))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A record as an archive has it.
    pub(crate) fn written(key: &str, value: &str) -> Vec<u8> {
        let body = format!(" {key}={value}\n");
        let length = (1..).find(|n: &usize| n.to_string().len() + body.len() == *n).unwrap();
        format!("{length}{body}").into_bytes()
    }

    fn read(text: &[u8]) -> Option<Pax> {
        let mut pax = Pax::default();
        pax.apply(text).map(|()| pax)
    }

    #[test]
    fn reads_records() {
        let pax =
            read(&[written("path", "a/b"), written("size", "7"), written("mtime", "1350244992.5"), written("comment", "a\nb=c")].concat())
                .unwrap();
        assert_eq!(pax.path.as_deref(), Some(&b"a/b"[..]));
        assert_eq!((pax.size, pax.mtime), (Some(7), Some((1_350_244_992, 500_000_000))));
    }

    #[test]
    fn an_empty_value_takes_the_former_back() {
        let mut pax = read(b"12 path=a/b\n").unwrap();
        pax.apply(b"8 path=\n").unwrap();
        assert_eq!(pax.path, None);
    }

    #[test]
    fn refuses_malformed_records() {
        for bad in [
            &b"12 path=a/b"[..],
            b"13 path=a/b\n",
            b"11 path=a/b\n",
            b"0 x=\n",
            b"3 \n",
            b"path=a\n",
            b"99999999999999999999 a=b\n",
            b"8 path\n\n",
            b"11 path=a\0b\n",
            b"11 size=12x\n",
        ] {
            assert_eq!(read(bad), None, "{:?}", String::from_utf8_lossy(bad));
        }
    }

    #[test]
    fn times_before_1970() {
        assert_eq!(time(b"-1.25"), Some(Some((-2, 750_000_000))));
        assert_eq!(time(b"-3"), Some(Some((-3, 0))));
        assert_eq!(time(b"1.x"), None);
    }

    #[test]
    fn notes_pax_sparse_files() {
        let pax = read(&[written("GNU.sparse.name", "a.bin"), written("GNU.sparse.realsize", "4096")].concat()).unwrap();
        assert!(pax.sparse);
        assert_eq!((pax.path.as_deref(), pax.sparse_size), (Some(&b"a.bin"[..]), Some(4096)));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(bytes: Vec<u8>) {
            let _ = read(&bytes);
        }

        #[test]
        fn reads_what_was_written(value in "[^\0]{1,60}") {
            let pax = read(&written("path", &value));
            proptest::prop_assert_eq!(pax.unwrap().path.unwrap(), value.into_bytes());
        }
    }
}
