//! Where log lines go, and what they look like: one event a line, in UTC, facts at its end.
//!
//! ```text
//! 2026-11-21T00:16:48.475Z INFO  main: chronikd 0.1.0 starting pid=812 data=/var/lib/chronik
//! ```
//!
//! Under journald, which has a clock, a priority stands instead of time and level: `<6>main: ...`. A
//! line is one write. The first part of a module's path says who speaks: `chronikd::net::server` is `net`.
//! A log file can be opened again, for those who move it away. Each room has a level, which clients can change.
//!
//! The sink is our own: simplelog puts brackets around the level, knows no priorities for journald and cannot
//! open its file again.

use chronikd::broker::loggers::Loggers;
use log::{Level, LevelFilter, Log, Metadata, Record};
use std::env;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

static LOGGER: OnceLock<Logger> = OnceLock::new();

/// The sink behind `log`'s macros.
struct Logger {
    /// Journald reads along: it wants priorities instead of times.
    journald: bool,
    /// `None` is stderr.
    file: Option<LogFile>,
    levels: RwLock<Loggers>,
}

struct LogFile {
    path: PathBuf,
    open: Mutex<File>,
}

/// Sends every line from now on to `file`, or to stderr.
///
/// # Errors
/// When the file cannot be created.
pub(crate) fn start(level: LevelFilter, file: Option<&Path>) -> io::Result<()> {
    let file = file.map(|path| {
        let open = Mutex::new(open(path)?);
        let path = path.to_owned();
        Ok::<_, io::Error>(LogFile { path, open })
    });
    let logger = Logger {
        journald: file.is_none() && stderr_is_journald(),
        file: file.transpose()?,
        levels: RwLock::new(Loggers::at(level)),
    };
    // Only a second call could fail, and there is one.
    let _ = log::set_logger(LOGGER.get_or_init(|| logger));
    log::set_max_level(level);
    Ok(())
}

/// Logs at these levels from now on.
pub(crate) fn obey(loggers: &Loggers) {
    if let Some(logger) = LOGGER.get() {
        let mut levels = logger
            .levels
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        levels.clone_from(loggers);
        drop(levels);
        log::set_max_level(loggers.highest());
    }
}

/// Opens the log file again under its name. Without success the old one stays.
pub(crate) fn reopen() {
    let Some(file) = LOGGER.get().and_then(|logger| logger.file.as_ref()) else {
        return;
    };
    match open(&file.path) {
        Ok(new) => *file.open.lock().unwrap_or_else(PoisonError::into_inner) = new,
        Err(error) => log::warn!("cannot open {} again: {error}", file.path.display()),
    }
}

impl LogFile {
    fn write(&self, line: &str) {
        let mut file = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        // There is nowhere to tell that a log line is lost.
        let _ = file.write_all(line.as_bytes());
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o640)
        .open(path)
}

impl Log for Logger {
    fn enabled(&self, event: &Metadata<'_>) -> bool {
        let levels = self.levels.read().unwrap_or_else(PoisonError::into_inner);
        event.level() <= levels.level(room(event.target()))
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let room = room(record.target());
        let text = record.args().to_string().replace('\n', " ");
        let line = if self.journald {
            format!("<{}>{room}: {text}\n", priority(record.level()))
        } else {
            let time = utc(SystemTime::now());
            format!("{time} {:<5} {room}: {text}\n", record.level())
        };
        match &self.file {
            Some(file) => file.write(&line),
            // As for a file: there is nowhere to tell.
            None => drop(io::stderr().write_all(line.as_bytes())),
        }
    }

    fn flush(&self) {}
}

/// Whether stderr is the stream that `$JOURNAL_STREAM` names by device and inode.
fn stderr_is_journald() -> bool {
    let Ok(stream) = env::var("JOURNAL_STREAM") else {
        return false;
    };
    fs::metadata("/proc/self/fd/2")
        .is_ok_and(|stderr| stream == format!("{}:{}", stderr.dev(), stderr.ino()))
}

/// The room that a module belongs to.
fn room(target: &str) -> &str {
    match target.split("::").nth(1) {
        None | Some("daemon") => "main",
        Some(room) => room,
    }
}

/// The level as syslog(3) counts it.
fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}

/// `2026-11-21T00:16:48.475Z`; a time before 1970 is shown as 1970.
fn utc(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let seconds = since.as_secs();
    let (year, month, day) = civil(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let ms = since.subsec_millis();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

/// Year, month and day of the Gregorian calendar, so many days after 1970-01-01. A year begins in March
/// here, so that the leap day is its last; 400 such years are 146,097 days.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = era * 400 + year + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64, ms: u32) -> String {
        utc(UNIX_EPOCH + Duration::new(seconds, ms * 1_000_000))
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        assert_eq!(at(0, 0), "1970-01-01T00:00:00.000Z");
        assert_eq!(at(951_782_400, 7), "2000-02-29T00:00:00.007Z");
        assert_eq!(at(951_868_800, 0), "2000-03-01T00:00:00.000Z");
        assert_eq!(at(1_795_220_208, 475), "2026-11-21T00:16:48.475Z");
        assert_eq!(at(4_107_542_399, 999), "2100-02-28T23:59:59.999Z");
        assert_eq!(at(4_107_542_400, 0), "2100-03-01T00:00:00.000Z");
    }

    #[test]
    fn the_first_part_of_a_path_says_who_speaks() {
        assert_eq!(room("chronikd::net::server"), "net");
        assert_eq!(room("chronikd"), "main");
        assert_eq!(room("chronikd::daemon::check"), "main");
    }
}
