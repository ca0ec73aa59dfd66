//! What everything needs, as `docs/permissions.md` tells it, from the real router and the real schema; and the proof that it is so.

mod walk;

use std::{collections::HashMap, fmt::Write as _};

use super::{api::Api, world::World};
use crate::{
    auth::{
        needs::{self, Need},
        permission::{ROBOT, Role, TABLE},
    },
    http,
};

const HEAD: &str = "# Who may do what

Roles belong to people within their organization; somebody may have several. A token acts for the person who made it and loses a right the
moment they do. What belongs to another organization does not exist: asking for it is answered as asking for what was never there.

This page is written by a test from the router, the schema and the lists in `crates/server/src/auth`:
`PLIMSOLL_WRITE_PERMISSIONS=1 cargo nextest run -p server permissions`.
";

fn rights() -> String {
    let mut text = String::from("\n## Roles\n\nA robot is a token for one repository; it never has a right that its maker lacks.\n\n");
    let names: Vec<&str> = Role::ALL.iter().map(|role| role.as_str()).collect();
    writeln!(text, "| right | {} | robot |\n|---|{}", names.join(" | "), ":-:|".repeat(names.len() + 1)).unwrap();
    for (permission, what, roles) in TABLE {
        let cells: Vec<&str> = Role::ALL.iter().map(|role| if roles.contains(role) { "yes" } else { "" }).collect();
        let robot = if ROBOT.contains(permission) { "yes" } else { "" };
        writeln!(text, "| {what} | {} | {robot} |", cells.join(" | ")).unwrap();
    }
    text
}

fn addresses() -> String {
    let mut text =
        String::from("\n## Addresses\n\n`GET` answers `HEAD` too. The console takes the cookie of a login, `/v3` a token too.\n\n");
    text.push_str("| address | method | needs |\n|---|---|---|\n");
    let routes = http::routes();
    let mut rows: Vec<_> = routes.list().iter().collect();
    rows.sort_by_key(|route| (route.path, route.method));
    for route in rows {
        writeln!(text, "| `{}` | {} | {} |", route.path, route.method, route.need).unwrap();
    }
    text.push_str("\nThe distribution API; from a public repository everybody may pull.\n\n| address | method | needs |\n|---|---|---|\n");
    for (method, path, need) in needs::REGISTRY {
        writeln!(text, "| `{path}` | {method} | {need} |").unwrap();
    }
    text
}

fn fields(api: &Api) -> String {
    let mut text = String::from("\n## API\n\n| field | needs |\n|---|---|\n");
    for field in &api.roots {
        let need = needs::of_field(&field.name).unwrap_or_else(|| panic!("{}: add a line to FIELDS in auth/needs.rs", field.name));
        let deed = if field.is_mutation { "mutation" } else { "query" };
        writeln!(text, "| {deed} `{}` | {need} |", field.name).unwrap();
    }
    text.push_str("\nWhat the answers are made of is for whoever may ask for them:\n\n| type | fields | at least |\n|---|---|---|\n");
    for (name, members) in &api.objects {
        let need = of_type(name);
        let members: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
        writeln!(text, "| `{name}` | {} | {need} |", members.join(" ")).unwrap();
    }
    text
}

fn of_type(name: &str) -> Need {
    let found = needs::TYPES.iter().find(|row| row.0 == name);
    found.unwrap_or_else(|| panic!("{name}: add a line to TYPES in auth/needs.rs")).1
}

#[tokio::test]
async fn the_page_of_permissions_lists_every_route_and_field() {
    let world = World::new().await;
    let api = Api::read(&world).await;
    let page = format!("{HEAD}{}{}{}", rights(), addresses(), fields(&api));
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/permissions.md");
    if std::env::var_os("PLIMSOLL_WRITE_PERMISSIONS").is_some() {
        std::fs::write(path, &page).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    let differs = page.lines().zip(kept.lines()).find(|(is, was)| is != was);
    assert!(
        kept == page,
        "docs/permissions.md differs from the code, first {differs:?}; look whether it is meant, then write it anew: \
         PLIMSOLL_WRITE_PERMISSIONS=1 cargo nextest run -p server permissions"
    );
}

#[tokio::test]
async fn every_line_of_the_lists_is_about_something() {
    let world = World::new().await;
    let api = Api::read(&world).await;
    for (name, _) in needs::FIELDS {
        assert_eq!(api.roots.iter().filter(|field| field.name == *name).count(), 1, "{name} in FIELDS");
    }
    for (name, _) in needs::TYPES {
        assert!(api.objects.contains_key(*name), "{name} in TYPES");
    }
}

/// No field leads somebody to a value that is not for them.
#[tokio::test]
async fn no_field_leads_past_a_right() {
    let world = World::new().await;
    let api = Api::read(&world).await;
    // Everybody, whoever has no role, and each role: who may, from the widest to the narrowest.
    let admits = |need: Need| -> Vec<bool> {
        let roles = Role::ALL.iter().map(|role| need.is_met_by(*role));
        [need.is_open(), need == needs::OPEN || need == needs::ACCOUNT || need == needs::PERSON].into_iter().chain(roles).collect()
    };
    let mut ways: HashMap<&str, Vec<(String, Need)>> = HashMap::new();
    for field in &api.roots {
        ways.entry(field.returns.name()).or_default().push((field.name.clone(), needs::of_field(&field.name).unwrap()));
    }
    for (name, members) in &api.objects {
        for member in members {
            ways.entry(member.returns.name()).or_default().push((format!("{name}.{}", member.name), of_type(name)));
        }
    }
    for name in api.objects.keys() {
        let need = of_type(name);
        for (way, asked) in ways.get(name.as_str()).unwrap_or_else(|| panic!("nothing leads to {name}")) {
            let leak = admits(*asked).into_iter().zip(admits(need)).position(|(gets, may)| gets && !may);
            assert_eq!(leak, None, "{way} needs {asked}, but {name} is for {need}");
        }
    }
}
