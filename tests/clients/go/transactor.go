package main

import "fmt"

// What a library's transactions answer the lines of tests/transactions/client.rs with.
type transactor func(bootstrap string) verbs

const transactionTimeoutMs = 60_000

// The milliseconds that a transaction of an `init` line may take.
func (a args) transactionTimeoutMs() int64 {
	return a.number("timeout", transactionTimeoutMs)
}

func valueFact(offset int64, value []byte) string {
	return fmt.Sprintf("value %d %s", offset, value)
}
