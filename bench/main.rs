//! Benchmarks: chronikd beside a bare loop and, in the full form, beside a real Kafka. `README.md` says how to read
//! them.
//!
//! ```text
//! cargo bench                      the short form
//! bench/full                       the full form
//! cargo bench -- P3 P7             only these rows
//! ```

mod admin;
mod bare;
mod client;
mod compaction;
mod conversation;
mod groups;
mod histogram;
mod kafka;
mod layout;
mod life;
mod load;
mod member;
mod process;
mod producer;
mod rows;
mod sample;
mod server;
mod table;
mod transactions;

use kafka::Kafka;
use rows::{Contenders, Effort};
use sample::Life;
use server::{Kind, Server, Settings};
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

const SHORT: Effort = Effort { runs: 3, scale: 1 };
const FULL: Effort = Effort { runs: 5, scale: 1 };
/// chronikd may sync its whole file system at once.
const SYNCFS: Settings = &["chronik.sync.filesystem=always"];
/// File systems that keep nothing, on which a sync means nothing.
const VOLATILE: [&str; 2] = ["tmpfs", "ramfs"];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let done = match words.split_first() {
        Some((first, rest)) if first == "bare" => bare::serve(rest),
        _ => compare(&words),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn compare(words: &[String]) -> io::Result<()> {
    histogram::check();
    let is_full = words.iter().any(|word| word == "--full");
    let rows: Vec<&String> = words
        .iter()
        .filter(|word| !word.starts_with("--"))
        .collect();
    let wanted = |row: &str| rows.is_empty() || rows.iter().any(|word| *word == row);
    let build = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let dir = Scratch::new(build)?;
    let kafka = if is_full { install_kafka(build) } else { None };
    process::touch_memory();
    print_place(&dir.0)?;
    table::print_head();

    let effort = if is_full { FULL } else { SHORT };
    let chronikd = Server::start(Kind::Chronikd(&[]), &dir.0.join("chronikd"))?;
    let syncfs = Server::start(Kind::Chronikd(SYNCFS), &dir.0.join("syncfs"))?;
    let beside = kafka
        .clone()
        .map(|kind| Server::start(kind, &dir.0.join("kafka")))
        .transpose()?;
    let contenders = Contenders {
        chronikd: &chronikd,
        syncfs: &syncfs,
        kafka: beside.as_ref(),
    };
    rows::take(&wanted, &contenders, effort, &dir.0);
    if wanted("P13") {
        life::memory_after(&chronikd);
    }
    drop((chronikd, syncfs, beside));
    let idle = Duration::from_secs(if is_full { 30 } else { 5 });
    let life = Life {
        kafka,
        effort,
        idle,
        dir: &dir.0,
    };
    life.take(&wanted);
    transactions::take(&life, &wanted);
    Ok(())
}

fn install_kafka(build: &Path) -> Option<Kind> {
    match Kafka::install(&build.join("bench-kafka")) {
        Ok(kafka) => Some(Kind::Kafka(kafka)),
        Err(why) => {
            println!("SKIPPED: Kafka, because {why}");
            None
        }
    }
}

/// The disk decides the durable rows, so it is shown, and must be one.
fn print_place(dir: &Path) -> io::Result<()> {
    let kind = process::file_system(dir).unwrap_or_else(|| "an unknown file system".into());
    if VOLATILE.contains(&kind.as_str()) {
        let why = format!(
            "{} is on {kind}, where a sync means nothing: set CARGO_TARGET_DIR",
            dir.display()
        );
        return Err(io::Error::other(why));
    }
    let sync = process::raw_sync(dir)?.as_secs_f64() * 1e6;
    let cores = std::thread::available_parallelism()?;
    println!(
        "{cores} cores; {kind}; fdatasync after 1 KiB: {sync:.0} us p50. Only ratios compare, and only within one run.\n"
    );
    Ok(())
}

/// A directory that goes when the benchmark ends.
struct Scratch(PathBuf);

impl Scratch {
    fn new(parent: &Path) -> io::Result<Scratch> {
        let dir = parent.join(format!("bench-{}", std::process::id()));
        std::fs::create_dir_all(&dir)?;
        Ok(Scratch(dir))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if std::env::var_os("CHRONIKD_BENCH_KEEP").is_none() {
            // What stays behind is only disk space below the build directory.
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}
