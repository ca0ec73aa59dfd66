//! The form that registers an engine.

use askama::Template;
use model::{capability::Capability, engine::DeploymentModel};

use super::{shell::Shell, words};

/// What was typed.
#[derive(Clone, Debug, Default)]
pub struct Entered {
    /// For people.
    pub name: String,
    /// For people.
    pub description: String,
    /// What it does.
    pub category: Option<Capability>,
    /// What it may reach.
    pub deployment_model: Option<DeploymentModel>,
}

struct Category {
    value: &'static str,
    label: String,
    chosen: bool,
}

struct Model {
    value: &'static str,
    label: &'static str,
    explanation: &'static str,
    chosen: bool,
}

/// The form.
#[derive(Template)]
#[template(path = "engine_new.html")]
pub struct EngineForm {
    shell: Shell,
    name: String,
    description: String,
    categories: Vec<Category>,
    none_chosen: bool,
    models: Vec<Model>,
    problem: Option<String>,
}

/// A deployment model in words.
pub fn explain(model: DeploymentModel) -> (&'static str, &'static str) {
    match model {
        DeploymentModel::FullyNetworkIsolated => ("Fully isolated", "Reaches nothing outside. Data never leaves the place where it runs."),
        DeploymentModel::MostlyNetworkIsolated => {
            ("Mostly isolated", "Reaches only the hosts its manifest names, for licences or models; the data it works on stays inside.")
        }
        DeploymentModel::NonNetworkIsolated => ("Not isolated", "Reaches the hosts its manifest names and may send them data."),
        DeploymentModel::HumanReview => ("Human review", "People do part of the work and see the data."),
    }
}

impl EngineForm {
    /// The form with what was typed before and what was wrong with it.
    pub fn new(shell: Shell, entered: Entered, problem: Option<String>) -> Self {
        let category = |capability: Capability| Category {
            value: capability.as_str(),
            label: words::label(capability.as_str()),
            chosen: entered.category == Some(capability),
        };
        let chosen = entered.deployment_model.unwrap_or(DeploymentModel::FullyNetworkIsolated);
        let model = |model: DeploymentModel| {
            let (label, explanation) = explain(model);
            Model { value: model.as_str(), label, explanation, chosen: model == chosen }
        };
        Self {
            shell,
            categories: Capability::all().map(category).collect(),
            none_chosen: entered.category.is_none(),
            models: DeploymentModel::ALL.into_iter().map(model).collect(),
            name: entered.name,
            description: entered.description,
            problem,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::views::{Account, Section};

    #[test]
    fn what_was_typed_is_kept() {
        let shell = || Shell::new("New engine", Section::Engines, Account::Known("dev@example.org".into()));
        let entered = Entered {
            name: "\"x\"".into(),
            description: "</textarea><b>".into(),
            category: Some(Capability::LicensePlate),
            deployment_model: Some(DeploymentModel::HumanReview),
        };
        let html = EngineForm::new(shell(), entered, Some("name: too long".into())).render().unwrap();
        assert!(html.contains("value=\"&#34;x&#34;\"") && html.contains("&#60;/textarea&#62;&#60;b&#62;"), "{html}");
        assert!(html.contains("value=\"license-plate\" selected") && html.contains("value=\"HumanReview\" checked"), "{html}");
        assert!(html.contains("name: too long") && html.contains("role=\"alert\""));
        let html = EngineForm::new(shell(), Entered::default(), None).render().unwrap();
        assert!(html.contains("value=\"FullyNetworkIsolated\" checked") && html.contains("value=\"\" selected"), "{html}");
        assert!(!html.contains("role=\"alert\""));
    }
}
