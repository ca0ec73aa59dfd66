//! The only place where anything changes: one file per deed. GraphQL, console and jobs call these and nothing else.

pub mod apply_event;
pub mod attach_sbom;
pub mod collect_garbage;
pub mod create_api_token;
pub mod create_engine;
pub mod create_robot_token;
pub mod create_waiver;
pub mod first_start;
pub mod import_vex;
pub mod issue_refresh_token;
pub mod keep_inventory;
pub mod login;
pub mod record_verdict;
pub mod rematch_builds;
pub mod revoke_token;
pub mod revoke_waiver;
pub mod set_engine_file;
pub mod set_quota;
pub mod set_repository_public;
pub mod take_push;
