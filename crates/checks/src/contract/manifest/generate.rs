//! The manifest of a registered engine, ready to be put into an image.

use model::{capability::Capability, id::EngineId};
use serde_json::{Value, json};

/// Every field an engine needs and those the platform's own generator writes, in its order, with values that suit the category.
/// `url` is the engine's page.
pub fn generate(engine: EngineId, capability: Capability, url: &str) -> Value {
    let suits = suits(capability);
    json!({
        "engineId": engine,
        "url": url,
        "category": suits.category,
        "externalCalls": [],
        "outputFormats": [suits.output],
        "clusterSize": "small",
        "initialConcurrency": 1,
        "maxConcurrency": 50,
        "preferredInputFormat": suits.inputs[0],
        "supportedInputFormats": suits.inputs,
        "engineMode": suits.mode,
    })
}

/// What suits a category.
struct Suits {
    /// A documented word for it, where there is one.
    category: &'static str,
    inputs: &'static [&'static str],
    output: &'static str,
    mode: &'static str,
}

const fn chunk(category: &'static str, inputs: &'static [&'static str]) -> Suits {
    Suits { category, inputs, output: "application/json", mode: "chunk" }
}

const fn batch(category: &'static str, inputs: &'static [&'static str], output: &'static str) -> Suits {
    Suits { category, inputs, output, mode: "batch" }
}

const TEXT: &[&str] = &["text/plain"];
const SOUND: &[&str] = &["audio/wav"];
const PICTURE: &[&str] = &["image/jpeg", "image/png"];
const DATA: &[&str] = &["application/json"];

fn suits(capability: Capability) -> Suits {
    use Capability as C;
    match capability {
        C::Adapter => batch("pull", TEXT, "text/plain"),
        C::Anomaly => chunk("anomaly", &["text/csv"]),
        C::Concept => chunk("content classification", TEXT),
        C::Correlation => batch("correlation", DATA, "application/json"),
        C::Entity => chunk("entity extraction", TEXT),
        C::Face => chunk("facial detection", PICTURE),
        C::FacialFeatures => chunk("facial features", PICTURE),
        C::Fingerprint => chunk("fingerprint", SOUND),
        C::Geolocation => chunk("geolocation", DATA),
        C::Keyword => chunk("keyword", TEXT),
        C::Language => chunk("language", TEXT),
        C::LicensePlate => chunk("license plate recognition", PICTURE),
        C::Logo => chunk("logo recognition", PICTURE),
        C::MediaOut => batch("thumbnail", PICTURE, "image/jpeg"),
        C::Object => chunk("object detection", PICTURE),
        C::Platform => batch("automation", DATA, "application/json"),
        C::Sentiment => chunk("sentiment", TEXT),
        C::Speaker => chunk("speaker separation", SOUND),
        C::Summary => chunk("summarization", TEXT),
        C::Text => chunk("text recognition", PICTURE),
        C::Transcription => chunk("transcription", SOUND),
        C::Translate => chunk("translate", TEXT),
        C::Verification => chunk("face verification", PICTURE),
    }
}

#[cfg(test)]
mod tests {
    use model::engine::DeploymentModel;

    use super::*;
    use crate::{contract::manifest::judge, evidence::Terms};

    #[test]
    fn what_is_generated_has_no_finding_in_either_mode() {
        let engine: EngineId = "6a2f4f0e-6d0e-4a57-9c11-2f6c0b0f8f10".parse().unwrap();
        for capability in Capability::all() {
            let text = format!("{:#}", generate(engine, capability, "http://127.0.0.1:8080/engines/1"));
            for model in DeploymentModel::ALL {
                let terms = Terms { engine: Some(engine), capability: Some(capability), deployment_model: Some(model), ..Terms::default() };
                let found = judge("var/manifest.json", text.as_bytes(), &terms);
                assert!(found.is_empty(), "{capability}: {found:#?}");
            }
            assert_eq!(Capability::from_word(suits(capability).category), Some(capability));
        }
    }

    #[test]
    fn the_order_is_that_of_the_platforms_own_generator() {
        let made = generate("6a2f4f0e-6d0e-4a57-9c11-2f6c0b0f8f10".parse().unwrap(), Capability::Keyword, "https://example.com");
        let keys: Vec<&str> = made.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!((keys[0], keys[1], keys[2], keys[10]), ("engineId", "url", "category", "engineMode"));
    }
}
