//! Kafka's own `kafka-transactions` on transactions of its own client.

use crate::common::skipped;
use crate::common::tools::{Row, Tools, table};
use crate::stage::{END, Stage};

/// The whole test.
pub(crate) fn run() {
    let client = crate::named("kafka_clients_4_3");
    if let Err(why) = client.command("").map(drop).and(Tools::is_here()) {
        return skipped("kafka-transactions", &why);
    }
    let mut bench = Bench {
        tools: Tools::start(),
        stage: Stage::new(client),
    };
    let topic = bench.stage.topic("commands");
    bench.stage.play(&[&format!("init as=one id={topic}")]);
    bench.stage.commit("one", &topic, 0, "first");
    bench.what_has_ended_is_complete(&topic);
    bench.stage.play(&[
        "begin as=one",
        &format!("send as=one topic={topic} partition=0 values=second"),
    ]);
    bench.what_is_open_is_shown(&topic);
    bench.what_its_coordinator_knows_does_not_hang();
    bench.what_is_aborted_holds_nobody_back(&topic);
}

struct Bench {
    // In this order: who talks to the broker ends before it does.
    tools: Tools,
    stage: Stage,
}

impl Bench {
    fn rows(&mut self, arguments: &str) -> Vec<Row> {
        let address = self.stage.server.address();
        table(&self.tools.transactions(&address, arguments))
    }

    fn listed(&mut self, id: &str, filter: &str) -> Option<String> {
        let rows = self.rows(&format!("list {filter}"));
        let row = rows.iter().find(|row| row.text("TransactionalId") == id)?;
        Some(row.text("TransactionState").to_owned())
    }

    fn what_has_ended_is_complete(&mut self, id: &str) {
        assert_eq!(self.listed(id, "").as_deref(), Some("CompleteCommit"));
        let rows = self.rows(&format!("describe --transactional-id {id}"));
        assert_eq!(rows[0].text("TransactionState"), "CompleteCommit");
        assert_eq!(rows[0].text("TransactionTimeoutMs"), "60000");
        assert_eq!(rows[0].text("TopicPartitions"), "");
        let rows = self.rows(&format!("describe-producers --topic {id} --partition 0"));
        assert_eq!(rows.len(), 1, "{rows:?}");
        assert_eq!(rows[0].text("CurrentTransactionStartOffset"), "None");
    }

    fn what_is_open_is_shown(&mut self, id: &str) {
        let filters = [
            "",
            "--duration-filter 1",
            "--transactional-id-pattern com.*",
        ];
        for filter in filters {
            assert_eq!(
                self.listed(id, filter).as_deref(),
                Some("Ongoing"),
                "{filter}"
            );
        }
        for filter in [
            "--duration-filter 600000",
            "--transactional-id-pattern nobody.*",
        ] {
            assert_eq!(self.listed(id, filter), None, "{filter}");
        }
        let rows = self.rows(&format!("describe --transactional-id {id}"));
        assert_eq!(rows[0].text("TransactionState"), "Ongoing");
        assert_eq!(rows[0].text("TopicPartitions"), format!("{id}-0"));
        let rows = self.rows(&format!("describe-producers --topic {id} --partition 0"));
        // The first record and the end of its transaction are before it.
        assert_eq!(rows[0].text("CurrentTransactionStartOffset"), "2");
    }

    /// With a limit of no minutes every open transaction is looked up.
    fn what_its_coordinator_knows_does_not_hang(&mut self) {
        let rows = self.rows("find-hanging --broker-id 1 --max-transaction-timeout 0");
        assert_eq!(rows, []);
    }

    fn what_is_aborted_holds_nobody_back(&mut self, topic: &str) {
        let address = self.stage.server.address();
        let abort = format!("abort --topic {topic} --partition 0 --start-offset 2");
        let said = self.tools.transactions(&address, &abort);
        assert!(said.is_empty(), "{said:?}");
        self.stage
            .play(&[&format!("init as=other id={topic}-other")]);
        self.stage.commit("other", topic, 0, END);
        assert_eq!(self.stage.values(topic, 0), ["first"]);
    }
}
