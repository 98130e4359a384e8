package main

import (
	"bufio"
	"bytes"
	"fmt"
	"hash/crc32"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// More than any broker needs, and less than the test waits.
const patience = 60 * time.Second

// Above what the tests send, so that it is the broker that refuses.
const largest = 8_000_000

// What answers each verb of session.rs, with facts.
type verbs map[string]func(args) ([]string, error)

// The name=value words of one line.
type args map[string]string

func answerLines(known verbs) {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		facts, err := answer(known, words)
		if err != nil {
			facts = append(facts, "failed "+strings.Join(strings.Fields(err.Error()), " "))
		} else {
			facts = append(facts, "ok")
		}
		fmt.Println(strings.Join(facts, "\n"))
	}
}

func answer(known verbs, words []string) ([]string, error) {
	verb, found := known[words[0]]
	if !found {
		return nil, fmt.Errorf("unknown verb %s", words[0])
	}
	given := args{}
	for _, word := range words[1:] {
		name, value, _ := strings.Cut(word, "=")
		given[name] = value
	}
	return verb(given)
}

func (a args) has(name string) bool {
	_, found := a[name]
	return found
}

func (a args) text(name, otherwise string) string {
	if value, found := a[name]; found {
		return value
	}
	return otherwise
}

func (a args) number(name string, otherwise int64) int64 {
	if number, err := strconv.ParseInt(a[name], 10, 64); err == nil {
		return number
	}
	return otherwise
}

func (a args) flag(name string) bool {
	return a[name] == "1"
}

func (a args) names(name string) []string {
	if a[name] == "" {
		return nil
	}
	return strings.Split(a[name], ",")
}

func (a args) pairs(name string) map[string]string {
	pairs := map[string]string{}
	for _, pair := range a.names(name) {
		key, value, _ := strings.Cut(pair, ":")
		pairs[key] = value
	}
	return pairs
}

func (a args) topic() string {
	return a["topic"]
}

func (a args) partition() int32 {
	return int32(a.number("partition", 0))
}

// The place where a `consume` line starts: an offset, or one of the two ends, or a time.
type start struct {
	offset           int64
	earliest, latest bool
	at               time.Time
}

func (a args) start() start {
	from := a["from"]
	if ms, isTime := strings.CutPrefix(from, "@"); isTime {
		number, _ := strconv.ParseInt(ms, 10, 64)
		return start{at: time.UnixMilli(number)}
	}
	return start{offset: a.number("from", 0), earliest: from == "earliest", latest: from == "latest"}
}

// When the patience of a `consume` line ends.
func (a args) deadline() time.Time {
	return time.Now().Add(time.Duration(a.number("patience", int64(patience/time.Second))) * time.Second)
}

type header struct {
	name  string
	value []byte
}

// A record as it is sent or was read; nil is null.
type record struct {
	partition  int32
	offset     int64
	timestamp  time.Time
	key, value []byte
	headers    []header
}

// Every record that a `produce` line asks for. What they hold is said in contents.rs.
func (a args) records() []record {
	var records []record
	first := a.number("first", 0)
	for i := first; i < first+a.number("count", 0); i++ {
		one := record{partition: a.partition(), offset: i, headers: a.headers()}
		if a.has("ts") {
			one.timestamp = time.UnixMilli(a.number("ts", 0) + i)
		}
		if i%5 != 4 {
			one.key = fmt.Appendf(nil, "%s-%d", a.topic(), i)
		}
		if i%7 != 6 || i%5 == 4 {
			one.value = contents(a.topic(), i, int(a.number("size", 1+i*i*37%3000)))
		}
		records = append(records, one)
	}
	return records
}

func contents(topic string, i int64, size int) []byte {
	pattern := fmt.Appendf(nil, "%s/%d/\x00\xff\n", topic, i)
	return bytes.Repeat(pattern, size/len(pattern)+1)[:size]
}

func (a args) headers() []header {
	var headers []header
	all := []header{{"topic", []byte(a.topic())}, {"empty", []byte{}}, {"null", nil}}
	for _, one := range all {
		if slices.Contains(a.names("headers"), one.name) {
			headers = append(headers, one)
		}
	}
	return headers
}

// The fact about one record that was read.
func (r record) fact() string {
	timestamp, key, value := "-", "-", "-"
	if ms := r.timestamp.UnixMilli(); ms >= 0 {
		timestamp = strconv.FormatInt(ms, 10)
	}
	if r.key != nil {
		key = "=" + string(r.key)
	}
	if r.value != nil {
		value = fmt.Sprintf("%d:%08x", len(r.value), crc32.ChecksumIEEE(r.value))
	}
	return fmt.Sprintf("record %d %d %s %s %s %s", r.partition, r.offset, timestamp, key, value, r.shownHeaders())
}

func (r record) shownHeaders() string {
	var shown []string
	for _, one := range r.headers {
		if one.value == nil {
			shown = append(shown, one.name)
		} else {
			shown = append(shown, one.name+"="+string(one.value))
		}
	}
	if len(shown) == 0 {
		return "-"
	}
	return strings.Join(shown, ",")
}

func clusterFact(id string, nodes int) []string {
	if id == "" {
		id = "-"
	}
	return []string{fmt.Sprintf("cluster %s %d", id, nodes)}
}

func partitionFacts(numbers []int32) []string {
	var facts []string
	slices.Sort(numbers)
	for _, number := range numbers {
		facts = append(facts, fmt.Sprintf("partition %d", number))
	}
	return facts
}

func sentFact(i, offset int64) string {
	return fmt.Sprintf("sent %d %d", i, offset)
}

func offsetsFact(first, last int64) []string {
	return []string{fmt.Sprintf("offsets %d %d", first, last)}
}

func foundFact(offset int64) []string {
	return []string{fmt.Sprintf("found %d", offset)}
}

func missing(count int) error {
	return fmt.Errorf("%d records are missing", count)
}
