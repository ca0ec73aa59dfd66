//! Plain HTTP.

use std::time::Duration;

use reqwest::{
    blocking::{Client, Response},
    header::{COOKIE, LOCATION, SET_COOKIE},
    redirect,
};

/// A client that follows nothing by itself.
pub fn client() -> Client {
    Client::builder().no_proxy().redirect(redirect::Policy::none()).timeout(Duration::from_secs(60)).build().unwrap()
}

/// Somebody with a browser's cookie, without a browser.
pub struct Visitor {
    client: Client,
    base: String,
    cookie: String,
}

impl Visitor {
    /// Logs in at the console of the server at `address`.
    ///
    /// # Panics
    /// When it does not let us in.
    #[track_caller]
    pub fn login(address: &str, email: &str, password: &str) -> Self {
        let (client, base) = (client(), format!("http://{address}"));
        let form = [("email", email), ("password", password)].map(|(name, value)| format!("{name}={}", encoded(value))).join("&");
        let sent = client.post(format!("{base}/login")).header("content-type", "application/x-www-form-urlencoded").body(form).send();
        let answer = sent.unwrap();
        assert_eq!((answer.status().as_u16(), header(&answer, LOCATION.as_str())), (303, Some("/engines".into())));
        let cookie = header(&answer, SET_COOKIE.as_str()).unwrap();
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
        Self { client, base, cookie: cookie.split(';').next().unwrap().to_owned() }
    }

    /// Asks for a page.
    ///
    /// # Panics
    /// When there is no answer.
    pub fn get(&self, path: &str) -> Response {
        self.client.get(format!("{}{path}", self.base)).header(COOKIE, &self.cookie).header("accept", "text/html").send().unwrap()
    }

    /// Sends a form as a page of ours does.
    ///
    /// # Panics
    /// When there is no answer.
    pub fn post(&self, path: &str, form: &[(&str, &str)]) -> Response {
        let body = form.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect::<Vec<_>>().join("&");
        let request = self.client.post(format!("{}{path}", self.base)).header(COOKIE, &self.cookie).header("sec-fetch-site", "same-origin");
        request.header("content-type", "application/x-www-form-urlencoded").body(body).send().unwrap()
    }
}

/// The first value of a header.
pub fn header(answer: &Response, name: &str) -> Option<String> {
    answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
}

/// Percent-encodes all but letters, digits and a few signs.
pub fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
