/// A scalar function of the logits whose gradient with respect to the image a search asks for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Loss {
    /// −ln softmax(z)ₜ for the class t: the paper's loss.
    CrossEntropy(usize),
    /// ln Σ e^zⱼ over j ≠ t, minus zₜ: a smooth upper bound of how much t is behind.
    Margin(usize),
    /// z of the second class minus z of the first: negative once the first is ahead.
    Difference {
        /// The class that should gain.
        ahead: usize,
        /// The class that should fall behind.
        behind: usize,
    },
}

impl Loss {
    /// The value, with its gradient with respect to the logits written to `seed`.
    pub fn value_and_seed(self, logits: &[f32], seed: &mut [f32]) -> f64 {
        match self {
            Self::CrossEntropy(target) => {
                let value = softmax_except(logits, None, seed) - logits[target] as f64;
                seed[target] -= 1.0;
                value
            }
            Self::Margin(target) => {
                let value = softmax_except(logits, Some(target), seed) - logits[target] as f64;
                seed[target] = -1.0;
                value
            }
            Self::Difference { ahead, behind } => {
                seed.fill(0.0);
                seed[ahead] = -1.0;
                seed[behind] = 1.0;
                logits[behind] as f64 - logits[ahead] as f64
            }
        }
    }

    /// The classes named.
    pub(crate) fn classes(self) -> [usize; 2] {
        match self {
            Self::CrossEntropy(class) | Self::Margin(class) => [class, class],
            Self::Difference { ahead, behind } => [ahead, behind],
        }
    }
}

/// ln Σ e^zⱼ over all classes but `except`, with the softmax over the same classes in `out`.
fn softmax_except(logits: &[f32], except: Option<usize>, out: &mut [f32]) -> f64 {
    let kept = || logits.iter().enumerate().filter(|&(j, _)| Some(j) != except);
    let max = kept().map(|(_, &z)| z as f64).fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = kept().map(|(_, &z)| (z as f64 - max).exp()).sum();
    out.fill(0.0);
    for (j, &z) in kept() {
        out[j] = ((z as f64 - max).exp() / sum) as f32;
    }
    max + sum.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_central_differences() {
        let logits = [0.3_f32, -1.2, 2.0, 0.7];
        for loss in [Loss::CrossEntropy(1), Loss::Margin(2), Loss::Difference { ahead: 0, behind: 3 }] {
            let mut seed = [0.0; 4];
            loss.value_and_seed(&logits, &mut seed);
            for j in 0..4 {
                let at = |h: f32| {
                    let mut moved = logits;
                    moved[j] += h;
                    loss.value_and_seed(&moved, &mut [0.0; 4])
                };
                let slope = (at(1e-2) - at(-1e-2)) / 2e-2;
                assert!((slope - seed[j] as f64).abs() < 1e-4, "{loss:?} {j}: {slope} {}", seed[j]);
            }
        }
    }

    #[test]
    fn known_values() {
        let mut seed = [0.0; 2];
        assert!((Loss::CrossEntropy(0).value_and_seed(&[0.0, 0.0], &mut seed) - 2.0_f64.ln()).abs() < 1e-12);
        assert_eq!(Loss::Margin(0).value_and_seed(&[5.0, 2.0], &mut seed), -3.0);
        assert_eq!(Loss::Difference { ahead: 0, behind: 1 }.value_and_seed(&[5.0, 2.0], &mut seed), -3.0);
    }
}
