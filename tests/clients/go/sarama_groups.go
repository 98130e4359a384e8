package main

import (
	"maps"
	"slices"

	"github.com/IBM/sarama"
)

// The calls of kafkactl, which is Sarama's ClusterAdmin on the command line.
func (c *saramaClient) groupVerbs() verbs {
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

func (c *saramaClient) groups(args) (facts []string, err error) {
	return facts, c.withAdmin(func(admin sarama.ClusterAdmin) error {
		groups, err := admin.ListConsumerGroups()
		facts = groupFacts(slices.Collect(maps.Keys(groups)))
		return err
	})
}

func (c *saramaClient) group(a args) (facts []string, err error) {
	return facts, c.withAdmin(func(admin sarama.ClusterAdmin) error {
		groups, err := admin.DescribeConsumerGroups([]string{a.group()})
		if err != nil {
			return err
		}
		var members []string
		for _, member := range groups[0].Members {
			assigned, err := member.GetMemberAssignment()
			if err != nil {
				return err
			}
			members = append(members, joined(assigned.Topics[a.topic()]))
		}
		facts = stateFacts(groups[0].State, members)
		return nil
	})
}

func (c *saramaClient) committed(a args) (facts []string, err error) {
	return facts, c.withAdmin(func(admin sarama.ClusterAdmin) error {
		offsets, err := saramaCommitted(admin, a)
		facts = partitionOffsets("committed", offsets)
		return err
	})
}

func saramaCommitted(admin sarama.ClusterAdmin, a args) (map[int32]int64, error) {
	// No partitions are all that the group has.
	told, err := admin.ListConsumerGroupOffsets(a.group(), nil)
	if err != nil {
		return nil, err
	}
	offsets := map[int32]int64{}
	for partition, block := range told.Blocks[a.topic()] {
		offsets[partition] = block.Offset
	}
	return offsets, nil
}

func (c *saramaClient) lag(a args) (facts []string, err error) {
	return facts, c.withAdmin(func(admin sarama.ClusterAdmin) error {
		lags, err := saramaCommitted(admin, a)
		if err != nil {
			return err
		}
		newest := map[int32]int64{}
		for partition := range lags {
			newest[partition] = sarama.OffsetNewest
		}
		ends, err := admin.ListOffsets(map[string]map[int32]int64{a.topic(): newest}, nil)
		for partition, end := range ends[a.topic()] {
			lags[partition] = end.Offset - lags[partition]
		}
		facts = partitionOffsets("lag", lags)
		return err
	})
}

func (c *saramaClient) commit(a args) ([]string, error) {
	offset := sarama.OffsetAndMetadata{Offset: a.offset(), LeaderEpoch: -1}
	offsets := map[string]map[int32]sarama.OffsetAndMetadata{a.topic(): {a.partition(): offset}}
	return nil, c.withAdmin(func(admin sarama.ClusterAdmin) error {
		told, err := admin.AlterConsumerGroupOffsets(a.group(), offsets, nil)
		if err != nil {
			return err
		}
		if refused := told.Errors[a.topic()][a.partition()]; refused != sarama.ErrNoError {
			return refused
		}
		return nil
	})
}

func (c *saramaClient) forget(a args) ([]string, error) {
	return nil, c.withAdmin(func(admin sarama.ClusterAdmin) error {
		return admin.DeleteConsumerGroupOffset(a.group(), a.topic(), a.partition())
	})
}

func (c *saramaClient) dissolve(a args) ([]string, error) {
	return nil, c.withAdmin(func(admin sarama.ClusterAdmin) error {
		return admin.DeleteConsumerGroup(a.group())
	})
}
