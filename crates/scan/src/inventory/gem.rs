//! Installed gems: `specifications/NAME-VERSION.gemspec`, as RubyGems writes them.

use super::{Kept, Named, Source, Teller, Telling};

pub(super) const TELLER: Teller = Teller { from: Source::File { tells, read }, ecosystem: Ok("RubyGems"), whole: false };

/// Gems have a file of that kind in their own folder as well; only those under `specifications` are installed ones.
fn tells(path: &str) -> bool {
    let Some((folder, name)) = path.rsplit_once('/') else { return false };
    let folder = folder.strip_suffix("/default").unwrap_or(folder);
    name.ends_with(".gemspec") && (folder == "specifications" || folder.ends_with("/specifications"))
}

fn read(kept: &Kept<'_>) -> Telling {
    let text = String::from_utf8_lossy(kept.bytes);
    let value = |key: &str| {
        let of = |line: &str| {
            let (left, right) = line.split_once('=')?;
            let (_, attribute) = left.trim().split_once('.')?;
            (attribute == key).then(|| quoted(right)).flatten()
        };
        text.lines().find_map(of)
    };
    match (value("name"), value("version")) {
        (Some(name), Some(version)) => Telling::of(Named::new(name, version)),
        _ => Telling::trouble("names no gem and version"),
    }
}

/// The first text in quotes.
fn quoted(text: &str) -> Option<String> {
    let begin = text.find(['"', '\''])?;
    let quote = text[begin..].chars().next()?;
    let inside = &text[begin + 1..];
    Some(inside[..inside.find(quote)?].to_owned()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Telling {
        read(&Kept { bytes: text.as_bytes(), log: b"", others: &super::super::Others::default() })
    }

    #[test]
    fn names_and_versions() {
        let text = "# -*- encoding: utf-8 -*-\n# stub: nokogiri 1.15.0 x86_64-linux lib\n\nGem::Specification.new do |s|\n  s.name = \"nokogiri\".freeze\n  \
                    s.version = \"1.15.0\"\n  s.platform = \"x86_64-linux\".freeze\n  s.required_rubygems_version = Gem::Requirement.new(\">= 0\".freeze)\nend\n";
        assert_eq!(of(text).packages, [Named::new("nokogiri", "1.15.0")]);
        assert_eq!(of("s.name = 'a'\ns.version = Gem::Version.new('2.0')\n").packages, [Named::new("a", "2.0")]);
        assert!(of("s.name = File.basename(x)\n").trouble.is_some());
    }

    #[test]
    fn installed_gems_only() {
        for path in ["usr/lib/ruby/gems/3.1.0/specifications/rake-13.0.6.gemspec", "a/specifications/default/json-2.6.1.gemspec"] {
            assert!(tells(path), "{path}");
        }
        for path in ["usr/lib/ruby/gems/3.1.0/gems/rake-13.0.6/rake.gemspec", "my_specifications/x.gemspec", "specifications/x/y.gemspec"] {
            assert!(!tells(path), "{path}");
        }
    }
}
