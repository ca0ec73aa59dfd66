//! Pushes that became no build, with the reason.

use askama::Template;
use store::unclaimed_pushes::UnclaimedPush;

use super::{
    log::plain,
    paging::Paging,
    shell::Shell,
    words::{self, When},
};

struct Row {
    reference: String,
    digest: String,
    short: String,
    pushed_by: String,
    when: When,
    code: String,
    docs: Option<String>,
    reason: String,
    fix: String,
}

/// The list.
#[derive(Template)]
#[template(path = "unclaimed.html")]
pub struct UnclaimedPage {
    shell: Shell,
    rows: Vec<Row>,
    paging: Paging,
}

impl UnclaimedPage {
    /// One page of the list; `has_page` says whether a check has a page to read on.
    pub fn new(shell: Shell, pushes: Vec<UnclaimedPush>, paging: Paging, has_page: impl Fn(&str) -> bool, now: i64) -> Self {
        let row = |push: UnclaimedPush| Row {
            // A push by digest has no tag.
            reference: if push.tag.is_empty() { push.repository } else { format!("{}:{}", push.repository, push.tag) },
            short: push.digest.short().to_owned(),
            digest: push.digest.to_string(),
            pushed_by: push.pushed_by,
            when: When::new(push.created_at, now),
            docs: Some(model::finding::check_of(&push.code)).filter(|check| has_page(check)).map(|check| format!("/docs/checks/{check}")),
            code: push.code,
            reason: words::sentence(&plain(&push.reason)),
            fix: words::sentence(&plain(&push.fix)),
        };
        Self { shell, rows: pushes.into_iter().map(row).collect(), paging }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::views::{Account, Section};
    use model::{
        digest::Digest,
        id::{OrganizationId, UnclaimedPushId},
    };

    #[test]
    fn every_push_says_why_and_what_to_do() {
        let push = UnclaimedPush {
            id: UnclaimedPushId(uuid::Uuid::from_u128(1)),
            organization: OrganizationId(1),
            repository: "1/a".into(),
            tag: "rc1".into(),
            digest: Digest::of(b"a"),
            code: "manifest.missing".into(),
            reason: "The image has no <manifest>".into(),
            fix: "Copy it to /var/manifest.json".into(),
            pushed_by: "dev@example.org".into(),
            created_at: 0,
        };
        let shell = || Shell::new("Unclaimed pushes", Section::Unclaimed, Account::Known("dev@example.org".into()));
        let paging = || Paging::asked("/unclaimed", None);
        let untagged = UnclaimedPush { tag: String::new(), ..push.clone() };
        let html =
            UnclaimedPage::new(shell(), vec![push.clone(), untagged], paging(), |check| check == "manifest", 60_000).render().unwrap();
        for part in ["1/a:rc1", "ca978112ca1b", "no &#60;manifest&#62;", "Copy it to", "1 minute ago", "href=\"/docs/checks/manifest\""] {
            assert!(html.contains(part), "{part} is missing in {html}");
        }
        assert!(!html.contains("1/a:<"), "{html}");
        let unknown = UnclaimedPush { code: "engine.unknown".into(), ..push };
        let html = UnclaimedPage::new(shell(), vec![unknown], paging(), |_| false, 60_000).render().unwrap();
        assert!(html.contains("engine.unknown") && !html.contains("/docs/checks/engine"));
        assert!(UnclaimedPage::new(shell(), vec![], paging(), |_| true, 0).render().unwrap().contains("Every push became a build"));
    }
}
