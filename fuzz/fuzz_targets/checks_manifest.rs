//! Any manifest file: judged without a panic, and every finding has its place, its form and its words.
#![no_main]

use checks::{Policy, Terms, contract::manifest};
use libfuzzer_sys::fuzz_target;
use model::{capability::Capability, engine::DeploymentModel};

fuzz_target!(|input: &[u8]| {
    let isolated = DeploymentModel::FullyNetworkIsolated;
    let adapter = Terms { capability: Some(Capability::Adapter), deployment_model: Some(isolated), ..Terms::default() };
    let usable = manifest::normalise(input).is_some();
    for terms in [Terms::default(), adapter] {
        let findings: Vec<_> = manifest::judge("var/manifest.json", input, &terms).into_iter().map(|draft| Policy::default().apply(draft)).collect();
        assert!(usable || findings.iter().any(|finding| finding.code == "manifest.json"));
        for finding in findings {
            assert!(finding.code.starts_with("manifest.") && !finding.why.is_empty() && !finding.fix.is_empty());
            assert!(["Need a valid ", "invalid ", "Unknown media format: "].iter().any(|form| finding.message.starts_with(form)));
        }
    }
});
