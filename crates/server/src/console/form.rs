//! What the forms of all pages share.

use axum::{
    Form,
    extract::{FromRequest, Request},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::de::DeserializeOwned;

use super::page::PageError;
use crate::{clock, error::Problem};

const DAY_MS: i64 = 24 * 3_600_000;

/// The fields of a form.
pub struct Sent<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Sent<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        match Form::from_request(request, state).await {
            Ok(Form(fields)) => Ok(Self(fields)),
            Err(_) => {
                let why = "The form could not be read; open the page again and keep it below 1 MB.";
                Err(PageError(Problem::invalid(why)).into_response())
            }
        }
    }
}

/// What whoever sent a form can mend on its page: that is shown again, with this. Everything else has a page of its own.
///
/// # Errors
/// The problem, if it is none of those.
pub fn mendable(problem: Problem) -> Result<(StatusCode, String), PageError> {
    match problem {
        Problem::InvalidInput { .. } | Problem::NotAllowed(_) => Ok((problem.status(), problem.message())),
        other => Err(other.into()),
    }
}

/// The moment so many days from now, as chosen in a form; `None` for what no form offers.
pub fn end(days: &str) -> Option<i64> {
    let days = days.parse::<i64>().ok().filter(|days| (1..=365).contains(days))?;
    Some(clock::now_ms() + days * DAY_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_days_that_a_form_offers_are_taken() {
        assert!(end("1").is_some() && end("365").is_some());
        for odd in ["", "0", "366", "-1", "1.5", "9223372036854775807", "soon"] {
            assert_eq!(end(odd), None, "{odd}");
        }
    }

    #[test]
    fn what_can_be_mended_comes_back_with_its_page() {
        assert!(matches!(mendable(Problem::invalid("no")), Ok((StatusCode::BAD_REQUEST, text)) if text == "no"));
        assert!(matches!(mendable(Problem::NotAllowed("no".into())), Ok((StatusCode::FORBIDDEN, _))));
        assert!(mendable(Problem::Unauthenticated).is_err());
    }
}
