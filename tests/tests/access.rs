//! Who may do what, with the clients people have: a login that keeps no password, robots, images for everybody, and refusals in the client's
//! own words.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

use base64::Engine as _;
use e2e::{
    api::Api,
    container::Containers,
    docker::Docker,
    engine::Keyword,
    registry::Registry,
    server::{EMAIL, PASSWORD, Server},
};
use image::{
    Platform,
    pack::{File, Pack, Packed},
};
use serde_json::{Value, json};

/// A small image that says no engine.
fn plain() -> Packed {
    Pack::new(Platform::host()).layer(vec![File::new("hello", 0o644, "hello")]).build().unwrap()
}

fn robot(api: &Api, repository: &str, actions: &[&str]) -> Value {
    let query = "mutation($input: CreateRobotToken!) { createRobotToken(input: $input) { token record { id } } }";
    let input = json!({ "name": "pipeline", "repository": repository, "actions": actions, "expiresDateTime": far_future() });
    api.ask(query, json!({ "input": input }))["createRobotToken"].clone()
}

/// A hundred days from now, in seconds.
fn far_future() -> u64 {
    std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() + 100 * 86_400
}

fn revoke(api: &Api, id: &Value) {
    api.ask("mutation($id: ID!) { revokeToken(id: $id) { id message } }", json!({ "id": id }));
}

#[test]
fn docker_keeps_no_password_and_a_revoked_login_is_over() {
    let server = Server::start();
    let (api, host) = (server.api(), server.address());
    Registry::of(&server).push(&plain(), "1/words", "v1");
    let docker = Docker::start(host);
    docker.login(host, EMAIL, PASSWORD).succeeded();
    let kept = docker.kept();
    let password = base64::engine::general_purpose::STANDARD.encode(format!("{EMAIL}:{PASSWORD}"));
    assert!(kept.contains("identitytoken") && kept.contains("plimsoll-refresh-") && !kept.contains(&password), "{kept}");

    let image = format!("{host}/1/words:v1");
    docker.run(&["pull", &image]).succeeded();
    for tag in ["v2", "v3"] {
        docker.run(&["tag", &image, &format!("{host}/1/words:{tag}")]).succeeded();
    }
    docker.run(&["push", "--all-tags", &format!("{host}/1/words")]).succeeded();
    let tokens = api.ask("{ tokens { id kind } }", json!({}))["tokens"].clone();
    assert_eq!((tokens[0]["kind"].as_str(), tokens.as_array().unwrap().len()), (Some("refresh"), 1), "{tokens}");
    revoke(&api, &tokens[0]["id"]);
    docker.run(&["push", &format!("{host}/1/words:v2")]).failed().says(&["log in again with docker login"]);
    server.is_well();
}

#[test]
fn a_robot_pushes_to_its_repository_only() {
    let server = Server::start();
    let (api, host) = (server.api(), server.address());
    let made = robot(&api, "1/words", &["pull", "push"]);
    let token = made["token"].as_str().unwrap();
    let docker = Docker::start(host);
    docker.login(host, "robot", token).succeeded();
    let containers = Containers::new();
    containers.login("skopeo", host, "robot", token).succeeded();

    let here = server.folder().join("here");
    plain().write_oci_dir(&here).unwrap();
    let from = format!("oci:{}", here.display());
    let copy = |to: &str| containers.skopeo(&["copy", "--dest-tls-verify=false", &from, &format!("docker://{host}/{to}")]);
    copy("1/words:v1").succeeded();
    copy("1/other:v1").failed().says(&["may not push in 1/other"]);
    docker.run(&["pull", &format!("{host}/1/words:v1")]).succeeded();
    docker.run(&["tag", &format!("{host}/1/words:v1"), &format!("{host}/1/other:v1")]).succeeded();
    docker.run(&["push", &format!("{host}/1/other:v1")]).failed().says(&["may not push in 1/other"]);
    revoke(&api, &made["record"]["id"]);
    copy("1/words:v2").failed().says(&["revoked"]);
    docker.run(&["push", &format!("{host}/1/words:v1")]).failed();
    server.is_well();
}

#[test]
fn a_public_repository_is_pulled_without_a_login() {
    let server = Server::start();
    let (api, host) = (server.api(), server.address());
    for name in ["1/open", "1/shut"] {
        Registry::of(&server).push(&plain(), name, "v1");
    }
    api.ask("mutation { setRepositoryPublic(name: \"1/open\", isPublic: true) { isPublic } }", json!({}));
    let (open, shut) = (format!("{host}/1/open:v1"), format!("{host}/1/shut:v1"));
    let docker = Docker::start(host);
    docker.run(&["pull", &open]).succeeded();
    docker.run(&["pull", &shut]).failed().says(&["log in first: docker login", host]);
    docker.run(&["push", &open]).failed().says(&["log in first: docker login", host]);
    let containers = Containers::new();
    for client in ["podman", "buildah"] {
        containers.run(client, &["pull", "--tls-verify=false", &open]).succeeded();
        containers.run(client, &["pull", "--tls-verify=false", &shut]).failed();
    }
    let inspect = |image: &str| containers.skopeo(&["inspect", "--tls-verify=false", &format!("docker://{image}")]);
    inspect(&open).succeeded().says(&["\"v1\""]);
    inspect(&shut).failed();
    server.is_well();
}

#[test]
fn every_client_prints_why_the_door_is_shut() {
    let server = Server::start_with(&[("PLIMSOLL_REGISTRY__DOOR__REFUSE", "[\"package\",\"unclaimed\"]")]);
    let (api, host) = (server.api(), server.address());
    let engine = api.create_engine("Keywords", "keyword");
    let here = server.folder().join("here");
    plain().write_oci_dir(&here).unwrap();
    let (from, image) = (format!("oci:{}", here.display()), format!("{host}/1/words:v1"));
    let says = ["manifest.missing: ", "/var/manifest.json", &format!("See {}", server.url("/docs/checks/manifest"))];

    let containers = Containers::new();
    containers.login("skopeo", host, EMAIL, PASSWORD).succeeded();
    containers.skopeo(&["copy", "--dest-tls-verify=false", &from, &format!("docker://{image}")]).failed().says(&says);
    // podman takes a folder with capital letters in its name for a reference that is wrong.
    let file = server.folder().join("image.oci.tar");
    containers.skopeo(&["copy", &from, &format!("oci-archive:{}", file.display())]).succeeded();
    let archive = format!("oci-archive:{}", file.display());
    for client in ["podman", "buildah"] {
        containers.run(client, &["pull", &archive]).succeeded();
        let id = containers.run(client, &["images", "--quiet", "--no-trunc"]).succeeded().out;
        let id = id.trim().trim_start_matches("sha256:");
        containers.run(client, &["push", "--tls-verify=false", id, &format!("docker://{image}")]).failed().says(&says);
        containers.run(client, &["rmi", "--all", "--force"]).succeeded();
    }
    let docker = Docker::start(host);
    docker.login(host, EMAIL, PASSWORD).succeeded();
    let archive = server.folder().join("image.tar");
    let to = format!("docker-archive:{}:{image}", archive.display());
    containers.skopeo(&["copy", &from, &to]).succeeded();
    docker.run(&["load", "--input", archive.to_str().unwrap()]).succeeded();
    docker.run(&["push", &image]).failed().says(&says);
    assert!(api.unclaimed().is_empty() && api.builds(&engine).is_empty());

    Registry::of(&server).push(&Keyword::new(&engine).pack().build().unwrap(), "1/words", "v1");
    api.verdict(&engine).is("available");
    server.is_well();
}
