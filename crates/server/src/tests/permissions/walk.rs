//! Everybody tries everything: whoever lacks the right is not allowed, whatever they name, and whoever has it never hears so; and what
//! belongs to another organization is answered as what was never there.

use secrecy::ExposeSecret;
use serde_json::Value;

use super::super::{
    api::{Api, Field, UNKNOWN},
    holdings::{ALL, NO_ROLE, OTHER, address, caller, fresh, holdings, world},
    world::bearer,
};
use crate::{
    auth::{needs, permission::Role, session},
    http,
    ops::{
        create_api_token::create_api_token,
        create_robot_token::{Robot, create_robot_token},
    },
};

fn error_name(answer: &Value) -> &str {
    answer["errors"][0]["name"].as_str().unwrap_or("none")
}

#[tokio::test]
async fn every_field_wants_what_it_says() {
    let world = world().await;
    let api = Api::read(&world).await;
    let robot = {
        let maker = caller(&world, &address(Role::Developer)).await;
        let actions = vec![registry::Action::Pull];
        let expires_at = crate::clock::now_ms() + 86_400_000;
        let robot = Robot { name: "robot".into(), repository: "1/words".into(), actions, expires_at };
        bearer(create_robot_token(&world.app, &maker, robot).await.unwrap().secret.expose_secret())
    };
    let token = {
        let owner = caller(&world, ALL).await;
        bearer(create_api_token(&world.app, &owner, "token", None).await.unwrap().secret.expose_secret())
    };
    for field in &api.roots {
        let need = needs::of_field(&field.name).unwrap();
        let query = api.query(field, &[]);
        let ask = async |authorization: &str| error_name(&world.graphql(authorization, &query).await.json()).to_owned();
        for stranger in ["", robot.as_str()] {
            let outcome = ask(stranger).await;
            if outcome == "rate_limited" {
                // Who comes too often with what is good for nothing has to wait, whatever they want.
                assert!(stranger == robot || need.is_open(), "{query}");
                continue;
            }
            let is_stopped = outcome == "authentication_error";
            // Both say so of the token they are given, too.
            let looks_at_token = ["validateToken", "refreshToken"].contains(&field.name.as_str());
            assert!(is_stopped != need.is_open() || looks_at_token, "{query} by somebody without an account");
        }
        if need.is_open() {
            continue;
        }
        // First who may not: nothing changes by it.
        let with_token = ask(&token).await;
        assert_eq!(with_token == "not_allowed", need.wants_person(), "{query} with a token: {with_token}");
        let mut people = vec![(NO_ROLE.to_owned(), need == needs::ACCOUNT || need == needs::PERSON)];
        people.extend(Role::ALL.map(|role| (address(role), need.is_met_by(role))));
        people.sort_by_key(|(_, may)| *may);
        for (email, may) in people {
            let outcome = ask(&bearer(&fresh(&world, &email).await)).await;
            assert_eq!(outcome != "not_allowed" && outcome != "authentication_error", may, "{query} by {email}: {outcome}");
        }
    }
}

/// The answer without what must differ.
fn told(answer: &Value, id: &str) -> String {
    let mut answer = answer.clone();
    for error in answer["errors"].as_array_mut().into_iter().flatten() {
        error["time_thrown"] = Value::Null;
        error["locations"] = Value::Null;
    }
    // A short id may be a part of something else.
    if id.len() < 10 { answer.to_string().replace(&format!("\"{id}\""), "\"ID\"") } else { answer.to_string().replace(id, "ID") }
}

/// Ids that are somebody's words and lead to nothing here: they are kept or not looked at.
fn is_free(path: &str) -> bool {
    let unread =
        ["applicationId", "clusterId", "jobTemplateId", "parentFolderId", "scheduledJobId", "schemaId", "sourceId", "taskTemplateId"];
    unread.iter().any(|name| path.ends_with(name)) || path.contains("sourceData")
}

/// Words without which a field never comes to its ids.
const GOOD: [(&str, &str); 2] = [
    ("input.dockerImage", "\"1/words:v1\""),
    (
        "input.document",
        "{version: 1, waivers: [{vulnerability: \"CVE-2026-1\", reason: \"not reachable\", author: \"x\", expires: \"2999-01-01\"}]}",
    ),
];

/// Whether something else is said before this id is looked at, or it only narrows what is shown.
fn is_exempt(field: &str, path: &str) -> bool {
    match field {
        // Chosen freely: each organization has documents of its own under it.
        "createStructuredData" => true,
        // Without the recording these narrow nothing down to nothing, and with one they only leave out.
        "engineResults" => path != "tdoId",
        // That my engine has no template is said first.
        "launchSingleEngineJob" => path == "input.targetId",
        _ => false,
    }
}

#[tokio::test]
async fn what_is_of_another_organization_is_not_there() {
    let world = world().await;
    let api = Api::read(&world).await;
    let (mine, theirs) = (holdings(&world, ALL).await, holdings(&world, OTHER).await);
    let me = caller(&world, ALL).await.user;
    let is_id = |field: &Field, path: &str, scalar: &str| {
        // An engine's id is chosen freely, and one that is taken is taken.
        let chosen = field.name == "createEngine" && path == "input.id";
        (scalar == "ID" && !chosen && !is_free(path) && !path.ends_with("categoryId"))
            || (field.name == "setRepositoryPublic" && path == "name")
    };
    let mut asked = 0;
    for field in &api.roots {
        let leaves = api.leaves(field);
        let ids: Vec<&str> = leaves.iter().filter(|leaf| is_id(field, &leaf.path, &leaf.scalar)).map(|leaf| leaf.path.as_str()).collect();
        let no_name = format!("2/{UNKNOWN}");
        for at in &ids {
            for (kind, id) in theirs.iter().filter(|(kind, _)| *at != "name" || *kind == "repository") {
                // The others are mine, of every kind, so that one of them is right.
                for (_, other) in mine.iter().take(if ids.len() > 1 { mine.len() } else { 1 }) {
                    let unknown = match *kind {
                        "repository" => no_name.as_str(),
                        "recording" => "987654321987",
                        _ => UNKNOWN,
                    };
                    let mut answers = Vec::new();
                    for id in [id.as_str(), unknown] {
                        let literals: Vec<(&str, String)> =
                            ids.iter().map(|path| (*path, format!("\"{}\"", if path == at { id } else { other }))).collect();
                        let mut words: Vec<(&str, &str)> = literals.iter().map(|(path, word)| (*path, word.as_str())).collect();
                        words.extend(GOOD.iter().filter(|(path, _)| leaves.iter().any(|leaf| leaf.path == *path)));
                        let token = session::begin(&world.app.db, me).await.unwrap();
                        let query = api.query(field, &words);
                        answers.push((world.graphql(&bearer(&token), &query).await.is(200).json(), id, query));
                    }
                    let [(foreign, id, query), (nothing, unknown, _)] = &answers[..] else { unreachable!() };
                    assert_eq!(told(foreign, id), told(nothing, unknown), "{query}");
                    let is_list = foreign["data"][&field.name]["count"].is_u64();
                    assert!(error_name(foreign) == "not_found" || is_list || is_exempt(&field.name, at), "{query}: {foreign}");
                    asked += 1;
                }
            }
        }
    }
    assert!(asked > 150, "only {asked}");
    let session = bearer(&fresh(&world, OTHER).await);
    let after = world.graphql(&session, "{ engines { count } waivers { records { isActive } } }").await.json()["data"].clone();
    assert_eq!((&after["engines"]["count"], &after["waivers"]["records"][0]["isActive"]), (&1.into(), &true.into()));
}

/// A path with ids of an organization in it.
fn filled(path: &str, ids: &[(&'static str, String)]) -> String {
    let id = |kind: &str| ids.iter().find(|row| row.0 == kind).map_or("", |row| row.1.as_str());
    let kind = path.split('/').find_map(|word| match word {
        "engines" => Some("engine"),
        "builds" => Some("build"),
        "tokens" => Some("token"),
        "waivers" => Some("waiver"),
        _ => None,
    });
    let action = if path.starts_with("/engines") { "rollback" } else { "delete" };
    let path = path.replace("{action}", action).replace("{version}", "0").replace("{name}", "words").replace("{reference}", "v1");
    let path = path.replace("{digest}", &format!("sha256:{}", "0".repeat(64)));
    path.replace("{id}", kind.map_or("manifest", id))
}

#[tokio::test]
async fn every_address_wants_what_it_says() {
    let world = world().await;
    let (mine, theirs) = (holdings(&world, ALL).await, holdings(&world, OTHER).await);
    let cookie = async |email: &str| format!("{}={}", session::COOKIE, fresh(&world, email).await);
    let routes = http::routes();
    for route in routes.list() {
        let (path, foreign) = (filled(route.path, &mine), filled(route.path, &theirs));
        let form = [("content-type", "application/x-www-form-urlencoded"), ("sec-fetch-site", "same-origin")];
        let ask = async |path: &str, cookie: &str| {
            let headers = [form[0], form[1], ("cookie", cookie)];
            world.status(route.method, path, &headers, "kind=robot&deed=none&text=x").await
        };
        let is_stopped = |(status, location): &(u16, String)| *status == 401 || location.starts_with("/login");
        // These are about logging in themselves.
        let leads_to_login = ["/login", "/logout", "/join", "/v2/token"].contains(&route.path);
        let stranger = ask(&path, "").await;
        assert!(is_stopped(&stranger) != route.need.is_open() || leads_to_login, "{route:?} by somebody without an account: {stranger:?}");
        if route.need.is_open() {
            continue;
        }
        let mut people = vec![(NO_ROLE.to_owned(), route.need == needs::ACCOUNT)];
        people.extend(Role::ALL.map(|role| (address(role), route.need.is_met_by(role))));
        people.sort_by_key(|(_, may)| *may);
        for (email, may) in people {
            let answer = ask(&path, &cookie(&email).await).await;
            // Other forms of the same address may need more; a deed may have been done by the one before.
            let refused = answer.0 == 403 && !(may && route.path == "/tokens");
            assert_eq!(refused, !may, "{route:?} {path} by {email}: {answer:?}");
        }
        if foreign != path {
            let answer = ask(&foreign, &cookie(ALL).await).await;
            assert_eq!(answer.0, 404, "{route:?} {foreign}");
        }
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH"] {
            let is_listed = routes.list().iter().any(|other| other.path == route.path && other.method == method);
            let (status, _) = world.status(method, &path, &form, "").await;
            assert_eq!(status != 405, is_listed, "{method} {path}: {status}");
        }
    }
}

#[tokio::test]
async fn every_address_of_the_registry_wants_what_it_says() {
    let world = world().await;
    let mut callers = vec![(None, String::new())];
    for role in Role::ALL {
        let made = create_api_token(&world.app, &caller(&world, &address(role)).await, "registry", None).await.unwrap();
        callers.push((Some(role), bearer(made.secret.expose_secret())));
    }
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
        for path in needs::REGISTRY.iter().map(|row| row.1) {
            let need = needs::REGISTRY.iter().find(|row| (row.0, row.1) == (method, path)).map(|row| row.2);
            let address = path.replace("{name}", "1/words").replace("{id}", UNKNOWN).replace("{reference}", "v1");
            let address = address.replace("{digest}", &format!("sha256:{}", "0".repeat(64)));
            for (role, authorization) in &callers {
                let (status, _) = world.status(method, &address, &[("authorization", authorization)], "{}").await;
                let wanted = match (need, role) {
                    (_, None) => status == 401 || (need.is_none() && status == 405),
                    (None, Some(_)) => status == 405,
                    (Some(need), Some(role)) => (status != 401 && status != 403) == need.is_met_by(*role) && status != 405,
                };
                assert!(wanted, "{method} {address} by {role:?}: {status}");
            }
        }
    }
}
