//! The way in.

use askama::Template;

use super::shell::{Account, Section, Shell};

/// The login form.
#[derive(Template)]
#[template(path = "login.html")]
pub struct LoginPage {
    shell: Shell,
    email: String,
    next: String,
    problem: Option<String>,
}

impl LoginPage {
    /// The form, with what was typed before and what was wrong with it. `next` is where to go afterwards, known to be local.
    pub fn new(email: &str, next: &str, problem: Option<String>) -> Self {
        // Nobody's e-mail is longer, and the page must not grow with what a stranger sends.
        let email = email.chars().take(320).collect();
        Self { shell: Shell::new("Log in", Section::Elsewhere, Account::Stranger), email, next: next.to_owned(), problem }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_comes_back_escaped_and_the_password_never() {
        let page = LoginPage::new("\"><script>x", "/builds/1", Some("wrong & bad".into())).render().unwrap();
        assert!(!page.contains("<script>x"), "{page}");
        assert!(page.contains("wrong &#38; bad") && page.contains("role=\"alert\""), "{page}");
        assert!(page.contains("name=\"next\" value=\"/builds/1\""));
        assert_eq!(page.matches("type=\"password\"").count(), 1);
    }
}
