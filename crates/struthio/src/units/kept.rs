use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::analysis::Options;
use super::layer::Layer;
use super::result::{Direction, LayerResult};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::network::Network;
use crate::run::{read_regular, write_atomically};

/// Where the layers that are finished are kept until all are, so that a stopped analysis can go on.
pub(super) struct Kept<'a> {
    folder: &'a Path,
    analysis: String,
}

/// A layer in its file.
#[derive(Serialize, Deserialize)]
struct Record {
    analysis: String,
    result: LayerResult,
    directions: Vec<Direction>,
}

impl<'a> Kept<'a> {
    /// Those of this analysis in `folder`, which is made if it does not exist.
    pub fn new(
        folder: &'a Path,
        network: &Network,
        layers: &[Layer],
        data: &Dataset,
        options: Options,
    ) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(Error::io("create the folder", folder))?;
        let names: Vec<&str> = layers.iter().map(|layer| layer.name.as_str()).collect();
        let determines = Options { threads: 0, chunk: None, ..options };
        let analysis = format!(
            "{} {} {} {names:?} {determines:?}",
            env!("CARGO_PKG_VERSION"),
            network.fingerprint(),
            data.fingerprint()?
        );
        Ok(Self { folder, analysis })
    }

    fn path(&self, layer: usize) -> PathBuf {
        self.folder.join(format!("layer-{layer}.json"))
    }

    /// What was found out about the layer at this place, if it is there, whole, and from the same analysis.
    pub fn get(&self, layer: usize) -> Option<LayerResult> {
        let bytes = read_regular(&self.path(layer)).ok()?;
        let Record { analysis, result, directions } = serde_json::from_slice(&bytes).ok()?;
        (analysis == self.analysis).then_some(LayerResult { directions, ..result })
    }

    pub fn put(&self, layer: usize, result: &LayerResult) -> Result<()> {
        let path = self.path(layer);
        let (result, directions) = (result.clone(), result.directions.clone());
        let record = Record { analysis: self.analysis.clone(), result, directions };
        let bytes = serde_json::to_vec(&record).map_err(|error| Error::io("write", &path)(error.into()))?;
        write_atomically(&path, &bytes)
    }
}
