//! Kafka's own test programs for Streams: a broker with their topics, and how they are started.

use std::path::Path;

use crate::app::App;
use crate::common::dir::Dir;
use crate::common::kafka::Kafka;
use crate::common::program::Program;
use crate::common::server::Server;

/// What says that an instance has got its tasks.
pub(crate) const RUNNING: &str = "REBALANCING -> RUNNING";
/// What an instance says of each hundred records.
pub(crate) const PROCESSED: &str = " records from topic";
const PARTITIONS: i32 = 5;

/// A broker, and the program that its instances, its driver and its verifier are.
pub(crate) struct Cast {
    pub(crate) server: Server,
    dir: Dir,
    program: Program,
    /// Lines of the properties that all of them are given.
    settings: &'static [&'static str],
}

impl Cast {
    /// Starts the broker and creates the topics.
    pub(crate) fn new(
        program: Program,
        settings: &'static [&'static str],
        topics: &[&str],
    ) -> Cast {
        let server = Server::start(&[]);
        let mut control = Kafka::connect(server.port()).expect("a connection");
        for topic in topics {
            control.create(topic, PARTITIONS, &[]);
        }
        Cast {
            server,
            dir: Dir::new(),
            program,
            settings,
        }
    }

    /// Starts the program with one of its commands; what has the same name has the same state.
    pub(crate) fn start(&self, name: &str, word: &str) -> App {
        let properties = self.dir.join(&format!("{name}.properties"));
        let state = self.dir.join(name);
        let text = format!(
            "bootstrap.servers={}\nstate.dir={}\nprocessing.guarantee=exactly_once_v2\n{}\n",
            self.server.address(),
            state.display(),
            self.settings.join("\n")
        );
        std::fs::write(&properties, text).expect("a file of settings");
        let command = self.program.command(Path::new("."));
        let mut command = command.expect("what was found");
        command.arg(properties).arg(word);
        App::start(&self.dir, name, command)
    }

    /// Starts an instance, and waits until it and those that run already share the work.
    pub(crate) fn add(&self, name: &str, word: &str, others: &mut [&mut App]) -> App {
        others.iter_mut().for_each(|other| other.forget());
        let mut instance = self.start(name, word);
        at_work(&mut instance);
        others.iter_mut().for_each(|other| at_work(other));
        instance
    }
}

/// Waits until an instance has got tasks and some work done on them.
pub(crate) fn at_work(instance: &mut App) {
    instance.wait(RUNNING);
    instance.wait(PROCESSED);
}
