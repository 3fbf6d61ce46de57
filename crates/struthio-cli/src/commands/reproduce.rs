use std::path::Path;

use anyhow::{Result, bail};
use indicatif::ProgressBar;
use serde_json::json;
use struthio::attack::Status;
use struthio::paper::{
    AlexNet, Event, HalfSplit, Mnist, ReproduceSettings, Table1, Table1Row, TransferTables, UnitsStudy,
    reproduce,
};
use struthio::run::{DataRecord, Manifest, ModelRecord, Opened};

use super::{matrices, verdicts};
use crate::args::{self, Split};
use crate::context::{Context, ModelSource, classes_words, read_json, read_summary, training_cache};
use crate::printer::{Printer, damaged_before, table};

pub fn run(context: &Context, args: &args::Reproduce) -> Result<()> {
    let samples = args.samples.unwrap_or(if args.quick { 200 } else { 1000 });
    let training_seeds = if args.quick { 1 } else { 3 };
    let settings = ReproduceSettings {
        samples: samples as usize,
        training_seeds,
        brief: args.quick,
        split: match args.split {
            Split::Halves => HalfSplit::FirstLast,
            Split::Random => HalfSplit::Random,
        },
        threads: context.threads,
        lanes: args.lanes.number(),
        seed: context.seed,
        cache: training_cache(&args.cache)?,
    };
    let mut command = vec!["struthio".to_owned(), "reproduce".to_owned()];
    if args.quick {
        command.push("--quick".to_owned());
    }
    command.extend([
        "--samples".to_owned(),
        samples.to_string(),
        "--split".to_owned(),
        if args.split == Split::Halves { "halves" } else { "random" }.to_owned(),
        "--seed".to_owned(),
        context.seed.to_string(),
    ]);
    let data = Mnist::load()?;
    let alexnet = alexnet(context, &args.alexnet)?;
    if let Some(given) = &alexnet {
        command.extend(args.alexnet.words(given));
    }
    let mut manifest = Manifest::new(command, context.seed);
    manifest.data = data.records()?;
    if let Some(given) = &alexnet {
        manifest.models.push(ModelRecord::of(&given.name, &given.network));
        manifest.data.push(DataRecord::of(&given.photographs)?);
    }
    let resume = args.resume.wanted();
    let mut directory = match context.open_run(args.out.as_deref(), "reproduce", manifest, resume)? {
        Opened::Complete(path) => {
            let transfer = read_json::<TransferTables>(&path, "transfer.json")?;
            let units = read_json::<UnitsStudy>(&path, "units.json")?;
            return print(context, &path, &read_summary::<Table1>(&path)?, &units, &transfer);
        }
        Opened::Unfinished(directory) => directory,
    };

    let mut display = Display { printer: &context.printer, bar: None };
    let done =
        reproduce(&settings, &data, alexnet.as_ref(), &mut directory, &context.cancelled, &mut |event| {
            display.show(event);
        });
    display.clear();
    let done = done?;

    let page = struthio_report::reproduce_page(&done, data.test(), alexnet.as_ref());
    let path = context.finish_run(directory, &page, &done.table1, done.stages)?;
    print(context, &path, &done.table1, &done.units, &done.transfer)?;
    context.done(&path);
    Ok(())
}

/// The network and the photographs for Figures 3 and 4.
fn alexnet(context: &Context, args: &args::AlexNet) -> Result<Option<AlexNet>> {
    let (Some(path), Some(photos)) = (&args.path, &args.photos) else {
        if !args.pixels.normalization().is_empty() {
            bail!(
                "--input-shape, --normalize, --mean and --std are about the network of --alexnet; MNIST's need none"
            );
        }
        return Ok(None);
    };
    let model = context.load_model(&ModelSource { path, output: None, pixels: &args.pixels, data: None })?;
    let wanted =
        args::Data { data: photos.clone(), classes: args.classes.clone(), files: args::Files::default() };
    let names = wanted.names()?;
    let photographs = context.load_images_for(&model, &wanted, names.as_ref())?;
    let given = AlexNet { name: model.name, network: model.network, photographs };
    given.check()?;
    Ok(Some(given))
}

impl args::AlexNet {
    /// The options as they are recorded, if this was `given`.
    fn words(&self, given: &AlexNet) -> Vec<String> {
        let mut words =
            ["--alexnet", &given.name, "--photos", given.photographs.name()].map(String::from).to_vec();
        words.extend(classes_words(self.classes.as_deref()));
        words.extend(self.pixels.normalization());
        words
    }
}

fn print(
    context: &Context,
    path: &Path,
    table1: &Table1,
    units: &UnitsStudy,
    transfer: &TransferTables,
) -> Result<()> {
    let mut summary = json!(table1);
    summary["units"] = json!(units);
    summary["transfer"] = json!(transfer);
    summary["report"] = json!(path.join("report.html"));
    context.printer.result(&summary, || {
        format!("{}\n{}\n{}", text(table1), verdicts::study(units), matrices::tables(transfer))
    })
}

/// Shows one bar at a time.
struct Display<'a> {
    printer: &'a Printer,
    bar: Option<(String, ProgressBar)>,
}

impl Display<'_> {
    fn show(&mut self, event: Event<'_>) {
        match event {
            Event::Training { network, progress } => {
                let bar = self.bar(&format!("train {network}"), progress.total);
                bar.set_message(progress.to_string());
                bar.set_position(progress.done);
            }
            Event::Continuing { network, unfinished } => {
                self.printer.note(&format!("{network}: {unfinished}"));
            }
            Event::Damaged { network, images } => {
                self.printer.note(&format!("{network}: {}", damaged_before(images)));
            }
            Event::AttackedBefore { network } => {
                self.printer.done(&format!("{network}: trained and attacked before"));
            }
            Event::Trained { network, cached } => {
                self.clear();
                self.printer
                    .done(&format!("{network}: {}", if cached { "trained before" } else { "trained" }));
            }
            Event::Attacking { network, done, total } => {
                let bar = self.bar(&format!("attack {network}"), total as u64);
                bar.set_message(format!("{done} of {total} images"));
                bar.set_position(done as u64);
            }
            Event::Judging { network, layer, share } => {
                let bar = self.bar(&format!("units {network}"), 1000);
                bar.set_message(layer.to_owned());
                bar.set_position((1000.0 * share) as u64);
            }
            Event::Transferring { table, done, total } => {
                let bar = self.bar(&format!("transfer, {table}"), total as u64);
                bar.set_message(format!("{done} of {total} images"));
                bar.set_position(done as u64);
                if done == total {
                    self.clear();
                }
            }
            Event::Row(_) => self.clear(),
        }
    }

    fn bar(&mut self, name: &str, total: u64) -> &ProgressBar {
        if self.bar.as_ref().is_none_or(|(current, _)| current != name) {
            self.clear();
        }
        let printer = self.printer;
        let (_, bar) = self.bar.get_or_insert_with(|| (name.to_owned(), printer.bar(name)));
        bar.set_length(total);
        bar
    }

    fn clear(&mut self) {
        if let Some((_, bar)) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

fn text(table1: &Table1) -> String {
    let header =
        ["network", "train error %", "paper", "test error %", "paper", "distortion", "paper", "found"];
    let rows: Vec<Vec<String>> = table1.table1.iter().map(row).collect();
    format!(
        "Table 1: errors, and average minimum distortion (RMS over pixels) of the first {} correctly\n\
         classified training images; means over training seeds, ± their standard deviation\n\n{}\n\n\
         Ours is the distance to the closest wrong class, found at the decision boundary; the paper's approximate\n\
         search stopped farther out, so its distortions are larger.\n",
        table1.samples,
        table(&header, &rows)
    )
}

fn row(row: &Table1Row) -> Vec<String> {
    let spread =
        |value: Option<f64>, places: usize| value.map_or(String::new(), |s| format!(" ± {s:.places$}"));
    let paper = |value: fn(&struthio::paper::PaperRow) -> f64| {
        row.paper.as_ref().map_or_else(|| "—".to_owned(), |paper| value(paper).to_string())
    };
    let found: u64 = row.seeds.iter().map(|seed| seed.attack.count(Status::Found)).sum();
    let attacked: u64 = row.seeds.iter().map(|seed| seed.attack.attacked).sum();
    vec![
        row.network.clone(),
        format!("{:.2}", 100.0 * row.train_error),
        paper(|p| p.train_error),
        format!("{:.2}{}", 100.0 * row.test_error, spread(row.test_error_spread.map(|s| 100.0 * s), 2)),
        paper(|p| p.test_error),
        row.distortion
            .map_or_else(|| "—".to_owned(), |d| format!("{d:.4}{}", spread(row.distortion_spread, 4))),
        paper(|p| p.distortion),
        format!("{found}/{attacked}"),
    ]
}
