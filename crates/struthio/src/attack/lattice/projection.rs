//! The closest point of the lattice that meets one linear inequality.

/// Times that the multiplier is bisected: enough to tell pixels apart whose slopes differ in the seventh digit.
const BISECTIONS: usize = 40;
/// Steps that are taken back at the end because fewer suffice.
const TAKEN_BACK: usize = 8;

/// How far the image is beyond the boundary near a point of the lattice, to first order.
pub(super) struct Linearisation {
    pub levels: Vec<u8>,
    /// By how much the margin exceeds what is asked for.
    pub excess: f64,
    /// What one level more of each pixel adds to it.
    pub slope: Vec<f64>,
}

/// Which levels each pixel may take.
pub(super) struct Bounds {
    low: Vec<u8>,
    high: Vec<u8>,
}

impl Bounds {
    /// The levels below and above each pixel.
    pub fn beside(image: &[f32]) -> Self {
        let level = |pixel: f32, side: fn(f32) -> f32| side(255.0 * pixel).clamp(0.0, 255.0) as u8;
        // A multiple of 1/255 may lie a rounding error beside itself, which opens no way to its neighbour.
        let low = image.iter().map(|&pixel| level(pixel + 1e-6, f32::floor));
        let high = image.iter().map(|&pixel| level(pixel - 1e-6, f32::ceil));
        Self { low: low.collect(), high: high.collect() }
    }

    /// One level around.
    pub fn around(levels: &[u8]) -> Self {
        let low = levels.iter().map(|level| level.saturating_sub(1)).collect();
        Self { low, high: levels.iter().map(|level| level.saturating_add(1)).collect() }
    }

    /// Of the pixels that `to` moves, holds the half that gains least in their place of `from`.
    pub fn hold_all_but_half(&mut self, image: &[f32], from: &Linearisation, to: &Projection) {
        let gain = |i: usize| {
            let (x, before, after) =
                (255.0 * f64::from(image[i]), from.levels[i].into(), to.levels[i].into());
            let (before, after): (f64, f64) = (before, after);
            0.5 * ((before - x).powi(2) - (after - x).powi(2))
                + to.multiplier * from.slope[i] * (after - before)
        };
        let mut moved: Vec<(f64, usize)> =
            (0..image.len()).filter(|&i| from.levels[i] != to.levels[i]).map(|i| (gain(i), i)).collect();
        moved.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut free = vec![false; image.len()];
        moved[..moved.len() / 2].iter().for_each(|&(_, i)| free[i] = true);
        for i in (0..image.len()).filter(|&i| !free[i]) {
            (self.low[i], self.high[i]) = (from.levels[i], from.levels[i]);
        }
    }
}

/// The closest point to the image, of those that the bounds allow, with enough excess to first order.
pub(super) struct Projection {
    pub levels: Vec<u8>,
    /// Whether it has that much; if not, it has as much as the bounds allow.
    pub reached: bool,
    /// What a unit of excess costs: half a squared level of distance.
    pub multiplier: f64,
}

impl Projection {
    /// The distance is a sum over pixels, and so is the excess. For a multiplier λ the best level of a pixel is the one
    /// nearest to x + λ·slope, and the smallest λ whose levels have the excess `aim` leaves a gap to the optimum of
    /// less than one step of one pixel. The last steps are taken one by one, and those that were not needed go back.
    pub fn new(image: &[f32], at: &Linearisation, bounds: &Bounds, aim: f64) -> Self {
        let problem = Problem { image, at, bounds };
        let need = aim - at.excess;
        let levels = |multiplier: f64| (0..image.len()).map(|i| problem.level(i, multiplier)).collect();
        if problem.gained(0.0) >= need {
            return Self { levels: levels(0.0), reached: true, multiplier: 0.0 };
        }
        if problem.gained(f64::INFINITY) < need {
            return Self { levels: levels(f64::INFINITY), reached: false, multiplier: 0.0 };
        }
        let steepest = at.slope.iter().fold(0.0_f64, |most, slope| most.max(slope.abs()));
        let (mut low, mut high) = (0.0, 1.0 / steepest);
        while problem.gained(high) < need {
            (low, high) = (high, 2.0 * high);
        }
        for _ in 0..BISECTIONS {
            let middle = 0.5 * (low + high);
            if problem.gained(middle) < need { low = middle } else { high = middle }
        }
        let mut levels: Vec<u8> = levels(low);
        let short = problem.fill(&mut levels, high, need - problem.gained(low));
        problem.take_back(&mut levels, -short);
        Self { levels, reached: true, multiplier: high }
    }
}

struct Problem<'a> {
    image: &'a [f32],
    at: &'a Linearisation,
    bounds: &'a Bounds,
}

impl Problem<'_> {
    /// The best level of pixel `i` for this multiplier.
    fn level(&self, i: usize, multiplier: f64) -> u8 {
        let (slope, low, high) = (self.at.slope[i], self.bounds.low[i], self.bounds.high[i]);
        // Zero times infinity is no number.
        let push = if slope == 0.0 { 0.0 } else { multiplier * slope };
        let wanted = (255.0 * f64::from(self.image[i]) + push).round();
        wanted.clamp(f64::from(low), f64::from(high)) as u8
    }

    /// The excess that the levels for this multiplier add.
    fn gained(&self, multiplier: f64) -> f64 {
        (0..self.image.len())
            .map(|i| {
                let moved = f64::from(self.level(i, multiplier)) - f64::from(self.at.levels[i]);
                self.at.slope[i] * moved
            })
            .sum()
    }

    /// Takes the steps to the levels for `multiplier`, the cheapest first, until nothing is missing; returns what
    /// is missing, which is less than nothing if the last step was longer than needed.
    fn fill(&self, levels: &mut [u8], multiplier: f64, mut missing: f64) -> f64 {
        let mut steps: Vec<(f64, usize)> = Vec::new();
        for (i, &level) in levels.iter().enumerate() {
            let (from, to) = (f64::from(level), f64::from(self.level(i, multiplier)));
            let way = (to - from).signum();
            for step in 0..(to - from).abs() as u32 {
                let reached_at = from + way * (f64::from(step) + 0.5) - 255.0 * f64::from(self.image[i]);
                steps.push((reached_at / self.at.slope[i], i));
            }
        }
        steps.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        for (_, i) in steps {
            if missing <= 0.0 {
                break;
            }
            let way = self.at.slope[i].signum();
            levels[i] = (f64::from(levels[i]) + way) as u8;
            missing -= self.at.slope[i].abs();
        }
        missing
    }

    /// Takes back what `spare` excess allows, the longest steps first.
    fn take_back(&self, levels: &mut [u8], mut spare: f64) {
        for _ in 0..TAKEN_BACK {
            let saved = |i: usize| {
                let way = self.at.slope[i].signum();
                let back = f64::from(levels[i]) - way;
                let allowed = back >= f64::from(self.bounds.low[i]) && back <= f64::from(self.bounds.high[i]);
                let x = 255.0 * f64::from(self.image[i]);
                let saved = (f64::from(levels[i]) - x).powi(2) - (back - x).powi(2);
                (allowed && self.at.slope[i].abs() <= spare && saved > 1e-9).then_some((i, saved))
            };
            let longest = (0..levels.len())
                .filter_map(saved)
                .reduce(|best, next| if next.1 > best.1 { next } else { best });
            let Some((i, _)) = longest else { return };
            levels[i] = (f64::from(levels[i]) - self.at.slope[i].signum()) as u8;
            spare -= self.at.slope[i].abs();
        }
    }
}

/// Squared distance in levels.
pub(super) fn distance(image: &[f32], levels: &[u8]) -> f64 {
    let pixels = image.iter().zip(levels);
    pixels.map(|(&x, &level)| (f64::from(level) - 255.0 * f64::from(x)).powi(2)).sum()
}
