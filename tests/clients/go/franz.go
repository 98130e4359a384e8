package main

import (
	"context"
	"maps"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

type franzClient struct {
	bootstrap string
	kept      *kgo.Client
}

func franzSession(bootstrap, _ string) verbs {
	c := &franzClient{bootstrap: bootstrap}
	known := verbs{
		"cluster":  c.cluster,
		"create":   c.create,
		"delete":   c.delete,
		"describe": c.describe,
		"produce":  c.produce,
		"consume":  c.consume,
		"offsets":  c.offsets,
	}
	maps.Copy(known, c.groupVerbs())
	return known
}

func (c *franzClient) start(options ...kgo.Opt) (*kgo.Client, error) {
	common := []kgo.Opt{kgo.SeedBrokers(c.bootstrap), kgo.ClientID("franz-go")}
	return kgo.NewClient(append(common, options...)...)
}

// The topics.

func (c *franzClient) withAdmin(do func(context.Context, *kadm.Client) ([]string, error)) ([]string, error) {
	client, err := c.start()
	if err != nil {
		return nil, err
	}
	defer client.Close()
	until, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return do(until, kadm.NewClient(client))
}

func (c *franzClient) cluster(args) ([]string, error) {
	return c.withAdmin(func(until context.Context, admin *kadm.Client) ([]string, error) {
		told, err := admin.BrokerMetadata(until)
		return clusterFact(told.Cluster, len(told.Brokers)), err
	})
}

func (c *franzClient) create(a args) ([]string, error) {
	configs := map[string]*string{}
	for name, value := range a.pairs("config") {
		configs[name] = &value
	}
	return c.withAdmin(func(until context.Context, admin *kadm.Client) ([]string, error) {
		_, err := admin.CreateTopic(until, int32(a.number("partitions", 1)), 1, configs, a.topic())
		return nil, err
	})
}

func (c *franzClient) delete(a args) ([]string, error) {
	if c.kept != nil {
		// A topic of the same name has another id, which a client takes up only once it has been told to forget the first.
		c.kept.PurgeTopicsFromClient(a.topic())
	}
	return c.withAdmin(func(until context.Context, admin *kadm.Client) ([]string, error) {
		_, err := admin.DeleteTopic(until, a.topic())
		return nil, err
	})
}

func (c *franzClient) describe(a args) ([]string, error) {
	return c.withAdmin(func(until context.Context, admin *kadm.Client) ([]string, error) {
		topics, err := admin.ListTopics(until, a.topic())
		if err != nil {
			return nil, err
		}
		topic := topics[a.topic()]
		return partitionFacts(topic.Partitions.Numbers()), topic.Err
	})
}

// The records.

func (c *franzClient) produce(a args) ([]string, error) {
	producer := c.kept
	if producer == nil {
		var err error
		if producer, err = c.producer(a); err != nil {
			return nil, err
		}
		if a.flag("keep") {
			c.kept = producer
		} else {
			defer producer.Close()
		}
	}
	records := a.records()
	var sent []*kgo.Record
	for _, one := range records {
		sent = append(sent, franzMessage(a.topic(), one))
	}
	var facts []string
	for i, result := range producer.ProduceSync(context.Background(), sent...) {
		if result.Err != nil {
			return nil, result.Err
		}
		facts = append(facts, sentFact(records[i].offset, result.Record.Offset))
	}
	return facts, nil
}

func (c *franzClient) producer(a args) (*kgo.Client, error) {
	acks := map[string]kgo.Acks{"0": kgo.NoAck(), "1": kgo.LeaderAck(), "all": kgo.AllISRAcks()}
	codecs := map[string]kgo.CompressionCodec{
		"none":   kgo.NoCompression(),
		"gzip":   kgo.GzipCompression(),
		"snappy": kgo.SnappyCompression(),
		"lz4":    kgo.Lz4Compression(),
		"zstd":   kgo.ZstdCompression(),
	}
	options := []kgo.Opt{
		kgo.RequiredAcks(acks[a.text("acks", "all")]),
		kgo.ProducerBatchCompression(codecs[a.text("codec", "none")]),
		kgo.ProducerBatchMaxBytes(largest),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.AllowAutoTopicCreation(),
	}
	if !a.flag("idempotent") {
		options = append(options, kgo.DisableIdempotentWrite())
	}
	return c.start(options...)
}

func franzMessage(topic string, one record) *kgo.Record {
	message := &kgo.Record{
		Topic: topic, Partition: one.partition, Key: one.key, Value: one.value, Timestamp: one.timestamp,
	}
	for _, pair := range one.headers {
		message.Headers = append(message.Headers, kgo.RecordHeader{Key: pair.name, Value: pair.value})
	}
	return message
}

func (c *franzClient) consume(a args) ([]string, error) {
	from := map[string]map[int32]kgo.Offset{a.topic(): {a.partition(): franzStart(a.start())}}
	client, err := c.start(kgo.ConsumePartitions(from), kgo.FetchMaxWait(100*time.Millisecond))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	until, cancel := context.WithDeadline(context.Background(), a.deadline())
	defer cancel()
	var facts []string
	for count := int(a.number("count", 0)); len(facts) < count; {
		fetched := client.PollRecords(until, count-len(facts))
		if errors := fetched.Errors(); len(errors) > 0 {
			return nil, errors[0].Err
		}
		for _, message := range fetched.Records() {
			facts = append(facts, franzRecord(message).fact())
		}
	}
	return facts, nil
}

func franzStart(from start) kgo.Offset {
	switch {
	case from.earliest:
		return kgo.NewOffset().AtStart()
	case from.latest:
		return kgo.NewOffset().AtEnd()
	case !from.at.IsZero():
		return kgo.NewOffset().AfterMilli(from.at.UnixMilli())
	default:
		return kgo.NewOffset().At(from.offset)
	}
}

func franzRecord(message *kgo.Record) record {
	one := record{message.Partition, message.Offset, message.Timestamp, message.Key, message.Value, nil}
	for _, pair := range message.Headers {
		one.headers = append(one.headers, header{pair.Key, pair.Value})
	}
	return one
}

func (c *franzClient) offsets(a args) ([]string, error) {
	return c.withAdmin(func(until context.Context, admin *kadm.Client) ([]string, error) {
		if a.has("at") {
			found, err := admin.ListOffsetsAfterMilli(until, a.number("at", 0), a.topic())
			return foundFact(orNone(found[a.topic()][a.partition()])), err
		}
		first, err := admin.ListStartOffsets(until, a.topic())
		if err != nil {
			return nil, err
		}
		last, err := admin.ListEndOffsets(until, a.topic())
		return offsetsFact(first[a.topic()][a.partition()].Offset, last[a.topic()][a.partition()].Offset), err
	})
}

// Where there is no record of that time or later, it tells the end of the log, without a time.
func orNone(found kadm.ListedOffset) int64 {
	if found.Timestamp < 0 {
		return -1
	}
	return found.Offset
}
