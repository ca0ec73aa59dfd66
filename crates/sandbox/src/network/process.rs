//! Whose socket is it? Found by the socket's number among the open files of the run's processes, as far as the host shows them.

use std::{fs, path::PathBuf};

use model::network::Process;

use crate::wire::packet::{ICMP, ICMP6, TCP, UDP, UDP_LITE};

/// Open files that are looked at for one socket.
const MOST_FILES: usize = 8192;
/// Characters of a program's name.
const MOST_NAME: usize = 200;

/// The process that has a socket on this local port. `members` are the files that list the run's processes.
///
/// To be asked on a thread inside the run's network, before the attempt is answered: the socket may be gone right after.
pub(super) fn owner(protocol: u8, port: u16, members: &[PathBuf]) -> Option<Process> {
    let tables: &[&str] = match protocol {
        TCP => &["tcp", "tcp6"],
        UDP => &["udp", "udp6"],
        UDP_LITE => &["udplite", "udplite6"],
        ICMP => &["icmp"],
        ICMP6 => &["icmp6"],
        _ => return None,
    };
    let read = |table: &&str| fs::read_to_string(format!("/proc/thread-self/net/{table}")).ok();
    let socket = tables.iter().filter_map(read).find_map(|table| socket_on(&table, port))?;
    holder(&format!("socket:[{socket}]"), members)
}

/// The number of the socket with this local port in a table such as `/proc/net/tcp`. Of several, one that is connected, or wants to be.
fn socket_on(table: &str, port: u16) -> Option<u64> {
    let mut found = None;
    for line in table.lines().skip(1) {
        let fields: Vec<&str> = line.split_ascii_whitespace().take(10).collect();
        let [_, local, remote, _, _, _, _, _, _, inode] = fields[..] else { continue };
        let local_port = local.rsplit_once(':').and_then(|(_, port)| u16::from_str_radix(port, 16).ok());
        // A socket that is closed already belongs to nobody.
        let Some(inode) = inode.parse::<u64>().ok().filter(|inode| *inode != 0) else { continue };
        if local_port == Some(port) {
            if !remote.ends_with(":0000") {
                return Some(inode);
            }
            found.get_or_insert(inode);
        }
    }
    found
}

fn holder(link: &str, members: &[PathBuf]) -> Option<Process> {
    let mut files_left = MOST_FILES;
    for list in members {
        let text = fs::read_to_string(list).unwrap_or_default();
        for pid in text.lines().filter_map(|line| line.trim().parse::<u32>().ok()) {
            for file in fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten() {
                if fs::read_link(file.path()).is_ok_and(|target| target.as_os_str() == link) {
                    return Some(describe(pid));
                }
                files_left = files_left.checked_sub(1)?;
            }
        }
    }
    None
}

fn describe(pid: u32) -> Process {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let inside = status.lines().find_map(|line| line.strip_prefix("NSpid:")?.split_ascii_whitespace().last()?.parse().ok());
    let program = fs::read_link(format!("/proc/{pid}/exe")).ok().map(|path| path.to_string_lossy().into_owned());
    let name = program.or_else(|| status.lines().find_map(|line| line.strip_prefix("Name:")).map(|name| name.trim().to_owned()));
    let name = name.unwrap_or_default().chars().map(|c| if c.is_control() { ' ' } else { c }).take(MOST_NAME).collect();
    Process { pid: inside.unwrap_or(pid), name }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        net::{TcpListener, TcpStream, UdpSocket},
    };

    use super::*;

    const TABLE: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0000 100 0 0 10 0
   1: 0200090A:9C40 08080808:01BB 02 00000000:00000000 01:00000000 00000000     0        0 4712 2 0000 100 0 0 10 0
   2: 0200090A:9C41 08080808:01BB 06 00000000:00000000 01:00000000 00000000     0        0 0 2 0000 100 0 0 10 0
   3: 0200090A:1F90 08080808:01BB 01 00000000:00000000 01:00000000 00000000     0        0 4713 2 0000 100 0 0 10 0
 broken";

    #[test]
    fn a_socket_is_found_by_its_port() {
        assert_eq!(socket_on(TABLE, 40000), Some(4712));
        assert_eq!(socket_on(TABLE, 40001), None, "nobody's any more");
        assert_eq!(socket_on(TABLE, 8080), Some(4713), "the connected one, not the listener");
        assert_eq!(socket_on(TABLE, 1), None);
        assert_eq!(socket_on("", 1), None);
    }

    #[test]
    fn a_process_is_found_by_its_socket() {
        let mut list = tempfile::NamedTempFile::new().unwrap();
        writeln!(list, "1\n{}", std::process::id()).unwrap();
        let members = [list.path().to_path_buf()];
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let datagrams = UdpSocket::bind("[::1]:0").unwrap();
        let expected = std::env::current_exe().unwrap();
        for (protocol, address) in [(TCP, stream.local_addr()), (UDP, datagrams.local_addr())] {
            let found = owner(protocol, address.unwrap().port(), &members).unwrap();
            assert_eq!((found.pid, found.name.as_str()), (std::process::id(), expected.to_str().unwrap()));
        }
        assert_eq!(owner(TCP, stream.local_addr().unwrap().port(), &[]), None);
    }
}
