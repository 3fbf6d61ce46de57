use serde::{Deserialize, Serialize};

use crate::data::{Dataset, class_name};
use crate::error::Result;
use crate::network::{Classifier, Network};

/// Version of everything written to a run directory.
pub const SCHEMA_VERSION: u32 = 1;

/// What was run, on what: `manifest.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Version of struthio.
    pub struthio: String,
    /// The command with every option that determines the results, defaults included.
    pub command: Vec<String>,
    /// Seed of all random streams.
    pub seed: u64,
    /// The models involved.
    pub models: Vec<ModelRecord>,
    /// The data involved.
    pub data: Vec<DataRecord>,
    /// Names of the classes by their numbers, where they have names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub class_names: Vec<String>,
}

/// Which model it was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelRecord {
    /// File name without its folder, or the name of the architecture.
    pub name: String,
    /// SHA-256 of structure and constants as they were executed.
    pub sha256: String,
    /// Shape of one input.
    pub input: Vec<usize>,
    /// Number of classes.
    pub classes: usize,
    /// Which of its classes each class of the results is, if it counts them differently.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub class_order: Vec<usize>,
}

/// Which data it was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DataRecord {
    /// The specification it was loaded by.
    pub name: String,
    /// SHA-256 of shape, pixels and labels.
    pub sha256: String,
    /// Number of examples.
    pub examples: usize,
}

impl ModelRecord {
    /// Of `network`, which is called `name`.
    #[must_use]
    pub fn of(name: &str, network: &Network) -> Self {
        Self {
            name: name.into(),
            sha256: network.fingerprint(),
            input: network.input().shape.clone(),
            classes: network.classes(),
            class_order: Vec::new(),
        }
    }
}

impl DataRecord {
    /// Of `data`.
    ///
    /// # Errors
    ///
    /// If the images cannot be read.
    pub fn of(data: &Dataset) -> Result<Self> {
        Ok(Self { name: data.name().into(), sha256: data.fingerprint()?, examples: data.len() })
    }
}

impl Manifest {
    /// A manifest of this version of struthio without models and data.
    #[must_use]
    pub fn new(command: Vec<String>, seed: u64) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            struthio: env!("CARGO_PKG_VERSION").into(),
            command,
            seed,
            models: Vec::new(),
            data: Vec::new(),
            class_names: Vec::new(),
        }
    }

    /// What the class `number` is called: its name, or the number.
    #[must_use]
    pub fn class(&self, number: usize) -> String {
        class_name(&self.class_names, number)
    }

    /// The command as it would be typed.
    #[must_use]
    pub fn command_line(&self) -> String {
        self.command.join(" ")
    }

    /// In what the run of `there` is another than this one, in words. It may know more models, which
    /// become known while a run goes on.
    pub(super) fn differences(&self, there: &Self) -> Vec<String> {
        let mut differences = Vec::new();
        let mut compare = |what: &str, ours: String, theirs: String| {
            if ours != theirs {
                differences.push(format!("{what}: {theirs} there, {ours} now"));
            }
        };
        let version = |of: &Self| format!("{} (schema {})", of.struthio, of.schema_version);
        compare("version of struthio", version(self), version(there));
        compare("seed", self.seed.to_string(), there.seed.to_string());
        compare("command", self.command_line(), there.command_line());
        for (i, model) in self.models.iter().enumerate() {
            let describe = |model: &ModelRecord| format!("{} with SHA-256 {}", model.name, model.sha256);
            let theirs = there.models.get(i).map_or_else(|| "none".into(), describe);
            compare("model", describe(model), theirs);
        }
        let data = |of: &Self| {
            let one = |data: &DataRecord| format!("{} with SHA-256 {}", data.name, data.sha256);
            of.data.iter().map(one).collect::<Vec<_>>().join(", ")
        };
        compare("data", data(self), data(there));
        if self.class_names != there.class_names {
            differences.push("class names: others there than now".to_owned());
        }
        differences
    }
}

/// What may differ between two runs of the same command: `timing.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Worker threads.
    pub threads: usize,
    /// Seconds the whole command took; of a continued run, the last process alone.
    pub seconds: f64,
    /// Whether the run was stopped and continued.
    pub continued: bool,
    /// SHA-256 of `SHA256SUMS`.
    pub sums: String,
    /// Seconds of its stages, in order.
    pub stages: Vec<(String, f64)>,
    /// Largest resident memory in bytes, where the system tells.
    pub peak_memory: Option<u64>,
}

impl Timing {
    /// A record that ends now.
    #[must_use]
    pub fn new(
        threads: usize,
        seconds: f64,
        stages: Vec<(String, f64)>,
        continued: bool,
        sums: String,
    ) -> Self {
        let peak_memory = peak_memory();
        Self { schema_version: SCHEMA_VERSION, threads, seconds, continued, sums, stages, peak_memory }
    }
}

/// `VmHWM` of Linux's process status.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}
