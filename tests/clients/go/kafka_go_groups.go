package main

import (
	"context"

	"github.com/segmentio/kafka-go"
)

// kafka-go has no call that computes a lag.
func (c *kafkaGoClient) groupVerbs() verbs {
	return verbs{
		"groups":    c.groups,
		"group":     c.group,
		"committed": c.committed,
		"commit":    c.commit,
		"forget":    c.forget,
		"dissolve":  c.dissolve,
	}
}

func (c *kafkaGoClient) groups(args) ([]string, error) {
	told, err := c.client.ListGroups(context.Background(), &kafka.ListGroupsRequest{})
	if err != nil {
		return nil, err
	}
	var names []string
	for _, group := range told.Groups {
		names = append(names, group.GroupID)
	}
	return groupFacts(names), told.Error
}

func (c *kafkaGoClient) group(a args) ([]string, error) {
	request := &kafka.DescribeGroupsRequest{GroupIDs: []string{a.group()}}
	told, err := c.client.DescribeGroups(context.Background(), request)
	if err != nil {
		return nil, err
	}
	var members []string
	for _, member := range told.Groups[0].Members {
		for _, assigned := range member.MemberAssignments.Topics {
			members = append(members, joined(assigned.Partitions))
		}
	}
	return stateFacts(told.Groups[0].GroupState, members), told.Groups[0].Error
}

func (c *kafkaGoClient) committed(a args) ([]string, error) {
	request := &kafka.OffsetFetchRequest{GroupID: a.group()}
	told, err := c.client.OffsetFetch(context.Background(), request)
	if err != nil {
		return nil, err
	}
	offsets := map[int32]int64{}
	for _, one := range told.Topics[a.topic()] {
		offsets[int32(one.Partition)] = one.CommittedOffset
	}
	return partitionOffsets("committed", offsets), told.Error
}

func (c *kafkaGoClient) commit(a args) ([]string, error) {
	offset := kafka.OffsetCommit{Partition: int(a.partition()), Offset: a.offset()}
	told, err := c.client.OffsetCommit(context.Background(), &kafka.OffsetCommitRequest{
		GroupID:      a.group(),
		GenerationID: -1,
		Topics:       map[string][]kafka.OffsetCommit{a.topic(): {offset}},
	})
	if err != nil {
		return nil, err
	}
	return nil, told.Topics[a.topic()][0].Error
}

func (c *kafkaGoClient) forget(a args) ([]string, error) {
	told, err := c.client.OffsetDelete(context.Background(), &kafka.OffsetDeleteRequest{
		GroupID: a.group(),
		Topics:  map[string][]int{a.topic(): {int(a.partition())}},
	})
	if err != nil {
		return nil, err
	}
	if told.Error != nil {
		return nil, told.Error
	}
	return nil, told.Topics[a.topic()][0].Error
}

func (c *kafkaGoClient) dissolve(a args) ([]string, error) {
	request := &kafka.DeleteGroupsRequest{GroupIDs: []string{a.group()}}
	told, err := c.client.DeleteGroups(context.Background(), request)
	if err != nil {
		return nil, err
	}
	return nil, told.Errors[a.group()]
}
