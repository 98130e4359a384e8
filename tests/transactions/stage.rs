//! A broker, a client's program, and what both are asked in a story.

use crate::client::Client;
use crate::common::conversation::Conversation;
use crate::common::kafka::Kafka;
use crate::common::server::Server;
use crate::reader;

/// The value that ends what is read.
pub(crate) const END: &str = "end";

/// A client beside a broker. Both end when this goes.
pub(crate) struct Stage {
    // In this order: who talks to the broker ends before it does.
    conversation: Conversation,
    pub(crate) client: &'static Client,
    pub(crate) server: Server,
}

impl Stage {
    /// Starts both.
    ///
    /// # Panics
    /// When something of the client is missing.
    pub(crate) fn new(client: &'static Client) -> Stage {
        let server = Server::start(&[]);
        let command = client.command(&server.address()).expect("what was found");
        Stage {
            conversation: Conversation::start(client.name, command),
            client,
            server,
        }
    }

    /// Creates a topic of two partitions, and answers its name.
    pub(crate) fn topic(&self, name: &str) -> String {
        let topic = self.server.topic(&format!("{name}-{}", self.client.name));
        self.control().create(&topic, 2, &[]);
        self.server.settle();
        topic
    }

    fn control(&self) -> Kafka {
        Kafka::connect(self.server.port()).expect("a connection")
    }

    /// Has the program do what these lines say, one after the other.
    pub(crate) fn play(&mut self, lines: &[&str]) {
        for line in lines {
            self.conversation.ask(line);
        }
    }

    /// Has the program do something that must fail, and answers its sentence.
    pub(crate) fn refused(&mut self, line: &str) -> String {
        match self.conversation.attempt(line) {
            Ok(facts) => panic!("{}: {line}: {facts:?}", self.client.name),
            Err(sentence) => sentence,
        }
    }

    /// Has the program do something that must fail because another instance has taken its id.
    pub(crate) fn fenced(&mut self, line: &str) {
        let said = self.refused(line);
        let words = self.client.fenced;
        assert!(words.iter().any(|word| said.contains(word)), "{said}");
    }

    /// Sends some values in a transaction of the given producer, and commits it.
    pub(crate) fn commit(&mut self, name: &str, topic: &str, partition: i32, values: &str) {
        self.play(&[
            &format!("begin as={name}"),
            &format!("send as={name} topic={topic} partition={partition} values={values}"),
            &format!("commit as={name}"),
        ]);
    }

    /// What is committed in a partition before `END`: pairs of offset and value. The client waits for that and reads
    /// the same.
    pub(crate) fn committed(&mut self, topic: &str, partition: i32) -> Vec<(i64, String)> {
        let line = format!("read topic={topic} partition={partition} until={END}");
        let facts = self.conversation.ask(&line);
        let mut read = reader::committed(&mut self.control(), topic, partition);
        if self.client.tells_aborts {
            let fact = |(offset, value): &(i64, String)| format!("value {offset} {value}");
            let expected: Vec<String> = read.iter().map(fact).collect();
            assert_eq!(facts, expected, "{}", self.client.name);
        }
        assert_eq!(read.pop().map(|last| last.1).as_deref(), Some(END));
        read
    }

    /// The same without the offsets.
    pub(crate) fn values(&mut self, topic: &str, partition: i32) -> Vec<String> {
        let read = self.committed(topic, partition);
        read.into_iter().map(|(_, value)| value).collect()
    }

    /// What a group has committed of partition 0, when no transaction may change it any more; -1 is nothing.
    pub(crate) fn stable_offset(&self, group: &str, topic: &str) -> i64 {
        reader::stable_offset(&mut self.control(), group, topic)
    }
}
