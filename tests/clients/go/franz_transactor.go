package main

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// A producer is a client of its own; so is the member of a group that copies, whose session ends with its transaction.
type franzTransactions struct {
	bootstrap string
	producers map[string]*kgo.Client
	// The words of their `init` lines.
	inits map[string]args
}

func franzTransactor(bootstrap string) verbs {
	c := &franzTransactions{bootstrap, map[string]*kgo.Client{}, map[string]args{}}
	return verbs{
		"init":   c.init,
		"begin":  c.begin,
		"send":   c.send,
		"copy":   c.copy,
		"commit": c.ender(kgo.TryCommit),
		"abort":  c.ender(kgo.TryAbort),
		"read":   c.read,
	}
}

func (c *franzTransactions) options(a args) []kgo.Opt {
	return []kgo.Opt{
		kgo.SeedBrokers(c.bootstrap),
		kgo.TransactionalID(a.text("id", "")),
		kgo.TransactionTimeout(time.Duration(a.transactionTimeoutMs()) * time.Millisecond),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.MetadataMinAge(backoff),
	}
}

// It asks for its producer id when it sends for the first time, unless it is asked for that.
func (c *franzTransactions) init(a args) ([]string, error) {
	client, err := kgo.NewClient(c.options(a)...)
	if err != nil {
		return nil, err
	}
	until, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c.producers[a["as"]], c.inits[a["as"]] = client, a
	_, _, err = client.ProducerID(until)
	return nil, err
}

func (c *franzTransactions) begin(a args) ([]string, error) {
	return nil, c.producers[a["as"]].BeginTransaction()
}

func (c *franzTransactions) send(a args) ([]string, error) {
	var sent []*kgo.Record
	for _, value := range a.names("values") {
		sent = append(sent, &kgo.Record{Topic: a.topic(), Partition: a.partition(), Value: []byte(value)})
	}
	return nil, c.producers[a["as"]].ProduceSync(context.Background(), sent...).FirstErr()
}

func (c *franzTransactions) ender(how kgo.TransactionEndTry) func(args) ([]string, error) {
	return func(a args) ([]string, error) {
		until, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		return nil, c.producers[a["as"]].EndTransaction(until, how)
	}
}

// The session is the producer of that name from here on, for its id can have one only.
func (c *franzTransactions) copy(a args) ([]string, error) {
	c.producers[a["as"]].Close()
	defer c.init(c.inits[a["as"]])
	session, err := kgo.NewGroupTransactSession(append(c.options(c.inits[a["as"]]),
		kgo.ConsumerGroup(a["group"]),
		kgo.ConsumeTopics(a["from"]),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchMaxWait(fetchWait),
		kgo.RequireStableFetchOffsets(),
	)...)
	if err != nil {
		return nil, err
	}
	defer session.Close()
	until, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	read, err := franzTake(until, session.PollRecords, int(a.number("count", 0)))
	if err != nil {
		return nil, err
	}
	if err := session.Begin(); err != nil {
		return nil, err
	}
	for _, record := range read {
		copied := &kgo.Record{Topic: a["into"], Value: record.Value}
		if err := session.ProduceSync(until, copied).FirstErr(); err != nil {
			return nil, err
		}
	}
	_, err = session.End(until, kgo.TransactionEndTry(a["end"] == "commit"))
	return nil, err
}

// As many records as there are to be, and never more: the offsets that a session commits are those that it has told.
func franzTake(until context.Context, poll func(context.Context, int) kgo.Fetches, count int) ([]*kgo.Record, error) {
	var read []*kgo.Record
	for len(read) < count {
		fetched := poll(until, count-len(read))
		if err := fetched.Err(); err != nil {
			return nil, err
		}
		read = append(read, fetched.Records()...)
	}
	return read, nil
}

func (c *franzTransactions) read(a args) ([]string, error) {
	from := map[string]map[int32]kgo.Offset{a.topic(): {a.partition(): kgo.NewOffset().AtStart()}}
	client, err := kgo.NewClient(
		kgo.SeedBrokers(c.bootstrap),
		kgo.ConsumePartitions(from),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.FetchMaxWait(fetchWait),
	)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	until, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var facts []string
	for {
		read, err := franzTake(until, client.PollRecords, 1)
		if err != nil {
			return nil, err
		}
		facts = append(facts, valueFact(read[0].Offset, read[0].Value))
		if string(read[0].Value) == a["until"] {
			return facts, nil
		}
	}
}
