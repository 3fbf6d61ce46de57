use anyhow::{Result, anyhow, bail};
use serde_json::json;
use struthio::data::ClassNames;
use struthio::network::{Classifier, Loss};
use struthio::run::{DataRecord, Manifest, NpyWriter, Opened, Resume};

use crate::args;
use crate::context::{Context, LoadedModel};
use crate::printer::counted;

/// Images per forward and backward pass.
const BATCH: usize = 256;

pub fn run(context: &Context, args: &args::Gradient) -> Result<()> {
    let model = context.load_model(&args.model.for_data(Some(&args.data.data)))?;
    let classes = model.network.classes();
    let names = args.data.names()?;
    let known = model.names(names.as_ref());
    let class = args.class.as_deref().map(|class| number(class, known.as_ref(), &model)).transpose()?;
    let data = context.load_data_for(&model, &args.data, names.as_ref())?;
    let mut command: Vec<String> = ["struthio", "gradient", &model.name].map(String::from).into();
    command.extend(args.data.words(data.name()));
    command.extend(args.model.words());
    if let Some(class) = class {
        command.extend(["--class".to_owned(), class.to_string()]);
    }
    let mut manifest = Manifest::new(command, context.seed);
    manifest.class_names = model.class_names(&data);
    manifest.models.push(model.record());
    manifest.data.push(DataRecord::of(&data)?);
    let stem = format!("gradient-{}", model.stem());
    let Opened::Unfinished(directory) =
        context.open_run(args.out.as_deref(), &stem, manifest, Resume::Never)?
    else {
        return Ok(());
    };

    let mut logits_file = NpyWriter::create(directory.stage("logits.npy")?, data.len(), &[classes])?;
    let mut gradient_file = NpyWriter::create(directory.stage("gradient.npy")?, data.len(), data.shape())?;
    let mut session = model.network.session();
    let bar = context.printer.bar(&format!("gradient {}", model.stem()));
    bar.set_length(data.len() as u64);
    for from in (0..data.len()).step_by(BATCH) {
        let to = (from + BATCH).min(data.len());
        if context.cancelled.load(std::sync::atomic::Ordering::Relaxed) {
            return Err(struthio::Error::Interrupted.into());
        }
        data.write_images(from..to, session.inputs(to - from))?;
        let logits = session.forward()?.to_vec();
        let mut seeds = vec![0.0; logits.len()];
        for (i, (row, seed)) in
            (from..to).zip(logits.chunks_exact(classes).zip(seeds.chunks_exact_mut(classes)))
        {
            Loss::CrossEntropy(class.unwrap_or(data.label(i))).value_and_seed(row, seed);
        }
        logits.chunks_exact(classes).try_for_each(|row| logits_file.push(row))?;
        let gradients = session.backward(&seeds)?;
        gradients.chunks_exact(data.image_len()).try_for_each(|row| gradient_file.push(row))?;
        bar.set_position(to as u64);
    }
    bar.finish_and_clear();
    logits_file.finish()?;
    gradient_file.finish()?;
    let path = directory.path().to_owned();
    directory.finish(context.threads, context.started.elapsed().as_secs_f64(), Vec::new())?;

    let shape = [&[data.len()], data.shape()].concat();
    let result = json!({
        "directory": path,
        "examples": data.len(),
        "logits": [data.len(), classes],
        "gradient": shape,
    });
    context.printer.result(&result, || {
        let examples = counted(data.len() as u64, "example");
        format!("{examples}: logits.npy and gradient.npy in {}", path.display())
    })
}

/// The class in words: a number, or one of the `names`.
fn number(class: &str, names: Option<&ClassNames>, model: &LoadedModel) -> Result<usize> {
    let number = match (class.parse(), names) {
        (Ok(number), _) => number,
        (Err(_), Some(names)) => {
            names.number(class).map_err(|problem| anyhow!("unknown class: {problem}"))?
        }
        (Err(_), None) => bail!("unknown class '{class}'; expected a number, or with --classes a name"),
    };
    model.check_class(number)?;
    Ok(number)
}
