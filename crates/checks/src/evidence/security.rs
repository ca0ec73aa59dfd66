//! The packages of an image and what is known to be wrong with them.

use scan::{Database, Inventory, Vulnerability, Warning, advisories};

use super::gather_static::chain;
use crate::policy::Vulnerabilities;

/// What a look into a database of advisories gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum SecurityEvidence {
    /// No database is loaded: nothing is known.
    #[default]
    NoDatabase,
    /// There is no image to look at.
    NoImage,
    /// The database could not be read; with the reason.
    Unread(String),
    /// It was looked at.
    Scanned(Box<Scanned>),
}

/// A finished look.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scanned {
    /// Identity of the database.
    pub database: String,
    /// How new its youngest record is that is not dated into the future, RFC 3339; empty when nobody can say.
    pub newest: String,
    /// When it was looked at, epoch milliseconds.
    pub at: i64,
    /// The operating system of the image, as it calls itself.
    pub system: Option<String>,
    /// Packages found in the image.
    pub packages: usize,
    /// What is known, the worst first.
    pub vulnerabilities: Vec<Vulnerability>,
    /// What could not be read or compared.
    pub warnings: Vec<Warning>,
}

impl SecurityEvidence {
    pub(super) fn gather(inventory: Option<&Inventory>, database: Option<&Database>, rules: &Vulnerabilities, at: i64) -> Self {
        let Some(database) = database else { return Self::NoDatabase };
        let Some(inventory) = inventory else { return Self::NoImage };
        match Scanned::look_up(inventory, database, rules, at) {
            Ok(scanned) => Self::Scanned(Box::new(scanned)),
            Err(error) => Self::Unread(chain(&error)),
        }
    }
}

impl Scanned {
    /// Looks a list of packages up. No image is needed for it.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn look_up(inventory: &Inventory, database: &Database, rules: &Vulnerabilities, at: i64) -> Result<Self, scan::Error> {
        let (vulnerabilities, further) = advisories::matches(database, &inventory.packages, &rules.precedence)?;
        let mut warnings = inventory.warnings.clone();
        warnings.extend(further);
        Ok(Self {
            database: database.id(),
            newest: database.meta().newest_until(&crate::standing::iso(at)).unwrap_or_default().to_owned(),
            at,
            system: inventory.system.clone(),
            packages: inventory.packages.len(),
            vulnerabilities,
            warnings,
        })
    }
}
