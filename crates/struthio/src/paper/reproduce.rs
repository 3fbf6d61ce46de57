//! `reproduce`: everything, in the paper's order.

use std::sync::atomic::AtomicBool;
use std::time::Instant;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::table1::{NetworkReport, PAPER_TABLE_1, PaperNetwork, SeedResult, Table1, Table1Row};
use super::transfer::{Figure7, HalfSplit, TransferTables, transfer};
use super::units::{AlexNet, UnitsStudy, units};
use crate::attack::{Attack, Criterion, Example, Lanes, Lbfgs, attack_all};
use crate::data::{Dataset, mnist_test, mnist_train};
use crate::error::Result;
use crate::network::{Architecture, Family, Network, onnx};
use crate::run::{
    AttackSummary, DataRecord, Manifest, ModelRecord, Recorded, RecordedRow, Recorder, Recording,
    RunDirectory, SCHEMA_VERSION,
};
use crate::training::{Progress, Recipe, TrainingCache, Unfinished, count_errors, predictions};

/// What to reproduce, and how.
#[derive(Debug, Clone)]
pub struct ReproduceSettings {
    /// Correctly classified training images attacked per network.
    pub samples: usize,
    /// Training seeds of every network whose optimum depends on them, but for the convolutional one.
    pub training_seeds: u64,
    /// Whether to train the convolutional network for one epoch only, and not to judge its units.
    pub brief: bool,
    /// How the training images are divided for Tables 3 and 4.
    pub split: HalfSplit,
    /// Worker threads.
    pub threads: usize,
    /// Searches in progress per thread.
    pub lanes: usize,
    /// Seed of everything.
    pub seed: u64,
    /// Where trained networks are kept.
    pub cache: TrainingCache,
}

/// Something a progress display shows.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// What an earlier process left of a training is about to be continued.
    Continuing {
        /// The network's name.
        network: &'a str,
        /// How far it came.
        unfinished: &'a Unfinished,
    },
    /// A network is being trained.
    Training {
        /// Its name.
        network: &'a str,
        /// How far it is.
        progress: Progress,
    },
    /// A network is ready.
    Trained {
        /// Its name.
        network: &'a str,
        /// Whether it came from the cache.
        cached: bool,
    },
    /// A network was trained and attacked by an earlier process of this run.
    AttackedBefore {
        /// Its name.
        network: &'a str,
    },
    /// Some of what an earlier process found is damaged and looked for again.
    Damaged {
        /// The network's name.
        network: &'a str,
        /// Images to attack again.
        images: usize,
    },
    /// A network is being attacked.
    Attacking {
        /// Its name.
        network: &'a str,
        /// Images done.
        done: usize,
        /// Images in all.
        total: usize,
    },
    /// A row of Table 1 is complete.
    Row(&'a Table1Row),
    /// The units of a network are being judged.
    Judging {
        /// Its name.
        network: &'a str,
        /// The layer, or what is done first.
        layer: &'a str,
        /// How much of this network is done.
        share: f64,
    },
    /// What was made for one network is shown to others.
    Transferring {
        /// Which of the tables it is for.
        table: &'a str,
        /// Images classified.
        done: usize,
        /// Images in all.
        total: usize,
    },
}

/// What a reproduction leaves besides its files.
#[derive(Debug, Clone)]
pub struct Reproduction {
    /// What was run.
    pub manifest: Manifest,
    /// Table 1.
    pub table1: Table1,
    /// For each row of the table, what its figures show.
    pub networks: Vec<NetworkReport>,
    /// Section 3: units against random directions.
    pub units: UnitsStudy,
    /// Tables 2 to 4, and what the paper claims about them.
    pub transfer: TransferTables,
    /// Figure 7.
    pub figure7: Figure7,
    /// Seconds of every stage.
    pub stages: Vec<(String, f64)>,
}

/// MNIST, both halves.
#[derive(Debug, Clone)]
pub struct Mnist {
    pub(super) train: Dataset,
    pub(super) test: Dataset,
}

impl Mnist {
    /// Unpacks it.
    pub fn load() -> Result<Self> {
        Ok(Self { train: mnist_train()?, test: mnist_test()? })
    }

    /// The test images.
    #[must_use]
    pub fn test(&self) -> &Dataset {
        &self.test
    }

    /// Both halves as a manifest names them.
    ///
    /// # Errors
    ///
    /// If the images cannot be read.
    pub fn records(&self) -> Result<Vec<DataRecord>> {
        [&self.train, &self.test].into_iter().map(DataRecord::of).collect()
    }
}

/// Trains the paper's networks, attacks them, and files everything in `directory`; judges the units of some of
/// them, and of `alexnet` if there is one.
///
/// What earlier processes of the same run finished is taken from there.
pub fn reproduce(
    settings: &ReproduceSettings,
    data: &Mnist,
    alexnet: Option<&AlexNet>,
    directory: &mut RunDirectory,
    cancelled: &AtomicBool,
    observe: &mut (dyn FnMut(Event<'_>) + Send),
) -> Result<Reproduction> {
    let (stages, made) = (Vec::new(), Vec::new());
    let mut run = Run { settings, data, alexnet, directory, cancelled, observe, stages, made };
    let (mut rows, mut networks) = (Vec::new(), Vec::new());
    for network in &PAPER_TABLE_1 {
        let (row, report) = run.row(network)?;
        (run.observe)(Event::Row(&row));
        rows.push(row);
        networks.push(report);
    }
    let table1 = Table1 { schema_version: SCHEMA_VERSION, samples: settings.samples, table1: rows };
    let units = units(&mut run)?;
    let (transfer, figure7) = transfer(&mut run, &table1, &networks)?;
    let manifest = run.directory.manifest().clone();
    Ok(Reproduction { manifest, table1, networks, units, transfer, figure7, stages: run.stages })
}

pub(super) struct Run<'a> {
    pub settings: &'a ReproduceSettings,
    pub data: &'a Mnist,
    pub alexnet: Option<&'a AlexNet>,
    pub directory: &'a mut RunDirectory,
    pub cancelled: &'a AtomicBool,
    pub observe: &'a mut (dyn FnMut(Event<'_>) + Send),
    pub stages: Vec<(String, f64)>,
    /// What was made for each network with the first training seed.
    pub made: Vec<MadeFor>,
}

/// The perturbations made for one network, and where they are.
pub(super) struct MadeFor {
    pub name: String,
    pub folder: String,
    pub rows: Vec<RecordedRow>,
}

/// What a folder of one attack says in its `summary.json`.
pub(super) trait Attacked: Serialize + DeserializeOwned {
    fn attack(&self) -> &AttackSummary;
}

impl Attacked for SeedResult {
    fn attack(&self) -> &AttackSummary {
        &self.attack
    }
}

impl Attacked for AttackSummary {
    fn attack(&self) -> &AttackSummary {
        self
    }
}

impl Run<'_> {
    /// Trains and attacks one network of the paper with every training seed.
    fn row(&mut self, paper: &PaperNetwork) -> Result<(Table1Row, NetworkReport)> {
        let mut results = Vec::new();
        let mut report = NetworkReport { name: paper.name.into(), ..NetworkReport::default() };
        let seeds = 0..paper.training_seeds(self.settings.training_seeds)?;
        for seed in seeds.map(|i| self.settings.seed.wrapping_add(i)) {
            let (architecture, recipe) = paper.recipe(seed, self.settings.brief)?;
            let folder = format!("networks/{}/seed-{seed}", folder_name(paper.name));
            let train = &self.data.train;
            let (result, recorded) = if let Some(before) = self.attacked_before(paper.name, &folder, train)? {
                before
            } else {
                let network = self.trained(paper.name, &architecture, train, &recipe)?;
                self.attacked(paper.name, seed, &folder, &network)?
            };
            if report.rms.is_empty() {
                (report.rms, report.gallery) = (recorded.rms, recorded.gallery);
                let (name, place) = (paper.name.into(), folder.clone());
                self.made.push(MadeFor { name, folder: place, rows: recorded.rows });
                if architecture.family == Family::Autoencoder {
                    report.filters = filters(&self.saved(&folder)?);
                }
            }
            results.push(result);
        }
        Ok((Table1Row::new(paper, results), report))
    }

    pub fn trained(
        &mut self,
        name: &str,
        architecture: &Architecture,
        train: &Dataset,
        recipe: &Recipe,
    ) -> Result<Network> {
        let start = Instant::now();
        let cache = &self.settings.cache;
        if let Some(unfinished) = &cache.unfinished(architecture, train, recipe) {
            (self.observe)(Event::Continuing { network: name, unfinished });
        }
        let observe = &mut *self.observe;
        let mut progress = |progress| observe(Event::Training { network: name, progress });
        let (network, cached) = cache.get_or_train(
            architecture,
            train,
            recipe,
            self.settings.threads,
            self.cancelled,
            &mut progress,
        )?;
        (self.observe)(Event::Trained { network: name, cached });
        self.stages.push((format!("train {name}, seed {}", recipe.seed), start.elapsed().as_secs_f64()));
        Ok(network)
    }

    /// The network that this run attacked in `folder`.
    pub fn saved(&self, folder: &str) -> Result<Network> {
        onnx::read(&self.directory.path().join(folder).join("model.onnx"))
    }

    /// What an earlier process of this run left in `folder`, if it came to the end of the attack.
    pub fn attacked_before<T: Attacked>(
        &mut self,
        name: &str,
        folder: &str,
        data: &Dataset,
    ) -> Result<Option<(T, Recorded)>> {
        let summary = format!("{folder}/summary.json");
        let Some(result) = self.directory.read_json::<T>(&summary) else { return Ok(None) };
        let attack = Lbfgs::default();
        let examples = result.attack().examples as usize;
        let recorder = Recorder::open(self.directory, recording(folder, data, examples, &attack))?;
        if recorder.done() < examples {
            (self.observe)(Event::Damaged { network: name, images: recorder.damaged() });
            return Ok(None);
        }
        let kept = [summary, format!("{folder}/model.onnx")];
        let there = kept.iter().filter(|name| self.directory.path().join(name).exists());
        there.for_each(|name| self.directory.adopt(name));
        (self.observe)(Event::AttackedBefore { network: name });
        Ok(Some((result, recorder.finish(self.settings.seed)?)))
    }

    /// Files a network that is about to be attacked.
    pub fn file(&mut self, name: &str, seed: u64, folder: &str, network: &Network) -> Result<()> {
        self.directory.add_model(ModelRecord::of(&format!("{name}, seed {seed}"), network))?;
        self.directory.write(&format!("{folder}/model.onnx"), &onnx::write(network))
    }

    fn attacked(
        &mut self,
        name: &str,
        seed: u64,
        folder: &str,
        network: &Network,
    ) -> Result<(SeedResult, Recorded)> {
        let start = Instant::now();
        let (threads, train, test) = (self.settings.threads, &self.data.train, &self.data.test);
        self.file(name, seed, folder, network)?;
        let classes = predictions(network, train, threads)?;
        let train_mistakes =
            classes.iter().enumerate().filter(|&(i, class)| *class != Some(train.label(i))).count();
        let test_mistakes = count_errors(network, test, threads)?;
        let right: Vec<usize> = (0..train.len())
            .filter(|&i| classes[i] == Some(train.label(i)))
            .take(self.settings.samples)
            .collect();
        let recorded = self.attack(name, folder, network, train, &right)?;
        self.stages.push((format!("attack {name}, seed {seed}"), start.elapsed().as_secs_f64()));
        let result = SeedResult {
            seed,
            train_mistakes: train_mistakes as u64,
            train_error: train_mistakes as f64 / train.len() as f64,
            test_mistakes: test_mistakes as u64,
            test_error: test_mistakes as f64 / test.len() as f64,
            attack: recorded.summary.clone(),
        };
        self.directory.write_json(&format!("{folder}/summary.json"), &result)?;
        Ok((result, recorded))
    }

    /// The closest adversarial image of each of the `images` of `data`.
    pub fn attack(
        &mut self,
        name: &str,
        folder: &str,
        network: &Network,
        data: &Dataset,
        images: &[usize],
    ) -> Result<Recorded> {
        let total = images.len();
        let attack = Lbfgs::default();
        let mut recorder = Recorder::open(self.directory, recording(folder, data, total, &attack))?;
        if recorder.damaged() > 0 {
            (self.observe)(Event::Damaged { network: name, images: recorder.damaged() });
        }
        let images = &images[recorder.done()..];
        let example = |i: usize| {
            Ok(Example {
                index: data.index(images[i]),
                image: data.image(images[i])?,
                label: data.label(images[i]),
                criterion: Criterion::NotClass(data.label(images[i])),
            })
        };
        let ReproduceSettings { threads, lanes, seed, .. } = *self.settings;
        let lanes = Lanes { threads, lanes, budget: None, seed };
        let observe = &mut *self.observe;
        attack_all(network, &attack, lanes, images.len(), &example, self.cancelled, &mut |outcome| {
            recorder.record(vec![outcome])?;
            observe(Event::Attacking { network: name, done: recorder.done(), total });
            Ok(())
        })?;
        recorder.finish(seed)
    }
}

/// The recording of an attack on `examples` images.
fn recording<'a>(
    folder: &'a str,
    data: &'a Dataset,
    examples: usize,
    attack: &'a dyn Attack,
) -> Recording<'a> {
    Recording { folder, data, examples, attack: attack.name(), per_target: false, measures: &[] }
}

/// The weights of each unit of an autoencoder's encoder, one per pixel.
fn filters(network: &Network) -> Vec<Vec<f32>> {
    network.graph().parameters().next().map_or_else(Vec::new, |weight| {
        let units = weight.shape[1];
        (0..units).map(|unit| weight.values.iter().skip(unit).step_by(units).copied().collect()).collect()
    })
}

/// `FC10(1e-4)` → `fc10-1e-4`
pub(super) fn folder_name(network: &str) -> String {
    network.to_lowercase().replace('(', "-").replace(')', "")
}
