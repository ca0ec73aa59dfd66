//! `entrypoint`: the image says what to start, in a form that lets the engine get its signals (engine contract §1.6).

use image::ImageConfig;
use model::finding::{Finding, Severity};

use super::without_image;
use crate::{
    evidence::Evidence,
    judge::{Check, Draft, Judge, Judgement, Needs},
    wording::{clip, quoted},
};

pub(super) const CHECK: Check = Check {
    id: "entrypoint",
    title: "The image says what to start",
    help: include_str!("../../../../docs/checks/entrypoint.md"),
    needs: Needs::Static,
    judge: Judge::Evidence(judge),
};

/// Where the toolkit driver lies in an image.
const DRIVERS: [&str; 2] = ["/opt/aiware/engine", "/app/engine"];

const PLACE: &str = "image config, Entrypoint and Cmd";

fn judge(evidence: &Evidence) -> Judgement {
    let Some(facts) = evidence.facts() else { return without_image(evidence) };
    let config = &facts.config;
    let mut drafts: Vec<Draft> = Vec::new();
    drafts.extend(nothing(config).or_else(|| shell(config)).or_else(|| command_only(config)).map(Draft::from));
    drafts.extend(test_mode(config).map(|finding| Draft::strictly(finding, Severity::Error)));
    Judgement::Judged(drafts)
}

/// Nothing to start, or only the driver.
fn nothing(config: &ImageConfig) -> Option<Finding> {
    let args = config.args();
    let finding = match args.as_slice() {
        [first, ..] if first.is_empty() => missing(),
        [] => missing(),
        [driver] if DRIVERS.contains(&driver.as_str()) => Finding::new(
            "entrypoint.driver",
            Severity::Error,
            format!("ENTRYPOINT starts {driver} and names no engine for it"),
            "The driver starts the program that follows it; without one it does nothing.",
            format!("Name your program behind it: ENTRYPOINT [\"{driver}\", \"python3\", \"/app/engine.py\"]."),
        )
        .message(format!("invalid ENTRYPOINT: {driver} without a program to start")),
        _ => return None,
    };
    Some(finding.at(PLACE))
}

fn missing() -> Finding {
    let finding = Finding::new(
        "entrypoint.missing",
        Severity::Error,
        "The image has neither ENTRYPOINT nor CMD",
        "The image itself has to say what starts the engine; nobody types a command at the gate.",
        "Add it to the Dockerfile: ENTRYPOINT [\"python3\", \"/app/engine.py\"].",
    );
    finding.message("Need a valid ENTRYPOINT")
}

fn shell(config: &ImageConfig) -> Option<Finding> {
    let line = config.shell_form()?;
    let word = if config.entrypoint.is_some() { "ENTRYPOINT" } else { "CMD" };
    let shown = clip(line, 40);
    let finding = Finding::new(
        "entrypoint.shell",
        Severity::Warning,
        format!("{word} is in shell form: {shown}"),
        "In shell form a shell is the first process: the engine does not get the signal to stop and is killed in the middle of its work.",
        exec_form(line),
    );
    Some(finding.message(format!("invalid {word}: shell form")).at(PLACE).quote(format!("{word} {}", clip(line, 200))))
}

/// The same command in exec form, where it needs no shell.
fn exec_form(line: &str) -> String {
    let simple = !line.contains(['$', '&', '|', ';', '<', '>', '`', '"', '\'', '*', '(', '\\', '\n']) && line.len() < 200;
    if !simple {
        return "Put the line into a script that ends with exec PROGRAM, and start that: ENTRYPOINT [\"/app/start.sh\"].".to_owned();
    }
    let words: Vec<String> = line.strip_prefix("exec ").unwrap_or(line).split_whitespace().map(|word| quoted(word, 100)).collect();
    format!("Write it in exec form: ENTRYPOINT [{}].", words.join(", "))
}

fn command_only(config: &ImageConfig) -> Option<Finding> {
    let words = config.cmd.as_ref().filter(|_| config.entrypoint.is_none())?;
    let shown: Vec<String> = words.iter().take(10).map(|word| quoted(word, 60)).collect();
    let finding = Finding::new(
        "entrypoint.cmd",
        Severity::Warning,
        "The image has a CMD but no ENTRYPOINT",
        "CMD is meant for arguments that may be replaced: whoever runs the image with arguments would not start the engine at all.",
        format!("Write it as: ENTRYPOINT [{}].", shown.join(", ")),
    );
    Some(finding.message("invalid ENTRYPOINT: only CMD is set").at(PLACE).quote(format!("CMD [{}]", shown.join(", "))))
}

/// The driver's test mode must not be baked into an image (engine contract §1.1).
fn test_mode(config: &ImageConfig) -> Option<Finding> {
    let name = "VERITONE_TESTMODE";
    config.env_value(name).filter(|value| value.trim().eq_ignore_ascii_case("true"))?;
    let finding = Finding::new(
        "entrypoint.test_mode",
        Severity::Warning,
        format!("The image sets {name}=true"),
        "In test mode the driver serves a console and takes no work: deployed like this, the engine would wait for ever.",
        format!("Remove ENV {name} from the Dockerfile; set it by hand when you need it: docker run -e {name}=true."),
    );
    Some(finding.message(format!("invalid {name}: test mode is on")).at("image config, Env"))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{checks::fixtures::Fixture, evidence::tests::webhook};

    pub(crate) fn fixtures() -> Vec<Fixture> {
        vec![
            Fixture::pass("exec form", webhook()),
            Fixture::fail("nothing at all", webhook().entrypoint(&[]), "entrypoint.missing"),
            Fixture::fail("an empty word", webhook().entrypoint(&[""]), "entrypoint.missing"),
            Fixture::fail("the driver alone", webhook().entrypoint(&["/opt/aiware/engine"]), "entrypoint.driver"),
            Fixture::pass("the driver with its engine in CMD", webhook().entrypoint(&["/opt/aiware/engine"]).cmd(&["python3", "a.py"])),
            Fixture::warn("shell form", webhook().entrypoint(&["/bin/sh", "-c", "python3 /app/a.py --port 80"]), "entrypoint.shell"),
            Fixture::warn("shell form with a variable", webhook().entrypoint(&["/bin/sh", "-c", "python3 $APP"]), "entrypoint.shell"),
            Fixture::warn("CMD only", webhook().entrypoint(&[]).cmd(&["/engine", "--fast"]), "entrypoint.cmd"),
            Fixture::warn("CMD in shell form", webhook().entrypoint(&[]).cmd(&["/bin/sh", "-c", "/engine"]), "entrypoint.shell"),
            Fixture::warn("test mode", webhook().env("VERITONE_TESTMODE", "true"), "entrypoint.test_mode"),
            Fixture::skip("no image", webhook().not_an_image(), "see check image"),
            Fixture::could_not("an unreadable image", webhook().unread(), None),
        ]
    }

    #[test]
    fn the_exec_form_to_write_is_shown_where_it_is_plain() {
        assert_eq!(exec_form("exec python3 a.py  -x"), "Write it in exec form: ENTRYPOINT [\"python3\", \"a.py\", \"-x\"].");
        assert!(exec_form("cd /app && ./run").starts_with("Put the line into a script"));
    }
}
