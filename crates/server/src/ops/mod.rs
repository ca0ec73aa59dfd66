//! The only place where anything changes: one file per deed. GraphQL, console and jobs call these and nothing else.

pub mod apply_event;
pub mod create_engine;
pub mod first_start;
pub mod login;
pub mod record_verdict;
pub mod take_push;
