use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use sha2::{Digest, Sha256};

use super::{Progress, Recipe, train};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::network::{Architecture, Network, onnx};
use crate::run::StagedFile;

/// Trained networks in a folder, by the hash of everything that determines them.
#[derive(Debug, Clone)]
pub struct TrainingCache {
    folder: PathBuf,
}

impl TrainingCache {
    /// Increased whenever the same recipe would give another network.
    const VERSION: u32 = 1;

    /// A cache in `folder`, which is made when something is first stored.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// The file that holds, or would hold, the network.
    #[must_use]
    pub fn path(&self, architecture: &Architecture, data: &Dataset, recipe: &Recipe) -> PathBuf {
        let mut hash = Sha256::new();
        hash.update(format!("struthio training {}\n{architecture:?}\n{recipe:?}\n", Self::VERSION));
        hash.update(data.fingerprint());
        let digest = crate::hex(&hash.finalize());
        self.folder.join(format!("{}-{}.onnx", architecture.to_string().to_lowercase(), &digest[..16]))
    }

    /// The network from the cache, or else trained now and stored. Tells whether it was cached.
    ///
    /// A cached file that cannot be read is trained again and replaced.
    ///
    /// # Errors
    ///
    /// As [`train`], and if the cache cannot be written to, which is found out before training.
    pub fn get_or_train(
        &self,
        architecture: &Architecture,
        data: &Dataset,
        recipe: &Recipe,
        threads: usize,
        cancelled: &AtomicBool,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<(Network, bool)> {
        let path = self.path(architecture, data, recipe);
        if let Ok(network) = onnx::read(&path) {
            return Ok((network, true));
        }
        std::fs::create_dir_all(&self.folder).map_err(Error::io("create the folder", &self.folder))?;
        let mut place = StagedFile::create(&path)?;
        let network = train(architecture, data, recipe, threads, cancelled, progress)?;
        place.write_all(&onnx::write(&network)).map_err(Error::io("write", &path))?;
        place.finish()?;
        Ok((network, false))
    }
}
