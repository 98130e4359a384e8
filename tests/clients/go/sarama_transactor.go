package main

import (
	"context"
	"errors"
	"time"

	"github.com/IBM/sarama"
)

type saramaTransactions struct {
	bootstrap []string
	producers map[string]sarama.SyncProducer
}

func saramaTransactor(bootstrap string) verbs {
	c := &saramaTransactions{[]string{bootstrap}, map[string]sarama.SyncProducer{}}
	return verbs{
		"init":   c.init,
		"begin":  func(a args) ([]string, error) { return nil, c.producers[a["as"]].BeginTxn() },
		"send":   c.send,
		"copy":   c.copy,
		"commit": func(a args) ([]string, error) { return nil, c.producers[a["as"]].CommitTxn() },
		"abort":  func(a args) ([]string, error) { return nil, c.producers[a["as"]].AbortTxn() },
		"read":   c.read,
	}
}

func (c *saramaTransactions) init(a args) ([]string, error) {
	config := saramaConfig()
	config.Producer.Partitioner = sarama.NewManualPartitioner
	config.Producer.Return.Successes = true
	config.Producer.Return.Errors = true
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Idempotent = true
	config.Net.MaxOpenRequests = 1
	config.Producer.Transaction.ID = a["id"]
	config.Producer.Transaction.Timeout = time.Duration(a.transactionTimeoutMs()) * time.Millisecond
	producer, err := sarama.NewSyncProducer(c.bootstrap, config)
	c.producers[a["as"]] = producer
	return nil, err
}

func (c *saramaTransactions) send(a args) ([]string, error) {
	var messages []*sarama.ProducerMessage
	for _, value := range a.names("values") {
		messages = append(messages, &sarama.ProducerMessage{
			Topic: a.topic(), Partition: a.partition(), Value: sarama.StringEncoder(value),
		})
	}
	if err := c.producers[a["as"]].SendMessages(messages); err != nil {
		return nil, firstSaramaError(err)
	}
	return nil, nil
}

// A member of a group that copies some records once, in its first session.
type saramaCopy struct {
	args
	producer sarama.SyncProducer
	done     chan error
}

func (*saramaCopy) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (*saramaCopy) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (m *saramaCopy) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	if claim.Partition() != 0 {
		// The first claim that is given back ends the session.
		<-session.Context().Done()
		return nil
	}
	m.done <- m.run(session, claim)
	return nil
}

func (m *saramaCopy) run(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	if err := m.producer.BeginTxn(); err != nil {
		return err
	}
	member := &sarama.ConsumerGroupMetadata{
		GroupID: m.args["group"], GenerationID: session.GenerationID(), MemberID: session.MemberID(),
	}
	for range m.number("count", 0) {
		record, open := <-claim.Messages()
		if !open {
			return errors.New("the session has ended")
		}
		copied := &sarama.ProducerMessage{Topic: m.args["into"], Value: sarama.ByteEncoder(record.Value)}
		if _, _, err := m.producer.SendMessage(copied); err != nil {
			return err
		}
		if err := m.producer.AddMessageToTxnWithGroupMetadata(record, member, nil); err != nil {
			return err
		}
	}
	if m.args["end"] == "commit" {
		return m.producer.CommitTxn()
	}
	return m.producer.AbortTxn()
}

func saramaReader() *sarama.Config {
	config := saramaConfig()
	config.Consumer.IsolationLevel = sarama.ReadCommitted
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Offsets.AutoCommit.Enable = false
	config.Consumer.MaxWaitTime = fetchWait
	return config
}

func (c *saramaTransactions) copy(a args) ([]string, error) {
	group, err := sarama.NewConsumerGroup(c.bootstrap, a["group"], saramaReader())
	if err != nil {
		return nil, err
	}
	defer group.Close()
	until, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	copying := &saramaCopy{a, c.producers[a["as"]], make(chan error, 1)}
	go group.Consume(until, []string{a["from"]}, copying)
	select {
	case err := <-copying.done:
		return nil, err
	case <-until.Done():
		return nil, until.Err()
	}
}

func (c *saramaTransactions) read(a args) ([]string, error) {
	consumer, err := sarama.NewConsumer(c.bootstrap, saramaReader())
	if err != nil {
		return nil, err
	}
	defer consumer.Close()
	partition, err := consumer.ConsumePartition(a.topic(), a.partition(), sarama.OffsetOldest)
	if err != nil {
		return nil, err
	}
	defer partition.AsyncClose()
	var facts []string
	for end := time.After(patience); ; {
		select {
		case record := <-partition.Messages():
			facts = append(facts, valueFact(record.Offset, record.Value))
			if string(record.Value) == a["until"] {
				return facts, nil
			}
		case <-end:
			return nil, errors.New("records are missing")
		}
	}
}
