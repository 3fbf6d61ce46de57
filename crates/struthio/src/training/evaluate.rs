use std::sync::atomic::{AtomicUsize, Ordering};

use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::network::Classifier;

/// Images evaluated in one call of a session.
const BATCH: usize = 256;

/// The class that `classifier` gives to each image of `data`, `None` where a logit is NaN.
pub fn predictions(
    classifier: &dyn Classifier,
    data: &Dataset,
    threads: usize,
) -> Result<Vec<Option<usize>>> {
    check_fit(classifier, data)?;
    let batches = data.len().div_ceil(BATCH);
    let next = AtomicUsize::new(0);
    let work = || -> Result<Vec<(usize, Vec<Option<usize>>)>> {
        let mut session = classifier.session();
        let mut done = Vec::new();
        loop {
            let batch = next.fetch_add(1, Ordering::Relaxed);
            if batch >= batches {
                return Ok(done);
            }
            let (from, to) = (batch * BATCH, (batch * BATCH + BATCH).min(data.len()));
            data.write_images(from..to, session.inputs(to - from))?;
            let logits = session.forward()?;
            let rows = logits.chunks_exact(classifier.classes());
            done.push((from, rows.map(|row| classifier.class_of(row)).collect()));
        }
    };
    let parts: Vec<_> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    let mut all = vec![None; data.len()];
    for part in parts {
        for (from, classes) in part? {
            all[from..from + classes.len()].copy_from_slice(&classes);
        }
    }
    Ok(all)
}

/// The images of `data`, labelled by what `classifier`, called `model`, takes them for.
pub fn labelled_by_predictions(
    classifier: &dyn Classifier,
    model: &str,
    data: Dataset,
    threads: usize,
) -> Result<Dataset> {
    let predicted = predictions(classifier, &data, threads)?;
    let none = predicted.iter().filter(|class| class.is_none()).count();
    let labels = predicted.iter().map(|class| class.unwrap_or(0) as u32).collect();
    let names = data.class_names().to_vec();
    let note = format!("the images have no labels; those of the results are the predictions of {model}");
    let unknown = (none > 0).then(|| {
        format!("{none} of {} images have the label 0, because {model} gives NaN for them", data.len())
    });
    Ok(data.labelled(labels).with_class_names(names).with_notes([note]).with_notes(unknown))
}

/// How many images of `data` the classifier gets wrong.
pub fn count_errors(classifier: &dyn Classifier, data: &Dataset, threads: usize) -> Result<usize> {
    let predicted = predictions(classifier, data, threads)?;
    Ok(predicted.iter().enumerate().filter(|&(i, class)| *class != Some(data.label(i))).count())
}

/// Images are taken as they come if their number of values is the model's.
fn check_fit(classifier: &dyn Classifier, data: &Dataset) -> Result<()> {
    let (wanted, found) = (classifier.input().len(), data.image_len());
    if wanted == found {
        return Ok(());
    }
    Err(Error::data(
        data.name(),
        format!(
            "images of shape {:?} ({found} values) do not fit the model's input of shape {:?} ({wanted} values)",
            data.shape(),
            classifier.input().shape
        ),
    ))
}
