//! Kafka's own `kafka-transactions` on transactions of its own client.

use crate::common::now_ms;
use crate::stage::END;
use crate::workbench::Workbench;

/// The whole test.
pub(crate) fn run() {
    let Some(mut bench) = Workbench::start("kafka-transactions") else {
        return;
    };
    let topic = bench.stage.topic("commands");
    bench.stage.play(&[&format!("init as=one id={topic}")]);
    bench.stage.commit("one", &topic, 0, "first");
    // Longer than any transaction may take.
    let long_ago = now_ms() - 3_600_000;
    bench.what_has_ended_is_complete(&topic);
    bench.stage.play(&[
        "begin as=one",
        &format!("send as=one topic={topic} partition=0 values=second time={long_ago}"),
    ]);
    bench.what_is_open_is_shown(&topic, long_ago);
    bench.what_its_coordinator_knows_does_not_hang();
    bench.what_is_aborted_holds_nobody_back(&topic);
}

impl Workbench {
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

    fn what_is_open_is_shown(&mut self, id: &str, last_ms: i64) {
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
        assert_eq!(rows[0].text("LastTimestamp"), last_ms.to_string());
    }

    /// It is looked up, for its last record is old enough to hang.
    fn what_its_coordinator_knows_does_not_hang(&mut self) {
        for limit in ["", "--max-transaction-timeout 0"] {
            assert_eq!(
                self.rows(&format!("find-hanging --broker-id 1 {limit}")),
                []
            );
        }
    }

    /// A hanging transaction is named by where it begins, or, for old brokers, by its producer.
    fn what_is_aborted_holds_nobody_back(&mut self, topic: &str) {
        self.abort(&format!("--topic {topic} --partition 0 --start-offset 2"));
        self.stage
            .play(&[&format!("init as=other id={topic}-other")]);
        self.stage.commit("other", topic, 0, "third");
        self.stage.play(&[
            "begin as=other",
            &format!("send as=other topic={topic} partition=0 values=fourth"),
        ]);
        let rows = self.rows(&format!("describe --transactional-id {topic}-other"));
        let [id, epoch] = ["ProducerId", "ProducerEpoch"].map(|title| rows[0].text(title));
        self.abort(&format!(
            "--topic {topic} --partition 0 --producer-id {id} --producer-epoch {epoch} --coordinator-epoch 1"
        ));
        self.stage.play(&[&format!("init as=last id={topic}-last")]);
        self.stage.commit("last", topic, 0, END);
        assert_eq!(self.stage.values(topic, 0), ["first", "third"]);
    }

    fn abort(&mut self, what: &str) {
        let address = self.stage.server.address();
        let abort = format!("abort {what}");
        let said = self.tools.transactions(&address, &abort);
        assert!(said.is_empty(), "{said:?}");
    }
}
