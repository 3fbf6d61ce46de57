//! Stochastic gradient descent on the autoencoder's loss.

use std::sync::atomic::{AtomicBool, Ordering};

use rand::seq::SliceRandom;

use super::super::checkpoint::Checkpoints;
use super::super::nesterov::{Nesterov, schedule};
use super::super::{EncoderRecipe, Progress};
use super::objective::{Autoencoder, Batch, Draws};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::network::Graph;
use crate::numeric::random::stream;

/// Trains `encoder`, a graph from images to activations in \[0, 1\], and drops the decoder.
pub(super) fn encoder(
    encoder: Graph,
    data: &Dataset,
    settings: &EncoderRecipe,
    seed: u64,
    checkpoints: &mut Checkpoints,
    cancelled: &AtomicBool,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Graph> {
    let batch = settings.batch.min(data.len());
    let mut autoencoder = Autoencoder::new(encoder, data.image_len(), seed)?;
    let mut buffers = Batch::new(&autoencoder, batch);
    let mut encoder_descent =
        Nesterov::new(&autoencoder.encoder, settings.momentum, &[settings.weight_decay]);
    let mut decoder_descent = Nesterov::new(&autoencoder.decoder, settings.momentum, &[]);
    let mut order: Vec<u32> = (0..data.len() as u32).collect();
    let steps_per_epoch = data.len() / batch;
    let total = (settings.epochs * steps_per_epoch) as u64;
    let Autoencoder { encoder, decoder } = &mut autoencoder;
    let weights =
        encoder.parameters_mut().chain(decoder.parameters_mut()).map(|tensor| &mut tensor.values[..]);
    let velocities = encoder_descent.velocity_mut().chain(decoder_descent.velocity_mut());
    let trained = checkpoints.restore(weights.chain(velocities));
    let mut step = (trained * steps_per_epoch) as u64;
    for epoch in 0..settings.epochs {
        order.shuffle(&mut stream(seed, "autoencoder shuffle", epoch as u64));
        if epoch < trained {
            continue; // every order is a shuffle of the one before
        }
        let draws = Draws { seed, epoch: epoch as u64 };
        let mut loss = 0.0;
        for rows in order.chunks_exact(batch) {
            if cancelled.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            loss += buffers.evaluate(&autoencoder, data, rows, settings, draws)?;
            let rate = settings.learning_rate * schedule(step, total);
            let (of_encoder, of_decoder) = buffers.gradients();
            encoder_descent.step(&mut autoencoder.encoder, &of_encoder, rate);
            decoder_descent.step(&mut autoencoder.decoder, &of_decoder, rate);
            step += 1;
        }
        let loss = loss / steps_per_epoch as f64 + encoder_descent.penalty(&autoencoder.encoder);
        if !loss.is_finite() {
            return Err(Error::Request(format!(
                "the autoencoder diverged in epoch {}: the loss is not finite",
                epoch + 1
            )));
        }
        progress(Progress { done: step, total, loss, error: None });
        let Autoencoder { encoder, decoder } = &autoencoder;
        let weights = encoder.parameters().chain(decoder.parameters()).map(|tensor| &tensor.values[..]);
        let velocities = encoder_descent.velocity().chain(decoder_descent.velocity());
        checkpoints.keep(epoch + 1, weights.chain(velocities))?;
    }
    Ok(autoencoder.encoder)
}
