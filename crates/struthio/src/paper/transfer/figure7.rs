use super::published::PAPER_FIGURE_7;
use crate::error::{Error, Result};
use crate::network::{Classifier, Network};
use crate::paper::reproduce::MadeFor;
use crate::paper::table1::NetworkReport;
use crate::run::Triple;
use crate::transfer::{difference, distance, gaussian, rescale};

/// Figure 7: changes that cannot be seen beside noise that hides the digit.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Figure7 {
    /// Its parts.
    pub panels: Vec<Figure7Panel>,
}

/// One part of the figure.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure7Panel {
    /// The network that reads the changed images.
    pub network: String,
    /// Size of the perturbations made for it; none for Gaussian noise of standard deviation 1.
    pub rms: Option<f64>,
    /// An image of every class, and what the network takes the changed one for.
    pub images: Vec<Triple>,
}

/// Brings the first training seed's pictures to the paper's sizes.
pub(super) fn figure7(
    seed: u64,
    reports: &[NetworkReport],
    made: &[MadeFor],
    networks: &[Network],
) -> Result<Figure7> {
    let mut panels = Vec::new();
    for (name, rms) in PAPER_FIGURE_7 {
        let report = reports.iter().find(|report| report.name == name);
        let network = made.iter().position(|made| made.name == name).and_then(|at| networks.get(at));
        let (Some(report), Some(network)) = (report, network) else { continue };
        let mut panel = |rms: Option<f64>| -> Result<()> {
            let images = report.gallery.iter().map(|triple| changed(triple, rms, seed, network));
            let images = images.collect::<Result<Vec<_>>>()?;
            panels.push(Figure7Panel { network: name.into(), rms, images });
            Ok(())
        };
        panel(Some(rms))?;
        if name == PAPER_FIGURE_7[1].0 {
            panel(None)?;
        }
    }
    Ok(Figure7 { panels })
}

/// `triple` with its perturbation in the size `rms`, or with noise, and what `network` says to it.
fn changed(triple: &Triple, rms: Option<f64>, seed: u64, network: &Network) -> Result<Triple> {
    let (image, bounds) = (&triple.original, [network.input().lower, network.input().upper]);
    let mut out = vec![0.0; image.len()];
    let reached = if let Some(rms) = rms {
        rescale(image, &difference(image, &triple.adversarial), rms, bounds, &mut out)
    } else {
        gaussian(seed, triple.index, 0, &mut out);
        let [lower, upper] = bounds;
        out.iter_mut().zip(image).for_each(|(value, x)| *value = (x + *value).clamp(lower, upper));
        distance(image, &out)
    };
    let mut session = network.session();
    session.inputs(1).copy_from_slice(&out);
    let adversarial_label = network
        .class_of(session.forward()?)
        .ok_or_else(|| Error::Request(format!("image {}: the network answers with NaN", triple.index)))?;
    Ok(Triple { adversarial: out, adversarial_label, rms: reached, ..triple.clone() })
}
