//! The client scripts of the API contract (§10), sent by real HTTP clients against the real server with an engine in the real sandbox. Ends with one
//! table, which `scripts/test` prints.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

use std::{fmt::Write, fs, path::PathBuf};

use e2e::{
    api::Api,
    built,
    engine::{self, Keyword},
    program::{program, run, run_with},
    registry::Registry,
    server::{EMAIL, PASSWORD, Server},
    sources, wait_for,
};
use image::{
    Platform,
    pack::{File, Pack},
};
use serde_json::{Value, json};

const ACT: &str = "mutation($input: UpdateBuild!) { updateEngineBuild(input: $input) { id status } }";
const TASK: &str = "query($id: ID!) { task(id: $id) { status output tries failureReason failureMessage build { id } log { text } \
                    history { from to reason } } }";

/// What the scripts share.
struct Scripts {
    server: Server,
    api: Api,
    token: String,
    engine: String,
    build: String,
    table: String,
}

impl Scripts {
    fn begin() -> Self {
        let server = Server::start();
        let api = server.api();
        let engine = api.create_engine("Words of a script", "keyword");
        let build = deployed(&server, &api, &engine, &Keyword::new(&engine));
        let table = "| script | client | and the answer is |\n|---|---|---|\n".to_owned();
        Self { server, api, token: String::new(), engine, build, table }
    }

    fn note(&mut self, number: u32, what: &str, client: &str, answer: &str) {
        writeln!(self.table, "| {number}. {what} | {client} | {answer} |").unwrap();
    }

    /// What curl gets for these arguments, with the token.
    #[track_caller]
    fn curl(&self, arguments: &[&str], input: &str) -> Value {
        let bearer = format!("authorization: bearer {}", self.token);
        let url = self.server.url("/v3/graphql");
        let mut command = program("curl");
        command.args(["-sS", "--fail-with-body", "-X", "POST", &url]);
        if !self.token.is_empty() {
            command.args(["-H", &bearer]);
        }
        let ran = run_with(command.args(arguments), input).succeeded();
        serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {}", ran.out))
    }

    /// A body as the documentation writes it: JSON with the query as an escaped text.
    #[track_caller]
    fn post(&self, body: &str) -> Value {
        let mut answer = self.curl(&["-H", "Content-Type: application/json", "-d", "@-"], body);
        assert!(answer.get("errors").is_none(), "{body}: {answer:#}");
        answer["data"].take()
    }

    /// Sends a query that a person typed.
    #[track_caller]
    fn typed(&self, query: &str) -> Value {
        self.post(&json!({ "query": query }).to_string())
    }

    /// Does something with a build and waits for what it comes to.
    #[track_caller]
    fn build_is(&self, status: &str) {
        wait_for(&format!("build that is {status}"), || (self.api.build(&self.build).status() == status).then_some(()));
    }

    #[track_caller]
    fn task_is(&self, task: &str, status: &str) -> Value {
        task_is(&self.api, task, status)
    }
}

#[track_caller]
fn task_is(api: &Api, task: &str, status: &str) -> Value {
    let mut seen = Value::Null;
    let found = e2e::wait(|| {
        seen = api.ask(TASK, json!({ "id": task }))["task"].take();
        let over = ["complete", "failed", "cancelled", "aborted"].contains(&seen["status"].as_str().unwrap());
        (seen["status"] == status || over).then_some(())
    });
    assert!(found.is_some() && seen["status"] == status, "the task is not {status}: {seen:#}");
    seen
}

/// A live build of an engine: pushed, submitted, approved, deployed.
#[track_caller]
fn deployed(server: &Server, api: &Api, engine: &str, keyword: &Keyword) -> String {
    Registry::of(server).push(&keyword.pack().build().unwrap(), "1/scripts", "v1");
    let build = api.verdict(engine).is("available").id().to_owned();
    for (action, after) in [("submit", "pending"), ("approve", "approved"), ("deploy", "deployed")] {
        wait_for("the review's turn", || {
            let seen = api.ask("query($id: ID!) { engineBuild(id: $id) { status phase } }", json!({ "id": build }))["engineBuild"].take();
            (action != "approve" || seen["phase"] == "awaiting-approval").then_some(())
        });
        api.ask(ACT, json!({ "input": { "id": build, "engineId": engine, "action": action, "reason": "for the scripts" } }));
        wait_for(&format!("{after} build"), || (api.build(&build).status() == after).then_some(()));
    }
    build
}

/// 1, 2, 3, 6, 7: engines and builds.
fn engines_and_builds(all: &mut Scripts) {
    let (engine, build) = (all.engine.clone(), all.build.clone());
    let login =
        format!(r#"{{"query": "mutation {{ userLogin(input: {{userName: \"{EMAIL}\", password: \"{PASSWORD}\"}}) {{ token }} }}"}}"#);
    all.token = all.post(&login)["userLogin"]["token"].as_str().unwrap().to_owned();
    let query = format!("query {{ engine(id: \"{engine}\") {{ id name builds(buildStatus: deployed) {{ records {{ id status }} }} }} }}");
    let found = all.typed(&query)["engine"]["builds"]["records"].clone();
    assert_eq!(found, json!([{ "id": build, "status": "deployed" }]));
    all.note(1, "log in, then the engine with its deployed build", "curl", "its id");

    let act = |action: &str| {
        format!("mutation {{ updateEngineBuild(input: {{id: \"{build}\", engineId: \"{engine}\", action: {action}}}) {{ id status }} }}")
    };
    all.typed(&act("pause"));
    all.build_is("paused");
    let model = format!(
        "mutation updateModel {{ updateEngine(input: {{id: \"{engine}\", deploymentModel: NonNetworkIsolated}}) {{ id deploymentModel }} }}"
    );
    assert_eq!(all.typed(&model)["updateEngine"]["deploymentModel"], "NonNetworkIsolated");
    all.typed(&act("unpause"));
    all.build_is("deployed");
    all.typed(&act("deploy"));
    all.build_is("deployed");
    all.note(2, "pause, another deployment model, unpause, deploy", "curl", "paused, deployed, deployed again");

    let fields = "id name description state categoryId deploymentModel mode manifest preferredInputFormat supportedInputFormats outputFormats deployedVersion";
    let variables = json!({ "id": engine }).to_string();
    let body = json!({
        "query": format!("query engine($id: ID!) {{ engine(id: $id) {{ {fields} builds {{ count records {{ id status version manifest }} }} }} }}"),
        "variables": variables,
    });
    let tutorial = all.post(&body.to_string())["engine"].clone();
    assert_eq!((&tutorial["state"], &tutorial["mode"], &tutorial["deployedVersion"]), (&json!("active"), &json!("Chunk"), &json!(1)));
    assert_eq!((&tutorial["manifest"]["engineId"], &tutorial["builds"]["count"]), (&json!(engine), &json!(1)));
    all.note(3, "the tutorial's engine query, variables as text", "curl", "active, Chunk, its manifest");

    let category = tutorial["categoryId"].as_str().unwrap();
    let query = format!("{{ engines(name: \"Words\", categoryId: \"{category}\") {{ count records {{ id name category {{ name }} }} }} }}");
    assert_eq!(all.typed(&query)["engines"]["records"][0]["id"], engine.as_str());
    all.note(6, "engines by name and category", "curl", "1 engine");
    let query = "{ engineCategories { records { id name type { name } engines(limit: 200) { records { id name } } } } }";
    let answer = all
        .curl(&["-H", "Content-Type: application/json", "-d", "@-"], &json!({ "query": query.replace(" type { name }", "") }).to_string());
    let records = answer["data"]["engineCategories"]["records"].as_array().unwrap_or_else(|| panic!("{answer:#}"));
    let listed =
        records.iter().flat_map(|record| record["engines"]["records"].as_array().unwrap()).filter(|one| one["id"] == engine.as_str());
    assert_eq!(listed.count(), 1);
    all.note(7, "categories with their engines", "curl", &format!("{} categories", records.len()));
}

/// 5, 9: recordings and files.
fn files(all: &mut Scripts) -> String {
    let create = "mutation { createTDO(input: {startDateTime: 1716200000, stopDateTime: \"2024-05-20T10:14:20Z\"}) { id } }";
    let tdo = all.typed(create)["createTDO"]["id"].as_str().unwrap().to_owned();
    let path = all.server.folder().join("words.txt");
    let text =
        "The harbour is quiet. Ships wait in the harbour for the tide, and the tide waits for nobody at all, least of all for ships.";
    fs::write(&path, text).unwrap();
    let query = "query=mutation($id: ID!) { createAsset(input: {containerId: $id, contentType: \"text/plain\", type: \"media\"}) { id uri signedUri } }";
    let variables = format!("variables={}", json!({ "id": tdo }));
    let file = format!("file=@{};type=text/plain", path.display());
    let asset = all.curl(&["-F", query, "-F", &variables, "-F", "filename=words.txt", "-F", &file], "");
    let signed = asset["data"]["createAsset"]["signedUri"].as_str().unwrap_or_else(|| panic!("{asset:#}"));
    assert_eq!(run(program("curl").args(["-sS", "--fail", signed])).succeeded().out, text);
    let part = run(program("curl").args(["-sS", "--fail", "-r", "4-10", signed])).succeeded();
    assert_eq!(part.out, "harbour");
    all.note(5, "a file with variables in a form", "curl -F", "an asset; signedUri gives its bytes, and a range of them");

    let uri = json!(signed);
    all.typed(&format!(
        "mutation {{ createAsset(input: {{containerId: \"{tdo}\", assetType: \"transcript\", uri: {uri}, name: \"later\"}}) {{ id }} }}"
    ));
    let ask = |arguments: &str| {
        let query = format!(
            "{{ temporalDataObject(id: \"{tdo}\") {{ assets({arguments}) {{ count records {{ assetType contentType createdDateTime }} }} }} }}"
        );
        all.typed(&query)["temporalDataObject"]["assets"].clone()
    };
    let types = |page: &Value| {
        page["records"].as_array().unwrap().iter().map(|one| one["assetType"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(types(&ask("orderBy: createdDateTime, orderDirection: asc")), ["media", "transcript"]);
    assert_eq!(types(&ask("orderBy: createdDateTime, orderDirection: desc, limit: 1")), ["transcript"]);
    assert_eq!(types(&ask("type: \"media\"")), ["media"]);
    assert_eq!(types(&ask("assetType: [\"transcript\", \"text\"]")), ["transcript"]);
    all.note(9, "files of a recording by type and order", "curl", "in order, of the types asked for");
    tdo
}

/// 4, 8, 12: jobs and tasks.
fn jobs(all: &mut Scripts, tdo: &str) {
    let (engine, build) = (all.engine.clone(), all.build.clone());
    let body = format!(
        r#"{{"query": "mutation {{ createJob(input: {{ targetId: \"{tdo}\", tasks: [{{ engineId: \"{engine}\", buildId: \"{build}\", testTask: true, payload: {{ url: \"none\" }} }}] }}) {{ id targetId status tasks {{ records {{ id status }} }} }} }}"}}"#
    );
    let job = all.post(&body)["createJob"].clone();
    let tested = job["tasks"]["records"][0]["id"].as_str().unwrap().to_owned();
    let done = all.task_is(&tested, "complete");
    assert_eq!((&done["build"]["id"], &done["output"]["object"][0]["label"]), (&json!(build), &json!("harbour")), "{done:#}");
    all.note(4, "a job with one test task, escaped", "curl", "complete, by an engine started for it");

    // The same by the deployed engine, which runs already.
    let live = all.typed(&format!("mutation {{ createJob(input: {{targetId: \"{tdo}\", tasks: [{{engineId: \"{engine}\", payloadString: \"{{}}\"}}]}}) {{ id tasks {{ records {{ id }} }} }} }}"));
    let task = live["createJob"]["tasks"]["records"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(all.task_is(&task, "complete")["output"]["object"][0]["label"], "harbour");
    let log = all.typed(&format!("query {{ task(id: \"{task}\") {{ id log {{ uri text jsondata }} }} }}"))["task"]["log"].clone();
    assert!(log["text"].as_str().unwrap().contains("/process"), "{log:#}");
    let fetched = run(program("curl").args(["-sS", "--fail", log["uri"].as_str().unwrap()])).succeeded().out;
    assert_eq!(fetched, log["text"].as_str().unwrap());
    let output = all.typed(&format!("query {{ task(id: \"{task}\") {{ output outputString }} }}"))["task"].clone();
    assert_eq!(serde_json::from_str::<Value>(output["outputString"].as_str().unwrap()).unwrap(), output["output"]);
    let payload = all
        .typed(&format!("query {{ task(id: \"{tested}\") {{ payload payloadString taskPayload testTask engine {{ id name }} }} }}"))["task"]
        .clone();
    assert_eq!((&payload["payload"], &payload["testTask"]), (&json!({ "url": "none" }), &json!(true)));
    all.note(8, "log, output and payload of a task", "curl", "as text and as JSON");

    for _ in 0..3 {
        all.typed(&format!(
            "mutation {{ createJob(input: {{targetId: \"{tdo}\", tasks: [{{engineId: \"{engine}\", standbyTask: true}}]}}) {{ id }} }}"
        ));
    }
    let (mut offset, mut seen) = (0, Vec::new());
    loop {
        let page =
            all.typed(&format!("{{ jobs(offset: {offset}, limit: 2) {{ count offset limit records {{ id status }} }} }}"))["jobs"].clone();
        assert_eq!((page["offset"].as_i64().unwrap(), page["limit"].as_i64().unwrap()), (offset, 2));
        let count = page["count"].as_i64().unwrap();
        seen.extend(page["records"].as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap().to_owned()));
        offset += count;
        if count < 2 {
            break;
        }
    }
    let all_of_them = seen.len();
    seen.dedup();
    assert_eq!((seen.len(), all_of_them), (5, 5), "every job once");
    let complete = all.typed("{ jobs(status: [complete], limit: 30) { count } }")["jobs"]["count"].clone();
    assert_eq!(complete, 2);
    all.note(12, "jobs page by page", "curl", "5 jobs in 3 pages, each once");
}

/// 10, 11: the validator, and a client that fetches the schema.
fn tools_and_clients(all: &mut Scripts, tdo: &str) {
    let url = all.server.url("/v3/tools/engine/validate");
    let validate = |document: &str| {
        let bearer = format!("Authorization: Bearer {}", all.token);
        let arguments = ["-sS", "-w", " %{http_code}", "-H", "Content-Type: application/json", "-H", &bearer, "-d", "@-", &url];
        run_with(program("curl").args(arguments), document).succeeded().out
    };
    let valid = validate(r#"{"validationContracts": ["keyword"], "object": [{"type": "keyword", "label": "harbour"}]}"#);
    let invalid = validate(r#"{"validationContracts": ["keyword"], "object": [{"type": "keyword"}]}"#);
    assert!(valid.ends_with(" 200") && invalid.ends_with(" 400") && invalid.contains("label"), "{valid}\n{invalid}");
    all.note(10, "the validator, a good and a bad result", "curl", "200, and 400 with the reason");

    let engine = all.engine.clone();
    let job = all.typed(&format!("mutation {{ createJob(input: {{targetId: \"{tdo}\", tasks: [{{engineId: \"{engine}\", standbyTask: true}}]}}) {{ tasks {{ records {{ id }} }} }} }}"));
    let task = job["createJob"]["tasks"]["records"][0]["id"].as_str().unwrap().to_owned();
    let script: PathBuf = sources().join("scripts/python-client");
    let client = sources().join("tests/clients/update_task.py");
    let arguments = [client.display().to_string(), all.server.url("/v3/graphql"), all.token.clone(), task.clone()];
    let said = run(program("bash").arg(script).args(arguments)).succeeded().out;
    assert_eq!(all.task_is(&task, "complete")["output"], json!({}));
    all.note(11, "the schema, then updateTask with `output: {}`", "Python gql", said.split(',').next().unwrap().trim());
}

#[test]
fn the_scripts_of_the_contract_run_unchanged() {
    let mut all = Scripts::begin();
    engines_and_builds(&mut all);
    let tdo = files(&mut all);
    jobs(&mut all, &tdo);
    tools_and_clients(&mut all, &tdo);
    all.server.is_well();
    let mut lines: Vec<&str> = all.table.lines().collect();
    lines[2..].sort_by_key(|line| line.trim_start_matches("| ").split('.').next().unwrap().parse::<u32>().unwrap());
    assert_eq!(lines.len(), 14, "{}", all.table);
    fs::write(built().parent().unwrap().join("clients.md"), lines.join("\n") + "\n").unwrap();
}

#[test]
fn a_killed_server_goes_on_with_its_tasks() {
    let mut server = Server::start();
    let api = server.api();
    let engine = api.create_engine("Words that take their time", "keyword");
    // Long enough to be killed in the middle; its sample at the start takes as long.
    let slow = Keyword::new(&engine)
        .with_line("static BUSY: AtomicUsize", "const SLOW: Duration = Duration::from_secs(2);\nstatic BUSY: AtomicUsize");
    let slow = slow.with_line("    let crowd = BUSY", "    std::thread::sleep(SLOW);\n    let crowd = BUSY");
    let build = deployed(&server, &api, &engine, &slow);
    let make = "mutation($input: CreateTDOWithAsset!) { createTDOWithAsset(input: $input) { id } }";
    let refused = api.send(make, json!({ "input": { "assetType": "media" } }));
    assert_eq!(refused["errors"][0]["name"], "invalid_input", "{refused:#}");
    let job = "mutation($input: CreateJob!) { createJob(input: $input) { id tasks { records { id } } } }";
    let input = json!({ "tasks": [{ "buildId": build, "testTask": true }, { "engineId": "8eccf9cc-6b6d-4d7d-8cb3-7ebf4950c5f3" }] });
    let made = api.ask(job, json!({ "input": input }));
    let task = made["createJob"]["tasks"]["records"][0]["id"].as_str().unwrap().to_owned();
    task_is(&api, &task, "running");
    server.kill();
    server.again();
    let api = server.api();
    let done = task_is(&api, &task, "complete");
    let steps: Vec<&str> = done["history"].as_array().unwrap().iter().map(|step| step["to"].as_str().unwrap()).collect();
    assert_eq!((steps, &done["tries"]), (vec!["pending", "running", "queued", "running", "complete"], &json!(2)), "{done:#}");
    assert!(done["history"][2]["reason"].as_str().unwrap().contains("the server ended"), "{done:#}");
    server.is_well();
}

#[test]
fn a_batch_engine_is_started_for_every_task() {
    let server = Server::start();
    let api = server.api();
    let engine = api.create_engine("A batch engine", "keyword");
    let manifest = json!({
        "engineId": engine, "category": "keyword", "engineMode": "batch", "preferredInputFormat": "text/plain",
        "supportedInputFormats": ["text/plain"], "outputFormats": ["application/json"], "clusterSize": "small",
        "initialConcurrency": 1, "maxConcurrency": 1, "externalCalls": [],
    });
    let program = fs::read(engine::kinds()).unwrap();
    let image = Pack::new(Platform::new("linux", "amd64"))
        .layer(vec![File::new("engine", 0o755, program), File::new("var/manifest.json", 0o644, manifest.to_string())])
        .entrypoint(["/engine", "batch-good"])
        .user("65534:65534")
        .build()
        .unwrap();
    Registry::of(&server).push(&image, "1/batch", "v1");
    let build = api.verdict(&engine).is("available").id().to_owned();
    let job = "mutation($input: CreateJob!) { createJob(input: $input) { id tasks { records { id } } target { id } } }";
    let made = api.ask(job, json!({ "input": { "tasks": [{ "buildId": build, "testTask": true, "payload": { "size": 3 } }] } }));
    let task = made["createJob"]["tasks"]["records"][0]["id"].as_str().unwrap();
    let done = task_is(&api, task, "complete");
    assert!(done["log"]["text"].as_str().unwrap().contains("engine of the kind batch-good"), "{done:#}");
    let tdo = &made["createJob"]["target"]["id"];
    let query = "query($id: ID!, $job: ID!) { temporalDataObject(id: $id) { assets(sourceTaskId: null) { records { assetType sourceData } } } \
                 engineResults(jobId: $job) { records { jsondata } } }";
    let seen = api.ask(query, json!({ "id": tdo, "job": made["createJob"]["id"] }));
    assert_eq!(seen["temporalDataObject"]["assets"]["records"][0]["assetType"], "vtn-standard", "{seen:#}");
    assert_eq!(seen["engineResults"]["records"][0]["jsondata"]["object"][0]["label"], "harbour");
    server.is_well();
}
