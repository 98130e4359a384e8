//! `-t` and `-T`: whether a start with these settings would succeed. Nothing is bound or written.

use super::exit::{CANNOT_CREATE, Exit, IO};
use super::options::Options;
use super::{notices, settings};
use chronikd::config::{BrokerConfig, Key, Origin, Settings};
use log::Level;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

/// Prints the settings if asked to, what is wrong with them, and one line of verdict.
pub(crate) fn run(options: &Options, print: bool) -> Result<(), Exit> {
    let settings = settings::gather(options)?;
    if print {
        print_all(&settings);
    }
    judge(settings)?;
    let directory = match options.ephemeral {
        true => "a temporary one".into(),
        false => look_at(&options.data_dir)?,
    };
    notices::print(&format!(
        "chronikd: the settings are good; data directory: {directory}"
    ));
    Ok(())
}

/// Every setting in force as `key=value`, with its origin as a comment; null is a comment altogether.
fn print_all(settings: &Settings) {
    let line = |(key, value, origin): (&Key, Option<String>, Origin)| match value {
        Some(value) => format!("{}={value}  # {origin}", key.name),
        None => format!("# {} is not set", key.name),
    };
    let lines: Vec<String> = settings.effective().map(line).collect();
    notices::print(&lines.join("\n"));
}

/// Here an unknown name is as wrong as an illegal value.
fn judge(settings: Settings) -> Result<(), Exit> {
    let mut wrong = settings.problems();
    wrong.retain(|problem| problem.level <= Level::Warn);
    if wrong.is_empty() {
        wrong = BrokerConfig::new(settings).err().unwrap_or_default();
    }
    for problem in &wrong {
        eprintln!("chronikd: {}", problem.text);
    }
    match wrong.len() {
        0 => Ok(()),
        count => Err(settings::refusal(count)),
    }
}

fn look_at(dir: &Path) -> Result<String, Exit> {
    let shown = dir.display();
    match fs::read_dir(dir) {
        Ok(mut names) => Ok(match names.next() {
            Some(_) => format!("{shown}"),
            None => format!("{shown}, empty"),
        }),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(format!("{shown}, to be created")),
        Err(error) if error.kind() == ErrorKind::NotADirectory => Err(Exit::new(
            CANNOT_CREATE,
            format!("{shown} is not a directory"),
        )),
        Err(error) => Err(Exit::io(IO, format!("cannot read {shown}"), &error)),
    }
}
