//! The examination on this very host.

use sandbox::doctor::examine;

use crate::support::{Bench, helper};

#[test]
fn everything_required_holds_here() {
    let bench = Bench::new();
    let lines = examine(bench.path("scratch"), helper());
    for line in &lines {
        println!("{} {:<24} {:<44} {}", if line.ok { "ok  " } else { "FAIL" }, line.id, line.title, line.detail);
    }
    let failed: Vec<_> = lines.iter().filter(|line| line.required && !line.ok).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert!(lines.len() >= 13, "lines are missing: {lines:#?}");
}
