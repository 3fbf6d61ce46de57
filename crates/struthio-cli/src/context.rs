//! What every command needs: settings that hold for all of them, and things several of them do.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use anyhow::{Context as _, Result, anyhow, bail};
use etcetera::BaseStrategy;
use serde::Serialize;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use struthio::attack::FirstLook;
use struthio::data::{
    ArrayNames, ClassNames, DataSpec, Dataset, Loading, Split, Wanted, channels_assumed, for_each_channel,
};
use struthio::network::onnx::{self, InputShape};
use struthio::network::{Classifier, Network};
use struthio::run::{Manifest, ModelRecord, Opened, Resume, RunDirectory};
use struthio::training::{TrainingCache, labelled_by_predictions};

use crate::args::{self, Cache, Global, Model, Normalization, Pixels};
use crate::continuation::continuation;
use crate::printer::{LateBar, Printer};

pub struct Context {
    pub seed: u64,
    pub threads: usize,
    pub printer: Printer,
    pub started: Instant,
    pub cancelled: Arc<AtomicBool>,
    continuation: OnceLock<String>,
}

impl Context {
    pub fn new(global: &Global) -> Result<Self> {
        let cancelled = Arc::new(AtomicBool::new(false));
        listen(&cancelled).context("cannot listen for Ctrl-C")?;
        let available = || std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            seed: global.seed,
            threads: global.threads.map_or_else(available, usize::from),
            printer: Printer::new(global.format, global.quiet),
            started: Instant::now(),
            cancelled,
            continuation: OnceLock::new(),
        })
    }

    /// The command that continues this one if it is stopped, once there is something to continue.
    pub fn continuation(&self) -> Option<&str> {
        self.continuation.get().map(String::as_str)
    }

    /// Notes that from now on this command can be continued, in the folder `out` if none was named.
    pub fn can_be_continued(&self, out: Option<&Path>) {
        self.continuation.get_or_init(|| continuation(out));
    }

    /// The folder asked for, or one called `stem` and a number, for the run of `manifest`.
    pub fn open_run(
        &self,
        out: Option<&Path>,
        stem: &str,
        manifest: Manifest,
        resume: Resume,
    ) -> Result<Opened> {
        let asked = resume == Resume::Asked;
        if asked && out.is_some_and(Path::exists) {
            self.can_be_continued(None); // by the very same words, whatever happens next
        }
        let opened = match out {
            Some(path) => Opened::at(path, manifest, resume)?,
            None => Opened::numbered(stem, manifest, resume)?,
        };
        match &opened {
            Opened::Complete(path) => {
                self.printer.note(&format!("the run in {} is complete; nothing to do", path.display()));
            }
            Opened::Unfinished(run) => {
                if run.is_continued() {
                    self.printer.note(&format!("continuing the run in {}", run.path().display()));
                } else if asked {
                    self.printer.note(&format!("no run to continue; starting in {}", run.path().display()));
                }
                if resume != Resume::Never {
                    self.can_be_continued(out.is_none().then(|| run.path()));
                }
            }
        }
        Ok(opened)
    }

    /// Writes report and summary of a run, and ends it; its folder.
    pub fn finish_run(
        &self,
        directory: RunDirectory,
        report: &str,
        summary: &impl Serialize,
        stages: Vec<(String, f64)>,
    ) -> Result<PathBuf> {
        directory.write("report.html", report.as_bytes())?;
        directory.write_json("summary.json", summary)?;
        let path = directory.path().to_owned();
        directory.finish(self.threads, self.started.elapsed().as_secs_f64(), stages)?;
        Ok(path)
    }

    /// Says how long the run in `path` took, and where its report is.
    pub fn done(&self, path: &Path) {
        let (seconds, report) = (self.started.elapsed().as_secs_f64(), path.join("report.html"));
        self.printer.done(&format!("{seconds:.1} s; the report is {}", report.display()));
    }

    /// Loads data, for the model if there is one, with whatever is worth saying about it.
    pub fn load_data(
        &self,
        spec: &DataSpec,
        split: Split,
        wanted: Option<Wanted<'_>>,
        names: Option<&ClassNames>,
        files: &args::Files,
    ) -> Result<Dataset> {
        let bar = LateBar::new(&self.printer, "read images");
        let data = spec.load(&Loading {
            split,
            wanted,
            names,
            arrays: ArrayNames { x: files.x.as_deref(), y: files.y.as_deref() },
            inverted: files.invert,
            strict: files.strict,
            threads: self.threads,
            cancelled: Some(&self.cancelled),
            progress: &|done, total| bar.show(done, total),
        })?;
        drop(bar);
        data.notes().iter().for_each(|note| self.printer.note(note));
        Ok(data)
    }

    /// The data to judge the model on, whose classes it has.
    pub fn load_data_for(
        &self,
        model: &LoadedModel,
        data: &args::Data,
        names: Option<&ClassNames>,
    ) -> Result<Dataset> {
        names.map_or(Ok(()), |names| model.check_names(names))?;
        let data = self.load_for(model, data, Some(model.network.classes()), names)?;
        self.labelled(data, &model.network, &model.name)
    }

    /// The same data; images without labels get those that `classifier`, called `model`, gives them, and it is said so.
    pub fn labelled(&self, data: Dataset, classifier: &dyn Classifier, model: &str) -> Result<Dataset> {
        if data.is_labelled() {
            return Ok(data);
        }
        let said = data.notes().len();
        let data = labelled_by_predictions(classifier, model, data, self.threads)?;
        data.notes().iter().skip(said).for_each(|note| self.printer.note(note));
        Ok(data)
    }

    /// Images in the shape that the model takes, whose classes may be others than the model's.
    pub fn load_images_for(
        &self,
        model: &LoadedModel,
        data: &args::Data,
        names: Option<&ClassNames>,
    ) -> Result<Dataset> {
        self.load_for(model, data, None, names)
    }

    fn load_for(
        &self,
        model: &LoadedModel,
        data: &args::Data,
        classes: Option<usize>,
        names: Option<&ClassNames>,
    ) -> Result<Dataset> {
        if seems_of_imagenet(&model.network) {
            self.printer.note(&format!(
                "{} seems to be a classifier of ImageNet and gets pixels of [0, 1] as they are; those of torchvision \
                 want --normalize imagenet",
                model.name
            ));
        }
        let wanted = Wanted { model: &model.name, shape: &model.network.input().shape, classes };
        self.load_data(&data.data.parse()?, Split::Test, Some(wanted), names, &data.files)
    }

    /// What seems wrong with how the `model`, asked as `classifier`, is used on `data`. It is said at once, with
    /// `prefix` before it, so that nobody waits for results that are worth nothing.
    pub fn first_look(
        &self,
        prefix: &str,
        model: &LoadedModel,
        classifier: &dyn Classifier,
        data: &Dataset,
    ) -> Result<Vec<String>> {
        let images = |operations: u64, least: usize, most: usize| {
            ((operations / model.network.flops().max(1)) as usize).clamp(least, most)
        };
        let look = FirstLook {
            classifier,
            data,
            normalization: model.normalization.as_ref().map(|(mean, std)| (&mean[..], &std[..])),
            most: images(LoadedModel::LOOK, 32, 512),
            few: images(LoadedModel::TRY, 16, 128),
            threads: self.threads,
        };
        let remarks: Vec<String> =
            look.remarks()?.into_iter().map(|remark| format!("{prefix}{remark}")).collect();
        remarks.iter().for_each(|remark| self.printer.note(remark));
        Ok(remarks)
    }

    /// The model that `source` names, with whatever is worth saying about it.
    pub fn load_model(&self, source: &ModelSource<'_>) -> Result<LoadedModel> {
        let ModelSource { path, output, pixels, data } = *source;
        let asked: Vec<usize> = pixels.input_shape.iter().map(|&size| size as usize).collect();
        let spec = data.map(str::parse::<DataSpec>).transpose()?;
        let of_data = || spec.as_ref().map_or(Ok(None), DataSpec::image_shape);
        let input = InputShape { asked: (!asked.is_empty()).then_some(&asked), of_data: Some(&of_data) };
        let mut network = onnx::read_with(path, onnx::Options { output, input })?;
        let mut normalization = None;
        let origin = path.display().to_string();
        let mut notes = network.notes().to_vec();
        if let Some((mean, std)) = pixels.mean_and_std() {
            if let Some(bad) = std.iter().find(|&&s| !(s.is_normal() && s > 0.0)) {
                bail!("--std must be at least 1.2e-38, found {bad}");
            }
            if let Some(bad) = mean.iter().find(|m| !m.is_finite()) {
                bail!("--mean must be finite, found {bad}");
            }
            let shape = network.input().shape.clone();
            let named = |option| if pixels.normalize.is_some() { "--normalize" } else { option };
            let options = [(named("--mean"), mean), (named("--std"), std)];
            let [mean, std] = options.map(|(option, values)| {
                for_each_channel(&shape, values).map_err(|found| {
                    anyhow!(
                        "{option} has {} values, but the images of {origin} have {found}; give one for \
                         each, or one for all",
                        values.len()
                    )
                })
            });
            let (mean, std) = (mean?, std?);
            network = network.normalized(&origin, &mean, &std)?;
            normalization = Some((mean, std));
            match shape[..] {
                [size] if pixels.mean_and_std().is_some_and(|(mean, _)| mean.len() > 1) => notes.push(format!(
                    "the {size} values of an image are taken as one channel after the other, each normalised by its own mean"
                )),
                _ => notes.extend(channels_assumed(&shape)),
            }
        }
        notes.iter().for_each(|note| self.printer.note(note));
        let name = path.file_name().map_or(origin, |name| name.to_string_lossy().into_owned());
        Ok(LoadedModel { network, name, notes, normalization })
    }
}

/// Whether `network` has the classes of `ImageNet`, and a convolution is the first thing that happens to colours.
fn seems_of_imagenet(network: &Network) -> bool {
    // Channels that come last are turned first.
    let first = network.graph().nodes().iter().find(|node| node.op.kind() != "Rearrange");
    network.classes() == 1000
        && matches!(network.input().shape[..], [3, _, _] | [_, _, 3])
        && first.is_some_and(|node| node.op.kind() == "Conv")
}

/// Asked to stop once, a command does so where it can be continued; asked twice, at once.
fn listen(cancelled: &Arc<AtomicBool>) -> std::io::Result<()> {
    // SIGHUP ends a process as ever, so that nohup works; what was finished is on disk.
    for signal in [SIGINT, SIGTERM] {
        let again = i32::from(crate::INTERRUPTED);
        flag::register_conditional_shutdown(signal, again, Arc::clone(cancelled))?;
        flag::register(signal, Arc::clone(cancelled))?;
    }
    // A file beyond the allowed size ends a process without a word, unless somebody listens: then the
    // write fails as any other.
    #[cfg(unix)]
    flag::register(signal_hook::consts::SIGXFSZ, Arc::default())?;
    Ok(())
}

/// The cache asked for, or the user's.
pub fn training_cache(cache: &Cache) -> Result<TrainingCache> {
    let folder: PathBuf = match &cache.cache {
        Some(folder) => folder.clone(),
        None => etcetera::choose_base_strategy()
            .context("cannot tell the user's cache folder; name one with --cache")?
            .cache_dir()
            .join("struthio"),
    };
    Ok(TrainingCache::new(folder))
}

impl Pixels {
    /// The options of pixels, as they are recorded.
    pub fn normalization(&self) -> Vec<String> {
        let shape: Vec<String> = self.input_shape.iter().map(ToString::to_string).collect();
        let asked = (!shape.is_empty()).then(|| vec!["--input-shape".to_owned(), shape.join(",")]);
        [asked.unwrap_or_default(), self.normalization_alone()].concat()
    }

    fn normalization_alone(&self) -> Vec<String> {
        let list = |values: &[f32]| values.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        match self.normalize {
            Some(Normalization::None) => Vec::new(),
            Some(Normalization::Imagenet) => ["--normalize", "imagenet"].map(String::from).into(),
            Some(Normalization::Mnist) => ["--normalize", "mnist"].map(String::from).into(),
            None if self.mean.is_empty() => Vec::new(),
            None => vec!["--mean".to_owned(), list(&self.mean), "--std".to_owned(), list(&self.std)],
        }
    }

    /// What is done to pixels.
    pub fn words(&self) -> String {
        let words = self.normalization();
        if words.is_empty() {
            "used as they are in [0, 1]".into()
        } else {
            format!("normalised by {}", words.join(" "))
        }
    }

    /// Mean and standard deviation, if any are asked for.
    fn mean_and_std(&self) -> Option<(&[f32], &[f32])> {
        match self.normalize {
            Some(Normalization::None) => None,
            Some(Normalization::Imagenet) => Some((&[0.485, 0.456, 0.406], &[0.229, 0.224, 0.225])),
            Some(Normalization::Mnist) => Some((&[0.1307], &[0.3081])),
            None => (!self.mean.is_empty()).then_some((&self.mean, &self.std)),
        }
    }
}

impl Model {
    /// The model for images as in `data`, if there is any.
    pub fn for_data<'a>(&'a self, data: Option<&'a str>) -> ModelSource<'a> {
        ModelSource { path: &self.path, output: self.output.as_deref(), pixels: &self.pixels, data }
    }

    /// The options of the model, as they are recorded.
    pub fn words(&self) -> Vec<String> {
        let output = self.output.iter().flat_map(|name| ["--output".to_owned(), name.clone()]);
        output.chain(self.pixels.normalization()).collect()
    }
}

impl args::PixelsOfModels {
    /// Whether it was given for all `models` together, or for each.
    pub fn check(&self, models: usize) -> Result<()> {
        let given =
            [("--normalize", self.normalize.len()), ("--mean", self.mean.len()), ("--std", self.std.len())];
        match given.into_iter().find(|&(_, times)| times > 1 && times != models) {
            Some((name, times)) => {
                bail!(
                    "{name} is given {times} times for {models} models; give it once for all, or once for each"
                )
            }
            None if self.mean.len() != self.std.len() => bail!(
                "--mean is given {} times and --std {} times; every mean needs its standard deviation",
                self.mean.len(),
                self.std.len()
            ),
            None => Ok(()),
        }
    }

    /// Whether each model has its own.
    pub fn differ(&self) -> bool {
        self.normalize.len() > 1 || self.mean.len() > 1
    }

    /// Those of a model.
    pub fn of(&self, model: usize) -> Pixels {
        fn one<T>(given: &[T], model: usize) -> Option<&T> {
            given.get(model).or(given.first().filter(|_| given.len() == 1))
        }
        let list = |given: &[args::Numbers]| one(given, model).map(|list| list.0.clone()).unwrap_or_default();
        Pixels {
            input_shape: self.input_shape.clone(),
            mean: list(&self.mean),
            normalize: one(&self.normalize, model).copied(),
            std: list(&self.std),
        }
    }

    /// The options, as they are recorded.
    pub fn words(&self) -> Vec<String> {
        if !self.differ() {
            return self.of(0).normalization();
        }
        let of = |model: usize| match self.of(model).normalization() {
            words if words.is_empty() => ["--normalize", "none"].map(String::from).into(),
            words => words,
        };
        (0..self.normalize.len().max(self.mean.len())).flat_map(of).collect()
    }
}

impl args::Data {
    /// The names of the classes, if any are given.
    pub fn names(&self) -> Result<Option<ClassNames>> {
        Ok(self.classes.as_deref().map(ClassNames::read).transpose()?)
    }

    /// The options of the data, as they are recorded; `name` is that of the loaded data.
    pub fn words(&self, name: &str) -> Vec<String> {
        let data = vec!["--data".to_owned(), name.to_owned()];
        [data, classes_words(self.classes.as_deref()), self.files.words()].concat()
    }
}

impl args::Files {
    /// The options as they are recorded.
    pub fn words(&self) -> Vec<String> {
        let arrays = [("--x", &self.x), ("--y", &self.y)];
        let named = arrays.into_iter().filter_map(|(option, name)| Some([option.to_owned(), name.clone()?]));
        let mut words: Vec<String> = named.flatten().collect();
        words.extend(self.invert.then(|| "--invert".to_owned()));
        words
    }
}

/// The option of class names, as it is recorded.
pub fn classes_words(file: Option<&Path>) -> Vec<String> {
    file.and_then(Path::file_name)
        .map_or_else(Vec::new, |name| vec!["--classes".to_owned(), name.to_string_lossy().into_owned()])
}

impl args::Resume {
    /// What to do about a run that is there already.
    pub fn wanted(&self) -> Resume {
        if self.resume { Resume::Asked } else { Resume::NotAsked }
    }
}

impl args::Lanes {
    /// Batches of so many keep the processor busy.
    const ENOUGH: usize = 64;
    const BYTES_PER_THREAD: usize = 1 << 28;

    /// The number asked for, or enough.
    pub fn number(&self) -> usize {
        self.lanes.map_or(Self::ENOUGH, usize::from)
    }

    /// As many images as go with the memory that each takes, at most `enough`.
    pub fn fitting(bytes_per_image: usize, enough: usize) -> usize {
        (Self::BYTES_PER_THREAD / bytes_per_image.max(1)).clamp(4, enough)
    }

    /// The number asked for, or as many as go with the memory that each image takes.
    pub fn number_for(&self, bytes_per_image: usize) -> usize {
        self.lanes.map_or_else(|| Self::fitting(bytes_per_image, Self::ENOUGH), usize::from)
    }
}

/// Where a model comes from, and what it wants.
#[derive(Clone, Copy)]
pub struct ModelSource<'a> {
    pub path: &'a Path,
    /// The name of the output that holds class scores; none for the one that looks like them.
    pub output: Option<&'a str>,
    pub pixels: &'a Pixels,
    /// The data whose images the model is to take: theirs are the sizes that it leaves open.
    pub data: Option<&'a str>,
}

pub struct LoadedModel {
    pub network: Network,
    /// File name without its folder.
    pub name: String,
    pub notes: Vec<String>,
    /// Mean and standard deviation that pixels are normalised with.
    pub normalization: Option<(Vec<f32>, Vec<f32>)>,
}

impl LoadedModel {
    /// Operations that a first look at a model on its data may take, and those for each remedy that it tries.
    const LOOK: u64 = 200_000_000_000;
    const TRY: u64 = 50_000_000_000;

    /// The name without its extension, for folders.
    pub fn stem(&self) -> &str {
        self.name.strip_suffix(".onnx").unwrap_or(&self.name)
    }

    pub fn check_class(&self, class: usize) -> Result<()> {
        let classes = self.network.classes();
        if class >= classes {
            bail!(
                "class {class} is not one of the {classes} classes (0 to {}) of {}",
                classes - 1,
                self.name
            );
        }
        Ok(())
    }

    /// The names by which a class may be called: those `given`, or `ImageNet`'s for as many classes.
    pub fn names(&self, given: Option<&ClassNames>) -> Option<ClassNames> {
        let imagenet = ClassNames::imagenet();
        let as_many = imagenet.names().len() == self.network.classes();
        given.cloned().or_else(|| as_many.then_some(imagenet))
    }

    pub fn check_names(&self, names: &ClassNames) -> Result<()> {
        let (found, classes) = (names.names().len(), self.network.classes());
        if found != classes {
            bail!("{}: {found} names, but {} has {classes} classes", names.origin(), self.name);
        }
        Ok(())
    }

    /// The names that `data` has for the classes of this model; none if it has others.
    pub fn class_names(&self, data: &Dataset) -> Vec<String> {
        let names = data.class_names();
        if names.len() == self.network.classes() { names.to_vec() } else { Vec::new() }
    }

    pub fn record(&self) -> ModelRecord {
        ModelRecord::of(&self.name, &self.network)
    }
}

/// `summary.json` of the finished run in `folder`.
pub fn read_summary<T: serde::de::DeserializeOwned>(folder: &Path) -> Result<T> {
    read_json(folder, "summary.json")
}

/// The file `name` of the finished run in `folder`.
pub fn read_json<T: serde::de::DeserializeOwned>(folder: &Path, name: &str) -> Result<T> {
    let path = folder.join(name);
    let bytes = std::fs::read(&path).map_err(struthio::Error::io("read", &path))?;
    serde_json::from_slice(&bytes).with_context(|| format!("{} is damaged", path.display()))
}
