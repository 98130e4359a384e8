package main

import (
	"context"
	"maps"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Every call of franz-go's kadm that a broker of topics, settings, groups and transactions answers, good and bad.
type franzSweep struct {
	admin *kadm.Client
	until context.Context
	name  string
	told
}

func franzSweeper(bootstrap, name string) verbs {
	client, err := kgo.NewClient(kgo.SeedBrokers(bootstrap), kgo.ClientID("franz-go"), kgo.MetadataMinAge(10*time.Millisecond))
	if err != nil {
		fail(err.Error())
	}
	part := func(run func(*franzSweep)) func(args) ([]string, error) {
		return func(args) ([]string, error) {
			until, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			sweep := &franzSweep{kadm.NewClient(client), until, name, nil}
			run(sweep)
			return sweep.told, nil
		}
	}
	return verbs{
		"topics":   part((*franzSweep).topics),
		"settings": part((*franzSweep).settings),
		"cluster":  part((*franzSweep).cluster),
	}
}

// Tells of a call whose answer is one value.
func asked[T any](s *franzSweep, what string) func(T, error) {
	return func(answer T, err error) { s.tell(what, answer, err) }
}

func (s *franzSweep) topics() {
	good, until := s.name+"good", s.until
	type configs = map[string]*string
	for _, one := range []struct {
		topic      string
		partitions int32
		replicas   int16
		configs
	}{
		{good, 2, 1, configs{"retention.ms": some("-1")}},
		{s.name + "usual", -1, -1, nil},
		{s.name + "wide", 1, 3, nil},
		{s.name + "none", 0, 1, nil},
		{s.name + "nope", 1, 1, configs{"nope": some("1")}},
		{s.name + "range", 1, 1, configs{"segment.bytes": some("1")}},
		{s.name + "null", 1, 1, configs{"flush.ms": nil}},
		{"a/b", 1, 1, nil},
	} {
		asked[kadm.CreateTopicResponses](s, "judge")(s.admin.ValidateCreateTopics(until, one.partitions, one.replicas, one.configs, one.topic))
		asked[kadm.CreateTopicResponses](s, "create")(s.admin.CreateTopics(until, one.partitions, one.replicas, one.configs, one.topic))
	}
	asked[kadm.CreateTopicResponse](s, "create again")(s.admin.CreateTopic(until, 2, 1, nil, good))
	time.Sleep(settling)
	asked[kadm.CreatePartitionsResponses](s, "judge more")(s.admin.ValidateCreatePartitions(until, 2, good, "absent"))
	asked[kadm.CreatePartitionsResponses](s, "more")(s.admin.CreatePartitions(until, 2, good))
	time.Sleep(settling)
	asked[kadm.CreatePartitionsResponses](s, "judge fewer")(s.admin.ValidateUpdatePartitions(until, 2, good, "absent"))
	asked[kadm.CreatePartitionsResponses](s, "to five")(s.admin.UpdatePartitions(until, 5, good, s.name+"usual"))
	time.Sleep(settling)
	asked[kadm.TopicDetails](s, "list")(s.admin.ListTopics(until, good, "absent"))
	asked[kadm.TopicDetails](s, "list all")(s.admin.ListTopicsWithInternal(until, good))
	asked[kadm.Metadata](s, "metadata")(s.admin.Metadata(until, good))
	s.records(good)
	s.moves(good)
	asked[kadm.DeleteTopicResponses](s, "delete")(s.admin.DeleteTopics(until, s.name+"usual", "absent", "a/b"))
}

func (s *franzSweep) records(good string) {
	until, both := s.until, []string{good, "absent"}
	for what, ends := range map[string]func(context.Context, ...string) (kadm.ListedOffsets, error){
		"start":     s.admin.ListStartOffsets,
		"end":       s.admin.ListEndOffsets,
		"newest":    s.admin.ListMaxTimestampOffsets,
		"local":     s.admin.ListLocalLogStartOffsets,
		"remote":    s.admin.ListLatestRemoteOffsets,
		"committed": s.admin.ListCommittedOffsets,
	} {
		asked[kadm.ListedOffsets](s, what)(ends(until, both...))
	}
	asked[kadm.ListedOffsets](s, "after")(s.admin.ListOffsetsAfterMilli(until, 5, both...))
	for _, before := range []int64{0, -1, 7, -7} {
		gone := kadm.Offsets{}
		gone.AddOffset(good, 0, before, -1)
		asked[kadm.DeleteRecordsResponses](s, "delete records")(s.admin.DeleteRecords(until, gone))
	}
	epochs := kadm.OffsetForLeaderEpochRequest{}
	epochs.Add(good, 0, 0)
	asked[kadm.OffsetsForLeaderEpochs](s, "epochs")(s.admin.OffsetForLeaderEpoch(until, epochs))
}

func (s *franzSweep) moves(good string) {
	until, places := s.until, kadm.TopicsSet{}
	places.Add(good, 0, 9)
	places.Add("absent", 0)
	for _, how := range []kadm.ElectLeadersHow{kadm.ElectPreferredReplica, kadm.ElectLiveReplica} {
		asked[kadm.ElectLeadersResults](s, "elect")(s.admin.ElectLeaders(until, how, places))
	}
	moves := kadm.AlterPartitionAssignmentsReq{}
	moves.Assign(good, 0, []int32{1})
	moves.Assign(good, 1, []int32{7})
	moves.CancelAssign(good, 2)
	moves.Assign("absent", 0, []int32{1})
	asked[kadm.AlterPartitionAssignmentsResponses](s, "move")(s.admin.AlterPartitionAssignments(until, moves))
	asked[kadm.ListPartitionReassignmentsResponses](s, "moves")(s.admin.ListPartitionReassignments(until, places))
	dirs := kadm.AlterReplicaLogDirsReq{}
	dirs.Add("/nowhere", places)
	asked[kadm.AlterAllReplicaLogDirsResponses](s, "go everywhere")(s.admin.AlterAllReplicaLogDirs(until, dirs))
	asked[kadm.AlterReplicaLogDirsResponses](s, "go")(s.admin.AlterBrokerReplicaLogDirs(until, 1, dirs))
}

func (s *franzSweep) settings() {
	until, set := s.until, s.name+"set"
	asked[kadm.CreateTopicResponses](s, "create")(s.admin.CreateTopics(until, 1, 1, nil, set))
	time.Sleep(settling)
	const put, drop, add, take = kadm.SetConfig, kadm.DeleteConfig, kadm.AppendConfig, kadm.SubtractConfig
	for _, change := range []kadm.AlterConfig{
		{Op: put, Name: "retention.ms", Value: some("70000")},
		{Op: put, Name: "retention.ms", Value: some("soon")},
		{Op: put, Name: "flush.ms"},
		{Op: put, Name: "nope", Value: some("1")},
		{Op: drop, Name: "nope"},
		{Op: add, Name: "cleanup.policy", Value: some("compact")},
		{Op: take, Name: "cleanup.policy", Value: some("delete")},
		{Op: add, Name: "retention.ms", Value: some("1")},
	} {
		one := []kadm.AlterConfig{change}
		asked[kadm.AlterConfigsResponses](s, "judge "+change.Name)(s.admin.ValidateAlterTopicConfigs(until, one, set, "absent"))
		asked[kadm.AlterConfigsResponses](s, "alter "+change.Name)(s.admin.AlterTopicConfigs(until, one, set, "absent"))
	}
	s.described("topic", set, "absent")
	for _, value := range []*string{some("9"), some("soon"), nil} {
		whole := []kadm.AlterConfig{{Name: "flush.ms", Value: value}}
		asked[kadm.AlterConfigsResponses](s, "judge whole")(s.admin.ValidateAlterTopicConfigsState(until, whole, set))
		asked[kadm.AlterConfigsResponses](s, "whole")(s.admin.AlterTopicConfigsState(until, whole, set))
	}
	s.described("replaced", set)
	s.brokerSettings(1)
	s.brokerSettings()
	asked[kadm.ListedConfigResources](s, "resources")(s.admin.ListConfigResources(until, kadm.ConfigResourceBroker, kadm.ConfigResourceBrokerLogger))
}

func (s *franzSweep) described(what string, topics ...string) {
	time.Sleep(settling)
	asked[kadm.ResourceConfigs](s, what)(s.admin.DescribeTopicConfigs(s.until, topics...))
}

// Settings of some brokers, or of all.
func (s *franzSweep) brokerSettings(brokers ...int32) {
	until := s.until
	for _, change := range []kadm.AlterConfig{
		{Name: "log.retention.ms", Value: some("80000000")},
		{Name: "log.retention.ms", Value: some("soon")},
		{Name: "node.id", Value: some("8")},
		{Op: kadm.AppendConfig, Name: "log.cleanup.policy", Value: some("compact")},
		{Op: kadm.DeleteConfig, Name: "log.cleanup.policy"},
	} {
		one := []kadm.AlterConfig{change}
		asked[kadm.AlterConfigsResponses](s, "judge "+change.Name)(s.admin.ValidateAlterBrokerConfigs(until, one, brokers...))
		asked[kadm.AlterConfigsResponses](s, "alter "+change.Name)(s.admin.AlterBrokerConfigs(until, one, brokers...))
	}
	time.Sleep(settling)
	described, err := s.admin.DescribeBrokerConfigs(until, brokers...)
	for _, one := range described {
		for _, config := range one.Configs {
			if config.Key == "log.retention.ms" || config.Key == "log.cleanup.policy" || config.Key == "log.retention.hours" {
				s.tell("broker "+one.Name, config, err)
			}
		}
	}
	whole := []kadm.AlterConfig{{Name: "log.flush.scheduler.interval.ms", Value: some("7000")}}
	asked[kadm.AlterConfigsResponses](s, "judge whole")(s.admin.ValidateAlterBrokerConfigsState(until, whole, brokers...))
	asked[kadm.AlterConfigsResponses](s, "whole")(s.admin.AlterBrokerConfigsState(until, whole, brokers...))
	if len(brokers) == 0 {
		// Kafka 4 has a setting there which it does not give up.
		return
	}
	asked[kadm.AlterConfigsResponses](s, "nothing")(s.admin.AlterBrokerConfigsState(until, nil, brokers...))
}

func (s *franzSweep) cluster() {
	until, set := s.until, s.name+"set"
	asked[kadm.BrokerDetails](s, "brokers")(s.admin.ListBrokers(until))
	asked[kadm.Metadata](s, "broker metadata")(s.admin.BrokerMetadata(until))
	versions, err := s.admin.ApiVersions(until)
	s.tell("versions", len(versions), err)
	places := kadm.TopicsSet{}
	places.Add(set, 0)
	all, err := s.admin.DescribeAllLogDirs(until, places)
	s.tell("directories", len(all), err)
	dirs, err := s.admin.DescribeBrokerLogDirs(until, 1, places)
	for _, dir := range dirs {
		s.tell("directory", dir, err)
	}
	for _, level := range []int16{1, 99} {
		update := kadm.FeatureUpdate{Feature: "transaction.version", MaxVersionLevel: level, UpgradeType: 1}
		asked[kadm.UpdatedFeatures](s, "judge feature")(s.admin.UpdateFeatures(until, true, update))
	}
	s.groups(set)
	asked[kadm.DescribedProducersTopics](s, "producers")(s.admin.DescribeProducers(until, places))
	asked[kadm.DescribedTransactions](s, "transactions")(s.admin.DescribeTransactions(until, "nobody"))
	asked[kadm.ListedTransactions](s, "list transactions")(s.admin.ListTransactions(until, []int64{77}, []string{"Ongoing"}))
	asked[kadm.ListedTransactions](s, "transactions like")(s.admin.ListTransactionsByTxPattern(until, nil, nil, s.name+".*"))
	marker := kadm.TxnMarkers{ProducerID: 77, Topics: kadm.TopicsSet{"absent": {0: {}}}}
	asked[kadm.TxnMarkersResponses](s, "mark")(s.admin.WriteTxnMarkers(until, marker))
}

func (s *franzSweep) groups(set string) {
	until, group := s.until, s.name+"group"
	offsets := kadm.Offsets{}
	offsets.AddOffset(set, 0, 7, -1)
	offsets.AddOffset(s.name+"good", 0, 8, -1)
	offsets.AddOffset("absent", 0, 7, -1)
	asked[kadm.OffsetResponses](s, "commit")(s.admin.CommitOffsets(until, group, offsets))
	asked[kadm.OffsetResponses](s, "offsets")(s.admin.FetchOffsets(until, group))
	asked[kadm.OffsetResponses](s, "offsets of")(s.admin.FetchOffsetsForTopics(until, group, set))
	s.tell("offsets of many", s.admin.FetchManyOffsets(until, group, "nobody"), nil)
	asked[kadm.DescribedGroups](s, "describe groups")(s.admin.DescribeGroups(until, group, "nobody"))
	asked[kadm.DescribedGroupLags](s, "lag")(s.admin.Lag(until, group))
	listed, err := s.admin.ListGroupsByType(until, []string{"classic"}, "Empty")
	maps.DeleteFunc(listed, func(one string, _ kadm.ListedGroup) bool { return !strings.HasPrefix(one, s.name) })
	s.tell("groups", listed, err)
	s.tell("coordinators", s.admin.FindGroupCoordinators(until, group), nil)
	s.tell("of transactions", s.admin.FindTxnCoordinators(until, "nobody"), nil)
	asked[kadm.LeaveGroupResponses](s, "leave")(s.admin.LeaveGroup(until, kadm.LeaveGroup(group).InstanceIDs("who").Reason("swept")))
	gone := kadm.TopicsSet{}
	gone.Add(set, 0)
	asked[kadm.DeleteOffsetsResponses](s, "forget")(s.admin.DeleteOffsets(until, group, gone))
	asked[kadm.DeleteGroupResponses](s, "dissolve")(s.admin.DeleteGroups(until, group, "nobody"))
}
