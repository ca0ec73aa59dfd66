//! Whatever is sent: whoever sent it reads what is wrong and what to do, nothing half-made stays, and the next good image is certified.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

use std::fs;

use e2e::{
    api::Api,
    container::Containers,
    engine::Keyword,
    neighbour::{self, EMAIL_OF_BOB},
    program::Ran,
    registry::{OCI_MANIFEST, Registry},
    server::{EMAIL, PASSWORD, Server},
};
use image::{
    Platform,
    pack::{File, Pack, Packed, broken::Fault},
};
use model::digest::Digest;
use serde_json::{Value, json};

const GZIPPED: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const PLAIN: &str = "application/vnd.oci.image.layer.v1.tar";

/// Pushes with a real client and returns what it said.
fn pushed_by_skopeo(server: &Server, image: &Packed, name: &str, password: &str) -> Ran {
    let archive = server.folder().join("image.tar");
    image.write_oci_archive(&archive).unwrap();
    let (from, to) = (format!("oci-archive:{}", archive.display()), format!("docker://{}/{name}", server.address()));
    let credentials = format!("--dest-creds={EMAIL}:{password}");
    Containers::new().skopeo(&["copy", "--all", "--dest-tls-verify=false", "--preserve-digests", &credentials, &from, &to])
}

/// After everything, the server is as good as before.
#[track_caller]
fn goes_on(server: &Server, api: &Api) {
    let engine = api.create_engine("Good after bad", "keyword");
    Registry::of(server).push(&Keyword::new(&engine).pack().build().unwrap(), "1/good", "v1");
    api.verdict(&engine).is("available");
    server.is_well();
}

/// There is no trace of a repository: no tags, no unfinished uploads.
#[track_caller]
fn holds_nothing_of(server: &Server, repository: &str) {
    Registry::of(server).get(&format!("{repository}/tags/list")).refuses(404, "NAME_UNKNOWN", &[repository]);
    no_upload_is_left(server);
}

/// Whatever was being uploaded has ended one way or the other.
#[track_caller]
fn no_upload_is_left(server: &Server) {
    let unfinished: Vec<_> = fs::read_dir(server.data().join("uploads")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(unfinished.is_empty(), "{unfinished:?}");
}

#[test]
fn wrong_password() {
    let server = Server::start();
    let api = server.api();
    let image = Keyword::new(&api.create_engine("Keywords", "keyword")).pack().build().unwrap();
    pushed_by_skopeo(&server, &image, "1/words:v1", "wrong-password").failed().says(&["the user name or the password is wrong"]);
    let stranger = Registry::with(&server, "nobody@example.org", PASSWORD);
    stranger.get("").refuses(401, "UNAUTHORIZED", &["the user name or the password is wrong"]);
    let input = json!({ "input": { "userName": EMAIL, "password": "wrong-password" } });
    let answer = api.send("mutation($input: UserLogin!) { userLogin(input: $input) { token } }", input);
    assert_eq!(answer["errors"][0]["name"], "not_found", "{answer:#}");
    assert!(answer["errors"][0]["message"].as_str().unwrap().contains("password is wrong"), "{answer:#}");
    holds_nothing_of(&server, "1/words");
    goes_on(&server, &api);
}

#[test]
fn guessing_passwords_is_slowed_down() {
    let server = Server::start();
    let guess = |n: usize| Registry::with(&server, EMAIL, &format!("guess number {n}")).get("");
    guess(0).refuses(401, "UNAUTHORIZED", &["password is wrong"]);
    let slowed = (1..8).map(guess).find(|answer| answer.status == 429);
    slowed.expect("a wrong password was tried eight times at once").refuses(429, "TOOMANYREQUESTS", &["Too many attempts; try again in"]);
}

#[test]
fn unknown_organization_and_names_outside_the_grammar() {
    let server = Server::start();
    let api = server.api();
    let image = Keyword::new(&api.create_engine("Keywords", "keyword")).pack().build().unwrap();
    for (name, words) in [
        ("999/words:v1", ["organization 999 is not yours", "push to 1/words"]),
        ("words:v1", ["must start with the number of your organization", "push to 1/words"]),
        ("acme/words:v1", ["must start with the number of your organization", "push to 1/acme/words"]),
    ] {
        pushed_by_skopeo(&server, &image, name, PASSWORD).failed().says(&words);
    }
    let registry = Registry::of(&server);
    registry.begin("1/WORDS").refuses(403, "DENIED", &["1/WORDS", "lower-case letters and digits"]);
    registry.put_manifest("1/words", "v%201", OCI_MANIFEST, b"{}").refuses(400, "TAG_INVALID", &["v 1", "1 to 128 letters"]);
    holds_nothing_of(&server, "1/words");
    assert!(api.unclaimed().is_empty());
    goes_on(&server, &api);
}

#[test]
fn manifest_that_names_a_missing_blob() {
    let server = Server::start();
    let api = server.api();
    let engine = api.create_engine("Keywords", "keyword");
    let image = Keyword::new(&engine).pack().build().unwrap();
    let manifest: Value = serde_json::from_slice(image.blob(image.top()).unwrap()).unwrap();
    let missing = manifest["layers"][1]["digest"].as_str().unwrap();
    let registry = Registry::of(&server);
    for (digest, bytes) in image.blobs().filter(|(digest, _)| digest.to_string() != missing && *digest != image.top()) {
        registry.upload("1/words", &digest.to_string(), bytes).is(201);
    }
    let refused = registry.put_manifest("1/words", "v1", image.media_type(), image.blob(image.top()).unwrap());
    refused.refuses(400, "MANIFEST_BLOB_UNKNOWN", &[missing, "push it first"]);
    registry.get("1/words/manifests/v1").refuses(404, "MANIFEST_UNKNOWN", &["v1"]);
    assert!(api.builds(&engine).is_empty() && api.unclaimed().is_empty());
    // What is missing comes late: then it is complete.
    registry.push(&image, "1/words", "v1");
    api.verdict(&engine).is("available");
    goes_on(&server, &api);
}

#[test]
fn upload_with_the_wrong_digest() {
    let server = Server::start();
    let api = server.api();
    let registry = Registry::of(&server);
    let (right, wrong) = (Digest::of(b"what was sent").to_string(), Digest::of(b"what was meant").to_string());
    registry.upload("1/words", &wrong, b"what was sent").refuses(400, "DIGEST_INVALID", &[&right, &wrong, "nothing was stored"]);
    no_upload_is_left(&server);
    // A digest that is none ends nothing: the client may still say the right one.
    let location = registry.begin("1/words").is(202).location;
    registry.finish(&location, "sha256:short", b"").refuses(400, "DIGEST_INVALID", &[]);
    registry.finish(&location, &wrong, b"what was meant").is(201);
    no_upload_is_left(&server);
    registry.get(&format!("1/words/blobs/{right}")).refuses(404, "BLOB_UNKNOWN", &[&right]);
    assert_eq!(registry.get(&format!("1/words/blobs/{wrong}")).is(200).body, "what was meant");
    let manifest = json!({ "schemaVersion": 2, "mediaType": OCI_MANIFEST });
    let other = registry.put_manifest("1/words", &wrong, OCI_MANIFEST, manifest.to_string().as_bytes());
    other.refuses(400, "DIGEST_INVALID", &[&wrong]);
    goes_on(&server, &api);
}

/// The good image of an engine with one more layer, or with something wrong.
fn spoilt(engine: &str, spoil: impl FnOnce(Pack) -> Pack) -> Packed {
    spoil(Keyword::new(engine).pack()).build().unwrap()
}

/// A gzipped tar of some size.
fn layer() -> Vec<u8> {
    let noise: Vec<u8> = (0..400_000u32).flat_map(|n| Digest::of(&n.to_le_bytes()).hex().as_bytes()[..1].to_vec()).collect();
    let image = Pack::new(Platform::new("linux", "amd64")).layer(vec![File::new("data/noise", 0o644, noise)]).build().unwrap();
    let manifest: Value = serde_json::from_slice(image.blob(image.top()).unwrap()).unwrap();
    let digest = manifest["layers"][0]["digest"].as_str().unwrap();
    image.blob(&digest.parse().unwrap()).unwrap().to_vec()
}

#[test]
fn images_with_something_wrong_become_invalid_builds() {
    let server = Server::start();
    let api = server.api();
    let (junk, cut) = (b"this is a poem and no archive, however long it may go on. ".repeat(100), layer());
    let cut = cut[..cut.len() / 2].to_vec();
    for (name, spoil, words) in [
        ("junk", Box::new(|pack: Pack| pack.with_raw_layer(junk, PLAIN)) as Box<dyn FnOnce(Pack) -> Pack>, ["layer 3", "tar"]),
        ("cut", Box::new(|pack: Pack| pack.with_raw_layer(cut, GZIPPED)), ["layer 3", "end"]),
        ("diff-id", Box::new(|pack: Pack| pack.broken(Fault::DiffId(1))), ["diff", "layer"]),
        ("shell-form", Box::new(|pack: Pack| pack.entrypoint(["/bin/sh", "-c", "/nothing-here"])), ["/bin/sh", "not"]),
        ("no-program", Box::new(|pack: Pack| pack.entrypoint(["/missing-program"])), ["/missing-program", "not"]),
    ] {
        let engine = api.create_engine(name, "keyword");
        let image = spoilt(&engine, spoil);
        pushed_by_skopeo(&server, &image, &format!("1/{name}:v1"), PASSWORD).succeeded();
        api.verdict(&engine).is("invalid").blamed_for(&words);
    }
    goes_on(&server, &api);
}

#[test]
fn image_for_windows() {
    let server = Server::start();
    let api = server.api();
    let engine = api.create_engine("Windows", "keyword");
    let keyword = Keyword::new(&engine);
    let files = vec![File::new("var/manifest.json", 0o644, keyword.manifest())];
    let pack = || Pack::new(Platform::new("windows", "amd64")).layer(files.clone()).entrypoint(["engine.exe"]).tag("v1");
    let (image, index) = (pack().build().unwrap(), Packed::index(vec![pack().build().unwrap()]));
    for (name, image) in [("1/windows", image), ("1/windows-index", index)] {
        pushed_by_skopeo(&server, &image, &format!("{name}:v1"), PASSWORD).succeeded();
        let push = api.unclaimed_of(name);
        let reason = push["reason"].as_str().unwrap();
        assert!(reason.contains("windows/amd64") && reason.contains("linux/amd64"), "{push:#}");
        assert!(push["fix"].as_str().unwrap().contains("--platform linux/amd64"), "{push:#}");
    }
    assert!(api.builds(&engine).is_empty());
    goes_on(&server, &api);
}

/// An image whose manifest.json is this.
fn with_manifest(keyword: &Keyword, manifest: File) -> Packed {
    keyword.pack_with(manifest).build().unwrap()
}

#[test]
fn pushes_of_nobody_are_listed_with_reason_and_fix() {
    let server = Server::start();
    let (ann, bob) = (server.api(), neighbour::move_in(&server));
    let engine = ann.create_engine("Keywords", "keyword");
    let foreign = bob.create_engine("Bob's keywords", "keyword");
    let keyword = Keyword::new(&engine);
    let file = |text: &str| File::new("var/manifest.json", 0o644, text);
    let unknown = "6a2f4f0e-6d0e-4a57-9c11-2f6c0b0f8f10";
    let large = format!("{{ \"engineId\": \"{engine}\", \"padding\": \"{}\" }}", "x".repeat(10 << 20));
    let cases = [
        ("missing", File::new("var/other.json", 0o644, "{}"), vec!["/var/manifest.json"]),
        ("broken", file(&keyword.manifest().replacen(',', "", 1)), vec!["/var/manifest.json", "line 3"]),
        ("list", file("[]"), vec!["JSON", "object"]),
        ("large", file(&large), vec!["/var/manifest.json", "more than"]),
        ("without", file("{}"), vec!["engineId"]),
        ("no-id", file(r#"{ "engineId": "YOUR-ENGINE-ID" }"#), vec!["engineId", "YOUR-ENGINE-ID"]),
        ("unknown", file(&Keyword::new(unknown).manifest()), vec!["organization 1 has no engine", unknown]),
        ("foreign", file(&Keyword::new(&foreign).manifest()), vec!["organization 1 has no engine", &foreign]),
        ("folder", File::dir("var/manifest.json", 0o755), vec!["/var/manifest.json", "directory"]),
        ("linked", File::symlink("var/manifest.json", "/etc/passwd"), vec!["/var/manifest.json"]),
        ("outside", File::symlink("var/manifest.json", "../../../../etc/passwd"), vec!["/var/manifest.json"]),
        ("loop", File::symlink("var/manifest.json", "manifest.json"), vec!["/var/manifest.json"]),
    ];
    let mut unclear = Vec::new();
    for (name, manifest, words) in cases {
        // The client is not told: for it the push went well.
        pushed_by_skopeo(&server, &with_manifest(&keyword, manifest), &format!("1/{name}:v1"), PASSWORD).succeeded();
        let push = ann.unclaimed_of(&format!("1/{name}"));
        let (reason, fix) = (push["reason"].as_str().unwrap(), push["fix"].as_str().unwrap());
        if !words.iter().all(|word| reason.contains(word)) {
            unclear.push(format!("{name}: the reason should say {words:?}, and says {reason:?}"));
        }
        assert!(!fix.is_empty() && !push["code"].as_str().unwrap().is_empty(), "{push:#}");
        assert_eq!((&push["tag"], &push["pushedBy"]), (&json!("v1"), &json!(EMAIL)));
        assert!(!push.to_string().contains("root:x:0"), "a file of this machine was read: {push:#}");
    }
    assert!(unclear.is_empty(), "{}", unclear.join("\n"));
    assert!(ann.builds(&engine).is_empty(), "{:#?}", ann.builds(&engine));
    assert_eq!((bob.builds(&foreign).len(), bob.unclaimed().len()), (0, 0));
    assert_eq!(ann.send("query($id: ID!) { engine(id: $id) { id } }", json!({ "id": foreign }))["data"]["engine"], Value::Null);
    goes_on(&server, &ann);
}

#[test]
fn organizations_do_not_see_each_other() {
    let server = Server::start();
    let (ann, bob) = (server.api(), neighbour::move_in(&server));
    let engine = ann.create_engine("Keywords", "keyword");
    let image = Keyword::new(&engine).pack().build().unwrap();
    Registry::of(&server).push(&image, "1/words", "v1");
    let build = ann.verdict(&engine).is("available");
    let registry = Registry::with(&server, EMAIL_OF_BOB, PASSWORD);
    for path in ["1/words/manifests/v1".to_owned(), format!("1/words/blobs/{}", image.top()), "1/words/tags/list".to_owned()] {
        let answer = registry.get(&path);
        assert!([403, 404].contains(&answer.status) && !answer.body.contains("schemaVersion"), "{answer:#?}");
    }
    registry.begin("1/words").refuses(403, "DENIED", &["organization 1 is not yours", "push to 2/words"]);
    let seen = bob.send("query($id: ID!) { engineBuild(id: $id) { id } }", json!({ "id": build.id() }));
    assert_eq!(seen["data"]["engineBuild"], Value::Null, "{seen:#}");
    let page = e2e::web::Visitor::login(server.address(), EMAIL_OF_BOB, PASSWORD).get(&format!("/builds/{}", build.id()));
    assert_eq!(page.status(), 404);
    server.is_well();
}
