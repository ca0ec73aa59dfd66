//! Pages of a list. Nothing is counted: one row more than a page holds says whether there is another page.

/// Rows on one page.
pub const PER_PAGE: i64 = 20;

/// The last page that can be asked for; the database walks over everything before it.
const LAST: i64 = 10_000;

/// Which page of which list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paging {
    path: String,
    page: i64,
    more: bool,
}

impl Paging {
    /// The page a query asks for; the first when it asks for none or for nonsense.
    pub fn asked(path: &str, page: Option<&str>) -> Self {
        let page = page.and_then(|text| text.parse().ok()).unwrap_or(1_i64).clamp(1, LAST);
        Self { path: path.to_owned(), page, more: false }
    }

    /// Rows before this page.
    pub fn offset(&self) -> i64 {
        (self.page - 1) * PER_PAGE
    }

    /// How many rows to read: one more than are shown.
    pub fn limit(&self) -> i64 {
        PER_PAGE + 1
    }

    /// Cuts the row that was read in excess, and remembers that it was there.
    #[must_use]
    pub fn cut<T>(mut self, rows: &mut Vec<T>) -> Self {
        self.more = rows.len() as i64 > PER_PAGE;
        rows.truncate(PER_PAGE as usize);
        self
    }

    /// Number of this page, from 1.
    pub fn page(&self) -> i64 {
        self.page
    }

    /// True when everything fits on one page.
    pub fn is_alone(&self) -> bool {
        self.page == 1 && !self.more
    }

    /// Address of the page before.
    pub fn newer(&self) -> Option<String> {
        (self.page > 1).then(|| if self.page == 2 { self.path.clone() } else { self.url(self.page - 1) })
    }

    /// Address of the page behind.
    pub fn older(&self) -> Option<String> {
        (self.more && self.page < LAST).then(|| self.url(self.page + 1))
    }

    /// The path may have a query of its own.
    fn url(&self, page: i64) -> String {
        let joint = if self.path.contains('?') { '&' } else { '?' };
        format!("{}{joint}page={page}", self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extra_row_tells_of_the_next_page() {
        let mut rows: Vec<i32> = (0..21).collect();
        let paging = Paging::asked("/engines", None).cut(&mut rows);
        assert_eq!((rows.len(), paging.newer(), paging.older().as_deref()), (20, None, Some("/engines?page=2")));
        let mut rows: Vec<i32> = (0..20).collect();
        let paging = Paging::asked("/engines", Some("3")).cut(&mut rows);
        assert_eq!((paging.offset(), paging.newer().as_deref(), paging.older()), (40, Some("/engines?page=2"), None));
        assert!(Paging::asked("/engines", None).cut(&mut vec![1]).is_alone());
        let filtered = Paging::asked("/x?severity=High", None).cut(&mut (0..21).collect::<Vec<i32>>());
        assert_eq!(filtered.older().as_deref(), Some("/x?severity=High&page=2"));
    }

    #[test]
    fn nonsense_is_the_nearest_page() {
        let page = |text| Paging::asked("/", Some(text)).page();
        assert_eq!(["", "x", "0", "-5", "99999999999999999999", "10001"].map(page), [1, 1, 1, 1, 1, LAST]);
    }
}
