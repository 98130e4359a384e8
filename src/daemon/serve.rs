//! From checked settings to a loop that serves, and from its end to an exit code.
//!
//! The order is what users rely on: the addresses are taken before the data directory is changed, so that a
//! second daemon on a port changes nothing; the start is in the journal before anything listens; the files and
//! descriptors that say "ready" are written last.

use super::data_dir::DataDir;
use super::exit::{self, Exit};
use super::options::Options;
use super::{logger, notices, process};
use chronikd::broker::loggers::Loggers;
use chronikd::broker::{Broker, Fatal, OpenError, Seeds};
use chronikd::clock::Clock;
use chronikd::config::{BrokerConfig, Listener};
use chronikd::disk::{Disk, FileSystem, Threads, Wake};
use chronikd::journal;
use chronikd::net::{self, BindError, Bound, Exchange, Limits, Listen, Notice, Poller, Server};
use std::io;
use std::sync::Arc;

/// Serves until a signal or a failure ends it.
pub(crate) fn run(
    options: &Options,
    config: BrokerConfig,
    home: &DataDir,
    seeds: Seeds,
) -> Result<(), Exit> {
    let clock = Clock::start();
    warn_of_file_system(home);
    let listens = listens(&config.listeners)?;
    let bound = Bound::take(listens).map_err(|failed| taken(&failed))?;
    let limits = limits(&config);
    let config = Arc::new(config);
    let disk: Arc<dyn Disk> = home.disk.clone();
    let broker = Broker::open(
        Arc::clone(&disk),
        &home.path,
        Arc::clone(&config),
        seeds,
        clock.now(),
    );
    let mut broker = broker.map_err(|error| refused(&error))?;
    broker.set_loggers(Loggers::at(options.level));
    let system = |error| Exit::io(exit::SYSTEM, "cannot start", &error);
    let poller = Poller::new().map_err(system)?;
    let bell = poller.bell();
    let wake: Wake = Arc::new(move || bell.ring());
    let lanes = Threads::start(disk, &home.path, &wake).map_err(system)?;
    let exchange = Exchange::new(broker, Box::new(lanes), limits);
    let mut server = Server::open(poller, bound, exchange).map_err(|failed| taken(&failed))?;
    server.watch_signals().map_err(system)?;
    let _ports_file = announce(options, &config, &server)?;
    log::info!("ready ms={}", clock.now().mono.0 / 1000);
    let mut max_connections = config.max_connections;
    end(server.run(&clock, &mut |notice, exchange| {
        heed(notice, exchange, &mut max_connections);
    }))
}

fn taken(failed: &BindError) -> Exit {
    let what = format!("cannot listen on {}", failed.listen.address);
    Exit::io(exit::SYSTEM, what, &failed.error)
}

fn limits(config: &BrokerConfig) -> Limits {
    Limits {
        connections: process::connection_limit(
            config.max_connections,
            config.storage.max_open_segments,
        ),
        idle_ms: config.connections_max_idle_ms,
        request_bytes: config.socket_request_max_bytes,
        held_bytes: config.queued_max_request_bytes,
        outbox_bytes: config.chronik_outbox_bytes,
        outbox_pinned_bytes: config.chronik_outbox_pinned_bytes,
        turn_requests: config.chronik_turn_requests,
        turn_bytes: config.chronik_turn_bytes,
    }
}

fn listens(listeners: &[Listener]) -> Result<Vec<Listen>, Exit> {
    let listen = |Listener { name, host, port }: &Listener| {
        Listen::resolve(name, host, *port).map_err(|error| {
            let what = format!("listeners: {host} is no address of this machine: {error}");
            Exit::new(exit::SETTINGS, what)
        })
    };
    listeners.iter().map(listen).collect()
}

/// Tells everybody who asked where we listen, and that we do.
fn announce(
    options: &Options,
    config: &BrokerConfig,
    server: &Server<Broker>,
) -> Result<Option<notices::Notice>, Exit> {
    let mut ports = String::new();
    for (name, address) in server.bound() {
        let advertised = match config.advertised(name) {
            Some((host, Some(port))) => format!("{host}:{port}"),
            Some((host, None)) => format!("{host}:{}", address.port()),
            None => "(address each client connected to)".to_owned(),
        };
        log::info!("listening {name}://{address} advertised={advertised}");
        ports += &format!("{name}://{address}\n");
    }
    let notice = options.ports_file.as_deref();
    let notice = notice
        .map(|path| notices::Notice::write(path, &ports))
        .transpose()?;
    if let Some(fd) = options.ready_fd
        && let Err(error) = notices::ready(fd)
    {
        log::warn!("cannot write to descriptor {fd}: {error}");
    }
    Ok(notice)
}

/// `max_connections` is the setting as it was obeyed last.
fn heed(notice: Notice, exchange: &mut Exchange<Broker>, max_connections: &mut usize) {
    match notice {
        Notice::Reopen => logger::reopen(),
        Notice::Reload => {
            logger::reopen();
            log::info!(
                "settings are read at the start only: restart, or change them through a client"
            );
        }
        Notice::Report => log::info!("{}", exchange.core.report()),
        Notice::Reconfigured => {
            let config = exchange.core.config();
            let (wanted, segments) = (config.max_connections, config.storage.max_open_segments);
            if std::mem::replace(max_connections, wanted) != wanted {
                exchange.limit_connections(process::connection_limit(wanted, segments));
            }
            logger::obey(exchange.core.loggers());
        }
    }
}

fn end(end: net::Exit) -> Result<(), Exit> {
    match end {
        net::Exit::Clean => {
            log::info!("stopped cleanly");
            Ok(())
        }
        net::Exit::Hurried => Err(Exit::new(
            exit::HURRIED,
            "stopped at once, before the clean stop was complete: the next start recovers",
        )),
        net::Exit::Fatal(Fatal(error)) => Err(Exit::new(
            exit::IO,
            format!("{error}; no acknowledgement was given after it"),
        )),
        net::Exit::Poll(error) => Err(Exit::io(exit::SYSTEM, "cannot poll", &error)),
    }
}

/// The end of a start that the data directory does not allow.
pub(crate) fn refused(error: &OpenError) -> Exit {
    let code = match error {
        OpenError::Journal(journal::OpenError::Io(error)) | OpenError::Io(error) => {
            return failed(error);
        }
        OpenError::Identity(_) => exit::SETTINGS,
        OpenError::Journal(_)
        | OpenError::Record(_)
        | OpenError::Foreign(_)
        | OpenError::Meta(_) => exit::DATA,
    };
    Exit::new(code, error)
}

fn failed(error: &io::Error) -> Exit {
    Exit::io(exit::IO, "cannot open the data directory", error)
}

fn warn_of_file_system(home: &DataDir) {
    match home.disk.file_system(&home.path) {
        Ok(FileSystem::Memory) => {
            log::warn!(
                "{} is in memory: an acknowledgement does not outlive the machine",
                home.path.display()
            );
        }
        Ok(FileSystem::Network) => log::warn!(
            "{} is on a network: an acknowledgement is worth what its server promises",
            home.path.display()
        ),
        Ok(FileSystem::Local) | Err(_) => {}
    }
}
