/// What counts as adversarial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Criterion {
    /// Classified as anything but this class.
    NotClass(usize),
    /// Classified as this class.
    Class(usize),
}

impl Criterion {
    /// How far the logits are beyond the decision boundary; negative while the criterion is not met.
    #[must_use]
    pub fn margin(self, logits: &[f32]) -> f64 {
        let (Self::NotClass(class) | Self::Class(class)) = self;
        let own = logits[class] as f64;
        let others = logits.iter().enumerate().filter(|&(j, _)| j != class).map(|(_, &z)| z as f64);
        let best_other = others.fold(f64::NEG_INFINITY, f64::max);
        match self {
            Self::NotClass(_) => best_other - own,
            Self::Class(_) => own - best_other,
        }
    }

    /// The class that is to be left, if any other will do.
    #[must_use]
    pub fn left(self) -> Option<usize> {
        match self {
            Self::NotClass(own) => Some(own),
            Self::Class(_) => None,
        }
    }

    /// Whether an image of this class is adversarial.
    #[must_use]
    pub fn is_class(self, class: Option<usize>) -> bool {
        match self {
            Self::NotClass(own) => class.is_some_and(|class| class != own),
            Self::Class(wanted) => class == Some(wanted),
        }
    }

    /// Whether these logits are adversarial, by a margin that survives another runtime's rounding.
    #[must_use]
    pub fn is_met(self, logits: &[f32]) -> bool {
        let margin = self.margin(logits);
        margin > 0.0 && margin >= required_margin(logits)
    }
}

/// The smallest margin that is trusted, so that it is at least 10⁻⁵ of the largest |logit| in
/// another runtime too.
///
/// An f32 margin that is merely positive changes sign there, and rounding takes up to a tenth of
/// 10⁻⁵ off one that is just large enough here.
///
/// A single output, which stands beside a 0, vanishes where the class changes and does not tell the scale of what
/// it is the sum of; it is taken for 10, as for a confident answer.
#[must_use]
pub fn required_margin(logits: &[f32]) -> f64 {
    let scale = if matches!(logits, [0.0, _] | [_, 0.0]) { 10.0 } else { 0.0 };
    1.15e-5 * logits.iter().map(|z| z.abs() as f64).fold(scale, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn margins() {
        let logits = [1.0, 3.0, -2.0];
        assert_eq!(Criterion::NotClass(1).margin(&logits), -2.0);
        assert_eq!(Criterion::NotClass(0).margin(&logits), 2.0);
        assert_eq!(Criterion::Class(1).margin(&logits), 2.0);
        assert_eq!(Criterion::Class(2).margin(&logits), -5.0);
    }

    #[test]
    fn ties_are_not_adversarial() {
        assert!(!Criterion::NotClass(0).is_met(&[1.0, 1.0]));
        assert!(!Criterion::NotClass(0).is_met(&[1.0, 1.000_001]));
        assert!(Criterion::NotClass(0).is_met(&[1.0, 1.000_1]));
        assert!(!Criterion::NotClass(0).is_met(&[f32::NAN, 1.0]));
        assert!(!Criterion::NotClass(0).is_met(&[0.0, 0.0]));
        assert!(!Criterion::NotClass(0).is_met(&[0.0, 1e-4]) && Criterion::NotClass(0).is_met(&[0.0, 2e-4]));
    }
}
