use std::io::Write;

use proptest::prelude::*;

use super::*;

const MODULES: &str = "path\texample.org/x\nmod\texample.org/x\t(devel)\t\ndep\tgolang.org/x/text\tv0.3.5\th1:abc=\n";

fn probe(bytes: &[u8], piece: usize) -> Option<Program> {
    let (first, rest) = bytes.split_at(4.min(bytes.len()));
    let mut probe = Probe::new(first);
    rest.chunks(piece).for_each(|chunk| probe.push(chunk));
    probe.finish()
}

fn text(length: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut value = length;
    while value > 0x7f {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

fn marked(modules: &str) -> Vec<u8> {
    [BEGIN, modules.as_bytes(), END].concat()
}

/// An ELF program with a part that is read only at 0x1000 and one that can be written at 0x20000, each behind the other in the file.
fn elf(fixed: &[u8], data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0_u8; 0x1000];
    bytes[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    bytes[32..40].copy_from_slice(&64_u64.to_le_bytes());
    bytes[54..56].copy_from_slice(&56_u16.to_le_bytes());
    bytes[56..58].copy_from_slice(&2_u16.to_le_bytes());
    let offset = 0x1000 + fixed.len() as u64;
    for (at, flags, offset, address, size) in
        [(64, 4_u32, 0x1000_u64, 0x40_1000_u64, fixed.len() as u64), (120, 6, offset, 0x52_0000, data.len() as u64)]
    {
        bytes[at..at + 4].copy_from_slice(&1_u32.to_le_bytes());
        bytes[at + 4..at + 8].copy_from_slice(&flags.to_le_bytes());
        for (shift, number) in [(8, offset), (16, address), (32, size)] {
            bytes[at + shift..at + shift + 8].copy_from_slice(&number.to_le_bytes());
        }
    }
    bytes[0xf00..0xf04].copy_from_slice(b"Go\0\0");
    [&bytes, fixed, data].concat()
}

/// As Go 1.18 and later write it.
fn inline(version: &str, modules: &str) -> Vec<u8> {
    let modules = marked(modules);
    [INFO, b"\x08\x02", &[0; 16], &text(version.len()), version.as_bytes(), &text(modules.len()), &modules].concat()
}

/// As earlier ones do: addresses of two strings, here of the first alone.
fn pointing(to: u64) -> Vec<u8> {
    [INFO, b"\x08\x00", &to.to_le_bytes(), &[0; 8]].concat()
}

fn auditable(document: &str) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(document.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn noise(length: usize) -> Vec<u8> {
    let mut state = 7_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn build_info_of_both_kinds() {
    let expected = GoBuild { version: "go1.21.3".into(), modules: MODULES.into() };
    let new = elf(&noise(200_000), &[&inline("go1.21.3", MODULES)[..], &noise(100_000)].concat());
    // The text of the version lies among others, its address and length behind the build info.
    let words = b"go1.9go1.21.3go1.2";
    let fixed = [&noise(70_000)[..], &marked(MODULES), words].concat();
    let address = 0x40_1000 + (fixed.len() - words.len() + 5) as u64;
    let header = [&address.to_le_bytes()[..], &8_u64.to_le_bytes()].concat();
    let old = elf(&fixed, &[&pointing(0x52_0000 + 4096)[..], &vec![0; 4096 - 32], &header, &noise(9)].concat());
    // As other linkers lay it: what names the version comes first.
    let linked = elf(&fixed, &[&[0; 64][..], &header, &vec![0; 100_000], &pointing(0x52_0000 + 64)].concat());
    for program in [new, old, linked] {
        for piece in [1, 1000, 65_536, usize::MAX] {
            let found = probe(&program, piece).unwrap();
            assert_eq!((found.go.as_ref(), &found.trouble), (Some(&expected), &None));
        }
    }
}

#[test]
fn a_program_inside_a_program_does_not_speak_for_it() {
    let embedded = elf(b"", &inline("go1.10", "path\tother\n"));
    let found = probe(&elf(&embedded, &inline("go1.21.3", MODULES)), usize::MAX).unwrap();
    assert_eq!(found.go.unwrap(), GoBuild { version: "go1.21.3".into(), modules: MODULES.into() });
}

#[test]
fn a_pointer_into_nowhere_leaves_the_version_unknown() {
    let program = elf(&marked(MODULES), &[&pointing(0x52_0000 + 64)[..], &[0xff; 64]].concat());
    assert_eq!(probe(&program, usize::MAX).unwrap().go.unwrap(), GoBuild { version: String::new(), modules: MODULES.into() });
    assert_eq!(probe(&elf(b"", &pointing(5)), usize::MAX), None);
}

#[test]
fn a_list_that_is_cut_off_is_said() {
    let info = inline("go1.21.3", &"dep\ta\tv1\n".repeat(200));
    let found = probe(&elf(b"", &info[..info.len() - 5]), usize::MAX).unwrap();
    assert_eq!(found.trouble.unwrap(), "has a list of Go modules that is cut off");
    let list = auditable(r#"{"packages":[{"name":"a","version":"1.0.0"}]}"#);
    let found = probe(&elf(&list[..list.len() - 8], b""), usize::MAX).unwrap();
    assert!(found.crates.is_none() && found.trouble.unwrap().starts_with("has a list of crates that is"));
}

#[test]
fn the_list_of_crates_wherever_it_stands() {
    let document = format!(r#"{{"packages":[{}]}}"#, r#"{"name":"serde","version":"1.0.0"},"#.repeat(3000).trim_end_matches(','));
    for before in [0, 65_530, 65_536 + AHEAD - 1, 200_000] {
        let program = elf(&[&noise(before)[..], &auditable(&document), &noise(1000)].concat(), b"");
        for piece in [777, usize::MAX] {
            let found = probe(&program, piece).unwrap();
            assert_eq!((found.crates.as_deref(), &found.go, &found.trouble), (Some(document.as_str()), &None, &None));
        }
    }
    assert_eq!(probe(&elf(&auditable("{\"other\":1}"), b""), usize::MAX), None);
}

#[test]
fn an_endless_list_has_an_end_that_is_said() {
    let document = format!(r#"{{"packages":[{}"#, " ".repeat(LONGEST_CRATES));
    let found = probe(&elf(&auditable(&document), b""), usize::MAX).unwrap();
    assert_eq!(found.trouble.unwrap(), "has a list of crates that is too long to be read");
}

proptest! {
    #[test]
    fn whatever_comes_the_cut_does_not_matter(at in 0_usize..3000, byte: u8, piece in 1_usize..5000) {
        let list = auditable(r#"{"packages":[{"name":"serde","version":"1.0.0"}]}"#);
        let mut program = elf(&[&noise(66_000)[..], &list, &marked(MODULES)].concat(), &inline("go1.21.3", MODULES));
        let length = program.len();
        program[length - 1 - at % 900] = byte;
        prop_assert_eq!(probe(&program, piece), probe(&program, usize::MAX));
    }
}
