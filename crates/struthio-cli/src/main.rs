//! The `struthio` command.

mod args;
mod commands;
mod context;
mod continuation;
mod printer;

use std::process::ExitCode;

use args::{Arguments, Command};
use clap::{CommandFactory, FromArgMatches};
use context::Context;
use struthio::Error;

/// Exit code for anything that went wrong; clap uses it for wrong arguments too.
const FAILED: u8 = 2;
/// Exit code after Ctrl-C.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let Arguments { command, global } = arguments();
    let context = match Context::new(&global) {
        Ok(context) => context,
        Err(error) => return failure(&error, None),
    };
    let done = match command {
        Command::Reproduce(args) => commands::reproduce::run(&context, &args),
        Command::Train(args) => commands::train::run(&context, &args),
        Command::Attack(args) => commands::attack::run(&context, &args),
        Command::Transfer(args) => commands::transfer::run(&context, &args),
        Command::Gradient(args) => commands::gradient::run(&context, &args),
        Command::Units(args) => commands::units::run(&context, &args),
        Command::Inspect(args) => commands::inspect::run(&context, &args),
        Command::Spectrum(args) => commands::spectrum::run(&context, &args),
        Command::Bench(args) => commands::bench::run(&context, &args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure(&error, context.continuation()),
    }
}

/// What was typed. A minus sign before a number is part of it, so that messages speak of the number.
fn arguments() -> Arguments {
    let signed = |command: clap::Command| command.allow_negative_numbers(true);
    let command = signed(Arguments::command()).mut_subcommands(signed);
    Arguments::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit())
}

/// Says what went wrong and, if it was nothing that would go wrong again, what is kept and how to continue.
fn failure(error: &anyhow::Error, continuation: Option<&str>) -> ExitCode {
    printer::say(&format!("error: {error:#}"));
    let kind = error.downcast_ref::<Error>();
    let interrupted = matches!(kind, Some(Error::Interrupted));
    let stopped = match kind {
        Some(Error::Interrupted) => Some("to continue"),
        Some(Error::Io { .. }) => Some("to continue once that is mended"),
        _ => None,
    };
    if let (Some(when), Some(command)) = (stopped, continuation) {
        printer::say(&format!("what was finished is kept; {when}: {command}"));
    }
    ExitCode::from(if interrupted { INTERRUPTED } else { FAILED })
}
