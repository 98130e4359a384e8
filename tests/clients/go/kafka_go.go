package main

import (
	"context"
	"maps"
	"time"

	"github.com/segmentio/kafka-go"
)

// kafka-go has no idempotent producer.
type kafkaGoClient struct {
	bootstrap string
	client    *kafka.Client
	kept      *kafkaGoProducer
}

func kafkaGoSession(bootstrap, _ string) verbs {
	// The transport of its own keeps no connection that a broker has left behind.
	transport := &kafka.Transport{ClientID: "kafka-go", IdleTimeout: time.Millisecond}
	client := &kafka.Client{Addr: kafka.TCP(bootstrap), Timeout: patience, Transport: transport}
	c := &kafkaGoClient{bootstrap: bootstrap, client: client}
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

// The topics.

func (c *kafkaGoClient) cluster(args) ([]string, error) {
	told, err := c.client.Metadata(context.Background(), &kafka.MetadataRequest{})
	if err != nil {
		return nil, err
	}
	return clusterFact(told.ClusterID, len(told.Brokers)), nil
}

func (c *kafkaGoClient) create(a args) ([]string, error) {
	topic := kafka.TopicConfig{
		Topic: a.topic(), NumPartitions: int(a.number("partitions", 1)), ReplicationFactor: 1,
	}
	for name, value := range a.pairs("config") {
		topic.ConfigEntries = append(topic.ConfigEntries, kafka.ConfigEntry{ConfigName: name, ConfigValue: value})
	}
	told, err := c.client.CreateTopics(context.Background(), &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{topic}})
	if err != nil {
		return nil, err
	}
	return nil, told.Errors[a.topic()]
}

func (c *kafkaGoClient) delete(a args) ([]string, error) {
	told, err := c.client.DeleteTopics(context.Background(), &kafka.DeleteTopicsRequest{Topics: []string{a.topic()}})
	if err != nil {
		return nil, err
	}
	return nil, told.Errors[a.topic()]
}

func (c *kafkaGoClient) describe(a args) ([]string, error) {
	told, err := c.client.Metadata(context.Background(), &kafka.MetadataRequest{Topics: []string{a.topic()}})
	if err != nil {
		return nil, err
	}
	var numbers []int32
	for _, partition := range told.Topics[0].Partitions {
		numbers = append(numbers, int32(partition.ID))
	}
	return partitionFacts(numbers), told.Topics[0].Error
}

// The records.

// A writer, and the offsets that it is told.
type kafkaGoProducer struct {
	writer    *kafka.Writer
	partition int
	told      map[int64]int64
}

func (c *kafkaGoClient) produce(a args) ([]string, error) {
	producer := c.kept
	if producer == nil {
		var err error
		if producer, err = newKafkaGoProducer(c.bootstrap, a); err != nil {
			return nil, err
		}
		if a.flag("keep") {
			c.kept = producer
		} else {
			defer producer.writer.Close()
		}
	}
	var messages []kafka.Message
	for _, one := range a.records() {
		messages = append(messages, kafkaGoMessage(one))
	}
	if err := producer.writer.WriteMessages(context.Background(), messages...); err != nil {
		return nil, firstKafkaGoError(err)
	}
	var facts []string
	for _, message := range messages {
		i := message.WriterData.(int64)
		facts = append(facts, sentFact(i, producer.told[i]))
	}
	return facts, nil
}

func newKafkaGoProducer(bootstrap string, a args) (*kafkaGoProducer, error) {
	producer := &kafkaGoProducer{partition: int(a.partition()), told: map[int64]int64{}}
	acks := map[string]kafka.RequiredAcks{"0": kafka.RequireNone, "1": kafka.RequireOne, "all": kafka.RequireAll}
	producer.writer = &kafka.Writer{
		Addr:                   kafka.TCP(bootstrap),
		Topic:                  a.topic(),
		Balancer:               kafka.BalancerFunc(func(kafka.Message, ...int) int { return producer.partition }),
		BatchTimeout:           10 * time.Millisecond,
		BatchBytes:             largest,
		AllowAutoTopicCreation: true,
		Transport:              &kafka.Transport{ClientID: "kafka-go"},
		RequiredAcks:           acks[a.text("acks", "all")],
		Completion:             producer.complete,
	}
	if codec := a.text("codec", "none"); codec != "none" {
		return producer, producer.writer.Compression.UnmarshalText([]byte(codec))
	}
	return producer, nil
}

// It is called before WriteMessages returns, from one batch at a time, as there is one partition.
func (p *kafkaGoProducer) complete(messages []kafka.Message, err error) {
	for _, message := range messages {
		p.told[message.WriterData.(int64)] = message.Offset
	}
}

func kafkaGoMessage(one record) kafka.Message {
	message := kafka.Message{Key: one.key, Value: one.value, Time: one.timestamp, WriterData: one.offset}
	for _, pair := range one.headers {
		message.Headers = append(message.Headers, kafka.Header{Key: pair.name, Value: pair.value})
	}
	return message
}

func firstKafkaGoError(err error) error {
	if all, are := err.(kafka.WriteErrors); are {
		for _, one := range all {
			if one != nil {
				return one
			}
		}
	}
	return err
}

func (c *kafkaGoClient) consume(a args) ([]string, error) {
	reader := kafka.NewReader(kafka.ReaderConfig{
		Brokers:   []string{c.bootstrap},
		Topic:     a.topic(),
		Partition: int(a.partition()),
		MaxBytes:  largest,
		MaxWait:   100 * time.Millisecond,
	})
	defer reader.Close()
	until, cancel := context.WithDeadline(context.Background(), a.deadline())
	defer cancel()
	if err := kafkaGoSeek(until, reader, a.start()); err != nil {
		return nil, err
	}
	var facts []string
	for count := int(a.number("count", 0)); len(facts) < count; {
		message, err := reader.ReadMessage(until)
		if err != nil {
			return nil, err
		}
		facts = append(facts, kafkaGoRecord(message).fact())
	}
	return facts, nil
}

func kafkaGoSeek(until context.Context, reader *kafka.Reader, from start) error {
	switch {
	case from.earliest:
		return reader.SetOffset(kafka.FirstOffset)
	case from.latest:
		return reader.SetOffset(kafka.LastOffset)
	case !from.at.IsZero():
		return reader.SetOffsetAt(until, from.at)
	default:
		return reader.SetOffset(from.offset)
	}
}

func kafkaGoRecord(message kafka.Message) record {
	one := record{int32(message.Partition), message.Offset, message.Time, message.Key, message.Value, nil}
	for _, pair := range message.Headers {
		one.headers = append(one.headers, header{pair.Key, pair.Value})
	}
	return one
}

func (c *kafkaGoClient) offsets(a args) ([]string, error) {
	conn, err := kafka.DialLeader(context.Background(), "tcp", c.bootstrap, a.topic(), int(a.partition()))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if a.has("at") {
		found, err := conn.ReadOffset(time.UnixMilli(a.number("at", 0)))
		return foundFact(found), err
	}
	first, last, err := conn.ReadOffsets()
	return offsetsFact(first, last), err
}
