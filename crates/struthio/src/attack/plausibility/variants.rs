//! What may have been done to pixels when a network was trained, and is not done now.

const IMAGENET: ([f32; 3], [f32; 3]) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
const BYTE: f32 = 0.003_921_57;

/// How a pixel becomes what the network was trained on: one value, or one per channel.
#[derive(Debug, Clone, PartialEq)]
struct Scale {
    words: &'static str,
    mean: Vec<f32>,
    std: Vec<f32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Nothing,
    Inverted,
    BlueGreenRed,
}

/// One way to make pixels others.
#[derive(Debug, Clone)]
pub(super) struct Variant {
    change: Change,
    /// `None` leaves the pixels as they are scaled now.
    scale: Option<Scale>,
    /// What the classifier itself does to pixels, and what has to be undone before.
    mean: Vec<f32>,
    std: Vec<f32>,
    channels: usize,
    /// Values of a channel that lie together.
    run: usize,
}

impl Variant {
    /// First those with one change, then those with two.
    pub fn all(shape: &[usize], normalization: Option<(&[f32], &[f32])>) -> [Vec<Self>; 2] {
        let (channels, run) = match *shape {
            [3, height, width] => (3, height * width),
            [_, _, 3] => (3, 1),
            _ => (1, shape.iter().product()),
        };
        let (mean, std) = normalization.unwrap_or((&[0.0], &[1.0]));
        let (mean, std) = (mean.to_vec(), std.to_vec());
        let plain = Self { change: Change::Nothing, scale: None, mean, std, channels, run };
        let scales = scales(channels, normalization);
        let mut changes = vec![Change::Inverted];
        if channels == 3 {
            changes.push(Change::BlueGreenRed);
        }
        let scaled = scales.iter().map(|scale| Self { scale: Some(scale.clone()), ..plain.clone() });
        let changed = changes.iter().map(|&change| Self { change, ..plain.clone() });
        let one = scaled.clone().chain(changed).collect();
        let two =
            scaled.flat_map(|scaled| changes.iter().map(move |&change| Self { change, ..scaled.clone() }));
        [one, two.collect()]
    }

    /// What has to be done for it.
    pub fn words(&self) -> String {
        let change = match self.change {
            Change::Nothing => None,
            Change::Inverted => Some("inverted pixels (--invert)"),
            Change::BlueGreenRed => {
                Some("channels in the order blue, green, red (to be turned round in the model or the data)")
            }
        };
        let words: Vec<&str> = self.scale.iter().map(|scale| scale.words).chain(change).collect();
        words.join(" and ")
    }

    /// Gives the classifier pixels of \[0, 1\] as this says.
    pub fn apply(&self, image: &mut [f32]) {
        if self.change == Change::BlueGreenRed {
            let red = |i: usize| (i / self.run).is_multiple_of(3);
            for i in (0..image.len()).filter(|&i| red(i)) {
                image.swap(i, i + 2 * self.run);
            }
        }
        let of = |values: &[f32], channel: usize| values[if values.len() == 1 { 0 } else { channel }];
        for (i, pixel) in image.iter_mut().enumerate() {
            let channel = i / self.run % self.channels;
            let shown = if self.change == Change::Inverted { 1.0 - *pixel } else { *pixel };
            *pixel = match &self.scale {
                None => shown,
                Some(Scale { mean, std, .. }) => {
                    let wanted = (shown - of(mean, channel)) / of(std, channel);
                    wanted * of(&self.std, channel) + of(&self.mean, channel)
                }
            };
        }
    }
}

/// The scales that networks are commonly trained with, but for the present one.
fn scales(channels: usize, now: Option<(&[f32], &[f32])>) -> Vec<Scale> {
    let scale = |words, mean: &[f32], std: &[f32]| Scale { words, mean: mean.to_vec(), std: std.to_vec() };
    let mut scales = Vec::new();
    if now.is_some() {
        scales.push(scale("no normalisation", &[0.0], &[1.0]));
    }
    if channels == 3 {
        scales.push(scale("--normalize imagenet", &IMAGENET.0, &IMAGENET.1));
    } else {
        scales.push(scale("--normalize mnist", &[0.1307], &[0.3081]));
    }
    scales.push(scale("--mean 0.5 --std 0.5", &[0.5], &[0.5]));
    scales.push(scale("--mean 0 --std 0.00392157 (pixels of 0 to 255)", &[0.0], &[BYTE]));
    if channels == 3 {
        let words = "--mean 0.485,0.456,0.406 --std 0.00392157 (pixels of 0 to 255 less their mean)";
        scales.push(scale(words, &IMAGENET.0, &[BYTE]));
    }
    scales.retain(|scale| now.is_none_or(|(mean, std)| scale.mean != mean || scale.std != std));
    scales
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(variant: &Variant, image: &[f32]) -> Vec<f32> {
        let mut image = image.to_vec();
        variant.apply(&mut image);
        image
    }

    fn close(a: &[f32], b: &[f32]) -> bool {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-3)
    }

    #[test]
    fn channels_are_found_first_and_last() {
        let (first, last) = ([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], [0.1, 0.3, 0.5, 0.2, 0.4, 0.6]);
        for (shape, image, turned) in [
            (&[3, 1, 2], first, [0.5, 0.6, 0.3, 0.4, 0.1, 0.2]),
            (&[1, 2, 3], last, [0.5, 0.3, 0.1, 0.6, 0.4, 0.2]),
        ] {
            let [one, two] = Variant::all(shape, None);
            let turn = one.iter().find(|variant| variant.change == Change::BlueGreenRed).expect("there");
            assert_eq!(applied(turn, &image), turned);
            let imagenet =
                one.iter().find(|variant| variant.words() == "--normalize imagenet").expect("there");
            let red = (0.1 - 0.485) / 0.229;
            assert!((applied(imagenet, &image)[0] - red).abs() < 1e-6);
            assert_eq!((one.len(), two.len()), (6, 8));
        }
    }

    /// What the classifier does to pixels is undone first: it ends in what the variant wants.
    #[test]
    fn a_normalisation_that_is_there_is_undone() {
        let (mean, std) = ([0.1307], [0.3081]);
        let [one, _] = Variant::all(&[1, 1, 2], Some((&mean, &std)));
        let seen = |variant: &Variant| -> Vec<f32> {
            applied(variant, &[0.2, 0.8]).iter().map(|x| (x - mean[0]) / std[0]).collect()
        };
        let find = |words: &str| one.iter().find(|variant| variant.words() == words).expect("there");
        assert!(close(&seen(find("no normalisation")), &[0.2, 0.8]));
        assert!(close(&seen(find("--mean 0.5 --std 0.5")), &[-0.6, 0.6]));
        assert!(close(&seen(find("--mean 0 --std 0.00392157 (pixels of 0 to 255)")), &[51.0, 204.0]));
        assert!(one.iter().all(|variant| variant.words() != "--normalize mnist"));
        let inverted = one.iter().find(|variant| variant.change == Change::Inverted).expect("there");
        assert!(close(&applied(inverted, &[0.2, 0.8]), &[0.8, 0.2]));
    }
}
