//! A first look at a network on its data, before hours are spent on them.

mod variants;

use std::sync::atomic::{AtomicUsize, Ordering};

use self::variants::Variant;
use crate::data::Dataset;
use crate::data::looks_inverted;
use crate::error::Result;
use crate::network::Classifier;
use crate::numeric::statistics::{Interval, wilson};

/// Images evaluated in one call of a session.
const BATCH: usize = 8;
/// A change of the pixels is named as the remedy if it gets at least so many more of the images right.
const CLEAR: f64 = 0.2;
/// With so few right, compared with one class for all, something is wrong where there are two classes.
const LIKE_CHANCE: f64 = 1.2;
/// What shows a pattern: so many images, and such a share of them.
const ENOUGH: usize = 10;
const MOST: f64 = 0.7;

/// What is looked at, and how closely.
#[derive(Clone, Copy)]
pub struct FirstLook<'a> {
    /// The network.
    pub classifier: &'a dyn Classifier,
    /// The images that it is to classify.
    pub data: &'a Dataset,
    /// Mean and standard deviation, one or one per channel, that the classifier itself takes off the pixels because
    /// somebody said so.
    pub normalization: Option<(&'a [f32], &'a [f32])>,
    /// Most images to look at.
    pub most: usize,
    /// Most images for each remedy that is tried.
    pub few: usize,
    /// Worker threads.
    pub threads: usize,
}

/// Logits of some images, and their labels.
struct Answers {
    labels: Vec<usize>,
    logits: Vec<Vec<f32>>,
    /// The classes that they stand for.
    classes: Vec<Option<usize>>,
    /// How many of these another class equals but for rounding.
    tied: usize,
}

impl Answers {
    fn len(&self) -> usize {
        self.labels.len()
    }

    fn predicted(&self) -> impl Iterator<Item = (Option<usize>, usize)> {
        self.classes.iter().copied().zip(self.labels.iter().copied())
    }

    fn right(&self) -> usize {
        self.predicted().filter(|&(class, label)| class == Some(label)).count()
    }

    fn interval(&self) -> Interval {
        wilson(self.right() as u64, self.len() as u64).unwrap_or(Interval { low: 0.0, high: 1.0 })
    }
}

impl FirstLook<'_> {
    /// What seems wrong with how the network is used, in words, with the likely cause where one is found.
    ///
    /// # Errors
    ///
    /// If the network cannot be evaluated.
    pub fn remarks(&self) -> Result<Vec<String>> {
        let answers = self.answers(&spread(self.data.len(), self.most), None)?;
        let mut remarks = Vec::new();
        let sound = |logits: &[f32]| logits.iter().all(|logit| logit.is_finite());
        let broken = answers.logits.iter().filter(|logits| !sound(logits)).count();
        if broken > 0 {
            remarks.push(format!(
                "the network answers with infinite values or NaN for {broken} of {} unchanged images",
                answers.len()
            ));
        } else if answers.logits.iter().all(|logits| are_probabilities(logits)) {
            remarks.push(
                "the outputs lie between 0 and 1 and sum to one, so they seem to be probabilities although the model \
                 does not end in a known softmax; where they are all but 0 or 1 their gradients vanish, and \
                 distances may be too long: export the model with its logits as output"
                    .to_owned(),
            );
        }
        let classes = self.classifier.classes() as f64;
        let rate = answers.right() as f64 / answers.len() as f64;
        if broken < answers.len() && (rate < 0.5 || rate <= LIKE_CHANCE / classes) {
            remarks.push(self.mostly_wrong(&answers)?);
        }
        Ok(remarks)
    }

    fn mostly_wrong(&self, answers: &Answers) -> Result<String> {
        let wrong = answers.len() - answers.right();
        let of = match answers.len() {
            all if all == self.data.len() => format!("{all} images"),
            some => format!("{some} images looked at"),
        };
        let cause = match negated(answers).or_else(|| saturated(answers)) {
            Some(cause) => Some(cause),
            None => self.remedy()?,
        };
        let cause = match cause {
            Some(cause) => Some(cause),
            None => shifted(answers).or_else(|| reordered(answers)).or_else(|| constant(answers)),
        };
        let cause = match cause {
            None if looks_inverted(self.data)? => {
                Some("the images are dark on white; a network of light on black wants --invert".to_owned())
            }
            cause => cause,
        };
        let cause = cause.unwrap_or_else(|| {
            "are the classes (--classes) and the normalisation of the pixels (--normalize) right?".to_owned()
        });
        Ok(format!("{wrong} of {of} are classified wrongly as they are; {cause}"))
    }

    /// The change of the pixels that gets clearly more images right than none, and most of all.
    fn remedy(&self) -> Result<Option<String>> {
        let rows = spread(self.data.len(), self.few);
        let before = self.answers(&rows, None)?;
        let surely = before.interval().high;
        for variants in Variant::all(&self.classifier.input().shape, self.normalization) {
            let mut best: Option<(usize, String)> = None;
            for variant in variants {
                let after = self.answers(&rows, Some(&variant))?;
                let gained = after.right() as f64 - before.right() as f64;
                let clear = after.interval().low > surely && gained >= CLEAR * rows.len() as f64;
                if clear && best.as_ref().is_none_or(|(right, _)| after.right() > *right) {
                    best = Some((after.right(), variant.words()));
                }
            }
            if let Some((right, words)) = best {
                return Ok(Some(format!(
                    "with {words}, {right} of {} images tried are classified rightly instead of {}",
                    rows.len(),
                    before.right()
                )));
            }
        }
        Ok(None)
    }

    /// The logits of the images `rows`, changed as `variant` says.
    fn answers(&self, rows: &[usize], variant: Option<&Variant>) -> Result<Answers> {
        let next = AtomicUsize::new(0);
        let batches: Vec<&[usize]> = rows.chunks(BATCH).collect();
        let work = || -> Result<Vec<(usize, Vec<Vec<f32>>)>> {
            let (mut session, mut done) = (self.classifier.session(), Vec::new());
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(batch) = batches.get(at) else { return Ok(done) };
                let inputs = session.inputs(batch.len()).chunks_exact_mut(self.data.image_len());
                for (input, &row) in inputs.zip(*batch) {
                    self.data.write_image(row, input)?;
                    if let Some(variant) = variant {
                        variant.apply(input);
                    }
                }
                let logits = session.forward()?.chunks_exact(self.classifier.classes());
                done.push((at, logits.map(<[f32]>::to_vec).collect()));
            }
        };
        let parts: Vec<Result<_>> = std::thread::scope(|scope| {
            let threads = self.threads.clamp(1, batches.len().max(1));
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            let joined = workers.into_iter().map(std::thread::ScopedJoinHandle::join);
            joined.map(|part| part.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
        });
        let mut done = parts.into_iter().collect::<Result<Vec<_>>>()?.concat();
        done.sort_by_key(|(at, _)| *at);
        let logits: Vec<Vec<f32>> = done.into_iter().flat_map(|(_, logits)| logits).collect();
        let classes = logits.iter().map(|logits| self.classifier.class_of(logits)).collect();
        let is_tied = |logits: &&Vec<f32>| {
            self.classifier.class_of(logits).is_some()
                && self.classifier.sure_class_of(logits, None).is_none()
        };
        let tied = logits.iter().filter(is_tied).count();
        Ok(Answers { labels: rows.iter().map(|&row| self.data.label(row)).collect(), logits, classes, tied })
    }
}

/// At most `most` of `count` images, evenly spread.
fn spread(count: usize, most: usize) -> Vec<usize> {
    let some = count.min(most.max(1));
    (0..some).map(|i| i * count / some).collect()
}

fn are_probabilities(logits: &[f32]) -> bool {
    let sum: f64 = logits.iter().map(|&z| f64::from(z)).sum();
    logits.iter().all(|z| (0.0..=1.0).contains(z)) && (sum - 1.0).abs() < 1e-3
}

/// Outputs that are smallest for the label.
fn negated(answers: &Answers) -> Option<String> {
    let is_smallest = |(logits, label): (&Vec<f32>, &usize)| {
        logits.iter().enumerate().all(|(class, &z)| class == *label || z > logits[*label])
    };
    let count = answers.logits.iter().zip(&answers.labels).map(is_smallest).filter(|&is| is).count();
    let classes = answers.logits.first().map_or(0, Vec::len);
    (classes > 2 && count >= ENOUGH && count as f64 >= MOST * answers.len() as f64).then(|| {
        format!(
            "for {count} the output of the label is the smallest, so less seems to be better, as with distances: \
             export the model with the sign of its outputs turned"
        )
    })
}

/// Outputs of which several are the largest.
fn saturated(answers: &Answers) -> Option<String> {
    let wrong = answers.len() - answers.right();
    (2 * answers.tied > wrong).then(|| {
        format!(
            "for {} the largest outputs are equal but for rounding, and the first of them wins: they saturate, as \
             sigmoids, tanhs and clips of large values do; export the model without",
            answers.tied
        )
    })
}

/// Labels that are one more or one less than the class.
fn shifted(answers: &Answers) -> Option<String> {
    let shift = |by: isize| {
        let is = |&(class, label): &(Option<usize>, usize)| {
            class.is_some_and(|class| class.checked_add_signed(by) == Some(label))
        };
        answers.predicted().filter(is).count()
    };
    let clear = |count: usize| count >= ENOUGH && count as f64 >= MOST * answers.len() as f64;
    let say = |count: usize, side: &str, why: &str| {
        format!(
            "{count} get the class {side} their label: {why}; --classes gives the order of the model's classes"
        )
    };
    if clear(shift(1)) {
        return Some(say(shift(1), "before", "the labels seem to be counted from 1"));
    }
    clear(shift(-1)).then(|| say(shift(-1), "after", "the model seems to count its classes from 1"))
}

/// Labels that each go with one class, but with another one.
fn reordered(answers: &Answers) -> Option<String> {
    let mut pairs = std::collections::BTreeMap::<usize, std::collections::BTreeMap<usize, usize>>::new();
    for (class, label) in answers.predicted() {
        *pairs.entry(label).or_default().entry(class?).or_default() += 1;
    }
    let favourites: Vec<(usize, usize)> = pairs
        .values()
        .filter_map(|classes| classes.iter().map(|(&class, &count)| (count, class)).max())
        .collect();
    let agreeing: usize = favourites.iter().map(|(count, _)| count).sum();
    let mut classes: Vec<usize> = favourites.iter().map(|&(_, class)| class).collect();
    classes.sort_unstable();
    classes.dedup();
    // With few images of a label, one class would be the most frequent by chance.
    let enough = favourites.len() > 1 && answers.len() >= 5 * favourites.len() && answers.len() >= ENOUGH;
    let distinct = classes.len() == favourites.len();
    (enough && distinct && agreeing as f64 >= MOST * answers.len() as f64).then(|| {
        "but most images of a label get the same class, so the model seems to have its classes in another order than \
         the labels: --classes gives it"
            .to_owned()
    })
}

/// One class for all.
fn constant(answers: &Answers) -> Option<String> {
    let mut predicted = answers.predicted().map(|(class, _)| class);
    let first = predicted.next()??;
    let same = 1 + predicted.filter(|&class| class == Some(first)).count();
    (same == answers.len() && same >= ENOUGH).then(|| {
        format!(
            "all get the class {first}: either the network answers the same to everything, or its pixels are scaled \
             in another way (--normalize, --mean, --std)"
        )
    })
}

#[cfg(test)]
mod tests;
