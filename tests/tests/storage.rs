//! Where blobs are kept: what every place must do, held against each; and the whole server on a bucket.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

use std::{collections::BTreeMap, fs, io::Read, path::Path};

use e2e::{
    bucket::{Bucket, PREFIX, SECRET},
    container::Containers,
    engine::Keyword,
    registry::Registry,
    server::{EMAIL, PASSWORD, Server},
};
use image::pack::{File, Packed};
use model::digest::{Algorithm, Digest, Hasher};
use store::{ErrorKind, blobs::Blobs, uploads::Upload};
use tokio::runtime::Runtime;
use uuid::Uuid;

const S3_SERVER: &str = env!("CARGO_BIN_EXE_s3-server");

/// The size up to which a bucket takes a blob with one request.
const PART: usize = 8 << 20;

fn noise(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..size.div_ceil(8)).flat_map(|_| next()).take(size).collect()
}

fn publish(blobs: &Blobs, id: u128, digest: &Digest, content: &[u8]) -> Result<(), store::Error> {
    let mut upload = Upload::create(blobs, Uuid::from_u128(id), &"1/a".parse().unwrap())?;
    upload.append(content)?;
    upload.publish(blobs, digest)
}

fn whole(blobs: &Blobs, digest: &Digest) -> Vec<u8> {
    let mut all = Vec::new();
    blobs.reader(digest).unwrap().read_to_end(&mut all).unwrap();
    all
}

fn part(runtime: &Runtime, blobs: &Blobs, digest: &Digest, first: usize, count: usize) -> Vec<u8> {
    runtime.block_on(async {
        let mut pieces = blobs.pieces(digest, first as u64, count as u64).await.unwrap();
        let mut all = Vec::new();
        while let Some(piece) = pieces.next().await.unwrap() {
            all.extend_from_slice(&piece);
        }
        all
    })
}

fn listed(blobs: &Blobs) -> BTreeMap<Digest, u64> {
    let mut found = BTreeMap::new();
    blobs.each(|stored| assert!(found.insert(stored.digest, stored.size).is_none(), "listed twice")).unwrap();
    found
}

fn is_absent(runtime: &Runtime, blobs: &Blobs, digest: &Digest) {
    assert_eq!(blobs.size(digest).unwrap(), None);
    assert!(!blobs.remove(digest).unwrap());
    let lost = blobs.reader(digest).map(drop).unwrap_err();
    assert!(lost.to_string().contains(digest.hex()), "{lost}");
    let read = runtime.block_on(async { blobs.pieces(digest, 0, 1).await?.next().await.map(drop) });
    assert!(matches!(read, Err(store::Error::BlobLost { .. })), "{read:?}");
}

/// What every place must do; `open` opens it anew, as another process would.
fn contract(dir: &Path, open: &dyn Fn() -> Blobs) {
    let (blobs, runtime) = (open(), Runtime::new().unwrap());
    assert!(listed(&blobs).is_empty());
    is_absent(&runtime, &blobs, &Digest::of(b"nobody has this"));

    let mut expected = BTreeMap::new();
    for (n, size) in [0, 1, 4096, 128 << 10, PART - 1, PART, PART + 1, 2 * PART + 12_345].into_iter().enumerate() {
        let content = noise(n as u64, size);
        let digest = Digest::of(&content);
        publish(&blobs, n as u128, &digest, &content).unwrap();
        assert_eq!(blobs.size(&digest).unwrap(), Some(size as u64));
        assert!(whole(&blobs, &digest) == content, "{size} bytes came back changed");
        for (first, count) in [(0, size), (size / 2, size - size / 2), (size.saturating_sub(1), size.min(1)), (size / 3, size / 2)] {
            assert!(part(&runtime, &blobs, &digest, first, count) == content[first..first + count], "{count} bytes from {first} of {size}");
        }
        expected.insert(digest, size as u64);
    }
    let mut hasher = Hasher::new(Algorithm::Sha512);
    hasher.update(b"long");
    let long = hasher.finish();
    publish(&blobs, 100, &long, b"long").unwrap();
    expected.insert(long, 4);
    assert_eq!(listed(&blobs), expected);
    assert_eq!(fs::read_dir(dir.join("uploads")).unwrap().count(), 0, "what is a blob is no upload any more");

    // The same content again, from several at once, is still one blob and never less than whole.
    let content = noise(7, PART + 5);
    let digest = Digest::of(&content);
    std::thread::scope(|scope| {
        for n in 0..4 {
            let (blobs, content, digest) = (&blobs, &content, &digest);
            scope.spawn(move || publish(blobs, 200 + n, digest, content).unwrap());
        }
    });
    assert!(whole(&blobs, &digest) == content);
    expected.insert(digest.clone(), content.len() as u64);

    drop(blobs);
    let blobs = open();
    assert_eq!(listed(&blobs), expected, "another process sees the same");
    assert!(blobs.remove(&digest).unwrap());
    is_absent(&runtime, &blobs, &digest);
    expected.remove(&digest);
    assert_eq!(listed(&blobs), expected);
}

#[test]
fn contract_of_a_folder() {
    let dir = tempfile::tempdir().unwrap();
    contract(dir.path(), &|| Blobs::open(dir.path()).unwrap());
}

#[test]
fn contract_of_a_bucket() {
    let (dir, bucket, runtime) = (tempfile::tempdir().unwrap(), Bucket::start(S3_SERVER), Runtime::new().unwrap());
    let _entered = runtime.enter();
    contract(dir.path(), &|| Blobs::open_bucket(dir.path(), &bucket.options()).unwrap());
}

#[test]
fn a_bucket_that_cannot_be_used_is_named_at_the_start_and_the_secret_is_not() {
    let (dir, bucket, runtime) = (tempfile::tempdir().unwrap(), Bucket::start(S3_SERVER), Runtime::new().unwrap());
    let _entered = runtime.enter();
    let mut wrong = bucket.options();
    wrong.secret_access_key = "some-other-secret".into();
    let refused = Blobs::open_bucket(dir.path(), &wrong).unwrap_err();
    let said = format!("{refused} {refused:?} {wrong:?}");
    assert!(said.contains("s3://plimsoll") && !said.contains("some-other-secret"), "{said}");
    assert_eq!(refused.kind(), ErrorKind::Other);
}

fn server_on(bucket: &Bucket) -> Server {
    let settings = bucket.settings();
    Server::start_with(&settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect::<Vec<_>>())
}

#[test]
fn the_whole_gate_on_a_bucket() {
    let bucket = Bucket::start(S3_SERVER);
    let mut server = server_on(&bucket);
    let engine = server.api().create_engine("Keywords", "keyword");
    let here = server.folder().join("here");
    let image = Keyword::new(&engine).pack().layer(vec![File::new("data/noise", 0o644, noise(1, 2 * PART))]).build().unwrap();
    image.write_oci_dir(&here).unwrap();
    let (from, name) = (format!("oci:{}", here.display()), format!("docker://{}/1/words:v1", server.address()));
    let containers = Containers::new();
    containers.login("skopeo", server.address(), EMAIL, PASSWORD).succeeded();
    containers.skopeo(&["copy", "--dest-tls-verify=false", "--preserve-digests", &from, &name]).succeeded();
    // The run unpacks the layers, and they are nowhere but in the bucket.
    server.api().verdict(&engine).is("available");
    assert!(bucket.stored() > 2 * PART as u64);
    assert!(!server.data().join("blobs").exists());
    assert_eq!(fs::read_dir(server.data().join("uploads")).unwrap().count(), 0);

    server.kill();
    server.again();
    let back = server.folder().join("back");
    let to = format!("oci:{}:v1", back.display());
    containers.skopeo(&["copy", "--src-tls-verify=false", "--preserve-digests", &name, &to]).succeeded();
    for (blob, bytes) in image.blobs() {
        assert!(fs::read(back.join("blobs/sha256").join(blob.hex())).unwrap() == bytes, "{blob} came back changed");
    }
    for log in fs::read_dir(server.folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "log"))
    {
        assert!(!fs::read_to_string(log).unwrap().contains(SECRET));
    }
    server.is_well();
}

#[test]
fn a_bucket_out_of_reach_loses_nothing_of_an_upload() {
    let mut bucket = Bucket::start(S3_SERVER);
    let server = server_on(&bucket);
    let registry = Registry::of(&server);
    let content = noise(3, 1 << 20);
    let digest = Digest::of(&content).to_string();
    let location = registry.begin("1/words").is(202).location;
    bucket.stop();
    registry.finish(&location, &digest, &content).refuses(503, "UNKNOWN", &["try again"]);
    registry.get(&format!("1/words/blobs/{digest}")).refuses(404, "BLOB_UNKNOWN", &[]);
    bucket.again();
    // The bytes are still here: only the end has to be said again.
    registry.finish(&location, &digest, b"").is(201);
    registry.get(&format!("1/words/blobs/{digest}")).is(200);
    assert!(bucket.stored() >= content.len() as u64, "{PREFIX}");
    server.is_well();
}

#[test]
fn a_full_disk_in_the_middle_of_an_upload() {
    let server = Server::start_on_disk_of(48 << 20);
    let registry = Registry::of(&server);
    let room = || {
        let disk = rustix::fs::statvfs(server.data()).unwrap();
        usize::try_from(disk.f_bavail * disk.f_frsize).unwrap()
    };
    let held = || fs::read_dir(server.data().join("uploads")).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum::<u64>();
    let before = room();
    let content = noise(5, before + (3 << 20));
    let digest = Digest::of(&content).to_string();

    let location = registry.begin("1/words").is(202).location;
    registry.finish(&location, &digest, &content).refuses(507, "UNKNOWN", &["disk is full", "try again"]);
    assert_eq!(held(), 0, "what did not fit is given back");
    assert!(room() + (4 << 20) > before);
    registry.get(&format!("1/words/blobs/{digest}")).refuses(404, "BLOB_UNKNOWN", &[]);
    assert!(!server.data().join("blobs/sha256").join(&digest[7..9]).join(&digest[7..]).exists());

    // The session is as it was, and so is the server.
    let small = noise(6, 1 << 20);
    registry.finish(&location, &Digest::of(&small).to_string(), &small).is(201);
    registry.upload("1/words", &Digest::of(b"more").to_string(), b"more").is(201);
    server.is_well();
}

#[test]
fn a_layer_that_is_mounted_or_there_already_is_not_read_again() {
    let server = Server::start();
    let engine = server.api().create_engine("Keywords", "keyword");
    let pack = || Keyword::new(&engine).pack();
    let (first, second, third) =
        (pack().build().unwrap(), pack().label("n", "2").build().unwrap(), pack().label("n", "3").build().unwrap());
    let registry = Registry::of(&server);
    registry.push(&first, "1/words", "v1");
    server.api().verdicts(&engine, 1);
    let layers = layers(&first);
    assert!(!layers.is_empty() && layers == self::layers(&second) && layers == self::layers(&third));
    // Whoever reads these files from now on finds something else in them.
    for layer in &layers {
        let file = server.data().join("blobs/sha256").join(&layer.hex()[..2]).join(layer.hex());
        fs::write(&file, vec![0; fs::metadata(&file).unwrap().len() as usize]).unwrap();
    }
    let put = |image: &Packed, repository: &str| {
        let config = config(image);
        registry.upload(repository, &config.to_string(), image.blob(&config).unwrap()).is(201);
        registry.put_manifest(repository, "v2", image.media_type(), image.blob(image.top()).unwrap()).is(201);
    };
    put(&second, "1/words");
    for layer in &layers {
        registry.mount("1/others", &layer.to_string(), "1/words").is(201);
    }
    put(&third, "1/others");
    for build in server.api().verdicts(&engine, 3) {
        build.is("available");
    }
    server.is_well();
}

fn document(image: &Packed) -> serde_json::Value {
    serde_json::from_slice(image.blob(image.top()).unwrap()).unwrap()
}

fn layers(image: &Packed) -> Vec<Digest> {
    document(image)["layers"].as_array().unwrap().iter().map(|layer| layer["digest"].as_str().unwrap().parse().unwrap()).collect()
}

fn config(image: &Packed) -> Digest {
    document(image)["config"]["digest"].as_str().unwrap().parse().unwrap()
}
