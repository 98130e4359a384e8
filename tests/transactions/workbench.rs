//! A stage of Kafka's newest client, with Kafka's own tools beside it.

use crate::common::skipped;
use crate::common::tools::{Row, Tools, table};
use crate::stage::Stage;

/// All that; each part ends when this goes.
pub(crate) struct Workbench {
    // In this order: who talks to the broker ends before it does.
    pub(crate) tools: Tools,
    pub(crate) stage: Stage,
}

impl Workbench {
    /// Starts it all, or says that this suite cannot run here.
    pub(crate) fn start(suite: &str) -> Option<Workbench> {
        let client = crate::named("kafka_clients_4_3");
        if let Err(why) = client.command("").map(drop).and(Tools::is_here()) {
            skipped(suite, &why);
            return None;
        }
        Some(Workbench {
            tools: Tools::start(),
            stage: Stage::new(client),
        })
    }

    /// The table that kafka-transactions prints.
    pub(crate) fn rows(&mut self, arguments: &str) -> Vec<Row> {
        let address = self.stage.server.address();
        table(&self.tools.transactions(&address, arguments))
    }
}
