//! The level of `transaction.version`, which Kafka's own `kafka-features` takes down and up again below a producer that
//! goes on all the while.
//!
//! A producer hears of another level when it connects anew, so both kinds meet: one that has not heard of it yet, with
//! a transaction that is open across the change; and after a crash one that has. Kafka itself cannot write down at
//! level 0 how a transaction of version 2 ends (35): with an oracle this is left out.

use crate::common::skipped;
use crate::stage::END;
use crate::workbench::Workbench;

/// Ways to levels, and the level.
const WAYS: &[(&str, &str)] = &[
    ("downgrade", "1"),
    ("downgrade", "0"),
    ("upgrade", "1"),
    ("upgrade", "2"),
];

/// The whole test.
pub(crate) fn run() {
    if std::env::var("CHRONIKD_ORACLE").is_ok() {
        return skipped("kafka-features", "an oracle cannot do it");
    }
    let Some(mut bench) = Workbench::start("kafka-features") else {
        return;
    };
    let topic = bench.stage.topic("levels");
    bench.stage.play(&[&format!("init as=one id={topic}")]);
    assert_eq!(bench.level(), "2");
    let mut expected = Vec::new();
    for (number, (way, level)) in WAYS.iter().enumerate() {
        bench.goes_on_across(&topic, number, way, level);
        expected.extend(["across", "at", "behind", "later"].map(|when| format!("{when}{number}")));
    }
    bench.stage.commit("one", &topic, 0, END);
    assert_eq!(bench.stage.values(&topic, 0), expected);
}

impl Workbench {
    fn goes_on_across(&mut self, topic: &str, number: usize, way: &str, level: &str) {
        self.stage.play(&[
            "begin as=one",
            &format!("send as=one topic={topic} partition=0 values=across{number}"),
        ]);
        self.change(way, level);
        self.stage.play(&["commit as=one"]);
        self.commits(topic, &format!("at{number}"));
        self.stage.server.crash();
        assert_eq!(self.level(), level);
        self.commits(topic, &format!("behind{number}"));
        let before = self.epoch(topic);
        self.commits(topic, &format!("later{number}"));
        // Ends of version 2 move the epoch, and the producer has heard of the level.
        assert_eq!(self.epoch(topic) != before, level == "2", "level {level}");
    }

    fn commits(&mut self, topic: &str, value: &str) {
        self.stage.commit("one", topic, 0, value);
    }

    fn change(&mut self, way: &str, level: &str) {
        let address = self.stage.server.address();
        let feature = format!("--feature transaction.version={level}");
        let tried = self
            .tools
            .features(&address, &format!("{way} {feature} --dry-run"));
        assert_eq!(
            tried,
            [format!("transaction.version can be {way}d to {level}.")]
        );
        let done = self.tools.features(&address, &format!("{way} {feature}"));
        assert_eq!(
            done,
            [format!("transaction.version was {way}d to {level}.")]
        );
        assert_eq!(self.level(), level);
    }

    /// The finalized level, as the tool describes it.
    fn level(&mut self) -> String {
        let told = self
            .tools
            .features(&self.stage.server.address(), "describe");
        let line = told
            .iter()
            .find(|line| line.contains(" transaction.version "));
        let line = line.unwrap_or_else(|| panic!("{told:?}"));
        let mut words = line.split_whitespace();
        words.find(|word| *word == "FinalizedVersionLevel:");
        words.next().expect("a level").to_owned()
    }

    fn epoch(&mut self, id: &str) -> String {
        let rows = self.rows(&format!("describe --transactional-id {id}"));
        rows[0].text("ProducerEpoch").to_owned()
    }
}
