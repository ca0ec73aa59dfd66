//! The pages of the checks. They are ours, but raw HTML in them is shown as text all the same: nothing in a page can become a script.

use askama::Template;
use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd, html};

use super::shell::Shell;

/// The list of checks.
#[derive(Template)]
#[template(path = "checks.html")]
pub struct CheckDocsIndex {
    /// What stands around it.
    pub shell: Shell,
    /// Id and title of each check.
    pub checks: Vec<(String, String)>,
}

/// The page of one check.
#[derive(Template)]
#[template(path = "check.html")]
pub struct CheckDocsPage {
    shell: Shell,
    html: String,
}

impl CheckDocsPage {
    /// Renders the Markdown text of a page.
    pub fn new(shell: Shell, markdown: &str) -> Self {
        Self { shell, html: render(markdown) }
    }
}

/// Markdown to HTML without raw HTML and without links that run code.
fn render(markdown: &str) -> String {
    let events = Parser::new_ext(markdown, Options::ENABLE_TABLES).filter_map(|event| match event {
        Event::Html(text) | Event::InlineHtml(text) => Some(Event::Text(text)),
        Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
            Some(Event::Start(Tag::Link { link_type, dest_url: safe(dest_url), title, id }))
        }
        // Pages have no pictures: one from elsewhere would tell a stranger who reads here.
        Event::Start(Tag::Image { .. }) | Event::End(TagEnd::Image) => None,
        other => Some(other),
    });
    let mut out = String::with_capacity(markdown.len() * 3 / 2);
    html::push_html(&mut out, events);
    out
}

fn safe(url: CowStr<'_>) -> CowStr<'_> {
    let is_local = url.starts_with('/') || url.starts_with('#') || !url.contains(':');
    if is_local || url.starts_with("https://") || url.starts_with("http://") { url } else { CowStr::Borrowed("#") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::views::{Account, Section};

    #[test]
    fn markdown_becomes_html_and_html_becomes_text() {
        let html = render("# Output\n\n`x < y` <script>alert(1)</script>\n\n<img src=x onerror=y>\n\n| a | b |\n|---|---|\n| 1 | 2 |\n");
        assert!(html.contains("<h1>Output</h1>") && html.contains("<code>x &lt; y</code>") && html.contains("<table>"), "{html}");
        assert!(!html.contains("<script") && !html.contains("<img"), "{html}");
    }

    #[test]
    fn links_cannot_run_code() {
        let html = render("[a](javascript:alert(1)) [b](/docs/checks/output) [c](https://example.org) ![d](https://example.org/x.png)");
        assert!(!html.contains("javascript") && !html.contains("x.png"), "{html}");
        assert!(html.contains("href=\"/docs/checks/output\"") && html.contains("href=\"https://example.org\""), "{html}");
    }

    #[test]
    fn the_page_has_the_text_and_the_list_links_to_it() {
        let shell = || Shell::new("output", Section::Checks, Account::Stranger);
        let page = CheckDocsPage::new(shell(), "# Results\n").render().unwrap();
        assert!(page.contains("<h1>Results</h1>") && page.contains("href=\"/login\""), "{page}");
        let list = CheckDocsIndex { shell: shell(), checks: vec![("output".into(), "Results keep their <contract>".into())] };
        let list = list.render().unwrap();
        assert!(list.contains("href=\"/docs/checks/output\"") && list.contains("&#60;contract&#62;"), "{list}");
    }
}
