// Every administrative call of kafkajs that a broker of topics and settings answers: `kafkajs.js ADDRESS NAME`.
//
// The lines on stdin and stdout are described in sweeps.rs, which is their other end.
"use strict";

const { ConfigResourceTypes, Kafka, logLevel } = require("kafkajs");
const { answer } = require("lines");

// What Kafka 4 sets for itself, and what an acknowledgement waits for here, are compared elsewhere.
const DIFFERENT = ["min.insync.replicas", "flush.messages"];

class Sweep {
  constructor(address, name) {
    const kafka = new Kafka({ brokers: [address], logLevel: logLevel.NOTHING, retry: { retries: 0 } });
    this.admin = kafka.admin();
    this.name = `${name}-`;
  }

  // What a call has answered, or its error's type.
  async told(what, call) {
    try {
      const text = JSON.stringify(await call(), (key, value) => (key === "throttleTime" || key === "port" ? undefined : value));
      return `${what}: ${text}`;
    } catch (error) {
      const inner = (error.errors ?? []).map((one) => `${one.type} ${one.topic ?? ""}`).sort();
      return `${what}: ${error.type ?? error.name} ${inner}`;
    }
  }

  async wait(topic, partitions) {
    for (let i = 0; i < 300; i += 1) {
      try {
        const { topics } = await this.admin.fetchTopicMetadata({ topics: [topic] });
        if (topics[0].partitions.length === partitions) {
          await this.admin.fetchTopicOffsets(topic);
          return;
        }
      } catch {
        // Not yet.
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async topics() {
    const { admin, name } = this;
    await admin.connect();
    const good = { topic: `${name}good`, numPartitions: 2, replicationFactor: 1 };
    const bad = [
      { topic: `${name}wide`, numPartitions: 1, replicationFactor: 3 },
      { topic: `${name}nope`, numPartitions: 1, replicationFactor: 1, configEntries: [{ name: "nope", value: "1" }] },
      { topic: "a/b", numPartitions: 1, replicationFactor: 1 },
    ];
    const facts = [await this.told("judge", () => admin.createTopics({ topics: [good], validateOnly: true, waitForLeaders: false }))];
    for (const topic of [good, ...bad]) {
      facts.push(await this.told(`create ${topic.topic}`, () => admin.createTopics({ topics: [topic], waitForLeaders: false })));
    }
    await this.wait(good.topic, 2);
    facts.push(await this.told("create again", () => admin.createTopics({ topics: [good], waitForLeaders: false })));
    const more = (count) => ({ topicPartitions: [{ topic: good.topic, count }] });
    facts.push(await this.told("partitions", () => admin.createPartitions(more(4))));
    await this.wait(good.topic, 4);
    facts.push(await this.told("fewer", () => admin.createPartitions(more(2))));
    facts.push(await this.told("ends", async () => (await admin.fetchTopicOffsets(good.topic)).sort((a, b) => a.partition - b.partition)));
    for (const offset of ["0", "7"]) {
      const partitions = [{ partition: 0, offset }];
      facts.push(await this.told("delete records", () => admin.deleteTopicRecords({ topic: good.topic, partitions })));
    }
    const move = [{ topic: good.topic, partitionAssignment: [{ partition: 0, replicas: [1] }] }];
    facts.push(await this.told("move", () => admin.alterPartitionReassignments({ topics: move })));
    facts.push(await this.told("moves", () => admin.listPartitionReassignments({ topics: [{ topic: good.topic, partitions: [0] }] })));
    facts.push(await this.told("delete", () => admin.deleteTopics({ topics: [good.topic] })));
    facts.push(await this.told("delete absent", () => admin.deleteTopics({ topics: ["absent"] })));
    return facts;
  }

  async described(what, type, name, configNames) {
    const resources = [configNames ? { type, name, configNames } : { type, name }];
    return this.told(what, async () => {
      const { resources: found } = await this.admin.describeConfigs({ includeSynonyms: true, resources });
      const entries = found[0].configEntries.filter((entry) => !DIFFERENT.includes(entry.configName));
      return entries.sort((a, b) => (a.configName < b.configName ? -1 : 1));
    });
  }

  async settings() {
    const { admin, name } = this;
    const { TOPIC, BROKER } = ConfigResourceTypes;
    const topic = `${name}set`;
    await admin.createTopics({ topics: [{ topic, numPartitions: 1 }], waitForLeaders: false });
    await this.wait(topic, 1);
    const facts = [];
    const replace = async (type, of, entry, value) => {
      const resources = [{ type, name: of, configEntries: [{ name: entry, value }] }];
      facts.push(await this.told(`replace ${of} ${entry}=${value}`, () => admin.alterConfigs({ validateOnly: false, resources })));
    };
    await replace(TOPIC, topic, "retention.ms", "70000");
    await replace(TOPIC, topic, "retention.ms", "soon");
    await replace(TOPIC, topic, "nope", "1");
    await replace(TOPIC, "absent", "retention.ms", "70000");
    await replace(BROKER, "1", "node.id", "8");
    await new Promise((resolve) => setTimeout(resolve, 500));
    facts.push(await this.described("all", TOPIC, topic));
    facts.push(await this.described("some", TOPIC, topic, ["retention.ms", "nope"]));
    facts.push(await this.described("absent", TOPIC, "absent"));
    facts.push(await this.described("broker", BROKER, "1", ["log.retention.hours"]));
    return facts;
  }

  async cluster() {
    const { admin, name } = this;
    const facts = [await this.told("controller", async () => (await admin.describeCluster()).controller)];
    facts.push(await this.told("topics", async () => (await admin.listTopics()).filter((one) => one.startsWith(name)).sort()));
    facts.push(await this.told("dissolve", () => admin.deleteGroups(["nobody"])));
    return facts;
  }
}

const sweep = new Sweep(...process.argv.slice(2));
answer({ topics: () => sweep.topics(), settings: () => sweep.settings(), cluster: () => sweep.cluster() });
