//! Pages of lists (GraphQL contract §3): the type of every `...List`.

use async_graphql::{Interface, OutputType, SimpleObject};

use super::{
    account::{AuditEntry, OrganizationUser},
    build::Build,
    category::EngineCategory,
    engine::Engine,
    repository::Repository,
    review::ReviewItem,
    task::{Job, Task},
    tdo::{Asset, Tdo},
    unclaimed_push::UnclaimedPush,
    waiver::Waiver,
};

/// Most records of one page.
const MOST: i64 = 1000;

/// One page.
#[derive(SimpleObject)]
#[graphql(concrete(name = "AssetList", params(Asset)))]
#[graphql(concrete(name = "AuditLog", params(AuditEntry)))]
#[graphql(concrete(name = "BuildList", params(Build)))]
#[graphql(concrete(name = "EngineCategoryList", params(EngineCategory)))]
#[graphql(concrete(name = "EngineList", params(Engine)))]
#[graphql(concrete(name = "JobList", params(Job)))]
#[graphql(concrete(name = "RepositoryList", params(Repository)))]
#[graphql(concrete(name = "ReviewQueue", params(ReviewItem)))]
#[graphql(concrete(name = "TDOList", params(Tdo)))]
#[graphql(concrete(name = "TaskList", params(Task)))]
#[graphql(concrete(name = "UnclaimedPushList", params(UnclaimedPush)))]
#[graphql(concrete(name = "UserList", params(OrganizationUser)))]
#[graphql(concrete(name = "WaiverList", params(Waiver)))]
pub struct Page<T: OutputType> {
    records: Vec<T>,
    /// Records of this page; fewer than `limit`: it is the last one.
    count: usize,
    offset: i64,
    limit: i64,
}

/// What every page has in common, for clients that ask for it by this name.
#[derive(Interface)]
#[allow(clippy::duplicated_attributes, reason = "two of the fields are of one type")]
#[graphql(name = "Page", field(name = "count", ty = "&usize"), field(name = "offset", ty = "&i64"), field(name = "limit", ty = "&i64"))]
pub enum AnyPage {
    Assets(Page<Asset>),
    Audit(Page<AuditEntry>),
    Builds(Page<Build>),
    Categories(Page<EngineCategory>),
    Engines(Page<Engine>),
    Jobs(Page<Job>),
    Repositories(Page<Repository>),
    Reviews(Page<ReviewItem>),
    Tasks(Page<Task>),
    Tdos(Page<Tdo>),
    Unclaimed(Page<UnclaimedPush>),
    Users(Page<OrganizationUser>),
    Waivers(Page<Waiver>),
}

/// Which page is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Records before it.
    pub offset: i64,
    /// Most records of it.
    pub limit: i64,
}

impl Wanted {
    /// Within the bounds.
    pub fn new(offset: Option<i64>, limit: Option<i64>) -> Self {
        // With room for a page behind it.
        Self { offset: offset.unwrap_or(0).clamp(0, i64::MAX - MOST), limit: limit.unwrap_or(30).clamp(0, MOST) }
    }

    /// The page with these records.
    pub fn page<R, T: OutputType>(self, rows: Vec<R>, record: impl FnMut(R) -> T) -> Page<T> {
        let records: Vec<T> = rows.into_iter().map(record).collect();
        Page { count: records.len(), records, offset: self.offset, limit: self.limit }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_have_bounds() {
        assert_eq!(Wanted::new(None, None), Wanted { offset: 0, limit: 30 });
        assert_eq!(Wanted::new(Some(-3), Some(99_999)), Wanted { offset: 0, limit: 1000 });
        assert_eq!(Wanted::new(Some(i64::MAX), Some(1000)), Wanted { offset: i64::MAX - 1000, limit: 1000 });
        assert_eq!(Wanted::new(Some(7), Some(-1)), Wanted { offset: 7, limit: 0 });
    }
}
