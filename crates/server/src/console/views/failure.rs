//! Pages for what did not work: what happened, and the way on.

use askama::Template;

use super::shell::{Account, Section, Shell};

/// An error page.
#[derive(Template)]
#[template(path = "failure.html")]
pub struct Failure {
    shell: Shell,
    code: u16,
    heading: &'static str,
    message: String,
    error_id: Option<String>,
}

impl Failure {
    /// The page for an HTTP status; `message` says what and what to do, `error_id` finds it in the log.
    pub fn new(code: u16, message: String, error_id: Option<String>) -> Self {
        let heading = match code {
            400 | 413 | 415 | 422 => "That input cannot be used",
            403 => "You may not do that here",
            404 => "There is nothing here",
            405 => "That is not how this page is used",
            429 => "Too many attempts",
            _ => "Something went wrong on our side",
        };
        Self { shell: Shell::new(heading, Section::Elsewhere, Account::Unasked), code, heading, message, error_id }
    }
}

/// A page that only asks for itself again. A link on another site brings no cookie along, because the cookie is strict; the second
/// request comes from ourselves and does.
#[derive(Template)]
#[template(path = "come_back.html")]
pub struct ComeBack {
    /// Path and query, known to be local.
    pub to: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_faults_show_their_id_and_every_page_a_way_on() {
        let page = Failure::new(500, "Sorry.".into(), Some("abc-1".into())).render().unwrap();
        assert!(page.contains("abc-1") && page.contains("Something went wrong on our side"));
        let page = Failure::new(404, "<b>".into(), None).render().unwrap();
        assert!(page.contains("href=\"/engines\"") && page.contains("&#60;b&#62;"), "{page}");
    }

    #[test]
    fn coming_back_cannot_break_out_of_its_attribute() {
        let page = ComeBack { to: "/a?b=\"><script>".into() }.render().unwrap();
        assert!(!page.contains("<script>"), "{page}");
    }
}
