// kafkajs 2: `kafkajs.js BOOTSTRAP`.
//
// The session on stdin and stdout is described in session.rs, which is its other end. kafkajs reads as a
// member of a group only, so every `consume` line has a group of its own.
"use strict";

const readline = require("node:readline");
const zlib = require("node:zlib");
const { AssignerProtocol, CompressionCodecs, CompressionTypes, Kafka, logLevel } = require("kafkajs");
const snappy = require("kafkajs-snappy");
const lz4 = require("lz4-napi");

const PATIENCE_S = 60;
const LARGE_BYTES = 1 << 20;
const ACKS = { 0: 0, 1: 1, all: -1 };
const CODECS = {
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  snappy: CompressionTypes.Snappy,
  lz4: CompressionTypes.LZ4,
  zstd: CompressionTypes.ZSTD,
};

// It brings gzip; the others are for the application to add.
CompressionCodecs[CompressionTypes.Snappy] = snappy;
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: (encoder) => lz4.compressFrame(encoder.buffer),
  decompress: (buffer) => lz4.decompressFrame(buffer),
});
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async (encoder) => zlib.zstdCompressSync(encoder.buffer),
  decompress: async (buffer) => zlib.zstdDecompressSync(buffer),
});

class Client {
  constructor(bootstrap) {
    this.kafka = new Kafka({ brokers: [bootstrap], clientId: "kafkajs", logLevel: logLevel.NOTHING });
    this.kept = null;
    this.groupCount = 0;
  }

  // The topics.

  async withAdmin(act) {
    const admin = this.kafka.admin();
    await admin.connect();
    try {
      return await act(admin);
    } finally {
      await admin.disconnect();
    }
  }

  cluster() {
    return this.withAdmin(async (admin) => {
      const told = await admin.describeCluster();
      return [`cluster ${told.clusterId ?? "-"} ${told.brokers.length}`];
    });
  }

  create(args) {
    const configEntries = args.names("config").map((pair) => {
      const [name, value] = pair.split(":");
      return { name, value };
    });
    const topic = { topic: args.topic, numPartitions: args.number("partitions", 1), replicationFactor: 1, configEntries };
    return this.withAdmin(async (admin) => {
      if (!(await admin.createTopics({ topics: [topic], waitForLeaders: true }))) {
        throw new Error("the topic exists");
      }
      return [];
    });
  }

  delete(args) {
    return this.withAdmin(async (admin) => {
      await admin.deleteTopics({ topics: [args.topic] });
      return [];
    });
  }

  describe(args) {
    return this.withAdmin(async (admin) => {
      const { topics } = await admin.fetchTopicMetadata({ topics: [args.topic] });
      const numbers = topics[0].partitions.map((partition) => partition.partitionId);
      return numbers.sort((a, b) => a - b).map((number) => `partition ${number}`);
    });
  }

  // The records.

  async produce(args) {
    const producer = this.kept ?? (await this.producer(args));
    try {
      const records = [...args.records()];
      // What is given to one send() is one batch.
      const large = records.some((record) => record.value?.length > LARGE_BYTES);
      const batches = large ? records.map((record) => [record]) : [records];
      const facts = [];
      for (const batch of batches) {
        facts.push(...(await this.send(producer, args, batch)));
      }
      return facts;
    } finally {
      if (args.flag("keep")) {
        this.kept = producer;
      } else if (!this.kept) {
        await producer.disconnect();
      }
    }
  }

  async producer(args) {
    const producer = this.kafka.producer({ allowAutoTopicCreation: true, idempotent: args.flag("idempotent") });
    await producer.connect();
    return producer;
  }

  async send(producer, args, records) {
    const told = await producer.send({
      topic: args.topic,
      acks: ACKS[args.text("acks", "all")],
      compression: CODECS[args.text("codec", "none")],
      messages: records.map(({ key, value, headers, timestamp }) => {
        return { key, value, headers, timestamp, partition: args.partition };
      }),
    });
    const base = Number(told[0]?.baseOffset ?? -1);
    return records.map(({ i }, index) => `sent ${i} ${base + index}`);
  }

  async consume(args) {
    const { topic, partition } = args;
    const offset = await this.start(args);
    this.groupCount += 1;
    const groupId = `kafkajs-${process.pid}-${this.groupCount}`;
    const consumer = this.kafka.consumer({ groupId, maxWaitTimeInMs: 50, maxBytesPerPartition: LARGE_BYTES });
    await consumer.connect();
    try {
      await consumer.subscribe({ topic, fromBeginning: true });
      return await readFacts(consumer, args, () => consumer.seek({ topic, partition, offset }));
    } finally {
      await consumer.disconnect();
    }
  }

  // Where a `consume` line starts, as kafkajs has it: a string.
  async start(args) {
    const from = args.text("from");
    if (from === "earliest" || from === "latest") {
      const ends = await this.ends(args);
      return from === "earliest" ? ends.low : ends.high;
    }
    return from.startsWith("@") ? this.at(args, Number(from.slice(1))) : from;
  }

  ends(args) {
    return this.withAdmin(async (admin) => {
      const partitions = await admin.fetchTopicOffsets(args.topic);
      return partitions.find((one) => one.partition === args.partition);
    });
  }

  at(args, timestamp) {
    return this.withAdmin(async (admin) => {
      const partitions = await admin.fetchTopicOffsetsByTimestamp(args.topic, timestamp);
      return partitions.find((one) => one.partition === args.partition).offset;
    });
  }

  async offsets(args) {
    const { low, high } = await this.ends(args);
    if (args.has("at")) {
      // It tells the end where there is no record of that time or later.
      const found = await this.at(args, args.number("at"));
      return [`found ${found === high ? -1 : found}`];
    }
    return [`offsets ${low} ${high}`];
  }

  // The groups.

  groups() {
    return this.withAdmin(async (admin) => {
      const { groups } = await admin.listGroups();
      return groups.map(({ groupId }) => `group ${groupId}`).sort();
    });
  }

  group({ group, topic }) {
    return this.withAdmin(async (admin) => {
      const [told] = (await admin.describeGroups([group])).groups;
      const members = told.members.map(({ memberAssignment }) => {
        return `member ${AssignerProtocol.MemberAssignment.decode(memberAssignment).assignment[topic]}`;
      });
      return [`state ${told.state}`, ...members.sort()];
    });
  }

  committed({ group, topic }) {
    return this.withAdmin(async (admin) => {
      return offsetFacts("committed", await committedOffsets(admin, group, topic));
    });
  }

  lag({ group, topic }) {
    return this.withAdmin(async (admin) => {
      const ends = await admin.fetchTopicOffsets(topic);
      const end = (partition) => ends.find((one) => one.partition === partition).high;
      const lags = (await committedOffsets(admin, group, topic)).map(({ partition, offset }) => {
        return { partition, offset: end(partition) - offset };
      });
      return offsetFacts("lag", lags);
    });
  }

  commit(args) {
    const { group: groupId, topic, partition } = args;
    const partitions = [{ partition, offset: args.text("offset") }];
    return this.withAdmin(async (admin) => {
      await admin.setOffsets({ groupId, topic, partitions });
      return [];
    });
  }

  reset({ group: groupId, topic }) {
    return this.withAdmin(async (admin) => {
      await admin.resetOffsets({ groupId, topic, earliest: true });
      // Until then "the earliest" is committed in place of an offset.
      await admin.fetchOffsets({ groupId, topics: [topic], resolveOffsets: true });
      return [];
    });
  }

  dissolve({ group }) {
    return this.withAdmin(async (admin) => {
      await admin.deleteGroups([group]);
      return [];
    });
  }
}

async function committedOffsets(admin, groupId, topic) {
  const topics = await admin.fetchOffsets({ groupId, topics: [topic] });
  return topics[0].partitions.filter(({ offset }) => Number(offset) >= 0);
}

function offsetFacts(verb, partitions) {
  return partitions.map(({ partition, offset }) => `${verb} ${partition} ${offset}`).sort();
}

// Runs the consumer until it has read what a `consume` line asks for.
function readFacts(consumer, args, seek) {
  const count = args.number("count");
  const patienceMs = args.number("patience", PATIENCE_S) * 1000;
  return new Promise((resolve, reject) => {
    const facts = [];
    const timer = setTimeout(() => reject(new Error(`${count - facts.length} records are missing`)), patienceMs);
    const settle = (act, value) => {
      clearTimeout(timer);
      act(value);
    };
    const eachMessage = async ({ partition, message }) => {
      if (partition === args.partition && facts.length < count) {
        facts.push(fact(partition, message));
      }
      if (facts.length === count) {
        settle(resolve, facts);
      }
    };
    consumer.on(consumer.events.CRASH, ({ payload }) => settle(reject, payload.error));
    consumer.run({ autoCommit: false, eachMessage }).then(seek, (error) => settle(reject, error));
  });
}

// The name=value words of one line.
class Args {
  constructor(words) {
    this.values = new Map(words.map((word) => [word.slice(0, word.indexOf("=")), word.slice(word.indexOf("=") + 1)]));
    this.topic = this.text("topic");
    this.partition = this.number("partition", 0);
    this.group = this.text("group");
  }

  has(name) {
    return this.values.has(name);
  }

  text(name, otherwise) {
    return this.values.get(name) ?? otherwise;
  }

  number(name, otherwise) {
    return this.has(name) ? Number(this.values.get(name)) : otherwise;
  }

  flag(name) {
    return this.values.get(name) === "1";
  }

  names(name) {
    return this.text(name, "").split(",").filter(Boolean);
  }

  // Every record that a `produce` line asks for. What they hold is said in contents.rs.
  *records() {
    const first = this.number("first");
    for (let i = first; i < first + this.number("count"); i += 1) {
      const size = this.number("size", 1 + ((i * i * 37) % 3000));
      yield {
        i,
        key: i % 5 === 4 ? null : `${this.topic}-${i}`,
        value: i % 7 === 6 && i % 5 !== 4 ? null : contents(this.topic, i, size),
        headers: this.headers(),
        timestamp: this.has("ts") ? String(this.number("ts") + i) : undefined,
      };
    }
  }

  headers() {
    const wanted = this.names("headers");
    const known = { topic: this.topic, empty: "", null: null };
    return Object.fromEntries(Object.entries(known).filter(([name]) => wanted.includes(name)));
  }
}

function contents(topic, i, size) {
  const pattern = Buffer.concat([Buffer.from(`${topic}/${i}/`), Buffer.from([0x00, 0xff, 0x0a])]);
  return Buffer.alloc(size, pattern);
}

// The fact about one record that was read.
function fact(partition, { offset, timestamp, key, value, headers }) {
  const shown = Object.entries(headers ?? {}).map(([name, data]) => (data === null ? name : `${name}=${data}`));
  return [
    `record ${partition} ${offset}`,
    Number(timestamp) < 0 ? "-" : timestamp,
    key === null ? "-" : `=${key}`,
    value === null ? "-" : `${value.length}:${zlib.crc32(value).toString(16).padStart(8, "0")}`,
    shown.join(",") || "-",
  ].join(" ");
}

async function answer(client, line) {
  const [verb, ...words] = line.trim().split(" ");
  try {
    return [...(await client[verb](new Args(words))), "ok"];
  } catch (error) {
    const cause = error.groups?.[0]?.error ?? error.cause ?? error;
    return [`failed ${cause.type ?? cause.name}: ${cause.message}`.replace(/\s+/g, " ")];
  }
}

async function main() {
  const client = new Client(process.argv[2]);
  for await (const line of readline.createInterface({ input: process.stdin })) {
    process.stdout.write(`${(await answer(client, line)).join("\n")}\n`);
  }
  process.exit(0);
}

main();
