//! What each page shows. A view is a plain struct made by a pure function from stored rows, a report and the time; its template only prints it.

mod act_page;
mod badge;
mod build_facts;
mod build_page;
mod check_docs;
mod engine_form;
mod engine_list;
mod engine_page;
mod failure;
mod finding;
mod log;
mod login;
mod network;
mod paging;
mod people_page;
mod query_page;
mod repositories;
mod review;
mod review_page;
mod shell;
mod tokens;
mod unclaimed;
mod validate_page;
mod verdict;
mod vulnerabilities;
mod waivers;
mod words;

pub use act_page::{ActPage, Live, Subject};
pub use build_page::{BuildInput, BuildPage, is_moving};
pub use check_docs::{CheckDocsIndex, CheckDocsPage};
pub use engine_form::{EngineForm, Entered};
pub use engine_list::{EngineInput, EngineList};
pub use engine_page::{EnginePage, Place};
pub use failure::{ComeBack, Failure};
pub use log::{LogLines, plain};
pub use login::LoginPage;
pub use paging::Paging;
pub use people_page::{AuditPage, JoinPage, PeoplePage};
pub use query_page::QueryPage;
pub use repositories::RepositoriesPage;
pub use review_page::ReviewPage;
pub use shell::{Account, Section, Shell};
pub use tokens::{Entry, Shown, TokensPage};
pub use unclaimed::UnclaimedPage;
pub use validate_page::{Typed, ValidatePage};
pub use vulnerabilities::{VulnerabilitiesInput, VulnerabilitiesPage};
pub use waivers::{Said, WaiversPage, rows as waiver_rows};

#[cfg(test)]
pub(crate) use build_page::tests as fixtures;
