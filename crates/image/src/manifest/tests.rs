use serde_json::{Value, json};

use super::*;
use crate::{
    pack::{File, Pack, Packed, broken::Fault},
    source::{BlobSource, read_capped},
};

fn host() -> Platform {
    Platform::new("linux", "amd64")
}

fn pack(platform: Platform) -> Pack {
    Pack::new(platform).layer(vec![File::new("app", 0o755, "x")]).entrypoint(["/app"])
}

fn image(os: &str, architecture: &str) -> Packed {
    pack(Platform::new(os, architecture)).build().unwrap()
}

fn choose(packed: &Packed) -> Result<ImageRef, InspectError> {
    let top = packed.blob(packed.top()).unwrap();
    select(top, &host(), &mut |digest| Ok(read_capped(packed.open(digest)?, u64::MAX - 1).unwrap()))
}

fn problem(packed: &Packed) -> ImageProblem {
    match choose(packed) {
        Err(InspectError::Image(problem)) => problem,
        other => panic!("{other:?}"),
    }
}

/// Selects from a manifest that names nothing that exists.
fn of_text(value: &Value) -> Result<ImageRef, InspectError> {
    select(value.to_string().as_bytes(), &host(), &mut |digest| Err(Error::BlobMissing { digest: digest.clone(), place: "nowhere".into() }))
}

fn problem_of_text(value: &Value) -> ImageProblem {
    match of_text(value) {
        Err(InspectError::Image(problem)) => problem,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_single_manifest_is_the_image() {
    let packed = image("linux", "amd64");
    let found = choose(&packed).unwrap();
    assert_eq!((&found.manifest_digest, &found.top_digest), (packed.top(), packed.top()));
    assert_eq!((found.layers.len(), found.platform.to_string()), (1, "linux/amd64".to_owned()));
    assert_eq!(found.transferred_size(), packed.blob(&found.layers[0].digest).unwrap().len() as u64);
}

#[test]
fn an_index_gives_the_image_for_the_host_and_never_the_attestation() {
    let ours = image("linux", "amd64");
    let index = Packed::index(vec![image("linux", "arm64"), image("windows", "amd64"), ours.clone()]).attested();
    let found = choose(&index).unwrap();
    assert_eq!((&found.manifest_digest, &found.top_digest), (ours.top(), index.top()));
}

#[test]
fn a_plain_image_comes_before_one_for_a_newer_processor() {
    let newer = pack("linux/amd64/v3".parse().unwrap()).build().unwrap();
    let plain = image("linux", "amd64");
    assert_eq!(&choose(&Packed::index(vec![newer.clone(), plain.clone()])).unwrap().manifest_digest, plain.top());
    assert_eq!(&choose(&Packed::index(vec![newer.clone()])).unwrap().manifest_digest, newer.top());
}

#[test]
fn an_image_for_something_else_says_for_what() {
    let windows = Platform::new("windows", "amd64");
    assert_eq!(problem(&image("windows", "amd64")), ImageProblem::Platform { wanted: host(), found: vec![windows.clone()] });
    let index = Packed::index(vec![image("windows", "amd64"), image("linux", "s390x")]);
    assert_eq!(problem(&index), ImageProblem::Platform { wanted: host(), found: vec![windows, Platform::new("linux", "s390x")] });
    assert_eq!(problem(&image("", "")).to_string().split(',').next(), Some("the image is for unknown/unknown"));
}

#[test]
fn an_index_that_does_not_say_what_for_is_searched() {
    let without = |packed: Packed| {
        let bytes = packed.blob(packed.top()).unwrap();
        json!({ "mediaType": "", "digest": packed.top(), "size": bytes.len() })
    };
    let (windows, ours) = (image("windows", "amd64"), image("linux", "amd64"));
    let index = json!({ "manifests": [without(windows.clone()), without(ours.clone())] }).to_string();
    let both = Packed::index(vec![windows, ours.clone()]);
    let found = select(index.as_bytes(), &host(), &mut |digest| Ok(both.blob(digest).unwrap().to_vec())).unwrap();
    assert_eq!(&found.manifest_digest, ours.top());
}

#[test]
fn the_index_speaks_for_a_config_that_does_not() {
    let silent = pack(host()).broken(Fault::Config(b"{}".to_vec())).build().unwrap();
    assert!(matches!(problem(&silent), ImageProblem::Platform { .. }));
    assert_eq!(choose(&Packed::index(vec![silent])).unwrap().platform, host());
}

#[test]
fn indexes_do_not_nest_for_ever() {
    let mut nested = image("linux", "amd64");
    for depth in 1..=4 {
        nested = Packed::index(vec![nested]);
        assert_eq!(choose(&nested).is_ok(), depth <= DEPTH, "{depth}");
    }
    assert_eq!(problem(&nested), ImageProblem::TooDeep { limit: DEPTH });
}

#[test]
fn what_is_no_image_says_what_it_is() {
    let chart = pack(host()).broken(Fault::ConfigMediaType("application/vnd.cncf.helm.config.v1+json".into())).build().unwrap();
    assert_eq!(problem(&chart), ImageProblem::NotAnImage { media_type: "application/vnd.cncf.helm.config.v1+json".into() });
    let odd_layer = Pack::new(host()).with_raw_layer("{}", "application/vnd.in-toto+json").build().unwrap();
    assert_eq!(problem(&odd_layer), ImageProblem::NotAnImage { media_type: "application/vnd.in-toto+json".into() });
    let encrypted = Pack::new(host()).with_raw_layer("x", "application/vnd.oci.image.layer.v1.tar+gzip+encrypted").build().unwrap();
    assert!(matches!(problem(&encrypted), ImageProblem::NotAnImage { .. }));
    let schema_1 = json!({ "schemaVersion": 1, "fsLayers": [] });
    assert!(matches!(problem_of_text(&schema_1), ImageProblem::NotAnImage { .. }));
    let other = json!({ "mediaType": "application/vnd.example+json", "config": null });
    assert_eq!(problem_of_text(&other), ImageProblem::NotAnImage { media_type: "application/vnd.example+json".into() });
}

#[test]
fn malformed_documents_are_the_images_fault() {
    let digest = Digest::of(b"");
    let config = json!({ "mediaType": OCI_CONFIG, "digest": digest, "size": 0 });
    for value in [
        json!([]),
        json!({}),
        json!({ "mediaType": OCI_INDEX }),
        json!({ "mediaType": OCI_MANIFEST, "config": config }),
        json!({ "manifests": [], "config": config, "layers": [] }),
        json!({ "config": { "digest": "sha256:x", "size": 1 }, "layers": [] }),
        json!({ "config": { "digest": digest, "size": -1 }, "layers": [] }),
    ] {
        assert!(matches!(problem_of_text(&value), ImageProblem::Manifest { .. }), "{value}");
    }
    assert!(matches!(problem_of_text(&json!({ "manifests": [] })), ImageProblem::EmptyIndex { .. }));
    assert!(matches!(problem_of_text(&json!({ "config": config, "layers": [] })), ImageProblem::BlobMissing { .. }));
    let huge = json!({ "mediaType": OCI_CONFIG, "digest": digest, "size": u64::MAX });
    assert!(matches!(problem_of_text(&json!({ "config": huge, "layers": [] })), ImageProblem::TooLarge { .. }));
    let layers: Vec<Value> = (0..=LAYER_LIMIT).map(|_| json!({ "digest": digest, "size": 0 })).collect();
    assert!(matches!(problem_of_text(&json!({ "config": config, "layers": layers })), ImageProblem::TooManyLayers { .. }));
    let long = vec![b' '; MANIFEST_LIMIT as usize + 1];
    let error = select(&long, &host(), &mut |_| panic!("nothing to get")).unwrap_err();
    assert!(matches!(error, InspectError::Image(ImageProblem::TooLarge { .. })));
}

#[test]
fn a_config_that_is_not_what_its_digest_says() {
    let packed = image("linux", "amd64");
    let top = packed.blob(packed.top()).unwrap();
    let changed = select(top, &host(), &mut |digest| {
        let mut bytes = packed.blob(digest).unwrap().to_vec();
        bytes[0] = b' ';
        Ok(bytes)
    });
    assert!(matches!(changed, Err(InspectError::Image(ImageProblem::Digest { .. }))));
    let longer = select(top, &host(), &mut |digest| Ok([packed.blob(digest).unwrap(), b" "].concat()));
    assert!(matches!(longer, Err(InspectError::Image(ImageProblem::Size { .. }))));
}

#[test]
fn our_own_trouble_stays_ours() {
    let packed = image("linux", "amd64");
    let failing = select(packed.blob(packed.top()).unwrap(), &host(), &mut |digest| {
        Err(Error::Blob { digest: digest.clone(), source: std::io::ErrorKind::PermissionDenied.into() })
    });
    assert!(matches!(failing, Err(InspectError::Read(Error::Blob { .. }))));
}

#[test]
fn docker_and_oci_layers_count_as_layers() {
    for media_type in [
        "",
        "application/vnd.oci.image.layer.v1.tar",
        "application/vnd.oci.image.layer.v1.tar+zstd",
        "application/vnd.docker.image.rootfs.diff.tar.gzip",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    ] {
        assert!(is_layer(media_type), "{media_type}");
    }
    for media_type in
        ["application/json", "application/vnd.oci.image.layer.v1.tarx", "application/vnd.oci.image.layer.v1.tar+gzip+encrypted"]
    {
        assert!(!is_layer(media_type), "{media_type}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_panics(text in r#"[\{\}\[\]":,a-z0-9]{0,80}"#) {
        let _ = select(text.as_bytes(), &host(), &mut |digest| Err(Error::BlobMissing { digest: digest.clone(), place: String::new() }));
    }
}
