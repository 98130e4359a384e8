// @platformatic/kafka 2: `platformatic.js BOOTSTRAP`. The lines are described in client.rs.
"use strict";

const { Consumer, FetchIsolationLevels, Producer } = require("@platformatic/kafka");
const { answer } = require("lines");

const PATIENCE_MS = 60_000;
// Without these it claims to be producer 0 in epoch 0, and is fenced wherever its id has had another one.
const NOBODY = { producerId: -1n, producerEpoch: -1 };

class Transactor {
  constructor(bootstrap) {
    this.common = { bootstrapBrokers: [bootstrap], clientId: "platformatic", retries: 30, retryDelay: 200 };
    this.producers = {};
    this.open = {};
    this.groupCount = 0;
  }

  // It asks for its producer id when its first transaction begins, which is then the one that the next line wants.
  async init({ as, id, timeout }) {
    // What it calls its timeout is what it tells the broker of its transactions.
    const producer = new Producer({
      ...this.common,
      transactionalId: id,
      idempotent: true,
      timeout: Number(timeout ?? 60_000),
      partitioner: ({ partition }) => partition,
    });
    this.producers[as] = producer;
    this.open[as] = await producer.beginTransaction(NOBODY);
  }

  async begin({ as }) {
    if (this.open[as].completed) {
      this.open[as] = await this.producers[as].beginTransaction(NOBODY);
    }
  }

  async send({ as, topic, partition, values }) {
    const messages = values.split(",").map((value) => ({ topic, value: Buffer.from(value), partition: Number(partition) }));
    await this.open[as].send({ messages });
  }

  async commit({ as }) {
    await this.open[as].commit();
  }

  async abort({ as }) {
    await this.open[as].abort();
  }

  async copy({ as, group, from, into, count, end }) {
    const consumer = this.consumer(group);
    try {
      const read = await take(consumer, from, 0, (records) => records.length === Number(count));
      await this.begin({ as });
      await this.open[as].send({ messages: read.map(({ value }) => ({ topic: into, value, partition: 0 })) });
      await this.open[as].addConsumer(consumer);
      await this.open[as].addOffset(read[read.length - 1]);
      await this[end]({ as });
    } finally {
      await consumer.close(true);
    }
  }

  async read({ topic, partition, until }) {
    this.groupCount += 1;
    const consumer = this.consumer(`read-${topic}-${this.groupCount}`);
    try {
      const isLast = (records) => records[records.length - 1].value.toString() === until;
      const read = await take(consumer, topic, Number(partition), isLast);
      return read.map(({ offset, value }) => `value ${offset} ${value}`);
    } finally {
      await consumer.close(true);
    }
  }

  consumer(groupId) {
    return new Consumer({
      ...this.common,
      groupId,
      autocommit: false,
      isolationLevel: FetchIsolationLevels.READ_COMMITTED,
      maxWaitTime: 100,
    });
  }
}

// What a member reads of a partition, from where its group stands until it is enough.
async function take(consumer, topic, partition, isEnough) {
  const stream = await consumer.consume({ topics: [topic], mode: "committed", fallbackMode: "earliest" });
  const timer = setTimeout(() => stream.destroy(new Error("records are missing")), PATIENCE_MS);
  try {
    const records = [];
    for await (const message of stream) {
      if (message.partition === partition && records.push(message) && isEnough(records)) {
        break;
      }
    }
    return records;
  } finally {
    clearTimeout(timer);
  }
}

answer(new Transactor(process.argv[2]));
