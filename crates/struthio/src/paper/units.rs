//! Section 3: is a single unit more meaningful than a random direction? Figures 1 and 2, for the networks that the
//! paper trained on MNIST, with an answer in figures.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::reproduce::{Event, Run};
use crate::error::Result;
use crate::run::SCHEMA_VERSION;
use crate::units::{Layer, LayerResult, Options, Pooling, analyse};

/// Networks whose units are looked at: the convolutional one of Figures 1 and 2, and a fully connected one.
const NETWORKS: [&str; 2] = ["MNIST-CNN", "FC200-200-10"];
/// Images that stand for a direction.
const TOP: usize = 10;
/// Most units of a layer.
const UNITS: usize = 64;

/// The units of every layer of some networks against random directions, on the test images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UnitsStudy {
    /// Version of the layout of this file.
    pub schema_version: u32,
    /// Images looked at.
    pub examples: usize,
    /// Images that stand for a direction.
    pub top: usize,
    /// What came out.
    pub networks: Vec<NetworkUnits>,
}

/// The layers of one network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NetworkUnits {
    /// The paper's name.
    pub network: String,
    /// What every nonlinearity gives, and the logits.
    pub layers: Vec<LayerResult>,
}

/// Judges the networks of the first training seed.
pub(super) fn units(run: &mut Run<'_>) -> Result<UnitsStudy> {
    let start = Instant::now();
    let (settings, data) = (run.settings, &run.data.test);
    let options = Options {
        k: TOP,
        pooling: Pooling::Mean,
        units: UNITS,
        seed: settings.seed,
        threads: settings.threads,
        maximise: true,
        chunk: None,
    };
    let folder_of =
        |name: &str| run.made.iter().find(|made| made.name == name).map(|made| made.folder.clone());
    let folders: Vec<(&str, String)> =
        NETWORKS.iter().filter_map(|name| Some((*name, folder_of(name)?))).collect();
    let mut networks = Vec::new();
    for (name, folder) in folders {
        let network = run.saved(&folder)?;
        let layers = Layer::select(&network, "all")?;
        let path = run.directory.path().to_owned();
        let observe = &mut *run.observe;
        let layers = analyse(&network, &layers, data, options, &path, run.cancelled, &mut |share, layer| {
            observe(Event::Judging { network: name, layer, share });
        })?;
        networks.push(NetworkUnits { network: name.into(), layers });
    }
    let study = UnitsStudy { schema_version: SCHEMA_VERSION, examples: data.len(), top: TOP, networks };
    run.directory.write_json("units.json", &study)?;
    run.stages.push(("units".into(), start.elapsed().as_secs_f64()));
    Ok(study)
}
