//! Crates of programs that were built with cargo-auditable: a JSON document in the program (format of auditable-serde 0.8).

use image::Program;
use serde::Deserialize;

use super::{Named, Source, Teller, Telling};

pub(super) const TELLER: Teller = Teller { from: Source::Program(read), ecosystem: Ok("crates.io"), whole: true };

#[derive(Deserialize)]
struct Document {
    packages: Vec<Crate>,
}

#[derive(Deserialize)]
struct Crate {
    name: String,
    version: String,
    #[serde(default)]
    source: String,
    #[serde(default)]
    kind: Option<String>,
}

fn read(program: &Program) -> Telling {
    let Some(text) = &program.crates else {
        // Whatever else is wrong with the program is told once, by the teller for Go.
        return Telling::default();
    };
    let document: Document = match serde_json::from_str(text) {
        Ok(document) => document,
        Err(error) => return Telling::trouble(format!("has a list of crates that does not read: {error}")),
    };
    // Crates of the program's own makers are not those of the registry that have the same name. What only the build needed is not in it.
    let shipped = |one: &Crate| one.source == "crates.io" && one.kind.as_deref().is_none_or(|kind| kind == "runtime");
    let packages = document.packages.into_iter().filter(shipped).map(|one| Named::new(one.name, one.version)).collect();
    Telling { packages, ..Telling::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_registry_gave_and_the_program_has() {
        let text = r#"{"packages":[
            {"name":"own","version":"0.1.0","source":"local","dependencies":[1],"root":true},
            {"name":"smallvec","version":"0.6.0","source":"crates.io"},
            {"name":"cc","version":"1.0.0","source":"crates.io","kind":"build"},
            {"name":"forked","version":"1.0.0","source":"git"}]}"#;
        let program = |text: &str| Program { crates: Some(text.to_owned()), ..Program::default() };
        assert_eq!(read(&program(text)).packages, [Named::new("smallvec", "0.6.0")]);
        assert!(read(&program("{}")).trouble.unwrap().starts_with("has a list of crates that does not read"));
        assert!(read(&Program::default()).packages.is_empty());
    }
}
