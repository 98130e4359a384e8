// kafkajs 2: `kafkajs.js BOOTSTRAP GROUP TOPIC roundrobin`.
//
// The lines on stdin and stdout are described in member.rs, which is their other end. kafkajs has one way of dividing
// partitions, of its own: other clients' round robin goes by another name. It has no static members.
"use strict";

const fs = require("node:fs");
const { Kafka, logLevel } = require("kafkajs");

const [bootstrap, groupId, topic] = process.argv.slice(2);

// One write, so that the line is there as a whole when the process is killed.
function say(line) {
  try {
    fs.writeSync(1, `${line}\n`);
  } catch {
    process.exit(1); // Nobody reads.
  }
}

function sentence(error) {
  return `${error.type ?? error.name}: ${error.message}`.replace(/\s+/g, " ");
}

// Its heartbeats are sent between two fetches, and it rejoins a group whose broker was away.
function consumer() {
  const kafka = new Kafka({
    brokers: [bootstrap],
    logLevel: logLevel.NOTHING,
    retry: { initialRetryTime: 100, maxRetryTime: 200, retries: 20 },
  });
  return kafka.consumer({
    groupId,
    // The least that Apache Kafka allows.
    sessionTimeout: 6000,
    heartbeatInterval: 500,
    rebalanceTimeout: 20_000,
    maxWaitTimeInMs: 100,
  });
}

async function processBatch(member, { batch, resolveOffset, heartbeat }) {
  const { partition, messages } = batch;
  for (const { offset, value } of messages) {
    say(`got ${partition} ${offset} ${value}`);
    resolveOffset(offset);
  }
  const next = String(BigInt(batch.lastOffset()) + 1n);
  try {
    await member.commitOffsets([{ topic, partition, offset: next }]);
    say(`committed ${partition}:${next}`);
  } catch (error) {
    // It is for kafkajs to say whether this means to join anew.
    say(`refused ${sentence(error)}`);
    throw error;
  }
  await heartbeat();
}

async function main() {
  const member = consumer();
  member.on(member.events.GROUP_JOIN, ({ payload }) => {
    const partitions = payload.memberAssignment[topic] ?? [];
    say(`assigned ${partitions.toSorted((a, b) => a - b).join(",") || "-"}`);
  });
  member.on(member.events.CRASH, ({ payload }) => {
    if (!payload.restart) {
      say(`failed ${sentence(payload.error)}`);
      process.exit(1);
    }
  });
  await member.connect();
  await member.subscribe({ topic, fromBeginning: true });
  const eachBatch = (batch) => processBatch(member, batch);
  await member.run({ autoCommit: false, eachBatchAutoResolve: false, partitionsConsumedConcurrently: 1, eachBatch });
  process.stdin.resume();
  process.stdin.once("data", () => leave(member));
  process.stdin.once("end", () => leave(member));
}

async function leave(member) {
  await member.disconnect();
  say("left");
  process.exit(0);
}

main().catch((error) => {
  say(`failed ${sentence(error)}`);
  process.exit(1);
});
