//! Query strings: `n` and `last` of lists, `artifactType`, `tag`, `digest`. Never panics, a page is never larger than allowed, and the link
//! to the next page is read as it was meant.

use registry::{paging, route};

/// Most entries of a page.
const MOST: u32 = 1000;

/// One input.
pub fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    for key in ["tag", "digest", "artifactType"] {
        let values: Vec<String> = route::query_values(Some(text), key).collect();
        assert!(values.len() <= text.len() + 1);
        assert_eq!(route::query_value(Some(text), key), values.first().cloned());
    }
    let Ok(page) = paging::read(Some(text), MOST) else { return };
    assert!(page.limit <= MOST);
    let last = page.last.clone().unwrap_or_default();
    let filter = route::query_value(Some(text), "artifactType").unwrap_or_default();
    let link = page.link("/v2/1/a/referrers/x", &last, &[("artifactType", &filter)]);
    assert!(link.is_ascii() && !link.contains(['\r', '\n']), "a header can carry it");
    let query = link.split_once('?').and_then(|(_, rest)| rest.strip_suffix(">; rel=\"next\""));
    let next = paging::read(query, MOST).unwrap();
    assert_eq!((next.limit, next.last), (page.limit, Some(last)));
    assert_eq!(route::query_value(query, "artifactType"), Some(filter));
}
