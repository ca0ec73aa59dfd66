//! A packed image on disk.

use std::{
    borrow::Cow,
    fs,
    io::{self, BufWriter, Write},
    path::Path,
};

use model::digest::Digest;
use serde_json::json;

use super::{Pack, Packed};
use crate::{error::Error, oci_layout::REF_NAME};

const LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

impl Pack {
    /// Builds the image and writes it as [`Packed::write_oci_dir`] does.
    pub fn write_oci_dir(self, dir: &Path) -> Result<Digest, Error> {
        self.build()?.write_oci_dir(dir)
    }

    /// Builds the image and writes it as [`Packed::write_oci_archive`] does.
    pub fn write_oci_archive(self, file: &Path) -> Result<Digest, Error> {
        self.build()?.write_oci_archive(file)
    }
}

impl Packed {
    /// Writes an OCI image layout into a folder, made if it is missing. The digest of the image.
    pub fn write_oci_dir(&self, dir: &Path) -> Result<Digest, Error> {
        for (name, bytes) in self.files() {
            let path = dir.join(name);
            let folder = path.parent().unwrap_or(dir);
            fs::create_dir_all(folder).map_err(|source| Error::File { action: "make", path: folder.to_owned(), source })?;
            fs::write(&path, bytes).map_err(|source| Error::File { action: "write", path, source })?;
        }
        Ok(self.top.digest.clone())
    }

    /// Writes an OCI image layout as one tar file. The digest of the image.
    pub fn write_oci_archive(&self, file: &Path) -> Result<Digest, Error> {
        let failed = |source| Error::File { action: "write", path: file.to_owned(), source };
        let mut builder = tar::Builder::new(BufWriter::new(fs::File::create(file).map_err(failed)?));
        for (name, bytes) in self.files() {
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o644);
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(0);
            header.set_size(bytes.len() as u64);
            builder.append_data(&mut header, &name, &bytes[..]).map_err(failed)?;
        }
        let finished = |builder: tar::Builder<BufWriter<fs::File>>| -> io::Result<()> { builder.into_inner()?.flush() };
        finished(builder).map_err(failed)?;
        Ok(self.top.digest.clone())
    }

    /// Every file of the layout by name; small ones first, as readers need them first.
    fn files(&self) -> Vec<(String, Cow<'_, [u8]>)> {
        let name = |digest: &Digest| format!("blobs/{}/{}", digest.algorithm().as_str(), digest.hex());
        let mut blobs: Vec<(String, Cow<'_, [u8]>)> = self.blobs().map(|(digest, bytes)| (name(digest), bytes.into())).collect();
        blobs.sort_by_key(|(_, bytes)| bytes.len());
        let mut files = vec![("oci-layout".to_owned(), LAYOUT.into()), ("index.json".to_owned(), self.index_json().into())];
        files.extend(blobs);
        files
    }

    /// `index.json`: this image alone, under its tag.
    fn index_json(&self) -> Vec<u8> {
        let mut image = self.top.clone();
        if let Some(tag) = &self.tag {
            image.annotations.insert(REF_NAME.to_owned(), tag.clone());
        }
        json!({ "schemaVersion": 2, "mediaType": super::OCI_INDEX, "manifests": [image] }).to_string().into_bytes()
    }
}
