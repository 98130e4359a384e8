package main

import (
	"maps"
	"time"

	"github.com/IBM/sarama"
)

type saramaClient struct {
	bootstrap []string
	version   string
	kept      sarama.SyncProducer
}

func saramaSession(bootstrap, version string) verbs {
	c := &saramaClient{bootstrap: []string{bootstrap}, version: version}
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

func saramaConfig() *sarama.Config {
	config := sarama.NewConfig()
	config.ClientID = "sarama"
	config.Version = sarama.MaxVersion
	return config
}

func (c *saramaClient) config() *sarama.Config {
	config := saramaConfig()
	if version, err := sarama.ParseKafkaVersion(c.version); err == nil {
		config.Version = version
	}
	return config
}

// The topics.

func (c *saramaClient) cluster(args) ([]string, error) {
	client, err := sarama.NewClient(c.bootstrap, c.config())
	if err != nil {
		return nil, err
	}
	defer client.Close()
	broker, err := client.Controller()
	if err != nil {
		return nil, err
	}
	told, err := broker.GetMetadata(sarama.NewMetadataRequest(client.Config().Version, nil))
	if err != nil {
		return nil, err
	}
	return clusterFact(*told.ClusterID, len(told.Brokers)), nil
}

func (c *saramaClient) withAdmin(do func(sarama.ClusterAdmin) error) error {
	admin, err := sarama.NewClusterAdmin(c.bootstrap, c.config())
	if err != nil {
		return err
	}
	defer admin.Close()
	return do(admin)
}

func (c *saramaClient) create(a args) ([]string, error) {
	detail := &sarama.TopicDetail{
		NumPartitions:     int32(a.number("partitions", 1)),
		ReplicationFactor: 1,
		ConfigEntries:     map[string]*string{},
	}
	for name, value := range a.pairs("config") {
		detail.ConfigEntries[name] = &value
	}
	return nil, c.withAdmin(func(admin sarama.ClusterAdmin) error {
		return admin.CreateTopic(a.topic(), detail, false)
	})
}

func (c *saramaClient) delete(a args) ([]string, error) {
	return nil, c.withAdmin(func(admin sarama.ClusterAdmin) error {
		return admin.DeleteTopic(a.topic())
	})
}

func (c *saramaClient) describe(a args) ([]string, error) {
	var numbers []int32
	err := c.withAdmin(func(admin sarama.ClusterAdmin) error {
		topics, err := admin.DescribeTopics([]string{a.topic()})
		if err != nil {
			return err
		}
		if topics[0].Err != sarama.ErrNoError {
			return topics[0].Err
		}
		for _, partition := range topics[0].Partitions {
			numbers = append(numbers, partition.ID)
		}
		return nil
	})
	return partitionFacts(numbers), err
}

// The records.

func (c *saramaClient) produce(a args) ([]string, error) {
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
	var messages []*sarama.ProducerMessage
	for _, one := range a.records() {
		messages = append(messages, saramaMessage(a.topic(), one))
	}
	if err := producer.SendMessages(messages); err != nil {
		return nil, firstSaramaError(err)
	}
	var facts []string
	for _, message := range messages {
		facts = append(facts, sentFact(message.Metadata.(int64), message.Offset))
	}
	return facts, nil
}

func (c *saramaClient) producer(a args) (sarama.SyncProducer, error) {
	config := c.config()
	config.Producer.Partitioner = sarama.NewManualPartitioner
	config.Producer.Return.Successes = true
	config.Producer.Return.Errors = true
	config.Producer.Flush.Frequency = 10 * time.Millisecond
	config.Producer.MaxMessageBytes = largest
	acks := map[string]sarama.RequiredAcks{"0": sarama.NoResponse, "1": sarama.WaitForLocal, "all": sarama.WaitForAll}
	config.Producer.RequiredAcks = acks[a.text("acks", "all")]
	if err := config.Producer.Compression.UnmarshalText([]byte(a.text("codec", "none"))); err != nil {
		return nil, err
	}
	if a.flag("idempotent") {
		config.Producer.Idempotent = true
		config.Net.MaxOpenRequests = 1
	}
	return sarama.NewSyncProducer(c.bootstrap, config)
}

func saramaMessage(topic string, one record) *sarama.ProducerMessage {
	message := &sarama.ProducerMessage{
		Topic: topic, Partition: one.partition, Timestamp: one.timestamp, Metadata: one.offset,
	}
	// A nil slice in the interface would not be null.
	if one.key != nil {
		message.Key = sarama.ByteEncoder(one.key)
	}
	if one.value != nil {
		message.Value = sarama.ByteEncoder(one.value)
	}
	for _, pair := range one.headers {
		message.Headers = append(message.Headers, sarama.RecordHeader{Key: []byte(pair.name), Value: pair.value})
	}
	return message
}

func firstSaramaError(err error) error {
	if all, are := err.(sarama.ProducerErrors); are {
		return all[0].Err
	}
	return err
}

func (c *saramaClient) consume(a args) ([]string, error) {
	client, err := sarama.NewClient(c.bootstrap, c.config())
	if err != nil {
		return nil, err
	}
	defer client.Close()
	offset, err := saramaStart(client, a)
	if err != nil {
		return nil, err
	}
	consumer, err := sarama.NewConsumerFromClient(client)
	if err != nil {
		return nil, err
	}
	defer consumer.Close()
	partition, err := consumer.ConsumePartition(a.topic(), a.partition(), offset)
	if err != nil {
		return nil, err
	}
	defer partition.AsyncClose()
	return saramaFacts(partition, int(a.number("count", 0)), time.After(time.Until(a.deadline())))
}

func saramaFacts(partition sarama.PartitionConsumer, count int, end <-chan time.Time) ([]string, error) {
	var facts []string
	for len(facts) < count {
		select {
		case message := <-partition.Messages():
			facts = append(facts, saramaRecord(message).fact())
		case <-end:
			return nil, missing(count - len(facts))
		}
	}
	return facts, nil
}

func saramaRecord(message *sarama.ConsumerMessage) record {
	one := record{message.Partition, message.Offset, message.Timestamp, message.Key, message.Value, nil}
	for _, pair := range message.Headers {
		one.headers = append(one.headers, header{string(pair.Key), pair.Value})
	}
	return one
}

func saramaStart(client sarama.Client, a args) (int64, error) {
	from := a.start()
	switch {
	case from.earliest:
		return sarama.OffsetOldest, nil
	case from.latest:
		return sarama.OffsetNewest, nil
	case !from.at.IsZero():
		return client.GetOffset(a.topic(), a.partition(), from.at.UnixMilli())
	default:
		return from.offset, nil
	}
}

func (c *saramaClient) offsets(a args) ([]string, error) {
	client, err := sarama.NewClient(c.bootstrap, c.config())
	if err != nil {
		return nil, err
	}
	defer client.Close()
	if a.has("at") {
		found, err := client.GetOffset(a.topic(), a.partition(), a.number("at", 0))
		return foundFact(found), err
	}
	first, err := client.GetOffset(a.topic(), a.partition(), sarama.OffsetOldest)
	if err != nil {
		return nil, err
	}
	last, err := client.GetOffset(a.topic(), a.partition(), sarama.OffsetNewest)
	return offsetsFact(first, last), err
}
