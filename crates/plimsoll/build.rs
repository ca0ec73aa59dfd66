//! Compiles the keyword example engine into a static program, so that `plimsoll demo` has an image to push without any installation.

use std::{env, path::PathBuf, process::Command};

fn main() {
    let source = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("../../examples/keyword/src/main.rs");
    let target = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it")).join("keyword-engine");
    println!("cargo::rerun-if-changed={}", source.display());
    println!("cargo::rerun-if-changed=build.rs");
    let compiler = env::var_os("RUSTC").expect("cargo sets it");
    let status = Command::new(compiler)
        .args([
            "--edition",
            "2024",
            "--crate-name",
            "keyword_engine",
            "-C",
            "opt-level=s",
            "-C",
            "target-feature=+crt-static",
            "-C",
            "strip=symbols",
        ])
        .args(["-C", "panic=abort", "--target", &env::var("TARGET").expect("cargo sets it"), "-o"])
        .arg(&target)
        .arg(&source)
        .status()
        .expect("the Rust compiler can be started");
    assert!(
        status.success(),
        "{} could not be compiled into a static program; a C library with static parts is needed (Debian: libc6-dev)",
        source.display()
    );
}
