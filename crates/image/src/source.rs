//! Where blobs come from, and how an image is named on the command line (the spelling of skopeo).

use std::{
    fmt,
    io::{self, Read},
    path::PathBuf,
    str::FromStr,
};

use model::digest::Digest;

use crate::{
    archive::Archive,
    docker_archive,
    error::Error,
    oci_layout::{self, Folder},
};

/// Gives blobs by their digest. Nobody has checked that the bytes have that digest: whoever reads does.
pub trait BlobSource: Send + Sync {
    /// The blob from its first byte. [`Error::BlobMissing`] if there is none.
    fn open(&self, digest: &Digest) -> Result<Box<dyn Read + Send>, Error>;
    /// Its size in bytes. [`Error::BlobMissing`] if there is none.
    fn size(&self, digest: &Digest) -> Result<u64, Error>;
}

/// Where an image is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// `oci:DIR[:TAG]`
    Oci {
        /// Folder with `oci-layout` and `index.json`.
        dir: PathBuf,
        /// Which image of several.
        tag: Option<String>,
    },
    /// `oci-archive:FILE[:TAG]`
    OciArchive {
        /// The same folder as one tar file.
        file: PathBuf,
        /// Which image of several.
        tag: Option<String>,
    },
    /// `docker-archive:FILE[:TAG]`
    DockerArchive {
        /// What `docker save` or `podman save` writes.
        file: PathBuf,
        /// Which image of several, such as `name:tag`.
        tag: Option<String>,
    },
    /// `docker://REFERENCE`: an image in a registry.
    Docker(String),
}

impl FromStr for Transport {
    type Err = Error;

    /// The path ends at the first colon, as for skopeo.
    fn from_str(text: &str) -> Result<Self, Error> {
        let refused = || Error::Transport { text: text.chars().take(200).collect() };
        if let Some(reference) = text.strip_prefix("docker://").filter(|reference| !reference.is_empty()) {
            return Ok(Self::Docker(reference.to_owned()));
        }
        let (transport, rest) = text.split_once(':').ok_or_else(refused)?;
        let (path, tag) = rest.split_once(':').map_or((rest, None), |(path, tag)| (path, Some(tag.to_owned())));
        if path.is_empty() || tag.as_ref().is_some_and(String::is_empty) {
            return Err(refused());
        }
        let path = PathBuf::from(path);
        match transport {
            "oci" => Ok(Self::Oci { dir: path, tag }),
            "oci-archive" => Ok(Self::OciArchive { file: path, tag }),
            "docker-archive" => Ok(Self::DockerArchive { file: path, tag }),
            _ => Err(refused()),
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (transport, path, tag) = match self {
            Self::Oci { dir, tag } => ("oci", dir, tag),
            Self::OciArchive { file, tag } => ("oci-archive", file, tag),
            Self::DockerArchive { file, tag } => ("docker-archive", file, tag),
            Self::Docker(reference) => return write!(f, "docker://{reference}"),
        };
        write!(f, "{transport}:{}", path.display())?;
        tag.as_ref().map_or(Ok(()), |tag| write!(f, ":{tag}"))
    }
}

/// An image that was found.
pub struct Opened {
    /// Its blobs.
    pub source: Box<dyn BlobSource>,
    /// Digest of its index or manifest.
    pub top: Digest,
    /// A name for people and for the report: the image's own, or else the transport as typed.
    pub reference: String,
}

/// Opens an image on this machine. Archives are indexed and read in place. [`Error::Unsupported`] for `docker://`.
pub fn open(transport: &Transport) -> Result<Opened, Error> {
    let layout = |folder, tag: &Option<String>| {
        let (source, top, name) = oci_layout::open(folder, tag.as_deref())?;
        Ok((Box::new(source) as Box<dyn BlobSource>, top, name))
    };
    let (source, top, name) = match transport {
        Transport::Oci { dir, tag } => layout(Folder::Directory(dir.clone()), tag)?,
        Transport::OciArchive { file, tag } => layout(Folder::Archive(Archive::open(file, "an OCI archive")?), tag)?,
        Transport::DockerArchive { file, tag } => {
            let (source, top, name) = docker_archive::open(file, tag.as_deref())?;
            (Box::new(source) as Box<dyn BlobSource>, top, name)
        }
        Transport::Docker(_) => return Err(Error::Unsupported { text: transport.to_string() }),
    };
    Ok(Opened { source, top, reference: name.unwrap_or_else(|| transport.to_string()) })
}

/// Reads to the end; more than `limit` bytes are an error.
pub(crate) fn read_capped(reader: impl Read, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it grew beyond {limit} bytes while it was read")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transports_print_as_they_were_typed() {
        for text in ["oci:dir", "oci:dir:tag", "oci-archive:a/b.tar", "docker-archive:x.tar:repo/name:1", "docker://host:5000/a:b"] {
            assert_eq!(text.parse::<Transport>().unwrap().to_string(), text);
        }
        let Transport::DockerArchive { file, tag } = "docker-archive:x.tar:repo/name:1".parse().unwrap() else { panic!() };
        assert_eq!((file, tag.as_deref()), (PathBuf::from("x.tar"), Some("repo/name:1")));
    }

    #[test]
    fn what_names_no_image_is_refused_with_the_forms_that_do() {
        for text in ["", "engine.tar", "oci:", "oci::x", "oci:x:", "dir:x", "docker:x", "docker://"] {
            let error = text.parse::<Transport>().unwrap_err();
            assert!(error.to_string().contains("oci-archive:FILE"), "{text}");
        }
    }

    #[test]
    fn a_registry_is_named_as_unsupported_with_the_way_round() {
        let error = open(&Transport::Docker("host/a:b".into())).err().unwrap();
        assert!(error.to_string().contains("skopeo copy docker://host/a:b oci-archive:image.tar"));
    }

    #[test]
    fn reading_stops_at_the_limit() {
        assert_eq!(read_capped(&b"abc"[..], 3).unwrap(), b"abc");
        assert!(read_capped(&b"abcd"[..], 3).is_err());
    }
}
