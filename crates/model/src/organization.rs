//! What an organization decides for itself.

use serde::{Deserialize, Serialize};

/// Settings of an organization. Absent keys have their defaults; an unknown key is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Settings {
    /// Reviewers may approve what they pushed themselves.
    pub self_approval: bool,
    /// Builds that keep the automatic rule are approved without a person.
    pub auto_approve: bool,
    /// Within how many hours a submitted build should be decided.
    pub target_hours: u32,
    /// For how many days an override is good when its maker does not say.
    pub override_days: u32,
    /// The deployment model of an engine never changes after its registration.
    pub deployment_model_immutable: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { self_approval: false, auto_approve: false, target_hours: 72, override_days: 30, deployment_model_immutable: false }
    }
}

impl Settings {
    /// Longest target and longest override.
    pub const LONGEST_DAYS: u32 = 366;

    /// What is wrong with these settings, in a sentence.
    ///
    /// # Errors
    /// The sentence.
    pub fn check(&self) -> Result<(), String> {
        if self.target_hours == 0 || self.target_hours > Self::LONGEST_DAYS * 24 {
            return Err(format!("targetHours: choose 1 to {} hours", Self::LONGEST_DAYS * 24));
        }
        if self.override_days == 0 || self.override_days > Self::LONGEST_DAYS {
            return Err(format!("overrideDays: choose 1 to {} days", Self::LONGEST_DAYS));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_document_is_the_default_and_unknown_keys_are_errors() {
        assert_eq!(serde_json::from_str::<Settings>("{}").unwrap(), Settings::default());
        assert_eq!(Settings::default().target_hours, 72);
        assert!(serde_json::from_str::<Settings>(r#"{"selfAproval": true}"#).is_err());
        let text = serde_json::to_string(&Settings { auto_approve: true, ..Settings::default() }).unwrap();
        assert!(serde_json::from_str::<Settings>(&text).unwrap().auto_approve);
    }

    #[test]
    fn no_time_at_all_is_no_target() {
        assert!(Settings::default().check().is_ok());
        for wrong in [Settings { target_hours: 0, ..Settings::default() }, Settings { override_days: 4000, ..Settings::default() }] {
            assert!(wrong.check().is_err());
        }
    }
}
