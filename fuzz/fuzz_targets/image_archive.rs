//! The index of an image archive, read as both kinds: never panics, never reads outside the file.
#![no_main]

use std::{fs::File, io::Write, os::fd::AsRawFd, path::PathBuf};

use image::{Caps, Platform, Transport, inspect, open};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let memory = rustix::fs::memfd_create("archive", rustix::fs::MemfdFlags::CLOEXEC).expect("the kernel has memfd_create");
    let mut file = File::from(memory);
    file.write_all(input).expect("memory takes bytes");
    let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    let caps = Caps { entries: 1000, uncompressed: 8 << 20, ..Caps::default() };
    for transport in [Transport::OciArchive { file: path.clone(), tag: None }, Transport::DockerArchive { file: path, tag: None }] {
        if let Ok(opened) = open(&transport) {
            let _ = inspect(&*opened.source, &opened.top, &Platform::new("linux", "amd64"), caps.clone(), &mut |_| None);
        }
    }
});
