use anyhow::Result;
use serde_json::json;
use struthio::network::{Classifier, measure};
use struthio::numeric::measured_peak_gflops;

use crate::args;
use crate::context::Context;

pub fn run(context: &Context, args: &args::Bench) -> Result<()> {
    let model = context.load_model(&args.model.for_data(None))?;
    let batch = args.batch as usize;
    let peak = measured_peak_gflops(context.threads);
    let bar = context.printer.bar(&format!("bench {}", model.stem()));
    bar.set_message("making images");
    let observe = |done: usize, of: usize| {
        bar.set_length(of as u64);
        bar.set_position(done as u64);
        if done > 0 {
            bar.set_message(format!("{done} of {of} batches"));
        }
    };
    let measured =
        measure(&model.network, batch, context.threads, context.seed, &context.cancelled, &observe)?;
    bar.finish_and_clear();
    let flops = model.network.flops() as f64 * batch as f64;
    // The gradient with respect to the input costs as many products again as the forward pass.
    let share = 2.0 * flops / (measured.gradient_ms * 1e-3) / (peak * 1e9);
    let result = json!({
        "model": model.name,
        "batch": batch,
        "threads": context.threads,
        "forward_ms": measured.forward_ms,
        "gradient_ms": measured.gradient_ms,
        "gemm_gflops": peak,
        "gemm_share": share,
        "flops_per_image": model.network.flops(),
        "evaluations": measured.evaluations,
        "checksum": measured.checksum,
        "input": model.network.input().shape,
        "classes": model.network.classes(),
    });
    context.printer.result(&result, || {
        format!(
            "{}: batch {batch}, {} threads\n\
             forward   {:>9.3} ms\n\
             gradient  {:>9.3} ms (forward and input gradient)\n\
             {:.0} % of the {peak:.0} GFLOP/s that matrix products of 1024 × 1024 reach here\n\
             checksum of the gradients {:.9e}",
            model.name,
            context.threads,
            measured.forward_ms,
            measured.gradient_ms,
            100.0 * share,
            measured.checksum
        )
    })
}
