//! Programs and images that mean harm, each pushed through the real gate. Nothing reaches this machine, the build gets a finding that says what was
//! tried, and the next good engine is certified. Ends with one table, which `scripts/test` prints.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test fails by panicking, in its helpers too")]

use std::{
    fmt::Write as _,
    fs,
    net::{Ipv4Addr, TcpListener, UdpSocket},
    path::PathBuf,
};

use e2e::{
    api::{Api, Build},
    built,
    cache::kept,
    engine::Keyword,
    leftover,
    program::{program, run},
    registry::Registry,
    server::Server,
    sources,
};
use image::{
    Compression, Platform,
    pack::{File, Pack},
};
use model::digest::Digest;
use serde_json::{Value, json};

const PLAIN: &str = "application/vnd.oci.image.layer.v1.tar";
const GZIPPED: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// The programs, compiled.
fn attempts() -> PathBuf {
    let source = sources().join("tests/hostile/attempt.c");
    let name = format!("attempt-{}", Digest::of(&fs::read(&source).unwrap()).short());
    kept(&name, |unfinished| {
        run(program("gcc").args(["-static", "-Os", "-s", "-w", "-o"]).arg(unfinished).arg(&source)).succeeded();
    })
}

/// One thing that is tried.
struct Attempt {
    name: &'static str,
    words: Vec<String>,
    /// What is put on top of the program.
    layers: Vec<Layer>,
    user: &'static str,
    /// Words that one of the build's findings must have.
    told: &'static [&'static str],
}

enum Layer {
    Files(Vec<File>),
    Raw(Vec<u8>, &'static str),
}

fn attempt(name: &'static str, words: &[&str], told: &'static [&'static str]) -> Attempt {
    Attempt { name, words: words.iter().map(|word| (*word).to_owned()).collect(), layers: Vec::new(), user: "", told }
}

impl Attempt {
    fn with(mut self, layer: Layer) -> Self {
        self.layers.push(layer);
        self
    }

    /// Where to, for one that connects.
    fn place(&self) -> String {
        if self.words[0] == "connect" { format!(" {} port {}", self.words[1], self.words[2]) } else { String::new() }
    }

    fn pack(&self, engine: &str) -> Pack {
        let manifest = json!({
            "engineId": engine, "category": "keyword", "engineMode": "batch", "preferredInputFormat": "text/plain",
            "supportedInputFormats": ["text/plain"], "outputFormats": ["application/json"], "clusterSize": "small",
        });
        let program = File::new("attempt", 0o755, fs::read(attempts()).unwrap());
        let pack = Pack::new(Platform::new("linux", "amd64")).compression(Compression::None).layer(vec![program]);
        let pack = pack.layer(vec![File::new("var/manifest.json", 0o644, manifest.to_string()), File::dir("tmp", 0o1777)]);
        let pack = self.layers.iter().fold(pack, |pack, layer| match layer {
            Layer::Files(files) => pack.layer(files.clone()),
            Layer::Raw(bytes, media_type) => pack.with_raw_layer(bytes.clone(), media_type),
        });
        pack.entrypoint(["/attempt"].into_iter().chain(self.words.iter().map(String::as_str))).user(self.user).tag("v1")
    }
}

/// An entry of an archive as no packer would write it.
fn entry(name: &str, kind: u8, link: &str, device: (u32, u32), content: &[u8]) -> Vec<u8> {
    let mut header = vec![0_u8; 512];
    let mut put = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, "0000666");
    put(108, "0000000");
    put(116, "0000000");
    put(124, &format!("{:011o}", content.len()));
    put(136, "00000000000");
    put(148, "        ");
    put(157, link);
    put(257, "ustar");
    put(263, "00");
    put(329, &format!("{:07o}", device.0));
    put(337, &format!("{:07o}", device.1));
    header[156] = kind;
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    header.extend_from_slice(content);
    header.resize(header.len().next_multiple_of(512), 0);
    header
}

fn archive(entries: &[Vec<u8>]) -> Layer {
    Layer::Raw([entries.concat(), vec![0; 1024]].concat(), PLAIN)
}

/// Ten gigabytes of zeros in ten megabytes.
fn bomb() -> Layer {
    let script = "
import gzip, sys
name, size = b'zeros', 10 << 30
head = bytearray(512)
head[0:5] = name; head[100:107] = b'0000644'; head[108:115] = b'0000000'; head[116:123] = b'0000000'
head[124:136] = b'\\x80' + size.to_bytes(11, 'big'); head[136:147] = b'0' * 11; head[148:156] = b' ' * 8; head[156] = 48
head[257:262] = b'ustar'; head[263:265] = b'00'
head[148:155] = b'%06o\\0' % sum(head)
block = gzip.compress(bytes(1 << 26), 9)
with open(sys.argv[1], 'wb') as out:
    out.write(gzip.compress(bytes(head)))
    for _ in range(160): out.write(block)
    out.write(gzip.compress(bytes(1024)))
";
    let file = kept("bomb.tar.gz", |unfinished| {
        run(program("python3").args(["-c", script]).arg(unfinished)).succeeded();
    });
    Layer::Raw(fs::read(file).unwrap(), GZIPPED)
}

/// What only needs the program: its argument, and what a finding must say.
fn calls() -> Vec<Attempt> {
    let refused = |name, word, told| attempt(name, &[word], told);
    vec![
        refused("mount", "mount", &["behaviour.attack", "mount"]),
        refused("pivot_root", "pivot_root", &["behaviour.attack", "pivot_root"]),
        refused("ptrace", "ptrace", &["behaviour.refused", "ptrace"]),
        refused("keyctl", "keyctl", &["behaviour.refused", "keyctl"]),
        refused("bpf", "bpf", &["behaviour.attack", "bpf"]),
        refused("userfaultfd", "userfaultfd", &["behaviour.refused", "userfaultfd"]),
        refused("io_uring", "io_uring", &["behaviour.unusual", "io_uring_setup"]),
        refused("AF_VSOCK", "vsock", &["behaviour.attack", "AF_VSOCK"]),
        refused("AF_PACKET", "packet", &["behaviour.attack", "AF_PACKET"]),
        refused("unshare(NEWUSER)", "unshare", &["behaviour.refused", "unshare(NEWUSER)"]),
        refused("setns", "setns", &["behaviour.attack", "setns"]),
        refused("mknod of a disk", "mknod", &["behaviour.attack", "mknod(device)"]),
        refused("fork bomb", "fork-bomb", &["run.pids", "1024"]),
        refused("memory hog", "memory-hog", &["run.memory", "512 MiB"]),
        refused("fills its disk and /tmp", "fill", &["run.files", "384 MiB"]),
        refused("300,000 files", "many-files", &["run.files", "200000"]),
        refused("a gigabyte of log in one line", "log-line", &["run.log", "longer than"]),
        refused("daemonises away", "daemonise", &["run.task", "stay behind as a daemon"]),
        refused("writes to /proc/sys", "sysctl", &["run.task", "/proc/sys/kernel/core_pattern: "]),
        attempt("reads host environment", &["environ", "PLIMSOLL_ADMIN_PASSWORD"], &["run.task", "/proc/*/environ"]),
    ]
}

/// What lies in the image itself. `outside` is a folder of this machine.
fn images(outside: &str) -> Vec<Attempt> {
    let su = File::new("su", 0o4755, fs::read(attempts()).unwrap());
    let node = archive(&[entry("node", b'4', "", (254, 0), b""), entry("zero", b'3', "", (1, 5), b"")]);
    let through = archive(&[entry("out", b'2', outside, (0, 0), b""), entry("out/caught", b'0', "", (0, 0), b"x")]);
    let hard = archive(&[entry("shadow", b'1', "../../../../../../etc/shadow", (0, 0), b"")]);
    vec![
        Attempt { user: "65534", ..attempt("setuid binary", &["setuid"], &["run.task", "still an ordinary user"]) }
            .with(Layer::Files(vec![su])),
        attempt("device nodes", &["devices"], &["layers.device", "node"]).with(node),
        attempt("symbolic link out, then a file through it", &["nothing"], &["out/caught"]).with(through),
        attempt("hard link out of the root", &["nothing"], &["shadow"]).with(hard),
        attempt("10 GB of zeros in 10 MB", &["nothing"], &["layers", "times"]).with(bomb()),
    ]
}

/// Addresses nobody here may reach.
fn connects(port: u16) -> Vec<Attempt> {
    let own =
        UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).and_then(|socket| socket.connect("192.0.2.1:9").and_then(|()| socket.local_addr()));
    let mut targets = vec![
        ("192.0.2.1".to_owned(), 80),
        ("2001:db8::1".to_owned(), 443),
        ("169.254.169.254".to_owned(), 80),
        ("8.8.8.8".to_owned(), 53),
        ("127.0.0.1".to_owned(), port),
    ];
    targets.extend(own.ok().map(|address| (address.ip().to_string(), port)));
    let connect = |(address, port): (String, u16)| Attempt {
        // Its own loopback is no way out, so that attempt stands in the program's own line alone.
        told: if address == "127.0.0.1" { &["connect"] } else { &["network."] },
        words: vec!["connect".to_owned(), address, port.to_string()],
        ..attempt("connects to", &[], &[])
    };
    targets.into_iter().map(connect).collect()
}

/// An engine that does its work and does not want to end.
fn deaf(engine: &str) -> Pack {
    let ignore = include_str!("../hostile/deaf.txt").trim_end();
    Keyword::new(engine).with_line("let port = ", ignore).pack()
}

/// What the program said of itself.
fn outcome(build: &Build) -> Vec<&str> {
    let log = build.0["report"]["testLog"].as_array().into_iter().flatten();
    log.filter_map(Value::as_str).filter_map(|line| line.strip_prefix("tried ")).collect()
}

fn holds(finding: &Value, words: &[&str]) -> bool {
    let text = finding.to_string();
    words.iter().all(|word| text.contains(word))
}

/// The finding that tells of an attempt: its code and title, or what is missing.
fn told(build: &Build, words: &[&str]) -> Result<String, String> {
    let findings = build.0["findings"].as_array().unwrap();
    let finding = findings.iter().find(|finding| holds(finding, words));
    let text = |finding: &Value, field: &str| finding[field].as_str().unwrap().to_owned();
    match finding {
        Some(finding) => Ok(format!("{}: {}", text(finding, "code"), text(finding, "title"))),
        None => Err(format!("no finding says {words:?}: {:#}", build.0["findings"])),
    }
}

#[track_caller]
fn push(server: &Server, api: &Api, number: usize, make: &dyn Fn(&str) -> Pack) -> String {
    let engine = api.create_engine(&format!("Attempt {number}"), "keyword");
    Registry::of(server).push(&make(&engine).build().unwrap(), &format!("1/attempt-{number}"), "v1");
    engine
}

#[test]
fn whatever_is_tried_is_told_and_nothing_is_reached() {
    let server = Server::start();
    let api = server.api();
    let outside = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let core_pattern = fs::read("/proc/sys/kernel/core_pattern").unwrap();

    let attempts: Vec<Attempt> = calls()
        .into_iter()
        .chain(images(outside.path().to_str().unwrap()))
        .chain(connects(listener.local_addr().unwrap().port()))
        .collect();
    let engines: Vec<String> =
        attempts.iter().enumerate().map(|(number, attempt)| push(&server, &api, number, &|engine| attempt.pack(engine))).collect();
    let stubborn = push(&server, &api, attempts.len(), &deaf);

    let mut table = String::from("| attempt | outcome | finding |\n|---|---|---|\n");
    let mut problems = Vec::new();
    for (attempt, engine) in attempts.iter().zip(&engines) {
        let build = api.verdict(engine);
        let name = [attempt.name, &attempt.place()].concat();
        let outcome = outcome(&build);
        if build.status() != "invalid" || outcome.iter().any(|line| line.contains("WORKED") || line.contains("FOUND")) {
            problems.push(format!("{name} is {}: {outcome:#?}", build.status()));
        }
        let finding = told(&build, attempt.told).unwrap_or_else(|missing| {
            problems.push(format!("{name}: {missing}"));
            "-".to_owned()
        });
        let outcome = if outcome.is_empty() { "was never started, or ended in the attempt".to_owned() } else { outcome.join("; ") };
        writeln!(table, "| {name} | {outcome} | {finding} |").unwrap();
        assert_eq!(leftover::of(&leftover::run_of(build.id())), Vec::<String>::new(), "{name}");
    }
    let build = api.verdict(&stubborn).is("available");
    let finding = told(&build, &["behaviour.sigterm"]).unwrap();
    writeln!(table, "| ignores SIGTERM | killed when its work was done | {finding} |").unwrap();
    println!("{table}");
    assert!(problems.is_empty(), "{}", problems.join("\n"));

    assert_eq!(fs::read("/proc/sys/kernel/core_pattern").unwrap(), core_pattern);
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0, "a layer wrote outside");
    assert!(listener.accept().is_err(), "somebody reached a port of this machine");
    let engine = api.create_engine("Good after bad", "keyword");
    Registry::of(&server).push(&Keyword::new(&engine).pack().build().unwrap(), "1/good", "v1");
    api.verdict(&engine).is("available");
    server.is_well();
    fs::write(built().parent().unwrap().join("hostile.md"), table).unwrap();
}
