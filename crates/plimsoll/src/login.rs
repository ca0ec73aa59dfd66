//! How a command logs in to a registry.

use anyhow::Context;
use oci_client::{Reference, secrets::RegistryAuth};

/// Who, and how.
#[derive(clap::Args)]
pub struct Login {
    /// Login name
    #[arg(long, env = "PLIMSOLL_USER")]
    user: Option<String>,
    /// File that holds the password, or - for standard input; without it PLIMSOLL_PASSWORD is read
    #[arg(long)]
    password_file: Option<std::path::PathBuf>,
    /// Use TLS even for an address on this machine
    #[arg(long)]
    tls: bool,
}

impl Login {
    /// The credentials; none at all is anonymous.
    pub fn auth(&self) -> anyhow::Result<RegistryAuth> {
        match (self.user.clone(), self.password()?) {
            (Some(user), Some(password)) => Ok(RegistryAuth::Basic(user, password)),
            (None, None) => Ok(RegistryAuth::Anonymous),
            (Some(_), None) => anyhow::bail!("the password is missing; set PLIMSOLL_PASSWORD or give --password-file"),
            (None, Some(_)) => anyhow::bail!("the login name is missing; give --user or set PLIMSOLL_USER"),
        }
    }

    /// Whether the registry is spoken to without TLS.
    pub fn is_plain(&self, reference: &Reference) -> bool {
        !self.tls && is_local(reference.registry())
    }

    fn password(&self) -> anyhow::Result<Option<String>> {
        let text = match &self.password_file {
            Some(path) if path.as_os_str() == "-" => {
                std::io::read_to_string(std::io::stdin()).context("the password cannot be read from standard input")?
            }
            Some(path) => std::fs::read_to_string(path).with_context(|| format!("the password file {} cannot be read", path.display()))?,
            None => return Ok(std::env::var("PLIMSOLL_PASSWORD").ok()),
        };
        Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()))
    }
}

/// `HOST/ORG/NAME:TAG`.
pub fn reference(text: &str) -> anyhow::Result<Reference> {
    text.parse().with_context(|| format!("{text:?} must look like 127.0.0.1:8080/1/my-engine:v1"))
}

/// An address on this machine needs no TLS.
fn is_local(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name == "localhost" || name.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_this_machine_goes_without_tls() {
        for host in ["localhost", "localhost:5000", "127.0.0.1:8080", "[::1]:80"] {
            assert!(super::is_local(host), "{host}");
        }
        for host in ["example.org", "10.0.0.1:5000", "localhost.example.org", "127.0.0.1.example.org:80"] {
            assert!(!super::is_local(host), "{host}");
        }
    }
}
