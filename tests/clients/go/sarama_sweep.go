package main

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/IBM/sarama"
)

// Every call of Sarama's ClusterAdmin that a broker of topics, settings and groups answers, good and bad. kafkactl is
// this on the command line.
type saramaSweep struct {
	admin sarama.ClusterAdmin
	name  string
	told
}

func saramaSweeper(bootstrap, name string) verbs {
	config := saramaConfig()
	config.Admin.Retry.Max = 0
	admin, err := sarama.NewClusterAdmin([]string{bootstrap}, config)
	if err != nil {
		fail(err.Error())
	}
	part := func(run func(*saramaSweep)) func(args) ([]string, error) {
		return func(args) ([]string, error) {
			sweep := &saramaSweep{admin, name, nil}
			run(sweep)
			return sweep.told, nil
		}
	}
	return verbs{
		"topics":   part((*saramaSweep).topics),
		"settings": part((*saramaSweep).settings),
		"cluster":  part((*saramaSweep).cluster),
	}
}

// A call that answers nothing but that it is done.
func (s *saramaSweep) did(what string, err error) {
	s.tell(what, nil, err)
}

func (s *saramaSweep) topics() {
	good := s.name + "good"
	wanted := []struct {
		topic  string
		detail sarama.TopicDetail
	}{
		{good, sarama.TopicDetail{NumPartitions: 2, ReplicationFactor: 1, ConfigEntries: map[string]*string{"retention.ms": some("-1")}}},
		{s.name + "usual", sarama.TopicDetail{NumPartitions: -1, ReplicationFactor: -1}},
		{s.name + "assigned", sarama.TopicDetail{NumPartitions: -1, ReplicationFactor: -1, ReplicaAssignment: map[int32][]int32{0: {1}, 1: {1}}}},
		{s.name + "nobody", sarama.TopicDetail{NumPartitions: -1, ReplicationFactor: -1, ReplicaAssignment: map[int32][]int32{0: {7}}}},
		{s.name + "wide", sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 3}},
		{s.name + "none", sarama.TopicDetail{NumPartitions: 0, ReplicationFactor: 1}},
		{s.name + "nope", sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 1, ConfigEntries: map[string]*string{"nope": some("1")}}},
		{s.name + "null", sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 1, ConfigEntries: map[string]*string{"flush.ms": nil}}},
		{"a/b", sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 1}},
	}
	for _, validateOnly := range []bool{true, false} {
		for _, one := range wanted {
			what := map[bool]string{true: "judge ", false: "create "}[validateOnly] + one.topic
			s.did(what, s.admin.CreateTopic(one.topic, &one.detail, validateOnly))
		}
	}
	time.Sleep(settling)
	s.did("create again", s.admin.CreateTopic(good, &wanted[0].detail, false))
	s.partitions(good)
	s.described(good)
	s.records(good)
	s.moves(good)
	s.did("delete", s.admin.DeleteTopic(s.name+"assigned"))
	s.did("delete absent", s.admin.DeleteTopic("absent"))
	s.did("delete a/b", s.admin.DeleteTopic("a/b"))
}

func (s *saramaSweep) partitions(good string) {
	s.did("judge partitions", s.admin.CreatePartitions(good, 9, nil, true))
	s.did("partitions", s.admin.CreatePartitions(good, 4, nil, false))
	time.Sleep(settling)
	s.did("fewer", s.admin.CreatePartitions(good, 2, nil, false))
	s.did("the same", s.admin.CreatePartitions(good, 4, nil, false))
	s.did("assigned", s.admin.CreatePartitions(good, 5, [][]int32{{1}}, false))
	s.did("elsewhere", s.admin.CreatePartitions(good, 6, [][]int32{{7}}, false))
	s.did("of nothing", s.admin.CreatePartitions("absent", 6, nil, false))
	time.Sleep(settling)
}

func (s *saramaSweep) described(good string) {
	described, err := s.admin.DescribeTopics([]string{good, "absent"})
	s.tell("describe", described, err)
	listed, err := s.admin.ListTopics()
	maps.DeleteFunc(listed, func(topic string, _ sarama.TopicDetail) bool { return !strings.HasPrefix(topic, s.name) })
	s.tell("list", listed, err)
}

func (s *saramaSweep) records(good string) {
	for _, offset := range []int64{0, -1, 7, -7} {
		s.did("delete records", s.admin.DeleteRecords(good, map[int32]int64{0: offset}))
	}
	s.did("delete records of nothing", s.admin.DeleteRecords("absent", map[int32]int64{0: 0}))
	for _, at := range []int64{sarama.OffsetOldest, sarama.OffsetNewest, -3, -4, -5, 5} {
		asked := map[string]map[int32]int64{good: {0: at, 4: at}}
		ends, err := s.admin.ListOffsets(asked, &sarama.ListOffsetsOptions{IsolationLevel: sarama.ReadCommitted})
		s.tell("ends", ends, err)
	}
}

func (s *saramaSweep) moves(good string) {
	some := map[string][]int32{good: {0, 9}, "absent": {0}}
	for _, how := range []sarama.ElectionType{sarama.PreferredElection, sarama.UncleanElection} {
		elected, err := s.admin.ElectLeaders(how, some)
		s.tell("elect", elected, err)
	}
	s.did("stay", s.admin.AlterPartitionReassignments(good, [][]int32{{1}, {1}}))
	s.did("go", s.admin.AlterPartitionReassignments(good, [][]int32{{7}}))
	s.did("cancel", s.admin.AlterPartitionReassignments(good, [][]int32{nil}))
	s.did("move nothing", s.admin.AlterPartitionReassignments("absent", [][]int32{{1}}))
	moves, err := s.admin.ListPartitionReassignments(good, []int32{0, 1})
	s.tell("moves", moves, err)
}

// A change of one setting.
type saramaChange struct {
	op    sarama.IncrementalAlterConfigsOperation
	key   string
	value *string
}

func (s *saramaSweep) alter(kind sarama.ConfigResourceType, of string, change saramaChange) {
	what := strings.Join([]string{"alter", of, change.key}, " ")
	for _, validateOnly := range []bool{true, false} {
		entries := map[string]sarama.IncrementalAlterConfigsEntry{change.key: {Operation: change.op, Value: change.value}}
		s.did(what, s.admin.IncrementalAlterConfig(kind, of, entries, validateOnly))
	}
}

func (s *saramaSweep) describe(what string, resources ...*sarama.ConfigResource) {
	time.Sleep(settling)
	for _, one := range resources {
		results, err := s.admin.DescribeConfigs([]*sarama.ConfigResource{one}, sarama.DescribeConfigsOptions{IncludeSynonyms: true})
		s.tell(what+" "+one.Name, results, err)
	}
}

func (s *saramaSweep) settings() {
	set, broker := s.name+"set", "1"
	s.did("create", s.admin.CreateTopic(set, &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 1}, false))
	time.Sleep(settling)
	const put, drop = sarama.IncrementalAlterConfigsOperationSet, sarama.IncrementalAlterConfigsOperationDelete
	const add, take = sarama.IncrementalAlterConfigsOperationAppend, sarama.IncrementalAlterConfigsOperationSubtract
	for _, change := range []saramaChange{
		{put, "retention.ms", some("70000")},
		{put, "retention.ms", some("soon")},
		{put, "flush.ms", nil},
		{put, "nope", some("1")},
		{drop, "nope", nil},
		{add, "cleanup.policy", some("compact")},
		{take, "cleanup.policy", some("delete")},
		{add, "retention.ms", some("1")},
	} {
		s.alter(sarama.TopicResource, set, change)
	}
	s.alter(sarama.TopicResource, "absent", saramaChange{put, "flush.ms", some("7")})
	s.describe("topic", &sarama.ConfigResource{Type: sarama.TopicResource, Name: set},
		&sarama.ConfigResource{Type: sarama.TopicResource, Name: "absent"})
	for _, entries := range []map[string]*string{{"flush.ms": some("9")}, {"flush.ms": some("soon")}, {"nope": some("1")}, {"flush.ms": nil}} {
		s.did("replace", s.admin.AlterConfig(sarama.TopicResource, set, entries, false))
	}
	s.describe("replaced", &sarama.ConfigResource{Type: sarama.TopicResource, Name: set})
	old, err := s.admin.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: set, ConfigNames: []string{"flush.ms", "nope"}})
	s.tell("some", old, err)
	for _, of := range []string{broker, ""} {
		for _, change := range []saramaChange{
			{put, "log.retention.ms", some("80000000")},
			{put, "log.retention.ms", some("soon")},
			{put, "node.id", some("8")},
			{add, "log.cleanup.policy", some("compact")},
		} {
			s.alter(sarama.BrokerResource, of, change)
		}
		s.describe("broker", &sarama.ConfigResource{Type: sarama.BrokerResource, Name: of,
			ConfigNames: []string{"log.retention.ms", "log.cleanup.policy", "log.retention.hours"}})
		s.alter(sarama.BrokerResource, of, saramaChange{drop, "log.retention.ms", nil})
		s.alter(sarama.BrokerResource, of, saramaChange{drop, "log.cleanup.policy", nil})
	}
	s.alter(sarama.BrokerLoggerResource, broker, saramaChange{put, "nobody", some("INFO")})
	s.alter(sarama.BrokerLoggerResource, broker, saramaChange{put, "root", some("LOUD")})
}

func (s *saramaSweep) cluster() {
	brokers, controller, err := s.admin.DescribeCluster()
	s.tell("cluster", len(brokers), err)
	s.tell("controller", controller, nil)
	nodes := []int32{1}
	dirs, err := s.admin.DescribeLogDirs(nodes)
	s.tell("directories", len(dirs[1]), err)
	for _, level := range []int16{1, 99} {
		updated, err := s.admin.UpdateFeatures([]sarama.FeatureUpdate{{Feature: "transaction.version", MaxVersionLevel: level}})
		s.tell("feature", updated, err)
	}
	s.groups()
}

func (s *saramaSweep) groups() {
	group, set, good := s.name+"group", s.name+"set", s.name+"good"
	committed := map[string]map[int32]sarama.OffsetAndMetadata{
		set:  {0: {Offset: 7, LeaderEpoch: -1}, 9: {Offset: 7, LeaderEpoch: -1}},
		good: {0: {Offset: 8, LeaderEpoch: -1}},
	}
	altered, err := s.admin.AlterConsumerGroupOffsets(group, committed, nil)
	s.tell("commit", altered, err)
	offsets, err := s.admin.ListConsumerGroupOffsets(group, map[string][]int32{set: {0, 1}})
	s.tell("offsets", offsets, err)
	batch, err := s.admin.ListConsumerGroupOffsetsBatch(map[string]map[string][]int32{group: {set: {0}}, "nobody": nil})
	s.tell("offsets of some", batch, err)
	listed, err := s.admin.ListConsumerGroups()
	own := slices.DeleteFunc(slices.Sorted(maps.Keys(listed)), func(one string) bool { return !strings.HasPrefix(one, s.name) })
	s.tell("groups", own, err)
	described, err := s.admin.DescribeConsumerGroups([]string{group, "nobody"})
	s.tell("describe groups", described, err)
	removed, err := s.admin.RemoveMemberFromConsumerGroup(group, []string{"who"})
	s.tell("remove", removed, err)
	coordinator, err := s.admin.Coordinator(group)
	s.tell("coordinator", coordinator.ID(), err)
	s.did("forget", s.admin.DeleteConsumerGroupOffset(group, set, 0))
	s.did("forget nothing", s.admin.DeleteConsumerGroupOffset("nobody", set, 0))
	s.did("dissolve", s.admin.DeleteConsumerGroup(group))
	s.did("dissolve nobody", s.admin.DeleteConsumerGroup("nobody"))
}
