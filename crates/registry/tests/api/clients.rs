//! A real client. The full matrix of clients is in the end-to-end tests; skopeo alone speaks to most of the API.

use std::{fs, net::SocketAddr, path::Path, process::Output};

use model::digest::Digest;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::house::{House, OCI_IMAGE, OCI_INDEX, image};

async fn skopeo(arguments: &[&str]) -> Output {
    let run = Command::new("skopeo").args(arguments).output().await;
    run.unwrap_or_else(|error| panic!("skopeo could not be started ({error}): install the package skopeo"))
}

#[track_caller]
fn succeeded(output: Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Writes an OCI layout with one image of one layer; returns the digest of its manifest.
fn layout(dir: &Path, layer: &[u8]) -> Digest {
    let put = |bytes: &[u8]| {
        let digest = Digest::of(bytes);
        fs::write(dir.join("blobs/sha256").join(digest.hex()), bytes).unwrap();
        digest
    };
    fs::create_dir_all(dir.join("blobs/sha256")).unwrap();
    let layer_digest = put(layer);
    let config = serde_json::to_vec(
        &json!({ "architecture": "amd64", "os": "linux", "rootfs": { "type": "layers", "diff_ids": [layer_digest] }, "config": {} }),
    )
    .unwrap();
    let mut manifest = image(&put(&config), &layer_digest);
    manifest["config"]["size"] = json!(config.len());
    manifest["layers"][0]["size"] = json!(layer.len());
    let manifest = serde_json::to_vec(&manifest).unwrap();
    let digest = put(&manifest);
    let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [{
        "mediaType": OCI_IMAGE, "digest": digest, "size": manifest.len(), "annotations": { "org.opencontainers.image.ref.name": "v1" } }] });
    fs::write(dir.join("index.json"), serde_json::to_vec(&index).unwrap()).unwrap();
    fs::write(dir.join("oci-layout"), br#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    digest
}

fn reference(address: SocketAddr, name: &str) -> String {
    format!("docker://{address}/{name}")
}

#[tokio::test(flavor = "multi_thread")]
async fn skopeo_pushes_pulls_and_lists() {
    let house = House::new().await;
    let address = house.serve().await;
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    let layer: Vec<u8> = (0..3u32 << 20).map(|n| (n % 253) as u8).collect();
    let digest = layout(&from, &layer);
    let (from, to) = (format!("oci:{}:v1", from.display()), format!("oci:{}:v1", to.display()));

    let target = reference(address, "1/team/words:v1");
    succeeded(skopeo(&["copy", "--preserve-digests", "--dest-tls-verify=false", "--dest-creds=ann:secret", &from, &target]).await);
    assert_eq!(house.get("/v2/1/team/words/manifests/v1").await.ok(200).header("docker-content-digest"), digest.to_string());
    assert_eq!(store::pushes::unhandled(&house.db, 10).await.unwrap().len(), 1);
    assert!(house.seen.lock().unwrap().iter().any(|(seen, bytes)| *seen == Digest::of(&layer) && *bytes == layer));

    succeeded(skopeo(&["copy", "--preserve-digests", "--src-tls-verify=false", "--src-creds=ann:secret", &target, &to]).await);
    let pulled = fs::read(dir.path().join("to/blobs/sha256").join(Digest::of(&layer).hex())).unwrap();
    assert!(pulled == layer);

    // To another repository of the same registry: blobs are mounted, not sent.
    let second = reference(address, "1/team/again:v2");
    succeeded(
        skopeo(&[
            "copy",
            "--preserve-digests",
            "--src-tls-verify=false",
            "--dest-tls-verify=false",
            "--src-creds=ann:secret",
            "--dest-creds=ann:secret",
            &target,
            &second,
        ])
        .await,
    );
    let listed = skopeo(&["list-tags", "--tls-verify=false", "--creds=ann:secret", &reference(address, "1/team/again")]).await;
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(listed["Tags"], json!(["v2"]));
    assert_eq!(house.blob_files(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn skopeo_shows_our_sentences() {
    let house = House::new().await;
    let address = house.serve().await;
    let dir = tempfile::tempdir().unwrap();
    layout(dir.path(), b"layer");
    let from = format!("oci:{}:v1", dir.path().display());
    for (credentials, name, says) in [
        ("ann:wrong", "1/words:v1", "wrong user name or password"),
        ("ann:secret", "7/words:v1", "organization 7 is not yours; push to 1/words"),
        ("ann:secret", "words:v1", "must start with the number of your organization"),
    ] {
        let refused =
            skopeo(&["copy", "--dest-tls-verify=false", &format!("--dest-creds={credentials}"), &from, &reference(address, name)]).await;
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && said.contains(says), "{name}: {said}");
    }
    assert_eq!((house.uploads(), house.blob_files()), (0, 0));
}
