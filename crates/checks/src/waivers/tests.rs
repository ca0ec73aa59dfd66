use serde_json::json;

use super::*;

fn ours(entry: Value) -> Result<Vec<Waiver>, String> {
    read(json!({ "version": 1, "waivers": [entry] }).to_string().as_bytes(), 1).map(|read| read.waivers).map_err(|error| error.to_string())
}

#[test]
fn our_form_is_read_and_every_mistake_named() {
    let good = json!({ "vulnerability": "CVE-1", "reason": "r", "author": "a", "expires": "2026-01-31", "untilFixed": true });
    let read_one = ours(good.clone()).unwrap().remove(0);
    assert_eq!((read_one.expires_at, read_one.until_fixed, read_one.package), (1_769_904_000_000, true, None));
    for (member, value, says) in [
        ("expires", json!("some day"), "entry 1: expires is \"some day\""),
        ("expires", Value::Null, "invalid type: null"),
        ("reason", json!(" "), "reason is empty"),
        ("author", json!("x".repeat(3000)), "longer than"),
        ("engine", json!("no uuid"), "UUID"),
        ("packages", json!("x"), "unknown field `packages`"),
    ] {
        let mut entry = good.clone();
        entry[member] = value;
        let error = ours(entry).unwrap_err();
        assert!(error.contains(says), "{member}: {error}");
    }
    let mut without = good;
    without.as_object_mut().unwrap().remove("expires");
    assert!(ours(without).unwrap_err().contains("expires"));
    assert!(read(br#"{"version": 2, "waivers": []}"#, 1).unwrap_err().to_string().contains("version 2"));
    assert!(matches!(read(b"[", 1), Err(Error::Json(_))));
    assert!(matches!(read(&vec![b' '; LARGEST + 1], 1), Err(Error::TooLarge(_))));
}

fn vex(statements: Value) -> Result<Vec<Waiver>, String> {
    vex_read(statements).map(|read| read.waivers)
}

fn vex_read(statements: Value) -> Result<Read, String> {
    let document = json!({
        "@context": "https://openvex.dev/ns/v0.2.0", "@id": "https://example.org/vex/1", "author": "Example Security",
        "timestamp": "2026-01-01T00:00:00Z", "version": 1, "statements": statements,
    });
    read(document.to_string().as_bytes(), 10).map_err(|error| error.to_string())
}

#[test]
fn openvex_statuses_mean_what_the_standard_says() {
    let of = |status: &str, more: Value| {
        let mut statement = json!({ "vulnerability": { "name": "CVE-1" }, "products": [{ "@id": "pkg:pypi/a@1" }], "status": status });
        statement.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        vex(json!([statement]))
    };
    let reason = |found: Result<Vec<Waiver>, String>| found.unwrap().into_iter().next().map(|waiver| waiver.reason);
    let label = "vulnerable_code_not_present";
    assert_eq!(reason(of("not_affected", json!({ "justification": label }))).as_deref(), Some(label));
    assert_eq!(reason(of("not_affected", json!({ "impact_statement": "Never called." }))).as_deref(), Some("not affected: Never called."));
    assert!(of("not_affected", json!({})).unwrap_err().contains("needs a justification"));
    assert!(of("not_affected", json!({ "justification": "because" })).unwrap_err().contains("component_not_present"));
    assert_eq!(reason(of("fixed", json!({}))).as_deref(), Some("fixed"));
    assert_eq!(reason(of("affected", json!({ "action_statement": "Update." }))), None);
    assert_eq!(reason(of("under_investigation", json!({}))), None);
    assert!(of("maybe", json!({})).is_err());
}

#[test]
fn openvex_products_and_the_latest_statement() {
    let of = |status: &str, time: &str, product: Value| {
        json!({ "vulnerability": { "name": "CVE-1" }, "products": [product], "status": status, "timestamp": time,
            "justification": "component_not_present" })
    };
    let image = json!({ "@id": "pkg:oci/engine", "subcomponents": [{ "@id": "pkg:deb/debian/openssl" }, { "identifiers": { "purl": "pkg:pypi/b" } }] });
    let found = vex(json!([of("not_affected", "2026-01-02T00:00:00Z", image)])).unwrap();
    let about = |found: &[Waiver]| -> Vec<(String, String)> {
        let text = |part: &Option<String>| part.clone().unwrap_or_else(|| "any".into());
        found.iter().map(|waiver| (text(&waiver.image), text(&waiver.package))).collect()
    };
    let of_engine = |package: &str| ("pkg:oci/engine".to_owned(), package.to_owned());
    assert_eq!(about(&found), [of_engine("pkg:deb/debian/openssl"), of_engine("pkg:pypi/b")]);
    assert_eq!(crate::standing::day(found[0].expires_at), "2026-01-12");
    let whole = vex(json!([of("not_affected", "2026-01-02T00:00:00Z", json!("pkg:oci/engine"))])).unwrap();
    assert_eq!(about(&whole), [of_engine("any")]);
    let mut nothing_named = of("not_affected", "2026-01-02T00:00:00Z", json!("x"));
    nothing_named["products"] = json!([]);
    assert_eq!(about(&vex(json!([nothing_named])).unwrap()), [("any".to_owned(), "any".to_owned())]);
    let later = |one: &str, two: &str| {
        vex(json!([of("not_affected", one, json!("pkg:pypi/a")), of("affected", two, json!("pkg:pypi/a"))])).unwrap().len()
    };
    assert_eq!(later("2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z"), 0);
    assert_eq!(later("2026-01-03T00:00:00Z", "2026-01-02T00:00:00Z"), 1);
}

#[test]
fn openvex_products_that_cannot_be_compared_waive_nothing_and_are_told() {
    let of = |product: Value, status: &str| {
        let statement = json!({ "vulnerability": { "name": "CVE-1" }, "products": [product], "status": status });
        vex_read(json!([statement])).unwrap()
    };
    for (product, says) in [
        (json!({ "identifiers": { "cpe23": "cpe:2.3:a:x:y:1:*:*:*:*:*:*:*" } }), "neither @id nor purl"),
        (json!({ "@id": " " }), "neither @id nor purl"),
        (json!({ "@id": "pkg:npm/a@1", "subcomponents": [{ "@id": "pkg:npm/b@2" }] }), "pkg:npm/a@1 is a package with subcomponents"),
        (json!({ "@id": "pkg:oci/a", "subcomponents": [{ "@id": "b" }] }), "a subcomponent of pkg:oci/a is no package URL"),
    ] {
        let read = of(product.clone(), "fixed");
        assert_eq!(read.waivers, [], "{product}");
        assert!(
            read.left_out.len() == 1 && read.left_out[0].starts_with("entry 1, CVE-1: ") && read.left_out[0].contains(says),
            "{read:?}"
        );
        // What would waive nothing anyway needs no word.
        assert_eq!(of(product, "affected"), Read::default());
    }
    let hashed = of(json!({ "hashes": { "sha-256": "ab" } }), "fixed");
    assert_eq!(hashed.waivers[0].image.as_deref(), Some("sha256:ab"));
}
