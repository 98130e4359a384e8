//! `-t` and `-T`: whether a start with these settings would succeed. Nothing is bound or written.

use super::exit::{CANNOT_CREATE, Exit, IO, SETTINGS};
use super::options::Options;
use super::{data_dir, notices, serve, settings};
use chronikd::broker::home;
use chronikd::config::{BrokerConfig, Key, Origin, Settings, Tier};
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
    for oddity in config.oddities(&options.data_dir) {
        eprintln!("chronikd: {oddity}");
    }
    let directory = match options.ephemeral {
        true => "a temporary one".into(),
        false => look_at(options, config.node_id)?,
    };
    notices::print(&format!(
        "chronikd: the settings are good; data directory: {directory}"
    ));
    Ok(())
}

/// Every setting in force as `key=value`, with its origin and what becomes of it as a comment; null is a comment
/// altogether.
fn print_all(settings: &Settings) {
    let line = |(key, value, origin): (&Key, Option<String>, Origin)| {
        let fate = match key.tier {
            Tier::Honoured => "",
            Tier::Later => ", not obeyed yet",
            Tier::Moot => ", without meaning here",
        };
        match value {
            Some(value) => format!("{}={value}  # {origin}{fate}", key.name),
            None => format!("# {} is not set", key.name),
        }
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
fn look_at(options: &Options, node_id: i32) -> Result<String, Exit> {
    let dir = &*options.data_dir;
    let shown = dir.display();
    if !is_there(dir)? {
        return Ok(format!("{shown}, to be created"));
    }
    let disk = RealDisk::new(Syncing::Each);
    let own = data_dir::own_files(options, dir);
    let identity = home::examine(&disk, dir, &own).map_err(|error| serve::refused(&error))?;
    if let Some(found) = identity.as_ref().filter(|found| found.node_id != node_id) {
        let what = format!(
            "{shown} belongs to node.id {}, not {node_id}",
            found.node_id
        );
        return Err(Exit::new(SETTINGS, what));
    }
    let user = read_journal(&disk, dir)?;
    Ok(match identity {
        Some(found) => format!("{shown} of cluster {}{user}", found.cluster_id),
        None => format!("{shown}, not used before"),
    })
}

/// Whether the directory is there and may be used, or else could be created.
fn is_there(dir: &Path) -> Result<bool, Exit> {
    let shown = dir.display();
    let found = match fs::metadata(dir) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            is_there(data_dir::parent(dir))?;
            return Ok(false);
        }
        Err(error) => {
            return Err(Exit::io(
                CANNOT_CREATE,
                format!("cannot look at {shown}"),
                &error,
            ));
        }
    };
    if !found.is_dir() {
        let what = format!("{shown} is not a directory");
        return Err(Exit::new(CANNOT_CREATE, what));
    }
    access(dir, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK)
        .map_err(|error| Exit::io(CANNOT_CREATE, format!("cannot use {shown}"), &error.into()))?;
    Ok(true)
}

/// Reads the journal, unless somebody is writing it. Answers who.
fn read_journal(disk: &RealDisk, dir: &Path) -> Result<String, Exit> {
    let user = || {
        let user = disk
            .locked_by(dir)
            .map_err(|error| Exit::io(IO, "cannot use the data directory", &error))?;
        Ok(user.map(|user| format!(", {user}: its journal was not read")))
    };
    if let Some(user) = user()? {
        return Ok(user);
    }
    let read = home::check(disk, dir);
    match user()? {
        // It came while we read, so that what we saw may have been half written.
        Some(user) => Ok(user),
        None => read
            .map(|()| String::new())
            .map_err(|error| serve::refused(&error)),
    }
}
