//! Tries to get out of a sandbox in the ways it is told to, and says what came of each: `name=ok` or the error number. Compiled by the tests with
//! nothing but the standard library, so that it runs in an empty root file system.

use std::{
    env,
    ffi::c_int,
    io::{Error, Read, Result, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, SocketAddrV6, TcpStream, ToSocketAddrs, UdpSocket},
    time::{Duration, Instant},
};

// SAFETY of every call below: numbers, and pointers to slices that live until the call returns, with their lengths. What succeeds against expectation
// at worst makes a file descriptor of this short-lived program.
unsafe extern "C" {
    fn socket(family: c_int, kind: c_int, protocol: c_int) -> c_int;
    fn connect(fd: c_int, address: *const u8, length: u32) -> c_int;
    fn sendto(fd: c_int, bytes: *const u8, length: usize, flags: c_int, address: *const u8, address_length: u32) -> isize;
    fn syscall(number: i64, a: u64, b: u64, c: u64, d: u64) -> i64;
}

const PATIENCE: Duration = Duration::from_secs(20);

fn main() {
    for word in env::args().skip(1) {
        let parts: Vec<&str> = word.split(',').collect();
        let outcome = match attempt(&parts) {
            Ok(said) => said,
            Err(error) => error.raw_os_error().map_or_else(|| error.to_string(), |number| number.to_string()),
        };
        println!("{word}={outcome}");
    }
}

fn attempt(parts: &[&str]) -> Result<String> {
    match *parts {
        ["tcp", to] => TcpStream::connect_timeout(&address(to)?, PATIENCE).map(|_| "ok".to_owned()),
        ["many", first, count] => many(first, count.parse().unwrap()),
        ["timed", to, count] => timed(address(to)?, count.parse().unwrap()),
        ["ask", to, text] => ask(to, text.as_bytes()),
        ["hello", to, name] => ask(to, &client_hello(name)),
        ["upload", to, bytes] => upload(to, bytes.parse().unwrap()),
        ["udp", to] => udp(address(to)?, b"hello"),
        ["linklocal"] => udp(SocketAddrV6::new("fe80::1".parse().unwrap(), 9, 0, 2).into(), b"hello"),
        ["dns", to, name] => udp(address(to)?, &query(name)),
        ["join", group] => join(group.parse().unwrap()),
        ["icmp"] => raw(2, 2, 1, v4([8, 8, 4, 4], 0), &[8, 0, 0xf7, 0xff, 0, 0, 0, 0], 0),
        ["icmp6"] => raw(10, 2, 58, v6("2001:db8::7".parse().unwrap(), 0), &[128, 0, 0, 0, 0, 0, 0, 0], 0),
        ["raw"] => raw(2, 3, 255, v4([8, 8, 4, 4], 0), &[0; 20], 0),
        ["gre"] => raw(2, 3, 47, v4([8, 8, 4, 4], 0), &[0; 16], 0),
        ["udplite", port] => raw(2, 2, 136, v4([9, 9, 9, 9], port.parse().unwrap()), b"hello", 0),
        ["fastopen", port] => raw(2, 1, 0, v4([5, 6, 7, 8], port.parse().unwrap()), b"hi", 0x2000_0000),
        ["mptcp", port] => mptcp(port.parse().unwrap()),
        // SAFETY: io_uring_setup with a null pointer for its parameters: the kernel refuses it or makes a descriptor, and touches no memory of ours.
        ["io_uring"] => answer(unsafe { syscall(425, 4, 0, 0, 0) }),
        // SAFETY: socket(2) takes plain numbers.
        ["family", family, kind] => answer(unsafe { socket(family.parse().unwrap(), kind.parse().unwrap(), 0) }.into()),
        ref other => panic!("no attack {other:?}"),
    }
}

fn answer(number: i64) -> Result<String> {
    if number < 0 { Err(Error::last_os_error()) } else { Ok("ok".to_owned()) }
}

fn address(to: &str) -> Result<SocketAddr> {
    to.to_socket_addrs()?.next().ok_or_else(|| Error::other("no address"))
}

fn udp(to: SocketAddr, bytes: &[u8]) -> Result<String> {
    let any: IpAddr = if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0))?;
    socket.set_broadcast(true)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.connect(to)?;
    socket.send(bytes)?;
    let group = match to.ip() {
        IpAddr::V4(ip) => ip.is_multicast() || ip.is_broadcast(),
        IpAddr::V6(ip) => ip.is_multicast(),
    };
    if group {
        return Ok("sent".to_owned());
    }
    let mut answer = [0; 512];
    let length = socket.recv(&mut answer)?;
    Ok(format!("{length} bytes"))
}

fn join(group: IpAddr) -> Result<String> {
    match group {
        IpAddr::V4(group) => {
            let socket = UdpSocket::bind("0.0.0.0:0")?;
            socket.join_multicast_v4(&group, &Ipv4Addr::UNSPECIFIED)?;
            std::mem::forget(socket);
        }
        IpAddr::V6(group) => {
            let socket = UdpSocket::bind("[::]:0")?;
            socket.join_multicast_v6(&group, 0)?;
            std::mem::forget(socket);
        }
    }
    // The kernel takes its time to tell the routers.
    std::thread::sleep(Duration::from_millis(1500));
    Ok("ok".to_owned())
}

/// Connects to as many ports, one after the other.
fn many(host: &str, count: u16) -> Result<String> {
    let ip: IpAddr = host.parse().unwrap();
    let refused = (1..=count).filter(|port| TcpStream::connect_timeout(&(ip, *port).into(), PATIENCE).is_err()).count();
    Ok(refused.to_string())
}

/// The median time of a connect, microseconds.
fn timed(to: SocketAddr, count: usize) -> Result<String> {
    let mut times: Vec<u128> = (0..count)
        .map(|_| {
            let began = Instant::now();
            let _ = TcpStream::connect(to);
            began.elapsed().as_nanos()
        })
        .collect();
    times.sort_unstable();
    Ok(format!("{:.1}", times[count / 2] as f64 / 1e3))
}

fn open(to: &str) -> Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address(to)?, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Says something and tells the answer.
fn ask(to: &str, question: &[u8]) -> Result<String> {
    let mut stream = open(to)?;
    stream.write_all(question)?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Sends so many bytes, and says what the other side counted and how fast it was, MB/s.
fn upload(to: &str, mut left: usize) -> Result<String> {
    let mut stream = open(to)?;
    let (block, total, began) = (vec![7; 1 << 18], left, Instant::now());
    while left > 0 {
        let part = left.min(block.len());
        stream.write_all(&block[..part])?;
        left -= part;
    }
    stream.shutdown(Shutdown::Write)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(format!("{answer} {:.0}", total as f64 / 1e6 / began.elapsed().as_secs_f64()))
}

fn query(name: &str) -> Vec<u8> {
    let mut message = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        message.push(label.len() as u8);
        message.extend(label.bytes());
    }
    message.extend([0, 0, 16, 0, 1]);
    message
}

fn with_length(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u16).to_be_bytes(), bytes].concat()
}

/// The greeting of a TLS client that asks for a name.
fn client_hello(name: &str) -> Vec<u8> {
    let entry = [&[0][..], &with_length(name.as_bytes())].concat();
    let extensions = [&[0, 0][..], &with_length(&with_length(&entry))].concat();
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.extend([0, 0, 2, 0x13, 1, 1, 0]);
    body.extend(with_length(&extensions));
    let handshake = [&[1, 0][..], &with_length(&body)].concat();
    [&[22, 3, 1][..], &with_length(&handshake)].concat()
}

fn v4(ip: [u8; 4], port: u16) -> Vec<u8> {
    let mut address = vec![2, 0];
    address.extend(port.to_be_bytes());
    address.extend(ip);
    address.extend([0; 8]);
    address
}

fn v6(ip: Ipv6Addr, port: u16) -> Vec<u8> {
    let mut address = vec![10, 0];
    address.extend(port.to_be_bytes());
    address.extend([0; 4]);
    address.extend(ip.octets());
    address.extend([0; 4]);
    address
}

fn raw(family: c_int, kind: c_int, protocol: c_int, to: Vec<u8>, bytes: &[u8], flags: c_int) -> Result<String> {
    // SAFETY: socket(2) takes plain numbers.
    let fd = unsafe { socket(family, kind, protocol) };
    if fd < 0 {
        return Err(Error::last_os_error());
    }
    // SAFETY: both pointers come with the lengths of the vectors they point into, which live until the call returns.
    let sent = unsafe { sendto(fd, bytes.as_ptr(), bytes.len(), flags, to.as_ptr(), to.len() as u32) };
    answer(sent as i64)
}

fn mptcp(port: u16) -> Result<String> {
    // SAFETY: socket(2) takes plain numbers.
    let fd = unsafe { socket(2, 1, 262) };
    if fd < 0 {
        return Err(Error::last_os_error());
    }
    let to = v4([7, 7, 7, 7], port);
    // SAFETY: the pointer comes with the length of the vector it points into, which lives until the call returns.
    answer(unsafe { connect(fd, to.as_ptr(), to.len() as u32) }.into())
}
