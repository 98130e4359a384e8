//! `-t` and `-T`: whether a start with these settings would succeed. Nothing is bound or written.

use super::exit::{CANNOT_CREATE, DATA, Exit, IO, SETTINGS};
use super::options::Options;
use super::{notices, settings};
use chronikd::broker::identity::Identity;
use chronikd::config::{BrokerConfig, Key, Origin, Settings};
use chronikd::disk::{RealDisk, Syncing};
use log::Level;
use rustix::fs::{Access, access};
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

/// Prints the settings if asked to, what is wrong with them, and one line of verdict.
pub(crate) fn run(options: &Options, print: bool) -> Result<(), Exit> {
    let settings = settings::gather(options)?;
    if print {
        print_all(&settings);
    }
    let config = judge(settings)?;
    let directory = match options.ephemeral {
        true => "a temporary one".into(),
        false => look_at(&options.data_dir, config.node_id)?,
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
fn judge(settings: Settings) -> Result<BrokerConfig, Exit> {
    let mut wrong = settings.problems();
    wrong.retain(|problem| problem.level == Level::Warn);
    let config = BrokerConfig::new(settings);
    if let Err(errors) = &config {
        wrong.extend_from_slice(errors);
    }
    for problem in &wrong {
        eprintln!("chronikd: {}", problem.text);
    }
    match config {
        Ok(config) if wrong.is_empty() => Ok(config),
        _ => Err(settings::refusal(wrong.len())),
    }
}

/// What a start would find, as far as that can be seen without writing.
fn look_at(dir: &Path, node_id: i32) -> Result<String, Exit> {
    let shown = dir.display();
    match fs::metadata(dir) {
        Ok(found) if found.is_dir() => {}
        Ok(_) => {
            return Err(Exit::new(
                CANNOT_CREATE,
                format!("{shown} is not a directory"),
            ));
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Ok(format!("{shown}, to be created"));
        }
        Err(error) => return Err(Exit::io(IO, format!("cannot look at {shown}"), &error)),
    }
    access(dir, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK)
        .map_err(|error| Exit::io(IO, format!("cannot use {shown}"), &error.into()))?;
    match Identity::load(&RealDisk::new(Syncing::Each), dir) {
        Ok(Some(found)) if found.node_id != node_id => {
            let what = format!(
                "{shown} belongs to node.id {}, not {node_id}",
                found.node_id
            );
            Err(Exit::new(SETTINGS, what))
        }
        Ok(Some(found)) => Ok(format!("{shown} of cluster {}", found.cluster_id)),
        Ok(None) => Ok(format!("{shown}, not used before")),
        Err(error) if error.kind() == ErrorKind::InvalidData => Err(Exit::new(DATA, error)),
        Err(error) => Err(Exit::io(IO, "cannot use the data directory", &error)),
    }
}
