//! How steep a network's saturating units are.

use rand::RngExt;

use super::classifier::InputSpec;
use super::graph::{Graph, Node, ValueId};
use super::ops::Gain;
use super::plan::{Plan, Wanted};
use crate::numeric::random::stream;

/// Directions along which units are differentiated; each tells of all units.
const DIRECTIONS: usize = 64;
/// What units take is an affine function of the image if it is no more curved than this share of its slope.
const CURVED: f64 = 1e-3;

/// The root mean square, over the units of the first layer of sigmoids or the like, of the gradient of what the
/// unit takes with respect to the image, by the scale of the unit. `None` if the first layer of nonlinear units is of
/// another kind.
pub(super) fn unit_steepness(graph: &Graph, input: &InputSpec) -> Option<f64> {
    let (index, scale) = first_saturating(graph)?;
    let before = graph.pruned(graph.nodes()[index].inputs[0])?;
    let (middle, half) = (0.5 * (input.lower + input.upper), 0.5 * (input.upper - input.lower));
    let mut random = stream(0, "steepness", 0);
    let mut plan = Plan::new(&before, Wanted::InputGradient);
    let (mut linear, mut curved) = (0.0, 0.0);
    for _ in 0..DIRECTIONS {
        // Mid-grey, a corner of the box, and the one opposite.
        let pixels = plan.inputs(3);
        let (grey, corners) = pixels.split_at_mut(input.len());
        let (up, down) = corners.split_at_mut(input.len());
        grey.fill(middle);
        for (up, down) in up.iter_mut().zip(down) {
            let step = if random.random::<bool>() { half } else { -half };
            (*up, *down) = (middle + step, middle - step);
        }
        let values = plan.forward(&before);
        let (grey, corners) = values.split_at(values.len() / 3);
        let (up, down) = corners.split_at(grey.len());
        for ((&grey, &up), &down) in grey.iter().zip(up).zip(down) {
            linear += (0.5 * f64::from(up - down)).powi(2);
            curved += (0.5 * f64::from(up + down) - f64::from(grey)).powi(2);
        }
    }
    let units = before.features(before.output());
    let steepness = (linear / (DIRECTIONS * units) as f64).sqrt() / (f64::from(half) * scale);
    (curved <= CURVED.powi(2) * linear && steepness.is_finite()).then_some(steepness)
}

/// The first node of saturating units, if no other units come before it and nothing is multiplied by what they give,
/// and their scale.
fn first_saturating(graph: &Graph) -> Option<(usize, f64)> {
    // Units run in place, but for some smooth rectifiers, which what they give is too curved for.
    let is_units = |node: &Node| node.op.in_place().is_some();
    let index = graph.nodes().iter().position(is_units)?;
    let scale = graph.nodes()[index].op.saturation_scale()?;
    let gates = |node: &Node| node.op.gain() == Gain::Product && node.inputs.contains(&ValueId(index + 1));
    (!graph.nodes().iter().any(gates)).then_some((index, scale))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::ops::{
        Arithmetic, Gelu, HardSigmoid, Linear, Op, Operator, Relu, Sigmoid, Softplus, Tanh, Tensor,
    };

    /// Four units that take sums and differences of two pixels, `scale` times, then `activation`.
    fn graph(scale: f32, activation: impl Into<Box<dyn Op>>) -> Graph {
        let signs = [1.0, 1.0, 1.0, -1.0, -1.0, 1.0, -1.0, -1.0];
        let weight = Tensor { shape: vec![2, 4], values: signs.map(|sign| scale * sign).to_vec() };
        let bias = Tensor { shape: vec![4], values: vec![5.0, 0.0, -3.0, 1.0] };
        let mut graph = Graph::new(vec![2]);
        graph.then("fc", Linear::new(weight, bias).expect("shapes fit")).expect("fits");
        graph.then("activation", activation).expect("fits");
        graph
    }

    fn steepness(graph: &Graph) -> Option<f64> {
        unit_steepness(graph, &InputSpec { shape: vec![2], lower: -1.0, upper: 3.0 })
    }

    #[test]
    fn is_the_length_of_the_weights_of_a_unit_by_its_scale() {
        for (graph, exact) in
            [(graph(3.0, Sigmoid), 18.0_f64.sqrt()), (graph(3.0, Tanh), 2.0 * 18.0_f64.sqrt())]
        {
            let found = steepness(&graph).expect("saturates");
            // ⟨w, t⟩² of corners t is 0 or 4 · 9 for these units, by halves.
            assert!((found - exact).abs() < 1e-5 * exact, "{found} {exact}");
        }
    }

    #[test]
    fn of_other_units_is_unknown() {
        assert_eq!(steepness(&graph(3.0, Relu)), None);
        for first in [Box::<dyn Op>::from(Relu), Gelu.into(), Softplus.into()] {
            let mut behind = graph(0.5, first);
            behind.then("sigmoid", Sigmoid).expect("fits");
            assert_eq!(steepness(&behind), None);
        }
        let mut gated = graph(3.0, Sigmoid);
        let product = Arithmetic::new(Operator::Mul, [&[4], &[4]]).expect("fits");
        gated.push("gate", product, &[ValueId(1), ValueId(2)]).expect("fits");
        assert_eq!(steepness(&gated), None);
    }

    #[test]
    fn the_scale_is_a_quarter_of_the_range_by_the_slope() {
        let hard = HardSigmoid { alpha: 0.2, beta: 0.5 };
        for op in [Box::<dyn Op>::from(Sigmoid), Tanh.into(), hard.into()] {
            let mut ends = [0.0; 2];
            op.forward(1, &[&[-1e3, 1e3]], &mut ends);
            let Gain::AtMost(slope) = op.gain() else { panic!("{} has a largest slope", op.kind()) };
            let scale = f64::from(ends[1] - ends[0]) / (4.0 * slope);
            assert!((op.saturation_scale().expect("saturates") - scale).abs() < 1e-6, "{}", op.kind());
        }
    }
}
