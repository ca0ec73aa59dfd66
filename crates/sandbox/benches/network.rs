//! What a run's network costs: making and removing it, a connection that is refused, and the way to a declared host beside plain loopback.
//! Tables for the README: `scripts/bench network`.
//!
//! The engine is this very program, so that both sides are measured by the same code.

use std::{
    env, fs,
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs},
    process::ExitCode,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use model::{
    manifest::ClusterSize,
    network::{HostRule, NetworkPolicy},
    run::{Exit, Limits, RunSpec},
};
use sandbox::{
    Outside, Rootfs, Sandbox,
    local::{Helper, Local},
};

const NETWORKS: usize = 100;
const REFUSALS: usize = 2_000;
const ROUNDS: usize = 5;
/// Sent each way and round.
const BYTES: u64 = 512 << 20;
const BLOCK: usize = 256 << 10;
const HOST: &str = "api.example.com";

#[allow(clippy::print_stdout, reason = "a benchmark's result is what it prints")]
fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    match words.first().map(String::as_str) {
        Some("sandbox-helper") => sandbox::helper_main(),
        Some("engine") => {
            engine(words[1].parse().expect("a port"));
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    let port = host();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let outside = Outside::with(move |_, _| Ok(vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port))]), |_| true);
    let local = Local::with_outside(dir.path().join("scratch"), Helper::default(), outside);
    let root = dir.path().join("root");
    image_of_this_program(&root);

    let (made, removed) = networks(&local);
    println!("| a run's network | median | least | most |\n|---|---|---|---|");
    println!("| made: namespace, device, addresses, routes, recorder | {} |", summary(&made));
    println!("| removed | {} |", summary(&removed));

    let spec = RunSpec {
        args: ["/engine", "engine", &port.to_string()].map(str::to_owned).to_vec(),
        env: Vec::new(),
        working_dir: "/".to_owned(),
        user: String::new(),
        limits: Limits { milli_cpus: 4000, ..Limits::certification(ClusterSize::Small, None) },
        files: Vec::new(),
        network: NetworkPolicy::Declared(vec![HostRule::parse(HOST).expect("a host")]),
        read_only_root: false,
    };
    let session = local.open("bench").expect("a session");
    let rootfs = Rootfs { lower: vec![root] };
    let record = session.start(&rootfs, &spec, Arc::new(|_| ())).and_then(|running| running.wait()).expect("a run");
    assert_eq!(record.exit, Exit::Exited { code: 0 }, "{record:#?}");
    let said = |key: &str| record.log.iter().find_map(|line| line.text.strip_prefix(key)).expect("the engine says it").to_owned();
    println!("\n| from inside | median | least | most |\n|---|---|---|---|\n| a refused connection |{} |", said("refused"));

    println!("\n| {} MB in one connection, {ROUNDS} rounds | median | of loopback |\n|---|---|---|", BYTES / 1_000_000);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    for way in [Way::Up, Way::Down] {
        let plain = speed(&address, way);
        let through: f64 = said(way.name()).trim().parse().expect("a number");
        println!("| {}, through the recorder | {through:.0} MB/s | {:.2}x |", way.name(), through / plain);
        println!("| {}, plain loopback | {plain:.0} MB/s | 1.00x |", way.name());
    }
    ExitCode::SUCCESS
}

/// This program, its loader and its libraries.
fn image_of_this_program(root: &std::path::Path) {
    let own = env::current_exe().expect("this program");
    let maps = fs::read_to_string("/proc/self/maps").expect("/proc");
    let mut files: Vec<String> =
        maps.lines().filter_map(|line| line.find('/').map(|at| line[at..].to_owned())).filter(|path| path.contains(".so")).collect();
    files.push("/lib64/ld-linux-x86-64.so.2".to_owned());
    files.push("/lib/ld-linux-aarch64.so.1".to_owned());
    files.sort();
    files.dedup();
    for file in files.iter().filter(|file| fs::metadata(file).is_ok()) {
        let target = root.join(file.trim_start_matches('/'));
        fs::create_dir_all(target.parent().expect("a folder")).expect("a folder");
        fs::copy(file, target).expect("a copy");
    }
    fs::create_dir_all(root).expect("a folder");
    fs::copy(own, root.join("engine")).expect("a copy");
}

fn networks(local: &Local) -> (Vec<Duration>, Vec<Duration>) {
    drop(local.open("bench").expect("a session"));
    let one = |_| {
        let began = Instant::now();
        let session = local.open("bench").expect("a session");
        let made = began.elapsed();
        drop(session);
        (made, began.elapsed() - made)
    };
    (0..NETWORKS).map(one).unzip()
}

/// What runs inside.
#[allow(clippy::print_stdout, reason = "it is how an engine speaks")]
fn engine(port: u16) {
    let nowhere = SocketAddr::from(([192, 0, 2, 1], 443));
    let refused = |_| {
        let began = Instant::now();
        let answer = TcpStream::connect_timeout(&nowhere, Duration::from_secs(5));
        let time = began.elapsed();
        assert_eq!(answer.expect_err("it is refused").kind(), io::ErrorKind::ConnectionRefused);
        time
    };
    println!("refused {}", summary(&(0..REFUSALS).map(refused).collect::<Vec<_>>()));
    for way in [Way::Up, Way::Down] {
        println!("{} {}", way.name(), speed(&(HOST, port), way));
    }
}

/// From the engine's point of view.
#[derive(Clone, Copy)]
enum Way {
    Up,
    Down,
}

impl Way {
    fn name(self) -> &'static str {
        match self {
            Self::Up => "sent",
            Self::Down => "received",
        }
    }
}

/// Takes or gives as much as it is asked for, and says when it has it all.
fn host() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || serve(stream));
        }
    });
    port
}

fn serve(mut stream: TcpStream) -> io::Result<()> {
    let mut way = [0];
    stream.read_exact(&mut way)?;
    if way == [1] {
        take(&mut stream)?;
        stream.write_all(&[1])
    } else {
        give(&mut stream)
    }
}

fn take(stream: &mut TcpStream) -> io::Result<()> {
    let mut block = vec![0; BLOCK];
    let mut left = BYTES;
    while left > 0 {
        match stream.read(&mut block)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => left -= read as u64,
        }
    }
    Ok(())
}

fn give(stream: &mut TcpStream) -> io::Result<()> {
    let block = vec![7; BLOCK];
    (0..BYTES / BLOCK as u64).try_for_each(|_| stream.write_all(&block))
}

/// Median in megabytes a second, counted until the last byte was taken.
fn speed(address: &impl ToSocketAddrs, way: Way) -> f64 {
    let once = |_| {
        let mut stream = TcpStream::connect(address).expect("the host is declared");
        let began = Instant::now();
        let done = match way {
            Way::Up => stream.write_all(&[1]).and_then(|()| give(&mut stream)).and_then(|()| stream.read_exact(&mut [0])),
            Way::Down => stream.write_all(&[0]).and_then(|()| take(&mut stream)),
        };
        done.expect("nothing is cut off");
        BYTES as f64 / began.elapsed().as_secs_f64() / 1e6
    };
    let mut speeds: Vec<f64> = (0..ROUNDS).map(once).collect();
    speeds.sort_by(f64::total_cmp);
    speeds[ROUNDS / 2]
}

fn summary(times: &[Duration]) -> String {
    let mut times = times.to_vec();
    times.sort();
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    format!("{:.0} µs | {:.0} µs | {:.0} µs", micros(times[times.len() / 2]), micros(times[0]), micros(times[times.len() - 1]))
}
