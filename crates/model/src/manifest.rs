//! The engine manifest, `/var/manifest.json`, after reading. Rules and messages live in `checks`.

use serde::{Deserialize, Serialize};

use crate::id::EngineId;

/// The path of the manifest inside the image.
pub const MANIFEST_PATH: &str = "/var/manifest.json";

/// Largest manifest read, bytes.
pub const MANIFEST_MAX_BYTES: u64 = 1 << 20;

/// The memory class an engine asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClusterSize {
    /// 512 MiB.
    #[default]
    Small,
    /// 2 GiB.
    Medium,
    /// 6 GiB.
    Large,
}

impl ClusterSize {
    /// Memory limit of a run, bytes.
    pub fn memory_bytes(self) -> u64 {
        match self {
            Self::Small => 512 << 20,
            Self::Medium => 2 << 30,
            Self::Large => 6 << 30,
        }
    }
}

/// How work reaches an engine, as its manifest says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineMode {
    /// Absent or `legacy`: as batch.
    #[default]
    Legacy,
    /// One run per task.
    Batch,
    /// One call per chunk (alias `segment`).
    Chunk,
    /// One call per stream.
    Stream,
}

/// What the gate uses of a manifest. Fields that were missing or unusable have their defaults; `checks` says what was wrong with them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Manifest {
    /// The engine it claims to be, if that is a UUID.
    pub engine_id: Option<EngineId>,
    /// As written.
    pub category: Option<String>,
    /// Lower-cased MIME type.
    pub preferred_input_format: Option<String>,
    /// Lower-cased MIME types.
    pub supported_input_formats: Vec<String>,
    /// Lower-cased MIME types.
    pub output_formats: Vec<String>,
    /// Memory class.
    pub cluster_size: ClusterSize,
    /// Mode.
    pub engine_mode: EngineMode,
    /// Hosts, as written.
    pub external_calls: Vec<String>,
    /// Megabytes, if larger than the class gives.
    pub min_memory_required: Option<f64>,
    /// The document as it stands in the image.
    pub raw: serde_json::Value,
}
