use super::*;
use crate::{error::InspectError, inspection::inspect};

fn sample() -> Pack {
    Pack::new("linux/arm64/v8".parse().unwrap())
        .layer(vec![File::new("/deep/down/file", 0o640, "x").owned_by(5, 6), File::dir("tmp", 0o1777), File::symlink("l", "deep")])
        .entrypoint(["/a", "b"])
        .cmd(["c"])
        .env("A", "1")
        .env("B", "2=3")
        .working_dir("/w")
        .user("1000:1000")
        .expose("8080/tcp")
        .label("k", "v")
        .tag("t")
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str| {
        let path = dir.path().join(name);
        sample().attested_archive(&path);
        std::fs::read(path).unwrap()
    };
    assert_eq!(write("one"), write("two"));
}

impl Pack {
    fn attested_archive(self, path: &std::path::Path) {
        self.build().unwrap().attested().write_oci_archive(path).unwrap();
    }
}

#[test]
fn what_was_said_is_in_the_config() {
    let packed = sample().build().unwrap();
    let found = inspect(&packed, packed.top(), &Platform::new("linux", "arm64"), Caps::default(), &mut |_| None).unwrap();
    let config = &found.config;
    assert_eq!(config.args(), ["/a", "b", "c"]);
    assert_eq!(config.env, ["A=1", "B=2=3"]);
    assert_eq!((config.working_dir.as_str(), config.user.as_str()), ("/w", "1000:1000"));
    assert_eq!((&config.exposed_ports[..], config.labels["k"].as_str()), (&["8080/tcp".to_owned()][..], "v"));
    assert_eq!(config.platform().to_string(), "linux/arm64/v8");
    let file = found.tree.get("deep/down/file").unwrap();
    assert_eq!((file.entry.mode, file.entry.uid, file.entry.gid), (0o640, 5, 6));
    assert_eq!(found.tree.get("deep").unwrap().entry.mode, 0o755);
    assert_eq!(found.tree.get("tmp").unwrap().entry.mode, 0o1777);
    let implied: Vec<&str> = found.layers[0].entries.iter().map(|entry| entry.path.as_str()).collect();
    assert_eq!(implied, ["deep", "deep/down", "deep/down/file", "tmp", "l"]);
}

#[test]
fn a_file_that_cannot_be_packed_is_named() {
    let error = Pack::new(Platform::host()).layer(vec![File::new("ok", 0o644, ""), File::new("../out", 0o644, "")]).build().unwrap_err();
    assert!(matches!(error, Error::Pack { path, .. } if path == "../out"));
}

#[test]
fn a_raw_layer_stays_as_it_is() {
    let packed = Pack::new(Platform::host()).with_raw_layer("raw", "application/vnd.oci.image.layer.v1.tar").build().unwrap();
    assert_eq!(packed.blob(&Digest::of(b"raw")), Some(&b"raw"[..]));
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let error = sample().write_oci_dir(std::path::Path::new("/proc/nowhere")).unwrap_err();
    assert!(matches!(error, Error::File { action: "make", .. }));
    let error = sample().write_oci_archive(std::path::Path::new("/proc/nowhere/x")).unwrap_err();
    assert!(matches!(error, Error::File { action: "write", .. }));
}

#[test]
fn faults_are_faults() {
    let packed = sample().broken(Fault::MissingLayer(0)).broken(Fault::MissingLayer(7)).build().unwrap();
    let error = inspect(&packed, packed.top(), &Platform::new("linux", "arm64"), Caps::default(), &mut |_| None).unwrap_err();
    assert!(matches!(error, InspectError::Image(_)));
}
