//! What becomes of advisories: fetched, put in place while a server runs, matched with what was built before; and what people do about them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use e2e::{
    api::Api,
    browser::Browser,
    engine::Keyword,
    neighbour,
    program::{Ran, absent, program, run},
    registry::Registry,
    server::{EMAIL, PASSWORD, Server, command},
    shelf::Shelf,
    wait_for, web,
};
use image::pack::{File, Pack};
use serde_json::{Value, json};

const ENGINE: &str = "6a2f4f0e-6d0e-4a57-9c11-2f6c0b0f8f10";

/// An advisory about a package that nobody has, of a severity.
fn advisory(id: &str, package: &str, modified: &str, vector: &str) -> String {
    json!({
        "id": id, "aliases": [format!("CVE-2026-{}", &id[id.len() - 4..])], "modified": modified, "published": modified,
        "summary": "Runs what it should only read", "severity": [{ "type": "CVSS_V3", "score": vector }],
        "affected": [{
            "package": { "ecosystem": "PyPI", "name": package },
            "ranges": [{ "type": "ECOSYSTEM", "events": [{ "introduced": "0" }, { "fixed": "1.4.2" }] }],
        }],
    })
    .to_string()
}

const CRITICAL: &str = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H";

/// An export as it is published: an archive of one record for each advisory.
fn archive(folder: &Path, name: &str, advisories: &[(&str, &str, &str)]) -> PathBuf {
    let to = folder.join(name);
    let records: Vec<Value> =
        advisories.iter().map(|(id, package, modified)| json!([format!("{id}.json"), advisory(id, package, modified, CRITICAL)])).collect();
    let script = "import json, sys, zipfile\nwith zipfile.ZipFile(sys.argv[1], 'w') as archive:\n for name, text in json.loads(sys.argv[2]): archive.writestr(name, text)";
    run(program("python3").args(["-c", script]).arg(&to).arg(Value::from(records).to_string())).succeeded();
    to
}

fn update(folder: &Path, arguments: &[&str]) -> Ran {
    run(command(folder).args(["advisories", "update"]).args(arguments).env("PLIMSOLL_USER", EMAIL).env("PLIMSOLL_PASSWORD", PASSWORD))
}

fn id_of(folder: &Path, database: &str) -> String {
    let ran = run(command(folder).args(["advisories", "info", database])).succeeded();
    ran.out.lines().find_map(|line| line.trim().strip_prefix("id")).unwrap().trim().to_owned()
}

fn with_reader(engine: &str, version: &str, mark: &str) -> Pack {
    let path = format!("usr/lib/python3.11/site-packages/example_reader-{version}.dist-info/METADATA");
    let text = format!("Name: Example.Reader\nVersion: {version}\n\n{mark}\n");
    Keyword::new(engine).pack().layer(vec![File::new(&path, 0o644, text)])
}

#[test]
fn an_update_from_every_place() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path();
    let shelf = Shelf::new();
    let old = archive(folder, "old.zip", &[("EXAMPLE-0001", "a", "2026-01-01T00:00:00Z")]);
    shelf.put("/osv/PyPI/all.zip", fs::read(&old).unwrap());
    let base = shelf.url("/osv");
    // The ecosystems and the places of the configuration hold.
    let config = folder.join("plimsoll.toml");
    fs::write(&config, format!("[advisories]\nsource = {base:?}\npath = \"a.db\"\necosystems = [\"PyPI\"]\n")).unwrap();
    update(folder, &["--config", "plimsoll.toml"]).succeeded().says(&["a.db is new", "1 PyPI"]);
    update(folder, &["--config", "plimsoll.toml"]).succeeded().says(&["a.db is up to date"]);
    update(folder, &["--config", "plimsoll.toml", "--ecosystem", "npm"]).exited(3).says(&["npm cannot be fetched", "--ecosystem", "404"]);

    let both = [("EXAMPLE-0001", "a", "2026-01-01T00:00:00Z"), ("EXAMPLE-0002", "b", "2026-02-01T00:00:00Z")];
    shelf.put("/osv/PyPI/all.zip", fs::read(archive(folder, "new.zip", &both)).unwrap());
    let first = id_of(folder, "a.db");
    update(folder, &["--from", &base, "--ecosystem", "PyPI", "-o", "a.db"]).succeeded().says(&["a.db was updated", "a.db.former"]);
    let second = id_of(folder, "a.db");
    assert_eq!(id_of(folder, "a.db.former"), first);
    // Knowledge is not thrown away unasked.
    update(folder, &["--from", "old.zip", "-o", "a.db"]).exited(3).says(&["2026-01-01", "2026-02-01", "--allow-older"]);
    assert_eq!(id_of(folder, "a.db"), second);
    update(folder, &["--from", "old.zip", "-o", "a.db", "--allow-older"]).succeeded();
    assert_eq!((id_of(folder, "a.db"), id_of(folder, "a.db.former")), (first, second.clone()));
    // A database that is ready: from this machine, which keeps its own, from the web, and from a registry.
    update(folder, &["--from", "a.db.former", "-o", "b.db"]).succeeded();
    shelf.put("/b.db", fs::read(folder.join("b.db")).unwrap());
    update(folder, &["--from", &shelf.url("/b.db"), "-o", "c.db"]).succeeded();
    let server = Server::start();
    let to = format!("{}/1/advisories:latest", server.address());
    let push = |file: &str| {
        run(command(folder).args(["advisories", "push", file, &to]).env("PLIMSOLL_USER", EMAIL).env("PLIMSOLL_PASSWORD", PASSWORD))
    };
    push("c.db").succeeded().says(&["pushed c.db to"]);
    push("c.db").succeeded();
    update(folder, &["--from", &format!("oci://{to}"), "-o", "d.db"]).succeeded();
    assert!(["b.db", "c.db", "d.db"].iter().all(|name| id_of(folder, name) == second));
    assert_eq!(server.api().unclaimed(), Vec::<Value>::new());
    update(folder, &["--from", &format!("oci://{}/1/nothing:v1", server.address()), "-o", "d.db"]).exited(3).says(&["cannot be pulled"]);
    server.is_well();
    // What is no database, and what is none at all.
    shelf.put("/bad.db", "no database");
    update(folder, &["--from", &shelf.url("/bad.db"), "-o", "d.db"]).exited(3).says(&["is not an advisory database"]);
    update(folder, &["--from", "nowhere.db", "-o", "d.db"]).exited(3).says(&["nowhere.db is not there"]);
    update(folder, &["--from", "old.zip"]).exited(3).says(&["-o FILE"]);
    assert_eq!(id_of(folder, "d.db"), second);
}

#[test]
fn an_update_that_is_killed_in_the_middle_changes_nothing() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path();
    let shelf = Shelf::new();
    let old = archive(folder, "old.zip", &[("EXAMPLE-0001", "a", "2026-01-01T00:00:00Z")]);
    update(folder, &["--from", "old.zip", "-o", "a.db"]).succeeded();
    let before = fs::read(folder.join("a.db")).unwrap();
    shelf.put("/osv/PyPI/all.zip", fs::read(&old).unwrap());
    let base = shelf.url("/osv");
    for _ in 0..3 {
        let stalled = shelf.stall();
        let arguments = ["advisories", "update", "--from", &base, "--ecosystem", "PyPI", "-o", "a.db"];
        let mut child = command(folder).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        stalled.recv().unwrap();
        // While one is at work, another does not begin.
        update(folder, &arguments[2..]).exited(3).says(&["another update of a.db is at work"]);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(fs::read(folder.join("a.db")).unwrap(), before);
    }
    shelf.go_on();
    let newer = archive(folder, "new.zip", &[("EXAMPLE-0002", "b", "2026-02-01T00:00:00Z")]);
    shelf.put("/osv/PyPI/all.zip", fs::read(newer).unwrap());
    update(folder, &["--from", &base, "--ecosystem", "PyPI", "-o", "a.db"]).succeeded();
    let left: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name.to_string_lossy().contains("update"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

/// Ended by a real signal at every single system call that changes a file or makes one durable, from the first to the last.
#[test]
fn an_update_that_is_killed_at_any_step_leaves_the_former_or_the_new_one_whole() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path();
    let place = |name: &str| folder.join(name);
    archive(folder, "old.zip", &[("EXAMPLE-0001", "a", "2026-01-01T00:00:00Z")]);
    archive(folder, "new.zip", &[("EXAMPLE-0002", "b", "2026-02-01T00:00:00Z")]);
    let made = |source: &str, to: &str| {
        update(folder, &["--from", source, "-o", to]).succeeded();
        fs::read(place(to)).unwrap()
    };
    let (old, new) = (made("old.zip", "old.db"), made("new.zip", "new.db"));
    let arguments = ["advisories", "update", "--from", "new.zip", "-o", "a.db"];
    let (mut killed, mut replaced) = (0, 0);
    for call in ["fsync", "link", "linkat", "mkdir", "rename", "renameat", "renameat2", "rmdir", "unlink", "unlinkat", "write"] {
        for nth in 1.. {
            fs::write(place("a.db"), &old).unwrap();
            let whole = killed_at(folder, call, nth, &arguments);
            let (left, former) = (fs::read(place("a.db")).unwrap(), fs::read(place("a.db.former")).unwrap_or_else(|_| old.clone()));
            assert!([&old, &new].contains(&&left), "{} bytes after {call} {nth}", left.len());
            assert!([&old, &new].contains(&&former), "{} bytes after {call} {nth}", former.len());
            if whole {
                break;
            }
            (killed, replaced) = (killed + 1, replaced + usize::from(left == new));
            update(folder, &arguments[2..]).succeeded();
            assert_eq!((fs::read(place("a.db")).unwrap(), fs::read(place("a.db.former")).unwrap()), (new.clone(), old.clone()));
        }
    }
    // Some before the new one was in place, some behind.
    assert!(killed >= 12 && replaced >= 2 && replaced < killed, "killed {killed} times, {replaced} times behind the swap");
}

/// Runs the program and ends it as it makes a system call for the nth time. Whether it came to its end before.
fn killed_at(folder: &Path, call: &str, nth: usize, arguments: &[&str]) -> bool {
    let plain = command(folder);
    let mut traced = program("strace");
    traced.current_dir(folder).env_clear().envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    // Not every machine has every call.
    traced.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace=?{call}"), "-e", &format!("inject=?{call}:signal=KILL:when={nth}")]);
    traced.arg(plain.get_program()).args(arguments).stdout(Stdio::null()).stderr(Stdio::piped());
    let done = traced.output().unwrap_or_else(|error| absent(&traced, &error));
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(!said.contains("strace:") && nth < 100, "{said}");
    done.status.success()
}

/// Everything the API tells about what is known of a build.
fn known(api: &Api, build: &str) -> Value {
    let query = "query($id: ID!) { engineBuild(id: $id) { worsenings { advisories vulnerabilities { name package severity formerSeverity } } \
                 vulnerabilities { total records { name package severity severitySource version fixedBy standing isNew path layer \
                 waiver { author reason } } } history { event reason } } }";
    api.ask(query, json!({ "id": build }))["engineBuild"].take()
}

#[test]
fn what_becomes_known_later_reaches_what_was_built_before() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path();
    archive(folder, "old.zip", &[("EXAMPLE-0001", "something-else", "2026-01-01T00:00:00Z")]);
    update(folder, &["--from", "old.zip", "-o", "a.db"]).succeeded();
    let database = folder.join("a.db").display().to_string();
    let server = Server::start_with(&[("PLIMSOLL_ADVISORIES__PATH", &database)]);
    let (api, registry) = (server.api(), Registry::of(&server));
    let engine = api.create_engine("Reader", "keyword");
    let digest = registry.push(&with_reader(&engine, "1.4.1", "").build().unwrap(), "1/reader", "v1");
    let build = api.verdict(&engine).is("available");
    assert_eq!(known(&api, build.id())["vulnerabilities"]["total"], 0);

    let both = [("EXAMPLE-0001", "something-else", "2026-01-01T00:00:00Z"), ("EXAMPLE-0002", "example-reader", "2026-02-01T00:00:00Z")];
    archive(folder, "new.zip", &both);
    update(folder, &["--from", "new.zip", "-o", "a.db"]).succeeded();
    let seen = wait_for("what got worse", || {
        let seen = known(&api, build.id());
        (seen["worsenings"].as_array().unwrap().len() == 1).then_some(seen)
    });
    let worse = &seen["worsenings"][0];
    assert_eq!(worse["advisories"], id_of(folder, "a.db").as_str());
    assert_eq!(
        worse["vulnerabilities"],
        json!([{ "name": "CVE-2026-0002", "package": "example-reader", "severity": "Critical", "formerSeverity": null }])
    );
    let one = &seen["vulnerabilities"]["records"][0];
    assert_eq!((&one["standing"], &one["isNew"], &one["fixedBy"]), (&json!("blocks"), &json!(true), &json!("1.4.2")));
    let line = seen["history"].as_array().unwrap().iter().find(|line| line["event"] == "worsened").unwrap();
    assert_eq!(line["reason"], "new advisories: CVE-2026-0002 in example-reader (Critical)");
    // The verdict is not taken back in silence, and what is the same twice is told once.
    api.build(build.id()).is("available");

    // The server takes the new database without a restart.
    let other = api.create_engine("Other reader", "keyword");
    registry.push(&with_reader(&other, "1.4.1", "").build().unwrap(), "1/other", "v1");
    api.verdict(&other).is("invalid").blamed_for(&["Critical vulnerability: CVE-2026-0002 in example-reader 1.4.1"]);

    lists_of_packages(&server, &api, build.id(), &digest);
    waived(&server, &api, &other, build.id());
    looked_at(&server, &engine, build.id());
    assert_eq!(known(&api, build.id())["worsenings"].as_array().unwrap().len(), 1);
    server.is_well();
}

/// The lists of packages: for the organization, for nobody else, and beside the image in the registry, without a build or a push of nobody.
fn lists_of_packages(server: &Server, api: &Api, build: &str, digest: &str) {
    let token = |email: &str| {
        let login =
            json!({ "query": format!("mutation {{ userLogin(input: {{userName: {email:?}, password: {PASSWORD:?}}}) {{ token }} }}") });
        let answer: Value = web::client().post(server.url("/v3/graphql")).json(&login).send().unwrap().json().unwrap();
        answer["data"]["userLogin"]["token"].as_str().unwrap().to_owned()
    };
    let (mine, path) = (token(EMAIL), format!("/v3/builds/{build}/sbom"));
    let ask = |token: &str, query: &str| {
        let answer = web::client().get(server.url(&format!("{path}{query}"))).bearer_auth(token).send().unwrap();
        (answer.status().as_u16(), answer.text().unwrap())
    };
    let (status, cyclonedx) = ask(&mine, "");
    let document: Value = serde_json::from_str(&cyclonedx).unwrap();
    assert_eq!(
        (status, &document["specVersion"], &document["components"][0]["purl"]),
        (200, &json!("1.6"), &json!("pkg:pypi/example-reader@1.4.1"))
    );
    let spdx = ask(&mine, "?format=spdx").1;
    assert_eq!(serde_json::from_str::<Value>(&spdx).unwrap()["spdxVersion"], "SPDX-2.3");
    assert_eq!(ask(&mine, "?format=pdf").0, 400);
    assert_eq!(ask("", "").0, 401);
    neighbour::move_in(server);
    assert_eq!(ask(&token(neighbour::EMAIL_OF_BOB), "").0, 404);

    let registry = Registry::of(server);
    let referrers: Value = serde_json::from_str(&registry.get(&format!("1/reader/referrers/{digest}")).is(200).body).unwrap();
    let mut types: Vec<&str> = referrers["manifests"].as_array().unwrap().iter().map(|one| one["artifactType"].as_str().unwrap()).collect();
    types.sort_unstable();
    assert_eq!(types, ["application/spdx+json", "application/vnd.cyclonedx+json"]);
    for (kind, text) in [("application/spdx+json", &spdx), ("application/vnd.cyclonedx+json", &cyclonedx)] {
        let entry = referrers["manifests"].as_array().unwrap().iter().find(|one| one["artifactType"] == kind).unwrap();
        let manifest = registry.get(&format!("1/reader/manifests/{}", entry["digest"].as_str().unwrap())).is(200).body;
        let manifest: Value = serde_json::from_str(&manifest).unwrap();
        let blob = registry.get(&format!("1/reader/blobs/{}", manifest["layers"][0]["digest"].as_str().unwrap())).is(200).body;
        assert_eq!(&blob, text);
    }
    assert_eq!(api.unclaimed(), Vec::<Value>::new());
}

/// Somebody answers for it, and the next push passes; then it is taken back.
fn waived(server: &Server, api: &Api, engine: &str, build: &str) {
    let query = "mutation($input: CreateWaiver!) { createWaiver(input: $input) { id author isActive } }";
    let until = "2099-01-01T00:00:00Z";
    let input =
        json!({ "vulnerability": "CVE-2026-0002", "package": "example-reader", "reason": "Never called", "expiresDateTime": until });
    let refused = api.send(query, json!({ "input": input }));
    assert!(refused["errors"][0]["message"].as_str().unwrap().contains("within a year"), "{refused:#}");
    #[expect(clippy::disallowed_methods, reason = "a test from outside has the clock of its clients")]
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let input =
        json!({ "vulnerability": "CVE-2026-0002", "package": "example-reader", "reason": "Never called", "expiresDateTime": now + 86_400 });
    // One for the image that this is, and one for another.
    let revoke = "mutation($id: ID!) { revokeWaiver(id: $id) { revokedBy isActive } }";
    for (image, standing) in [("1/reade", "blocks"), ("pkg:oci/reader?tag=v1", "waived"), ("pkg:oci/reader?tag=v2", "blocks")] {
        let mut of_image = input.clone();
        of_image["image"] = json!(image);
        let made = api.ask(query, json!({ "input": of_image }));
        assert_eq!(known(api, build)["vulnerabilities"]["records"][0]["standing"], standing, "{image}");
        api.ask(revoke, json!({ "id": made["createWaiver"]["id"] }));
    }
    let made = api.ask(query, json!({ "input": input }));
    assert_eq!((&made["createWaiver"]["author"], &made["createWaiver"]["isActive"]), (&json!(EMAIL), &json!(true)));
    assert_eq!(known(api, build)["vulnerabilities"]["records"][0]["waiver"], json!({ "author": EMAIL, "reason": "Never called" }));

    Registry::of(server).push(&with_reader(engine, "1.4.1", "again").build().unwrap(), "1/other", "v2");
    let builds = api.verdicts(engine, 2);
    let passed = builds[0].clone().is("available");
    let report = api.report(passed.id());
    let entry = &report["vulnerabilities"][0];
    assert_eq!((&entry["Waived"]["By"], &entry["Waived"]["Why"], &entry["Blocks"]), (&json!(EMAIL), &json!("Never called"), &json!(false)));
    assert_eq!((&report["vulnerabilityCounts"]["Critical"], &report["scan"]["waived"]), (&json!(1), &json!(1)));
    let page =
        web::Visitor::login(server.address(), EMAIL, PASSWORD).get(&format!("/builds/{}/vulnerabilities", passed.id())).text().unwrap();
    assert!(page.contains("waived by") && page.contains("Never called") && page.contains("Critical"), "{page}");

    let id = &made["createWaiver"]["id"];
    api.ask(revoke, json!({ "id": id }));
    assert_eq!(known(api, build)["vulnerabilities"]["records"][0]["standing"], "blocks");
    let bob = Api::login(server.address(), neighbour::EMAIL_OF_BOB, PASSWORD);
    assert_eq!(bob.ask("{ waivers { count } }", Value::Null)["waivers"]["count"], 0);
    let listed = api.ask("{ waivers { records { vulnerability image revokedBy } } }", Value::Null);
    let records = listed["waivers"]["records"].as_array().unwrap();
    assert_eq!(records[0], json!({ "vulnerability": "CVE-2026-0002", "image": null, "revokedBy": EMAIL }));
    assert_eq!((records.len(), &records[1]["image"]), (4, &json!("pkg:oci/reader?tag=v2")));
}

/// The pages in a real browser: nothing to complain about, and they fit into wide and narrow windows.
fn looked_at(server: &Server, engine: &str, build: &str) {
    let browser = Browser::start();
    browser.go(&server.url("/login"));
    browser.fill("#email", EMAIL);
    browser.fill("#password", PASSWORD);
    browser.click("main button[type=submit]");
    browser.wait_for_text("h1", "Engines");
    let pages = [
        (format!("/builds/{build}/vulnerabilities"), "vulnerabilities", "not in the report"),
        (format!("/builds/{build}/vulnerabilities?severity=Low"), "vulnerabilities-none", "No known vulnerability"),
        (format!("/builds/{build}"), "build-worsened", "more is known"),
        (format!("/engines/{engine}"), "engine-waivers", "revoked"),
        ("/docs/advisories".to_owned(), "docs-advisories", "Waivers"),
    ];
    for (path, name, words) in pages {
        browser.go(&server.url(&path));
        browser.wait_for_text("main", words);
        assert_eq!(browser.complaints(), Vec::<String>::new(), "on {path}");
        for (width, suffix) in [(1280, ""), (400, "-narrow")] {
            browser.width(width);
            browser.picture(&format!("{name}{suffix}"));
            let overflow = browser.script("return document.documentElement.scrollWidth - document.documentElement.clientWidth");
            assert_eq!(overflow, 0, "{path} is wider than a window of {width} pixels");
        }
        browser.width(1280);
    }
}

#[test]
fn a_laptop_knows_waivers_policies_and_lists_of_packages() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path();
    archive(folder, "all.zip", &[("EXAMPLE-0002", "example-reader", "2026-02-01T00:00:00Z")]);
    update(folder, &["--from", "all.zip", "-o", "a.db"]).succeeded();
    let digest = with_reader(ENGINE, "1.4.1", "").write_oci_archive(&folder.join("engine.tar")).unwrap();
    let check = |more: &[&str]| {
        run(command(folder).args(["check", "oci-archive:engine.tar", "--category", "keyword", "--advisories", "a.db"]).args(more))
    };
    check(&["--sbom", "engine.spdx.json"]).exited(1).says(&["CVE-2026-0002 in example-reader 1.4.1 is critical", "--advisories"]);
    let spdx: Value = serde_json::from_slice(&fs::read(folder.join("engine.spdx.json")).unwrap()).unwrap();
    assert_eq!((&spdx["spdxVersion"], &spdx["packages"][1]["name"]), (&json!("SPDX-2.3"), &json!("Example.Reader")));

    let waivers = |expires: &str| {
        let waiver = json!({ "vulnerability": "CVE-2026-0002", "reason": "Never called", "author": "dev@example.org", "expires": expires });
        fs::write(folder.join("waivers.json"), json!({ "version": 1, "waivers": [waiver] }).to_string()).unwrap();
    };
    waivers("2098-12-31");
    check(&["--waivers", "waivers.json"]).exited(0).says(&["security.waived", "waived by dev@example.org until 2098-12-31: Never called"]);
    waivers("2026-02-02");
    check(&["--waivers", "waivers.json"]).exited(1).says(&["security.waiver_ended", "ended on 2026-02-02"]);
    let vex_of = |product: &str, status: Value| {
        let mut statement = json!({ "vulnerability": { "name": "CVE-2026-0002" }, "products": [{ "@id": product }] });
        statement.as_object_mut().unwrap().extend(status.as_object().unwrap().clone());
        let document = json!({ "@context": "https://openvex.dev/ns/v0.2.0", "@id": "https://example.org/1", "author": "Example Security",
            "timestamp": "2098-01-01T00:00:00Z", "version": 1, "statements": [statement] });
        fs::write(folder.join("vex.json"), document.to_string()).unwrap();
        check(&["--waivers", "vex.json"])
    };
    for (product, code) in [(format!("pkg:oci/whatever@{digest}"), 0), (digest.to_string(), 0), ("pkg:oci/somebody-elses".into(), 1)] {
        let ran = vex_of(&product, json!({ "status": "fixed" })).exited(code);
        let told = format!("what is said of {product} waives nothing here: this image is known as v1, {digest}");
        assert_eq!(ran.err.contains(&told), code == 1, "{}", ran.shown());
    }
    let vex = |status: Value| vex_of("pkg:pypi/example-reader", status);
    vex(json!({ "status": "not_affected", "justification": "vulnerable_code_not_present" }))
        .exited(0)
        .says(&["waived by Example Security"]);
    vex(json!({ "status": "under_investigation" })).exited(1);
    vex(json!({ "status": "not_affected" })).exited(3).says(&["vex.json", "entry 1", "needs a justification"]);

    let policy = |text: &str| {
        fs::write(folder.join("policy.json"), text).unwrap();
        check(&["--policy", "policy.json"])
    };
    policy(r#"{"vulnerabilities": {"block": "Never"}}"#).exited(0);
    policy(r#"{"vulnerabilities": {"unscanned": "error", "block": "Never"}}"#)
        .exited(3)
        .says(&["the policy allows 14 days", "not testable"]);
    policy(r#"{"vulnerabilities": {"blocks": "High"}}"#).exited(3).says(&["blocks"]);
}
