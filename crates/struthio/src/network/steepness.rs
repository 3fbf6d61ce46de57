//! How steep a network's saturating units are.

use rand::RngExt;

use super::classifier::InputSpec;
use super::graph::{Graph, Node, ValueId};
use super::ops::Gain;
use super::plan::{Plan, Wanted};
use crate::numeric::random::stream;

/// Directions along which units are differentiated; each tells of all units.
const DIRECTIONS: usize = 64;
/// Units are affine functions of the image if they go up along a direction as they go down against it, but for this
/// share.
const UNEVENNESS: f64 = 1e-3;

/// The root mean square, over the units of the first layer of sigmoids or the like, of the gradient of what the
/// unit takes with respect to the image, in widths of the unit: how many times a perturbation of length 1 can drive a
/// unit through its range. `None` if the first layer of nonlinear units is of another kind.
pub(super) fn unit_steepness(graph: &Graph, input: &InputSpec) -> Option<f64> {
    let (index, width) = first_saturating(graph)?;
    let before = graph.nodes()[index].inputs[0];
    let mut prefix = Graph::new(graph.shape(ValueId::INPUT).to_vec());
    for Node { name, op, inputs } in &graph.nodes()[..before.0] {
        prefix.push(name.clone(), op.clone(), inputs).ok()?;
    }

    // At mid-grey, and from there to corners of the box and to those opposite.
    let (middle, half) = (0.5 * (input.lower + input.upper), 0.5 * (input.upper - input.lower));
    let mut random = stream(0, "steepness", 0);
    let mut plan = Plan::new(&prefix, Wanted::InputGradient);
    let pixels = plan.inputs(1 + 2 * DIRECTIONS);
    let (grey, corners) = pixels.split_at_mut(input.len());
    grey.fill(middle);
    for pair in corners.chunks_exact_mut(2 * input.len()) {
        let (up, down) = pair.split_at_mut(input.len());
        for (up, down) in up.iter_mut().zip(down) {
            let step = if random.random::<bool>() { half } else { -half };
            (*up, *down) = (middle + step, middle - step);
        }
    }
    let values = plan.forward(&prefix);
    let (at_grey, at_corners) = values.split_at(values.len() / (1 + 2 * DIRECTIONS));
    let (mut even, mut uneven) = (0.0, 0.0);
    for pair in at_corners.chunks_exact(2 * at_grey.len()) {
        let (up, down) = pair.split_at(at_grey.len());
        for ((&grey, &up), &down) in at_grey.iter().zip(up).zip(down) {
            even += (0.5 * f64::from(up - down)).powi(2);
            uneven += (0.5 * f64::from(up + down) - f64::from(grey)).powi(2);
        }
    }
    let mean_square = even / (DIRECTIONS * at_grey.len()) as f64;
    let steepness = mean_square.sqrt() / (f64::from(half) * width);
    (uneven <= UNEVENNESS.powi(2) * even && steepness.is_finite()).then_some(steepness)
}

/// The first node of saturating units, if no other units come before it and it does not gate what it took, and
/// their width.
fn first_saturating(graph: &Graph) -> Option<(usize, f64)> {
    let is_units = |node: &Node| node.op.in_place().is_some();
    let index = graph.nodes().iter().position(is_units)?;
    let width = graph.nodes()[index].op.saturation_width()?;
    let gates = |node: &Node| node.op.gain() == Gain::Product && node.inputs.contains(&ValueId(index + 1));
    (!graph.nodes().iter().any(gates)).then_some((index, width))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::ops::{Arithmetic, Linear, Op, Operator, Relu, Sigmoid, Tanh, Tensor};

    /// Four units that take sums and differences of two pixels, `scale` times, then `activation`.
    fn graph(scale: f32, activation: impl Op) -> Graph {
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
    fn is_the_length_of_the_weights_of_a_unit_in_its_widths() {
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
        let mut behind = graph(3.0, Relu);
        behind.then("sigmoid", Sigmoid).expect("fits");
        assert_eq!(steepness(&behind), None);
        let mut gated = graph(3.0, Sigmoid);
        let product = Arithmetic::new(Operator::Mul, [&[4], &[4]]).expect("fits");
        gated.push("gate", product, &[ValueId(1), ValueId(2)]).expect("fits");
        assert_eq!(steepness(&gated), None);
    }
}
