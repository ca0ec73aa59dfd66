//! The distribution standard, case by case, against the real server with authentication on.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test fails by panicking, and prints what it has counted")]

use e2e::{
    conformance::{self, Client},
    program::{program, run},
    registry::{OCI_MANIFEST, Registry},
    server::{EMAIL, ORGANIZATION, PASSWORD, Server},
};
use model::digest::Digest;

/// The standard's own program has some 860 cases; none of ours may get lost unseen.
const AT_LEAST: usize = 1900;

#[test]
fn every_case_of_the_standard_passes() {
    let server = Server::start();
    let client = Client::new(&server.url(""), EMAIL, PASSWORD);
    let (repository, other) = (format!("{ORGANIZATION}/conformance/one"), format!("{ORGANIZATION}/conformance/two"));
    let report = conformance::run(&client, &repository, &other);
    println!("{report}");
    let (passed, failed, skipped) = report.counts();
    assert_eq!((failed, skipped), (0, 0), "{}\n{report}", report.reasons().join("\n"));
    assert!(passed >= AT_LEAST, "only {passed} cases were tried");
    server.is_well();
}

/// What curl says of a request: the protocol, the status, the length of what came and how it was encoded.
fn asked(server: &Server, path: &str, options: &[&str]) -> String {
    let told = "%{http_version} %{http_code} %{size_download} %header{content-encoding}";
    let user = format!("{EMAIL}:{PASSWORD}");
    let mut curl = program("curl");
    curl.args(["-sS", "--noproxy", "*", "-u", &user, "-o", "/dev/null", "-w", told]).args(options).arg(server.url(path));
    run(&mut curl).succeeded().out
}

#[test]
fn http_2_and_expectations_work_and_content_is_never_encoded() {
    let server = Server::start();
    let registry = Registry::of(&server);
    let content = b"the same words again and again ".repeat(4000);
    let digest = Digest::of(&content).to_string();
    let file = server.folder().join("content");
    std::fs::write(&file, &content).unwrap();
    let from_file = format!("@{}", file.display());
    let h2 = "--http2-prior-knowledge";
    // Pushed by HTTP/2, and by HTTP/1.1 after a question whether to.
    let end = format!("/v2/1/words/blobs/uploads/?digest={digest}");
    for options in
        [&[h2, "-X", "POST", "--data-binary", &from_file][..], &["-X", "POST", "-H", "Expect: 100-continue", "--data-binary", &from_file]]
    {
        let version = if options[0] == h2 { "2" } else { "1.1" };
        assert_eq!(asked(&server, &end, options).trim(), format!("{version} 201 0"));
    }
    let config = Digest::of(b"{}").to_string();
    registry.upload("1/words", &config, b"{}").is(201);
    let manifest = format!(
        r#"{{"schemaVersion":2,"config":{{"mediaType":"a/b","digest":"{config}","size":2}},"layers":[],"annotations":{{"a":"{}"}}}}"#,
        "a".repeat(5000)
    );
    registry.put_manifest("1/words", "v1", OCI_MANIFEST, manifest.as_bytes()).is(201);
    for (path, size) in [(format!("/v2/1/words/blobs/{digest}"), content.len()), ("/v2/1/words/manifests/v1".into(), manifest.len())] {
        for (version, option) in [("2", h2), ("1.1", "--http1.1")] {
            let told = asked(&server, &path, &[option, "-H", "Accept-Encoding: gzip, deflate, br, zstd"]);
            assert_eq!(told.trim(), format!("{version} 200 {size}"), "{path}");
        }
    }
    assert_eq!(asked(&server, &format!("/v2/1/words/blobs/{digest}"), &[h2, "-r", "10-19"]).trim(), "2 206 10");
    server.is_well();
}
