//! The validation tool for people: pasted, uploaded, chosen; nothing of it needs a login or a script.

use axum::{
    body::Body,
    http::{Request, header},
};

use super::world::{Answer, World};
use crate::tools::MAX_DOCUMENT;

const PAGE: &str = "/tools/validate";

/// A form with these parts: name, name of a file if it is one, content.
async fn send(world: &World, parts: &[(&str, Option<&str>, &str)]) -> Answer {
    let part = |(name, file, content): &(&str, Option<&str>, &str)| {
        let file = file.map(|file| format!("; filename=\"{file}\"")).unwrap_or_default();
        format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n{content}\r\n")
    };
    let body = parts.iter().map(part).collect::<String>() + "--b--\r\n";
    let request = Request::post(PAGE).header("sec-fetch-site", "same-origin");
    world.ask(request.header(header::CONTENT_TYPE, "multipart/form-data; boundary=b").body(Body::from(body)).unwrap()).await
}

fn pasted<'a>(contract: &'a str, document: &'a str) -> [(&'a str, Option<&'a str>, &'a str); 3] {
    [("contract", None, contract), ("document", None, document), ("file", Some(""), "")]
}

#[tokio::test]
async fn what_is_pasted_is_judged_and_stays_in_the_form() {
    let world = World::new().await;
    let page = world.get(PAGE, "").await;
    page.assert_has(&[
        "<h1>Validate a result</h1>",
        "enctype=\"multipart/form-data\"",
        "<option value=\"transcript\">",
        "for=\"document\"",
        "for=\"file\"",
    ]);
    assert_eq!((page.status.as_u16(), page.header("cache-control")), (200, "no-store"));
    assert!(page.header("content-security-policy").starts_with("default-src 'none'"));

    let right = "{\"validationContracts\": [\"language\"], \"language\": \"en\"}";
    let answer = send(&world, &pasted("", right)).await;
    answer.assert_has(&["The document keeps the contracts it names.", "&#34;language&#34;: &#34;en&#34;}</textarea>"]);
    assert!(!answer.body.contains("class=\"finding"), "{}", answer.body);

    let misspelt = "{\"validationContracts\": [\"keyword\"],\n \"object\": [{\"type\": \"keyword\", \"lable\": \"<b>\"}]}";
    let answer = send(&world, &pasted("keyword", misspelt)).await;
    answer.assert_has(&[
        "does not keep the contract keyword: 1 fault.",
        ".object[0] has lable where label should be",
        "document:2:13",
        "<code>label</code>",
        "Write &#34;label&#34; instead of &#34;lable&#34;.",
        "<option value=\"keyword\" selected>",
    ]);
    assert!(!answer.body.contains("<b>"), "what was sent is text and never HTML");
    send(&world, &pasted("", "{\"a\": 1,}")).await.assert_has(&["is not JSON", "line 1, column 8"]);
}

#[tokio::test]
async fn a_file_counts_more_and_bad_forms_are_told() {
    let world = World::new().await;
    let summary = "{\"validationContracts\": [\"summary\"], \"summary\": \"short\", \"language\": \"en_GB\"}";
    let parts = [("contract", None, ""), ("file", Some("my result.json"), summary), ("document", None, "{")];
    send(&world, &parts).await.assert_has(&["my result.json keeps the contracts it names, with 1 remark.", "en-GB"]);
    for (parts, status, says) in [
        (pasted("", " \n"), 400, "paste a result or choose a file"),
        (pasted("summaries", summary), 400, "choose one of the list"),
        (pasted("", &" ".repeat(MAX_DOCUMENT + 1)), 400, "paste a result"),
        (pasted("", &"1".repeat(MAX_DOCUMENT + 1)), 400, "larger than 1 MiB"),
        (pasted("", &"1".repeat(3 * MAX_DOCUMENT)), 413, "larger than 1 MiB"),
    ] {
        let answer = send(&world, &parts).await;
        answer.assert_has(&["role=\"alert\"", says, "<h1>Validate a result</h1>"]);
        assert_eq!(answer.status, status, "{says}");
    }
    let other = Request::post(PAGE)
        .header("sec-fetch-site", "same-origin")
        .header(header::CONTENT_TYPE, "text/plain")
        .body(Body::from("x"))
        .unwrap();
    let answer = world.ask(other).await;
    answer.assert_has(&["The form could not be read"]);
    assert_eq!(answer.status, 400);
    let foreign = Request::post(PAGE).header("sec-fetch-site", "cross-site").body(Body::empty()).unwrap();
    assert_eq!(world.ask(foreign).await.status, 403);
}
