// kafkajs 2: `kafkajs.js BOOTSTRAP`. The lines are described in client.rs.
//
// kafkajs reads as a member of a group only, so every `read` line has a group of its own. The offsets that it sends in a
// transaction name a group and no member of it.
"use strict";

const { Kafka, logLevel } = require("kafkajs");
const { answer } = require("lines");

const PATIENCE_MS = 60_000;

class Transactor {
  constructor(bootstrap) {
    this.kafka = new Kafka({ brokers: [bootstrap], logLevel: logLevel.NOTHING, retry: { maxRetryTime: 300 } });
    this.producers = {};
    this.open = {};
    this.groupCount = 0;
  }

  // It asks for its producer id when its first transaction begins, which is then the one that the next line wants.
  async init({ as, id, timeout }) {
    const producer = this.kafka.producer({
      transactionalId: id,
      transactionTimeout: Number(timeout ?? 60_000),
      maxInFlightRequests: 1,
      idempotent: true,
    });
    await producer.connect();
    this.producers[as] = producer;
    this.open[as] = await producer.transaction();
  }

  async begin({ as }) {
    if (!this.open[as]?.isActive()) {
      this.open[as] = await this.producers[as].transaction();
    }
  }

  async send({ as, topic, partition, values }) {
    const messages = values.split(",").map((value) => ({ value, partition: Number(partition) }));
    await this.open[as].send({ topic, messages });
  }

  async commit({ as }) {
    await this.open[as].commit();
  }

  async abort({ as }) {
    await this.open[as].abort();
  }

  async copy({ as, group, from, into, count, end }) {
    const read = await this.take(group, from, 0, (records) => records.length === Number(count));
    await this.begin({ as });
    await this.open[as].send({ topic: into, messages: read.map(({ value }) => ({ value, partition: 0 })) });
    const offset = String(Number(read[read.length - 1].offset) + 1);
    const topics = [{ topic: from, partitions: [{ partition: 0, offset }] }];
    await this.open[as].sendOffsets({ consumerGroupId: group, topics });
    await this[end]({ as });
  }

  async read({ topic, partition, until }) {
    this.groupCount += 1;
    const isLast = (records) => records[records.length - 1].value.toString() === until;
    const read = await this.take(`read-${topic}-${this.groupCount}`, topic, Number(partition), isLast);
    return read.map(({ offset, value }) => `value ${offset} ${value}`);
  }

  // What a member of the group reads of a partition, from where the group stands until it is enough; nothing is committed.
  async take(groupId, topic, from, isEnough) {
    const consumer = this.kafka.consumer({ groupId, maxWaitTimeInMs: 100, readUncommitted: false });
    await consumer.connect();
    await consumer.subscribe({ topic, fromBeginning: true });
    try {
      return await new Promise((resolve, reject) => {
        const records = [];
        let isOver = false;
        setTimeout(() => reject(new Error("records are missing")), PATIENCE_MS).unref();
        const eachMessage = async ({ partition, message }) => {
          if (partition !== from || isOver) {
            return;
          }
          records.push(message);
          isOver = isEnough(records);
          if (isOver) {
            resolve(records);
          }
        };
        consumer.run({ autoCommit: false, eachMessage }).catch(reject);
      });
    } finally {
      await consumer.disconnect();
    }
  }
}

answer(new Transactor(process.argv[2]));
