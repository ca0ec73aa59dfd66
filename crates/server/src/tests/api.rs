//! The schema as a client sees it, and queries made of it: so a new field is in every test that goes through all of them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::world::World;

/// A type of the schema, with what is around it.
#[derive(Clone, Debug)]
pub enum Ty {
    Named(String),
    List(Box<Ty>),
    Required(Box<Ty>),
}

impl Ty {
    fn read(value: &Value) -> Self {
        let inner = || Box::new(Self::read(&value["ofType"]));
        match value["kind"].as_str().unwrap() {
            "NON_NULL" => Self::Required(inner()),
            "LIST" => Self::List(inner()),
            _ => Self::Named(value["name"].as_str().unwrap().to_owned()),
        }
    }

    /// The name within.
    pub fn name(&self) -> &str {
        match self {
            Self::Named(name) => name,
            Self::List(inner) | Self::Required(inner) => inner.name(),
        }
    }
}

/// An argument, or a member of an input.
#[derive(Clone, Debug)]
pub struct Arg {
    pub name: String,
    pub ty: Ty,
    has_default: bool,
}

impl Arg {
    /// Whether a query without it is refused.
    pub fn must(&self) -> bool {
        matches!(self.ty, Ty::Required(_)) && !self.has_default
    }
}

#[derive(Clone, Debug)]
pub struct Field {
    pub name: String,
    pub is_mutation: bool,
    pub args: Vec<Arg>,
    pub returns: Ty,
}

/// A place in the arguments of a field that takes a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Such as `input.engineId`.
    pub path: String,
    /// Such as `ID`.
    pub scalar: String,
}

pub struct Api {
    /// All of `Query` and `Mutation`, by name.
    pub roots: Vec<Field>,
    /// The other types that have fields.
    pub objects: BTreeMap<String, Vec<Field>>,
    inputs: BTreeMap<String, Vec<Arg>>,
    enums: BTreeMap<String, String>,
}

const INTROSPECTION: &str = "{ __schema { types { kind name fields(includeDeprecated: true) { name args { name defaultValue type { ...T } } \
     type { ...T } } inputFields { name defaultValue type { ...T } } enumValues { name } } } } \
     fragment T on __Type { kind name ofType { kind name ofType { kind name ofType { kind name } } } }";

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn arg(value: &Value) -> Arg {
    Arg { name: text(&value["name"]), ty: Ty::read(&value["type"]), has_default: !value["defaultValue"].is_null() }
}

impl Api {
    /// Asks for it.
    pub async fn read(world: &World) -> Self {
        let answer = world.graphql("", INTROSPECTION).await.is(200).json();
        let mut api = Self { roots: Vec::new(), objects: BTreeMap::new(), inputs: BTreeMap::new(), enums: BTreeMap::new() };
        for ty in list(&answer["data"]["__schema"]["types"]) {
            let name = text(&ty["name"]);
            let is_mutation = name == "Mutation";
            let field = |field: &Value| Field {
                name: text(&field["name"]),
                is_mutation,
                args: list(&field["args"]).iter().map(arg).collect(),
                returns: Ty::read(&field["type"]),
            };
            match ty["kind"].as_str().unwrap() {
                _ if name.starts_with("__") => {}
                "OBJECT" if is_mutation || name == "Query" => api.roots.extend(list(&ty["fields"]).iter().map(field)),
                "OBJECT" => drop(api.objects.insert(name, list(&ty["fields"]).iter().map(field).collect())),
                "INPUT_OBJECT" => drop(api.inputs.insert(name, list(&ty["inputFields"]).iter().map(arg).collect())),
                "ENUM" => drop(api.enums.insert(name, text(&ty["enumValues"][0]["name"]))),
                _ => {}
            }
        }
        assert!(api.roots.len() > 40 && api.objects.len() > 20, "the schema was not read");
        api.roots.sort_by(|a, b| (a.is_mutation, &a.name).cmp(&(b.is_mutation, &b.name)));
        api
    }

    /// Every place of a field that takes a word.
    pub fn leaves(&self, field: &Field) -> Vec<Leaf> {
        let mut leaves = Vec::new();
        for arg in &field.args {
            self.collect(&arg.name, arg.ty.name(), &mut leaves);
        }
        leaves
    }

    fn collect(&self, path: &str, ty: &str, leaves: &mut Vec<Leaf>) {
        match self.inputs.get(ty) {
            Some(members) => members.iter().for_each(|one| self.collect(&format!("{path}.{}", one.name), one.ty.name(), leaves)),
            None => leaves.push(Leaf { path: path.to_owned(), scalar: ty.to_owned() }),
        }
    }

    /// A query of a field with what it must have, and these words (literals of the language) at these places.
    pub fn query(&self, field: &Field, words: &[(&str, &str)]) -> String {
        let args: Vec<String> =
            field.args.iter().filter_map(|arg| Some(format!("{}: {}", arg.name, self.value(&arg.name, arg, words)?))).collect();
        let args = if args.is_empty() { String::new() } else { format!("({})", args.join(", ")) };
        let selection = match self.objects.get(field.returns.name()) {
            Some(members) if members.iter().any(|member| member.name == "count") => " { __typename count }",
            Some(_) => " { __typename }",
            None => "",
        };
        format!("{} {{ {}{args}{selection} }}", if field.is_mutation { "mutation" } else { "query" }, field.name)
    }

    fn value(&self, path: &str, arg: &Arg, words: &[(&str, &str)]) -> Option<String> {
        let is_meant = words.iter().any(|(at, _)| *at == path || at.starts_with(&format!("{path}.")));
        (is_meant || arg.must()).then(|| self.literal(path, &arg.ty, words))
    }

    fn literal(&self, path: &str, ty: &Ty, words: &[(&str, &str)]) -> String {
        let name = match ty {
            Ty::Required(inner) => return self.literal(path, inner, words),
            Ty::List(inner) => return format!("[{}]", self.literal(path, inner, words)),
            Ty::Named(name) => name.as_str(),
        };
        if let Some(members) = self.inputs.get(name) {
            let members = members
                .iter()
                .filter_map(|one| Some(format!("{}: {}", one.name, self.value(&format!("{path}.{}", one.name), one, words)?)));
            return format!("{{{}}}", members.collect::<Vec<_>>().join(", "));
        }
        if let Some((_, word)) = words.iter().find(|(at, _)| *at == path) {
            return (*word).to_owned();
        }
        let last = path.rsplit('.').next().unwrap_or_default();
        match (name, last) {
            (_, "categoryId") => "\"keyword\"".to_owned(),
            (_, "email" | "adminEmail") => "\"new@example.org\"".to_owned(),
            (_, "roles") => "\"developer\"".to_owned(),
            (_, "repository") => "\"1/words\"".to_owned(),
            (_, "check") => "\"manifest\"".to_owned(),
            ("ID", _) => format!("\"{UNKNOWN}\""),
            ("String", _) => "\"x\"".to_owned(),
            ("Boolean", _) => "true".to_owned(),
            ("UploadedFile", _) => "\"file\"".to_owned(),
            ("DateTime", _) => format!("\"{}\"", crate::clock::iso(crate::clock::now_ms() + 86_400_000)),
            ("JSON" | "JSONData", _) => "{}".to_owned(),
            ("Int" | "Float", _) => "1".to_owned(),
            (other, _) => self.enums.get(other).unwrap_or_else(|| panic!("{path}: how is a {other} written? say it here")).clone(),
        }
    }
}

/// A well-formed id of nothing.
pub const UNKNOWN: &str = "00000000-0000-4000-8000-00000000dead";
