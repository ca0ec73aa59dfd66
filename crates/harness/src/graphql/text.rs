//! Reads the text of a query. The text comes from an engine; the parser and everything behind it recurse into what it nests, and walk
//! a fragment as often as it is spread. What could exhaust the stack or multiply is refused before they see it.

use async_graphql::{
    ServerError,
    parser::{
        parse_query,
        types::{BaseType, DocumentOperations, ExecutableDocument, OperationDefinition, Type},
    },
};

/// Deepest nesting of braces, brackets and parentheses.
const MAX_NESTING: usize = 64;
/// Most `...` in one text: with fragments that spread fragments, the work grows as a power of their number.
const MAX_SPREADS: usize = 32;

/// Why a text is no query.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// There is no text.
    #[error("the request has no `query`: send the text of one")]
    Empty,
    /// Too deep.
    #[error("the query nests more than {MAX_NESTING} levels at line {line}; pass large values in `variables`")]
    Nesting {
        /// Line, from 1.
        line: usize,
    },
    /// Too many fragment spreads.
    #[error("the query spreads more than {MAX_SPREADS} fragments; write the fields out")]
    Spreads,
    /// Not GraphQL.
    #[error("the query is not valid GraphQL: {message} (line {line}, column {column})")]
    Syntax {
        /// The parser's words, first line.
        message: String,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
}

/// Reads a query. Variables declared as `JSON`, the older name, become `JSONData`.
pub fn parse(text: &str) -> Result<ExecutableDocument, QueryError> {
    if text.trim().is_empty() {
        return Err(QueryError::Empty);
    }
    check(text)?;
    let mut document = parse_query(text).map_err(|error| syntax(&ServerError::from(error)))?;
    match &mut document.operations {
        DocumentOperations::Single(operation) => rename_json(&mut operation.node),
        DocumentOperations::Multiple(operations) => operations.values_mut().for_each(|operation| rename_json(&mut operation.node)),
    }
    Ok(document)
}

fn syntax(error: &ServerError) -> QueryError {
    let (line, column) = error.locations.first().map_or((1, 1), |at| (at.line, at.column));
    let words: Vec<&str> = error.message.lines().map(str::trim).filter(|line| line.starts_with('=') || !line.contains('|')).collect();
    let message = words.last().map_or("unexpected text", |line| line.trim_start_matches(['=', ' ']));
    QueryError::Syntax { message: message.chars().take(200).collect(), line, column }
}

fn rename_json(operation: &mut OperationDefinition) {
    for variable in &mut operation.variable_definitions {
        rename(&mut variable.node.var_type.node);
    }
}

fn rename(kind: &mut Type) {
    match &mut kind.base {
        BaseType::Named(name) if name == "JSON" => *name = async_graphql::Name::new("JSONData"),
        BaseType::Named(_) => {}
        BaseType::List(inner) => rename(inner),
    }
}

/// Refuses what nests too deep or spreads too much; strings and comments do not count.
fn check(text: &str) -> Result<(), QueryError> {
    let (mut depth, mut spreads, mut line) = (0usize, 0usize, 1usize);
    let mut rest = text.as_bytes();
    while let Some(&byte) = rest.first() {
        let used = match byte {
            b'"' => string_length(rest),
            b'#' => rest.iter().position(|&b| b == b'\n' || b == b'\r').unwrap_or(rest.len()),
            b'.' if rest.starts_with(b"...") => {
                spreads += 1;
                3
            }
            _ => 1,
        };
        match byte {
            b'{' | b'[' | b'(' => depth += 1,
            b'}' | b']' | b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_NESTING {
            return Err(QueryError::Nesting { line });
        }
        if spreads > MAX_SPREADS {
            return Err(QueryError::Spreads);
        }
        let (passed, ahead) = rest.split_at(used.clamp(1, rest.len()));
        line += passed.iter().filter(|&&b| b == b'\n').count();
        rest = ahead;
    }
    Ok(())
}

/// Length of the string that begins here, with its quotes; an open one reaches to its line's end, an open block to the text's.
fn string_length(text: &[u8]) -> usize {
    if text.starts_with(b"\"\"\"") {
        let mut at = 3;
        while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
            if rest.starts_with(b"\\\"\"\"") {
                at += 4;
            } else if rest.starts_with(b"\"\"\"") {
                return at + 3;
            } else {
                at += 1;
            }
        }
        return text.len();
    }
    let mut at = 1;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at + 1,
            b'\n' | b'\r' => return at,
            _ => at += 1,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_queries_are_read() {
        assert!(parse("{ me { id } }").is_ok());
        assert!(parse("mutation($o: JSON!, $l: [JSON!]) { updateTask(input: {id: 1, output: $o}) { id } }").is_ok());
        assert!(parse("query A { me { id } } query B { me { id } }").is_ok());
    }

    #[test]
    fn json_variables_get_the_name_the_schema_has() {
        let document = parse("query($a: JSON, $b: [JSON!]!, $c: String) { me { id } }").unwrap();
        let DocumentOperations::Single(operation) = document.operations else { panic!("one operation") };
        let types: Vec<String> = operation.node.variable_definitions.iter().map(|v| v.node.var_type.node.to_string()).collect();
        assert_eq!(types, ["JSONData", "[JSONData!]!", "String"]);
    }

    #[test]
    fn nesting_is_refused_before_the_parser_sees_it() {
        let deep = format!("{{ a(x: {}1{}) }}", "[".repeat(2_000_000), "]".repeat(2_000_000));
        assert_eq!(parse(&deep).unwrap_err(), QueryError::Nesting { line: 1 });
        assert_eq!(parse(&format!("\n\n{}", "{a".repeat(100))).unwrap_err(), QueryError::Nesting { line: 3 });
        let just = format!("{{ a(x: {}1{}) }}", "[".repeat(MAX_NESTING - 2), "]".repeat(MAX_NESTING - 2));
        assert!(parse(&just).is_ok());
    }

    #[test]
    fn brackets_and_dots_in_strings_and_comments_do_not_count() {
        let brackets = "[{(".repeat(100);
        assert!(
            parse(&format!("# {brackets} ...\n{{ a(x: \"{brackets} \\\" ...\", y: \"\"\"{brackets} \\\"\"\" \" ...\"\"\") }}")).is_ok()
        );
    }

    #[test]
    fn fragment_bombs_are_refused() {
        let bomb: String = (0..40).map(|n| format!("fragment f{n} on Query {{ ...f{} ...f{} }} ", n + 1, n + 1)).collect();
        assert_eq!(parse(&format!("{{ ...f0 }} {bomb}")).unwrap_err(), QueryError::Spreads);
    }

    #[test]
    fn what_is_no_query_says_where() {
        assert_eq!(parse("  ").unwrap_err(), QueryError::Empty);
        assert!(matches!(parse("{ me { id }").unwrap_err(), QueryError::Syntax { line: 1, .. }));
        assert!(matches!(parse("query {\n  me(").unwrap_err(), QueryError::Syntax { line: 2, .. }));
    }
}
