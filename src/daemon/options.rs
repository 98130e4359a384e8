//! The command line: one table of options, and what they mean for the settings.
//!
//! An option with an argument may be repeated, and the last one wins; `-o` and `-v` add up.

use super::exit::{Exit, USAGE};
use chronikd::config::{Origin, Settings};
use getopts::{Matches, ParsingStyle};
use log::LevelFilter;
use std::path::PathBuf;

/// Every option: short name, long name, argument (empty for a flag), and what it does.
#[rustfmt::skip]
const OPTIONS: &[(&str, &str, &str, &str)] = &[
    ("a", "advertise", "HOST[:PORT]", "the address that clients are told (default: the one they connected to)"),
    ("b", "bind", "HOST", "the address to listen on (default: all)"),
    ("c", "config", "FILE", "read settings with Apache Kafka's key names from a properties file"),
    ("d", "data-dir", "DIR", "the data directory (default /var/lib/chronik)"),
    ("h", "help", "", "show this"),
    ("l", "log-file", "FILE", "log to a file, which is opened again on SIGHUP and SIGUSR1"),
    ("o", "set", "KEY=VALUE", "set one key of chronikd.conf(5); may be repeated"),
    ("P", "pid-file", "FILE", "write the process id to a file"),
    ("p", "port", "PORT", "the port to listen on (default 9092; 0 is any free one)"),
    ("q", "quiet", "", "log warnings and errors only"),
    ("T", "", "", "like -t, and print every setting that was asked for, with its origin"),
    ("t", "test", "", "check the settings and the data directory, and change nothing"),
    ("V", "version", "", "show the version"),
    ("v", "verbose", "", "log more"),
    ("", "ephemeral", "", "use a temporary data directory without syncs, and remove it at exit"),
    ("", "ports-file", "FILE", "write the addresses that are listened on to a file"),
    ("", "ready-fd", "N", "write a newline to this descriptor when serving"),
];

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Serve.
    Serve,
    /// `-t` or `-T`.
    Check {
        /// Whether to print the settings, too.
        print: bool,
    },
    /// Print this and stop.
    Print(String),
}

/// The command line, read.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) command: Command,
    /// How much to log.
    pub(crate) level: LevelFilter,
    /// `-c`.
    pub(crate) config_file: Option<PathBuf>,
    /// `-d`.
    pub(crate) data_dir: PathBuf,
    /// `--ephemeral`: `data_dir` does not count.
    pub(crate) ephemeral: bool,
    /// `-l`.
    pub(crate) log_file: Option<PathBuf>,
    /// `-P`.
    pub(crate) pid_file: Option<PathBuf>,
    /// `--ports-file`.
    pub(crate) ports_file: Option<PathBuf>,
    /// `--ready-fd`.
    pub(crate) ready_fd: Option<u32>,
    /// What the command line sets.
    pub(crate) settings: Settings,
}

/// Reads the command line, without the program's name.
pub(crate) fn parse(words: &[String]) -> Result<Options, Exit> {
    let table = table();
    let given = table.parse(words).map_err(usage)?;
    if let Some(stray) = given.free.first() {
        return Err(usage(format!("stray word: {stray}")));
    }
    let last = |name: &str| given.opt_strs(name).pop();
    let path = |name: &str| last(name).map(PathBuf::from);
    Ok(Options {
        command: command(&given, &table),
        level: level(&given),
        config_file: path("config"),
        data_dir: path("data-dir").unwrap_or_else(|| "/var/lib/chronik".into()),
        ephemeral: given.opt_present("ephemeral"),
        log_file: path("log-file"),
        pid_file: path("pid-file"),
        ports_file: path("ports-file"),
        ready_fd: match last("ready-fd").map(|text| text.parse()) {
            Some(Err(_)) => return Err(usage("--ready-fd wants a number")),
            Some(Ok(fd)) => Some(fd),
            None => None,
        },
        settings: settings(&given)?,
    })
}

fn table() -> getopts::Options {
    let mut table = getopts::Options::new();
    table.parsing_style(ParsingStyle::FloatingFrees);
    for (short, long, argument, about) in OPTIONS {
        match *argument {
            "" => table.optflagmulti(short, long, about),
            argument => table.optmulti(short, long, about, argument),
        };
    }
    table
}

fn usage(why: impl std::fmt::Display) -> Exit {
    Exit::new(USAGE, format!("{why} (chronikd -h shows the options)"))
}

fn command(given: &Matches, table: &getopts::Options) -> Command {
    if given.opt_present("help") {
        let brief = "chronikd: a small broker that speaks the Apache Kafka protocol";
        return Command::Print(table.usage(brief).trim_end().into());
    }
    if given.opt_present("version") {
        return Command::Print(format!("chronikd {}", env!("CARGO_PKG_VERSION")));
    }
    let print = given.opt_present("T");
    if print || given.opt_present("test") {
        return Command::Check { print };
    }
    Command::Serve
}

/// `-v` shows a line for each request, `-vv` everything that the build has.
fn level(given: &Matches) -> LevelFilter {
    match (given.opt_present("quiet"), given.opt_count("verbose")) {
        (true, _) => LevelFilter::Warn,
        (false, 0) => LevelFilter::Info,
        (false, 1) => LevelFilter::Debug,
        (false, _) => LevelFilter::Trace,
    }
}

/// What the options set. `-o` comes last, because it names its key.
fn settings(given: &Matches) -> Result<Settings, Exit> {
    let mut settings = Settings::default();
    let last = |name: &str| given.opt_strs(name).pop();
    let mut set = |name: &str, value: &str| settings.set(name, value, Origin::CommandLine);
    let (host, port) = (last("bind"), last("port"));
    if host.is_some() || port.is_some() {
        let host = bracketed(&host.unwrap_or_default());
        let port = number(&port.unwrap_or_else(|| "9092".into()))?;
        set("listeners", &format!("PLAINTEXT://{host}:{port}"));
    }
    if let Some(address) = last("advertise") {
        let (host, port) = host_and_port(&address)?;
        let told = format!("PLAINTEXT://{}:{port}", bracketed(host));
        set("advertised.listeners", &told);
    }
    for pair in given.opt_strs("set") {
        let (name, value) = pair
            .split_once('=')
            .filter(|(name, _)| !name.trim().is_empty())
            .ok_or_else(|| usage(format!("-o {pair}: it wants KEY=VALUE")))?;
        set(name.trim(), value);
    }
    Ok(settings)
}

fn number(port: &str) -> Result<u16, Exit> {
    port.parse().map_err(|_| {
        usage(format!(
            "{port} is no port: it wants a number from 0 to 65535"
        ))
    })
}

/// `host`, `host:port`, `[address]:port` or an address of version 6; without a port, the bound one (0).
fn host_and_port(address: &str) -> Result<(&str, u16), Exit> {
    if let Some((host, port)) = address
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
    {
        return match port.strip_prefix(':') {
            Some(port) => Ok((host, number(port)?)),
            None => Ok((host, 0)),
        };
    }
    match address.split_once(':') {
        Some((host, port)) if !port.contains(':') => Ok((host, number(port)?)),
        _ => Ok((address, 0)),
    }
}

/// An address of version 6 in brackets, everything else as it is.
fn bracketed(host: &str) -> String {
    match host.contains(':') && !host.starts_with('[') {
        true => format!("[{host}]"),
        false => host.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chronikd::config::BrokerConfig;

    fn read(line: &str) -> Result<Options, Exit> {
        let words: Vec<String> = line.split_whitespace().map(Into::into).collect();
        parse(&words)
    }

    fn broker(line: &str) -> BrokerConfig {
        BrokerConfig::new(read(line).expect(line).settings).expect(line)
    }

    #[test]
    fn the_last_of_a_repeated_option_wins() {
        let options = read("-d a --data-dir=b -d c").expect("legal");
        assert_eq!(options.data_dir, PathBuf::from("c"));
        assert_eq!(broker("-p 1 -p 2").listeners[0].port, 2);
        assert_eq!(read("-vv").expect("legal").level, LevelFilter::Trace);
    }

    #[test]
    fn a_command_line_without_sense_is_a_usage_error() {
        for line in [
            "-x",
            "stray",
            "-d",
            "-p http",
            "-p 65536",
            "-o novalue",
            "--ready-fd x",
            "-a b:c",
        ] {
            assert!(read(line).is_err_and(|exit| exit.code == USAGE), "{line}");
        }
    }

    #[test]
    fn port_and_host_make_the_listener() {
        for (line, host, port) in [
            ("-p 0", "", 0),
            ("-b ::1", "::1", 9092),
            ("-b [::1] -p 7", "::1", 7),
            ("-b box -o listeners=PLAINTEXT://other:8", "other", 8),
        ] {
            let listener = broker(line).listeners.remove(0);
            assert_eq!(
                (listener.host.as_str(), listener.port),
                (host, port),
                "{line}"
            );
        }
    }

    #[test]
    fn the_advertised_address_may_lack_its_port() {
        for (line, told) in [
            ("-a box", ("box", None)),
            ("-a box:7", ("box", Some(7))),
            ("-a 2001:db8::1", ("2001:db8::1", None)),
            ("-a [2001:db8::1]:7", ("2001:db8::1", Some(7))),
        ] {
            assert_eq!(broker(line).advertised("PLAINTEXT"), Some(told), "{line}");
        }
        assert_eq!(broker("-p 1").advertised("PLAINTEXT"), None);
    }

    #[test]
    fn what_to_do_is_said_by_a_flag() {
        let command = |line| read(line).expect(line).command;
        assert_eq!(command(""), Command::Serve);
        assert_eq!(command("-t"), Command::Check { print: false });
        assert_eq!(command("-tT"), Command::Check { print: true });
        assert!(
            matches!(command("-t -V"), Command::Print(text) if text.starts_with("chronikd 0."))
        );
        assert!(matches!(command("-h"), Command::Print(text) if text.contains("--ports-file")));
    }
}
