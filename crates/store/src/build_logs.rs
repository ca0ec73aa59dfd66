//! The log of each build: one file of JSON lines, appended as the lines come, so that it is there after a crash.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use model::{id::BuildId, run::LogLine};

use crate::error::Error;

/// Largest log kept of one build, bytes; later lines are dropped.
pub const MAX_BYTES: u64 = 8 << 20;

/// The folder of all logs.
#[derive(Clone, Debug)]
pub struct BuildLogs {
    dir: PathBuf,
}

/// An open log. Every line is handed to the system before `append` returns: it survives the process, not a power cut.
#[derive(Debug)]
pub struct BuildLog {
    path: PathBuf,
    file: File,
    size: u64,
}

impl BuildLogs {
    /// Uses `dir`, creating it if needed.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn open(dir: &Path) -> Result<Self, Error> {
        fs::create_dir_all(dir).map_err(|source| Error::file("create", dir, source))?;
        Ok(Self { dir: dir.into() })
    }

    fn path(&self, build: BuildId) -> PathBuf {
        self.dir.join(format!("{build}.jsonl"))
    }

    /// Opens the log of a build for appending. A half line left by a crash is ended first.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn append_to(&self, build: BuildId) -> Result<BuildLog, Error> {
        let path = self.path(build);
        let open = || -> io::Result<(File, u64)> {
            let mut file = OpenOptions::new().create(true).read(true).append(true).open(&path)?;
            let mut size = file.seek(SeekFrom::End(0))?;
            if size > 0 {
                let mut last = [0];
                std::os::unix::fs::FileExt::read_exact_at(&file, &mut last, size - 1)?;
                if last != *b"\n" {
                    file.write_all(b"\n")?;
                    size += 1;
                }
            }
            Ok((file, size))
        };
        let (file, size) = open().map_err(|source| Error::file("open", &path, source))?;
        Ok(BuildLog { path, file, size })
    }

    /// Lines from byte `offset` on and the offset to go on from. A build without a log has none.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn read(&self, build: BuildId, offset: u64) -> Result<(Vec<LogLine>, u64), Error> {
        let path = self.path(build);
        let read = || -> io::Result<(Vec<LogLine>, u64)> {
            let mut file = match File::open(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), 0)),
                opened => opened?,
            };
            file.seek(SeekFrom::Start(offset))?;
            let (mut lines, mut next, mut reader, mut text) = (Vec::new(), offset, BufReader::new(file), Vec::new());
            while reader.read_until(b'\n', &mut text)? > 0 {
                if text.last() != Some(&b'\n') {
                    break;
                }
                next += text.len() as u64;
                lines.extend(serde_json::from_slice::<LogLine>(&text));
                text.clear();
            }
            Ok((lines, next))
        };
        read().map_err(|source| Error::file("read", &path, source))
    }
}

impl BuildLog {
    /// Appends one line; false when the log is full and the line was dropped.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn append(&mut self, line: &LogLine) -> Result<bool, Error> {
        let Ok(mut text) = serde_json::to_vec(line) else { return Ok(false) };
        text.push(b'\n');
        if self.size + text.len() as u64 > MAX_BYTES {
            return Ok(false);
        }
        self.file.write_all(&text).map_err(|source| Error::file("append to", &self.path, source))?;
        self.size += text.len() as u64;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::run::Stream;

    fn line(text: &str) -> LogLine {
        LogLine { at_ms: 1, stream: Stream::Stdout, text: text.into() }
    }

    #[test]
    fn a_torn_line_does_not_spoil_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let logs = BuildLogs::open(dir.path()).unwrap();
        let build = BuildId(uuid::Uuid::from_u128(1));
        assert_eq!(logs.read(build, 0).unwrap(), (vec![], 0));
        logs.append_to(build).unwrap().append(&line("one")).unwrap();
        let mut torn = OpenOptions::new().append(true).open(logs.path(build)).unwrap();
        torn.write_all(b"{\"at_ms\":").unwrap();
        let (lines, next) = logs.read(build, 0).unwrap();
        assert_eq!(lines, [line("one")]);
        logs.append_to(build).unwrap().append(&line("two\nlines")).unwrap();
        assert_eq!(logs.read(build, 0).unwrap().0, [line("one"), line("two\nlines")]);
        assert_eq!(logs.read(build, next).unwrap().0, [line("two\nlines")]);
    }

    #[test]
    fn a_log_that_is_full_drops_lines() {
        let dir = tempfile::tempdir().unwrap();
        let logs = BuildLogs::open(dir.path()).unwrap();
        let mut log = logs.append_to(BuildId(uuid::Uuid::from_u128(1))).unwrap();
        let long = line(&"x".repeat(1 << 20));
        let kept = (0..10).filter(|_| log.append(&long).unwrap()).count();
        assert_eq!(kept, 7);
    }
}
