//! Compiles the driver that is put into images: a static program without any library.

use std::{env, path::PathBuf, process::Command};

fn main() {
    println!("cargo:rerun-if-changed=driver/driver.c");
    println!("cargo:rerun-if-env-changed=CC");
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("driver");
    let compiler = env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let flags = [
        "-static",
        "-nostdlib",
        "-ffreestanding",
        "-fno-stack-protector",
        "-fno-asynchronous-unwind-tables",
        "-fno-pic",
        "-no-pie",
        "-Os",
        "-s",
        "-o",
    ];
    let done = Command::new(&compiler).args(flags).arg(&out).arg("driver/driver.c").status();
    assert!(
        done.is_ok_and(|status| status.success()),
        "{compiler} could not compile driver/driver.c; install a C compiler (Debian: gcc) or set CC"
    );
}
