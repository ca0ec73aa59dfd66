//! The API from an engine's side of the socket.

use std::sync::{Mutex, mpsc};

use model::{
    manifest::EngineMode,
    run::{EngineRun, Exit},
};
use sandbox::fake::Fake;
use serde_json::{Value, json};

use crate::{
    batch::payload,
    engine::{Reply, Setup, post_json, request},
};

/// What an engine knows of its API.
struct Api {
    base: String,
    payload: Value,
}

impl Api {
    fn token(&self) -> String {
        format!("Bearer {}", self.text("token"))
    }

    fn text(&self, field: &str) -> &str {
        self.payload[field].as_str().unwrap()
    }

    /// Asks with the token of the payload.
    fn ask(&self, query: &str, variables: Value) -> Value {
        let reply = self.ask_as(&self.token(), query, variables);
        assert_eq!(reply.status, 200, "{}", reply.json());
        reply.json()
    }

    fn ask_as(&self, authorization: &str, query: &str, variables: Value) -> Reply {
        let body = json!({"query": query, "variables": variables});
        post_json(&format!("{}/v3/graphql", self.base), &[("Authorization", authorization)], &body)
    }

    /// Sends a form; a part with a type is a file.
    fn form(&self, parts: &[(&str, Option<&str>, &str)]) -> Reply {
        let body: String = parts
            .iter()
            .map(|(name, kind, content)| match kind {
                None => format!("--b0\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{content}\r\n"),
                Some(kind) => {
                    format!("--b0\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"a.bin\"\r\nContent-Type: {kind}\r\n\r\n{content}\r\n")
                }
            })
            .collect();
        let (url, token) = (format!("{}/v3/graphql", self.base), self.token());
        let headers = [("Authorization", token.as_str()), ("Content-Type", "multipart/form-data; boundary=b0")];
        request("POST", &url, &headers, format!("{body}--b0--\r\n").as_bytes())
    }
}

/// Runs `act` in the place of a batch engine.
async fn with(setup: Setup, act: impl FnOnce(&Api) + Send + 'static) -> EngineRun {
    let (tell, told) = mpsc::channel();
    let (done, is_done) = mpsc::channel::<()>();
    let (tell, is_done) = (Mutex::new(tell), Mutex::new(is_done));
    let fake = Fake::new(move |stage| {
        let api = Api { base: stage.env("VERITONE_API_BASE_URL").unwrap().to_owned(), payload: payload(stage) };
        tell.lock().unwrap().send(api).unwrap();
        // The sender is dropped when the acting is over, however it ends.
        let _ = is_done.lock().unwrap().recv();
        Exit::Exited { code: 0 }
    });
    let acting = tokio::task::spawn_blocking(move || {
        let _done = done;
        act(&told.recv().unwrap());
    });
    let run = setup.run(fake).await;
    acting.await.unwrap();
    run
}

fn batch() -> Setup {
    Setup::new(EngineMode::Batch)
}

#[tokio::test]
async fn only_the_token_of_the_task_is_good_and_the_schema_needs_none() {
    let run = with(batch(), |api| {
        let query = "{ me { id organizationId } }";
        for wrong in ["", "Bearer x", &api.token()[..40], &format!("Basic {}", api.text("token"))] {
            let reply = api.ask_as(wrong, query, json!({}));
            assert_eq!(reply.status, 200);
            let body = reply.json();
            assert_eq!((&body["data"], &body["errors"][0]["name"]), (&json!({"me": null}), &json!("authentication_error")), "{wrong}");
        }
        let me = api.ask(query, json!({}));
        assert_eq!(me["data"]["me"]["organizationId"], "7");
        let lower = api.ask_as(&api.token().replace("Bearer", "bearer"), query, json!({}));
        assert_eq!(lower.json(), me);
        let schema = api.ask_as(
            "",
            "{ __schema { mutationType { name } types { name fields { name args { name type { name ofType { name } } } } } } }",
            json!({}),
        );
        let text = schema.json().to_string();
        for name in ["updateTask", "createAsset", "uploadEngineResult", "temporalDataObject", "JSONData", "UploadedFile", "myRights"] {
            assert!(text.contains(name), "{name}");
        }
        let rights = api.ask("{ myRights { operations resources } }", json!({}));
        assert_eq!(rights["data"]["myRights"]["resources"]["Task"], json!([api.text("taskId")]));
    })
    .await;
    assert_eq!(run.task.api_calls, 8);
    let refused = |text: &str| run.task.refused_calls.iter().filter(|call| call.starts_with(text)).count();
    assert_eq!((refused("me: "), refused("authorization: ")), (4, 2), "{:?}", run.task.refused_calls);
}

/// The query with which the common client libraries read a schema before they send anything else.
const INTROSPECTION: &str = "query IntrospectionQuery { __schema { description queryType { name } mutationType { name } \
    subscriptionType { name } types { ...FullType } directives { name description isRepeatable locations args { ...InputValue } } } } \
    fragment FullType on __Type { kind name description specifiedByURL fields(includeDeprecated: true) { name description \
    args { ...InputValue } type { ...TypeRef } isDeprecated deprecationReason } inputFields { ...InputValue } \
    interfaces { ...TypeRef } enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason } \
    possibleTypes { ...TypeRef } } \
    fragment InputValue on __InputValue { name description type { ...TypeRef } defaultValue } \
    fragment TypeRef on __Type { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name \
    ofType { kind name ofType { kind name ofType { kind name } } } } } } } }";

#[tokio::test]
async fn client_libraries_can_read_the_schema() {
    with(batch(), |api| {
        let answer = api.ask(INTROSPECTION, json!({}));
        assert_eq!(answer["errors"], Value::Null);
        let types = answer["data"]["__schema"]["types"].as_array().unwrap();
        let input = types.iter().find(|kind| kind["name"] == "UpdateTask").unwrap();
        let field =
            |name: &str| input["inputFields"].as_array().unwrap().iter().find(|field| field["name"] == name).unwrap()["type"].clone();
        assert_eq!((&field("id")["kind"], &field("id")["ofType"]["name"]), (&json!("NON_NULL"), &json!("ID")));
        assert_eq!(field("output")["name"], "JSONData");
        for name in ["TaskStatus", "TaskFailureReason", "TemporalDataObject", "AssetList", "JSON", "DateTime", "RightsListing"] {
            assert!(types.iter().any(|kind| kind["name"] == name), "{name}");
        }
    })
    .await;
}

#[tokio::test]
async fn the_own_recording_is_shown_with_its_input_and_foreign_ids_are_not_allowed() {
    let setup = batch();
    let sample = setup.samples[0].bytes.clone();
    with(setup, move |api| {
        let (tdo, task, job) = (api.text("recordingId"), api.text("taskId"), api.text("jobId"));
        let query = "query($id: ID!, $one: [String!]) { temporalDataObject(id: $id) { id \
            one: assets(type: $one) { records { id assetType contentType signedUri uri jsondata } count offset limit } \
            single: assets(assetType: \"text\", limit: 5, orderBy: createdDateTime, orderDirection: asc) { count records { type } } \
            many: assets(assetType: [\"text\", \"media\", \"nothing\"]) { count } } }";
        // A number where an id is meant, one value where a list is meant: both are coerced.
        let answer = api.ask(query, json!({"id": tdo.parse::<u64>().unwrap(), "one": "media"}));
        let shown = &answer["data"]["temporalDataObject"];
        assert_eq!((&shown["id"], &shown["one"]["count"], &shown["single"]["count"], &shown["many"]["count"]), (&json!(tdo), &json!(1), &json!(1), &json!(2)));
        let asset = &shown["one"]["records"][0];
        assert_eq!((&asset["contentType"], &asset["uri"]), (&json!("text/plain"), &asset["signedUri"]));
        let got = request("GET", asset["signedUri"].as_str().unwrap(), &[], b"");
        assert_eq!((got.status, got.body.as_slice()), (200, &sample[..]));

        let own = api.ask(&format!("{{ task(id: \"{task}\") {{ id status payload target {{ id }} job {{ id tasks {{ records {{ id }} }} }} }} job(id: \"{job}\") {{ id }} }}"), json!({}));
        assert_eq!(own["data"]["task"]["payload"], api.payload);
        assert_eq!(own["data"]["task"]["job"]["tasks"]["records"][0]["id"], task);
        for (field, kind) in [("temporalDataObject", "recording"), ("task", "task"), ("job", "job"), ("engine", "engine")] {
            let answer = api.ask(&format!("{{ {field}(id: \"123\") {{ id }} me {{ id }} }}"), json!({}));
            let error = &answer["errors"][0];
            assert_eq!(error["name"], "not_allowed");
            let message = format!("This token is good for its own {kind}, not for 123");
            assert_eq!((&error["message"], &error["path"]), (&json!(message), &json!([field])));
            assert_eq!((&error["locations"], &answer["data"][field]), (&json!([{"line": 1, "column": 3}]), &json!(null)));
            assert!(answer["data"]["me"]["id"].is_string() && error["time_thrown"].as_str().unwrap().starts_with("2026-01-02T03:04:"));
        }
    })
    .await;
}

#[tokio::test]
async fn files_are_served_whole_in_parts_and_by_their_head() {
    let setup = batch();
    let sample = setup.samples[0].bytes.clone();
    with(setup, move |api| {
        let query = format!("{{ temporalDataObject(id: \"{}\") {{ assets {{ records {{ uri }} }} }} }}", api.text("recordingId"));
        let answer = api.ask(&query, json!({}));
        let url = answer["data"]["temporalDataObject"]["assets"]["records"][0]["uri"].as_str().unwrap();
        let head = request("HEAD", url, &[], b"");
        assert_eq!(
            (head.status, head.headers["content-length"].as_str(), head.headers["accept-ranges"].as_str()),
            (200, sample.len().to_string().as_str(), "bytes")
        );
        assert_eq!(head.headers["content-type"], "text/plain");
        let part = request("GET", url, &[("Range", "bytes=4-10")], b"");
        assert_eq!((part.status, part.body.as_slice()), (206, &sample[4..=10]));
        assert_eq!(part.headers["content-range"], format!("bytes 4-10/{}", sample.len()));
        let tail = request("GET", url, &[("Range", "bytes=-5")], b"");
        assert_eq!((tail.status, tail.body.as_slice()), (206, &sample[sample.len() - 5..]));
        let beyond = request("GET", url, &[("Range", "bytes=999999-")], b"");
        assert_eq!((beyond.status, beyond.headers["content-range"].as_str()), (416, format!("bytes */{}", sample.len()).as_str()));
        for path in ["/files/x", "/v3/other", "/hooks/x/result/y"] {
            assert_eq!(request("GET", &format!("{}{path}", api.base), &[], b"").status, 404, "{path}");
        }
        for hook in ["heartbeat", "result"] {
            assert_eq!(
                post_json(&format!("{}/hooks/{}/{hook}", api.base, "0".repeat(64)), &[], &json!({"status": "complete"})).status,
                404
            );
        }
    })
    .await;
}

#[tokio::test]
async fn a_task_is_updated_in_every_spelling() {
    let run = with(batch(), |api| {
        let (task, job) = (api.text("taskId"), api.text("jobId"));
        let literal = api.ask(&format!("mutation {{ updateTask(input: {{id: \"{task}\", status: running, output: {{}}}}) {{ id status }} }}"), json!({}));
        assert_eq!(literal["data"]["updateTask"]["status"], "running");
        // The older name of the scalar, the enum as text, the variables as text.
        let query = "mutation($id: ID!, $status: TaskStatus!, $output: JSON) { updateTask(input: {id: $id, status: $status, output: $output}) { status output } }";
        let variables = json!({"id": task, "status": "queued", "output": {"words": [1, 2.5, "é"]}});
        let answer = api.ask(query, Value::String(variables.to_string()));
        assert_eq!(answer["data"]["updateTask"], json!({"status": "queued", "output": {"words": [1, 2.5, "é"]}}));
        let text = api.ask(
            "mutation($i: UpdateTask!) { updateTask(input: $i) { status outputString failureReason failureMessage } }",
            json!({"i": {"id": task, "jobId": job, "status": "failed", "outputString": "not json", "failureReason": "invalid_data", "failureMessage": "no words"}}),
        );
        let expected = json!({"status": "failed", "outputString": "{\"data\":\"not json\"}", "failureReason": "invalid_data", "failureMessage": "no words"});
        assert_eq!(text["data"]["updateTask"], expected);

        let refused = |input: Value| {
            let answer = api.ask("mutation($i: UpdateTask!) { updateTask(input: $i) { id } }", json!({"i": input}));
            assert_eq!(answer["data"], json!({"updateTask": null}));
            answer["errors"][0]["name"].as_str().unwrap().to_owned()
        };
        assert_eq!(refused(json!({"id": "other", "status": "complete"})), "not_allowed");
        assert_eq!(refused(json!({"id": task, "jobId": "other", "status": "complete"})), "invalid_input");
        assert_eq!(refused(json!({"id": task, "status": "complete", "failureReason": "other"})), "invalid_input");
        assert_eq!(refused(json!({"id": task, "status": "failed", "failureMessage": "x"})), "invalid_input");
    })
    .await;
    assert_eq!(run.task.statuses, ["running", "queued", "failed"]);
    assert_eq!((run.task.failure_reason.as_deref(), run.task.failure_message.as_deref()), (Some("invalid_data"), Some("no words")));
    let outputs: Vec<_> = run.outputs.iter().map(|o| (o.via.as_str(), std::str::from_utf8(&o.body).unwrap())).collect();
    assert_eq!(outputs, [("updateTask", "{\"words\":[1,2.5,\"é\"]}"), ("updateTask", "{\"data\":\"not json\"}")]);
    assert_eq!(run.task.refused_calls.len(), 4);
}

#[tokio::test]
async fn assets_come_by_plain_form_and_by_the_multi_operation_form() {
    let run = with(batch(), |api| {
        let tdo = api.text("recordingId");
        let query = format!("mutation {{ createAsset(input: {{containerId: \"{tdo}\", type: \"vtn-standard\", contentType: \"application/json\"}}) {{ id uri name contentType }} }}");
        let plain = api.form(&[("query", None, &query), ("filename", None, "result.json"), ("file", Some("text/plain"), "{\"object\":[]}")]);
        let asset = plain.json()["data"]["createAsset"].clone();
        assert_eq!((&asset["name"], &asset["contentType"]), (&json!("result.json"), &json!("application/json")));
        assert_eq!(request("GET", asset["uri"].as_str().unwrap(), &[], b"").body, b"{\"object\":[]}");

        let with_variables = "mutation($c: ID!, $f: UploadedFile) { createAsset(input: {containerId: $c, assetType: \"text\", file: $f}) { contentType name } }";
        let variables = json!({"c": tdo, "f": null}).to_string();
        let second = api.form(&[("query", None, with_variables), ("variables", None, &variables), ("file", Some("text/plain"), "words")]);
        assert_eq!(second.json()["data"]["createAsset"], json!({"contentType": "text/plain", "name": "a.bin"}));

        let operations = json!({"query": with_variables.replace("UploadedFile", "UploadedFile!"), "variables": {"c": tdo, "f": null}}).to_string();
        let third = api.form(&[("operations", None, &operations), ("map", None, "{\"0\":[\"variables.f\"]}"), ("0", Some("audio/wav"), "RIFF")]);
        assert_eq!(third.json()["data"]["createAsset"]["contentType"], "audio/wav", "{}", third.json());

        let damaged = query.replace("type:", "md5sum: \"5d41402abc4b2a76b9719d911017c592\", type:");
        let damaged = api.form(&[("query", None, &damaged), ("file", Some("text/plain"), "hallo")]).json();
        assert!(damaged["errors"][0]["message"].as_str().unwrap().contains("arrived"), "{damaged}");
        let nothing = api.ask(&query, json!({}));
        assert_eq!(nothing["errors"][0]["message"], "One of uri or file (upload) must be provided to create an asset");
        let linked = api.ask(&query.replace("type:", "uri: \"http://example.com/x.json\", type:"), json!({}));
        assert_eq!(linked["data"]["createAsset"]["uri"], "http://example.com/x.json");
        let foreign = api.ask(&query.replace(tdo, "1"), json!({}));
        assert_eq!(foreign["errors"][0]["name"], "not_allowed");
        let listed = api.ask(&format!("{{ temporalDataObject(id: {tdo}) {{ assets(sourceTaskId: \"{}\") {{ count }} }} }}", api.text("taskId")), json!({}));
        assert_eq!(listed["data"]["temporalDataObject"]["assets"]["count"], 4);
    })
    .await;
    let outputs: Vec<_> = run.outputs.iter().map(|o| (o.via.as_str(), o.content_type.as_str(), o.body.as_slice())).collect();
    let asset = |kind, body| ("createAsset", kind, body);
    assert_eq!(
        outputs,
        [
            asset("application/json", &b"{\"object\":[]}"[..]),
            asset("text/plain", b"words"),
            asset("audio/wav", b"RIFF"),
            asset("text/uri-list", b"http://example.com/x.json"),
        ]
    );
}

#[tokio::test]
async fn results_are_uploaded_as_json_text_or_file_and_complete_the_task() {
    let run = with(batch(), |api| {
        let task = api.text("taskId");
        let upload = |input: Value| {
            api.ask("mutation($i: UploadEngineResult!) { uploadEngineResult(input: $i) { id assetType contentType } }", json!({"i": input}))
        };
        let status = || api.ask(&format!("{{ task(id: \"{task}\") {{ status output }} }}"), json!({}))["data"]["task"].clone();
        upload(json!({"taskId": task, "output": {"object": [1]}, "completeTask": false, "setTaskOutput": false}));
        assert_eq!(status(), json!({"status": "running", "output": null}));
        let text = upload(json!({"taskId": task, "outputString": "plain", "completeTask": false}));
        assert_eq!(text["data"]["uploadEngineResult"]["contentType"], "text/plain");
        assert_eq!(status(), json!({"status": "running", "output": {"data": "plain"}}));
        let query = format!(
            "mutation {{ uploadEngineResult(input: {{taskId: \"{task}\", assetType: \"transcript\"}}) {{ assetType contentType }} }}"
        );
        let file = api.form(&[("query", None, &query), ("file", Some("application/json"), "{\"series\":[]}")]);
        assert_eq!(file.json()["data"]["uploadEngineResult"], json!({"assetType": "transcript", "contentType": "application/json"}));
        assert_eq!(status(), json!({"status": "complete", "output": {"series": []}}));
        let log = format!("mutation {{ createTaskLog(input: {{taskId: \"{task}\"}}) {{ text uri }} }}");
        assert_eq!(
            api.form(&[("query", None, &log), ("file", Some("text/plain"), "line 1\n")]).json()["data"]["createTaskLog"]["text"],
            "line 1\n"
        );
    })
    .await;
    assert_eq!(
        run.outputs.iter().map(|o| o.body.as_slice()).collect::<Vec<_>>(),
        [b"{\"object\":[1]}".as_slice(), b"plain", b"{\"series\":[]}"]
    );
    assert_eq!(run.task.statuses, ["running", "complete"]);
}

#[tokio::test]
async fn too_much_is_refused_with_its_limit() {
    let mut setup = batch();
    setup.caps.json = 4_000;
    setup.caps.file = 10_000;
    setup.caps.assets = 4;
    let run = with(setup, |api| {
        let large = api.ask_as(&api.token(), &format!("{{ me {{ id }} }} # {}", "x".repeat(5_000)), json!({}));
        assert_eq!((large.status, &large.json()["errors"][0]["data"]["limitInBytes"]), (413, &json!(4_000)));
        let query = format!("mutation {{ createAsset(input: {{containerId: \"{}\", type: \"text\"}}) {{ id }} }}", api.text("recordingId"));
        let file = api.form(&[("query", None, &query), ("file", Some("text/plain"), &"x".repeat(10_001))]);
        assert_eq!((file.status, &file.json()["errors"][0]["data"]["code"]), (413, &json!("LIMIT_FILE_SIZE")));
        let endless = api.form(&[("query", None, &query), ("file", Some("text/plain"), &"x".repeat(3 << 20))]);
        assert_eq!(endless.status, 413);
        let fields: Vec<_> = (0..70).map(|_| ("x", None, "y")).collect();
        assert_eq!(api.form(&fields).status, 400);
        // The input already stands there twice.
        for _ in 0..2 {
            assert_eq!(api.form(&[("query", None, &query), ("file", Some("text/plain"), "x")]).status, 200);
        }
        let full = api.form(&[("query", None, &query), ("file", Some("text/plain"), "x")]).json();
        assert_eq!(full["errors"][0]["name"], "capacity_exceeded");
    })
    .await;
    assert_eq!(run.outputs.len(), 2);
}

#[tokio::test]
async fn what_is_no_query_is_a_bad_request_and_does_no_harm() {
    let run = with(batch(), |api| {
        let url = format!("{}/v3/graphql", api.base);
        let token = api.token();
        let send = |kind: &str, body: &str| {
            let reply = request("POST", &url, &[("Authorization", &token), ("Content-Type", kind)], body.as_bytes());
            assert_eq!(reply.json()["errors"][0]["name"], "invalid_input", "{body:.80}");
            reply.status
        };
        let nested = json!({"query": format!("{{ task(id: {}1{}) {{ id }} }}", "[".repeat(100_000), "]".repeat(100_000))}).to_string();
        for (kind, body) in [
            ("text/xml", "<a/>"),
            ("application/json", "{"),
            ("application/json", "[]"),
            ("application/json", "{\"variables\":{}}"),
            ("application/json", "{\"query\":\"{ me { id }\"}"),
            ("application/json", "{\"query\":\"{ me { shoeSize } }\"}"),
            ("application/json", "{\"query\":\"mutation { melt(id: 1) { id } }\"}"),
            ("application/json", "{\"query\":\"{ me { id } }\",\"variables\":\"{\"}"),
            ("application/json", &nested),
            ("multipart/form-data", "x"),
            ("multipart/form-data; boundary=b", "no form"),
        ] {
            assert_eq!(send(kind, body), 400, "{kind} {body:.80}");
        }
        assert_eq!(request("GET", &url, &[], b"").status, 400);
        assert_eq!(api.ask("{ me { id } }", json!({}))["errors"], Value::Null);
    })
    .await;
    for words in ["melt", "request: the body is not JSON", "request: `variables` is not JSON"] {
        assert!(run.task.refused_calls.iter().any(|call| call.contains(words)), "{words}: {:?}", run.task.refused_calls);
    }
}

#[tokio::test]
async fn an_engine_can_make_recordings_and_only_its_own() {
    let run = with(batch(), |api| {
        let create = "mutation($i: CreateTDO!) { createTDO(input: $i) { id status startDateTime details tasks { count } } }";
        let input = json!({"startDateTime": 1_716_200_000, "stopDateTime": "2024-05-20T10:14:20Z", "status": "downloaded", "details": {"a": 1}, "source": {"sourceId": "3"}});
        let made = api.ask(create, json!({ "i": input }))["data"]["createTDO"].clone();
        assert_eq!((&made["startDateTime"], &made["details"]["a"]), (&json!("2024-05-20T10:13:20.000Z"), &json!(1)));
        let id = made["id"].as_str().unwrap();
        let asset = format!("mutation {{ createAsset(input: {{containerId: \"{id}\", type: \"media\", contentType: \"audio/wav\"}}) {{ id containerId }} }}");
        let asset = api.form(&[("query", None, &asset), ("file", Some("audio/wav"), "RIFF")]).json();
        assert_eq!(asset["data"]["createAsset"]["containerId"], id);
        let update = format!("mutation {{ updateTDO(input: {{id: \"{id}\", status: \"recorded\", name: \"n\"}}) {{ name status }} }}");
        assert_eq!(api.ask(&update, json!({}))["data"]["updateTDO"], json!({"name": "n", "status": "recorded"}));
        let shown = api.ask(&format!("{{ temporalDataObject(id: {id}) {{ name assets {{ records {{ assetType }} }} }} }}"), json!({}));
        assert_eq!(shown["data"]["temporalDataObject"]["assets"]["records"], json!([{"assetType": "media"}]));

        let both = "mutation { createTDOWithAsset(input: {startDateTime: 1716200000, contentType: \"text/plain\"}) { id assets { count } } }";
        let both = api.form(&[("query", None, both), ("file", Some("text/plain"), "words")]).json();
        assert_eq!(both["data"]["createTDOWithAsset"]["assets"]["count"], 1);
        let data = api.ask("mutation { createStructuredData(input: {schemaId: \"s\", dataString: \"{\\\"a\\\": 2}\"}) { schemaId data } }", json!({}));
        assert_eq!(data["data"]["createStructuredData"], json!({"schemaId": "s", "data": {"a": 2}}));

        let backward = json!({"startDateTime": 1_716_200_000, "stopDateTime": 5});
        assert_eq!(api.ask(create, json!({ "i": backward }))["errors"][0]["name"], "invalid_input");
        let backward = api.ask(&update.replace("name: \"n\"", "stopDateTime: 5"), json!({}));
        assert_eq!(backward["errors"][0]["message"], "stopDateTime: earlier than startDateTime");
        let foreign = api.ask("mutation { updateTDO(input: {id: \"123\", name: \"x\"}) { id } }", json!({}));
        assert_eq!(foreign["errors"][0]["name"], "not_allowed");
    })
    .await;
    let made: Vec<usize> = run.task.recordings.iter().map(|recording| recording.assets.len()).collect();
    assert_eq!((made, run.task.structured_data), (vec![1, 1], 1));
    assert_eq!(run.task.recordings[0].assets[0], ("media".to_owned(), "audio/wav".to_owned(), 4));
}

#[tokio::test]
async fn what_is_nothing_for_an_engine_is_not_allowed_and_remembered() {
    let run = with(batch(), |api| {
        for operation in
            ["mutation { deleteEngine(id: 1) { id } }", "{ engines { records { id } } }", "mutation { userLogin(input: {}) { token } }"]
        {
            let reply = api.ask_as(&api.token(), operation, json!({}));
            assert_eq!((reply.status, &reply.json()["errors"][0]["name"]), (200, &json!("not_allowed")), "{operation}");
        }
        let own = format!("resource: {{jobId: \"{}\", taskId: \"{}\"}}", api.text("jobId"), api.text("taskId"));
        let jwt = |engine: &str, resource: &str| {
            api.ask(&format!("mutation {{ getEngineJWT(input: {{engineId: \"{engine}\", {resource}}}) {{ token }} }}"), json!({}))
        };
        let engine = "6a2f4f0e-6d0e-4a57-9c11-2f6c0b0f8f10";
        assert_eq!(jwt(engine, &own)["data"]["getEngineJWT"]["token"], api.text("token"));
        assert_eq!(jwt("other", &own)["errors"][0]["name"], "not_allowed");
        assert_eq!(jwt(engine, "resource: {jobId: \"1\", taskId: \"2\"}")["errors"][0]["name"], "not_allowed");
    })
    .await;
    assert_eq!(run.task.forbidden_calls, ["deleteEngine", "userLogin"]);
    assert_eq!(run.task.refused_calls.iter().filter(|call| call.starts_with("engines: ")).count(), 1);
}
