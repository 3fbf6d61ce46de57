use super::{Attribute, Gain, OnnxNode, Op, Tangents, Trace, only_input};
use crate::numeric::simd::vectorised;

/// Local response normalisation across channels (Krizhevsky et al. 2012, section 3.3):
/// x / (bias + α/size · Σ x²)^β, the sum over `size` neighbouring channels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lrn {
    /// Channels that a sum is over, the channel itself in their middle.
    pub size: usize,
    /// α
    pub alpha: f32,
    /// β
    pub beta: f32,
    /// What is added to the sum, positive.
    pub bias: f32,
    channels: usize,
}

impl Lrn {
    /// Of images with `channels` channels.
    ///
    /// # Errors
    ///
    /// If the normaliser could become zero or negative.
    pub fn new(channels: usize, size: usize, [alpha, beta, bias]: [f32; 3]) -> Result<Self, String> {
        if size == 0 || alpha < 0.0 || bias <= 0.0 || ![alpha, beta, bias].iter().all(|v| v.is_finite()) {
            return Err(format!("size {size}, alpha {alpha}, beta {beta} and bias {bias} are not possible"));
        }
        Ok(Self { size, alpha, beta, bias, channels })
    }

    /// Channels that enter the sum of channel `c`.
    fn window(&self, c: usize) -> std::ops::Range<usize> {
        let before = (self.size - 1) / 2;
        c.saturating_sub(before)..(c + self.size - before).min(self.channels)
    }

    /// bias + α/size · Σ x², for every channel of a pixel.
    fn normalisers(&self, pixel: &[f32], out: &mut [f32]) {
        for (c, out) in out.iter_mut().enumerate() {
            let sum: f32 = pixel[self.window(c)].iter().map(|x| x * x).sum();
            *out = (self.alpha / self.size as f32).mul_add(sum, self.bias);
        }
    }

    /// s^−β
    #[inline(always)]
    fn power(&self, s: f32) -> f32 {
        if self.beta == 0.75 {
            let root = s.sqrt();
            1.0 / (root * root.sqrt())
        } else {
            s.powf(-self.beta)
        }
    }
}

impl Op for Lrn {
    fn kind(&self) -> &'static str {
        "LRN"
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        match only_input(inputs)? {
            shape @ [channels, _, _] if *channels == self.channels => Ok(shape.to_vec()),
            _ => Err(format!("it was made for images of {} channels", self.channels)),
        }
    }

    fn forward(&self, _rows: usize, inputs: &[&[f32]], output: &mut [f32]) {
        vectorised(
            #[inline(always)]
            || {
                let pixels = inputs[0].chunks_exact(self.channels);
                for (x, y) in pixels.zip(output.chunks_exact_mut(self.channels)) {
                    self.normalisers(x, y);
                    for (y, &x) in y.iter_mut().zip(x) {
                        *y = x * self.power(*y);
                    }
                }
            },
        );
    }

    fn tangent(&self, along: Tangents<'_>, output_tangent: &mut [f32]) {
        let factor = 2.0 * self.beta * self.alpha / self.size as f32;
        let mut s = vec![0.0; self.channels];
        let pixels = along.inputs[0].chunks_exact(self.channels);
        let tangents = along.tangents[0].chunks_exact(self.channels);
        for ((x, dx), dy) in pixels.zip(tangents).zip(output_tangent.chunks_exact_mut(self.channels)) {
            self.normalisers(x, &mut s);
            for c in 0..self.channels {
                let window = self.window(c);
                let growth: f32 = x[window.clone()].iter().zip(&dx[window]).map(|(x, dx)| x * dx).sum();
                dy[c] = (dx[c] - factor * x[c] * growth / s[c]) * self.power(s[c]);
            }
        }
    }

    fn backward(&self, trace: Trace<'_>, _input: usize, input_gradient: &mut [f32]) {
        let factor = 2.0 * self.beta * self.alpha / self.size as f32;
        let mut s = vec![0.0; self.channels];
        let mut pull = vec![0.0; self.channels];
        vectorised(
            #[inline(always)]
            || {
                let pixels = trace.inputs[0].chunks_exact(self.channels);
                let gradients = trace.output_gradient.chunks_exact(self.channels);
                for ((x, dy), dx) in pixels.zip(gradients).zip(input_gradient.chunks_exact_mut(self.channels))
                {
                    self.normalisers(x, &mut s);
                    for c in 0..self.channels {
                        let power = self.power(s[c]);
                        dx[c] = dy[c] * power;
                        pull[c] = dy[c] * x[c] * power / s[c];
                    }
                    // x of channel c is in the sums of the channels whose windows hold it.
                    let after = (self.size - 1) / 2;
                    let before = self.size - 1 - after;
                    for c in 0..self.channels {
                        let sum: f32 =
                            pull[c.saturating_sub(before)..(c + after + 1).min(self.channels)].iter().sum();
                        dx[c] -= factor * x[c] * sum;
                    }
                }
            },
        );
    }

    fn gain(&self) -> Gain<'_> {
        let [alpha, beta, bias] = [self.alpha, self.beta, self.bias].map(f64::from);
        if beta < 0.0 {
            return Gain::Unbounded;
        }
        let all = (0..self.channels).all(|c| self.window(c).len() == self.channels);
        let own = bias.powf(-beta) * (1.0 + 1e-9);
        if alpha == 0.0 || (all && (0.5..=1.0).contains(&beta)) {
            return Gain::AtMost(own); // the paper's, for which all channels are in each sum
        }
        // The Jacobian is diag(s^−β) − 2β·diag(x)·diag(s^(−β−1))·α/size·(neighbours)·diag(x). A row of the
        // second part has at most the length 2β·t/(bias + t)^(β+1) for t = α/size·Σx², which is largest at
        // t = bias/β; and a channel is in at most `size` rows.
        let row = 2.0 * beta * beta.powf(beta) / (1.0 + beta).powf(1.0 + beta);
        let overlap = self.size.min(self.channels) as f64;
        Gain::AtMost(own * (1.0 + row * overlap.sqrt()))
    }

    fn to_onnx(&self) -> Vec<OnnxNode> {
        let attributes = vec![
            ("alpha", Attribute::Float(self.alpha)),
            ("beta", Attribute::Float(self.beta)),
            ("bias", Attribute::Float(self.bias)),
            ("size", Attribute::Integer(self.size as i64)),
        ];
        vec![OnnxNode { op_type: "LRN", attributes, constants: Vec::new() }]
    }
}
