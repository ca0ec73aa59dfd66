//! The empty registry, and requests that must be refused in the standard's words.

use model::digest::Digest;
use serde_json::json;

use super::{
    Checked, Report,
    client::{Ask, Client, holds, with},
    data::{IMAGE, INDEX},
};

pub(crate) fn run(client: &Client, report: &mut Report, repository: &str) {
    doors(client, report, repository);
    nothing_yet(client, report, repository);
    manifests(client, report, repository);
    uploads(client, report, repository);
}

fn doors(client: &Client, report: &mut Report, repository: &str) {
    let mut case = |name: &str, checked: Checked| report.case("authentication", name, checked);
    let challenged = |ask: &Ask<'_>| {
        let answer = client.anonymous(ask)?;
        holds(answer.header("www-authenticate").starts_with("Bearer realm=\""), || "there is no challenge".into())?;
        answer.refuses(401, "UNAUTHORIZED")
    };
    case("ping is challenged", challenged(&Ask::new("GET", client.root())));
    for (method, rest) in [("GET", "tags/list"), ("GET", "manifests/v1"), ("PUT", "manifests/v1"), ("POST", "blobs/uploads/")] {
        case(&format!("{method} {rest} is challenged"), challenged(&Ask::new(method, client.at(repository, rest))));
    }
    let ping = client.send(&Ask::new("GET", client.root()));
    case("ping", ping.and_then(|answer| answer.is(200)?.has("docker-distribution-api-version", "registry/2.0")?.done()));
}

fn nothing_yet(client: &Client, report: &mut Report, repository: &str) {
    let mut case = |name: &str, checked: Checked| report.case("empty", name, checked);
    let get = |rest: &str| client.send(&Ask::new("GET", client.at(repository, rest)));
    case("tag list", get("tags/list").and_then(|answer| answer.refuses(404, "NAME_UNKNOWN")));
    case("manifest by tag", get("manifests/missing").and_then(|answer| answer.refuses(404, "MANIFEST_UNKNOWN")));
    let digest = Digest::of(b"missing");
    case("manifest by digest", get(&format!("manifests/{digest}")).and_then(|answer| answer.refuses(404, "MANIFEST_UNKNOWN")));
    case("blob", get(&format!("blobs/{digest}")).and_then(|answer| answer.refuses(404, "BLOB_UNKNOWN")));
    let referrers = get(&format!("referrers/{digest}"));
    let empty = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [] });
    case("referrers", referrers.and_then(|answer| holds(answer.is(200)?.json() == empty, || "the list is not empty".into())));
    let odd = get("referrers/sha256:odd");
    case("referrers of no digest", odd.and_then(|answer| answer.refuses(400, "DIGEST_INVALID")));
}

fn manifests(client: &Client, report: &mut Report, repository: &str) {
    let mut case = |name: &str, checked: Checked| report.case("manifest errors", name, checked);
    let put = |reference: &str, media_type: &str, bytes: &[u8]| {
        let url = client.at(repository, &format!("manifests/{reference}"));
        client.send(&Ask::new("PUT", url).header("content-type", media_type).body(bytes))
    };
    let gone = [Digest::of(b"no config"), Digest::of(b"no layer")];
    let part = |digest: &Digest| json!({ "mediaType": "a/b", "digest": digest, "size": 1 });
    let image = json!({ "schemaVersion": 2, "mediaType": IMAGE, "config": part(&gone[0]), "layers": [part(&gone[1])] }).to_string();
    let missing = put("v1", IMAGE, image.as_bytes()).and_then(|answer| {
        let named = answer.json()["errors"].as_array().map_or(0, Vec::len);
        holds(named == gone.len(), || format!("{named} of the {} missing blobs are named", gone.len()))?;
        answer.refuses(400, "MANIFEST_BLOB_UNKNOWN")
    });
    case("missing blobs", missing);
    let after = client.send(&Ask::new("GET", client.at(repository, "manifests/v1")));
    case("nothing of it is kept", after.and_then(|answer| answer.refuses(404, "MANIFEST_UNKNOWN")));
    case("a digest that is none", put("sha256:baddigeststring", IMAGE, b"{}").and_then(|answer| answer.refuses(400, "DIGEST_INVALID")));
    let odd = client.send(&Ask::new("GET", client.at(repository, "manifests/sha256:baddigeststring")));
    case("getting a digest that is none", odd.and_then(|answer| answer.refuses(404, "MANIFEST_UNKNOWN")));
    let wide = format!("sha512:{}", "0".repeat(128));
    for digest in [Digest::of(b"other").to_string(), wide] {
        case("a digest of other bytes", put(&digest, IMAGE, b"{}").and_then(|answer| answer.refuses(400, "DIGEST_INVALID")));
    }
    case("a tag that is none", put("-v1", IMAGE, b"{}").and_then(|answer| answer.refuses(400, "TAG_INVALID")));
    case("no JSON", put("v1", IMAGE, b"{").and_then(|answer| answer.refuses(400, "MANIFEST_INVALID")));
    case("no config", put("v1", IMAGE, b"{\"schemaVersion\":2}").and_then(|answer| answer.refuses(400, "MANIFEST_INVALID")));
    case("another type inside", put("v1", INDEX, image.as_bytes()).and_then(|answer| answer.refuses(400, "MANIFEST_INVALID")));
    case("too large", put("v1", IMAGE, &vec![b' '; (4 << 20) + 1]).and_then(|answer| answer.refuses(413, "MANIFEST_INVALID")));
    let many: Vec<String> = (0..200).map(|n| format!("tag=t{n}")).collect();
    let reference = format!("{}?{}", Digest::of(b"{}"), many.join("&"));
    case("too many tags", put(&reference, IMAGE, b"{}").and_then(|answer| answer.refuses(414, "UNSUPPORTED")));
    let post = client.send(&Ask::new("POST", client.at(repository, "manifests/v1")));
    case("a method that is none", post.and_then(|answer| answer.refuses(405, "UNSUPPORTED")));
}

fn uploads(client: &Client, report: &mut Report, repository: &str) {
    let mut case = |name: &str, checked: Checked| report.case("upload errors", name, checked);
    let start = client.at(repository, "blobs/uploads/");
    let unknown = client.at(repository, "blobs/uploads/00000000-0000-0000-0000-000000000000");
    for method in ["GET", "PATCH", "DELETE"] {
        let answer = client.send(&Ask::new(method, &unknown));
        case(&format!("{method} of no upload"), answer.and_then(|answer| answer.refuses(404, "BLOB_UPLOAD_UNKNOWN")));
    }
    let digest = Digest::of(b"x").to_string();
    let put = client.send(&Ask::new("PUT", with(&unknown, "digest", &digest)));
    case("PUT of no upload", put.and_then(|answer| answer.refuses(404, "BLOB_UPLOAD_UNKNOWN")));
    let location = client.send(&Ask::new("POST", &start)).and_then(|answer| answer.is(202)?.location(client));
    let Ok(location) = location else { return report.skip("upload errors", "what needs an upload") };
    let mut case = |name: &str, checked: Checked| report.case("upload errors", name, checked);
    case("an end without digest", client.send(&Ask::new("PUT", &location)).and_then(|answer| answer.refuses(400, "DIGEST_INVALID")));
    let odd = client.send(&Ask::new("PUT", with(&location, "digest", "sha256:odd")));
    case("a digest that is none", odd.and_then(|answer| answer.refuses(400, "DIGEST_INVALID")));
    let range = client.send(&Ask::new("PATCH", &location).header("content-range", "nonsense").body(b"x"));
    case("a range that is none", range.and_then(|answer| answer.refuses(400, "BLOB_UPLOAD_INVALID")));
    let size = client.send(&Ask::new("PATCH", &location).header("content-range", "0-9").body(b"x"));
    case("a range of another size", size.and_then(|answer| answer.refuses(400, "SIZE_INVALID")));
    let still = client.send(&Ask::new("PUT", with(&location, "digest", &digest)).body(b"x"));
    case("and still it goes on", still.and_then(|answer| answer.is(201)?.done()));
    let blob = client.at(repository, &format!("blobs/{digest}"));
    case("blob delete", client.send(&Ask::new("DELETE", blob)).and_then(|answer| answer.is(202)?.done()));
    let mount = client.send(&Ask::new("POST", with(&start, "mount", "nonsense")));
    case("a mount of no digest", mount.and_then(|answer| answer.refuses(400, "DIGEST_INVALID")));
}
