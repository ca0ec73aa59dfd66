//! Modules of Go programs, from the build info that Go's linker leaves (`go version -m`), and the standard library by Go's own version.

use image::Program;

use super::{Named, Source, Teller, Telling};

pub(super) const TELLER: Teller = Teller { from: Source::Program(read), ecosystem: Ok("Go"), whole: true };

fn read(program: &Program) -> Telling {
    let mut telling = Telling { trouble: program.trouble.clone(), ..Telling::default() };
    let Some(go) = &program.go else { return telling };
    match release(&go.version) {
        Some(version) => telling.packages.push(Named::new("stdlib", version)),
        None if go.version.is_empty() => {
            telling.trouble =
                Some("is made by Go, but which version of it cannot be read; its standard library was not looked up".to_owned());
        }
        None => {
            let version = &go.version;
            telling.trouble = Some(format!("is made by {version:?} of Go, which is no release; its standard library was not looked up"));
        }
    }
    for line in go.modules.lines() {
        let mut fields = line.split('\t');
        match (fields.next(), fields.next(), fields.next()) {
            // A replacement stands behind what it replaces. One that is a folder has no version and is no released module.
            (Some("=>"), Some(path), version) => {
                telling.packages.pop();
                telling.packages.extend(version.filter(|version| !version.is_empty()).map(|version| Named::new(path, version)));
            }
            // The program's own module has a version only when it was built from a released one.
            (Some("dep"), Some(path), Some(version)) => telling.packages.push(Named::new(path, version)),
            (Some("mod"), Some(path), Some(version)) if released(version) => telling.packages.push(Named::new(path, version)),
            _ => {}
        }
    }
    telling
}

fn released(version: &str) -> bool {
    version.starts_with('v')
}

/// A release of Go as advisories write it: `go1.21rc2` is `1.21.0-rc.2`. Words behind it tell of experiments and vendors.
fn release(version: &str) -> Option<String> {
    let text = version.split([' ', '-', '+']).next()?.strip_prefix("go")?;
    let end = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (numbers, pre) = text.split_at(end);
    let parts: Vec<&str> = numbers.split('.').collect();
    if parts.len() > 3 || parts.iter().any(|part| part.is_empty() || part.bytes().any(|byte| !byte.is_ascii_digit())) {
        return None;
    }
    let at = |index: usize| parts.get(index).copied().unwrap_or("0");
    let base = format!("{}.{}.{}", at(0), at(1), at(2));
    if pre.is_empty() {
        return Some(base);
    }
    let word = pre.trim_end_matches(|c: char| c.is_ascii_digit());
    let number = &pre[word.len()..];
    matches!(word, "beta" | "rc").then(|| format!("{base}-{word}.{number}"))
}

#[cfg(test)]
mod tests {
    use image::GoBuild;

    use super::*;

    fn of(version: &str, modules: &str) -> Telling {
        let go = Some(GoBuild { version: version.to_owned(), modules: modules.to_owned() });
        read(&Program { go, ..Program::default() })
    }

    #[test]
    fn modules_replacements_and_the_standard_library() {
        let modules = "path\texample.org/x/cmd\nmod\texample.org/x\t(devel)\t\ndep\ta.org/a\tv1.2.3\th1:x=\ndep\tb.org/b\tv1.0.0\n=>\tc.org/c\tv2.0.0\th1:y=\n\
                       dep\td.org/d\tv1.0.0\n=>\t./d\t\t\ndep\te.org/e\tv0.0.0-20210101000000-abcdefabcdef\th1:z=\nbuild\t-compiler=gc\n";
        let names: Vec<(String, String)> = of("go1.19.8", modules).packages.into_iter().map(|named| (named.name, named.version)).collect();
        let expected =
            [("stdlib", "1.19.8"), ("a.org/a", "v1.2.3"), ("c.org/c", "v2.0.0"), ("e.org/e", "v0.0.0-20210101000000-abcdefabcdef")];
        assert_eq!(names, expected.map(|(name, version)| (name.to_owned(), version.to_owned())));
        assert_eq!(of("go1.22", "mod\texample.org/x\tv1.4.0\n").packages[1], Named::new("example.org/x", "v1.4.0"));
    }

    #[test]
    fn releases_of_go() {
        for (text, release_) in [
            ("go1.21", Some("1.21.0")),
            ("go1.21rc2", Some("1.21.0-rc.2")),
            ("go1.19.8 X:boringcrypto", Some("1.19.8")),
            ("go1.20.5-custom", Some("1.20.5")),
            ("devel +abc Mon", None),
            ("go", None),
            ("go1.x", None),
            ("", None),
        ] {
            assert_eq!(release(text).as_deref(), release_, "{text}");
        }
        assert!(of("", "").trouble.unwrap().contains("which version of it cannot be read"));
        assert!(of("devel go1.23-abc", "").trouble.unwrap().contains("no release"));
    }
}
