//! Waivers: who answers for which known vulnerability.

use async_graphql::{Context, ID, InputObject, Object, Result};
use model::{id::EngineId, waiver::Waiver as Said};
use store::waivers::{self, Kept};

use super::{
    app, caller,
    page::{Page, Wanted},
    parse_id,
    scalars::{DateTime, JsonData},
};
use crate::{
    auth::permission::Permission,
    clock,
    error::Problem,
    ops::{create_waiver::create_waiver, import_vex::import_vex, revoke_waiver::revoke_waiver},
};

/// A waiver.
pub struct Waiver(Kept);

/// A waiver to make. Its author is who makes it.
#[derive(InputObject)]
pub struct CreateWaiver {
    /// A CVE, or the id of an advisory.
    vulnerability: String,
    /// The one package meant, by name or package URL; whichever has the vulnerability if absent.
    package: Option<String>,
    /// The one engine meant; all of the organization if absent.
    engine_id: Option<ID>,
    /// The one image meant, by name, digest or package URL; all of the engine or organization if absent.
    image: Option<String>,
    reason: String,
    /// Within a year.
    expires_date_time: DateTime,
    /// It ends earlier, the moment a version appears that mends the vulnerability.
    #[graphql(default_with = "Some(false)")]
    until_fixed: Option<bool>,
}

/// An OpenVEX document. What it says is not affected or fixed becomes waivers.
#[derive(InputObject)]
pub struct ImportVex {
    document: JsonData,
    /// The one engine meant; all of the organization if absent.
    engine_id: Option<ID>,
    /// Within a year.
    expires_date_time: DateTime,
}

#[Object]
impl Waiver {
    async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    async fn vulnerability(&self) -> &str {
        &self.0.waiver.vulnerability
    }

    /// Whichever has the vulnerability if absent.
    async fn package(&self) -> Option<&str> {
        self.0.waiver.package.as_deref()
    }

    /// All of the organization if absent.
    async fn engine_id(&self) -> Option<ID> {
        self.0.waiver.engine.map(|engine| engine.to_string().into())
    }

    /// By name, digest or package URL; all of the engine or organization if absent.
    async fn image(&self) -> Option<&str> {
        self.0.waiver.image.as_deref()
    }

    async fn reason(&self) -> &str {
        &self.0.waiver.reason
    }

    /// E-mail of who answers for it.
    async fn author(&self) -> &str {
        &self.0.waiver.author
    }

    async fn until_fixed(&self) -> bool {
        self.0.waiver.until_fixed
    }

    async fn created_date_time(&self) -> DateTime {
        DateTime(self.0.created_at)
    }

    async fn expires_date_time(&self) -> DateTime {
        DateTime(self.0.waiver.expires_at)
    }

    async fn revoked_date_time(&self) -> Option<DateTime> {
        self.0.revoked.as_ref().map(|(at, _)| DateTime(*at))
    }

    async fn revoked_by(&self) -> Option<&str> {
        self.0.revoked.as_ref().map(|(_, by)| by.as_str())
    }

    /// Whether it can still waive something. One that ends with a fix may have ended for the packages that have one.
    async fn is_active(&self) -> bool {
        self.0.revoked.is_none() && self.0.waiver.expires_at > clock::now_ms()
    }
}

/// Reads of waivers.
#[derive(Default)]
pub struct WaiverQuery;

#[Object]
impl WaiverQuery {
    /// Waivers of the caller's organization, newest first, also those that ended; with an engine only those that are for it.
    async fn waivers(&self, ctx: &Context<'_>, engine_id: Option<ID>, offset: Option<i64>, limit: Option<i64>) -> Result<Page<Waiver>> {
        let caller = caller(ctx)?;
        caller.require(Permission::ReadEngines)?;
        let wanted = Wanted::new(offset, limit);
        let engine = engine(engine_id.as_ref())?;
        let rows =
            waivers::list(app(ctx).db.read(), caller.organization, engine, wanted.offset, wanted.limit).await.map_err(Problem::from)?;
        Ok(wanted.page(rows, Waiver))
    }
}

/// Deeds with waivers.
#[derive(Default)]
pub struct WaiverMutation;

#[Object]
impl WaiverMutation {
    /// Answers for a known vulnerability.
    async fn create_waiver(&self, ctx: &Context<'_>, input: CreateWaiver) -> Result<Waiver> {
        let caller = caller(ctx)?;
        let said = Said {
            vulnerability: input.vulnerability,
            package: input.package,
            engine: engine(input.engine_id.as_ref())?,
            image: input.image,
            reason: input.reason,
            author: String::new(),
            expires_at: input.expires_date_time.0,
            until_fixed: input.until_fixed.unwrap_or_default(),
        };
        Ok(Waiver(create_waiver(app(ctx), caller, said).await?))
    }

    /// Takes a waiver back at once. It stays on record.
    async fn revoke_waiver(&self, ctx: &Context<'_>, id: ID) -> Result<Waiver> {
        Ok(Waiver(revoke_waiver(app(ctx), caller(ctx)?, parse_id(&id, "Waiver")?).await?))
    }

    /// Makes waivers of an OpenVEX document, all or none.
    async fn import_vex(&self, ctx: &Context<'_>, input: ImportVex) -> Result<Vec<Waiver>> {
        let (caller, engine) = (caller(ctx)?, engine(input.engine_id.as_ref())?);
        let made = import_vex(app(ctx), caller, &input.document.0, engine, input.expires_date_time.0).await?;
        Ok(made.into_iter().map(Waiver).collect())
    }
}

fn engine(id: Option<&ID>) -> Result<Option<EngineId>, Problem> {
    id.map(|id| parse_id(id, "Engine")).transpose()
}
