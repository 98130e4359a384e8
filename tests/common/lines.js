// The half that JavaScript programs share: lines of a verb and words of name=value, and the facts that answer them.
"use strict";

const readline = require("node:readline");

async function answerOne(verbs, line) {
  const [verb, ...words] = line.trim().split(" ");
  const given = Object.fromEntries(words.map((word) => [word.slice(0, word.indexOf("=")), word.slice(word.indexOf("=") + 1)]));
  try {
    return [...((await verbs[verb](given)) ?? []), "ok"];
  } catch (error) {
    return [`failed ${sentence(error)}`];
  }
}

// An error with those that it has inside.
function sentence(error) {
  const inner = [...(error.errors ?? []), error.cause].filter(Boolean).map(sentence);
  return [`${error.type ?? error.apiId ?? error.name}: ${error.message}`, ...inner].join("; ").replace(/\s+/g, " ");
}

// Answers lines until stdin ends.
async function answer(verbs) {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    process.stdout.write(`${(await answerOne(verbs, line)).join("\n")}\n`);
  }
  process.exit(0);
}

module.exports = { answer };
