//! Images that are wrong on purpose, for tests of whoever must notice it. Nothing else in this crate makes a wrong image.

use std::collections::BTreeMap;

use model::digest::Digest;
use serde_json::{Value, json};

use super::Pack;
use crate::manifest::Descriptor;

/// One thing wrong with an image. Layers are counted from 0 at the bottom; a number too high changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The config lists another diffID for this layer.
    DiffId(usize),
    /// The config lists one diffID more than there are layers.
    ExtraDiffId,
    /// The config is these bytes.
    Config(Vec<u8>),
    /// The manifest says this media type for its config.
    ConfigMediaType(String),
    /// The manifest says this layer is one byte longer than it is.
    LayerSize(usize),
    /// The blob of this layer is missing.
    MissingLayer(usize),
    /// The blob of this layer has another content of the same length.
    ChangedLayer(usize),
}

impl Pack {
    /// Makes the image wrong.
    #[must_use]
    pub fn broken(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
        self
    }
}

pub(super) fn spoil_config(faults: &[Fault], mut config: Value) -> Vec<u8> {
    for fault in faults {
        let diff_ids = config.pointer_mut("/rootfs/diff_ids").and_then(Value::as_array_mut);
        match (fault, diff_ids) {
            (Fault::Config(bytes), _) => return bytes.clone(),
            (Fault::ExtraDiffId, Some(diff_ids)) => diff_ids.push(json!(Digest::of(b"extra"))),
            (Fault::DiffId(layer), Some(diff_ids)) => diff_ids.get_mut(*layer).into_iter().for_each(|id| *id = json!(Digest::of(b"wrong"))),
            _ => {}
        }
    }
    config.to_string().into_bytes()
}

pub(super) fn spoil_manifest(faults: &[Fault], mut manifest: Value) -> Value {
    for fault in faults {
        match fault {
            Fault::ConfigMediaType(media_type) => manifest["config"]["mediaType"] = json!(media_type),
            Fault::LayerSize(layer) => {
                if let Some(size) = manifest.pointer_mut(&format!("/layers/{layer}/size")) {
                    *size = json!(size.as_u64().unwrap_or_default() + 1);
                }
            }
            _ => {}
        }
    }
    manifest
}

pub(super) fn spoil_blobs(faults: &[Fault], blobs: &mut BTreeMap<Digest, Vec<u8>>, layers: &[Descriptor]) {
    for fault in faults {
        match fault {
            Fault::MissingLayer(layer) => drop(layers.get(*layer).and_then(|layer| blobs.remove(&layer.digest))),
            Fault::ChangedLayer(layer) => {
                let blob = layers.get(*layer).and_then(|layer| blobs.get_mut(&layer.digest));
                blob.and_then(|bytes| bytes.last_mut()).into_iter().for_each(|byte| *byte ^= 1);
            }
            _ => {}
        }
    }
}
