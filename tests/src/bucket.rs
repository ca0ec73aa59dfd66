//! A real S3 service in a process of its own, with one bucket, for tests of what keeps blobs there.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use store::blobs::S3Options;
use tempfile::TempDir;

/// Name of the bucket.
pub const BUCKET: &str = "plimsoll";
/// Put before the names of all objects.
pub const PREFIX: &str = "test/gate";
/// The secret of the one account, to look for where it must not be.
pub const SECRET: &str = "a-secret-nobody-may-see";

const ACCESS: &str = "test-access";

/// The service, running or not. Its objects are files in a folder.
pub struct Bucket {
    folder: TempDir,
    program: PathBuf,
    process: Option<Child>,
    address: String,
}

impl Bucket {
    /// Starts a service on a new folder; `program` is this package's binary `s3-server`.
    pub fn start(program: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(BUCKET)).unwrap();
        let mut bucket = Self { folder, program: program.into(), process: None, address: "127.0.0.1:0".into() };
        bucket.again();
        bucket
    }

    /// Starts it again, on the same folder and address.
    ///
    /// # Panics
    /// When it does not start.
    #[track_caller]
    pub fn again(&mut self) {
        let mut command = Command::new(&self.program);
        command.arg(self.folder.path()).args([&self.address, ACCESS, SECRET]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        self.process = Some(child);
        assert!(line.contains(':'), "the S3 service did not start");
        line.trim().clone_into(&mut self.address);
    }

    /// Ends it at once.
    ///
    /// # Panics
    /// When it is not running.
    pub fn stop(&mut self) {
        let mut child = self.process.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// How the store is told of it.
    pub fn options(&self) -> S3Options {
        S3Options {
            bucket: BUCKET.into(),
            prefix: PREFIX.into(),
            endpoint: format!("http://{}", self.address),
            region: "us-east-1".into(),
            access_key_id: ACCESS.into(),
            secret_access_key: SECRET.into(),
            environment: Vec::new(),
        }
    }

    /// How a server is told of it.
    pub fn settings(&self) -> Vec<(String, String)> {
        let set = |key: &str, value: &str| (format!("PLIMSOLL_STORAGE__{key}"), value.to_owned());
        vec![
            set("URL", &format!("s3://{BUCKET}/{PREFIX}")),
            set("ENDPOINT", &format!("http://{}", self.address)),
            set("REGION", "us-east-1"),
            set("ACCESS_KEY_ID", ACCESS),
            set("SECRET_ACCESS_KEY", SECRET),
        ]
    }

    /// Bytes of all objects of blobs.
    pub fn stored(&self) -> u64 {
        fn sum(folder: &Path) -> u64 {
            let Ok(entries) = fs::read_dir(folder) else { return 0 };
            entries
                .map(|entry| entry.unwrap().path())
                .map(|path| if path.is_dir() { sum(&path) } else { path.metadata().unwrap().len() })
                .sum()
        }
        sum(&self.folder.path().join(BUCKET).join(PREFIX).join("blobs"))
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        if self.process.is_some() {
            self.stop();
        }
    }
}
