package main

import (
	"context"
	"errors"
	"time"

	"github.com/segmentio/kafka-go"
)

// A member by kafka-go's ConsumerGroup, which is the part under its Reader that tells what was assigned.
func kafkaGoMember(stopped context.Context, m membership) error {
	balancers := map[string]kafka.GroupBalancer{
		"range":      kafka.RangeGroupBalancer{},
		"roundrobin": kafka.RoundRobinGroupBalancer{},
	}
	group, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{
		ID:                m.group,
		Brokers:           []string{m.bootstrap},
		Topics:            []string{m.topic},
		GroupBalancers:    []kafka.GroupBalancer{balancers[m.assignor]},
		SessionTimeout:    m.sessionTimeout(),
		HeartbeatInterval: heartbeatInterval,
		RebalanceTimeout:  rebalanceTimeout,
		JoinGroupBackoff:  backoff,
		StartOffset:       kafka.FirstOffset,
	})
	if err != nil {
		return err
	}
	for stopped.Err() == nil {
		generation, err := group.Next(stopped)
		if err != nil {
			if stopped.Err() == nil {
				sayRefused(err)
			}
			continue
		}
		kafkaGoGeneration(stopped, m, generation)
	}
	return group.Close()
}

// Starts a reader for each partition. They end with the generation, before the next one begins.
func kafkaGoGeneration(stopped context.Context, m membership, generation *kafka.Generation) {
	var partitions []int
	for _, assigned := range generation.Assignments[m.topic] {
		partitions = append(partitions, assigned.ID)
	}
	sayAssigned(partitions)
	for _, assigned := range generation.Assignments[m.topic] {
		generation.Start(func(over context.Context) {
			kafkaGoPartition(stopped, over, m, generation, assigned)
		})
	}
}

func kafkaGoPartition(
	stopped, over context.Context, m membership, generation *kafka.Generation, assigned kafka.PartitionAssignment,
) {
	reader := kafka.NewReader(kafka.ReaderConfig{
		Brokers:        []string{m.bootstrap},
		Topic:          m.topic,
		Partition:      assigned.ID,
		MaxWait:        fetchWait,
		ReadBackoffMax: backoff,
	})
	defer reader.Close()
	if err := reader.SetOffset(assigned.Offset); err != nil {
		sayRefused(err)
		return
	}
	for over.Err() == nil && stopped.Err() == nil {
		next, err := kafkaGoBatch(over, reader)
		if err != nil && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
			sayRefused(err)
		}
		if next >= 0 {
			kafkaGoCommit(generation, m.topic, assigned.ID, next)
		}
	}
	// A generation is over when one of its functions returns, and this member leaves only by Close.
	<-over.Done()
}

// Processes what arrives together, and answers the offset behind it, or -1.
func kafkaGoBatch(over context.Context, reader *kafka.Reader) (int64, error) {
	next := int64(-1)
	wait := fetchWait
	for {
		until, cancel := context.WithTimeout(over, wait)
		message, err := reader.ReadMessage(until)
		cancel()
		if err != nil {
			return next, err
		}
		sayGot(message.Partition, message.Offset, message.Value)
		next = message.Offset + 1
		wait = 10 * time.Millisecond
	}
}

func kafkaGoCommit(generation *kafka.Generation, topic string, partition int, next int64) {
	offsets := map[string]map[int]int64{topic: {partition: next}}
	if err := generation.CommitOffsets(offsets); err != nil {
		sayRefused(err)
		return
	}
	sayCommitted(map[int32]int64{int32(partition): next})
}
