package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// What the libraries tell of groups in the same way.

func groupFacts(names []string) []string {
	var facts []string
	for _, name := range slices.Sorted(slices.Values(names)) {
		facts = append(facts, "group "+name)
	}
	return facts
}

// The partitions of one topic that each member has.
func stateFacts(state string, members []string) []string {
	facts := []string{"state " + state}
	for _, partitions := range slices.Sorted(slices.Values(members)) {
		facts = append(facts, "member "+partitions)
	}
	return facts
}

func joined[N int | int32](partitions []N) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(partitions), " ", ","), "[]")
}

// Partitions without an offset, which is one below 0, are left out.
func partitionOffsets(verb string, offsets map[int32]int64) []string {
	var facts []string
	for _, partition := range slices.Sorted(maps.Keys(offsets)) {
		if offsets[partition] >= 0 {
			facts = append(facts, fmt.Sprintf("%s %d %d", verb, partition, offsets[partition]))
		}
	}
	return facts
}

func (a args) group() string {
	return a["group"]
}

func (a args) offset() int64 {
	return a.number("offset", 0)
}
