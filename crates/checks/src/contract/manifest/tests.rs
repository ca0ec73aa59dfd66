//! The rules of `/var/manifest.json`, by example and by chance.

use model::{capability::Capability, engine::DeploymentModel};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::policy::{Mode, Policy};

const ID: &str = "6a2f4f0e-6d0e-4a57-9c11-2f6c0b0f8f10";

/// A manifest with nothing to say about it, changed by a merge patch.
fn manifest(patch: Json) -> Json {
    let mut base = json!({
        "engineId": ID, "category": "keyword", "url": "https://example.com", "engineMode": "chunk",
        "preferredInputFormat": "text/plain", "supportedInputFormats": ["text/plain"],
        "outputFormats": ["application/json"], "clusterSize": "small", "initialConcurrency": 1, "maxConcurrency": 2,
    });
    for (key, value) in patch.as_object().unwrap() {
        match value {
            Json::Null => drop(base.as_object_mut().unwrap().shift_remove(key)),
            value => base[key] = value.clone(),
        }
    }
    base
}

fn judged(text: &str, terms: &Terms, mode: Mode) -> Vec<Finding> {
    let policy = Policy { mode, ..Policy::default() };
    judge("var/manifest.json", text.as_bytes(), terms).into_iter().map(|draft| policy.apply(draft)).collect()
}

fn findings(patch: Json) -> Vec<Finding> {
    judged(&manifest(patch).to_string(), &Terms::default(), Mode::Lenient)
}

/// The one finding of a change, as `severity code message`.
fn one(patch: Json) -> String {
    let found = findings(patch.clone());
    assert_eq!(found.len(), 1, "{patch}: {found:#?}");
    format!("{} {}: {}", found[0].severity.as_str(), found[0].code, found[0].message)
}

fn of_text(text: &str) -> String {
    let found = judged(text, &Terms::default(), Mode::Lenient);
    format!("{} {}: {}", found[0].severity.as_str(), found[0].code, found[0].message)
}

#[test]
fn a_right_manifest_has_no_finding_in_either_mode() {
    let text = manifest(json!({})).to_string();
    assert_eq!(judged(&text, &Terms::default(), Mode::Strict), []);
}

#[test]
fn fields_stand_in_alphabetical_order_and_their_examples_are_right() {
    assert!(FIELDS.windows(2).all(|pair| pair[0].key < pair[1].key));
    for field in FIELDS {
        let example: Json = serde_json::from_str(field.example).unwrap();
        let mut patch = json!({ field.key: example });
        if field.key == "externalCalls" {
            patch["serverCountry"] = json!("US");
        }
        if field.key == "initialConcurrency" {
            patch["maxConcurrency"] = json!(50);
        }
        assert_eq!(findings(patch), [], "{}", field.key);
        assert!(field.why.ends_with('.') && !field.wants.is_empty());
    }
}

#[test]
fn each_rule_speaks_in_its_documented_form() {
    for (patch, expected) in [
        (json!({"engineId": null}), "error manifest.engineId.missing: Need a valid engineId"),
        (json!({"engineId": ""}), "error manifest.engineId.missing: Need a valid engineId"),
        (
            json!({"engineId": "YOUR-ENGINE-ID"}),
            "error manifest.engineId.placeholder: invalid engineId: \"YOUR-ENGINE-ID\" is the placeholder of a template",
        ),
        (
            json!({"engineId": "00000000-0000-0000-0000-000000000000"}),
            "error manifest.engineId.placeholder: invalid engineId: \"00000000-0000-0000-0000-000000000000\" is the placeholder of a template",
        ),
        (json!({"engineId": "abc"}), "error manifest.engineId.invalid: invalid engineId: \"abc\" is not a UUID"),
        (json!({"engineId": 7}), "error manifest.engineId.invalid: invalid engineId: 7 is not a UUID"),
        (json!({"category": null}), "warning manifest.category.missing: Need a valid category"),
        (json!({"category": "cooking"}), "warning manifest.category.unknown: invalid category: \"cooking\" is no category we know"),
        (json!({"preferredInputFormat": null}), "warning manifest.preferredInputFormat.fallback: Need a valid preferredInputFormat"),
        (
            json!({"outputFormats": ["text/plainvideo/3gpp"]}),
            "error manifest.outputFormats.unknown_format: Unknown media format: text/plainvideo/3gpp",
        ),
        (json!({"supportedInputFormats": null}), "warning manifest.supportedInputFormats.missing: Need a valid supportedInputFormats"),
        (
            json!({"supportedInputFormats": ["audio/wav"]}),
            "warning manifest.supportedInputFormats.preferred: invalid supportedInputFormats: the preferred text/plain is not among them",
        ),
        (
            json!({"supportedInputFormats": ["text/plain", "audio/mp3", "x/y"]}),
            "error manifest.supportedInputFormats.unknown_format: Unknown media format: audio/mp3, x/y",
        ),
        (
            json!({"supportedInputFormats": "text/plain"}),
            "error manifest.supportedInputFormats.invalid: invalid supportedInputFormats: \"text/plain\" is not a list of MIME types",
        ),
        (
            json!({"supportedInputFormats": ["text/*"]}),
            "info manifest.supportedInputFormats.wildcard: invalid supportedInputFormats: text/* is a wildcard",
        ),
        (json!({"outputFormats": []}), "error manifest.outputFormats.missing: Need a valid outputFormats"),
        (json!({"clusterSize": "huge"}), "error manifest.clusterSize.invalid: invalid clusterSize: \"huge\" is not small, medium or large"),
        (json!({"clusterSize": null}), "error manifest.clusterSize.missing: Need a valid clusterSize"),
        (
            json!({"initialConcurrency": 0}),
            "warning manifest.initialConcurrency.invalid: invalid initialConcurrency: 0 is not a whole number from 1 on",
        ),
        (
            json!({"initialConcurrency": 3}),
            "warning manifest.initialConcurrency.range: invalid initialConcurrency: 3 is above maxConcurrency, which is 2",
        ),
        (
            json!({"maxConcurrency": "2"}),
            "warning manifest.maxConcurrency.invalid: invalid maxConcurrency: \"2\" is not a whole number from 1 on",
        ),
        (json!({"url": "Enter a URL"}), "warning manifest.url.invalid: invalid url: \"Enter a URL\" is not an http or https URL"),
        (
            json!({"externalCalls": "a.example.com", "serverCountry": "US"}),
            "error manifest.externalCalls.invalid: invalid externalCalls: \"a.example.com\" is not a list of hosts",
        ),
        (
            json!({"externalCalls": ["the weather service"], "serverCountry": "US"}),
            "error manifest.externalCalls.invalid: invalid externalCalls: \"the weather service\" is not a host, host:port or URL",
        ),
        (json!({"externalCalls": ["a.example.com"]}), "warning manifest.serverCountry.missing: Need a valid serverCountry"),
        (
            json!({"engineMode": "chunky"}),
            "error manifest.engineMode.invalid: invalid engineMode: \"chunky\" is not legacy, batch, chunk or stream",
        ),
        (json!({"libraries": 5}), "info manifest.libraries.invalid: invalid libraries: 5 is not a text or a list of texts"),
        (json!({"maxFileMb": -1}), "warning manifest.maxFileMb.invalid: invalid maxFileMb: -1 is not a number above 0"),
        (
            json!({"minMediaLengthMs": 9, "maxMediaLengthMs": 5}),
            "warning manifest.minMediaLengthMs.range: invalid minMediaLengthMs: 9 is above maxMediaLengthMs, which is 5",
        ),
        (
            json!({"minMemoryRequired": 1000}),
            "warning manifest.minMemoryRequired.cluster: invalid minMemoryRequired: 1000 is more than clusterSize small gives (512 MB)",
        ),
        (
            json!({"trainableViaApi": "yes"}),
            "warning manifest.trainableViaApi.invalid: invalid trainableViaApi: \"yes\" is not true or false",
        ),
        (
            json!({"supportedLanguages": ["english!"]}),
            "warning manifest.supportedLanguages.invalid: invalid supportedLanguages: [\"english!\"] is not a list of language codes such as en or en-US",
        ),
        (
            json!({"gpuSupported": "['G9']"}),
            "warning manifest.gpuSupported.invalid: invalid gpuSupported: \"['G9']\" is not a GPU code such as G3 or P2",
        ),
        (
            json!({"gpuSupported": "P3"}),
            "warning manifest.gpuSupported.unavailable: invalid gpuSupported: \"P3\" names hardware that is not available yet; the test runs on CPU",
        ),
        (
            json!({"inputEncoding": "PCM S16"}),
            "warning manifest.inputEncoding.invalid: invalid inputEncoding: \"PCM S16\" is not an encoder label such as pcm_s16be",
        ),
        (
            json!({"supportedSourceTypes": [5, 8]}),
            "warning manifest.supportedSourceTypes.invalid: invalid supportedSourceTypes: 8 is not the id of a source type (1 to 7, 10 to 23)",
        ),
        (json!({"source": true}), "warning manifest.sourceId.invalid: invalid sourceId: true is not a whole number"),
        (json!({"schemaId": "x"}), "warning manifest.schemaId.invalid: invalid schemaId: \"x\" is not a number or a UUID"),
        (
            json!({"schedule": "sometimes"}),
            "warning manifest.schedule.invalid: invalid schedule: \"sometimes\" is not any, recurring, continuous, immediate or on demand",
        ),
        (json!({"oauth": []}), ""),
        (json!({"oauth": {}}), "warning manifest.oauth.invalid: invalid oauth: {} is not a version such as \"2.0\""),
        (
            json!({"serverCountry": "USA"}),
            "warning manifest.serverCountry.invalid: invalid serverCountry: \"USA\" is not a country code of two letters",
        ),
        (json!({"releaseNotes": 1}), "warning manifest.releaseNotes.invalid: invalid releaseNotes: 1 is not a text"),
        (json!({"vCPU": 4, "concurrency": 5}), "warning manifest.unknown: invalid vCPU, concurrency: unknown key"),
        (
            json!({"initialConcurrency": null, "intialConcurrency": 1}),
            "warning manifest.misspelt: invalid intialConcurrency: unknown key, did you mean initialConcurrency?",
        ),
    ] {
        if expected.is_empty() {
            assert_eq!(findings(patch), []);
        } else {
            assert_eq!(one(patch), expected);
        }
    }
    let both = findings(json!({"preferredInputFormat": null, "supportedInputFormats": null}));
    assert!(both.iter().any(|f| f.code == "manifest.preferredInputFormat.missing" && f.severity == Severity::Error));
}

#[test]
fn other_spellings_of_right_values_are_taken() {
    for patch in [
        json!({"engineId": ID.to_uppercase()}),
        json!({"engineMode": "Chunk"}),
        json!({"engineMode": "segment"}),
        json!({"schedule": "on-demand"}),
        json!({"schedule": "onDemand"}),
        json!({"gpuSupported": "['G2','G3']"}),
        json!({"gpuSupported": "G2, P2"}),
        json!({"trainableViaApi": "true"}),
        json!({"ingestion": {"supportedSourceTypes": ["1", 23]}}),
        json!({"source": 4}),
        json!({"oauth": 2.0}),
        json!({"supportedLanguages": "en, de-CH"}),
        json!({"maxConcurrency": 50.0}),
        json!({"preferredInputFormat": "Text/Plain;charset=UTF-8"}),
    ] {
        assert_eq!(findings(patch.clone()), [], "{patch}");
    }
}

#[test]
fn the_registration_is_held_against_the_manifest() {
    let judged_as = |patch, terms: Terms| {
        judged(&manifest(patch).to_string(), &terms, Mode::Lenient).into_iter().map(|f| (f.severity, f.code)).collect::<Vec<_>>()
    };
    let as_capability = |capability| Terms { capability: Some(capability), ..Terms::default() };
    let code = |severity, code: &str| vec![(severity, code.to_owned())];
    assert_eq!(judged_as(json!({}), as_capability(Capability::Keyword)), []);
    assert_eq!(judged_as(json!({}), as_capability(Capability::Entity)), code(Severity::Warning, "manifest.category.differs"));
    assert_eq!(
        judged_as(json!({"engineMode": "batch"}), as_capability(Capability::Adapter)),
        code(Severity::Error, "manifest.category.mismatch")
    );
    assert_eq!(judged_as(json!({"category": "pull"}), Terms::default()), code(Severity::Error, "manifest.engineMode.adapter"));
    assert_eq!(
        judged_as(json!({"category": "pull", "engineMode": null}), Terms::default()),
        code(Severity::Warning, "manifest.engineMode.missing")
    );
    let isolated = Terms { deployment_model: Some(DeploymentModel::FullyNetworkIsolated), ..Terms::default() };
    let calls = json!({"externalCalls": ["api.example.com:443"], "serverCountry": "US"});
    assert_eq!(judged_as(calls.clone(), isolated.clone()), code(Severity::Error, "manifest.externalCalls.isolated"));
    assert_eq!(judged_as(json!({"externalCalls": []}), isolated), []);
    let open = Terms { deployment_model: Some(DeploymentModel::NonNetworkIsolated), ..Terms::default() };
    assert_eq!(judged_as(calls, open), []);
    let other = Terms { engine: Some("6a2f4f0e-6d0e-4a57-9c11-2f6c0b0f8f11".parse().unwrap()), ..Terms::default() };
    assert_eq!(judged_as(json!({}), other), code(Severity::Error, "manifest.engineId.other"));
}

#[test]
fn strict_mode_refuses_what_lenient_mode_only_tells() {
    let severity = |patch: Json, mode| judged(&manifest(patch).to_string(), &Terms::default(), mode)[0].severity;
    for (patch, lenient, strict) in [
        (json!({"category": null}), Severity::Warning, Severity::Error),
        (json!({"url": "x"}), Severity::Warning, Severity::Error),
        (json!({"libraries": 5}), Severity::Info, Severity::Warning),
        (json!({"supportedInputFormats": ["*/*"]}), Severity::Info, Severity::Error),
        (json!({"vCPU": 4}), Severity::Warning, Severity::Warning),
        (json!({"clusterSize": 4}), Severity::Error, Severity::Error),
    ] {
        assert_eq!((severity(patch.clone(), Mode::Lenient), severity(patch.clone(), Mode::Strict)), (lenient, strict), "{patch}");
    }
}

#[test]
fn a_finding_names_line_column_pointer_value_and_suggestion() {
    let text = format!(
        "{{\n  \"engineId\": \"{ID}\", \"category\": \"keyword\", \"clusterSize\": \"Small\",\n  \"outputFormats\": [\"application/json\"],\n  \"preferredInputFormat\": \"text/plain\", \"supportedInputFormats\": [\"text/plain\",\n    \"audio/xmlaudio/aac\", \"application/xmlaudio/aac\"]\n}}"
    );
    let found = judged(&text, &Terms::default(), Mode::Lenient);
    let mut value = serde_json::to_value(found).unwrap();
    for allowed in value.as_array_mut().unwrap().iter_mut().filter_map(|finding| finding.get_mut("allowed")) {
        *allowed = json!(format!("{} values", allowed.as_array().unwrap().len()));
    }
    insta::assert_snapshot!(serde_json::to_string_pretty(&value).unwrap());
}

#[test]
fn files_that_are_no_json_object_say_where_and_how_to_mend_it() {
    let utf16: Vec<u8> = "{}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let found = judge("var/manifest.json", &utf16, &Terms::default());
    assert_eq!(found[0].finding.message, "invalid manifest: line 1, column 1: it is written in UTF-16");
    for (text, expected) in [
        ("", "error manifest.json: invalid manifest: line 1, column 1: it is empty"),
        ("[]", "error manifest.json: invalid manifest: a JSON array, not an object"),
        ("{\n  // id\n}", "error manifest.json: invalid manifest: line 2, column 3: it has a comment"),
        ("{\"a\": 1,}", "error manifest.json: invalid manifest: line 1, column 8: it has a comma with nothing behind it"),
        ("root:x:0:0:root:/root:/bin/bash\n", "error manifest.json: invalid manifest: line 1, column 1: it has the bare word \"root\""),
    ] {
        assert_eq!(of_text(text), expected);
    }
    assert!(of_text(&"[".repeat(50_000)).ends_with("it nests lists and objects more than 32 deep"));
    let marked = format!("\u{feff}{}", manifest(json!({})));
    assert_eq!(of_text(&marked), "warning manifest.bom: invalid manifest: it begins with a byte order mark");
    let twice = format!("{{\"url\": \"https://a.example\", {}", &manifest(json!({})).to_string()[1..]);
    assert_eq!(of_text(&twice), "warning manifest.duplicate: invalid manifest: duplicate key /url");
}

#[test]
fn numbers_out_of_range_and_values_of_another_type_are_told_and_do_no_harm() {
    let of = |field: &str, value: &str| {
        of_text(&manifest(json!({ "initialConcurrency": null, field: "@" })).to_string().replace("\"@\"", value))
    };
    assert!(of("maxFileMb", "1e999").contains("a number that is too large"), "{}", of("maxFileMb", "1e999"));
    assert!(of("maxConcurrency", "-99999999999999999999999").contains("is not a whole number from 1 on"));
    assert!(of("maxConcurrency", "99999999999999999999").contains("is not a whole number from 1 on"));
    assert!(of("minMemoryRequired", "1e308").contains("is more than clusterSize small gives"));
    for (field, value, fact) in [
        ("supportedInputFormats", "\"text/plain\"", "is not a list of MIME types"),
        ("outputFormats", "\"application/json\"", "is not a list of MIME types"),
        ("externalCalls", "\"a.example\"", "is not a list of hosts"),
        ("supportedSourceTypes", "\"1\"", "is not"),
    ] {
        let told = of(field, value);
        assert!(told.contains(&format!("invalid {field}: ")) && told.contains(fact), "{told}");
    }
}

#[test]
fn what_the_gate_uses_has_the_documented_defaults() {
    let read = |patch: Json| normalise(manifest(patch).to_string().as_bytes()).unwrap();
    let plain = read(json!({}));
    assert_eq!(plain.engine_id.unwrap().to_string(), ID);
    assert_eq!((plain.engine_mode, plain.cluster_size), (model::manifest::EngineMode::Chunk, model::manifest::ClusterSize::Small));
    let formats = read(json!({"preferredInputFormat": null, "supportedInputFormats": ["Audio/WAV ; rate=8000", "audio/mp4"]}));
    assert_eq!(formats.preferred_input_format.as_deref(), Some("audio/wav; rate=8000"));
    let preferred = read(json!({"supportedInputFormats": null}));
    assert_eq!(preferred.supported_input_formats, ["text/plain"]);
    let typo = read(json!({"clusterSize": null, "clusterSzie": "large", "minMemoryRequired": 7000}));
    assert_eq!((typo.cluster_size, typo.min_memory_required), (model::manifest::ClusterSize::Large, Some(7000.0)));
    assert_eq!(read(json!({"engineId": "x"})).engine_id, None);
    assert_eq!(normalise(b"[]"), None);
    assert_eq!(normalise(b"{"), None);
    assert_eq!(normalise(b"{}").unwrap().engine_mode, model::manifest::EngineMode::Legacy);
}

/// Manifests as they were published, in their own words (manifest contract §6): each passes in the lenient mode, with these codes.
#[test]
fn published_manifests_pass_in_the_lenient_mode() {
    let io = r#""outputFormats": ["application/json"], "clusterSize": "small""#;
    for (name, fields, codes, strict) in [
        (
            "speech",
            r#""category": "transcription", "externalCalls": ["a.example.com", "b.example.com"], "preferredInputFormat": "audio/wav",
            "supportedInputFormats": ["audio/wav", "audio/mp4", "audio/mpeg", "video/mp4", "video/mpeg"], "initialConcurrency": 50, "maxConcurrency": 50,
            "maxFileMb": 1200.0, "minMediaLengthMs": 1000, "maxMediaLengthMs": 900000, "releaseNotes": "First.""#,
            "serverCountry.missing",
            "",
        ),
        (
            "without a category",
            r#""engineMode": "chunk", "preferredInputFormat": "audio/wav", "supportedInputFormats": ["audio/mp4", "audio/mpeg"]"#,
            "category.missing supportedInputFormats.preferred",
            "category.missing",
        ),
        (
            "hello world",
            r#""url": "Put the address here", "category": "keyword", "preferredInputFormat": "text/plain; charset=utf-8",
            "supportedInputFormats": ["text/plain; charset=utf-8"]"#,
            "url.invalid",
            "url.invalid",
        ),
        (
            "tags of files",
            r#""category": "Automation", "preferredInputFormat": "image/jpeg", "supportedInputFormats": ["image/jpeg"]"#,
            "",
            "",
        ),
        (
            "translation",
            r#""category": "translation", "preferredInputFormat": "text/plain", "supportedInputFormats": ["text/plain"],
            "intialConcurrency": 50"#,
            "misspelt",
            "",
        ),
        (
            "objects",
            r#""category": "objectRecognition", "engineMode": "batch", "preferredInputFormat": "image/jpeg", "intialConcurrency": 50"#,
            "supportedInputFormats.missing misspelt",
            "supportedInputFormats.missing",
        ),
        (
            "faces",
            r#""category": "faceRecognition", "engineMode": "batch", "preferredInputFormat": "image/jpeg", "supportedInputFormats": ["image/jpeg"],
            "vCPU": 4, "concurrency": 5"#,
            "unknown",
            "",
        ),
        (
            "pictures at once",
            r#""category": "face detection", "preferredInputFormat": "image/jpeg", "supportedInputFormats": ["image/jpeg", "image/png"]"#,
            "",
            "",
        ),
        (
            "correlation",
            r#""category": "adapter", "engineMode": "batch", "preferredInputFormat": "application/json""#,
            "supportedInputFormats.missing",
            "",
        ),
    ] {
        let text = format!("{{\"engineId\": \"{ID}\", {fields}, {io}}}");
        let found = judged(&text, &Terms::default(), Mode::Lenient);
        let got: Vec<&str> = found.iter().map(|f| f.code.trim_start_matches("manifest.")).collect();
        assert_eq!(got.join(" "), codes, "{name}");
        assert!(found.iter().all(|f| f.severity < Severity::Error), "{name}: {found:#?}");
        let refused: Vec<String> = judged(&text, &Terms::default(), Mode::Strict)
            .into_iter()
            .filter(|f| f.severity == Severity::Error)
            .map(|f| f.code.trim_start_matches("manifest.").to_owned())
            .collect();
        assert_eq!(refused.join(" "), strict, "{name}");
    }
    let placeholders =
        format!("{{\"engineId\": \"YOUR-ENGINE-ID-HERE\", \"category\": \"Sentiment\", \"preferredInputFormat\": \"text/plain\", {io}}}");
    assert_eq!(
        of_text(&placeholders),
        "error manifest.engineId.placeholder: invalid engineId: \"YOUR-ENGINE-ID-HERE\" is the placeholder of a template"
    );
}

fn any_value() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        (-3i64..100).prop_map(Json::from),
        ".{0,20}".prop_map(Json::from),
        prop::sample::select(vec!["text/plain", "small", "chunk", "pull", "*/*", "G2", ID, "https://a.b", "YOUR-ENGINE-ID"])
            .prop_map(Json::from),
    ];
    leaf.prop_recursive(2, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::vec((".{0,6}", inner), 0..4)
                .prop_map(|members| members.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

proptest! {
    #[test]
    fn any_manifest_is_judged_in_short_titles(
        members in prop::collection::vec((prop::sample::select(known_keys().chain(["ingestion", "urll", "x"]).collect::<Vec<_>>()), any_value()), 0..12),
        isolated in any::<bool>(),
    ) {
        let text = Json::from(members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect::<serde_json::Map<_, _>>()).to_string();
        let terms = Terms { deployment_model: isolated.then_some(DeploymentModel::FullyNetworkIsolated), ..Terms::default() };
        for finding in judged(&text, &terms, Mode::Strict) {
            prop_assert!(finding.code.starts_with("manifest.") && !finding.fix.is_empty() && !finding.why.is_empty());
            let forms = ["Need a valid ", "invalid ", "Unknown media format: "];
            prop_assert!(forms.iter().any(|form| finding.message.starts_with(form)), "{}", finding.message);
        }
        prop_assert!(normalise(text.as_bytes()).is_some());
    }

    #[test]
    fn any_bytes_are_judged(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let found = judge("var/manifest.json", &bytes, &Terms::default());
        prop_assert!(!found.is_empty());
    }
}
