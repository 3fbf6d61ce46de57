/// What a model's own output is, which decides what is attacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputKind {
    /// The model ends in logits.
    Logits,
    /// The model ends in a softmax, which was taken off.
    Probabilities,
    /// The model ends in a log-softmax, which was taken off.
    LogProbabilities,
    /// The model ends in a sigmoid for each class, which were taken off.
    Sigmoids,
    /// The model ends in another function that keeps the order of classes, which was taken off.
    Squashed,
    /// The model ends in sums or products of probabilities, whose logarithms are computed instead.
    Combined,
    /// The model gives the probability of class 1, whose logit stands beside the 0 of class 0.
    OneProbability,
    /// The model gives the logit of class 1, which stands beside the 0 of class 0.
    OneLogit,
}

/// What a model's own output was, and how to say it.
#[derive(Debug, Clone)]
pub(in crate::network) struct Ending {
    pub kind: OutputKind,
    pub note: Option<String>,
    rectified: bool,
}

impl Ending {
    /// `words` were taken off, in this order.
    pub fn of(words: &[&str]) -> Self {
        let kind = match words.iter().rev().find_map(|word| decisive(word)) {
            Some(kind) => kind,
            None if words.is_empty() => {
                return Self { kind: OutputKind::Logits, note: None, rectified: false };
            }
            None => OutputKind::Squashed,
        };
        let used = if kind == OutputKind::Sigmoids {
            "what goes into the sigmoids is used as one score for each class, which gives the same classes"
        } else {
            "its logits are used, which give the same classes"
        };
        let note = Some(format!("the model ends in {}; {used}", in_turn(words)));
        Self { kind, note, rectified: words == ["a rectifier"] }
    }

    /// Whether the output is what a rectifier gives.
    pub fn is_rectified(&self) -> bool {
        self.rectified
    }

    /// Probabilities of `members` were added or multiplied, then `words`.
    pub fn combined(members: usize, words: &[&str]) -> Self {
        let then = if words.is_empty() { String::new() } else { format!(" and then {}", in_turn(words)) };
        let note = format!(
            "the model ends in a combination of the probabilities of {}{then}; their logarithm is used, which \
             gives the same classes",
            softmaxes(members)
        );
        Self { kind: OutputKind::Combined, note: Some(note), rectified: false }
    }

    /// Sigmoids of `members` were added, then `words`.
    pub fn voted(members: usize, words: &[&str]) -> Self {
        let then = if words.is_empty() { String::new() } else { format!(" and then {}", in_turn(words)) };
        let note = format!(
            "the model ends in a sum of {members} sigmoids for each class{then}; the log-odds of the sum are used, \
             which give the same classes"
        );
        Self { kind: OutputKind::Combined, note: Some(note), rectified: false }
    }

    pub fn one_probability() -> Self {
        let note = "the model has one output per image, a sigmoid: taken as the probability of class 1, which it \
                    is from 0.5 on, and attacked at the logits 0 and z of classes 0 and 1";
        Self { kind: OutputKind::OneProbability, note: Some(note.into()), rectified: false }
    }

    pub fn one_combined(members: usize) -> Self {
        let note = format!(
            "the model has one output per image, a combination of the probabilities of {}: taken as the probability \
             of class 1, which it is from 0.5 on; the logarithms of both classes are used",
            softmaxes(members)
        );
        Self { kind: OutputKind::OneProbability, note: Some(note), rectified: false }
    }

    pub fn one_logit() -> Self {
        let note = "the model has one output per image: taken as the logit z of class 1, which it is above 0, and \
                    attacked at the logits 0 and z of classes 0 and 1";
        Self { kind: OutputKind::OneLogit, note: Some(note.into()), rectified: false }
    }
}

fn softmaxes(members: usize) -> String {
    match members {
        0 => "exponentials".into(),
        1 => "one softmax or sigmoid".into(),
        _ => format!("{members} softmaxes or sigmoids"),
    }
}

fn decisive(word: &str) -> Option<OutputKind> {
    match word {
        "a softmax" => Some(OutputKind::Probabilities),
        "a log-softmax" => Some(OutputKind::LogProbabilities),
        "a sigmoid for each class" | "a hard sigmoid for each class" => Some(OutputKind::Sigmoids),
        _ => None,
    }
}

/// `a softmax`, `a softmax, then a clip`
fn in_turn(words: &[&str]) -> String {
    words.join(", then ")
}
