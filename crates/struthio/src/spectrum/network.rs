use super::chain::Chain;
use super::layer::LayerGain;
use crate::network::ops::{Gain, SWISH};
use crate::network::{Graph, Node, ValueId};

/// For every value of the graph, a number by which a change of the image can be amplified at most on the
/// way to it: layers in series multiply, branches that are added add, and branches side by side add in
/// squares. Infinite where a layer has no bound.
#[must_use]
pub fn value_bounds(graph: &Graph, layers: &[LayerGain]) -> Vec<f64> {
    bounds(graph, layers, false)
}

/// The same with matrices in series taken together, when there are only activations with slopes from zero
/// up between them: never above the products.
#[must_use]
pub fn chained_value_bounds(graph: &Graph, layers: &[LayerGain]) -> Vec<f64> {
    bounds(graph, layers, true)
}

fn bounds(graph: &Graph, layers: &[LayerGain], chained: bool) -> Vec<f64> {
    let mut bounds = vec![1.0];
    for (node, layer) in graph.nodes().iter().zip(layers) {
        let of = |i: usize| bounds[node.inputs[i].0];
        let bound = match node.op.gain() {
            Gain::Sum(factors) => factors[0] * of(0) + factors[1] * of(1),
            Gain::Joined => {
                node.inputs.iter().map(|input| bounds[input.0] * bounds[input.0]).sum::<f64>().sqrt()
            }
            Gain::Product => swish(graph, node).map_or(f64::INFINITY, |x| SWISH * bounds[x.0]),
            _ => {
                let product = layer.upper.unwrap_or(f64::INFINITY) * of(0);
                let chain = Chain::ending_at(graph, node).filter(|_| chained && product.is_finite());
                chain.map_or(product, |chain| product.min(chain.bound() * bounds[chain.start.0]))
            }
        };
        let bound = if bound.is_nan() { f64::INFINITY } else { bound };
        bounds.push(bound * (1.0 + 1e-14));
    }
    bounds
}

/// The bound of the logits.
#[must_use]
pub fn bound(graph: &Graph, layers: &[LayerGain]) -> f64 {
    value_bounds(graph, layers).last().copied().unwrap_or(1.0)
}

/// The bound of the logits with matrices in series taken together.
#[must_use]
pub fn chained_bound(graph: &Graph, layers: &[LayerGain]) -> f64 {
    chained_value_bounds(graph, layers).last().copied().unwrap_or(1.0)
}

/// x, if `node` is x·sigmoid(x).
fn swish(graph: &Graph, node: &Node) -> Option<ValueId> {
    let [a, b] = node.inputs[..] else { return None };
    let gates = |gate: ValueId, x: ValueId| {
        let producer = graph.producer(gate)?;
        (producer.op.kind() == "Sigmoid" && producer.inputs == [x] && graph.shape(gate) == graph.shape(x))
            .then_some(x)
    };
    gates(b, a).or_else(|| gates(a, b))
}
