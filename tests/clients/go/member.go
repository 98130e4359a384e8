package main

import (
	"bufio"
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// What the members of all libraries are told to keep, as member.rs has it.
const (
	// The least that Apache Kafka allows.
	sessionTimeout = 6 * time.Second
	// For members that are to be restarted within it.
	staticSessionTimeout = 30 * time.Second
	heartbeatInterval    = 500 * time.Millisecond
	rebalanceTimeout     = 20 * time.Second
	fetchWait            = 100 * time.Millisecond
	backoff              = 200 * time.Millisecond
)

// The words of the command line. The instance is empty for a dynamic member.
type membership struct {
	bootstrap, group, topic, assignor, instance string
}

func (m membership) sessionTimeout() time.Duration {
	if m.instance != "" {
		return staticSessionTimeout
	}
	return sessionTimeout
}

// A member takes part until the context ends, then leaves its group and returns.
func runMember(run func(context.Context, membership) error, words []string) {
	words = append(words, "")
	if len(words) < 5 {
		fail("usage: clients LIBRARY member BOOTSTRAP GROUP TOPIC ASSIGNOR [INSTANCE_ID]")
	}
	stopped, stop := context.WithCancel(context.Background())
	go func() {
		bufio.NewReader(os.Stdin).ReadString('\n')
		stop()
	}()
	if err := run(stopped, membership{words[0], words[1], words[2], words[3], words[4]}); err != nil {
		fail(sentence(err))
	}
	say("left")
}

// One write, so that the line is there as a whole when the process is killed.
func say(line string) {
	os.Stdout.Write([]byte(line + "\n"))
}

func sayAssigned[N int | int32](partitions []N) {
	partitions = slices.Sorted(slices.Values(partitions))
	if len(partitions) == 0 {
		say("assigned -")
		return
	}
	say("assigned " + joined(partitions))
}

func sayGot(partition int, offset int64, value []byte) {
	say(fmt.Sprintf("got %d %d %s", partition, offset, value))
}

// The offset is the one that is next to be processed.
func sayCommitted(offsets map[int32]int64) {
	var pairs []string
	for _, partition := range slices.Sorted(maps.Keys(offsets)) {
		pairs = append(pairs, fmt.Sprintf("%d:%d", partition, offsets[partition]))
	}
	say("committed " + strings.Join(pairs, ","))
}

func sayRefused(err error) {
	say("refused " + sentence(err))
}

func sentence(err error) string {
	return strings.Join(strings.Fields(err.Error()), " ")
}

// The partitions that a member holds, for a library that tells of what comes and goes.
type owned struct {
	lock       sync.Mutex
	partitions map[int32]bool
}

func (o *owned) change(partitions []int32, holds bool) {
	o.lock.Lock()
	defer o.lock.Unlock()
	for _, partition := range partitions {
		if holds {
			o.partitions[partition] = true
		} else {
			delete(o.partitions, partition)
		}
	}
	sayAssigned(slices.Collect(maps.Keys(o.partitions)))
}

// Waits a little, or until the context ends.
func pause(until context.Context) {
	select {
	case <-until.Done():
	case <-time.After(backoff):
	}
}
