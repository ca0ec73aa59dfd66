//! What narrows and sorts a list: every word of it counts, and together they never show more than each alone.

use model::build::BuildStatus;
use serde_json::{Value, json};

use super::{
    cells,
    world::{EMAIL, World},
};

async fn ask(world: &World, session: &str, query: &str) -> Value {
    let answer = world.graphql(session, query).await.is(200).json();
    assert!(answer["errors"].is_null(), "{query}: {answer}");
    answer["data"].clone()
}

/// One member of every engine, in the order of the list.
async fn engines(world: &World, session: &str, arguments: &str, member: &str) -> Vec<String> {
    let answer = ask(world, session, &format!("{{ engines({arguments}) {{ records {{ {member} }} }} }}")).await;
    let text = |row: &Value| row[member].as_str().unwrap().to_owned();
    answer["engines"]["records"].as_array().unwrap().iter().map(text).collect()
}

#[tokio::test]
async fn engines_by_category_type_and_price() {
    let world = World::new().await;
    let session = world.session(EMAIL).await;
    for (name, category, price) in
        [("a", "keyword", "price: 3"), ("b", "adapter", "price: 1"), ("c", "keyword", "price: 2"), ("d", "ocr", "")]
    {
        let input = format!("{{name: \"{name}\", categoryId: \"{category}\", deploymentModel: FullyNetworkIsolated {price}}}");
        ask(&world, &session, &format!("mutation {{ createEngine(input: {input}) {{ id }} }}")).await;
    }
    let by_name = "orderBy: [{field: name}]";
    for (narrowed, left) in [
        ("", "abcd"),
        ("filter: {type: [\"Cognition\"]}", "acd"),
        ("filter: {type: [\"ingestion\"]}", "b"),
        ("filter: {type: [\"Aggregator\"]}", ""),
        ("filter: {type: [\"Ingestion\", \"Cognition\"]}", "abcd"),
        ("filter: {type: []}", "abcd"),
        ("filter: {category: [\"keyword\", \"adapter\"]}", "abc"),
        ("filter: {category: [\"keyword\", \"adapter\"], type: [\"Cognition\"]}", "ac"),
        ("category: \"keyword\", filter: {category: [\"adapter\"]}", ""),
        ("categoryId: \"keyword\", filter: {priceMax: 2}", "c"),
    ] {
        assert_eq!(engines(&world, &session, &format!("{narrowed}, {by_name}"), "name").await.concat(), left, "{narrowed}");
    }
    for (order, sorted) in [
        ("{field: price}", "dbca"),
        ("{field: price, direction: desc}", "acbd"),
        ("{field: name, direction: desc}", "dcba"),
        ("{field: name}, {field: price}", "abcd"),
    ] {
        assert_eq!(engines(&world, &session, &format!("orderBy: [{order}]"), "name").await.concat(), sorted, "{order}");
    }
    let ids = engines(&world, &session, "orderBy: [{field: id}]", "id").await;
    assert!(ids.len() == 4 && ids.is_sorted(), "{ids:?}");
}

#[tokio::test]
async fn a_deleted_build_is_shown_to_whoever_asks_for_deleted_ones() {
    let world = World::new().await;
    let session = world.session(EMAIL).await;
    let engine = cells::engine(&world, 1).await;
    let there = cells::build(&world, &engine, BuildStatus::Available, Default::default()).await;
    let gone = cells::build(&world, &engine, BuildStatus::Deleted, Default::default()).await;
    let shown = async |arguments: String| {
        let query = format!("{{ engine(id: \"{}\") {{ builds({arguments}) {{ records {{ id }} }} }} }}", engine.id);
        ask(&world, &session, &query).await["engine"]["builds"]["records"].clone()
    };
    let one = |id| json!([{ "id": id }]);
    assert_eq!(shown("limit: 10".to_owned()).await, one(there));
    assert_eq!(shown(format!("id: \"{there}\"")).await, one(there));
    assert_eq!(shown(format!("id: \"{gone}\"")).await, json!([]));
    assert_eq!(shown(format!("id: \"{gone}\", buildStatus: [deleted]")).await, one(gone));
    assert_eq!(shown(format!("id: \"{there}\", buildStatus: [deleted]")).await, json!([]));
    for page in ["offset: 1", "limit: 0"] {
        assert_eq!(shown(format!("id: \"{there}\", {page}")).await, json!([]), "{page}");
    }
}
