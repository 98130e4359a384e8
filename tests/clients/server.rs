//! The broker under test, or the one that `CHRONIKD_ORACLE` names.

use crate::common::broker::Broker;
use crate::common::now_ms;

/// What the clients talk to.
pub(crate) enum Server {
    /// The daemon that cargo built.
    Ours(Broker),
    /// A broker that somebody else started, at `host:port`.
    Oracle(String),
}

impl Server {
    /// Starts the daemon with further options, unless there is an oracle.
    pub(crate) fn start(options: &[&str]) -> Server {
        match std::env::var("CHRONIKD_ORACLE") {
            Ok(address) => Server::Oracle(address),
            Err(_) => Server::Ours(Broker::start(options)),
        }
    }

    pub(crate) fn address(&self) -> String {
        match self {
            Server::Ours(broker) => broker.address(),
            Server::Oracle(address) => address.clone(),
        }
    }

    /// SIGKILL and a new start on what is on disk. An oracle is left alone.
    pub(crate) fn crash(&mut self) {
        if let Server::Ours(broker) = self {
            broker.kill9();
            broker.restart();
        }
    }

    /// Gives an oracle the time that it needs after it has created a topic; ours shows it at once.
    pub(crate) fn settle(&self) {
        if let Server::Oracle(_) = self {
            std::thread::sleep(std::time::Duration::from_secs(1));
        }
    }

    /// A topic's name; an oracle has seen earlier runs, so there it is a new one each time.
    pub(crate) fn topic(&self, name: &str) -> String {
        match self {
            Server::Ours(_) => name.to_owned(),
            Server::Oracle(_) => format!("{name}-{}", now_ms()),
        }
    }
}
