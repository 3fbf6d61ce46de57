//! Tables 2 to 4 and Figure 7 as the paper prints them.

use serde::{Deserialize, Serialize};

/// What a row of a published matrix was made for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PaperMatrixRow {
    /// Adversarial images made for the network of this name, of this average distortion.
    MadeFor(&'static str, f64),
    /// The same, amplified to this distortion.
    Amplified(&'static str, f64),
    /// Gaussian noise of this standard deviation.
    Noise(f64),
}

/// A transfer matrix of the paper: errors in percent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PaperMatrix {
    /// The networks asked.
    pub columns: &'static [&'static str],
    /// What they were shown, and their errors.
    pub rows: &'static [(PaperMatrixRow, &'static [f64])],
}

impl PaperMatrix {
    /// The errors of a row, if the paper has it.
    #[must_use]
    pub fn row(&self, wanted: PaperMatrixRow) -> Option<&'static [f64]> {
        self.rows.iter().find(|row| row.0 == wanted).map(|row| row.1)
    }

    /// The average distortion of what was made for `network`.
    #[must_use]
    pub fn distortion(&self, network: &str) -> Option<f64> {
        self.rows.iter().find_map(|row| match row.0 {
            PaperMatrixRow::MadeFor(name, rms) if name == network => Some(rms),
            _ => None,
        })
    }
}

use PaperMatrixRow::{Amplified, MadeFor, Noise};

/// Table 2.
pub const PAPER_TABLE_2: PaperMatrix = PaperMatrix {
    columns: &["FC10(1e-4)", "FC10(1e-2)", "FC10(1)", "FC100-100-10", "FC200-200-10", "AE400-10"],
    rows: &[
        (MadeFor("FC10(1e-4)", 0.062), &[100.0, 11.7, 22.7, 2.0, 3.9, 2.7]),
        (MadeFor("FC10(1e-2)", 0.1), &[87.1, 100.0, 35.2, 35.9, 27.3, 9.8]),
        (MadeFor("FC10(1)", 0.14), &[71.9, 76.2, 100.0, 48.1, 47.0, 34.4]),
        (MadeFor("FC100-100-10", 0.058), &[28.9, 13.7, 21.1, 100.0, 6.6, 2.0]),
        (MadeFor("FC200-200-10", 0.065), &[38.2, 14.0, 23.8, 20.3, 100.0, 2.7]),
        (MadeFor("AE400-10", 0.086), &[23.4, 16.0, 24.8, 9.4, 6.6, 100.0]),
        (Noise(0.1), &[5.0, 10.1, 18.3, 0.0, 0.0, 0.8]),
        (Noise(0.3), &[15.6, 11.3, 22.7, 5.0, 4.3, 3.1]),
    ],
};

/// Table 4.
pub const PAPER_TABLE_4: PaperMatrix = PaperMatrix {
    columns: &["FC100-100-10", "FC123-456-10", "FC100-100-10′"],
    rows: &[
        (MadeFor("FC100-100-10", 0.062), &[100.0, 26.2, 5.9]),
        (MadeFor("FC123-456-10", 0.059), &[6.25, 100.0, 5.1]),
        (MadeFor("FC100-100-10′", 0.058), &[8.2, 8.2, 100.0]),
        (Noise(0.06), &[2.2, 2.6, 2.4]),
        (Amplified("FC100-100-10", 0.1), &[100.0, 98.0, 43.0]),
        (Amplified("FC123-456-10", 0.1), &[96.0, 100.0, 22.0]),
        (Amplified("FC100-100-10′", 0.1), &[27.0, 50.0, 100.0]),
        (Noise(0.1), &[2.6, 2.8, 2.7]),
    ],
};

/// A row of Table 3: errors in percent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PaperHalf {
    /// Error on the first half of the training images.
    pub p1_error: f64,
    /// Error on the second half.
    pub p2_error: f64,
    /// Test error.
    pub test_error: f64,
    /// Average minimum distortion, RMS.
    pub distortion: f64,
}

const fn half(p1_error: f64, p2_error: f64, test_error: f64, distortion: f64) -> PaperHalf {
    PaperHalf { p1_error, p2_error, test_error, distortion }
}

/// Table 3, in the order of Table 4's columns.
pub(super) const PAPER_TABLE_3: [PaperHalf; 3] =
    [half(0.0, 2.4, 2.0, 0.062), half(0.0, 2.5, 2.1, 0.059), half(2.3, 0.0, 2.1, 0.058)];

/// Figure 7: accuracy under Gaussian noise of standard deviation 1, as a share.
pub const PAPER_NOISE_ACCURACY: f64 = 0.51;

/// Figure 7: the networks, and the size to which their perturbations are brought.
pub(super) const PAPER_FIGURE_7: [(&str, f64); 2] = [("FC10(1e-4)", 0.06), ("FC200-200-10", 0.063)];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paper::PAPER_TABLE_1;

    #[test]
    fn the_papers_tables_agree_with_each_other() {
        for table in [PAPER_TABLE_2, PAPER_TABLE_4] {
            assert!(table.rows.iter().all(|row| row.1.len() == table.columns.len()));
            for (i, column) in table.columns.iter().enumerate() {
                let made_for = table.row(MadeFor(column, table.distortion(column).expect("a row")));
                assert_eq!(made_for.expect("a row")[i], 100.0, "{column}");
            }
        }
        for row in PAPER_TABLE_1.iter().filter_map(|network| Some((network.name, network.paper?.distortion)))
        {
            assert_eq!(PAPER_TABLE_2.distortion(row.0), Some(row.1), "{}", row.0);
        }
        for (column, half) in PAPER_TABLE_4.columns.iter().zip(PAPER_TABLE_3) {
            assert_eq!(PAPER_TABLE_4.distortion(column), Some(half.distortion), "{column}");
        }
    }
}
