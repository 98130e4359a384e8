//! The broker under test, or the one that `CHRONIKD_ORACLE` names.

use super::broker::Broker;
use super::now_ms;

/// What the clients talk to.
pub enum Server {
    /// The daemon that cargo built.
    Ours(Broker),
    /// A broker that somebody else started, at `host:port`.
    Oracle(String),
}

impl Server {
    /// Starts the daemon with further options, unless there is an oracle.
    pub fn start(options: &[&str]) -> Server {
        match std::env::var("CHRONIKD_ORACLE") {
            Ok(address) => Server::Oracle(address),
            Err(_) => Server::Ours(Broker::start(options)),
        }
    }

    /// Whether there is one.
    pub fn is_oracle() -> bool {
        std::env::var_os("CHRONIKD_ORACLE").is_some()
    }

    /// `host:port` for clients.
    pub fn address(&self) -> String {
        match self {
            Server::Ours(broker) => broker.address(),
            Server::Oracle(address) => address.clone(),
        }
    }

    /// Its port on the loopback interface.
    ///
    /// # Panics
    /// When the oracle's address has none.
    pub fn port(&self) -> u16 {
        let address = self.address();
        let port = address
            .rsplit(':')
            .next()
            .and_then(|port| port.parse().ok());
        port.expect("an address as HOST:PORT")
    }

    /// SIGKILL and a new start on what is on disk. An oracle is left alone.
    pub fn crash(&mut self) {
        if let Server::Ours(broker) = self {
            broker.kill9();
            broker.restart();
        }
    }

    /// Gives an oracle the time that it needs after it has created a topic; ours shows it at once.
    pub fn settle(&self) {
        if let Server::Oracle(_) = self {
            std::thread::sleep(std::time::Duration::from_secs(1));
        }
    }

    /// A topic's name; an oracle has seen earlier runs, so there it is a new one each time.
    pub fn topic(&self, name: &str) -> String {
        match self {
            Server::Ours(_) => name.to_owned(),
            Server::Oracle(_) => format!("{name}-{}", now_ms()),
        }
    }
}
