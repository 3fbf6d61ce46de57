use std::fmt;
use std::str::FromStr;

use rand::RngExt;

use super::{Criterion, Improvement, Outcome};
use crate::error::{Error, Result};
use crate::numeric::random::stream;

/// Which classes an attack aims for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Any wrong class: the closest.
    Closest,
    /// One wrong class per image, drawn from the seed and the image's index.
    Random,
    /// Every wrong class in turn.
    All,
    /// This class.
    Class(usize),
}

impl Target {
    /// The searches to run for one image of class `label` among `classes`.
    #[must_use]
    pub fn criteria(self, label: usize, classes: usize, seed: u64, index: usize) -> Vec<Criterion> {
        match self {
            Self::Closest => vec![Criterion::NotClass(label)],
            Self::Class(class) => vec![Criterion::Class(class)],
            Self::All => (0..classes).filter(|&class| class != label).map(Criterion::Class).collect(),
            Self::Random => {
                let draw =
                    stream(seed, "target", index as u64).random_range(0..classes.max(2) as u64 - 1) as usize;
                vec![Criterion::Class(draw + usize::from(draw >= label))]
            }
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closest => f.write_str("closest"),
            Self::Random => f.write_str("random"),
            Self::All => f.write_str("all"),
            Self::Class(class) => write!(f, "{class}"),
        }
    }
}

impl FromStr for Target {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "closest" => Ok(Self::Closest),
            "random" => Ok(Self::Random),
            "all" => Ok(Self::All),
            number => number.parse().map(Self::Class).map_err(|_| {
                Error::Request(format!(
                    "unknown target '{text}'; expected closest, random, all or the number of a class \
                     (or its name, where a file of names is given)"
                ))
            }),
        }
    }
}

impl Outcome {
    /// Of the outcomes of several targets for one image, the one with the smallest perturbation,
    /// with the work of all of them; `None` of nothing.
    #[must_use]
    pub fn closest_of(outcomes: &[Self]) -> Option<Self> {
        let distance = |outcome: &&Self| outcome.adversarial.as_ref().map_or(f64::INFINITY, |found| found.l2);
        let best = outcomes.iter().min_by(|a, b| distance(a).total_cmp(&distance(b)))?;
        Some(Self {
            forwards: outcomes.iter().map(|outcome| outcome.forwards).sum(),
            gradients: outcomes.iter().map(|outcome| outcome.gradients).sum(),
            progress: progress_of(outcomes),
            target: best.target.filter(|_| outcomes.len() == 1 || best.adversarial.is_some()),
            ..best.clone()
        })
    }
}

/// The progress of searches one after another.
fn progress_of(outcomes: &[Outcome]) -> Vec<Improvement> {
    let (mut progress, mut before, mut closest) = (Vec::new(), 0, f64::INFINITY);
    for outcome in outcomes {
        for step in outcome.progress.iter().filter(|step| step.rms < closest) {
            Improvement { gradients: before + step.gradients, ..*step }.add_to(&mut progress);
        }
        closest = progress.last().map_or(closest, |last| last.rms);
        before += outcome.gradients;
    }
    progress
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_targets_are_wrong_classes_and_cover_them_all() {
        let mut seen = [0; 10];
        for index in 0..500 {
            let [Criterion::Class(class)] = Target::Random.criteria(3, 10, 0, index)[..] else {
                panic!("one class")
            };
            seen[class] += 1;
        }
        assert_eq!(seen[3], 0);
        assert!(seen.iter().enumerate().all(|(class, &count)| class == 3 || count > 20), "{seen:?}");
    }

    #[test]
    fn parses() {
        assert_eq!("7".parse::<Target>().expect("valid"), Target::Class(7));
        assert_eq!("all".parse::<Target>().expect("valid"), Target::All);
        assert!("nearest".parse::<Target>().is_err());
        assert!("-1".parse::<Target>().is_err());
    }
}
