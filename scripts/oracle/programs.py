"""Programs of the oracles: a Go one with modules as Debian has them, under the names of old releases, and a Rust one with old crates."""

import os, shutil, subprocess

from questions import TOOLS, folder, run

GO = """package main

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/text/language"
)

func main() {
	tags, _, err := language.ParseAcceptLanguage(strings.Join(os.Args, ","))
	fmt.Println(tags, err)
	node, err := html.Parse(strings.NewReader(os.Args[0]))
	fmt.Println(node, err)
}
"""
MODULES = {"golang.org/x/text": ("v0.3.5", "golang-golang-x-text-dev"), "golang.org/x/net": ("v0.0.0-20210226172049-e18ecbb05110", "golang-golang-x-net-dev")}

RUST = """[package]
name = "program"
version = "0.1.0"
edition = "2021"

[dependencies]
smallvec = "=1.6.0"
time = { version = "=0.2.22", default-features = false }
chrono = "=0.4.19"
regex = "=1.5.4"
memoffset = "=0.6.5"

[workspace]
"""


def unpacked(package, name):
    """The files of a Debian package."""
    path = folder(name)
    run("apt-get", "download", "-q", package, cwd=path, stderr=subprocess.DEVNULL)
    for deb in path.glob("*.deb"):
        run("dpkg", "-x", deb, path)
    return path


def go(target):
    path = folder("go")
    (path / "main.go").write_text(GO)
    requires = "".join(f"require {name} {version}\n" for name, (version, _) in MODULES.items())
    (path / "go.mod").write_text(f"module example.org/program\n\ngo 1.19\n\n{requires}")
    listed = ""
    for name, (version, package) in MODULES.items():
        source = unpacked(package, "go-package") / "usr/share/gocode/src" / name
        shutil.copytree(source, path / "vendor" / name)
        packages = sorted({str(file.parent.relative_to(path / "vendor")) for file in (path / "vendor" / name).rglob("*.go")})
        listed += f"# {name} {version}\n## explicit\n" + "".join(f"{one}\n" for one in packages if "testdata" not in one)
    (path / "vendor/modules.txt").write_text(listed)
    environment = {**os.environ, "GOFLAGS": "-mod=vendor", "GOCACHE": str(TOOLS / "gocache"), "CGO_ENABLED": "0", "GOPROXY": "off"}
    run("go", "build", "-o", target, ".", cwd=path, env=environment)
    return target


def rust(target):
    path = folder("rust")
    (path / "Cargo.toml").write_text(RUST)
    (path / "src").mkdir()
    (path / "src/main.rs").write_text('fn main() {\n    println!("{:?}", smallvec::SmallVec::<[u8; 4]>::new());\n}\n')
    environment = {**os.environ, "CARGO_TARGET_DIR": str(TOOLS / "rust-target")}
    run(TOOLS / "bin/cargo-auditable", "auditable", "build", "-q", cwd=path, env=environment)
    shutil.copy(TOOLS / "rust-target/debug/program", target)
    return target
