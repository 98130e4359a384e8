package main

import (
	"context"

	"github.com/twmb/franz-go/pkg/kgo"
)

func franzMember(stopped context.Context, m membership) error {
	client, err := kgo.NewClient(append(franzMemberOptions(m), franzCallbacks(m.topic)...)...)
	if err != nil {
		return err
	}
	for stopped.Err() == nil {
		fetched := client.PollRecords(stopped, 100)
		if records := fetched.Records(); len(records) > 0 {
			franzProcess(client, records)
		}
		client.AllowRebalance()
	}
	// It leaves the group, unless it is a static member.
	client.CloseAllowingRebalance()
	return nil
}

func franzMemberOptions(m membership) []kgo.Opt {
	balancers := map[string]kgo.GroupBalancer{
		"range":              kgo.RangeBalancer(),
		"roundrobin":         kgo.RoundRobinBalancer(),
		"cooperative-sticky": kgo.CooperativeStickyBalancer(),
	}
	options := []kgo.Opt{
		kgo.SeedBrokers(m.bootstrap),
		kgo.ConsumerGroup(m.group),
		kgo.ConsumeTopics(m.topic),
		kgo.Balancers(balancers[m.assignor]),
		kgo.BlockRebalanceOnPoll(),
		kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.SessionTimeout(m.sessionTimeout()),
		kgo.HeartbeatInterval(heartbeatInterval),
		kgo.RebalanceTimeout(rebalanceTimeout),
		kgo.FetchMaxWait(fetchWait),
		kgo.MetadataMinAge(backoff),
	}
	if m.instance != "" {
		options = append(options, kgo.InstanceID(m.instance))
	}
	return options
}

func franzCallbacks(topic string) []kgo.Opt {
	holds := &owned{partitions: map[int32]bool{}}
	changes := func(taken bool) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, partitions map[string][]int32) {
			holds.change(partitions[topic], taken)
		}
	}
	return []kgo.Opt{
		kgo.OnPartitionsAssigned(changes(true)),
		kgo.OnPartitionsRevoked(changes(false)),
		kgo.OnPartitionsLost(changes(false)),
	}
}

func franzProcess(client *kgo.Client, records []*kgo.Record) {
	next := map[int32]int64{}
	for _, record := range records {
		sayGot(int(record.Partition), record.Offset, record.Value)
		next[record.Partition] = record.Offset + 1
	}
	until, cancel := context.WithTimeout(context.Background(), sessionTimeout)
	defer cancel()
	if err := client.CommitRecords(until, records...); err != nil {
		sayRefused(err)
		return
	}
	sayCommitted(next)
}
