//! A request as the handlers see it: its headers and query, who sent it, and how to ask for better credentials.

use axum::http::{HeaderMap, HeaderName, StatusCode, Uri, header};
use model::name::RepoName;
use serde_json::{Value, json};

use crate::{
    access::{Access, Caller, Forbidden},
    options::Challenge,
    paging::{self, Page},
    refusal::{Code, Refusal, shortened},
    route,
    scope::{Action, Actions, Scope},
};

/// The head of a request.
pub(crate) struct Asking<'r> {
    pub caller: Option<&'r Caller>,
    pub headers: &'r HeaderMap,
    pub uri: &'r Uri,
    pub challenge: &'r Challenge,
}

impl<'r> Asking<'r> {
    /// A header, when it is text.
    pub(crate) fn header(&self, name: &HeaderName) -> Option<&'r str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// A value of the query string, decoded.
    pub(crate) fn query(&self, key: &str) -> Option<String> {
        route::query_value(self.uri.query(), key)
    }

    /// All values of a key of the query string, decoded.
    pub(crate) fn queries(&self, key: &'r str) -> impl Iterator<Item = String> + 'r {
        route::query_values(self.uri.query(), key)
    }

    /// Which part of a list is wanted.
    pub(crate) fn paging(&self, most: u32) -> Result<Page, Refusal> {
        paging::read(self.uri.query(), most)
            .map_err(|error| Refusal::bad(Code::Unsupported, error.to_string(), json!({ "n": shortened(&error.n) })))
    }

    /// The size the client promised, if it did.
    pub(crate) fn content_length(&self) -> Option<u64> {
        self.header(&header::CONTENT_LENGTH).and_then(|text| text.parse().ok())
    }

    /// Whoever has shown good credentials.
    pub(crate) fn known(&self, wanted: Option<Scope>) -> Result<&'r Access, Refusal> {
        match self.caller {
            Some(Caller::Known(access)) => Ok(access),
            Some(Caller::Refused(sentence)) => Err(self.unauthorized(sentence, wanted.as_ref(), Some("invalid_token"))),
            Some(Caller::Anonymous | Caller::Guest(_)) | None => Err(self.unauthorized(&self.log_in(), wanted.as_ref(), None)),
        }
    }

    fn log_in(&self) -> String {
        format!("log in first: docker login {}", self.host().unwrap_or("with the address of this registry"))
    }

    /// The whole address of one of our pages.
    pub(crate) fn page(&self, path: &str) -> Option<String> {
        self.token_url()?.strip_suffix("/v2/token").map(|base| format!("{base}{path}"))
    }

    /// Whoever may do `action` to the repository.
    pub(crate) fn permitted(&self, repository: &RepoName, action: Action) -> Result<&'r Access, Refusal> {
        let actions = match action {
            Action::Pull => Actions::of(&[Action::Pull]),
            Action::Push => Actions::of(&[Action::Pull, Action::Push]),
            Action::Delete => Actions::of(&[Action::Delete]),
        };
        let scope = Scope::repository(repository.as_str(), actions);
        let access = match self.caller {
            Some(Caller::Guest(access)) => access,
            _ => self.known(Some(scope.clone()))?,
        };
        match access.may(repository, action) {
            // A guest may become somebody.
            Err(Forbidden::Denied(_)) if matches!(self.caller, Some(Caller::Guest(_))) => {
                Err(self.unauthorized(&self.log_in(), Some(&scope), None))
            }
            Ok(()) => Ok(access),
            Err(Forbidden::Denied(sentence)) => {
                let detail = json!({ "repository": repository.as_str(), "action": action.as_str() });
                Err(Refusal::new(StatusCode::FORBIDDEN, Code::Denied, sentence, detail))
            }
            Err(Forbidden::Scope) => {
                let sentence =
                    format!("this token was not issued to {} in {repository}; fetch one with the scope {scope}", action.as_str());
                Err(self.unauthorized(&sentence, Some(&scope), Some("insufficient_scope")))
            }
        }
    }

    /// Whoever may list repositories.
    pub(crate) fn listing(&self) -> Result<&'r Access, Refusal> {
        let scope = Scope::catalog();
        let access = self.known(Some(scope.clone()))?;
        match access.may_list() {
            Ok(()) => Ok(access),
            Err(Forbidden::Denied(sentence)) => Err(Refusal::new(StatusCode::FORBIDDEN, Code::Denied, sentence, Value::Null)),
            Err(Forbidden::Scope) => {
                let sentence = format!("this token was not issued to list repositories; fetch one with the scope {scope}");
                Err(self.unauthorized(&sentence, Some(&scope), Some("insufficient_scope")))
            }
        }
    }

    fn unauthorized(&self, sentence: &str, wanted: Option<&Scope>, error: Option<&str>) -> Refusal {
        let detail = wanted.map_or(Value::Null, |scope| json!({ "scope": scope.to_string() }));
        let mut refusal = Refusal::new(StatusCode::UNAUTHORIZED, Code::Unauthorized, sentence, detail);
        if let Some(realm) = self.token_url() {
            let mut bearer = format!("Bearer realm=\"{realm}\",service=\"{}\"", self.challenge.service);
            if let Some(scope) = wanted {
                bearer.push_str(&format!(",scope=\"{scope}\""));
            }
            if let Some(error) = error {
                bearer.push_str(&format!(",error=\"{error}\""));
            }
            refusal = refusal.header(header::WWW_AUTHENTICATE, &bearer);
        }
        if self.challenge.basic {
            refusal = refusal.header(header::WWW_AUTHENTICATE, &format!("Basic realm=\"{}\"", self.challenge.service));
        }
        refusal
    }

    /// Where tokens are issued: as configured, else beside this very address.
    fn token_url(&self) -> Option<String> {
        match &self.challenge.token_url {
            Some(url) => Some(url.clone()),
            None => self.host().map(|host| format!("http://{host}/v2/token")),
        }
    }

    /// The host the client used, when it is nothing but a host and a port.
    fn host(&self) -> Option<&'r str> {
        let host = self.header(&header::HOST).or_else(|| self.uri.authority().map(|authority| authority.as_str()))?;
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b':' | b'-' | b'_' | b'[' | b']');
        (!host.is_empty() && host.bytes().all(plain)).then_some(host)
    }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;

    use super::*;

    fn challenges(asked: &Asking<'_>, scope: Option<Scope>) -> Vec<String> {
        let refusal = asked.known(scope).unwrap_err();
        let response = refusal.into_response();
        response.headers().get_all(header::WWW_AUTHENTICATE).iter().map(|value| value.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn a_challenge_names_both_ways() {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, "127.0.0.1:8080".parse().unwrap());
        let (uri, mut challenge) = (Uri::from_static("/v2/"), Challenge::default());
        let asked = Asking { caller: None, headers: &headers, uri: &uri, challenge: &challenge };
        assert_eq!(
            challenges(&asked, Some("repository:1/a:pull,push".parse().unwrap())),
            [
                "Bearer realm=\"http://127.0.0.1:8080/v2/token\",service=\"plimsoll\",scope=\"repository:1/a:pull,push\"",
                "Basic realm=\"plimsoll\""
            ]
        );
        challenge.basic = false;
        challenge.token_url = Some("https://gate.example.com/v2/token".into());
        let asked = Asking { caller: Some(&Caller::Refused("expired".into())), headers: &headers, uri: &uri, challenge: &challenge };
        assert_eq!(
            challenges(&asked, None),
            ["Bearer realm=\"https://gate.example.com/v2/token\",service=\"plimsoll\",error=\"invalid_token\""]
        );
    }

    #[test]
    fn pages_are_where_tokens_are() {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, "127.0.0.1:8080".parse().unwrap());
        let (uri, mut challenge) = (Uri::from_static("/v2/"), Challenge::default());
        let page = |challenge: &Challenge| Asking { caller: None, headers: &headers, uri: &uri, challenge }.page("/builds/1");
        assert_eq!(page(&challenge).as_deref(), Some("http://127.0.0.1:8080/builds/1"));
        challenge.token_url = Some("https://gate.example.com/v2/token".into());
        assert_eq!(page(&challenge).as_deref(), Some("https://gate.example.com/builds/1"));
        challenge.token_url = Some("https://elsewhere.example.com/auth".into());
        assert_eq!(page(&challenge), None);
    }

    #[test]
    fn a_host_that_would_break_the_header_is_not_echoed() {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, "a\",x=\"b".parse().unwrap());
        let (uri, challenge) = (Uri::from_static("/v2/"), Challenge::default());
        let asked = Asking { caller: None, headers: &headers, uri: &uri, challenge: &challenge };
        assert_eq!(challenges(&asked, None), ["Basic realm=\"plimsoll\""]);
    }
}
