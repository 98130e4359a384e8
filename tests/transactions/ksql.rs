//! The calls of a ksqlDB server, which no registry has, with kafka-clients 4.3: how it starts, how it writes its
//! statements, and how it reads them again.
//!
//! A statement is one record of a transaction, of a producer of its own under the id of the service: so a server that
//! was left for dead cannot write one behind that of its successor. When it starts, a server reads its statements while
//! its position is below the end of what is committed; an end that no position reaches would hold it there for ever.
//! What its queries are is in `word_count`.
//!
//! Before all that it asks the broker for its authorizer, and how many copies a topic has where nobody says so; and of
//! the topic of its statements it asks for the settings, and puts right what is not as it should be.
//!
//! ```text
//! cluster                                 -> cluster ID NODES
//! broker                                  -> authorizer CLASS, copies NUMBER
//! repair topic=                           -> set NAME=VALUE for each
//! ensure topic=                           -> created | present PARTITIONS
//! spoil topic=                            as somebody else would who has made the topic before
//! state topic= text= then=commit|die      writes a statement
//! restore topic=                          -> from OFFSET to OFFSET, and then statement OFFSET TEXT for each
//! source group= topic= offset=            commits an offset of a query
//! offsets group= topic=                   -> committed OFFSET, end OFFSET
//! terminate group= topics=A,B             deletes them -> group false, topics false
//! ```

use crate::common::conversation::Conversation;
use crate::common::kafka::Kafka;
use crate::common::program::Program;
use crate::common::server::Server;
use crate::common::{skipped, tests_dir};

const PROGRAM: Program = Program::Java("Ksql", "kafka-clients-4.3");

/// The whole test.
pub(crate) fn run() {
    if let Err(why) = PROGRAM.command(&tests_dir().join("transactions/programs")) {
        return skipped("ksqlDB", &why);
    }
    let server = Server::start(&[]);
    let topic = server.topic("_confluent-ksql-default__command_topic");
    let ksql = start(&server, &topic);
    let mut stage = Stage {
        ksql,
        server,
        topic,
    };
    stage.starts();
    stage.restores_what_is_stated();
    stage.is_not_overtaken_by_the_dead();
    stage.terminates_a_query();
}

struct Stage {
    // In this order: who talks to the broker ends before it does.
    ksql: Conversation,
    server: Server,
    topic: String,
}

impl Stage {
    fn starts(&mut self) {
        let cluster = self.ksql.ask("cluster").concat();
        let words: Vec<&str> = cluster.split(' ').collect();
        assert!(
            matches!(words[..], ["cluster", id, "1"] if id.len() == 22),
            "{cluster}"
        );
        let ensure = format!("ensure topic={}", self.topic);
        assert_eq!(self.ksql.ask(&ensure), ["created"]);
        self.server.settle();
        assert_eq!(self.ksql.ask(&ensure), ["present 1"]);
        assert_eq!(self.ksql.ask("broker"), ["authorizer ", "copies 1"]);
        let repair = format!("repair topic={}", self.topic);
        let none: [&str; 0] = [];
        assert_eq!(self.ksql.ask(&repair), none);
        self.ksql.ask(&format!("spoil topic={}", self.topic));
        self.server.crash();
        let put_right = ["set cleanup.policy=delete", "set retention.ms=-1"];
        assert_eq!(self.ksql.ask(&repair), put_right);
        self.server.settle();
        assert_eq!(self.ksql.ask(&repair), none);
        assert_eq!(self.restore(), ["from 0 to 0"]);
    }

    fn state(&mut self, text: &str, then: &str) {
        let line = format!("state topic={} text={text} then={then}", self.topic);
        self.ksql.ask(&line);
    }

    fn restore(&mut self) -> Vec<String> {
        self.ksql.ask(&format!("restore topic={}", self.topic))
    }

    /// Each is followed by the end of its transaction.
    fn restores_what_is_stated(&mut self) {
        for text in ["stream", "table", "query"] {
            self.state(text, "commit");
        }
        let stated = [
            "statement 0 stream",
            "statement 2 table",
            "statement 4 query",
        ];
        let expected = [&["from 0 to 6"][..], &stated].concat();
        assert_eq!(self.restore(), expected);
        self.server.crash();
        assert_eq!(self.restore(), expected);
    }

    /// Its statement has no end; that of the next server aborts it.
    fn is_not_overtaken_by_the_dead(&mut self) {
        self.state("lost", "die");
        self.ksql = start(&self.server, &self.topic);
        self.server.crash();
        assert_eq!(self.restore()[0], "from 0 to 6");
        self.state("drop", "commit");
        let read = self.restore();
        assert_eq!(read[0], "from 0 to 10");
        assert_eq!(read[3..], ["statement 4 query", "statement 8 drop"]);
    }

    fn terminates_a_query(&mut self) {
        let group = self.server.topic("_confluent-ksql-default_query_0");
        let names = ["changelog", "repartition"].map(|name| format!("{group}-{name}"));
        for name in &names {
            let control = Kafka::connect(self.server.port());
            control.expect("a connection").create(name, 1, &[]);
        }
        self.server.settle();
        let topic = &self.topic;
        let source = format!("source group={group} topic={topic} offset=9");
        self.ksql.ask(&source);
        let offsets = self
            .ksql
            .ask(&format!("offsets group={group} topic={topic}"));
        assert_eq!(offsets, ["committed 9", "end 10"]);
        let terminate = format!("terminate group={group} topics={}", names.join(","));
        assert_eq!(self.ksql.ask(&terminate), ["group false", "topics false"]);
    }
}

fn start(server: &Server, service: &str) -> Conversation {
    let command = PROGRAM.command(&tests_dir().join("transactions/programs"));
    let mut command = command.expect("what run() has found");
    command.args([&server.address(), service]);
    Conversation::start("ksqlDB", command)
}
