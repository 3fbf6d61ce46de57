use anyhow::{Result, bail};
use serde_json::json;
use std::io::Write;
use struthio::data::{DataSpec, Dataset, Split, Wanted, mnist_test};
use struthio::network::{Architecture, onnx};
use struthio::run::StagedFile;
use struthio::training::{Method, Recipe, Unfinished, count_errors};

use crate::args;
use crate::context::{Context, training_cache};

pub fn run(context: &Context, args: &args::Train) -> Result<()> {
    let architecture: Architecture = args.architecture.parse()?;
    let spec: DataSpec = args.data.parse()?;
    let recipe = recipe(context, args, &architecture)?;
    // Tried before the work, so that an unwritable place is known at once.
    drop(StagedFile::create(&args.output)?);
    let shape = architecture.image_shape();
    let wanted = shape.as_ref().map(|shape| Wanted {
        model: &args.architecture,
        shape,
        classes: Some(architecture.classes()),
    });
    let data = context.load_data(&spec, Split::Train, wanted, None, &args.files)?;
    if !data.is_labelled() {
        bail!(
            "{}: the images have no labels, without which no network can be trained; put them into one sub-folder per \
             class, or name them in labels.csv (file,label)",
            data.name()
        );
    }
    let cache = training_cache(&args.cache)?;
    if let Some(unfinished) = cache.unfinished(&architecture, &data, &recipe) {
        context.printer.note(&unfinished.to_string());
    }
    let bar = context.printer.bar(&format!("train {architecture}"));
    let trained = cache.get_or_train(
        &architecture,
        &data,
        &recipe,
        context.threads,
        &context.cancelled,
        &mut |progress| {
            bar.set_length(progress.total);
            bar.set_position(progress.done);
            bar.set_message(progress.to_string());
        },
    );
    bar.finish_and_clear();
    if trained.is_err()
        && let Some(Unfinished::AfterEpoch { .. }) = cache.unfinished(&architecture, &data, &recipe)
    {
        context.can_be_continued(None);
    }
    let (network, cached) = trained?;
    if cached {
        context.printer.note("this very training was done before; its result was taken from the cache");
    }
    let train_mistakes = count_errors(&network, &data, context.threads)?;
    if train_mistakes > 0 && train_mistakes >= mistakes_of_a_constant(&data) {
        context.printer.note(
            "the network makes as many mistakes as one that always answers with the most frequent class: it has learned \
             nothing; more epochs, more images or another seed may help",
        );
    }
    let test = (spec.is_mnist() && !args.files.invert).then(mnist_test).transpose()?;
    let test_mistakes =
        test.as_ref().map(|test| count_errors(&network, test, context.threads)).transpose()?;
    let mut output = StagedFile::create(&args.output)?;
    output.write_all(&onnx::write(&network)).map_err(struthio::Error::io("write", &args.output))?;
    output.finish()?;

    let rate = |mistakes: usize, of: usize| mistakes as f64 / of as f64;
    let test = test.zip(test_mistakes);
    let result = json!({
        "model": args.output,
        "architecture": architecture.to_string(),
        "parameters": network.parameter_count(),
        "recipe": recipe,
        "cached": cached,
        "sha256": network.fingerprint(),
        "train_data": data.name(),
        "train_mistakes": train_mistakes,
        "train_error": rate(train_mistakes, data.len()),
        "test_mistakes": test_mistakes,
        "test_error": test.as_ref().map(|(test, mistakes)| rate(*mistakes, test.len())),
    });
    context.printer.result(&result, || {
        let words = |what: &str, mistakes: usize, of: usize| {
            format!("{what} error {:.2} % ({mistakes} of {of})", 100.0 * rate(mistakes, of))
        };
        let mut rates = vec![words("train", train_mistakes, data.len())];
        rates.extend(test.as_ref().map(|(test, mistakes)| words("test", *mistakes, test.len())));
        format!("{architecture}: {}", rates.join(", "))
    })?;
    context.printer.done(&format!("saved as {}", args.output.display()));
    Ok(())
}

/// Images that are not of the most frequent class.
fn mistakes_of_a_constant(data: &Dataset) -> usize {
    let mut counts = vec![0; data.classes()];
    (0..data.len()).for_each(|i| counts[data.label(i)] += 1);
    data.len() - counts.into_iter().max().unwrap_or(0)
}

fn recipe(context: &Context, args: &args::Train, architecture: &Architecture) -> Result<Recipe> {
    let mut recipe = Recipe::for_architecture(architecture, context.seed);
    let layers = architecture.supervised_layers();
    match args.weight_decay[..] {
        [] => {}
        [all] => recipe.weight_decay.lambdas = vec![all; layers],
        ref several if several.len() == layers => recipe.weight_decay.lambdas = several.to_vec(),
        ref several => bail!(
            "--weight-decay has {} values, but {architecture} has {layers} layers trained with labels; give one value or {layers}",
            several.len()
        ),
    }
    recipe.spectral_penalty = args.spectral_penalty.unwrap_or(0.0);
    if let Some(number) = args.epochs {
        match &mut recipe.method {
            Method::Sgd { epochs, .. } => *epochs = number as usize,
            Method::Autoencoder { encoder, .. } => encoder.epochs = number as usize,
            Method::Lbfgs { max_evaluations } => *max_evaluations = number as usize,
        }
    }
    Ok(recipe)
}
