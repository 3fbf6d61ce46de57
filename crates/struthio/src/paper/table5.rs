//! Table 5: the layers of the paper's `AlexNet`.

use crate::spectrum::Layer;

/// A layer of Table 5.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PaperLayer {
    /// What the paper calls it.
    pub name: &'static str,
    /// Inputs × rows × columns × outputs of a convolution, inputs × outputs of a matrix.
    pub size: &'static [usize],
    /// Steps of a convolution.
    pub stride: usize,
    /// Its operator norm.
    pub norm: f64,
}

const fn layer(name: &'static str, size: &'static [usize], stride: usize, norm: f64) -> PaperLayer {
    PaperLayer { name, size, stride, norm }
}

/// Table 5 as the paper prints it.
pub const PAPER_TABLE_5: [PaperLayer; 8] = [
    layer("Conv. 1", &[3, 11, 11, 96], 4, 2.75),
    layer("Conv. 2", &[96, 5, 5, 256], 1, 10.0),
    layer("Conv. 3", &[256, 3, 3, 384], 1, 7.0),
    layer("Conv. 4", &[384, 3, 3, 384], 1, 7.5),
    layer("Conv. 5", &[384, 3, 3, 256], 1, 11.0),
    layer("FC. 1", &[43264, 4096], 1, 3.12),
    layer("FC. 2", &[4096, 4096], 1, 4.0),
    layer("FC. 3", &[4096, 1000], 1, 4.0),
];

/// For each of `layers` the paper's, if those with weights have `AlexNet`'s geometry: its five convolutions, in
/// one or two groups, and three matrices of its units. The images, and so the first matrix, may be of
/// another size, and the classes as many as they like.
#[must_use]
pub fn table5(layers: &[Layer]) -> Option<Vec<Option<&'static PaperLayer>>> {
    let mut papers = PAPER_TABLE_5.iter();
    let beside = layers.iter().map(|layer| {
        if layer.shape.is_empty() {
            return Some(None);
        }
        let paper = papers.next()?;
        fits(layer, paper).then_some(Some(paper))
    });
    let beside = beside.collect::<Option<Vec<_>>>()?;
    papers.next().is_none().then_some(beside)
}

fn fits(layer: &Layer, paper: &PaperLayer) -> bool {
    match (&layer.shape[..], paper.size, layer.stride) {
        (
            &[outputs, inputs, rows, columns],
            &[their_inputs, their_rows, their_columns, their_outputs],
            Some(stride),
        ) => {
            let grouped = inputs == their_inputs || 2 * inputs == their_inputs;
            grouped
                && [rows, columns, outputs] == [their_rows, their_columns, their_outputs]
                && stride == [paper.stride; 2]
        }
        // The first matrix depends on the size of the images, the last on the classes.
        (&[inputs, outputs], &[their_inputs, their_outputs], None) => {
            (inputs == their_inputs || their_inputs != 4096)
                && (outputs == their_outputs || their_outputs == 1000)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers(shapes: &[(&[usize], Option<usize>)]) -> Vec<Layer> {
        let with_weights = shapes.iter().map(|&(shape, stride)| Layer {
            shape: shape.into(),
            stride: stride.map(|stride| [stride; 2]),
            ..Layer::default()
        });
        // A rectifier behind each.
        with_weights.flat_map(|layer| [layer, Layer::default()]).collect()
    }

    const TWO_GROUPS: [(&[usize], Option<usize>); 8] = [
        (&[96, 3, 11, 11], Some(4)),
        (&[256, 48, 5, 5], Some(1)),
        (&[384, 256, 3, 3], Some(1)),
        (&[384, 192, 3, 3], Some(1)),
        (&[256, 192, 3, 3], Some(1)),
        (&[9216, 4096], None),
        (&[4096, 4096], None),
        (&[4096, 20], None),
    ];

    #[test]
    fn the_papers_layers_stand_beside_ours() {
        let beside = table5(&layers(&TWO_GROUPS)).expect("AlexNet's geometry");
        let norms: Vec<f64> = beside.iter().flatten().map(|paper| paper.norm).collect();
        assert_eq!(norms, [2.75, 10.0, 7.0, 7.5, 11.0, 3.12, 4.0, 4.0]);
        assert!(beside[1].is_none() && beside[2].is_some_and(|paper| paper.name == "Conv. 2"));
    }

    #[test]
    fn others_are_not_compared() {
        for changed in 0..8 {
            let mut others = TWO_GROUPS;
            others[changed] = match changed {
                0 => (&[96, 3, 11, 11], Some(3)), // other steps
                1..5 => (&[64, 48, 5, 5], Some(1)),
                _ => (&[2048, 2048], None),
            };
            assert_eq!(table5(&layers(&others)), None, "{changed}");
        }
        assert_eq!(table5(&layers(&TWO_GROUPS[..7])), None);
        assert_eq!(table5(&layers(&[&TWO_GROUPS[..], &[(&[20, 20], None)]].concat())), None);
        assert_eq!(table5(&[]), None);
    }
}
