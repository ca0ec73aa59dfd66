//! One image, five clients: each pushes it, each pulls what each has pushed, and the digest is the same everywhere. Then a list of its parts is
//! attached to it and found again.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

use e2e::{
    container::Containers,
    containerd::Containerd,
    docker::Docker,
    engine::Keyword,
    registry::{OCI_MANIFEST, Registry},
    server::{EMAIL, PASSWORD, Server},
};
use model::digest::Digest;
use serde_json::{Value, json};

const CLIENTS: [&str; 5] = ["docker", "podman", "buildah", "skopeo", "ctr"];
const SBOM: &str = "application/vnd.cyclonedx+json";

struct Clients {
    docker: Docker,
    containers: Containers,
    containerd: Containerd,
    user: String,
}

impl Clients {
    /// Pulls an image by name, and says the digest the client believes it has.
    fn pull(&self, client: &str, image: &str) -> String {
        let digest = |text: &str| {
            let start = text.find("sha256:").unwrap_or_else(|| panic!("{client} names no digest: {text}"));
            text[start..].chars().take("sha256:".len() + 64).collect::<String>()
        };
        match client {
            "docker" => digest(&self.docker.run(&["pull", image]).succeeded().says(&["Digest:"]).out),
            "skopeo" => {
                let raw = self.containers.skopeo(&["inspect", "--tls-verify=false", "--raw", &format!("docker://{image}")]).succeeded();
                self.containers.skopeo(&["copy", "--src-tls-verify=false", &format!("docker://{image}"), "dir:pulled"]).succeeded();
                Digest::of(raw.out.as_bytes()).to_string()
            }
            "ctr" => {
                self.containerd.run(&["images", "pull", "--plain-http", "--user", &self.user, image]).succeeded();
                digest(&self.containerd.run(&["images", "list", &format!("name=={image}")]).succeeded().out)
            }
            other => {
                // Of an image it has under two digests it would name the first.
                self.containers.run(other, &["rmi", "--all", "--force"]).succeeded();
                self.containers.run(other, &["pull", "--tls-verify=false", image]).succeeded();
                let format =
                    ["inspect", "--type", "image", "--format", if other == "podman" { "{{.Digest}}" } else { "{{.FromImageDigest}}" }];
                digest(&self.containers.run(other, &[&format[..], &[image]].concat()).succeeded().out)
            }
        }
    }

    /// Pushes what the client has pulled as `from` under another name.
    fn push(&self, client: &str, from: &str, to: &str) {
        match client {
            "docker" => {
                self.docker.run(&["tag", from, to]).succeeded();
                self.docker.run(&["push", to]).succeeded();
            }
            "skopeo" => {
                let (from, to) = (format!("docker://{from}"), format!("docker://{to}"));
                let options = ["copy", "--src-tls-verify=false", "--dest-tls-verify=false", "--preserve-digests"];
                self.containers.skopeo(&[&options[..], &[&from, &to]].concat()).succeeded();
            }
            "ctr" => {
                self.containerd.run(&["images", "tag", from, to]).succeeded();
                self.containerd.run(&["images", "push", "--plain-http", "--user", &self.user, to]).succeeded();
            }
            other => {
                self.containers.run(other, &["tag", from, to]).succeeded();
                self.containers.run(other, &["push", "--tls-verify=false", to]).succeeded();
            }
        }
    }
}

#[test]
fn every_client_pulls_what_every_client_pushed() {
    let server = Server::start();
    let host = server.address().to_owned();
    let engine = server.api().create_engine("Keywords", "keyword");
    let registry = Registry::of(&server);
    let first = registry.push(&Keyword::new(&engine).pack().build().unwrap(), "1/matrix", "v1");
    let clients = Clients {
        docker: Docker::start(&host),
        containers: Containers::new(),
        containerd: Containerd::start(),
        user: format!("{EMAIL}:{PASSWORD}"),
    };
    clients.docker.login(&host, EMAIL, PASSWORD).succeeded();
    clients.containers.login("skopeo", &host, EMAIL, PASSWORD).succeeded();

    let origin = format!("{host}/1/matrix:v1");
    let name = |client: &str| format!("{host}/1/matrix-{client}:v1");
    let mut pushed = Vec::new();
    for client in CLIENTS {
        assert_eq!(clients.pull(client, &origin), first, "{client}");
        clients.push(client, &origin, &name(client));
        let manifest = registry.get(&format!("1/matrix-{client}/manifests/v1")).is(200);
        assert_eq!(manifest.digest, Digest::of(manifest.body.as_bytes()).to_string());
        pushed.push((client, manifest));
    }
    println!("{:<10} {}", "pushed by", CLIENTS.map(|client| format!("{client:<8}")).join(" "));
    let config = |text: &str| serde_json::from_str::<Value>(text).unwrap()["config"]["digest"].clone();
    for (client, manifest) in &pushed {
        // Clients may write the manifest in their own form, but what runs is the same.
        assert_eq!(config(&manifest.body), config(&pushed[0].1.body), "{client} pushed another image");
        for puller in CLIENTS {
            assert_eq!(clients.pull(puller, &name(client)), manifest.digest, "{puller} pulls what {client} pushed");
        }
        println!("{client:<10} {}  {}", CLIENTS.map(|_| format!("{:<8}", "same")).join(" "), manifest.digest);
    }
    sbom(&registry, &first);
    server.is_well();
}

/// Attaches a list of parts to the image as clients of artifacts do, and finds it.
fn sbom(registry: &Registry, subject: &str) {
    let document = json!({ "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": [] }).to_string();
    let put = |bytes: &[u8]| {
        let digest = Digest::of(bytes).to_string();
        registry.upload("1/matrix", &digest, bytes).is(201);
        digest
    };
    let (layer, empty) = (put(document.as_bytes()), put(b"{}"));
    let image = registry.get(&format!("1/matrix/manifests/{subject}")).is(200);
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": SBOM,
        "config": { "mediaType": "application/vnd.oci.empty.v1+json", "digest": empty, "size": 2 },
        "layers": [{ "mediaType": SBOM, "digest": layer, "size": document.len() }],
        "subject": { "mediaType": OCI_MANIFEST, "digest": subject, "size": image.body.len() },
    })
    .to_string();
    let digest = Digest::of(manifest.as_bytes()).to_string();
    registry.put_manifest("1/matrix", &digest, OCI_MANIFEST, manifest.as_bytes()).is(201);
    let listed = registry.get(&format!("1/matrix/referrers/{subject}?artifactType={SBOM}").replace('+', "%2B")).is(200);
    let listed: Value = serde_json::from_str(&listed.body).unwrap();
    // The gate attaches a list of its own.
    let found = listed["manifests"].as_array().unwrap().iter().filter(|one| one["digest"] == digest.as_str()).count();
    assert_eq!(found, 1, "{listed:#}");
    assert_eq!(registry.get(&format!("1/matrix/blobs/{layer}")).is(200).body, document);
}
