//! The searches of an attack, recorded image by image.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;
use struthio::attack::{Attack, Effort, Example, Lanes, Outcome, Target, Watch, attack_all_watched};
use struthio::data::Dataset;
use struthio::network::Classifier;
use struthio::run::Recorder;

use crate::context::{Context, LoadedModel};
use crate::printer::{WorkBar, counted, damaged_before, duration};

/// What is looked for, and where.
#[derive(Clone, Copy)]
pub struct Searches<'a> {
    /// What the bar calls the model.
    pub stem: &'a str,
    /// What goes before notes, where there are several models.
    pub prefix: &'a str,
    pub classifier: &'a dyn Classifier,
    pub data: &'a Dataset,
    pub attack: &'a dyn Attack,
    pub target: Target,
    pub lanes: Lanes,
    /// Gradients that a search is expected to take, until it is known better.
    pub expected: f64,
}

impl Searches<'_> {
    /// Runs every search of every image that `recorder` does not have yet.
    pub fn record(self, context: &Context, recorder: &mut Recorder<'_>) -> Result<()> {
        let Self { stem, prefix, classifier, data, attack, target, lanes, expected } = self;
        let classes = classifier.classes();
        let criteria = |i: usize| target.criteria(data.label(i), classes, context.seed, data.index(i));
        let searches = criteria(0).len();
        let first = recorder.done();
        let example = |job: usize| {
            let i = first + job / searches;
            let criterion = criteria(i)[job % searches];
            Ok(Example { index: data.index(i), image: data.image(i)?, label: data.label(i), criterion })
        };
        if recorder.damaged() > 0 {
            context.printer.note(&format!("{prefix}{}", damaged_before(recorder.damaged())));
        }
        if first > 0 {
            context.printer.note(&format!("{prefix}{first} of {} images were done before", data.len()));
        }
        let name = &format!("attack {stem}");
        Jobs { name, classifier, attack, lanes, images: data.len(), searches, expected, example: &example }
            .record(context, recorder)
    }
}

/// Searches to be run, so many for each image.
pub struct Jobs<'a> {
    /// What the bar is called.
    pub name: &'a str,
    pub classifier: &'a dyn Classifier,
    pub attack: &'a dyn Attack,
    pub lanes: Lanes,
    pub images: usize,
    pub searches: usize,
    pub expected: f64,
    /// The searches of the images that are not recorded yet.
    pub example: &'a (dyn Fn(usize) -> struthio::Result<Example> + Sync),
}

impl Jobs<'_> {
    /// Runs all searches of the images that `recorder` does not have yet, and says how long that will take.
    pub fn record(&self, context: &Context, recorder: &mut Recorder<'_>) -> Result<()> {
        let left = self.images - recorder.done();
        let effort = Effort::new(left * self.searches, self.expected);
        let bar = context.printer.work_bar(self.name, self.images);
        bar.done(recorder.done());
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| foretell(context, &bar, &effort, left, &over));
            let _end = SetAtEnd(&over);
            let mut outcomes: Vec<Outcome> = Vec::new();
            let sink = &mut |outcome| {
                outcomes.push(outcome);
                if outcomes.len() == self.searches {
                    recorder.record(std::mem::take(&mut outcomes))?;
                    bar.done(recorder.done());
                }
                Ok(())
            };
            let watch = Watch { cancelled: &context.cancelled, effort: &effort };
            let (classifier, attack, jobs) = (self.classifier, self.attack, left * self.searches);
            attack_all_watched(classifier, attack, self.lanes, jobs, self.example, watch, sink)
        })?;
        bar.finish();
        Ok(())
    }
}

/// Whoever waits for the end must not wait for ever, whatever happens.
struct SetAtEnd<'a>(&'a AtomicBool);

impl Drop for SetAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Shorter work needs no announcement.
const LONG: Duration = Duration::from_secs(10);
/// After so long it is foretold, and so many batches; or, if those take their time, after longer.
const FIRST: Duration = Duration::from_secs(2);
const BATCHES: u64 = 20;
const PATIENCE: Duration = Duration::from_secs(12);
const TICK: Duration = Duration::from_millis(200);

/// Keeps the bar up to date until all is `over`, and says once how long `images` will take.
fn foretell(context: &Context, bar: &WorkBar, effort: &Effort, images: usize, over: &AtomicBool) {
    let mut said = false;
    let mut rest = TICK;
    while !over.load(Ordering::Relaxed) {
        // Short work does not wait for the last tick.
        std::thread::sleep(Duration::from_millis(10));
        rest = rest.saturating_sub(Duration::from_millis(10));
        if !rest.is_zero() {
            continue;
        }
        rest = TICK;
        let Some((share, left)) = effort.outlook() else { continue };
        bar.show(share, images, left);
        let whole = effort.elapsed() + left;
        let known = effort.rounds() >= BATCHES || effort.elapsed() >= PATIENCE;
        if !said && known && effort.elapsed() >= FIRST && whole > LONG {
            said = true;
            let each = whole.as_secs_f64() / images.max(1) as f64;
            let each = if each < 9.95 { format!("{each:.2} s each") } else { format!("{each:.0} s each") };
            bar.suspended(|| {
                let images = counted(images as u64, "image");
                context.printer.note(&format!("about {} for {images} ({each})", duration(whole)));
            });
        }
    }
}

/// Gradients that the fast search takes for an image where little is known: on convolutional networks descents
/// follow the walks. With a budget it spends them all.
pub fn expected_of_fast(model: &LoadedModel, target: Target, budget: Option<u64>) -> f64 {
    let convolutional = model.network.graph().nodes().iter().any(|node| node.op.kind() == "Conv");
    let own = match (convolutional, target) {
        (true, _) => 200.0,
        (false, Target::Closest) => 70.0,
        (false, _) => 30.0,
    };
    budget.map_or(own, |budget| budget as f64)
}
