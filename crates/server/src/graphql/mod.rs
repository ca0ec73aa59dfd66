//! The API at `/v3/graphql`: thin resolvers over `store` reads and `ops` deeds, with the names of the GraphQL contract.

mod absent;
mod account;
mod account_mutation;
mod build;
mod category;
mod engine;
mod engine_input;
mod engine_mutation;
mod identity;
mod mutation;
mod page;
mod query;
mod repository;
mod request;
mod review;
mod scalars;
mod task;
mod task_input;
mod task_mutation;
mod task_query;
mod tdo;
mod token;
mod unclaimed_push;
mod vulnerability;
mod waiver;

use std::sync::Arc;

use async_graphql::{EmptySubscription, ErrorExtensions, MergedObject, Schema};
pub use request::{MAX_BODY, handle};

use store::{builds::Build, engines::Engine};
use tokio::sync::OnceCell;

use crate::{
    app::App,
    auth::{Caller, needs, party::Party},
    error::Problem,
    ops::act_on_build::standing_of,
    standing::{House, Standing},
};

/// All reads.
#[derive(MergedObject, Default)]
#[graphql(name = "Query")]
pub struct Reads(query::Query, task_query::TaskQuery, waiver::WaiverQuery);

/// All deeds.
#[derive(MergedObject, Default)]
#[graphql(name = "Mutation")]
pub struct Deeds(
    account_mutation::AccountMutation,
    engine_mutation::EngineMutation,
    mutation::IdentityMutation,
    task_mutation::TaskMutation,
    waiver::WaiverMutation,
);

/// The schema; [`App`] and the caller come with each request.
pub type GateSchema = Schema<Reads, Deeds, EmptySubscription>;

/// Deepest query answered.
const MAX_DEPTH: usize = 16;

/// Most fields resolved by one query, lists counted once.
const MAX_COMPLEXITY: usize = 1_000;

/// Builds the schema.
pub fn schema() -> GateSchema {
    Schema::build(Reads::default(), Deeds::default(), EmptySubscription)
        .register_output_type::<page::AnyPage>()
        .limit_depth(MAX_DEPTH)
        .limit_complexity(MAX_COMPLEXITY)
        .limit_recursive_depth(32)
        .finish()
}

/// The schema as text, for `schema.graphql`.
pub fn sdl() -> String {
    schema().sdl()
}

/// Who calls, and from where.
#[derive(Clone, Debug)]
struct Visitor {
    party: Option<Party>,
    token: Option<String>,
    address: String,
    /// The rules of the caller's organization, read once where nothing changes them in between: for a query.
    house: Option<OnceCell<House>>,
}

impl Visitor {
    /// How the caller stands to a build of their organization.
    async fn standing(&self, app: &App, caller: &Caller, build: &Build, engine: &Engine) -> Result<Standing, Problem> {
        let Some(house) = self.house.as_ref().filter(|_| engine.organization == caller.organization) else {
            return standing_of(app, caller, build, engine).await;
        };
        let read = async || {
            let mut db = app.db.read().acquire().await?;
            Ok::<_, Problem>(House::read(&mut db, caller.organization).await?)
        };
        Ok(Standing::new(caller, build, engine, house.get_or_try_init(read).await?))
    }
}

fn app<'a>(ctx: &async_graphql::Context<'a>) -> &'a Arc<App> {
    ctx.data_unchecked::<Arc<App>>()
}

fn visitor<'a>(ctx: &async_graphql::Context<'a>) -> &'a Visitor {
    ctx.data_unchecked::<Visitor>()
}

/// A person or their program, if they may use the field that is being resolved. An engine is told that this is nothing for it.
fn caller<'a>(ctx: &async_graphql::Context<'a>) -> Result<&'a Caller, async_graphql::Error> {
    Ok(party(ctx)?.person()?)
}

/// Who asks, if they may use the field that is being resolved (`auth::needs`). What hangs on another field needs what that one needs. The
/// token of an engine is good for its own things; whatever is resolved looks whether they are.
fn party<'a>(ctx: &async_graphql::Context<'a>) -> Result<&'a Party, Problem> {
    let party = visitor(ctx).party.as_ref().ok_or(Problem::Unauthenticated)?;
    if let (Party::Person(caller), true) = (party, ctx.path_node.is_some_and(|node| node.parent.is_none())) {
        let unstated = || Problem::NotAllowed("nobody may use this field, because what it needs is not stated".into());
        needs::of_field(ctx.field().name()).ok_or_else(unstated)?.check(caller)?;
    }
    Ok(party)
}

impl From<Problem> for async_graphql::Error {
    fn from(problem: Problem) -> Self {
        async_graphql::Error::new(problem.message()).extend_with(|_, extensions| {
            extensions.set("name", problem.name());
            if let Ok(data) = async_graphql::Value::from_json(problem.data()) {
                extensions.set("data", data);
            }
        })
    }
}

fn parse_id<T: std::str::FromStr>(id: &async_graphql::ID, object: &'static str) -> Result<T, Problem> {
    id.parse().map_err(|_| Problem::NotFound { object, id: id.chars().take(80).collect() })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_exported_schema_is_the_schema() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../schema.graphql");
        let sdl = super::sdl();
        if std::env::var_os("PLIMSOLL_WRITE_SCHEMA").is_some() {
            std::fs::write(path, &sdl).unwrap();
        }
        let exported = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            exported == sdl,
            "schema.graphql differs from the code; write it anew: PLIMSOLL_WRITE_SCHEMA=1 cargo nextest run -p server schema"
        );
    }
}
