//! The searches of an attack, recorded image by image.

use anyhow::Result;
use struthio::attack::{Attack, Example, Lanes, Outcome, Target, attack_all};
use struthio::data::Dataset;
use struthio::network::Classifier;
use struthio::run::Recorder;

use crate::context::Context;
use crate::printer::damaged_before;

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
}

impl Searches<'_> {
    /// Runs every search of every image that `recorder` does not have yet.
    pub fn record(self, context: &Context, recorder: &mut Recorder<'_>) -> Result<()> {
        let Self { stem, prefix, classifier, data, attack, target, lanes } = self;
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
        let bar = context.printer.bar(&format!("attack {stem}"));
        bar.set_length(data.len() as u64);
        let mut outcomes: Vec<Outcome> = Vec::new();
        let jobs = (data.len() - first) * searches;
        attack_all(classifier, attack, lanes, jobs, &example, &context.cancelled, &mut |outcome| {
            outcomes.push(outcome);
            if outcomes.len() == searches {
                recorder.record(std::mem::take(&mut outcomes))?;
                let done = recorder.done();
                bar.set_position(done as u64);
                bar.set_message(format!("{done} of {} images", data.len()));
            }
            Ok(())
        })?;
        bar.finish_and_clear();
        Ok(())
    }
}
