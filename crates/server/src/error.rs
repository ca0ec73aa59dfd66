//! The one place that turns errors into what outsiders see. Details of our own faults go to the log under an id.

use axum::http::StatusCode;
use serde_json::{Value, json};

/// What an outsider is told. The names are those of the GraphQL contract §2.
#[derive(Debug, Clone, PartialEq)]
pub enum Problem {
    /// Missing, deleted or not visible to the caller.
    NotFound {
        /// Such as `Build`.
        object: &'static str,
        /// As the caller wrote it.
        id: String,
    },
    /// The login failed; says nothing about which half was wrong.
    LoginFailed,
    /// The right is missing.
    NotAllowed(String),
    /// Bad parameters or an action the state does not allow.
    InvalidInput {
        /// What, where, what to do.
        message: String,
        /// Machine-readable details.
        data: Value,
    },
    /// No token, or not a valid one.
    Unauthenticated,
    /// There is no room for more.
    Capacity(String),
    /// Something the origin of the contract has and we do not.
    NotImplemented(String),
    /// Too many attempts.
    RateLimited {
        /// Seconds to wait.
        retry_after: u64,
    },
    /// Our fault; the log has the rest under this id.
    Internal {
        /// Id in the log.
        error_id: String,
    },
}

impl Problem {
    /// Bad input without further data.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::InvalidInput { message: message.into(), data: json!({}) }
    }

    /// Logs a fault of ours and hides it behind an id.
    pub fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        let error_id = crate::clock::new_id().to_string();
        tracing::error!(error_id, error = chain(error), "internal error");
        Self::Internal { error_id }
    }

    /// The word of the contract.
    pub fn name(&self) -> &'static str {
        match self {
            Self::NotFound { .. } | Self::LoginFailed => "not_found",
            Self::NotAllowed(_) => "not_allowed",
            Self::InvalidInput { .. } => "invalid_input",
            Self::Unauthenticated => "authentication_error",
            Self::Capacity(_) => "capacity_exceeded",
            Self::NotImplemented(_) => "not_implemented",
            Self::RateLimited { .. } => "rate_limited",
            Self::Internal { .. } => "internal_error",
        }
    }

    /// The sentence for people.
    pub fn message(&self) -> String {
        match self {
            Self::NotFound { .. } => "The requested object was not found".into(),
            Self::LoginFailed => "The user name or the password is wrong; check both and try again".into(),
            Self::NotAllowed(why) | Self::Capacity(why) | Self::NotImplemented(why) => why.clone(),
            Self::InvalidInput { message, .. } => message.clone(),
            Self::Unauthenticated => "Log in first: send the token of userLogin as \"Authorization: Bearer TOKEN\"".into(),
            Self::RateLimited { retry_after } => format!("Too many attempts; try again in {retry_after} s"),
            Self::Internal { error_id } => format!("Something went wrong on our side; the operator finds it in the log under {error_id}"),
        }
    }

    /// Machine-readable details.
    pub fn data(&self) -> Value {
        match self {
            // What somebody wrote goes back to them, but not all of it.
            Self::NotFound { object, id } => json!({"objectType": object, "objectId": id.chars().take(80).collect::<String>()}),
            Self::InvalidInput { data, .. } => data.clone(),
            Self::RateLimited { retry_after } => json!({"retryAfter": retry_after}),
            Self::Internal { error_id } => json!({"errorId": error_id}),
            Self::LoginFailed | Self::NotAllowed(_) | Self::Capacity(_) | Self::NotImplemented(_) | Self::Unauthenticated => json!({}),
        }
    }

    /// The status of a plain HTTP answer.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NotFound { .. } => StatusCode::NOT_FOUND,
            Self::LoginFailed | Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::NotAllowed(_) => StatusCode::FORBIDDEN,
            Self::InvalidInput { .. } => StatusCode::BAD_REQUEST,
            Self::Capacity(_) => StatusCode::INSUFFICIENT_STORAGE,
            Self::NotImplemented(_) => StatusCode::NOT_IMPLEMENTED,
            Self::RateLimited { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// An error and all its sources in one line.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}

impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Self {
        Self::internal(&error)
    }
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        Self::internal(&error)
    }
}

impl axum::response::IntoResponse for Problem {
    fn into_response(self) -> axum::response::Response {
        let body = json!({"errors": [{
            "message": self.message(),
            "name": self.name(),
            "time_thrown": crate::clock::iso(crate::clock::now_ms()),
            "data": self.data(),
            "path": [],
            "locations": [],
        }]});
        let mut response = (self.status(), axum::Json(body)).into_response();
        if let Self::RateLimited { retry_after } = self {
            response.headers_mut().insert("retry-after", retry_after.into());
        }
        response
    }
}
