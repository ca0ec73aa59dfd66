//! Pushes, finds, pulls and deletes one set of content.

use std::collections::BTreeSet;

use model::digest::Digest;
use serde_json::{Value, json};

use super::{
    Checked, Report,
    blobs::{self, Way},
    client::{Answer, Ask, Client, holds, with},
    data::{INDEX, Manifest, Set},
};

pub(crate) fn run(client: &Client, report: &mut Report, repository: &str, set: &Set) {
    let mut run = Run { client, report, repository, set };
    if !run.push() {
        run.report.skip(set.name, "pulls and deletes");
        return;
    }
    run.find();
    run.pull();
    run.referrers();
    run.delete();
}

struct Run<'a> {
    client: &'a Client,
    report: &'a mut Report,
    repository: &'a str,
    set: &'a Set,
}

/// Every tag of a set and what it names.
fn tags(set: &Set) -> impl Iterator<Item = (&str, &Manifest)> {
    set.manifests.iter().flat_map(|manifest| manifest.tags.iter().map(move |tag| (tag.as_str(), manifest)))
}

impl Run<'_> {
    fn case(&mut self, name: &str, checked: Checked) -> bool {
        self.report.case(self.set.name, name, checked)
    }

    fn manifest_at(&self, reference: &str) -> String {
        self.client.at(self.repository, &format!("manifests/{reference}"))
    }

    fn ask(&self, method: &'static str, reference: &str) -> Result<Answer, String> {
        // As clients ask that know nothing but the standard's types.
        let accept = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json";
        self.client.send(&Ask::new(method, self.manifest_at(reference)).header("accept", accept))
    }

    fn push(&mut self) -> bool {
        let mut good = true;
        for ((digest, bytes), way) in self.set.blobs.iter().zip(Way::PLAIN.iter().cycle()) {
            let sent = way.send(self.client, self.repository, digest, bytes);
            let checked = sent.and_then(|answer| blobs::accepted(self.client, answer, digest, bytes));
            good &= self.case("blob push", checked);
        }
        for manifest in &self.set.manifests {
            good &= self.push_by_digest(manifest);
        }
        if !self.set.tag_param {
            for (tag, manifest) in tags(self.set) {
                let sent = self.put(&self.manifest_at(tag), manifest);
                let checked = sent.and_then(|answer| self.accepted(answer, manifest));
                good &= self.case("manifest push by tag", checked);
            }
        }
        good
    }

    fn put(&self, url: &str, manifest: &Manifest) -> Result<Answer, String> {
        self.client.send(&Ask::new("PUT", url).header("content-type", &manifest.media_type).body(&manifest.bytes))
    }

    fn push_by_digest(&mut self, manifest: &Manifest) -> bool {
        let mut url = self.manifest_at(&manifest.digest.to_string());
        let with_tags = if self.set.tag_param { manifest.tags.as_slice() } else { &[] };
        for tag in with_tags {
            url = with(&url, "tag", tag);
        }
        let told = |answer: Answer| {
            let all: BTreeSet<String> =
                answer.headers.get_all("oci-tag").iter().map(|tag| tag.to_str().unwrap_or_default().into()).collect();
            holds(all == with_tags.iter().cloned().collect(), || format!("OCI-Tag names {all:?}, not {with_tags:?}")).map(|()| answer)
        };
        let checked = self.put(&url, manifest).and_then(told).and_then(|answer| self.accepted(answer, manifest));
        let good = self.case("manifest push by digest", checked);
        // Two bytes more are another manifest.
        let other = [manifest.bytes.as_slice(), b"  "].concat();
        let ask = Ask::new("PUT", self.manifest_at(&manifest.digest.to_string())).header("content-type", &manifest.media_type).body(&other);
        let refused = self.client.send(&ask).and_then(|answer| answer.refuses(400, "DIGEST_INVALID"));
        self.case("manifest push by wrong digest", refused) && good
    }

    fn accepted(&self, answer: Answer, manifest: &Manifest) -> Checked {
        let subject = manifest.subject.as_ref().map(ToString::to_string).unwrap_or_default();
        let place = answer.is(201)?.names(&manifest.digest)?.has("oci-subject", &subject)?.location(self.client)?;
        let got = self.client.send(&Ask::new("GET", place))?.is(200)?;
        got.has("content-type", &manifest.media_type)?.names(&manifest.digest)?.carries(&manifest.bytes)?.done()
    }

    fn listed(&self, query: &str) -> Result<Vec<String>, String> {
        let url = self.client.at(self.repository, &format!("tags/list{query}"));
        let list = self.client.send(&Ask::new("GET", url))?.is(200)?.has("content-type", "application/json")?.json();
        holds(list["name"] == self.repository, || format!("the list is of {}", list["name"]))?;
        serde_json::from_value(list["tags"].clone()).map_err(|error| format!("tags: {error}"))
    }

    fn find(&mut self) {
        let all = self.listed("");
        let wanted: Vec<String> = tags(self.set).map(|(tag, _)| tag.to_owned()).collect();
        let checked = all.as_ref().map_err(Clone::clone).and_then(|all| {
            holds(wanted.iter().all(|tag| all.contains(tag)), || format!("{wanted:?} are not all in {all:?}"))?;
            holds(all.is_sorted(), || format!("they are not in order: {all:?}"))
        });
        self.case("tag list", checked);
        let Some(middle) = all.as_ref().ok().and_then(|all| all.get(all.len() / 2)).cloned() else { return };
        let behind: Vec<String> = all.unwrap_or_default().into_iter().filter(|tag| *tag > middle).collect();
        let part = self.listed(&format!("?last={middle}"));
        let checked = part.and_then(|part| holds(part == behind, || format!("behind {middle} are {part:?}, not {behind:?}")));
        self.case("tag list behind another", checked);
    }

    fn pull(&mut self) {
        let by_digest = self.set.manifests.iter().map(|manifest| (manifest.digest.to_string(), manifest));
        let all: Vec<(String, &Manifest)> = by_digest.chain(tags(self.set).map(|(tag, manifest)| (tag.to_owned(), manifest))).collect();
        for (reference, manifest) in all {
            let kind = if reference.contains(':') { "digest" } else { "tag" };
            let expected = |answer: Answer| answer.is(200)?.names(&manifest.digest)?.has("content-type", &manifest.media_type);
            let head = self.ask("HEAD", &reference).and_then(expected);
            let head = head.and_then(|answer| answer.has("content-length", &manifest.bytes.len().to_string())?.done());
            self.case(&format!("manifest head by {kind}"), head);
            let get = self.ask("GET", &reference).and_then(expected).and_then(|answer| answer.carries(&manifest.bytes)?.done());
            self.case(&format!("manifest get by {kind}"), get);
        }
        for (digest, bytes) in &self.set.blobs {
            blobs::pulls(self.client, self.report, self.set.name, self.repository, digest, bytes);
        }
    }

    fn referrers(&mut self) {
        for (subject, wanted) in &self.set.referrers {
            let found = self.referrers_of(subject, None);
            let checked = found.and_then(|found| holds(same(&found, wanted), || format!("the list is {found:?}, not {wanted:?}")));
            self.case("referrers", checked);
            let types: BTreeSet<&str> = wanted.iter().filter_map(|entry| entry["artifactType"].as_str()).collect();
            for artifact_type in types {
                let some: Vec<Value> = wanted.iter().filter(|entry| entry["artifactType"] == artifact_type).cloned().collect();
                let found = self.referrers_of(subject, Some(artifact_type));
                let checked = found.and_then(|found| holds(same(&found, &some), || format!("the list is {found:?}, not {some:?}")));
                self.case("referrers of one type", checked);
            }
            let found = self.referrers_of(subject, Some("application/vnd.example.never"));
            let checked = found.and_then(|found| holds(found.is_empty(), || format!("the list is {found:?}")));
            self.case("referrers of no type", checked);
        }
    }

    fn referrers_of(&self, subject: &Digest, artifact_type: Option<&str>) -> Result<Vec<Value>, String> {
        let mut url = self.client.at(self.repository, &format!("referrers/{subject}"));
        if let Some(artifact_type) = artifact_type {
            url = with(&url, "artifactType", artifact_type);
        }
        let filters = if artifact_type.is_some() { "artifactType" } else { "" };
        let answer = self.client.send(&Ask::new("GET", url))?.is(200)?.has("content-type", INDEX)?.has("oci-filters-applied", filters)?;
        let index = answer.json();
        let formed = index["schemaVersion"] == json!(2) && index["mediaType"] == INDEX;
        holds(formed, || format!("it is no index: {index}"))?;
        index["manifests"].as_array().cloned().ok_or_else(|| format!("there are no manifests in {index}"))
    }

    fn delete(&mut self) {
        for (tag, _) in tags(self.set) {
            let deleted = self.ask("DELETE", tag).and_then(|answer| answer.is(202)?.done());
            self.case("tag delete", deleted);
            self.gone("tag", tag);
        }
        for manifest in self.set.manifests.iter().rev() {
            let reference = manifest.digest.to_string();
            let kept = self.ask("HEAD", &reference).and_then(|answer| answer.is(200)?.done());
            self.case("a manifest outlives its tags", kept);
            self.needed(manifest);
            let deleted = self.ask("DELETE", &reference).and_then(|answer| answer.is(202)?.done());
            self.case("manifest delete", deleted);
            self.gone("manifest", &reference);
        }
        for subject in self.set.referrers.keys() {
            let empty = self.referrers_of(subject, None).and_then(|left| holds(left.is_empty(), || format!("{left:?} are still listed")));
            self.case("deleted referrers are not listed", empty);
        }
        for digest in self.set.blobs.keys() {
            blobs::deletes(self.client, self.report, self.set.name, self.repository, digest);
        }
    }

    fn gone(&mut self, kind: &str, reference: &str) {
        let gone = self.ask("HEAD", reference).and_then(|answer| answer.is(404)?.done());
        self.case(&format!("{kind} delete at once"), gone);
        let again = self.ask("DELETE", reference).and_then(|answer| answer.refuses(404, "MANIFEST_UNKNOWN"));
        self.case(&format!("{kind} delete again"), again);
    }

    /// A blob cannot be taken from under a manifest.
    fn needed(&mut self, manifest: &Manifest) {
        let document: Value = serde_json::from_slice(&manifest.bytes).unwrap_or_default();
        let named = document["config"]["digest"].as_str().or_else(|| document["blobs"][0]["digest"].as_str());
        let Some(digest) = named else { return };
        let url = self.client.at(self.repository, &format!("blobs/{digest}"));
        let refused = self.client.send(&Ask::new("DELETE", url)).and_then(|answer| answer.refuses(405, "UNSUPPORTED"));
        self.case("a blob in use is kept", refused);
    }
}

/// The same entries in any order.
fn same(found: &[Value], wanted: &[Value]) -> bool {
    found.len() == wanted.len() && wanted.iter().all(|entry| found.contains(entry))
}
