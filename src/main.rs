//! The daemon: flags, logging, signals, run.

mod daemon;

use daemon::data_dir::DataDir;
use daemon::exit::{self, Exit};
use daemon::notices::{self, Notice};
use daemon::options::{self, Command, Options};
use daemon::{check, logger, process, serve, settings};
use log::LevelFilter;
use std::env;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Err(exit) = run() else {
        return ExitCode::SUCCESS;
    };
    match log::max_level() {
        LevelFilter::Off => eprintln!("chronikd: {}", exit.text),
        _ => log::error!("{}", exit.text),
    }
    ExitCode::from(exit.code)
}

fn run() -> Result<(), Exit> {
    let options = options::parse(&words()?)?;
    match &options.command {
        Command::Print(text) => notices::print(text),
        Command::Check { print } => check::run(&options, *print)?,
        Command::Serve => serve(&options)?,
    }
    Ok(())
}

/// The command line without the program's name.
fn words() -> Result<Vec<String>, Exit> {
    let word = |word: std::ffi::OsString| {
        word.into_string()
            .map_err(|word| Exit::new(exit::USAGE, format!("{} is not UTF-8", word.display())))
    };
    env::args_os().skip(1).map(word).collect()
}

fn serve(options: &Options) -> Result<(), Exit> {
    let log_file = options.log_file.as_deref();
    logger::start(options.level, log_file).map_err(|error| {
        let path = log_file.unwrap_or(Path::new("stderr")).display();
        Exit::io(exit::CANNOT_CREATE, format!("cannot log to {path}"), &error)
    })?;
    process::stop_at_panics(exit::SOFTWARE);
    if let Some(path) = &options.ports_file {
        notices::forget(path);
    }
    let config = settings::check(settings::gather(options)?)?;
    let seeds = process::seeds()?;
    let home = DataDir::open(options, &config, seeds.ids)?;
    let version = env!("CARGO_PKG_VERSION");
    let (pid, data) = (std::process::id(), home.path.display());
    log::info!("chronikd {version} starting pid={pid} data={data}");
    process::warn_as_root();
    settings::warn_of_oddities(&config, &home.path);
    let _pid_file = options
        .pid_file
        .as_deref()
        .map(Notice::of_pid)
        .transpose()?;
    serve::run(options, config, &home, seeds)
}
