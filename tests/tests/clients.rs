//! The clients people push with: each logs in, pushes, pulls back the same bytes, and shows our sentences when it is refused. However an
//! image is named, one digest is one build.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

use std::{fs, path::Path};

use e2e::{
    api::{Api, Build},
    container::Containers,
    docker::Docker,
    engine::Keyword,
    program::Ran,
    registry::{OCI_MANIFEST, Registry},
    server::{EMAIL, PASSWORD, Server},
    wait_for,
};
use model::digest::Digest;
use serde_json::json;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Waits until the pushes of the one build of `engine` under other tags have arrived; there must still be one build.
#[track_caller]
fn one_build_pushed_again(api: &Api, engine: &str, tags: &[&str]) {
    let build = wait_for("push under another tag in the history of the build", || {
        let build = api.builds(engine).into_iter().next()?;
        let seen = build.history().iter().filter(|(event, _)| *event == "pushedAgain").count();
        (seen >= tags.len()).then_some(build)
    });
    for tag in tags {
        assert!(build.0["history"].to_string().contains(&format!(":{tag}\"")), "{tag}: {}", build.shown());
    }
    assert_eq!(api.builds(engine).len(), 1);
    assert_eq!(api.unclaimed(), Vec::<serde_json::Value>::new());
}

/// The build that came of a push.
#[track_caller]
fn available(api: &Api, engine: &str, image: &str, digest: &str) -> Build {
    let build = api.verdict(engine).is("available");
    assert_eq!((build.text("dockerImage"), build.text("createdBy"), build.text("version")), (image, EMAIL, "1"));
    assert_eq!(build.0["report"]["imageDigest"], digest);
    build
}

#[track_caller]
fn refuses_a_foreign_organization(refused: Ran) {
    refused.failed().says(&["organization 999 is not yours", "push to 1/words"]);
}

#[test]
fn docker() {
    let server = Server::start();
    let (api, host) = (server.api(), server.address());
    let engine = api.create_engine("Keywords", "keyword");
    let docker = Docker::start(host);
    docker.login(host, EMAIL, "something else").failed().says(&["password is wrong"]);
    docker.login(host, EMAIL, PASSWORD).succeeded();

    let (context, image) = (Keyword::new(&engine).context(), format!("{host}/1/words:v1"));
    docker.run(&["build", "-t", &image, text(context.path())]).succeeded();
    let pushed = docker.run(&["push", &image]).succeeded();
    let digest = pushed.out.split_whitespace().find(|word| word.starts_with("sha256:")).unwrap();
    available(&api, &engine, &image, digest);

    for (name, tag) in [(format!("{host}/1/words:v2"), "v2"), (format!("{host}/1/words"), "latest")] {
        docker.run(&["tag", &image, &name]).succeeded();
        docker.run(&["push", &name]).succeeded().says(&[&format!("{tag}: digest: {digest}")]);
    }
    one_build_pushed_again(&api, &engine, &["v2", "latest"]);

    let foreign = format!("{host}/999/words:v1");
    docker.run(&["tag", &image, &foreign]).succeeded();
    refuses_a_foreign_organization(docker.run(&["push", &foreign]));

    let nobodys = format!("{host}/words:v1");
    docker.run(&["tag", &image, &nobodys]).succeeded();
    let refused = docker.run(&["push", &nobodys]).failed().says(&["must start with the number of your organization: push to 1/words"]);
    assert!(!refused.shown().contains("Retrying"), "{}", refused.shown());

    let names = [&image, &format!("{host}/1/words:v2"), &format!("{host}/1/words"), &foreign, &nobodys];
    docker.run(&[["image", "rm", "--force"].as_slice(), &names.map(String::as_str)].concat()).succeeded();
    docker.run(&["pull", &image]).succeeded().says(&[&format!("Digest: {digest}")]);
    docker.run(&["image", "inspect", "--format", "{{.RepoDigests}}", &image]).succeeded().says(&[digest]);
    server.is_well();
}

/// What podman and buildah do alike.
fn pushes_and_pulls(client: &str) {
    let server = Server::start();
    let (api, host) = (server.api(), server.address());
    let engine = api.create_engine("Keywords", "keyword");
    let containers = Containers::new();
    let run = |arguments: &[&str]| containers.run(client, arguments);
    // It says this in its own words, whatever the registry answers.
    containers.login(client, host, EMAIL, "something else").failed().says(&["invalid username/password"]);
    containers.login(client, host, EMAIL, PASSWORD).succeeded();

    let (context, image) = (Keyword::new(&engine).context(), format!("{host}/1/words:v1"));
    run(&["build", "--isolation", "chroot", "-t", &image, text(context.path())]).succeeded();
    let written = context.path().join("digest");
    run(&["push", "--tls-verify=false", "--digestfile", text(&written), &image]).succeeded();
    let digest = fs::read_to_string(&written).unwrap();
    available(&api, &engine, &image, &digest);

    for tag in ["v2", "latest"] {
        let name = format!("{host}/1/words{}", if tag == "latest" { String::new() } else { format!(":{tag}") });
        run(&["tag", &image, &name]).succeeded();
        run(&["push", "--tls-verify=false", &name]).succeeded();
    }
    one_build_pushed_again(&api, &engine, &["v2", "latest"]);

    let foreign = format!("{host}/999/words:v1");
    run(&["tag", &image, &foreign]).succeeded();
    refuses_a_foreign_organization(run(&["push", "--tls-verify=false", &foreign]));

    run(&["rmi", "--force", "--all"]).succeeded();
    run(&["pull", "--tls-verify=false", &image]).succeeded();
    run(&["images", "--digests", "--format", "{{.Digest}}"]).succeeded().says(&[&digest]);
    server.is_well();
}

#[test]
fn podman() {
    pushes_and_pulls("podman");
}

#[test]
fn buildah() {
    pushes_and_pulls("buildah");
}

#[test]
fn skopeo() {
    let server = Server::start();
    let (api, host) = (server.api(), server.address());
    let engine = api.create_engine("Keywords", "keyword");
    let containers = Containers::new();
    containers.login("skopeo", host, EMAIL, "something else").failed().says(&["invalid username/password"]);
    containers.login("skopeo", host, EMAIL, PASSWORD).succeeded();

    let (here, back) = (server.folder().join("here"), server.folder().join("back"));
    let digest = Keyword::new(&engine).pack().write_oci_dir(&here).unwrap();
    let (from, image) = (format!("oci:{}:v1", here.display()), format!("{host}/1/words:v1"));
    let copy = |to: &str| containers.skopeo(&["copy", "--dest-tls-verify=false", "--preserve-digests", &from, &format!("docker://{to}")]);
    copy(&image).succeeded();
    available(&api, &engine, &image, &digest.to_string());
    copy(&format!("{host}/1/words:v2")).succeeded();
    copy(&format!("{host}/1/words")).succeeded();
    one_build_pushed_again(&api, &engine, &["v2", "latest"]);

    refuses_a_foreign_organization(copy(&format!("{host}/999/words:v1")));
    let wrong = format!("--dest-creds={EMAIL}:something-else");
    let refused = containers.skopeo(&["copy", "--dest-tls-verify=false", &wrong, &from, &format!("docker://{host}/1/other:v1")]);
    refused.failed().says(&["the user name or the password is wrong"]);

    let to = format!("oci:{}:v1", back.display());
    containers.skopeo(&["copy", "--src-tls-verify=false", "--preserve-digests", &format!("docker://{image}"), &to]).succeeded();
    for (blob, bytes) in Keyword::new(&engine).pack().build().unwrap().blobs() {
        assert!(fs::read(back.join("blobs/sha256").join(blob.hex())).unwrap() == bytes, "{blob} came back changed");
    }
    server.is_well();
}

#[test]
fn an_index_with_an_attestation_is_one_build() {
    let server = Server::start();
    let (api, host) = (server.api(), server.address());
    let engine = api.create_engine("Keywords", "keyword");
    let here = server.folder().join("here");
    let index = Keyword::new(&engine).pack().build().unwrap().attested();
    let digest = index.write_oci_dir(&here).unwrap();
    let containers = Containers::new();
    containers.login("skopeo", host, EMAIL, PASSWORD).succeeded();
    let (from, image) = (format!("oci:{}:v1", here.display()), format!("{host}/1/words:v1"));
    let push =
        |to: &str| containers.skopeo(&["copy", "--all", "--dest-tls-verify=false", "--preserve-digests", &from, &format!("docker://{to}")]);
    push(&image).succeeded();
    let build = available(&api, &engine, &image, &digest.to_string());
    assert_eq!(build.0["report"]["platform"], "linux/amd64");
    push(&format!("{host}/1/words:v2")).succeeded();
    one_build_pushed_again(&api, &engine, &["v2"]);
    server.is_well();
}

#[test]
fn pushes_at_the_same_time_are_one_build() {
    let server = Server::start();
    let api = server.api();
    let engine = api.create_engine("Keywords", "keyword");
    let image = Keyword::new(&engine).pack().build().unwrap();
    let tags: Vec<String> = (0..8).map(|n| format!("v{n}")).collect();
    std::thread::scope(|scope| {
        for tag in &tags {
            scope.spawn(|| Registry::of(&server).push(&image, "1/words", tag));
        }
    });
    let first = api.verdict(&engine).is("available").text("name").rsplit_once(':').unwrap().1.to_owned();
    let others: Vec<&str> = tags.iter().map(String::as_str).filter(|tag| *tag != first).collect();
    one_build_pushed_again(&api, &engine, &others);
    server.is_well();
}

#[test]
fn names_and_tags_outside_the_grammar_are_refused_with_the_rule() {
    let server = Server::start();
    let registry = Registry::of(&server);
    for (name, words) in [
        ("1/Words", "lower-case"),
        ("1/-words", "lower-case"),
        ("1/words..x", "lower-case"),
        ("words", "must start with the number of your organization"),
        ("one/words", "must start with the number of your organization"),
    ] {
        // Told anything but "denied", Docker would try again for most of a minute.
        registry.begin(name).refuses(403, "DENIED", &[name, words]);
        registry.get(&format!("{name}/tags/list")).refuses(400, "NAME_INVALID", &[name, words]);
    }
    let long = format!("1/{}", "w".repeat(300));
    registry.begin(&long).refuses(403, "DENIED", &["at most 255"]);
    let manifest = json!({ "schemaVersion": 2, "mediaType": OCI_MANIFEST }).to_string();
    for tag in ["-v1", ".v1", "v%201", "%C3%A4", &"v".repeat(129)] {
        let refused = registry.put_manifest("1/words", tag, OCI_MANIFEST, manifest.as_bytes());
        refused.refuses(400, "TAG_INVALID", &["1 to 128 letters"]);
    }
    let wrong = format!("sha256:{}", "0".repeat(63));
    registry.put_manifest("1/words", &wrong, OCI_MANIFEST, manifest.as_bytes()).refuses(400, "DIGEST_INVALID", &[]);
    registry.upload("1/words", &Digest::of(b"words").to_string(), b"words").is(201);
    assert!(server.api().unclaimed().is_empty());
    server.is_well();
}
