//! Layers become one root file system.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
};

use rustix::{
    fs::{CWD, FileType, Mode, XattrFlags, mknodat, setxattr},
    io::Errno,
};
use sandbox::{Error, Rootfs, Session};

use crate::support::{Bench, assert_ok, is_ordinary, names, quiet, script_spec, stdout};

/// The attribute of this name that overlayfs reads.
fn overlay_attribute(name: &str) -> String {
    format!("{}.overlay.{name}", if is_ordinary() { "user" } else { "trusted" })
}

#[test]
fn upper_layers_hide_lower_ones() {
    let bench = Bench::new();
    bench.file("base/d/gone", b"1", 0o644);
    bench.file("base/d/kept", b"1", 0o644);
    bench.file("base/o/hidden", b"1", 0o644);
    bench.file("base/both", b"lower\n", 0o644);
    bench.file("top/both", b"upper\n", 0o644);
    bench.file("top/o/new", b"1", 0o644);
    fs::create_dir_all(bench.path("top/d")).unwrap();
    mknodat(CWD, bench.path("top/d/gone"), FileType::CharacterDevice, Mode::from_raw_mode(0), 0).unwrap();
    setxattr(bench.path("top/o"), overlay_attribute("opaque"), b"y", XattrFlags::empty()).unwrap();
    let rootfs = Rootfs { lower: vec![bench.path("base"), bench.path("top")] };
    let session = bench.open("test");
    let spec = script_spec("ls d; ls o; cat both; echo changed > both; cat both");
    let record = session.start(&rootfs, &spec, quiet()).unwrap().wait().unwrap();
    assert_ok(&record);
    assert_eq!(stdout(&record), ["kept", "new", "upper", "changed"]);
    assert_eq!(fs::read_to_string(bench.path("top/both")).unwrap(), "upper\n", "layers are only read");
}

#[test]
fn a_layer_cannot_point_into_another_place_by_overlay_attributes() {
    let bench = Bench::new();
    bench.file("base/secret/key", b"1", 0o644);
    fs::create_dir_all(bench.path("top/door")).unwrap();
    setxattr(bench.path("top/door"), overlay_attribute("redirect"), b"/secret", XattrFlags::empty()).unwrap();
    let rootfs = Rootfs { lower: vec![bench.path("base"), bench.path("top")] };
    let session = bench.open("test");
    let record = session.start(&rootfs, &script_spec("ls door"), quiet()).unwrap().wait().unwrap();
    assert!(!stdout(&record).contains(&"key"), "{record:?}");
}

#[test]
fn three_hundred_layers_are_one_image() {
    let bench = Bench::new();
    let mut lower = vec![bench.path("base")];
    for i in 0..300 {
        bench.file(&format!("layer{i}/f{i}"), b"", 0o644);
        lower.push(bench.path(&format!("layer{i}")));
    }
    let session = bench.open("test");
    let record = session.start(&Rootfs { lower }, &script_spec("ls / | wc -l; ls /f0 /f299"), quiet()).unwrap().wait().unwrap();
    assert_ok(&record);
    assert_eq!(stdout(&record)[1..], ["/f0", "/f299"]);
}

#[test]
fn an_image_whose_top_directories_are_links_touches_nothing_outside() {
    let bench = Bench::new();
    let outside = bench.path("outside");
    fs::create_dir(&outside).unwrap();
    for name in ["dev", "proc", "sys", "tmp"] {
        symlink(&outside, bench.path("base").join(name)).unwrap();
    }
    fs::remove_dir_all(bench.path("base/etc")).unwrap();
    symlink("/lib/etc", bench.path("base/etc")).unwrap();
    bench.file("base/lib/etc/passwd", b"root:x:0:0::/root:/bin/sh\n", 0o644);
    let record = bench.sh("ls -d /dev/null /proc/self; cat /etc/hostname; cat /lib/etc/hosts");
    assert_ok(&record);
    assert_eq!(stdout(&record)[..3], ["/dev/null", "/proc/self", "engine"]);
    assert_eq!(names(&outside), Vec::<String>::new());
    assert_eq!(names(&bench.path("base/lib/etc")), ["passwd"], "layers are only read");
}

#[test]
fn an_image_with_nothing_but_a_program_runs() {
    let bench = Bench::new();
    for name in ["etc", "root"] {
        fs::remove_dir_all(bench.path("base").join(name)).unwrap();
    }
    let record = bench.sh("echo x > /tmp/x; cat /etc/hosts; ls /dev/shm; cat /proc/self/mountinfo");
    assert_ok(&record);
    let here = bench.dir.path().to_str().unwrap().to_owned();
    assert!(!stdout(&record).iter().any(|line| line.contains(&here)), "the host's paths are nobody's business: {record:#?}");
}

#[test]
fn setuid_programs_and_devices_of_an_image_have_no_effect() {
    let bench = Bench::new();
    let su = bench.path("base/bin/su");
    fs::copy("/bin/busybox", &su).unwrap();
    fs::set_permissions(&su, fs::Permissions::from_mode(0o4755)).unwrap();
    let device = rustix::fs::makedev(1, 3);
    let made = mknodat(CWD, bench.path("base/null"), FileType::CharacterDevice, Mode::from_raw_mode(0o666), device);
    // An ordinary user's layers cannot even have any.
    assert_eq!(made, if is_ordinary() { Err(Errno::PERM) } else { Ok(()) });
    let mut spec = script_spec("/bin/su 2>&1; echo x > /null || echo refused");
    spec.user = "app".into();
    let record = bench.run(&spec);
    assert_eq!(stdout(&record), ["su: must be suid to work properly", "refused"]);
}

#[test]
fn descriptions_that_cannot_be_carried_out_are_refused() {
    let bench = Bench::new();
    let session = bench.open("test");
    let start =
        |session: &dyn Session, rootfs: &Rootfs, spec: &model::run::RunSpec| session.start(rootfs, spec, quiet()).map(drop).unwrap_err();
    let mut nothing = script_spec("true");
    nothing.args.clear();
    assert!(matches!(start(&*session, &bench.rootfs(), &nothing), Error::BadSpec(_)));
    let missing = Rootfs { lower: vec![bench.path("missing")] };
    let error = start(&*session, &missing, &script_spec("true")).to_string();
    assert!(error.contains("missing") && error.contains("root file system"), "{error}");
    assert!(matches!(bench.local_error("../x"), Error::BadId(_)));
    assert!(matches!(bench.local_error("test"), Error::Busy(_)), "the id is in use");
}
