//! Section 3: is a single unit more meaningful than a random direction? Figures 1 and 2, for networks that were
//! trained on MNIST as the paper's, and Figures 3 and 4, for AlexNet, with an answer in figures.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::reproduce::{Event, Run, folder_name};
use crate::data::Dataset;
use crate::error::Result;
use crate::network::Network;
use crate::run::SCHEMA_VERSION;
use crate::units::{Layer, LayerResult, Options, Pooling, analyse};

/// Networks whose units are looked at: the convolutional one of Figures 1 and 2, and a fully connected one.
const NETWORKS: [&str; 2] = ["MNIST-CNN", "FC200-200-10"];
/// Images that stand for a direction.
const TOP: usize = 10;
/// Most units of a layer.
const UNITS: usize = 64;

/// AlexNet as somebody trained it, or another classifier of photographs, and photographs to judge its units by:
/// the matter of Figures 3 and 4.
#[derive(Debug, Clone)]
pub struct AlexNet {
    /// What the network is called.
    pub name: String,
    /// The network.
    pub network: Network,
    /// Images that it was not trained on.
    pub photographs: Dataset,
}

impl AlexNet {
    /// Whether there are photographs enough.
    ///
    /// # Errors
    ///
    /// If there are fewer than twice as many as stand for a direction.
    pub fn check(&self) -> Result<()> {
        options(0, 1).check(&self.photographs)
    }
}

/// The units of every layer of some networks against random directions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UnitsStudy {
    /// Version of the layout of this file.
    pub schema_version: u32,
    /// Images that stand for a direction.
    pub top: usize,
    /// Figures 1 and 2: networks trained on MNIST, by its test images.
    pub mnist: Vec<NetworkUnits>,
    /// Figures 3 and 4: AlexNet by photographs, if it was given.
    pub alexnet: Option<NetworkUnits>,
}

/// The layers of one network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NetworkUnits {
    /// What the network is called; the paper's name if it has one.
    pub network: String,
    /// The images, by the specification they were loaded by.
    pub data: String,
    /// Images looked at.
    pub examples: usize,
    /// What every nonlinearity gives, and the logits.
    pub layers: Vec<LayerResult>,
}

/// Judges the networks of the first training seed, which a brief run leaves out, and AlexNet if there is one.
pub(super) fn units(run: &mut Run<'_>) -> Result<UnitsStudy> {
    let start = Instant::now();
    let mut mnist = Vec::new();
    for &name in if run.settings.brief { &[][..] } else { &NETWORKS } {
        let Some(made) = run.made.iter().find(|made| made.name == name) else { continue };
        let network = run.saved(&made.folder)?;
        mnist.push(judged(run, name, &network, &run.data.test, true)?);
    }
    let alexnet = run.alexnet.map(|of| judged(run, &of.name, &of.network, &of.photographs, false));
    let study = UnitsStudy { schema_version: SCHEMA_VERSION, top: TOP, mnist, alexnet: alexnet.transpose()? };
    run.directory.write_json("units.json", &study)?;
    run.stages.push(("units".into(), start.elapsed().as_secs_f64()));
    Ok(study)
}

/// Judges all layers of a network; images to `maximise` directions are made in seconds if they are small.
fn judged(
    run: &mut Run<'_>,
    name: &str,
    network: &Network,
    data: &Dataset,
    maximise: bool,
) -> Result<NetworkUnits> {
    let layers = Layer::select(network, "all")?;
    let options = Options { maximise, ..options(run.settings.seed, run.settings.threads) };
    let folder = run.directory.workspace(&format!("units/{}", folder_name(name)))?;
    let observe = &mut *run.observe;
    let layers = analyse(network, &layers, data, options, &folder, run.cancelled, &mut |share, layer| {
        observe(Event::Judging { network: name, layer, share });
    })?;
    Ok(NetworkUnits { network: name.into(), data: data.name().into(), examples: data.len(), layers })
}

fn options(seed: u64, threads: usize) -> Options {
    Options { k: TOP, pooling: Pooling::Mean, units: UNITS, seed, threads, maximise: false, chunk: None }
}
