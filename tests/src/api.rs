//! The GraphQL API, as a script of a developer uses it.

use reqwest::blocking::Client;
use serde_json::{Value, json};

use crate::{wait, wait_for, web};

/// What is asked about a build.
const BUILD: &str = "id version status name dockerImage createdBy manifest report findings history { time actor event from to reason }";

/// A caller of the API who is logged in.
pub struct Api {
    client: Client,
    address: String,
    token: String,
}

/// A build as the API shows it.
#[derive(Clone, Debug)]
pub struct Build(pub Value);

impl Api {
    /// Logs in by `userLogin`.
    ///
    /// # Panics
    /// When it is refused.
    #[track_caller]
    pub fn login(address: &str, email: &str, password: &str) -> Self {
        let mut api = Self { client: web::client(), address: address.to_owned(), token: String::new() };
        let input = json!({ "input": { "userName": email, "password": password } });
        let data = api.ask("mutation($input: UserLogin!) { userLogin(input: $input) { token organization { id } user { email } } }", input);
        assert_eq!(data["userLogin"]["user"]["email"], email);
        api.token = data["userLogin"]["token"].as_str().unwrap().to_owned();
        api
    }

    /// Sends a query; returns the whole answer.
    ///
    /// # Panics
    /// When the answer is no JSON with status 200.
    #[track_caller]
    pub fn send(&self, query: &str, variables: Value) -> Value {
        let request = self.client.post(format!("http://{}/v3/graphql", self.address)).bearer_auth(&self.token);
        let answer = request.json(&json!({ "query": query, "variables": variables })).send().unwrap();
        let (status, text) = (answer.status(), answer.text().unwrap());
        assert_eq!(status, 200, "{text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Sends a query that must succeed; returns its data.
    ///
    /// # Panics
    /// When there are errors.
    #[track_caller]
    pub fn ask(&self, query: &str, variables: Value) -> Value {
        let mut answer = self.send(query, variables);
        assert!(answer.get("errors").is_none(), "{query}: {answer:#}");
        answer["data"].take()
    }

    /// The id of a category, by its name.
    ///
    /// # Panics
    /// When there is not exactly one of that name.
    #[track_caller]
    pub fn category(&self, name: &str) -> String {
        let query = "query($name: String) { engineCategories(name: $name) { count records { id name categoryType } } }";
        let data = self.ask(query, json!({ "name": name }));
        let found = &data["engineCategories"];
        assert_eq!(found["count"], 1, "{found:#}");
        found["records"][0]["id"].as_str().unwrap().to_owned()
    }

    /// Registers an engine that may reach nothing, in the category of that name; returns its id.
    #[track_caller]
    pub fn create_engine(&self, name: &str, category: &str) -> String {
        let category = self.category(category);
        let input = json!({ "name": name, "categoryId": category, "deploymentModel": "FullyNetworkIsolated" });
        let query = "mutation($input: CreateEngine!) { createEngine(input: $input) { id name state } }";
        let data = self.ask(query, json!({ "input": input }));
        assert_eq!((&data["createEngine"]["name"], &data["createEngine"]["state"]), (&json!(name), &json!("pending")));
        data["createEngine"]["id"].as_str().unwrap().to_owned()
    }

    /// All builds of an engine, newest first.
    #[track_caller]
    pub fn builds(&self, engine: &str) -> Vec<Build> {
        let query = format!("query($id: ID!) {{ engine(id: $id) {{ builds {{ count records {{ {BUILD} }} }} }} }}");
        let mut data = self.ask(&query, json!({ "id": engine }));
        let records = data["engine"]["builds"]["records"].take();
        records.as_array().unwrap().iter().cloned().map(Build).collect()
    }

    /// Waits until an engine has `count` builds and the gate is done with each; returns them, newest first.
    ///
    /// # Panics
    /// When that does not happen; with everything known about the builds.
    #[track_caller]
    pub fn verdicts(&self, engine: &str, count: usize) -> Vec<Build> {
        let mut seen = Vec::new();
        let done = wait(|| {
            seen = self.builds(engine);
            let moving = seen.iter().any(|build| ["uploaded", "fetching"].contains(&build.status()));
            (seen.len() >= count && !moving).then_some(())
        });
        let all = || seen.iter().map(Build::shown).collect::<Vec<_>>().join("\n");
        assert!(done.is_some(), "no verdict on {count} builds of engine {engine}:\n{}\nunclaimed: {:#?}", all(), self.unclaimed());
        assert_eq!(seen.len(), count, "{}", all());
        seen
    }

    /// Waits for the verdict on the one build of an engine.
    #[track_caller]
    pub fn verdict(&self, engine: &str) -> Build {
        self.verdicts(engine, 1).remove(0)
    }

    /// One build.
    #[track_caller]
    pub fn build(&self, id: &str) -> Build {
        let mut data = self.ask(&format!("query($id: ID!) {{ engineBuild(id: $id) {{ {BUILD} }} }}"), json!({ "id": id }));
        Build(data["engineBuild"].take())
    }

    /// Pushes that became no build, newest first.
    #[track_caller]
    pub fn unclaimed(&self) -> Vec<Value> {
        let query = "{ unclaimedPushes { count records { id repository tag digest code reason fix pushedBy createdDateTime } } }";
        let mut data = self.ask(query, Value::Null);
        data["unclaimedPushes"]["records"].take().as_array().unwrap().clone()
    }

    /// Waits for the unclaimed push of a repository.
    #[track_caller]
    pub fn unclaimed_of(&self, repository: &str) -> Value {
        let find = || self.unclaimed().into_iter().find(|push| push["repository"] == repository);
        wait_for(&format!("unclaimed push of {repository}"), find)
    }

    /// Downloads the report of a build.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    pub fn report(&self, build: &str) -> Value {
        let answer = self.client.get(format!("http://{}/v3/builds/{build}/report", self.address)).bearer_auth(&self.token).send().unwrap();
        let file = web::header(&answer, "content-disposition").unwrap_or_default();
        assert_eq!((answer.status().as_u16(), file), (200, format!("attachment; filename=\"build-report-{build}.json\"")));
        answer.json().unwrap()
    }
}

impl Build {
    /// A text field.
    ///
    /// # Panics
    /// When it is none.
    #[track_caller]
    pub fn text(&self, field: &str) -> &str {
        self.0[field].as_str().unwrap_or_else(|| panic!("{field} is no text: {:#}", self.0))
    }

    /// Where it stands.
    pub fn status(&self) -> &str {
        self.text("status")
    }

    /// Its id.
    pub fn id(&self) -> &str {
        self.text("id")
    }

    /// What happened to it: event and the status after it.
    pub fn history(&self) -> Vec<(&str, &str)> {
        let lines = self.0["history"].as_array().unwrap();
        lines.iter().map(|line| (line["event"].as_str().unwrap(), line["to"].as_str().unwrap())).collect()
    }

    /// The gate must have come to this status.
    ///
    /// # Panics
    /// When it has not; with everything known about the build.
    #[track_caller]
    pub fn is(self, status: &str) -> Self {
        assert_eq!(self.status(), status, "{}", self.shown());
        assert_eq!(self.history()[0], ("start", "fetching"), "{}", self.shown());
        assert_eq!(self.history().last().unwrap().1, status);
        self
    }

    /// Some blocking finding must have all these words in it, in whichever field.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    pub fn blamed_for(self, words: &[&str]) -> Self {
        let told = |finding: &&Value| finding["severity"] == "error" && words.iter().all(|word| holds(finding, word));
        let found = self.0["findings"].as_array().unwrap().iter().find(told);
        let finding = found.unwrap_or_else(|| panic!("no blocking finding says {words:?}\n{}", self.shown()));
        for field in ["code", "title", "why", "fix", "message"] {
            assert!(finding[field].as_str().is_some_and(|text| !text.is_empty()), "{field} is missing: {finding:#}");
        }
        assert!(finding["title"].as_str().unwrap().chars().count() <= 90, "the title is too long: {finding:#}");
        self
    }

    /// Everything, for a failing test.
    pub fn shown(&self) -> String {
        format!("{:#}", self.0)
    }
}

/// Whether some text within a JSON value contains `word`.
fn holds(value: &Value, word: &str) -> bool {
    match value {
        Value::String(text) => text.contains(word),
        Value::Array(items) => items.iter().any(|item| holds(item, word)),
        Value::Object(fields) => fields.values().any(|field| holds(field, word)),
        _ => false,
    }
}
