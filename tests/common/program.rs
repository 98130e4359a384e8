//! How a foreign client's program is started, with the toolchain that `tests/clients/setup` installed for it.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use super::{on_path, tests_dir, toolchain};

/// A program beside the suite that drives it, and what runs it. What programs of a language share is in `tests/common`.
#[derive(Clone, Copy, Debug)]
pub enum Program {
    /// A script for the Python of a toolchain.
    Venv(&'static str, &'static str),
    /// A script for the system's Python around a command of the system.
    System(&'static str, &'static str),
    /// A single Java class, with the jars of a toolchain.
    Java(&'static str, &'static str),
    /// A class of the jars of a toolchain.
    Class(&'static str, &'static str),
    /// A script for the pinned Node, with the packages of a toolchain.
    Node(&'static str, &'static str),
    /// A library of the Go programs, and which part of it.
    Go(&'static str, &'static str),
}

impl Program {
    /// The command that runs it, without arguments, or what is missing on this machine.
    pub fn command(self, folder: &Path) -> Result<Command, String> {
        match self {
            Program::Venv(script, name) => {
                let mut command = Command::new(toolchain(name)?.join("venv/bin/python"));
                command.arg(folder.join(script));
                command.env("PYTHONPATH", tests_dir().join("common"));
                Ok(command)
            }
            Program::System(script, tool) => {
                on_path(tool)?;
                on_path("python3")?;
                let mut command = Command::new("python3");
                command.arg(folder.join(script));
                command.env("PYTHONPATH", tests_dir().join("common"));
                Ok(command)
            }
            Program::Java(class, name) => own_java(folder, class, name),
            Program::Class(class, name) => {
                on_path("java")?;
                Ok(java(class, toolchain(name)?.join("jars/*").display()))
            }
            Program::Node(script, name) => {
                let packages = toolchain(name)?;
                let mut command = Command::new(packages.join("node"));
                // kafkajs computes timeouts below zero, of which this Node warns.
                command.arg("--no-warnings").arg(folder.join(script));
                let modules = packages.join("node_modules");
                let shared = tests_dir().join("common");
                let both = std::env::join_paths([modules, shared]);
                command.env("NODE_PATH", both.map_err(|why| why.to_string())?);
                Ok(command)
            }
            Program::Go(library, part) => {
                let mut command = Command::new(toolchain("go-clients")?.join("clients"));
                command.args([library, part]);
                Ok(command)
            }
        }
    }
}

/// A Java machine that starts quickly, for a class of a class path.
fn java(class: &str, path: impl Display) -> Command {
    let mut command = Command::new("java");
    command.args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp"]);
    command.arg(path.to_string()).arg(class);
    command
}

fn own_java(folder: &Path, class: &str, name: &str) -> Result<Command, String> {
    on_path("javac")?;
    let jars = toolchain(name)?.join("jars").join("*");
    let classes = compiled(&folder.join(format!("{class}.java")), name, &jars)?;
    let path = format!("{}:{}", classes.display(), jars.display());
    Ok(java(class, path))
}

/// Compiles a source file once in the life of this process: with it every further start is much shorter.
fn compiled(source: &Path, name: &str, jars: &Path) -> Result<PathBuf, String> {
    static DONE: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());
    let stem = source.file_stem().unwrap_or_default().display().to_string();
    let classes = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{stem}-{name}"));
    let mut done = DONE.lock().unwrap_or_else(PoisonError::into_inner);
    if done.contains(&classes) {
        return Ok(classes);
    }
    let mut javac = Command::new("javac");
    javac.arg("-d").arg(&classes).arg("-cp").arg(jars);
    javac.arg("-sourcepath").arg(tests_dir().join("common"));
    let out = javac.arg(source).output().map_err(|why| why.to_string())?;
    if !out.status.success() {
        let complaint = String::from_utf8_lossy(&out.stderr);
        panic!("{} does not compile: {complaint}", source.display());
    }
    done.push(classes.clone());
    Ok(classes)
}
