/// For each of many directions the k images with the largest values, of equal values those with the smallest
/// [`turn`], in whatever order they are shown.
#[derive(Debug, Clone)]
pub(super) struct Top {
    k: usize,
    /// For each direction, values and images, largest first.
    best: Vec<Vec<(f32, u32)>>,
    /// What a value has to exceed to enter.
    least: Vec<f32>,
    /// For each direction, images left out although their value is that of the last one.
    tied: Vec<usize>,
}

impl Top {
    pub fn new(directions: usize, k: usize) -> Self {
        Self {
            k,
            best: vec![Vec::with_capacity(k + 1); directions],
            least: vec![f32::NEG_INFINITY; directions],
            tied: vec![0; directions],
        }
    }

    /// Shows the values of an image, one for each direction; all finite.
    pub fn show(&mut self, image: usize, values: &[f32]) {
        for (direction, &value) in values.iter().enumerate() {
            if value >= self.least[direction] {
                self.enter(direction, image, value);
            }
        }
    }

    fn enter(&mut self, direction: usize, image: usize, value: f32) {
        let (best, least, tied) =
            (&mut self.best[direction], &mut self.least[direction], &mut self.tied[direction]);
        let full = best.len() == self.k;
        let comes_before = |entry: &(f32, u32)| {
            entry.0 > value || (entry.0 == value && turn(entry.1 as usize) < turn(image))
        };
        let place = best.partition_point(comes_before);
        best.insert(place, (value, image as u32));
        best.truncate(self.k);
        if best.len() == self.k {
            let last = best[self.k - 1].0;
            // The one that had to leave had the value of the last one.
            *tied = if full && last == *least { *tied + 1 } else { 0 };
            *least = last;
        }
    }

    /// For each direction, how many images are left out although their value is that of the last one.
    pub fn tied(&self) -> &[usize] {
        &self.tied
    }

    /// For each direction, how many images are taken although others with their value are left out.
    pub fn by_chance(&self) -> Vec<usize> {
        let last = |best: &Vec<(f32, u32)>, least: f32| best.iter().filter(|entry| entry.0 == least).count();
        let of = |(best, (&least, &tied))| if tied > 0 { last(best, least) } else { 0 };
        self.best.iter().zip(self.least.iter().zip(&self.tied)).map(of).collect()
    }

    /// The images of every direction, largest value first.
    pub fn images(self) -> Vec<Vec<usize>> {
        let of = |best: Vec<(f32, u32)>| best.into_iter().map(|entry| entry.1 as usize).collect();
        self.best.into_iter().map(of).collect()
    }
}

/// Which of images with equal values comes first: fixed for an index, but without order, since data sets often
/// come class by class, and the first images of equal values would be of one class. The finaliser of
/// `SplitMix64` (Steele, Lea & Flood 2014), one to one.
fn turn(index: usize) -> u64 {
    let mut bits = (index as u64).wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Few different values, so that there are many ties.
        #[test]
        fn equals_sorting_everything(
            values in proptest::collection::vec(proptest::collection::vec(-3_i8..3, 3), 0..60),
            k in 1_usize..12,
        ) {
            let show = |mut top: Top, image: usize| {
                top.show(image, &values[image].iter().map(|&value| f32::from(value)).collect::<Vec<f32>>());
                top
            };
            let top = (0..values.len()).fold(Top::new(3, k), show);
            let back = (0..values.len()).rev().fold(Top::new(3, k), show);
            prop_assert_eq!((top.tied(), &top.best), (back.tied(), &back.best));
            let (tied, by_chance) = (top.tied().to_vec(), top.by_chance());
            for (direction, found) in top.images().into_iter().enumerate() {
                let mut expected: Vec<usize> = (0..values.len()).collect();
                expected.sort_by_key(|&image| (-values[image][direction], turn(image)));
                let rest = expected.split_off(k.min(values.len()));
                let same = |&&image: &&usize| values[image][direction] == values[expected[k - 1]][direction];
                prop_assert_eq!(tied[direction], rest.iter().filter(same).count());
                let equal = if tied[direction] > 0 { expected.iter().filter(same).count() } else { 0 };
                prop_assert_eq!(by_chance[direction], equal);
                prop_assert_eq!(found, expected);
            }
        }
    }
}
