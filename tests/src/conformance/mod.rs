//! A conformance suite of the distribution standard, 1.1 and what its development version adds: every way to push, find, pull and delete
//! times every kind of content. It speaks to a registry as a client with credentials does, and counts.

mod blobs;
mod client;
mod content;
mod data;
mod discovery;
mod faults;
mod report;

pub use client::Client;
pub use report::Report;

/// What a case found wrong.
pub(crate) type Checked = Result<(), String>;

/// Runs all of it against two repositories, which must be empty.
pub fn run(client: &Client, repository: &str, other: &str) -> Report {
    let mut report = Report::default();
    faults::run(client, &mut report, repository);
    blobs::run(client, &mut report, repository, other);
    for set in data::sets() {
        content::run(client, &mut report, repository, &set);
    }
    discovery::run(client, &mut report, repository);
    report
}
