use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use sha2::{Digest, Sha256};

use super::checkpoint::{self, Checkpoints, Unfinished};
use super::{Progress, Recipe, train_from};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::network::{Architecture, Network, onnx};
use crate::run::{StagedFile, write_atomically};

/// Extension of a file that holds an unfinished training, beside where its network will be.
const CHECKPOINT: &str = "checkpoint";

/// Trained networks in a folder, by the hash of everything that determines them.
#[derive(Debug, Clone)]
pub struct TrainingCache {
    folder: PathBuf,
}

impl TrainingCache {
    /// Increased whenever the same recipe would give another network.
    const VERSION: u32 = 5;

    /// A cache in `folder`, which is made when something is first stored.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// The file that holds, or would hold, the network.
    ///
    /// # Errors
    ///
    /// If the images cannot be read.
    pub fn path(&self, architecture: &Architecture, data: &Dataset, recipe: &Recipe) -> Result<PathBuf> {
        let mut hash = Sha256::new();
        hash.update(format!("struthio training {}\n{architecture:?}\n{recipe:?}\n", Self::VERSION));
        hash.update(data.fingerprint()?);
        let digest = crate::hex(&hash.finalize());
        let name = format!("{}-{}.onnx", architecture.to_string().to_lowercase(), &digest[..16]);
        Ok(self.folder.join(name))
    }

    /// What is left of this training if it was stopped; [`get_or_train`](Self::get_or_train) goes on
    /// from there.
    #[must_use]
    pub fn unfinished(
        &self,
        architecture: &Architecture,
        data: &Dataset,
        recipe: &Recipe,
    ) -> Option<Unfinished> {
        let path = self.path(architecture, data, recipe).ok()?;
        let epochs = recipe.method.epochs()?;
        if path.exists() { None } else { checkpoint::inspect(&path.with_extension(CHECKPOINT), epochs) }
    }

    /// The network from the cache, or else trained now and stored. Tells whether it was cached.
    ///
    /// A cached file that cannot be read is trained again and replaced. A training by epochs leaves a
    /// checkpoint every few seconds, from which a later call continues; the network has the same bytes.
    ///
    /// # Errors
    ///
    /// As [`train`](super::train), and if the cache cannot be written to, which is found out before training.
    pub fn get_or_train(
        &self,
        architecture: &Architecture,
        data: &Dataset,
        recipe: &Recipe,
        threads: usize,
        cancelled: &AtomicBool,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<(Network, bool)> {
        let path = self.path(architecture, data, recipe)?;
        let unfinished = path.with_extension(CHECKPOINT);
        if let Ok(network) = onnx::read(&path) {
            checkpoint::remove(&unfinished); // a process killed just before it did so
            return Ok((network, true));
        }
        std::fs::create_dir_all(&self.folder).map_err(Error::io("create the folder", &self.folder))?;
        drop(StagedFile::create(&path)?);
        let mut checkpoints = Checkpoints::at(unfinished.clone());
        let network = train_from(architecture, data, recipe, threads, &mut checkpoints, cancelled, progress)?;
        write_atomically(&path, &onnx::write(&network))?;
        checkpoint::remove(&unfinished);
        Ok((network, false))
    }
}
