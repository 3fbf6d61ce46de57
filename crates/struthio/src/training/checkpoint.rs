//! Where a training by epochs stands, on disk.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::Result;
use crate::run::{checksum, read_regular, remove_abandoned, write_atomically};

/// Work that a killed process may cost at least.
const INTERVAL: Duration = Duration::from_secs(1);
/// How many times as long as writing a checkpoint the training goes on before the next.
const WORK_PER_WRITING: u32 = 20;

/// What is left of a training that did not come to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unfinished {
    /// It will be continued.
    AfterEpoch {
        /// Epochs trained.
        done: usize,
        /// Epochs in all.
        of: usize,
    },
    /// The checkpoint at this place cannot be used; the training begins anew.
    Damaged(PathBuf),
}

impl fmt::Display for Unfinished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AfterEpoch { done, of } => write!(f, "continuing after epoch {done} of {of}"),
            Self::Damaged(path) => {
                write!(
                    f,
                    "the checkpoint {} is damaged and not used; training from the start",
                    path.display()
                )
            }
        }
    }
}

/// Keeps what a training by epochs needs to go on: the number of epochs done and a few vectors.
/// Random streams need no keeping, being derived from the seed and the epoch.
///
/// The file holds the epochs as u64, all values as f32, and the CRC-32 of both, little-endian. What
/// it belongs to is in its name.
pub(super) struct Checkpoints {
    path: Option<PathBuf>,
    due: Instant,
}

impl Checkpoints {
    /// At `path`, which must tell this training from any other.
    pub fn at(path: PathBuf) -> Self {
        Self { path: Some(path), due: Instant::now() + INTERVAL }
    }

    /// Nowhere.
    pub fn none() -> Self {
        Self { path: None, due: Instant::now() }
    }

    /// Fills `state` from the checkpoint and returns how many epochs were done; zero, and `state` as
    /// it is, if there is none that fits.
    pub fn restore<'a>(&self, state: impl Iterator<Item = &'a mut [f32]>) -> usize {
        let Some((epochs, values)) = self.path.as_deref().and_then(|path| load(&read_regular(path).ok()?))
        else {
            return 0;
        };
        let state: Vec<&mut [f32]> = state.collect();
        if state.iter().map(|part| part.len()).sum::<usize>() != values.len() {
            return 0;
        }
        let mut rest = &values[..];
        for part in state {
            let (own, others) = rest.split_at(part.len());
            part.copy_from_slice(own);
            rest = others;
        }
        epochs
    }

    /// Keeps `state` after `epochs` epochs, unless that was done a moment ago.
    pub fn keep<'a>(&mut self, epochs: usize, state: impl Iterator<Item = &'a [f32]>) -> Result<()> {
        let start = Instant::now();
        let Some(path) = self.path.as_deref().filter(|_| start >= self.due) else { return Ok(()) };
        let mut bytes = (epochs as u64).to_le_bytes().to_vec();
        state.flatten().for_each(|value| bytes.extend(value.to_le_bytes()));
        bytes.extend(checksum(&bytes).to_le_bytes());
        write_atomically(path, &bytes)?;
        self.due = Instant::now() + INTERVAL.max(WORK_PER_WRITING * start.elapsed());
        Ok(())
    }
}

/// What the checkpoint at `path` tells of a training of `of` epochs; `None` if there is none.
pub(super) fn inspect(path: &Path, of: usize) -> Option<Unfinished> {
    let bytes = read_regular(path).ok()?;
    Some(match load(&bytes) {
        Some((done, _)) => Unfinished::AfterEpoch { done, of },
        None => Unfinished::Damaged(path.to_owned()),
    })
}

/// Removes the checkpoint at `path`, and what killed processes left of attempts to write one.
pub(super) fn remove(path: &Path) {
    remove_abandoned(path);
    let _ = std::fs::remove_file(path); // untidy at worst: the finished network comes first
}

/// Epochs and values; `None` if the checksum does not agree.
fn load(bytes: &[u8]) -> Option<(usize, Vec<f32>)> {
    let (content, expected) = bytes.split_last_chunk::<4>()?;
    if checksum(content) != u32::from_le_bytes(*expected) {
        return None;
    }
    let (epochs, values) = content.split_first_chunk::<8>()?;
    let (values, rest) = values.as_chunks::<4>();
    let values = values.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    rest.is_empty().then_some((u64::from_le_bytes(*epochs) as usize, values))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_damage() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("fc10.checkpoint");
        let mut checkpoints = Checkpoints { path: Some(path.clone()), due: Instant::now() };
        let (weights, velocity) = ([1.5_f32, -2.0], [0.25_f32]);
        checkpoints.keep(12, [&weights[..], &velocity].into_iter()).expect("written");
        // The next one is not due yet.
        checkpoints.keep(13, [&weights[..], &velocity].into_iter()).expect("nothing to do");
        assert_eq!(inspect(&path, 25), Some(Unfinished::AfterEpoch { done: 12, of: 25 }));
        let (mut w, mut v) = ([0.0; 2], [0.0; 1]);
        assert_eq!(checkpoints.restore([&mut w[..], &mut v].into_iter()), 12);
        assert_eq!((w, v), (weights, velocity));

        let whole = std::fs::read(&path).expect("there");
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            assert!(load(&bytes).is_none(), "byte {at}");
            assert!(load(&whole[..at]).is_none(), "{at} bytes");
        }
        std::fs::write(&path, &whole[1..]).expect("written");
        assert_eq!(checkpoints.restore([&mut w[..], &mut v].into_iter()), 0);
        assert_eq!(w, weights);
        assert_eq!(inspect(&path, 25), Some(Unfinished::Damaged(path.clone())));
        remove(&path);
        assert_eq!(inspect(&path, 25), None);
    }

    #[test]
    fn another_networks_checkpoint_does_not_fit() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("fc10.checkpoint");
        let mut checkpoints = Checkpoints { path: Some(path), due: Instant::now() };
        checkpoints.keep(3, std::iter::once(&[1.0_f32; 5][..])).expect("written");
        let mut state = [7.0; 4];
        assert_eq!((checkpoints.restore(std::iter::once(&mut state[..])), state), (0, [7.0; 4]));
    }
}
