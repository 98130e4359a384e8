package main

import (
	"context"
	"time"

	"github.com/IBM/sarama"
)

// Commit() tells nobody whether the broker took the offsets, so the member asks the broker what it has.
type saramaMembership struct {
	membership
	admin sarama.ClusterAdmin
}

func saramaMember(stopped context.Context, m membership) error {
	config := saramaMemberConfig(m)
	admin, err := sarama.NewClusterAdmin([]string{m.bootstrap}, config)
	if err != nil {
		return err
	}
	defer admin.Close()
	group, err := sarama.NewConsumerGroup([]string{m.bootstrap}, m.group, config)
	if err != nil {
		return err
	}
	for stopped.Err() == nil {
		// It returns at every rebalance, and when the broker is away.
		if err := group.Consume(stopped, []string{m.topic}, &saramaMembership{m, admin}); err != nil {
			sayRefused(err)
			pause(stopped)
		}
	}
	return group.Close()
}

func saramaMemberConfig(m membership) *sarama.Config {
	strategies := map[string]sarama.BalanceStrategy{
		"range":      sarama.NewBalanceStrategyRange(),
		"roundrobin": sarama.NewBalanceStrategyRoundRobin(),
	}
	config := saramaConfig()
	config.Metadata.Retry.Backoff = backoff
	config.Consumer.Retry.Backoff = backoff
	config.Consumer.MaxWaitTime = fetchWait
	config.Consumer.Offsets.AutoCommit.Enable = false
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Group.InstanceId = m.instance
	config.Consumer.Group.Session.Timeout = m.sessionTimeout()
	config.Consumer.Group.Heartbeat.Interval = heartbeatInterval
	config.Consumer.Group.Rebalance.Timeout = rebalanceTimeout
	config.Consumer.Group.Rebalance.Retry.Backoff = backoff
	config.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{strategies[m.assignor]}
	return config
}

func (m *saramaMembership) Setup(session sarama.ConsumerGroupSession) error {
	sayAssigned(session.Claims()[m.topic])
	return nil
}

func (m *saramaMembership) Cleanup(sarama.ConsumerGroupSession) error {
	return nil
}

func (m *saramaMembership) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case message, open := <-claim.Messages():
			if !open {
				return nil
			}
			m.process(session, claim, message)
		case <-session.Context().Done():
			return nil
		}
	}
}

// What has arrived together is committed together.
func (m *saramaMembership) process(
	session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim, message *sarama.ConsumerMessage,
) {
	for message != nil {
		sayGot(int(message.Partition), message.Offset, message.Value)
		session.MarkMessage(message, "")
		select {
		case message = <-claim.Messages():
		case <-time.After(10 * time.Millisecond):
			message = nil
		}
	}
	session.Commit()
	m.sayWhatTheBrokerHas(claim.Partition())
}

func (m *saramaMembership) sayWhatTheBrokerHas(partition int32) {
	told, err := m.admin.ListConsumerGroupOffsets(m.group, map[string][]int32{m.topic: {partition}})
	if err != nil {
		sayRefused(err)
		return
	}
	if block := told.GetBlock(m.topic, partition); block != nil && block.Offset >= 0 {
		sayCommitted(map[int32]int64{partition: block.Offset})
	}
}
