//! The `struthio` command.

mod args;
mod commands;
mod context;
mod printer;

use std::process::ExitCode;

use args::{Arguments, Command};
use clap::Parser;
use context::Context;
use struthio::Error;

/// Exit code for anything that went wrong; clap uses it for wrong arguments too.
const FAILED: u8 = 2;
/// Exit code after Ctrl-C.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let Arguments { command, global } = Arguments::parse();
    let run = || {
        let context = Context::new(&global)?;
        match command {
            Command::Reproduce(args) => commands::reproduce::run(&context, &args),
            Command::Train(args) => commands::train::run(&context, &args),
            Command::Attack(args) => commands::attack::run(&context, &args),
            Command::Gradient(args) => commands::gradient::run(&context, &args),
            Command::Bench(args) => commands::bench::run(&context, &args),
        }
    };
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            printer::say(&format!("error: {error:#}"));
            let interrupted = matches!(error.downcast_ref::<Error>(), Some(Error::Interrupted));
            ExitCode::from(if interrupted { INTERRUPTED } else { FAILED })
        }
    }
}
