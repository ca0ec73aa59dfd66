//! What engines hand in: results, and files of recordings. Both together have [`Caps`](crate::Caps).

use std::time::Instant;

use bytes::Bytes;
use model::run::EngineOutput;

use super::{Asset, Content, Desk, File, NewAsset, Task, essence};
use crate::graphql::ApiError;

impl Desk {
    /// Keeps a result. `false` if there are too many or too much of them already.
    pub(crate) fn add_output(&self, task: &Task, via: &str, content_type: &str, bytes: &Bytes, cut: bool) -> bool {
        let keep = usize::try_from(self.caps.result).unwrap_or(usize::MAX).min(bytes.len());
        let mut inner = self.lock();
        if inner.outputs.len() >= self.caps.assets || !inner.admit(keep as u64, self.caps.stored) {
            inner.overflow(via);
            return false;
        }
        inner.outputs.push(EngineOutput {
            sample: task.sample.clone(),
            via: via.to_owned(),
            content_type: essence(content_type),
            body: bytes.slice(..keep).to_vec(),
            truncated: cut || keep < bytes.len(),
        });
        drop(inner);
        task.progress.send_modify(|progress| {
            progress.heard = Instant::now();
            progress.results += 1;
        });
        true
    }

    /// Adds an asset to one of a task's recordings; its bytes can be fetched from then on.
    pub(crate) fn add_asset(&self, task: &Task, tdo_id: &str, new: NewAsset) -> Result<Asset, ApiError> {
        let created = self.now();
        let mut inner = self.lock();
        if inner.assets.len() >= self.caps.assets {
            inner.overflow("createAsset");
            return Err(ApiError::capacity(format!("a test run keeps at most {} assets; hand in fewer, larger ones", self.caps.assets)));
        }
        let size = if let Content::Bytes(bytes) = &new.content { bytes.len() as u64 } else { 0 };
        if !inner.admit(size, self.caps.stored) {
            let cap = self.caps.stored >> 20;
            inner.overflow("createAsset");
            return Err(ApiError::capacity(format!("a test run keeps at most {cap} MiB of assets and results together; hand in less")));
        }
        inner.next += 1;
        let uri = match new.content {
            Content::Uri(uri) => uri,
            Content::Bytes(bytes) => {
                let key = self.ids.secret("asset file", inner.next);
                inner.files.insert(key.clone(), File { bytes, content_type: new.content_type.clone() });
                format!("/files/{key}")
            }
        };
        let asset = Asset {
            id: format!("{tdo_id}_{}", self.ids.letters("asset", inner.next, 10)),
            tdo_id: tdo_id.to_owned(),
            asset_type: new.asset_type,
            content_type: new.content_type,
            name: new.name,
            description: new.description,
            details: new.details,
            uri,
            source_task: Some(task.id.clone()),
            size,
            created,
        };
        inner.assets.push(asset.clone());
        Ok(asset)
    }

    /// The assets of a recording, oldest first.
    pub(crate) fn assets_of(&self, tdo_id: &str) -> Vec<Asset> {
        self.lock().assets.iter().filter(|asset| asset.tdo_id == tdo_id).cloned().collect()
    }

    /// A file, by the secret in its address.
    pub(crate) fn file(&self, key: &str) -> Option<File> {
        self.lock().files.get(key).cloned()
    }

    /// The first result of a sample.
    pub(crate) fn output_of(&self, sample: &str) -> Option<Vec<u8>> {
        self.lock().outputs.iter().find(|output| output.sample == sample).map(|output| output.body.clone())
    }

    /// Takes out the results of a sample and gives the first; the room they took is free again.
    pub(crate) fn take_output(&self, sample: &str) -> Option<Vec<u8>> {
        let mut inner = self.lock();
        let (taken, kept) = std::mem::take(&mut inner.outputs).into_iter().partition::<Vec<_>, _>(|output| output.sample == sample);
        inner.outputs = kept;
        let size: u64 = taken.iter().map(|output| output.body.len() as u64).sum();
        inner.stored = inner.stored.saturating_sub(size);
        taken.into_iter().next().map(|output| output.body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Caps,
        desk::tests::{desk, sample},
    };

    #[test]
    fn results_and_assets_are_counted_and_cut() {
        let desk = desk(Caps { result: 4, stored: 10, assets: 5, ..Caps::default() });
        let task = desk.open(&sample("a", false));
        assert!(desk.add_output(&task, "response", "Application/JSON; x=y", &Bytes::from_static(b"123456"), false));
        let asset = |bytes: &'static [u8]| NewAsset {
            asset_type: "text".into(),
            content_type: "text/plain".into(),
            name: None,
            description: None,
            details: None,
            content: Content::Bytes(Bytes::from_static(bytes)),
        };
        let kept = desk.add_asset(&task, &task.tdo_id, asset(b"123456")).unwrap();
        assert_eq!(desk.file(kept.uri.rsplit('/').next().unwrap()).unwrap().bytes, "123456");
        assert_eq!(desk.add_asset(&task, &task.tdo_id, asset(b"1")).unwrap_err().name(), "capacity_exceeded");
        assert!(!desk.add_output(&task, "response", "", &Bytes::from_static(b"1"), false));
        assert!(desk.add_asset(&task, &task.tdo_id, asset(b"")).is_ok());
        assert_eq!(desk.assets_of(&task.tdo_id).len(), 4);
        assert!(desk.add_asset(&task, &task.tdo_id, asset(b"")).is_ok());
        assert_eq!(desk.add_asset(&task, &task.tdo_id, asset(b"")).unwrap_err().name(), "capacity_exceeded");
        let (outputs, _) = desk.close();
        assert_eq!(
            (outputs[0].body.as_slice(), outputs[0].truncated, outputs[0].content_type.as_str()),
            (&b"1234"[..], true, "application/json")
        );
    }
}
