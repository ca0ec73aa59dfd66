//! The page of one engine: what it is, how to push to it, what was pushed.

use askama::Template;
use model::{build::BuildStatus, engine::EngineState, name::RepoName};
use store::{builds::Build, engines::Engine};

use super::{
    badge::{self, Badge},
    engine_form,
    paging::Paging,
    shell::Shell,
    waivers::WaiverRow,
    words::{self, When},
};

/// Where images are pushed to.
pub struct Place<'a> {
    /// Such as `https://gate.example.org`.
    pub url: &'a str,
    /// Such as `gate.example.org` or `127.0.0.1:8080`.
    pub host: &'a str,
    /// Whether it is reached without TLS.
    pub plain_http: bool,
}

impl<'a> Place<'a> {
    /// The registry of the server with this address.
    pub fn of(public_url: &'a str) -> Self {
        let (scheme, host) = public_url.split_once("://").unwrap_or(("http", public_url));
        Self { url: public_url, host, plain_http: scheme == "http" }
    }
}

struct Row {
    id: String,
    version: i64,
    badge: Badge,
    tag: String,
    pushed_by: String,
    when: When,
    findings: String,
}

/// The page of one engine.
#[derive(Template)]
#[template(path = "engine.html")]
pub struct EnginePage {
    shell: Shell,
    id: String,
    name: String,
    description: String,
    state: Badge,
    category: String,
    model: &'static str,
    model_explained: &'static str,
    created_by: String,
    created: When,
    login: String,
    push: String,
    plain_http: bool,
    manifest: String,
    builds: Vec<Row>,
    paging: Paging,
    waivers: Vec<WaiverRow>,
    acts: Vec<(&'static str, &'static str)>,
    derived: EngineState,
}

impl EnginePage {
    /// Adds the waivers that are for it.
    #[must_use]
    pub fn with_waivers(self, waivers: Vec<WaiverRow>) -> Self {
        Self { waivers, ..self }
    }

    /// Puts the page together. `statuses` are those of all builds, `builds` one page of them.
    pub fn new(
        shell: Shell,
        engine: Engine,
        statuses: Vec<BuildStatus>,
        builds: Vec<Build>,
        paging: Paging,
        place: &Place<'_>,
        now: i64,
    ) -> Self {
        let (model, model_explained) = engine_form::explain(engine.deployment_model);
        // Whoever pushed before pushes to the same repository again.
        let repository = builds.first().map_or_else(|| repository(&engine), |newest| newest.repository.clone());
        let target = format!("{}/{repository}:v{}", place.host, engine.last_version + 1);
        let derived = EngineState::derive(engine.deleted, engine.disabled, statuses);
        Self {
            shell,
            id: engine.id.to_string(),
            state: badge::of_engine(derived),
            derived,
            acts: Vec::new(),
            category: words::label(engine.category.as_str()),
            model,
            model_explained,
            created: When::new(engine.created_at, now),
            login: format!("docker login {}", place.host),
            push: format!("docker tag my-engine {target}\ndocker push {target}"),
            plain_http: place.plain_http,
            manifest: format!(
                "{:#}",
                checks::contract::manifest::generate(engine.id, engine.category, &format!("{}/engines/{}", place.url, engine.id))
            ),
            builds: builds.into_iter().map(|build| row(build, now)).collect(),
            paging,
            waivers: Vec::new(),
            name: engine.name,
            description: engine.description,
            created_by: engine.created_by,
        }
    }
}

impl EnginePage {
    /// With what whoever looks may do.
    #[must_use]
    pub fn with_acts(mut self, may_write: bool, can_go_back: bool) -> Self {
        if may_write {
            let label = |word: &&str| match *word {
                "disable" => Some(("disable", "Disable")),
                "enable" => Some(("enable", "Enable")),
                "delete" => Some(("delete", "Delete")),
                "undelete" => Some(("undelete", "Take back")),
                _ => None,
            };
            let back = (can_go_back && self.derived != EngineState::Disabled).then_some(("rollback", "Go back to the last good build"));
            self.acts = back.into_iter().chain(self.derived.valid_actions().iter().filter_map(label)).collect();
        }
        self
    }
}

fn row(build: Build, now: i64) -> Row {
    let counts = build.life.errors.zip(build.life.warnings).map(|(errors, warnings)| (errors.unsigned_abs(), warnings.unsigned_abs()));
    let findings = counts.map_or_else(String::new, |counts| match counts {
        (0, 0) => "none".to_owned(),
        (errors, 0) => words::count(errors, "error"),
        (0, warnings) => words::count(warnings, "warning"),
        (errors, warnings) => format!("{}, {}", words::count(errors, "error"), words::count(warnings, "warning")),
    });
    Row {
        id: build.id.to_string(),
        version: build.version,
        badge: badge::of_build(build.status),
        tag: build.tag,
        pushed_by: build.pushed_by,
        when: When::new(build.pushed_at, now),
        findings,
    }
}

/// A repository name made from the engine's name.
fn repository(engine: &Engine) -> String {
    let mut image = String::new();
    for c in engine.name.chars().take(60) {
        if c.is_ascii_alphanumeric() {
            image.push(c.to_ascii_lowercase());
        } else if !image.is_empty() && !image.ends_with('-') {
            image.push('-');
        }
    }
    let name = format!("{}/{}", engine.organization, image.trim_end_matches('-'));
    name.parse::<RepoName>().map_or_else(|_| format!("{}/engine", engine.organization), |name| name.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::views::{Account, Section, build_page::tests};

    fn page(engine: Engine, builds: Vec<Build>) -> String {
        let shell = Shell::new("Word list", Section::Engines, Account::Known("dev@example.org".into()));
        let place = Place::of("https://gate.example.org");
        let paging = Paging::asked("/engines/1", None);
        EnginePage::new(shell, engine, vec![BuildStatus::Approved], builds, paging, &place, 1_716_200_060_000).render().unwrap()
    }

    #[test]
    fn the_commands_can_be_copied() {
        let html = page(tests::engine(), vec![]);
        for part in [
            "docker login gate.example.org",
            "docker tag my-engine gate.example.org/1/word-list:v4",
            "docker push gate.example.org/1/word-list:v4",
            "&#34;engineId&#34;: &#34;00000000-0000-0000-0000-000000000001&#34;",
            "No builds yet",
            "ready",
        ] {
            assert!(html.contains(part), "{part} is missing in {html}");
        }
        assert!(!html.contains("tls-verify"));
    }

    #[test]
    fn builds_show_their_findings() {
        let found = |errors, warnings| store::build_life::Life { errors: Some(errors), warnings: Some(warnings), ..Default::default() };
        let one = Build { life: found(1, 2), ..tests::build(BuildStatus::Invalid) };
        let two = Build { life: found(0, 0), ..tests::build(BuildStatus::Available) };
        let html = page(tests::engine(), vec![one, two]);
        assert!(html.contains("1 error, 2 warnings") && html.contains("none") && html.contains("rc3"), "{html}");
    }

    #[test]
    fn any_name_gives_a_repository_that_can_be_pushed_to() {
        let of = |name: &str| repository(&Engine { name: name.into(), ..tests::engine() });
        assert_eq!(of("Word list"), "1/word-list");
        assert_eq!(of("  --Ä & Co. (v2)!"), "1/co-v2");
        assert_eq!(of("日本語"), "1/engine");
        assert_eq!(of(&"x".repeat(300)).len(), 62);
    }

    #[test]
    fn the_manifest_is_shown_and_can_be_downloaded() {
        let html = page(tests::engine(), vec![]);
        let id = tests::engine().id;
        assert!(html.contains(&format!("href=\"/v3/engines/{id}/manifest\" download")), "{html}");
        assert!(html.contains("supportedInputFormats") && html.contains(&format!("https://gate.example.org/engines/{id}")), "{html}");
    }
}
