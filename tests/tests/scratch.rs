//! x
#![allow(clippy::unwrap_used)]
use e2e::{
    browser::Browser,
    container::Containers,
    docker::Docker,
    engine::Keyword,
    python::{self, BASE, Example},
};
#[test]
fn variants() {
    let good = Keyword::new("a");
    good.program();
    for k in [
     good.clone().with_line(r#""label":{}"#, r#""lable":{}"#),
     good.clone().with_line("let port = ", "let port: u16 = std::fs::read(\"/models/words.bin\").unwrap().len() as u16; let port = "),
     good.clone().with_line(r#"("GET", "/ready") => Reply::text("200 OK", "ready")"#, r#"("GET", "/ready") => Reply::text("500 Internal Server Error", "no model was found")"#),
     good.clone().with_line(
        "let keywords = keywords(&String::from_utf8_lossy(input));",
        "let keywords = keywords(&String::from_utf8_lossy(input)); if true { return Err((\"500 Internal Server Error\", \"the model broke\".into())) }",
    ),
     good.clone().slow_to_start(),
    ] { println!("{:?}", k.program()); }
}
#[test]
fn bases() {
    println!("{:?}", python::base());
    let c = Containers::new();
    let e = Example::new("python", "a").with_line("\nimport wave\n", "\nimport wavve\n");
    println!("{}", c.run("podman", &["import", python::base().to_str().unwrap(), BASE]).succeeded().shown());
    println!(
        "{}",
        c.run("podman", &["build", "--isolation", "chroot", "-t", "localhost/x:1", e.context().to_str().unwrap()]).succeeded().shown()
    );
    let d = Docker::start("127.0.0.1:1");
    let e = Example::new("batch", "a").with_line("    result = keywords(text)\n", "    result = keywords(txt)\n");
    println!("{}", d.run(&["import", python::base().to_str().unwrap(), BASE]).succeeded().shown());
    println!("{}", d.run(&["build", "-t", "localhost/x:1", e.context().to_str().unwrap()]).succeeded().shown());
    let e = Example::new("python", "a").with_line("                raise Refused(404, \"GET /ready or POST /process\")\n            length", "                raise Refused(404, \"GET /ready or POST /process\")\n            print(\"out of memory in layer 7\", flush=True)\n            os._exit(3)\n            length");
    drop(e);
}
#[test]
fn chrome() {
    let b = Browser::start();
    b.go("data:text/html,<h1>Hi</h1><p id=x>long</p>");
    assert_eq!(b.text("h1"), "Hi");
    b.width(400);
    println!("{:?} {:?} {}", b.picture("scratch"), b.complaints(), b.script("return innerWidth"));
}
