//! The packages of an image and what is known to be wrong with them.

use image::Inspection;
use scan::{Database, Vulnerability, Warning, advisories};

use super::gather_static::chain;

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
    /// How new its youngest record is, RFC 3339.
    pub newest: String,
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
    pub(super) fn gather(inspection: Option<&Inspection>, database: Option<&Database>) -> Self {
        let Some(database) = database else { return Self::NoDatabase };
        let Some(inspection) = inspection else { return Self::NoImage };
        let inventory = scan::inventory::inventory(inspection);
        match advisories::matches(database, &inventory.packages, &advisories::PRECEDENCE) {
            Err(error) => Self::Unread(chain(&error)),
            Ok((vulnerabilities, further)) => {
                let mut warnings = inventory.warnings;
                warnings.extend(further);
                Self::Scanned(Box::new(Scanned {
                    database: database.id(),
                    newest: database.meta().newest.clone(),
                    system: inventory.system,
                    packages: inventory.packages.len(),
                    vulnerabilities,
                    warnings,
                }))
            }
        }
    }
}
