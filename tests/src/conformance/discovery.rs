//! Lists that come in pages: tags and referrers, each page by the `Link` of the one before.

use model::digest::Digest;
use serde_json::json;

use super::{
    Report,
    client::{Ask, Client, holds, with},
    data::IMAGE,
};

const CATEGORY: &str = "lists";

/// Tags and referrers that are made.
const MANY: usize = 23;

pub(crate) fn run(client: &Client, report: &mut Report, repository: &str) {
    let config = b"{}";
    let digest = Digest::of(config);
    let url = with(&client.at(repository, "blobs/uploads/"), "digest", &digest.to_string());
    report.case(CATEGORY, "blob push", client.send(&Ask::new("POST", url).body(config)).and_then(|answer| answer.is(201)?.done()));
    let subject = Digest::of(b"the subject of many");
    let part = |media_type: &str, digest: &Digest| json!({ "mediaType": media_type, "digest": digest, "size": 2 });
    let (mut tags, mut digests) = (Vec::new(), Vec::new());
    for n in 0..MANY {
        let document = json!({ "schemaVersion": 2, "mediaType": IMAGE, "artifactType": format!("a/{}", n % 2), "config": part("a/b", &digest),
            "layers": [], "subject": part(IMAGE, &subject), "annotations": { "n": n.to_string() } });
        let bytes = document.to_string().into_bytes();
        // The order of bytes is not that of numbers.
        let tag = format!("{}{n}", if n % 3 == 0 { "V" } else { "v" });
        let ask = Ask::new("PUT", client.at(repository, &format!("manifests/{tag}"))).header("content-type", IMAGE).body(&bytes);
        report.case(CATEGORY, "manifest push", client.send(&ask).and_then(|answer| answer.is(201)?.done()));
        tags.push(tag);
        digests.push((Digest::of(&bytes).to_string(), n % 2));
    }
    tags.sort();
    digests.sort();
    let all: Vec<String> = digests.iter().map(|(digest, _)| digest.clone()).collect();
    let even: Vec<String> = digests.iter().filter(|(_, odd)| *odd == 0).map(|(digest, _)| digest.clone()).collect();
    let (tag_list, referrers) = (client.at(repository, "tags/list"), client.at(repository, &format!("referrers/{subject}")));
    let name_of = |entry: &serde_json::Value| entry["digest"].as_str().or(entry.as_str()).unwrap_or_default().to_owned();
    for (list, field, wanted) in [
        (tag_list.clone(), "tags", &tags),
        (referrers.clone(), "manifests", &all),
        (with(&referrers, "artifactType", "a/0"), "manifests", &even),
    ] {
        for size in [1, 5, MANY - 1, MANY, MANY + 1] {
            let mut found = Vec::new();
            let mut next = with(&list, "n", &size.to_string());
            let checked = loop {
                let page = match client.send(&Ask::new("GET", &next)).and_then(|answer| answer.is(200)) {
                    Ok(page) => page,
                    Err(why) => break Err(why),
                };
                let entries: Vec<String> = page.json()[field].as_array().unwrap_or(&Vec::new()).iter().map(name_of).collect();
                let fits = entries.len() <= size && !entries.is_empty();
                found.extend(entries);
                let Some(link) = page.header("link").split(['<', '>']).nth(1) else {
                    break holds(fits && found == *wanted, || format!("the pages have {found:?}, not {wanted:?}"));
                };
                if !fits || found.len() > wanted.len() {
                    break Err(format!("pages of {size} have {found:?}"));
                }
                next = client.follow(link);
            };
            report.case(CATEGORY, &format!("{field} in pages of {size}"), checked);
        }
    }
    let none = client.send(&Ask::new("GET", with(&tag_list, "n", "0"))).and_then(|answer| answer.is(200)?.has("link", ""));
    report.case(CATEGORY, "none at all", none.and_then(|answer| holds(answer.json()["tags"] == json!([]), || "there are some".into())));
    let odd = client.send(&Ask::new("GET", with(&tag_list, "n", "many"))).and_then(|answer| answer.refuses(400, "UNSUPPORTED"));
    report.case(CATEGORY, "n is no number", odd);
    for digest in all {
        let url = client.at(repository, &format!("manifests/{digest}"));
        report.case(CATEGORY, "manifest delete", client.send(&Ask::new("DELETE", url)).and_then(|answer| answer.is(202)?.done()));
    }
    let left = client.send(&Ask::new("GET", tag_list)).and_then(|answer| Ok(answer.is(200)?.json()["tags"].clone()));
    report.case(CATEGORY, "tags go with their manifests", left.and_then(|left| holds(left == json!([]), || format!("{left} are left"))));
}
