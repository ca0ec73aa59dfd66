//! Style sheet, scripts and logo. They are part of the binary; the hash of them all is in their address, so that a browser may keep
//! them for ever and never mixes two versions.

use std::sync::LazyLock;

use model::digest::Digest;

/// One file.
pub struct Asset {
    /// Name in the address.
    pub name: &'static str,
    /// MIME type.
    pub content_type: &'static str,
    /// Content.
    pub bytes: &'static [u8],
}

const ASSETS: [Asset; 5] = [
    Asset { name: "build.js", content_type: "text/javascript; charset=utf-8", bytes: include_bytes!("../../assets/build.js") },
    Asset { name: "console.css", content_type: "text/css; charset=utf-8", bytes: include_bytes!("../../assets/console.css") },
    Asset { name: "console.js", content_type: "text/javascript; charset=utf-8", bytes: include_bytes!("../../assets/console.js") },
    Asset { name: "graphiql.js", content_type: "text/javascript; charset=utf-8", bytes: include_bytes!("../../assets/graphiql.js") },
    Asset { name: "logo.svg", content_type: "image/svg+xml", bytes: include_bytes!("../../assets/logo.svg") },
];

/// Hash of all files together: a script that imports another finds the one that was built with it.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut all = Vec::new();
    for asset in &ASSETS {
        all.extend_from_slice(asset.name.as_bytes());
        all.extend_from_slice(&(asset.bytes.len() as u64).to_le_bytes());
        all.extend_from_slice(asset.bytes);
    }
    Digest::of(&all).short().to_owned()
});

/// Address of a file.
pub fn url(name: &str) -> String {
    format!("/assets/{}/{name}", *VERSION)
}

/// The file of an address; `None` when there is none, or when the address is that of another version.
pub fn find(version: &str, name: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.name == name && version == *VERSION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_found_under_its_address_only() {
        for asset in &ASSETS {
            let url = url(asset.name);
            let (version, name) = url.strip_prefix("/assets/").and_then(|rest| rest.split_once('/')).unwrap();
            assert_eq!(find(version, name).map(|found| found.name), Some(asset.name));
            assert!(find("000000000000", name).is_none());
        }
        assert!(find(&VERSION, "passwd").is_none());
    }

    #[test]
    fn scripts_import_only_what_is_here() {
        for asset in ASSETS.iter().filter(|asset| asset.name.ends_with(".js")) {
            let text = std::str::from_utf8(asset.bytes).unwrap();
            for import in text.split(" from \"./").skip(1).filter_map(|rest| rest.split_once('"')) {
                assert!(ASSETS.iter().any(|other| other.name == import.0), "{} imports {}", asset.name, import.0);
            }
        }
    }
}
