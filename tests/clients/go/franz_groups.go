package main

import (
	"context"

	"github.com/twmb/franz-go/pkg/kadm"
)

func (c *franzClient) groupVerbs() verbs {
	return verbs{
		"groups":    c.groups,
		"group":     c.group,
		"committed": c.committed,
		"lag":       c.lag,
		"commit":    c.commit,
		"forget":    c.forget,
		"dissolve":  c.dissolve,
	}
}

func (c *franzClient) groups(args) ([]string, error) {
	return c.withAdmin(func(until context.Context, admin *kadm.Client) ([]string, error) {
		groups, err := admin.ListGroups(until)
		return groupFacts(groups.Groups()), err
	})
}

func (c *franzClient) group(a args) ([]string, error) {
	return c.withAdmin(func(until context.Context, admin *kadm.Client) ([]string, error) {
		groups, err := admin.DescribeGroups(until, a.group())
		if err != nil {
			return nil, err
		}
		var members []string
		for _, member := range groups[a.group()].Members {
			assigned, _ := member.Assigned.AsConsumer()
			for _, topic := range assigned.Topics {
				members = append(members, joined(topic.Partitions))
			}
		}
		return stateFacts(groups[a.group()].State, members), groups[a.group()].Err
	})
}

func (c *franzClient) committed(a args) ([]string, error) {
	return c.withAdmin(func(until context.Context, admin *kadm.Client) ([]string, error) {
		told, err := admin.FetchOffsets(until, a.group())
		offsets := map[int32]int64{}
		for partition, one := range told[a.topic()] {
			offsets[partition] = one.At
		}
		return partitionOffsets("committed", offsets), err
	})
}

func (c *franzClient) lag(a args) ([]string, error) {
	return c.withAdmin(func(until context.Context, admin *kadm.Client) ([]string, error) {
		groups, err := admin.Lag(until, a.group())
		if err != nil {
			return nil, err
		}
		lags := map[int32]int64{}
		for partition, one := range groups[a.group()].Lag[a.topic()] {
			// A partition without an offset is behind by all it has; the other clients do not count that.
			if one.Commit.At >= 0 {
				lags[partition] = one.Lag
			}
		}
		return partitionOffsets("lag", lags), groups.Error()
	})
}

func (c *franzClient) commit(a args) ([]string, error) {
	offsets := kadm.Offsets{}
	offsets.AddOffset(a.topic(), a.partition(), a.offset(), -1)
	return c.withAdmin(func(until context.Context, admin *kadm.Client) ([]string, error) {
		return nil, admin.CommitAllOffsets(until, a.group(), offsets)
	})
}

func (c *franzClient) forget(a args) ([]string, error) {
	offsets := kadm.TopicsSet{}
	offsets.Add(a.topic(), a.partition())
	return c.withAdmin(func(until context.Context, admin *kadm.Client) ([]string, error) {
		told, err := admin.DeleteOffsets(until, a.group(), offsets)
		if err != nil {
			return nil, err
		}
		return nil, told.Error()
	})
}

func (c *franzClient) dissolve(a args) ([]string, error) {
	return c.withAdmin(func(until context.Context, admin *kadm.Client) ([]string, error) {
		told, err := admin.DeleteGroup(until, a.group())
		if err != nil {
			return nil, err
		}
		return nil, told.Err
	})
}
