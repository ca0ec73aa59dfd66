//! A report in the formats people and programs read. They only render: nothing is judged here.

pub mod json;
pub mod junit;
pub mod sarif;
pub mod text;

use std::str::FromStr;

use model::report::Report;

use crate::Error;

/// A format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// The report itself.
    Json,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// JUnit XML, for CI servers.
    Junit,
}

impl Format {
    /// The report in this format, with a line end at its end.
    ///
    /// # Errors
    /// [`Error::Json`], which no report that [`crate::report`] made gives.
    pub fn render(self, report: &Report) -> Result<String, Error> {
        match self {
            Self::Text => Ok(text::render(report)),
            Self::Json => json::render(report),
            Self::Sarif => sarif::render(report),
            Self::Junit => Ok(junit::render(report)),
        }
    }
}

impl FromStr for Format {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            "sarif" => Ok(Self::Sarif),
            "junit" => Ok(Self::Junit),
            other => Err(Error::Format(other.chars().take(40).collect())),
        }
    }
}

/// The command that shows the same findings on a laptop: under the same deployment model and category.
pub fn reproduce(report: &Report) -> String {
    let local = ["oci:", "oci-archive:", "docker-archive:"].iter().any(|transport| report.image.starts_with(transport));
    let image = if local { quoted(&report.image) } else { "oci-archive:engine.tar".to_owned() };
    let model = report.deployment_model.as_deref().map(|model| format!(" --deployment-model {model}")).unwrap_or_default();
    let category =
        report.policy.get("capability").and_then(serde_json::Value::as_str).map(|key| format!(" --category {key}")).unwrap_or_default();
    let scanned = if report.scan.is_some() { " --advisories advisories.db" } else { "" };
    format!("plimsoll check {image}{model}{category}{scanned}")
}

/// A word for a shell.
fn quoted(word: &str) -> String {
    let plain = word.chars().all(|c| c.is_ascii_alphanumeric() || "/:._-+@,=".contains(c));
    if plain { word.to_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{evidence::tests::webhook, report::tests::of};

    /// A report with everything in it: errors, warnings, a skipped check and one that could not run.
    pub(crate) fn full() -> Report {
        let builder = webhook()
            .manifest(serde_json::json!({"clusterSize": "huge", "vCPU": 4}))
            .entrypoint(&["/bin/sh", "-c", "python3 /app/engine.py"])
            .answer("keyword-1", "application/json", r#"{"validationContracts": ["keyword"], "object": [{"type": "keyword", "lable": "<sea>\u0000"}]}"#)
            .exchange("keyword-2", |exchange| {
                exchange.status = Some(500);
                exchange.body_excerpt = "KeyError: 'lable'\n\u{1b}[31mred".into();
            })
            .stderr("Traceback (most recent call last):\n  File \"/app/engine.py\", line 12, in process\n    word[\"lable\"]\nKeyError: 'lable'")
            .deployment_model(model::engine::DeploymentModel::FullyNetworkIsolated);
        of(&builder.evidence())
    }

    #[test]
    fn formats_have_their_names() {
        for (name, format) in [("text", Format::Text), ("json", Format::Json), ("sarif", Format::Sarif), ("junit", Format::Junit)] {
            assert_eq!(name.parse::<Format>().unwrap(), format);
            assert!(format.render(&full()).unwrap().ends_with('\n'));
        }
        assert!("xml".parse::<Format>().unwrap_err().to_string().contains("junit"));
    }

    #[test]
    fn the_command_names_the_image_as_it_was_typed() {
        let mut report = full();
        assert_eq!(reproduce(&report), "plimsoll check oci-archive:engine.tar --deployment-model FullyNetworkIsolated --category keyword");
        report.image = "oci:my engines:a'b".into();
        report.deployment_model = None;
        assert_eq!(reproduce(&report), "plimsoll check 'oci:my engines:a'\\''b' --category keyword");
        report.image = "gate.example.org/1/engine:v1".into();
        assert!(reproduce(&report).contains(" oci-archive:engine.tar"));
    }
}
